"""What was changed and can be put back: kept in status.changes, newest last, and put back newest first (R8).

A change is put back only while what stands is what we put there. One that another writer has changed since is left as
it is, told of, and forgotten: it is theirs now.
"""

import json

from homeostat.api.recovery_attempt import Change, InFlight, TargetPhase
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.steps import actions
from homeostat.core.recovery.steps.handling import holder_of
from homeostat.core.recovery.steps.planned import Plan
from homeostat.core.recovery.steps.wording import described

MOST_CHANGES = 16
"""As many as the status holds; another change is not begun, for it could not be put back."""
MOST_KEPT = 192 * 1024
"""So many bytes may all changes on record have: the API server takes no status without bounds."""


def noted(case: Case, entry: InFlight) -> tuple[Change, ...]:
    """Give the changes on record once `entry` has happened: one more, or one less."""
    known = case.status.changes
    if entry.undoes:
        return tuple(one for one in known if one.id != entry.undoes)
    if not actions.is_reversible(entry.action) or any(one.id == entry.id for one in known):
        return known
    change = Change(
        id=entry.id,
        action=entry.action,
        target=entry.target,
        original=entry.original or {},
        desired=entry.desired or {},
    )
    return (*known, change)[-MOST_CHANGES:]


def is_full(case: Case, planned: Plan) -> bool:
    """Whether what an action changes could not be kept on record, beside what is kept of all targets."""
    if not actions.is_reversible(planned.action):
        return False
    known = [*case.status.changes, *(change for one in case.status.targets for change in one.changes)]
    size = sum(_size(change.original, change.desired) for change in known) + _size(planned.original, planned.desired)
    return len(case.status.changes) >= MOST_CHANGES or size > MOST_KEPT


def _size(*values: object) -> int:
    return sum(len(json.dumps(value, default=str)) for value in values)


def newest(case: Case) -> InFlight | None:
    """Find the newest action of the open attempt that can still be put back."""
    known = {change.id for change in case.status.changes} - {entry.undoes for entry in case.status.in_flight}
    entries = [entry for entry in case.status.in_flight if entry.id in known and entry.phase is TargetPhase.DONE]
    return entries[-1] if entries else None


def left(case: Case) -> tuple[InFlight, ...]:
    """Give the actions of the open attempt that could have been put back, and were not."""
    undone = {entry.undoes for entry in case.status.in_flight if entry.phase is TargetPhase.DONE}
    return tuple(
        entry
        for entry in actions.done(case.status.in_flight)
        if actions.is_reversible(entry.action) and not entry.undoes and entry.id not in undone
    )


def forget(case: Case, *names: str) -> Move:
    """Take changes off the record that are no longer ours, and say so."""
    gone = [change for change in case.status.changes if change.id in names]
    kept = tuple(change for change in case.status.changes if change.id not in names)
    return Move(case.status.model_copy(update={"changes": kept}), events=tuple(map(_left_event, gone)))


def to_put_back(case: Case, change: Change) -> Plan | None:
    """Plan to put a change back; None when its object is not there or it no longer stands."""
    workload = holder_of(case, change.target)
    if workload is None or workload.is_deleting:
        return None
    entry = _as_entry(case, change)
    if not actions.is_untouched(case, workload, entry):
        return None
    version = actions.version(case, workload, entry)
    return Plan(change.action, workload, change.target, version, change.desired, change.original, change.id)


def _as_entry(case: Case, change: Change) -> InFlight:
    """Give the action that would put a change back, as it would stand on record."""
    return InFlight(
        id=f"{change.id}-undo",
        undoes=change.id,
        target=change.target,
        step=0,
        action=change.action,
        original=change.desired,
        desired=change.original,
        started_at=case.now,
        deadline=case.now,
    )


def _left_event(change: Change) -> Event:
    what = described(change.action, change.target.name, change.original, change.desired)
    return Event(
        "ChangeLeft", f"{what} is not put back: another writer changed it since.", EventType.WARNING, "Recover"
    )
