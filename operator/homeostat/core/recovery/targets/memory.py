"""What is remembered of each target of a selector: one stands at the top of the status, the others in status.targets.

A target is its incarnation (uid): one that was deleted and made again under its name begins with a clean memory.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.recovery_attempt import ObjectId
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState, TargetMemory

MOST_TARGETS = 64
"""So many targets may a selector match."""

_PER_TARGET = (
    "next_step", "tried", "tries", "signals", "retry_at", "cooldown_until", "returns", "changes", "escalated",
    "rejected",
)  # fmt: skip
"""The fields of a status that are about one target, each of the same name in TargetMemory."""

_OF_EPISODE = ("next_step", "tried", "tries", "retry_at", "changes", "escalated", "rejected")
"""Those of them that end when the target is well again."""

_BLANK = TargetMemory(kind="", name="blank", uid="")


def turned_to(status: RecoveryPolicyStatus, focus: ObjectId | None) -> RecoveryPolicyStatus:
    """Turn to another target: what the top says is laid by, what was laid by of `focus` is taken up.

    What was known before there was a focus is of the first one that nothing else is known of.
    """
    if status.focus == focus:
        return status
    known = {entry.uid: entry for entry in status.targets}
    if status.focus is not None:
        known[status.focus.uid] = _laid_by(status, status.focus)
    found = known.pop(focus.uid, None) if focus else None
    if found is None and status.focus is not None:
        found = _BLANK
    taken_up = _fields(found, _PER_TARGET) if found else {}
    return status.model_copy(
        update={
            **taken_up,
            "focus": focus,
            "targets": tuple(filter(_is_worth_it, known.values())),
            "blocked": None,
            "plan": None,  # it is of the other target: nobody can say yes or no to it any more
        }
    )


def of_one_target(status: RecoveryPolicyStatus, target: ObjectId | None) -> RecoveryPolicyStatus:
    """Keep the memory of one target alone: the policy names it now, and has no selector any more."""
    if status.focus is None and not status.targets:
        return status
    turned = turned_to(status, target) if target else status
    return turned.model_copy(update={"focus": None, "targets": ()})


def memory_of(status: RecoveryPolicyStatus, target: ObjectId) -> TargetMemory:
    """Give what is remembered of a target, wherever it stands."""
    if status.focus is None or status.focus.uid == target.uid:
        return _laid_by(status, target)
    blank = _BLANK.model_copy(update=_identity(target))
    return next((entry for entry in status.targets if entry.uid == target.uid), blank)


def kept(entries: Iterable[TargetMemory], now: datetime) -> tuple[TargetMemory, ...]:
    """Keep what is worth it, of so many targets as there may be: those that still rest first, then the troubled."""
    worth = [entry for entry in entries if _is_worth_it(entry)]
    worth.sort(key=lambda entry: (not _rests(entry, now), not is_troubled(entry), entry.uid))
    return tuple(sorted(worth[:MOST_TARGETS], key=lambda entry: entry.uid))


def without_gone(entries: Iterable[TargetMemory], present: Collection[str], now: datetime) -> tuple[TargetMemory, ...]:
    """Drop targets that are gone. One that is to rest is kept for so long: it may only be out of sight."""
    return tuple(entry for entry in entries if entry.uid in present or _rests(entry, now))


def brought_up(entry: TargetMemory, now: datetime, longest: timedelta, *, is_well: bool) -> TargetMemory:
    """Let end what is over: a rest by its time (a clock set back cannot stretch it), an episode with its triggers."""
    until = entry.cooldown_until
    until = min(until, now + longest) if until and until > now else None
    rested = entry.model_copy(update={"cooldown_until": until})
    return begun_anew(rested) if is_well and until is None else rested


def begun_anew(entry: TargetMemory) -> TargetMemory:
    """Forget the episode, not the rest that the target is to have, nor how often it fell back."""
    return entry.model_copy(update=_fields(_BLANK, _OF_EPISODE))


def is_troubled(entry: TargetMemory) -> bool:
    """Whether any trigger fires for the target."""
    return any(signal.state is SignalState.FIRING for signal in entry.signals)


def _laid_by(status: RecoveryPolicyStatus, target: ObjectId) -> TargetMemory:
    return _BLANK.model_copy(update=_identity(target) | _fields(status, _PER_TARGET))


def _identity(target: ObjectId) -> dict[str, str]:
    return {"kind": target.kind, "name": target.name, "uid": target.uid}


def _fields(source: RecoveryPolicyStatus | TargetMemory, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}


def _is_worth_it(entry: TargetMemory) -> bool:
    return any(getattr(entry, name) != getattr(_BLANK, name) for name in _PER_TARGET)


def _rests(entry: TargetMemory, now: datetime) -> bool:
    return entry.cooldown_until is not None and entry.cooldown_until > now
