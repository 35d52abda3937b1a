"""How the fault goes on: locks, then each target, by actions that may be repeated after a crash (C2)."""

from collections.abc import Iterator
from datetime import timedelta

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_fault import PodKill
from homeostat.api.chaos_status import TargetPhase, TargetRecord, Verdict
from homeostat.core.chaos import locks
from homeostat.core.chaos.gates import Refusal
from homeostat.core.chaos.marker import marker_on
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Workload
from homeostat.core.decision import Action, DeletePod, Outcome, Ref, Scale, Verb

PATIENCE = timedelta(seconds=30)
"""An injection that is not complete this long after its record is given up: the checks before it are too old."""
MOST_ATTEMPTS = 3
"""How often an injection may meet a target that somebody else just wrote."""

CONFLICT, NOT_FOUND, LOCKED = "Conflict", "NotFound", "Locked"


def progress(case: Case) -> Case:
    """Put on record which targets are hit, by what the actions answered and by what stands on the targets."""
    targets = tuple(
        record.model_copy(update={"phase": TargetPhase.INJECTED})
        if record.phase is TargetPhase.PLANNED and _is_hit(case, index, record)
        else record
        for index, record in enumerate(case.status.targets)
    )
    return case.with_status(targets=targets)


def failure(case: Case) -> Refusal | None:
    """Give the reason to stop injecting: a lock, a target that changed, an answer that was no, or time."""
    answers = (_answer_failure(case), *(_target_failure(case, one) for one in case.status.targets))
    found = next((refusal for refusal in answers if refusal is not None), None)
    if found is not None:
        return found
    if case.now - (case.status.injected_at or case.now) > PATIENCE:
        message = "the operator was away while the fault was to go on"
        return Refusal(ChaosReason.INTERRUPTED, message, Verdict.INCONCLUSIVE)
    return None


def met_conflict(case: Case) -> bool:
    """Whether somebody wrote a target between our look and our write: then look and try again."""
    planned = enumerate(case.status.targets)
    answers = (_outcome(case, index) for index, record in planned if record.phase is TargetPhase.PLANNED)
    return any(answer is not None and _is_conflict(answer) for answer in answers)


def actions(case: Case) -> tuple[Action, ...]:
    """Give all locks, then the faults on the targets that are not known to be hit."""
    return (*locks.take(case), *_faults(case))


def workload_now(case: Case, uid: str) -> Workload | None:
    """Find a workload as it is now, whichever way it was observed."""
    everywhere = (*case.seen.afflicted, *case.seen.workloads, *case.seen.owners)
    return next((workload for workload in everywhere if workload.ref.uid == uid), None)


def is_marked_by(case: Case, workload: Workload) -> bool:
    """Whether the marker on it is this experiment's."""
    marker = marker_on(workload)
    return marker is not None and marker.experiment == case.seen.ref.uid


def _faults(case: Case) -> Iterator[Action]:
    for index, record in enumerate(case.status.targets):
        if record.phase is TargetPhase.PLANNED:
            yield _fault(case, index, record)


def _fault(case: Case, index: int, record: TargetRecord) -> Action:
    ref = Ref(record.kind, case.seen.ref.namespace, record.name, record.uid)
    if record.to is None:
        kill = case.spec.fault.pod_kill or PodKill()
        return DeletePod(_id(case, index), ref, int(kill.grace_period.total_seconds()))
    workload = workload_now(case, record.uid)
    version = workload.resource_version if workload else ""
    return Scale(_id(case, index), ref, version, record.to, {MARKER: record.marker})


def _id(case: Case, index: int) -> str:
    return f"{locks.run_id(case)}-inject-{index}-{case.status.injection_attempts}"


def _outcome(case: Case, index: int) -> Outcome | None:
    return case.seen.outcomes.get(_id(case, index))


def _is_hit(case: Case, index: int, record: TargetRecord) -> bool:
    outcome = _outcome(case, index)
    if outcome is not None and outcome.verb is Verb.DONE:
        return True
    if record.to is None:
        return outcome is not None and outcome.verb is Verb.REFUSED and outcome.reason in {NOT_FOUND, CONFLICT}
    workload = workload_now(case, record.uid)
    return workload is not None and is_marked_by(case, workload)


def _is_conflict(outcome: Outcome) -> bool:
    return outcome.verb is Verb.REFUSED and outcome.reason == CONFLICT


def _answer_failure(case: Case) -> Refusal | None:
    taken = (case.seen.outcomes.get(action.id) for action in locks.take(case))
    if any(answer is not None and answer.verb is not Verb.DONE for answer in taken):
        return Refusal(ChaosReason.TARGET_LOCKED, "a target is being written by somebody else")
    for index, record in enumerate(case.status.targets):
        answer = _outcome(case, index)
        if answer is None or answer.verb is Verb.DONE or record.phase is not TargetPhase.PLANNED:
            continue
        if not _is_conflict(answer) or case.status.injection_attempts + 1 >= MOST_ATTEMPTS:
            message = f"{record.kind}/{record.name} could not be changed: {answer.reason or answer.verb}"
            return Refusal(ChaosReason.INJECTION_FAILED, message[:500])
    return None


def _target_failure(case: Case, record: TargetRecord) -> Refusal | None:
    """Refuse to scale what is not as it was when it went on record."""
    if record.to is None or record.phase is not TargetPhase.PLANNED:
        return None
    workload = workload_now(case, record.uid)
    if workload is None:
        return Refusal(ChaosReason.TARGET_GONE, f"{record.kind}/{record.name} is gone", Verdict.INCONCLUSIVE)
    if workload.replicas != record.original:
        message = f"{record.kind}/{record.name} was changed by somebody else"
        return Refusal(ChaosReason.TARGET_CHANGED, message)
    return None
