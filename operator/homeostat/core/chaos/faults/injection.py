"""How the fault goes on: locks, guard, then each target, by actions that may be repeated after a crash (C2)."""

from collections.abc import Iterator

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import TargetPhase, TargetRecord, Verdict
from homeostat.core.action import Action, DeletePod, EvictPod, HoldFields, Outcome, TakeLock, Verb
from homeostat.core.chaos.faults import arming, guard
from homeostat.core.chaos.faults.objects import CONFLICT, is_marked_by, standing, target_now
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.marker import held
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ref_of
from homeostat.core.guarding.held import is_same

MOST_ATTEMPTS = 8
"""How often an injection may meet a target that somebody else just wrote: statuses of Nodes and rollouts move too."""

NOT_FOUND, LOCKED = "NotFound", "Locked"


def progress(case: Case) -> Case:
    """Put on record which targets are hit, by what the actions answered and by what stands on the targets."""
    targets = tuple(
        record.model_copy(update={"phase": TargetPhase.INJECTED})
        if record.phase is TargetPhase.PLANNED and _is_hit(case, index, record)
        else record
        for index, record in enumerate(case.status.targets)
    )
    name = guard.name(case) if guard.is_wanted(case) else case.status.guard
    return case.with_status(targets=targets, guard=name)


def failure(case: Case) -> Refusal | None:
    """Give the reason to stop injecting: a lock, the guard, a target that changed, an answer that was no, or time."""
    planned = tuple(_planned(case))
    answers = (
        guard.trouble(case),
        _answer_failure(case),
        *(_target_failure(case, record) for _, record in planned),
        *(arming.failure(case, index, record) for index, record in planned if record.agent),
    )
    found = next((refusal for refusal in answers if refusal is not None), None)
    is_late = case.now - (case.status.injected_at or case.now) > guard.PATIENCE
    return found or (_too_late(case) if is_late else None)


def met_conflict(case: Case) -> bool:
    """Whether somebody wrote a target between our look and our write: then look and try again."""
    answers = (_outcome(case, index) for index, _ in _planned(case))
    return any(answer is not None and _is_conflict(answer) for answer in answers)


def actions(case: Case) -> tuple[Action, ...]:
    """Give the locks, the guard until it is ready, then the faults on the targets that are not known to be hit."""
    wanted: tuple[Action, ...] = locks.missing(case)
    if guard.is_wanted(case) and not guard.is_ready(case):
        wanted = (*wanted, guard.keep(case))
    else:
        wanted = (*wanted, *guard.renewal(case), *_faults(case))
    return arming.not_yet_done(case, wanted)


def _planned(case: Case) -> Iterator[tuple[int, TargetRecord]]:
    return ((index, one) for index, one in enumerate(case.status.targets) if one.phase is TargetPhase.PLANNED)


def _faults(case: Case) -> Iterator[Action]:
    for index, record in _planned(case):
        if not record.agent:
            yield _fault(case, index, record)
    yield from arming.actions(case)


def _fault(case: Case, index: int, record: TargetRecord) -> Action:
    ref, fault = ref_of(record, case.seen.ref.namespace), case.spec.fault
    if record.to:
        target = target_now(case, record)
        version = target.resource_version if target else ""
        return HoldFields(locks.injection_id(case, index), ref, version, record.to, {MARKER: record.marker})
    eviction = fault.pod_evict or fault.drain
    if eviction is not None:
        return EvictPod(locks.injection_id(case, index), ref, int(eviction.grace_period.total_seconds()))
    grace = int(fault.pod_kill.grace_period.total_seconds()) if fault.pod_kill else 0
    return DeletePod(locks.injection_id(case, index), ref, grace)


def _outcome(case: Case, index: int) -> Outcome | None:
    return case.seen.outcomes.get(locks.injection_id(case, index))


def _is_hit(case: Case, index: int, record: TargetRecord) -> bool:
    if record.agent:
        return arming.is_on(case, record)
    outcome = _outcome(case, index)
    if outcome is not None and outcome.verb is Verb.DONE:
        return True
    if not record.to:
        return outcome is not None and outcome.verb is Verb.REFUSED and outcome.reason in {NOT_FOUND, CONFLICT}
    target = target_now(case, record)
    return target is not None and is_marked_by(case, target) and not _is_original(case, record)


def _is_original(case: Case, record: TargetRecord) -> bool:
    target = target_now(case, record)
    now = held(target).fields if target else {}
    return all(is_same(name, now.get(name), record.original.get(name)) for name in record.to)


def _is_conflict(outcome: Outcome) -> bool:
    return outcome.verb is Verb.REFUSED and outcome.reason == CONFLICT


def _answer_failure(case: Case) -> Refusal | None:
    for lock in locks.take(case):
        answer = case.seen.outcomes.get(lock.id)
        if answer is not None and answer.verb is not Verb.DONE:
            return _not_locked(lock, answer)
    for index, record in _planned(case):
        answer = None if record.agent else _outcome(case, index)
        if answer is None or answer.verb is Verb.DONE:
            continue
        if not _is_conflict(answer) or case.status.injection_attempts + 1 >= MOST_ATTEMPTS:
            message = f"{record.kind}/{record.name} could not be changed: {answer.reason or answer.verb}"
            return Refusal(ChaosReason.INJECTION_FAILED, message[:500])
    return None


def _not_locked(lock: TakeLock, answer: Outcome) -> Refusal:
    """Say why there is no lock: another has it, or the API server gave us none."""
    title = f"{lock.target.kind}/{lock.target.name}"
    if answer.verb is Verb.REFUSED and answer.reason in {LOCKED, CONFLICT}:
        return Refusal(ChaosReason.TARGET_LOCKED, f"{title} is being written by somebody else")
    return Refusal(ChaosReason.INJECTION_FAILED, f"{title} could not be locked: {answer.reason or answer.verb}")


def _target_failure(case: Case, record: TargetRecord) -> Refusal | None:
    """Refuse to change what is not as it was when it went on record."""
    if not record.to and not record.agent:
        return None
    target = standing(case, record)
    if target is None:
        return Refusal(ChaosReason.TARGET_GONE, f"{record.kind}/{record.name} is gone", Verdict.INCONCLUSIVE)
    if not _is_original(case, record):
        message = f"{record.kind}/{record.name} was changed by somebody else"
        return Refusal(ChaosReason.TARGET_CHANGED, message)
    return None


def _too_late(case: Case) -> Refusal:
    if guard.is_wanted(case) and not guard.is_ready(case):
        return Refusal(ChaosReason.GUARD_NOT_READY, "the guard that would undo the fault was not ready in time")
    if any(record.agent for _, record in _planned(case)):
        return arming.too_late(case)
    message = "the operator was away while the fault was to go on"
    return Refusal(ChaosReason.INTERRUPTED, message, Verdict.INCONCLUSIVE)
