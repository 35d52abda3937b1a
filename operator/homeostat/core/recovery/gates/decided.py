"""What humans decided: a policy, a namespace or the whole cluster is told to rest."""

from homeostat.api.recovery import Mode
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason

SUSPENDED = Block(BlockReason.SUSPENDED, "spec.suspend is set.")


def observe_only(wish: Wish) -> Block | None:
    """R1: only Auto may touch a target."""
    if wish.case.spec.mode is Mode.AUTO:
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
