"""The webhook of an escalation: called under one id until it is taken, refused for good, or an hour is over (R16).

All that this needs to know is in `status.undelivered`, which outlives the trigger and the escalation itself, so that a
restart neither forgets a call nor makes another of it. The count of calls is written before each, and the pauses
between them follow from it.
"""

from datetime import datetime, timedelta
from typing import Any

from homeostat.api.recovery_decision import Delivery, Escalation
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_step import CallWebhook as Webhook
from homeostat.core.action import CallWebhook, Outcome, Verb
from homeostat.core.recovery.seen import Case, Move

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(hours=1)

_FINAL = frozenset({"WebhookRefused", "AddressDenied", "Unsupported"})
"""Refusals that another try cannot change."""


def deliver(case: Case) -> Move:
    """Take in what became of the last call, and call when it is time to; the same memory means nothing to do."""
    moves = (_deliver(case, known) for known in case.status.undelivered)
    return next((move for move in moves if move.actions or move.status != case.status), Move(case.status))


def _deliver(case: Case, known: Escalation) -> Move:
    webhook = webhook_of(case)
    outcome = case.seen.outcomes.get(known.id)
    state = Delivery.FAILED if webhook is None else _state(known, outcome, case.now)
    if webhook is None or state is not Delivery.PENDING:
        return Move(_noted(case, known, webhook=state))
    if outcome is not None or case.now < due_at(known):
        return Move(case.status)
    return _called(case, known, webhook)


def webhook_of(case: Case) -> Webhook | None:
    """Find the webhook that escalations of this policy call."""
    return next((step.escalate.webhook for step in case.spec.steps if step.escalate), None)


def due_at(known: Escalation) -> datetime:
    """Say when it is called next: at once, then after pauses that double."""
    pauses = (min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(min(known.deliveries, 32)))
    return known.since + sum(pauses, timedelta())


def next_call(case: Case) -> datetime | None:
    """Say when to look again because of a call that is to be made."""
    return min((due_at(known) for known in case.status.undelivered), default=None)


def _state(known: Escalation, outcome: Outcome | None, now: datetime) -> Delivery:
    if outcome is not None and outcome.verb is Verb.DONE:
        return Delivery.DELIVERED
    if outcome is not None and outcome.reason in _FINAL:
        return Delivery.FAILED
    is_over = known.deliveries > 0 and now >= known.since + GIVE_UP_AFTER
    return Delivery.FAILED if is_over else Delivery.PENDING


def _called(case: Case, known: Escalation, webhook: Webhook) -> Move:
    """Count the call and ask for it."""
    secret = (webhook.secret_ref.name, webhook.secret_ref.key) if webhook.secret_ref else None
    action = CallWebhook(known.id, case.seen.ref, webhook.url, _body(case, known), secret)
    return Move(_noted(case, known, deliveries=known.deliveries + 1), (action,))


def _noted(case: Case, known: Escalation, **changes: object) -> RecoveryPolicyStatus:
    """Note what became of it, wherever the policy remembers it; what needs no further call waits no longer."""
    noted, status = known.model_copy(update=changes), case.status

    def renewed(one: Escalation | None) -> Escalation | None:
        return one.model_copy(update=changes) if one and one.id == known.id else one

    waiting = tuple(noted if one.id == known.id else one for one in status.undelivered)
    others = tuple(entry.model_copy(update={"escalated": renewed(entry.escalated)}) for entry in status.targets)
    return status.model_copy(
        update={
            "escalated": renewed(status.escalated),
            "targets": others,
            "undelivered": tuple(one for one in waiting if one.webhook is Delivery.PENDING),
        }
    )


def _body(case: Case, known: Escalation) -> dict[str, Any]:
    """Say all that a human should know; the same at each call."""
    ref, (kind, _, name) = case.seen.ref, known.target.partition("/")
    return {
        **({"experiment": known.experiment} if known.experiment else {}),
        "kind": "Escalation",
        "id": known.id,
        "policy": {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid},
        "target": {"kind": kind, "name": name},
        "trigger": known.cause,
        "severity": known.severity.value,
        "reason": known.reason,
        "summary": known.summary,
        "since": known.since.isoformat(),
        "tried": list(known.tried),
    }
