"""Which of several targets is meant: the one that a trigger accuses; never one by chance.

A policy with a selector treats one target at a time. What its triggers say is narrowed to that one: a trigger that
names pods or objects fires for those that it names, and is quiet for the others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from homeostat.api.recovery_attempt import ObjectId
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState, TargetMemory
from homeostat.api.recovery_target import TargetKind
from homeostat.core.cluster import Workload
from homeostat.core.recovery import signals
from homeostat.core.recovery.attempt.sequence import longest_rest
from homeostat.core.recovery.consent.by_hand import RunRequest, is_asked_for, read
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case, SignalSeen
from homeostat.core.recovery.targets import memory
from homeostat.core.recovery.targets.availability import members
from homeostat.core.recovery.targets.memory import MOST_TARGETS
from homeostat.core.ref import Ref

SOON = timedelta(seconds=1)
"""How long one target waits for its turn after another: each look at one is paid for."""

_WORTH = frozenset({SignalState.FIRING, SignalState.STALE})


@dataclass(frozen=True, slots=True)
class _Accused:
    """A candidate that a firing trigger names: for long enough, and nothing known keeps it from being treated."""

    target: Workload
    is_due: bool
    is_free: bool
    is_in_focus: bool

    @property
    def rank(self) -> tuple[bool, bool, bool, str]:
        """Order: what can be treated now, then what is in focus already, then by name."""
        return (not self.is_due, not self.is_free, not self.is_in_focus, self.target.ref.name)


def chosen(case: Case, found: Sequence[Workload]) -> Workload | None:
    """Give what a policy is about now: the one that it names, as far as it was found, or whom its selector means."""
    if case.spec.target.selector is not None:
        return meant(case)
    return (
        _of_attempt(found, case.status.attempt.workload) if case.status.attempt and found else next(iter(found), None)
    )


def meant(case: Case) -> Workload | None:
    """Choose which of the candidates is meant; None when that is not clear, or when there are too many."""
    candidates = case.seen.candidates
    if case.status.attempt:
        return _of_attempt(candidates, case.status.attempt.workload)
    if len(candidates) > MOST_TARGETS:
        return None
    asked_for = _asked_for(case)
    if asked_for or len(candidates) == 1:
        return asked_for or candidates[0]
    return _in_focus(case) if _spoke_for_all(case) else _by_accusation(case)


def focused(case: Case) -> Case:
    """Give the case as one of `seen.target` alone: its own memory on top, its own view of the triggers."""
    target = case.seen.target
    named = object_of(target.ref) if target else None
    if case.spec.target.selector is None:
        return replace(case, status=memory.of_one_target(case.status, named))
    before = _begun_anew(case) if _is_edited(case) else case.status
    status = before
    if case.status.attempt is None and case.seen.candidates:
        status = _turned(case, before, named)
    others = _others(replace(case, status=status))
    seen = replace(case.seen, signals=narrowed(case, target) if target else case.seen.signals)
    return replace(case, status=status.model_copy(update={"targets": others}), seen=seen)


def narrowed(case: Case, target: Workload | None) -> tuple[SignalSeen, ...]:
    """Give what the triggers say of one target: those that name others are quiet for it."""
    if len(case.seen.candidates) == 1 and target is not None:
        return case.seen.signals
    return tuple(_narrowed(signal, target, case.seen.candidates) for signal in case.seen.signals)


def accuses(signal: SignalSeen, target: Workload) -> bool:
    """Whether a trigger names the target, or a pod of it that the policy is for."""
    pods = members(target)
    uids = {target.ref.uid, *(pod.ref.uid for pod in pods)}
    names = {target.ref.name, *(pod.ref.name for pod in pods)}
    return any(ref.uid in uids for ref in signal.failing) or not names.isdisjoint(signal.accused)


def turns_due(case: Case) -> Iterator[datetime]:
    """Say when another target may have its turn: once its trigger has fired for long enough and its rest is over.

    One that could have it already is looked at soon, if the target in focus has had its own.
    """
    status, now = case.status, case.now
    if status.attempt:
        return
    has_had_its_turn = status.cooldown_until or status.escalated or not signals.firing(case)
    for entry in status.targets:
        due = [signals.due_at(case.spec, one) for one in entry.signals if one.state is SignalState.FIRING]
        if due and not entry.escalated:
            at = max(min(due), entry.cooldown_until or now)
            if at > now or has_had_its_turn:
                yield max(at, now + SOON)


def object_of(ref: Ref) -> ObjectId:
    """Put a reference on record."""
    return ObjectId(kind=ref.kind, name=ref.name, uid=ref.uid)


def _of_attempt(candidates: Iterable[Workload], wanted: ObjectId) -> Workload | None:
    """Find the target of the open attempt; one that replaced it under its name ends the attempt."""
    found = [one for one in candidates if (one.ref.kind, one.ref.name) == (wanted.kind, wanted.name)]
    return next((one for one in found if one.ref.uid == wanted.uid), found[0] if found else None)


def _asked_for(case: Case) -> Workload | None:
    """Find what a run by hand names as its target, until that run has been heard."""
    if not is_asked_for(case.status.run, case.seen.requests):
        return None
    asked = read(case.seen.requests.run)
    name = asked.target if isinstance(asked, RunRequest) else ""
    return next((one for one in case.seen.candidates if one.ref.name == name), None)


def _by_accusation(case: Case) -> Workload | None:
    """Choose whom a due trigger accuses; a trigger that fires and accuses nobody leaves it open."""
    accused = sorted(_accused(case), key=lambda one: one.rank)
    is_open = any(signal.verdict is SignalState.FIRING and _is_shared(case, signal) for signal in case.seen.signals)
    if accused and (accused[0].is_due or not is_open):
        return accused[0].target
    return None if is_open else _in_focus(case)


def _in_focus(case: Case) -> Workload | None:
    focus = case.status.focus
    return next((one for one in case.seen.candidates if focus and one.ref.uid == focus.uid), None)


def _spoke_for_all(case: Case) -> bool:
    """Whether a human was told, of the target in focus, what holds for every other one as well: once is enough."""
    told = case.status.escalated
    if told is None or _in_focus(case) is None:
        return False
    is_of_cluster = case.spec.target.kind is TargetKind.NODE and told.reason == BlockReason.TOO_MANY_UNHEALTHY
    return is_of_cluster or told.reason == BlockReason.STORM


def _accused(case: Case) -> Iterable[_Accused]:
    focus = case.status.focus
    naming = [
        signal for signal in case.seen.signals
        if signal.verdict is SignalState.FIRING and not _is_shared(case, signal)
    ]  # fmt: skip
    for target in case.seen.candidates:
        by = {signal.index for signal in naming if accuses(signal, target)}
        if by:
            known = memory.memory_of(case.status, object_of(target.ref))
            fires = [one for one in _assessed(case, known, target) if one.trigger in by]
            is_due = any(_is_due(case, signal) for signal in fires)
            yield _Accused(target, is_due, _is_free(case, target, known), bool(focus and focus.uid == known.uid))


def _is_due(case: Case, signal: Signal) -> bool:
    return signal.state is SignalState.FIRING and signals.due_at(case.spec, signal) <= case.now


def _is_free(case: Case, target: Workload, known: TargetMemory) -> bool:
    """Whether a target could be treated as far as it is known here: others need not wait for one that could not."""
    rests = known.cooldown_until is not None and known.cooldown_until > case.now
    is_held = target.is_deleting or target.is_paused or target.is_rolling_out
    return not (rests or known.escalated or is_held or target.ref.kind == TargetKind.POD.value)


# --- what the triggers say of one target ----------------------------------------------------------------


def _is_shared(case: Case, signal: SignalSeen) -> bool:
    """Whether a trigger names none of the candidates: then what it says is said of all."""
    return not any(accuses(signal, target) for target in case.seen.candidates)


def _narrowed(signal: SignalSeen, target: Workload | None, candidates: Sequence[Workload]) -> SignalSeen:
    if signal.verdict is not SignalState.FIRING or not any(accuses(signal, one) for one in candidates):
        return signal
    if target is None or not accuses(signal, target):
        return replace(signal, verdict=SignalState.QUIET, since=None, failing=(), accused=frozenset())
    uids = {target.ref.uid, *(pod.ref.uid for pod in members(target))}
    own = tuple(ref for ref in signal.failing if ref.uid in uids)
    return replace(signal, since=None, failing=own)


def _assessed(case: Case, known: TargetMemory, target: Workload | None) -> tuple[Signal, ...]:
    """Bring what is known of one target's triggers up to now."""
    seen = replace(case.seen, signals=narrowed(case, target))
    return signals.assess(replace(case, seen=seen).with_status(signals=known.signals))


# --- memory ---------------------------------------------------------------------------------------------


def _turned(case: Case, status: RecoveryPolicyStatus, target: ObjectId | None) -> RecoveryPolicyStatus:
    """Turn to a target; what triggers say of all of them is known already."""
    turned = memory.turned_to(status, target)
    if turned is status:
        return status
    own = {signal.trigger: signal for signal in turned.signals}
    shared = {signal.index for signal in case.seen.signals if _is_shared(case, signal)}
    common = {signal.trigger: signal for signal in status.signals if signal.trigger in shared}
    return turned.model_copy(update={"signals": tuple(one for _, one in sorted((own | common).items()))})


def _others(case: Case) -> tuple[TargetMemory, ...]:
    """Bring what is remembered of the other targets up to now; whoever is accused is remembered from then on."""
    focus, now = case.status.focus, case.now
    known = {entry.uid: entry for entry in case.status.targets}
    candidates = {target.ref.uid: target for target in case.seen.candidates[:MOST_TARGETS]}
    for uid, target in candidates.items():
        if any(signal.verdict is SignalState.FIRING and accuses(signal, target) for signal in case.seen.signals):
            known.setdefault(uid, memory.memory_of(case.status, object_of(target.ref)))
    entries = (
        _brought_up(case, entry, candidates.get(entry.uid))
        for entry in known.values()
        if focus is None or entry.uid != focus.uid
    )
    found = memory.kept(entries, now)
    return memory.without_gone(found, candidates.keys(), now) if candidates else found


def _brought_up(case: Case, entry: TargetMemory, target: Workload | None) -> TargetMemory:
    """Bring one memory up to now; of its triggers only what fires, fired or was told of is worth remembering."""
    assessed = case.with_status(signals=_assessed(case, entry, target))
    worth = tuple(one for one in assessed.status.signals if one.state in _WORTH or one.turns or one.observed_at)
    is_well = not signals.firing(assessed) and not signals.blind(assessed)
    fresh = entry.model_copy(update={"signals": worth})
    return memory.brought_up(fresh, case.now, longest_rest(case.spec), is_well=is_well)


def _is_edited(case: Case) -> bool:
    return case.status.observed_generation != case.seen.generation and case.status.attempt is None


def _begun_anew(case: Case) -> RecoveryPolicyStatus:
    """An edited spec starts the sequence over, for every target."""
    targets = tuple(memory.begun_anew(entry) for entry in case.status.targets)
    return case.status.model_copy(update={"targets": targets})
