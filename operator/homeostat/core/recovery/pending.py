"""An action on record of which it is not known that it happened: learn it, ask again, wait, or give up (R2).

Nothing is asked for again without all gates having been asked again: between a kill and a restart the world
may have changed in every way that forbids it.
"""

from homeostat.api.recovery_status import (
    ActionName,
    Attempt,
    AttemptPhase,
    InFlight,
    Outcome,
    SignalState,
    TargetPhase,
)
from homeostat.core.cluster import Workload
from homeostat.core.recovery import actions, budget
from homeostat.core.recovery.answers import No, has_token, is_confirmed, refusal
from homeostat.core.recovery.blocking import blocked
from homeostat.core.recovery.gates import OLDEST_VIEW, TO_ASK_AGAIN, TO_UNDO, Wish, permitted
from homeostat.core.recovery.plan import Plan
from homeostat.core.recovery.reasons import REFUSALS, Block, BlockReason
from homeostat.core.recovery.record import Ending, close
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import of_attempt
from homeostat.core.recovery.verification import begin_verification

CHANGED = Block(BlockReason.TARGET_CHANGED, "Another writer has changed the target since the decision.")


def resolve(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """Take an action on record one move further."""
    if is_confirmed(case, entry) or _is_seen_done(case, entry):
        return _learn(case, attempt, entry)
    if case.now >= entry.deadline:
        return _give_up(case, attempt, entry)
    if entry.action is ActionName.UNDO_SCALE:
        return _ask(case, entry) if _is_untouched(case, entry) else _leave(case, attempt)
    return _resolve_act(case, attempt, entry)


def _resolve_act(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """Withdraw what has lost its ground; ask again for the rest."""
    answer = refusal(case, entry)
    if answer and answer.is_before_act:
        return _withdraw(case, attempt, entry, answer)
    if not _is_untouched(case, entry):
        return _withdraw(case, attempt, entry, No(CHANGED, _FRESH_LOOK, is_before_act=True))
    if of_attempt(case, attempt.trigger).state is SignalState.QUIET:
        return _drop(case, attempt, entry, Ending(Outcome.NOT_STARTED, "TriggerQuiet", helps_on=False))
    return _ask(case, entry)
