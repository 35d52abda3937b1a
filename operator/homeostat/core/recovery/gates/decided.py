"""What humans decided: a policy, a namespace or the whole cluster is told to rest."""

from homeostat.api.recovery import Mode
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits import windows
from homeostat.core.recovery.reasons import Block, BlockReason

SUSPENDED = Block(BlockReason.SUSPENDED, "spec.suspend is set.")


def observe_only(wish: Wish) -> Block | None:
    """R1: only Auto may touch a target, but for what a human approved (mode Approve) or runs by hand."""
    mode, attempt = wish.case.spec.mode, wish.case.status.attempt
    by_human = attempt and (attempt.requested_by or (attempt.approved_by and mode is Mode.APPROVE))
    if mode is Mode.AUTO or (by_human and mode is not Mode.OBSERVE):
        return None
    return Block(BlockReason.OBSERVE_ONLY, "The mode is no longer Auto.")


def suspended(wish: Wish) -> Block | None:
    """The policy is told to do nothing."""
    return SUSPENDED if wish.case.spec.suspend else None


def frozen(wish: Wish) -> Block | None:
    """A Freeze stops recovery."""
    freeze = wish.case.seen.freeze
    if freeze is None:
        return None
    return Block(BlockReason.FROZEN, f"Freeze {freeze.name}: {freeze.reason}", freeze.until)


def budget_held(wish: Wish) -> Block | None:
    """The budget policy of an objective holds recovery: what little budget is left is not spent on trying."""
    name = wish.case.seen.budget_held_by
    if not name:
        return None
    return Block(BlockReason.BUDGET_HELD, f"The budget policy of ServiceLevelObjective {name} holds recovery.")


def outside_window(wish: Wish) -> Block | None:
    """Acting is allowed at certain times only; a human is told at any."""
    allowed, now = wish.case.spec.windows, wish.case.now
    if windows.is_open(allowed, now):
        return None
    message = "None of spec.windows is open."
    return Block(BlockReason.OUTSIDE_WINDOW, message, windows.opens_at(allowed, now))
