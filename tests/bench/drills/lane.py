"""One namespace in which an experiment runs again and again; each run seen from inside, by status, and from outside."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from bench.drills.table import SHOP, Drill, experiment, surroundings
from bench.faults.run import Run
from cluster.stage import Stage
from cluster.waiting import until
from homeostat.api.meta import Duration

POLL = 0.4  # seconds between two looks from outside
LONGEST = 240.0  # seconds that a run may take
START = 150.0
SETTLED = timedelta(seconds=4)
DURATIONS: TypeAdapter[timedelta] = TypeAdapter(Duration)
MOMENTS = ("detectedAfter", "actedAfter", "verifiedAfter")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run. Times in seconds from the injection on; what did not happen is missing."""

    drill: str
    verdict: str
    reason: str = ""
    told: dict[str, float] = field(default_factory=dict)
    """As status.proofs has it, or status.timings where nothing is to be proved."""
    seen: dict[str, float] = field(default_factory=dict)
    """From outside: when not all was well first, when the policy acted, when all was well for good."""
    is_followed: bool | None = None
    """Whether the policy's proof and its condition say what the run showed; None where none is to be proved."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What is there at a moment: whether users are served, what the Deployment is to be, which pods are to stay."""

    at: datetime
    is_well: bool
    deployment: tuple[int, str]
    pods: frozenset[str]


class Lane:
    """A namespace with the shop, its checks, a runbook and an experiment."""

    def __init__(self, stage: Stage, drill: Drill) -> None:
        self.stage = stage
        self.drill = drill
        self._shop = Run(stage, drill.policy, with_policy=True)

    def open(self) -> None:
        """Open the shop, and wait until the experiment would find all well."""
        first, *others = surroundings(self.drill, self.stage.namespace)
        self.stage.put(first)
        self._shop.until_well()
        self.stage.put(*others, experiment(self.drill))
        self.stage.until_status("ChaosExperiment", lambda it: it.get("phase"), "looked at", self.drill.name, START)

    def run(self, number: int) -> Outcome:
        """Have it run once more, and say how that went."""
        self._until_at_rest()
        before = self._look()
        asked = {"metadata": {"annotations": {"homeostat.dev/run": str(number)}}}
        self.stage.patch("ChaosExperiment", asked, self.drill.name)
        looks: list[Look] = []
        status = self._watch(number, looks)
        is_conclusive = status["verdict"] in {"Passed", "Failed"}
        is_followed = self._is_followed(status) if self.drill.policy and is_conclusive else None
        return _outcome(self.drill, status, _seen(self.drill, before, looks, status), is_followed=is_followed)

    def _until_at_rest(self) -> None:
        until(self._shop.is_well, f"all is well in {self.stage.namespace}", START)
        for name in ("checkout", "checkout-replicas"):
            self.stage.until_status("HealthCheck", _is_settled, "healthy for a while", name, START)
        if self.drill.policy:
            self.stage.until_status("RecoveryPolicy", _is_quiet, "at rest", self.drill.policy, START)
        self.stage.until_status("ServiceLevelObjective", lambda it: not it.get("alerts"), "quiet", SHOP, 600)

    def _watch(self, number: int, looks: list[Look]) -> dict[str, Any]:
        give_up_at = time.monotonic() + LONGEST
        status = self.stage.status("ChaosExperiment", self.drill.name)
        while (status.get("phase"), status.get("runNumber")) != ("Finished", number):
            assert time.monotonic() < give_up_at, f"run {number} is not over: {_stand(status)}"
            looks.append(self._look())
            time.sleep(POLL)
            status = self.stage.status("ChaosExperiment", self.drill.name)
        return status

    def _look(self) -> Look:
        spec = self.stage.read("Deployment", SHOP)["spec"]
        deployment = int(spec["replicas"]), str(spec["template"]["spec"]["containers"][0]["image"])
        pods = frozenset(pod["metadata"]["uid"] for pod in self._shop.pods())
        return Look(datetime.now(UTC), self._shop.is_well(), deployment, pods)

    def _is_followed(self, status: dict[str, Any]) -> bool:
        """Whether the policy soon says of the drill what the run showed."""
        wanted = {"experiment": self.drill.name, "at": status["endedAt"], "verdict": status["verdict"]}
        verified = (one.get("verifiedAfter") for one in status["proofs"] if one["name"] == self.drill.policy)
        took = next(verified, None) or status.get("timings", {}).get("recoveredAfter")
        wanted |= {"timeToRecover": took} if took else {}
        is_proven = "True" if status["verdict"] == "Passed" else "False"

        def look() -> bool:
            known = self.stage.status("RecoveryPolicy", self.drill.policy).get("proof", {})
            condition = self.stage.condition("RecoveryPolicy", "Proven", self.drill.policy)
            return {name: known.get(name) for name in wanted} == wanted and condition.get("status") == is_proven

        try:
            return until(look, "the policy follows", 15)
        except AssertionError:
            return False


def _is_settled(status: dict[str, Any]) -> bool:
    since = status.get("since")
    is_old = since is not None and datetime.now(UTC) - datetime.fromisoformat(since) > SETTLED
    return status.get("state") == "Healthy" and is_old


def _is_quiet(status: dict[str, Any]) -> bool:
    states = {one["state"] for one in status.get("signals", ())}
    return status.get("phase") == "Idle" and "Quiet" in states and "Firing" not in states


def _outcome(drill: Drill, status: dict[str, Any], seen: dict[str, float], *, is_followed: bool | None) -> Outcome:
    verdict = status["verdict"]
    note = "" if verdict == "Passed" and is_followed is not False else _stand(status)
    return Outcome(drill.name, verdict, status["reason"], dict(_told(status)), seen, is_followed, note)


def _told(status: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Give the times of the one thing that is proved; else what the run says of the HealthChecks."""
    timings = status.get("timings", {})
    found = next(iter(status.get("proofs", ())), timings)
    for name in MOMENTS:
        if name in found:
            yield name.removesuffix("After"), seconds(found[name])
    if "recoveredAfter" in timings:
        yield "recovered", seconds(timings["recoveredAfter"])


def _seen(drill: Drill, before: Look, looks: list[Look], status: dict[str, Any]) -> dict[str, float]:
    """Give the times from outside."""
    if "injectedAt" not in status:
        return {}
    start = datetime.fromisoformat(status["injectedAt"])
    later = [one for one in looks if one.at >= start]
    well_at = next((one.at for one in reversed(_ups(later))), None)
    acted_at = _acted(before, later) if drill.policy else None
    moments = {"broken": _first(later, lambda one: not one.is_well), "acted": acted_at, "well": well_at}
    return {name: (at - start).total_seconds() for name, at in moments.items() if at is not None}


def _ups(looks: list[Look]) -> list[Look]:
    """Give the looks at which users were served again."""
    return [new for old, new in pairwise(looks) if new.is_well and not old.is_well]


def _acted(before: Look, looks: list[Look]) -> datetime | None:
    """Give when the Deployment was put back, or else when a pod of before was told to go."""
    broken = _first(looks, lambda one: one.deployment != before.deployment)
    if broken is not None:
        return _first([one for one in looks if one.at > broken], lambda one: one.deployment == before.deployment)
    return _first(looks, lambda one: not before.pods <= one.pods)


def _first(looks: list[Look], holds: Callable[[Look], bool]) -> datetime | None:
    return next((one.at for one in looks if holds(one)), None)


def seconds(text: str) -> float:
    """Read a duration of a status."""
    return DURATIONS.validate_python(text).total_seconds()


def _stand(status: dict[str, Any]) -> str:
    seen = "; ".join(one["what"] for one in status.get("observations", ()))
    return f"{status.get('phase')} {status.get('reason')}: {status.get('message')} [{seen}]"
