"""Raw objects of Kubernetes → the records of `core.cluster`. Pure; absent fields mean what the API says they mean."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.meta import GROUP
from homeostat.core.cluster import (
    AgentContainer,
    Claim,
    Container,
    DisruptionBudget,
    Job,
    Namespace,
    Node,
    Pod,
    Secret,
    Workload,
)
from homeostat.core.orders import PREFIX
from homeostat.core.ref import Ref
from homeostat.kube.workloads.field_names import fields_of, references_of
from homeostat.kube.workloads.git_owners import git_owner_of
from homeostat.kube.workloads.resizing import is_resizing
from homeostat.kube.workloads.rollouts import drops_claims, keeps_broken_pods, rollout_takes, rolls_out
from homeostat.kube.workloads.selectors import selector_text

Raw = Mapping[str, Any]
RESTARTED_AT = f"{GROUP}/restartedAt"
"""The annotation of a pod template that a rollout restart sets to its id."""

_NO_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"})
_MIRROR = "kubernetes.io/config.mirror"
_RESIZED = frozenset({"memory", "cpu"})
_PRESSURES = frozenset({"MemoryPressure", "DiskPressure", "PIDPressure"})


def ref_of(raw: Raw, kind: str) -> Ref:
    """Give the reference of an object; items of a LIST do not name their kind, so it is told."""
    metadata = raw["metadata"]
    return Ref(kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def controller_of(raw: Raw) -> Ref | None:
    """Give the object's controller: the one owner that manages it."""
    metadata = raw["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return Ref(owner["kind"], metadata.get("namespace", ""), owner["name"], owner["uid"])
    return None


# --- pods -----------------------------------------------------------------------------------------------


def pod_of(raw: Raw) -> Pod:
    """Project one Pod; `owner` is the direct controller (a ReplicaSet, for a Deployment's pod)."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    ready = _condition(status, "Ready")
    is_ready = ready.get("status") == "True"
    return Pod(
        ref=ref_of(raw, "Pod"),
        resource_version=metadata["resourceVersion"],
        ip=status.get("podIP", ""),
        node=spec.get("nodeName", ""),
        phase=status.get("phase", ""),
        is_ready=is_ready,
        is_terminating="deletionTimestamp" in metadata,
        restarts=sum(container.get("restartCount", 0) for container in _containers(status)),
        created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        ready_since=_time(ready.get("lastTransitionTime")) if is_ready else None,
        reasons=tuple(_pod_reasons(raw, is_ready=is_ready)),
        labels=_pairs(metadata.get("labels")),
        owner=controller_of(raw),
        claims=tuple(_claims(raw)),
        exit_code=_exit_code(status),
        containers=tuple(map(_container, spec.get("containers") or ())),
        has_empty_dir=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
        is_mirror=_MIRROR in (metadata.get("annotations") or {}),
        terminating_since=_terminating_since(metadata),
        grace_seconds=_grace_seconds(metadata, spec),
        is_resizing=is_resizing(raw),
        out_of_memory_at=max(_out_of_memory(status), default=None),
        annotations=_pairs(metadata.get("annotations")),
        fields=_pairs(fields_of(raw, "Pod")),
        agents=tuple(_agents(spec, status)),
        has_host_network=bool(spec.get("hostNetwork")),
        has_readiness_probe=any("readinessProbe" in container for container in spec.get("containers") or ()),
    )


def _agents(spec: Raw, status: Raw) -> Iterator[AgentContainer]:
    """Give the ephemeral containers that are ours: the spec lists them for good, the status once they are known."""
    known = {one["name"]: one.get("state") or {} for one in status.get("ephemeralContainerStatuses") or ()}
    for container in spec.get("ephemeralContainers") or ():
        if container["name"].startswith(PREFIX):
            yield _agent(container["name"], known.get(container["name"], {}))


def _agent(name: str, state: Raw) -> AgentContainer:
    if ended := state.get("terminated"):
        return AgentContainer(name, "Ended", ended.get("reason", ""), ended.get("exitCode"))
    if "running" in state:
        return AgentContainer(name, "Running")
    return AgentContainer(name, "Waiting", (state.get("waiting") or {}).get("reason", ""))


def _container(raw: Raw) -> Container:
    """Project what a container asks for: as it is wanted, which is what an in-place resize changes first."""
    resources = raw.get("resources") or {}
    asked = (
        tuple(pair for pair in _pairs(resources.get(what)) if pair[0] in _RESIZED) for what in ("requests", "limits")
    )
    return Container(raw["name"], *asked)


def _terminating_since(metadata: Raw) -> datetime | None:
    """Give when a pod was told to go: its deletionTimestamp is when it must be gone, a grace period later."""
    ends = _time(metadata.get("deletionTimestamp"))
    return ends - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0) if ends else None


def _grace_seconds(metadata: Raw, spec: Raw) -> int:
    granted = metadata.get("deletionGracePeriodSeconds")
    return int(spec.get("terminationGracePeriodSeconds", 30) if granted is None else granted)


def _claims(raw: Raw) -> Iterator[str]:
    """Give the names of the claims a pod mounts; one of a generic ephemeral volume is named after the pod."""
    for volume in (raw.get("spec") or {}).get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]
        elif "ephemeral" in volume:
            yield f"{raw['metadata']['name']}-{volume['name']}"


def _exit_code(status: Raw) -> int | None:
    """Give the exit code of the first container that failed, 0 when all that ended did well, None when none ended."""
    ended = [(container.get("state") or {}).get("terminated") for container in _containers(status)]
    codes = [int(one.get("exitCode", 0)) for one in ended if one]
    return next((code for code in codes if code), 0) if codes else None


def _pod_reasons(raw: Raw, *, is_ready: bool) -> Iterator[str]:
    status = raw.get("status") or {}
    phase, is_terminating = status.get("phase"), "deletionTimestamp" in raw["metadata"]
    containers = list(_containers(status))
    if any(_is_crash_looping(container) for container in containers):
        yield "CrashLoopBackOff"
    if any(_is_oom_killed(container) for container in containers):
        yield "OOMKilled"
    if any(_waiting(container) in _NO_IMAGE for container in containers):
        yield "ImagePullBackOff"
    if phase == "Running" and not is_ready and not is_terminating:
        yield "NotReady"
    if phase == "Pending" and not is_terminating:
        yield "Pending"
    if phase == "Failed" and status.get("reason") == "Evicted":
        yield "Evicted"
    if is_terminating:
        yield "Terminating"


def _containers(status: Raw) -> Iterator[Raw]:
    """Give the statuses of containers and init containers; an ephemeral one is a visitor, never a fault."""
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _waiting(container: Raw) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason", ""))


def _is_crash_looping(container: Raw) -> bool:
    """Whether it waits for its next start, or has just crashed again and is about to wait."""
    if _waiting(container) == "CrashLoopBackOff":
        return True
    ended = (container.get("state") or {}).get("terminated") or {}
    return bool(ended.get("exitCode")) and container.get("restartCount", 0) > 0


def _is_oom_killed(container: Raw) -> bool:
    """Whether memory killed it and it has not come back since: `lastState` alone never goes away."""
    now = ((container.get("state") or {}).get("terminated") or {}).get("reason")
    last = ((container.get("lastState") or {}).get("terminated") or {}).get("reason")
    return now == "OOMKilled" or (last == "OOMKilled" and not container.get("ready"))


def _out_of_memory(status: Raw) -> Iterator[datetime]:
    """Give when containers were last ended for want of memory."""
    for container in _containers(status):
        for state in ("state", "lastState"):
            ended = (container.get(state) or {}).get("terminated") or {}
            if ended.get("reason") == "OOMKilled" and (at := _time(ended.get("finishedAt"))):
                yield at


# --- workloads ------------------------------------------------------------------------------------------


def workload_of(raw: Raw, kind: str, pods: tuple[Pod, ...] = ()) -> Workload:
    """Project a Deployment, StatefulSet or DaemonSet (`kind`) with its pods."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    plain = Workload(
        ref=ref_of(raw, kind),
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=spec.get("replicas", 1),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        selector=selector_text(spec["selector"]),
        is_paused=spec.get("paused", False),
        is_deleting="deletionTimestamp" in metadata,
        annotations=_pairs(metadata.get("annotations")),
        pods=pods,
        restart_id=_restart_id(spec),
        is_stuck=_condition(status, "Progressing").get("reason") == "ProgressDeadlineExceeded",
        git=git_owner_of(metadata),
        labels=_pairs(metadata.get("labels")),
        fields=_pairs(fields_of(raw, kind)),
        references=references_of(raw),
        rollout_takes=rollout_takes(raw, kind),
        rolls_out=rolls_out(raw, kind),
        keeps_broken_pods=keeps_broken_pods(raw, kind),
        drops_claims=drops_claims(raw, kind),
    )
    if kind == "Deployment":
        plain = replace(plain, outdated=max(0, status.get("replicas", 0) - plain.updated))
    if kind == "DaemonSet":
        plain = _counted_by_nodes(plain, status)
    return replace(plain, updated=plain.replicas) if _is_rolled_out(kind, spec, status) else plain


def _restart_id(spec: Raw) -> str:
    """Give the id of the last rollout restart, which the actuator wrote into the pod template."""
    metadata = spec.get("template", {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(RESTARTED_AT, ""))


def _counted_by_nodes(workload: Workload, status: Raw) -> Workload:
    return replace(
        workload,
        replicas=status.get("desiredNumberScheduled", 0),
        updated=status.get("updatedNumberScheduled", 0),
        ready=status.get("numberReady", 0),
        available=status.get("numberAvailable", 0),
    )


def _is_rolled_out(kind: str, spec: Raw, status: Raw) -> bool:
    """Whether the controller is done with the template, although pods may be missing.

    A pod that dies or terminates lowers the counts of updated pods for a moment; that is a fault, not a rollout,
    and must not make the rule "no action during a rollout" (R12) hold back the healing of that very fault.
    """
    if kind == "Deployment":
        is_complete = _condition(status, "Progressing").get("reason") == "NewReplicaSetAvailable"
        return is_complete and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return True  # nothing rolls by itself
    if kind == "StatefulSet":
        revision = status.get("updateRevision")
        is_partial = bool((strategy.get("rollingUpdate") or {}).get("partition"))
        return is_partial or (revision is not None and revision == status.get("currentRevision"))
    return False


def service_workload_of(raw: Raw) -> Workload:
    """Project a Service as something that a step can patch: it has no replicas and no pods of its own."""
    return replace(_bare(raw, "Service"), selector=_equality((raw.get("spec") or {}).get("selector")))


def node_workload_of(raw: Raw, pods: tuple[Pod, ...] = (), population: tuple[int, int] | None = None) -> Workload:
    """Project a Node as a target, with the pods on it."""
    conditions = node_conditions_of(raw)
    is_ready = "NotReady" not in conditions
    return replace(
        _bare(raw, "Node"), replicas=1, updated=1, ready=int(is_ready), available=int(is_ready), pods=pods,
        is_unschedulable="Cordoned" in conditions, conditions=conditions, population=population,
        labels=_pairs(raw["metadata"].get("labels")), fields=_pairs(fields_of(raw, "Node")),
    )  # fmt: skip


def node_conditions_of(raw: Raw) -> tuple[str, ...]:
    """Say what is wrong with a Node, in the words of a node trigger."""
    status = raw.get("status") or {}
    is_ready = _condition(status, "Ready").get("status") == "True"
    pressures = tuple(kind for kind in sorted(_PRESSURES) if _condition(status, kind).get("status") == "True")
    is_cordoned = bool((raw.get("spec") or {}).get("unschedulable"))
    return (*(() if is_ready else ("NotReady",)), *pressures, *(("Cordoned",) if is_cordoned else ()))


def controller_workload_of(controller: Ref, pods: tuple[Pod, ...]) -> Workload:
    """Make of its pods what controls them, where its kind cannot be read: it wants as many as have not ended."""
    count = sum(pod.phase not in {"Succeeded", "Failed"} for pod in pods)
    ready = sum(pod.is_ready for pod in pods)
    return Workload(
        ref=controller, resource_version="", generation=0, observed_generation=0, replicas=count, updated=count,
        ready=ready, available=ready, selector="", pods=pods,
    )  # fmt: skip


def _bare(raw: Raw, kind: str) -> Workload:
    """Project what any object has."""
    metadata = raw["metadata"]
    return Workload(
        ref=ref_of(raw, kind), resource_version=metadata["resourceVersion"], generation=0, observed_generation=0,
        replicas=0, updated=0, ready=0, available=0, selector="", is_deleting="deletionTimestamp" in metadata,
        annotations=_pairs(metadata.get("annotations")), git=git_owner_of(metadata),
    )  # fmt: skip


def _equality(selector: Mapping[str, str] | None) -> str:
    return selector_text({"matchLabels": selector or {}})


# --- the rest -------------------------------------------------------------------------------------------


def disruption_budget_of(raw: Raw) -> DisruptionBudget | None:
    """Project a PodDisruptionBudget; None when it selects nothing. While its figure is old, nothing may go."""
    selector, status = (raw.get("spec") or {}).get("selector"), raw.get("status") or {}
    if selector is None:
        return None
    is_current = status.get("observedGeneration", 0) >= raw["metadata"].get("generation", 0)
    return DisruptionBudget(
        name=raw["metadata"]["name"],
        selector=selector_text(selector),
        disruptions_allowed=status.get("disruptionsAllowed", 0) if is_current else 0,
    )


def namespace_of(raw: Raw) -> Namespace:
    """Project a Namespace."""
    metadata, phase = raw["metadata"], (raw.get("status") or {}).get("phase")
    is_terminating = "deletionTimestamp" in metadata or phase == "Terminating"
    return Namespace(metadata["name"], is_terminating, _pairs(metadata.get("labels")))


def claim_of(raw: Raw) -> Claim:
    """Project a PersistentVolumeClaim."""
    return Claim(raw["metadata"]["name"], (raw.get("status") or {}).get("phase") == "Bound")


def node_of(raw: Raw) -> Node:
    """Project a Node. One whose kubelet fell silent is Unknown, which is not ready."""
    status = raw.get("status") or {}
    return Node(
        name=raw["metadata"]["name"],
        is_ready=_condition(status, "Ready").get("status") == "True",
        is_under_pressure=any(_condition(status, kind).get("status") == "True" for kind in _PRESSURES),
    )


def job_of(raw: Raw) -> Job:
    """Project a Job. Its result stands as soon as its controller knows it, before the last pod has ended."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    return Job(
        ref=ref_of(raw, "Job"),
        owners=tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ()),
        is_started="startTime" in status,
        is_complete=_holds(status, "Complete") or _holds(status, "SuccessCriteriaMet"),
        failure=_failure(status),
        is_deleting="deletionTimestamp" in metadata,
    )


def secret_of(raw: Raw) -> Secret:
    """Project a Secret."""
    data = {key: b64decode(value) for key, value in (raw.get("data") or {}).items()}
    return Secret(raw.get("type", ""), data)


def _failure(status: Raw) -> str:
    failed = (_condition(status, kind) for kind in ("Failed", "FailureTarget"))
    return next((str(one.get("reason") or "Failed") for one in failed if one.get("status") == "True"), "")


def _holds(status: Raw, kind: str) -> bool:
    return bool(_condition(status, kind).get("status") == "True")


def _condition(status: Raw, kind: str) -> Raw:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _pairs(mapping: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((mapping or {}).items()))
