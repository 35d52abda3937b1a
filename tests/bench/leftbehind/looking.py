"""How a target looks: all that a fault could leave something in, to be compared with what it was before."""

from dataclasses import dataclass
from typing import Any

from bench.leftbehind import host
from bench.leftbehind.faults import Aim, Family, Kind
from bench.leftbehind.place import Place

Look = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
"""Counts rollouts; a Deployment that was rolled out and back has it higher: the report names it."""
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Eye:
    """Looks at one target: the pod of this name and uid, its Deployment, and the Node where that is meant."""

    place: Place
    kind: Kind
    pod: str
    uid: str

    def look(self, *, is_thorough: bool = False) -> Look:
        """See all of it, or all that can be had at little cost. Raises OSError or HTTPException without API server."""
        found: Look = {"Deployment": _workload(self.place, self.place.workload(self.kind))}
        if self.kind.aim is Aim.NODE:
            found["Node"] = _kept(self.place.nodes.read(self.place.node))
        pod = self.place.stage.find("Pod", self.pod)
        if pod is None or pod["metadata"]["uid"] != self.uid:
            running = host.processes(self.uid)
            return found | {"Pod": GONE} | ({"processes": _named(running)} if running else {})
        found["Pod"] = _pod(pod)
        if self.kind.name == "drain":
            return found
        running = host.processes(self.uid)
        found |= {"processes": _named(running), "cgroup": host.cgroup_values(self.uid)}
        theirs = [one for one in running if not one.is_agent]
        if is_thorough:
            found["network"] = host.network(theirs)
        if is_thorough or self.kind.family in {Family.AGENT, Family.AGENT_BLOW}:
            found["rules"] = host.rules(theirs)
        return found

    def agents_have_ended(self) -> bool:
        """Whether no agent is in the pod, nor is to come."""
        pod = self.place.stage.find("Pod", self.pod)
        if pod is None or pod["metadata"]["uid"] != self.uid:
            return True
        states = pod["status"].get("ephemeralContainerStatuses", ())
        ended = {one["name"] for one in states if "terminated" in one.get("state", {})}
        return ended >= {one["name"] for one in pod["spec"].get("ephemeralContainers", ())}

    def differences(self, before: Look, now: Look) -> list[str]:
        """Name what is not as it was. A pod that a fault replaces is gone with all that was in it."""
        is_gone = now["Pod"] == GONE and self.kind.replaces
        return [
            f"{part}: {_first_difference(before.get(part), now[part])}"
            for part in now
            if before.get(part) != now[part] and not (is_gone and part == "Pod")
        ]


def _workload(place: Place, name: str) -> Look:
    found = _kept(place.stage.read("Deployment", name))
    found["annotations"].pop(REVISION, None)
    return found


def _pod(pod: dict[str, Any]) -> Look:
    found = _kept(pod)
    found["spec"] = {key: value for key, value in found["spec"].items() if key != "ephemeralContainers"}
    statuses = pod["status"].get("containerStatuses", ())
    found["resources"] = [[one.get("resources"), one.get("allocatedResources")] for one in statuses]
    return found


def _kept(raw: dict[str, Any]) -> Look:
    """Take from an object what is not told by its status or counts its versions."""
    meta = raw["metadata"]
    kept = {key: dict(meta.get(key) or {}) for key in ("labels", "annotations")}
    return kept | {"finalizers": meta.get("finalizers"), "owners": meta.get("ownerReferences"), "spec": raw["spec"]}


def _named(running: list[host.Process]) -> list[str]:
    return sorted(
        f"{one.name} {one.command.decode(errors='replace')}{' STOPPED' if one.state in 'Tt' else ''}"
        for one in running
        if one.state != "Z"
    )


def _first_difference(before: object, now: object) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(key for key in {**before, **now} if before.get(key) != now.get(key))
        return f"{key}: {_first_difference(before.get(key), now.get(key))}"
    if isinstance(before, list) and isinstance(now, list):
        return f"-{[one for one in before if one not in now]} +{[one for one in now if one not in before]}"[:300]
    if isinstance(before, str) and isinstance(now, str):
        old, new = before.splitlines(), now.splitlines()
        return f"-{[one for one in old if one not in new]} +{[one for one in new if one not in old]}"[:300]
    return f"{before!r} → {now!r}"[:300]
