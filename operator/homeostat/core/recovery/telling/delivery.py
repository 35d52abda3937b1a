"""The webhook of an escalation: called under one id until it is taken, refused for good, or an hour is over (R16).

All that this needs to know is on the escalation's record, so a restart neither forgets a call nor makes another of it.
The count of calls is written before each, and the pauses between them follow from it.
"""

from datetime import datetime, timedelta
from typing import Any

from homeostat.api.recovery_decision import Delivery, Escalation
from homeostat.api.recovery_step import CallWebhook as Webhook
from homeostat.core.decision import CallWebhook, Outcome, Verb
from homeostat.core.recovery.seen import Case, Move

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(hours=1)

_FINAL = frozenset({"WebhookRefused", "AddressDenied", "Unsupported"})
"""Refusals that another try cannot change."""


def deliver(case: Case) -> Move:
    """Take in what became of the last call, and call when it is time to; the same memory means nothing to do."""
    known = case.status.escalated
    if known is None or known.webhook is not Delivery.PENDING:
        return Move(case.status)
    webhook = webhook_of(case)
    outcome = case.seen.outcomes.get(known.id)
    state = Delivery.FAILED if webhook is None else _state(known, outcome, case.now)
    if webhook is None or state is not Delivery.PENDING:
        return _noted(case, known, webhook=state)
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
    known = case.status.escalated
    return due_at(known) if known and known.webhook is Delivery.PENDING else None


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
    return Move(_noted(case, known, deliveries=known.deliveries + 1).status, (action,))


def _noted(case: Case, known: Escalation, **changes: object) -> Move:
    return Move(case.with_status(escalated=known.model_copy(update=changes)).status)


def _body(case: Case, known: Escalation) -> dict[str, Any]:
    """Say all that a human should know; the same at each call."""
    ref, status = case.seen.ref, case.status
    told = next((record for record in status.last if record.id == known.id), None)
    return {
        "kind": "Escalation",
        "id": known.id,
        "policy": {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid},
        "target": _target(case),
        "trigger": told.cause if told else "",
        "severity": known.severity.value,
        "reason": known.reason,
        "summary": known.summary,
        "since": known.since.isoformat(),
        "tried": list(known.tried),
    }


def _target(case: Case) -> dict[str, str]:
    focus, wanted = case.status.focus, case.spec.target
    if focus is not None:
        return {"kind": focus.kind, "name": focus.name}
    return {"kind": wanted.kind.value, "name": wanted.name or ""}
