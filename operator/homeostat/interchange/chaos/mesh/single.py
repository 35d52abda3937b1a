"""One object of Chaos Mesh as experiments: its faults on its targets, once or by a schedule."""

from collections.abc import Callable
from typing import Any, Final

from homeostat.interchange.chaos import cron, strict, units
from homeostat.interchange.chaos.experiment import AT_ONCE, Case, Origin, Wishes, draft, on_request
from homeostat.interchange.chaos.mesh.faults import FAULTS
from homeostat.interchange.chaos.mesh.selection import Selected, selected, target
from homeostat.interchange.draft import Draft
from homeostat.interchange.reading import Source, Unusable

SCHEDULE, WORKFLOW = "Schedule", "Workflow"
_NO_COUNTERPART: Final = {
    "IOChaos": "files cannot be made slow or wrong",
    "TimeChaos": "clocks cannot be changed",
    "KernelChaos": "calls inside the kernel cannot be made to fail",
    "JVMChaos": "code inside a JVM cannot be changed",
    "BlockChaos": "disks cannot be made slow",
    "PhysicalMachineChaos": "only pods and Nodes of the cluster can be targets",
    "AWSChaos": "machines of a cloud cannot be targets",
    "AzureChaos": "machines of a cloud cannot be targets",
    "GCPChaos": "machines of a cloud cannot be targets",
    "PhysicalMachine": "only pods and Nodes of the cluster can be targets",
    "RemoteCluster": "only the cluster of the experiment itself can be met",
    "StatusCheck": "write a HealthCheck that asks the same, and name it with --health-check",
}
IN_ORDER: Final = "only experiments and pauses one after the other are a GameDay here"
_BLOWS: Final = frozenset({"pod-kill", "container-kill"})


def tried(spec: Source, make: Callable[[], list[Draft]]) -> list[Draft]:
    """Give what comes of a spec, or tell why nothing does."""
    try:
        return make()
    except Unusable as error:
        spec.notes.errors.append((error.path, f"{error.message}: skipped"))
    except ValueError as error:
        spec.notes.errors.append((spec.path, f"{error}: skipped"))
    spec.drop()
    return []


def drafts(
    kind: str, spec: Source, source: Origin, wishes: Wishes, *, suffix: str = "", more: dict[str, Any] | None = None
) -> list[Draft]:
    """Make the experiments of one spec: one for each namespace and fault. Raises Unusable, ValueError."""
    if kind not in FAULTS:
        why = _NO_COUNTERPART.get(kind, "this kind is not known")
        raise Unusable("kind", f"{kind} has no counterpart: {why}")
    if spec.raw("remoteCluster"):
        raise Unusable(spec.at("remoteCluster"), "only the cluster of the experiment itself can be met")
    chosen = selected(spec)
    chosen = Selected(chosen.labels, chosen.namespaces or (source.namespace,))
    aim, lasts = target(spec, chosen.labels), _duration(spec, wishes)
    again = _scheduler(spec) | (more or {})
    faults = FAULTS[kind](spec, chosen)
    again = on_request(again) if len(faults) > 1 else again
    _tell_namespaces(spec, chosen, source)
    cases = [
        Case(
            fault,
            aim,
            lasts,
            namespace,
            "-".join(part for part in (suffix, namespace if len(chosen.namespaces) > 1 else "", which) if part),
            more=dict(again),
        )
        for namespace in chosen.namespaces
        for which, fault in faults
    ]
    return [draft(case, source, wishes, spec.notes) for case in cases]


def _tell_namespaces(spec: Source, chosen: Selected, source: Origin) -> None:
    path = spec.at("selector.namespaces")
    if len(chosen.namespaces) > 1:
        spec.notes.warn(
            path, f"{len(chosen.namespaces)} experiments, one in each namespace; mode and value hold in each"
        )
    elif source.namespace not in {"", *chosen.namespaces}:
        spec.notes.warn(path, "the experiment moved to the namespace of its targets")


def _duration(spec: Source, wishes: Wishes) -> str:
    if "duration" in spec:
        return strict.read(spec, "duration", units.go)
    if wishes.duration:
        return wishes.duration
    if spec.text("action") in _BLOWS:
        spec.notes.warn(
            spec.at("duration"), f"there is none, it is over at once: what comes of it is watched for {AT_ONCE}"
        )
        return AT_ONCE
    raise Unusable(spec.at("duration"), "there is none, and no fault lasts without an end here: use --duration")


# --- again ----------------------------------------------------------------------------------------------


def _scheduler(spec: Source) -> dict[str, Any]:
    """Read the `scheduler` that specs had before version 2."""
    return {"schedule": strict.read(spec.part("scheduler"), "cron", cron.schedule)} if "scheduler" in spec else {}


def of_schedule(spec: Source, source: Origin, wishes: Wishes, suffix: str = "", deadline: str = "") -> list[Draft]:
    """Make the experiments of a schedule, which end by themselves only in a workflow. Raises Unusable."""
    kind = spec.text("type")
    if kind == WORKFLOW:
        raise Unusable(spec.at("type"), IN_ORDER)
    inner = spec.part(member(kind))
    more = {"schedule": strict.read(spec, "schedule", cron.schedule)}
    spec.lose("runs of an experiment never overlap", *(["concurrencyPolicy"] if _overlaps(spec) else []))
    spec.lose("a run that was missed is not made up for", "startingDeadlineSeconds")
    spec.lose("the newest five runs are kept", "historyLimit")
    if deadline:
        spec.notes.warn(spec.at("schedule"), f"it does not end after {deadline}: set suspend to end it")
    return drafts(kind, inner, source, wishes, suffix=suffix, more=more)


def _overlaps(spec: Source) -> bool:
    return spec.text("concurrencyPolicy") == "Allow"


def member(kind: str) -> str:
    """Give the member that holds a chaos of a kind: podChaos, networkChaos, but httpChaos, dnsChaos."""
    letters = len(kind) - len(kind.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    first = max(1, letters - 1)
    return kind[:first].lower() + kind[first:]
