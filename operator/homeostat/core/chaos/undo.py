"""How the fault goes off: by what stands on the targets now, and only where it is still ours (C5, C6).

A target whose replicas still are what the fault set gets its original back; one that somebody else changed
meanwhile keeps the newer value and loses only the marker. Marker and replicas change in one write.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, TargetRecord
from homeostat.core.chaos import locks
from homeostat.core.chaos.injection import CONFLICT, is_marked_by, workload_now
from homeostat.core.chaos.marker import Marker, is_marked, marker_on
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Workload
from homeostat.core.decision import Scale, Verb

MOST_FAILURES = 3
"""After so many failed attempts a human is told the commands; trying goes on (C16)."""
LONGEST_PAUSE = timedelta(seconds=30)
LONGEST_COMMANDS = 900


def settle(case: Case) -> Case:
    """Put on record what of each target is undone by now, whoever did it."""
    targets = tuple(record.model_copy(update={"phase": _phase(case, record)}) for record in case.status.targets)
    return case.with_status(targets=targets)


def needed(case: Case) -> tuple[Scale, ...]:
    """Give the writes that take the fault off what still holds it."""
    return tuple(_needed(case))


def has_failed(case: Case) -> bool:
    """Whether an attempt just failed. A target that changed under our hands is no failure: look again."""
    answers = (case.seen.outcomes.get(action.id) for action in needed(case))
    return any(
        answer is not None
        and answer.verb is not Verb.DONE
        and not (answer.verb is Verb.REFUSED and answer.reason == CONFLICT)
        for answer in answers
    )


def pause_after(failures: int) -> timedelta:
    """Give the pause after so many failures: doubling from a second."""
    return min(LONGEST_PAUSE, timedelta(seconds=2 ** min(failures, 10)))


def can_be_swept(case: Case) -> bool:
    """Whether every fault that is left bears its marker: only such a one may be left to the sweeper."""
    left = (_afflicted(case, record) for record in _left(case))
    return all(workload is not None and is_marked_by(case, workload) for workload in left)


def commands(case: Case) -> str:
    """Write what a human types to undo what is left: whole commands only, as many as fit."""
    text = ""
    for record in _left(case):
        target = f"-n {case.seen.ref.namespace} {'statefulset' if record.kind == 'StatefulSet' else 'deployment'}"
        scale = f"kubectl scale {target}/{record.name} --current-replicas={record.to} --replicas={record.original}"
        command = f"{scale}; kubectl annotate {target}/{record.name} {MARKER}-"
        if text and len(text) + len(command) > LONGEST_COMMANDS:
            return f"{text}; and so on for each of status.targets"
        text = f"{text}; {command}" if text else command
    return text


def orphans(workloads: Iterable[Workload], experiments: Mapping[str, ChaosExperimentStatus]) -> tuple[Scale, ...]:
    """Give the undo of every fault that nobody holds up any more, by the markers alone (C3).

    `experiments`: the status of every experiment there is, by uid, listed *after* the workloads: otherwise one
    that began in between would look gone. A fault is an orphan when its experiment is gone, has finished, or is
    at a later run. A marker of a run that `experiments` does not know yet is left alone: our view is behind.
    """
    found = ((workload, marker_on(workload)) for workload in workloads if not workload.is_deleting)
    return tuple(
        _restore(workload, marker, f"sweep-{workload.ref.uid}-{marker.experiment}-{marker.run}")
        for workload, marker in found
        if marker is not None and _is_orphan(marker, experiments.get(marker.experiment))
    )


def _is_orphan(marker: Marker, status: ChaosExperimentStatus | None) -> bool:
    if status is None or status.run_number > marker.run:
        return True
    return status.phase is Phase.FINISHED and status.run_number == marker.run


def _restore(workload: Workload, marker: Marker, id: str) -> Scale:  # noqa: A002 - the action's word
    replicas = marker.original if workload.replicas == marker.to else workload.replicas
    return Scale(id, workload.ref, workload.resource_version, replicas, {MARKER: None})


def _needed(case: Case) -> Iterator[Scale]:
    for index, record in enumerate(case.status.targets):
        workload = _afflicted(case, record)
        if workload is None or not _holds_fault(case, record, workload):
            continue
        replicas = record.original if workload.replicas == record.to else workload.replicas
        attempts = case.status.revert.attempts if case.status.revert else 0
        yield Scale(
            f"{locks.run_id(case)}-undo-{index}-{attempts}",
            workload.ref,
            workload.resource_version,
            workload.replicas if replicas is None else replicas,
            {MARKER: None},
        )


def _left(case: Case) -> Iterator[TargetRecord]:
    for record in case.status.targets:
        workload = _afflicted(case, record)
        if workload is not None and _holds_fault(case, record, workload):
            yield record


def _afflicted(case: Case, record: TargetRecord) -> Workload | None:
    """Find a scaled target as it is now. Pods, and what is on its way out, have nothing to restore."""
    if record.to is None:
        return None
    workload = workload_now(case, record.uid)
    return None if workload is None or workload.is_deleting else workload


def _holds_fault(case: Case, record: TargetRecord, workload: Workload) -> bool:
    """Whether the fault is on: our marker says so, or our record does and the value is what we set.

    The second is for a target whose annotation somebody stripped. A marker of another experiment is not ours.
    """
    if is_marked_by(case, workload):
        return True
    was_hit = record.phase is TargetPhase.INJECTED
    return was_hit and workload.replicas == record.to and not is_marked(workload)


def _phase(case: Case, record: TargetRecord) -> TargetPhase:
    if record.to is None:
        return TargetPhase.REVERTED if record.phase is TargetPhase.INJECTED else record.phase
    workload = _afflicted(case, record)
    if workload is None:
        return TargetPhase.GONE
    if _holds_fault(case, record, workload):
        return TargetPhase.INJECTED
    if record.phase is not TargetPhase.INJECTED:
        return record.phase
    return TargetPhase.REVERTED if workload.replicas == record.original else TargetPhase.SUPERSEDED
