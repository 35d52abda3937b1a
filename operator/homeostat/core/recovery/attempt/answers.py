"""What the shell's outcomes mean for an action on record: it got through, it was refused, or nobody knows."""

from dataclasses import dataclass
from datetime import timedelta

from homeostat.api.recovery_attempt import InFlight
from homeostat.core.action import Outcome, Verb
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.actions import lock_id, token_id

_MEANING = {
    "PodDisruptionBudget": BlockReason.POD_DISRUPTION_BUDGET,
    "Conflict": BlockReason.TARGET_CHANGED,
    "Forbidden": BlockReason.NOT_PERMITTED,
    "BudgetExhausted": BlockReason.CLUSTER_BUDGET_SPENT,
    "Locked": BlockReason.LOCKED,
    "NameTaken": BlockReason.NAME_TAKEN,
    "SecretUnusable": BlockReason.SECRET_UNUSABLE,
    "AddressDenied": BlockReason.ADDRESS_DENIED,
    "WebhookRefused": BlockReason.WEBHOOK_REFUSED,
}
_SILENCES = {"WebhookUnanswered": BlockReason.WEBHOOK_UNANSWERED}
"""Whose silence it was, where it was not that of the API server."""
_PAUSES = {
    BlockReason.TARGET_CHANGED: timedelta(seconds=1),  # a fresh look is all it takes
    BlockReason.LOCKED: timedelta(seconds=5),
    BlockReason.API_UNAVAILABLE: timedelta(seconds=5),
    BlockReason.CLUSTER_BUDGET_SPENT: timedelta(seconds=30),
}
_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class No:
    """An answer other than yes: why, how long to wait, and whether it came before the target was touched."""

    block: Block
    pause: timedelta
    is_before_act: bool


def has_token(case: Case, entry: InFlight) -> bool:
    """Whether the action has its token of the cluster-wide budget."""
    return entry.has_token or _is_done(case.seen.outcomes.get(token_id(entry)))


def is_confirmed(case: Case, entry: InFlight) -> bool:
    """Whether the shell says that the action happened."""
    return _is_done(case.seen.outcomes.get(entry.id))


def refusal(case: Case, entry: InFlight) -> No | None:
    """Give the first answer that was not yes, in the order of asking: lock, token, act."""
    for name in (lock_id(entry), token_id(entry), entry.id):
        outcome = case.seen.outcomes.get(name)
        if outcome and outcome.verb is not Verb.DONE:
            return _no(case, entry, outcome, is_before_act=name != entry.id)
    return None


def _no(case: Case, entry: InFlight, outcome: Outcome, *, is_before_act: bool) -> No:
    if outcome.verb is Verb.FAILED:
        meaning = _SILENCES.get(outcome.reason, BlockReason.API_UNAVAILABLE)
    else:
        meaning = _MEANING.get(outcome.reason, BlockReason.REFUSED)
    until = case.seen.cluster_budget.resets_at if meaning is BlockReason.CLUSTER_BUDGET_SPENT else None
    message = outcome.message or f"The answer was {outcome.reason or outcome.verb.value}."
    is_refused = outcome.verb is Verb.REFUSED
    return No(Block(meaning, message, until), _pause(case, entry, meaning), is_before_act and is_refused)


def _pause(case: Case, entry: InFlight, meaning: BlockReason) -> timedelta:
    """Say how long to wait: for a webhook as long as it was asked already, so that the pauses double."""
    if meaning is not BlockReason.WEBHOOK_UNANSWERED:
        return _PAUSES.get(meaning, _PAUSE)
    return max(timedelta(seconds=1), min(case.now - entry.started_at, LONGEST_PAUSE))


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.verb is Verb.DONE
