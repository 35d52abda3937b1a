"""restore: put back what steps changed since the trigger began to fire, newest first and one at a time."""

from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.steps.planned import Ask, Plan
from homeostat.core.recovery.steps.undo import to_put_back


def plan_restore(ask: Ask) -> Plan | Block:
    """Plan to put back the newest change that still stands; the others are another writer's by now."""
    changes = ask.case.status.changes
    plans = (to_put_back(ask.case, change) for change in reversed(changes))
    found = next((plan for plan in plans if plan), None)
    if found:
        return found
    message = f"None of {len(changes)} changes still stands." if changes else "Nothing was changed."
    return Block(BlockReason.NOTHING_TO_RESTORE, message)
