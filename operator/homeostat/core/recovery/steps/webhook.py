"""webhook: a URL is called until it says yes, under one Idempotency-Key, or says no, or the step's time is over."""

from typing import Any

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import CallWebhook as WebhookStep
from homeostat.core.action import CallWebhook
from homeostat.core.cluster import Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import title
from homeostat.core.recovery.steps.handling import Handling
from homeostat.core.recovery.steps.planned import Ask, Plan, as_written, is_as_decided, on_workload


def plan_webhook(ask: Ask) -> Plan | Block:
    """Plan the one call of the attempt."""
    if any(entry.action is ActionName.CALL_WEBHOOK for entry in ask.case.status.in_flight):
        return Block(BlockReason.ALL_TREATED, "The webhook of this attempt was called.")
    asked = as_written(ask.step.webhook) if ask.step.webhook else None
    return on_workload(ask, ActionName.CALL_WEBHOOK, None, asked)


def _step(case: Case, entry: InFlight) -> WebhookStep | None:
    steps = case.spec.steps
    return steps[entry.step].webhook if entry.step < len(steps) else None


def _act(case: Case, workload: Workload, entry: InFlight) -> CallWebhook:
    step = _step(case, entry) or WebhookStep(url="http://nowhere.invalid/")
    secret = (step.secret_ref.name, step.secret_ref.key) if step.secret_ref else None
    return CallWebhook(entry.id, case.seen.ref, step.url, _body(case, workload, entry), secret)


def _body(case: Case, workload: Workload, entry: InFlight) -> dict[str, Any]:
    """Tell of the attempt, from its record alone: the same at each call under the same key."""
    attempt, ref, target = case.status.attempt, case.seen.ref, workload.ref
    return {
        "kind": "Attempt",
        "id": entry.id,
        "attempt": attempt.id if attempt else "",
        "policy": {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid},
        "target": {"kind": target.kind, "name": target.name, "uid": target.uid},
        "trigger": title(case, attempt.trigger) if attempt else "",
        "step": {"index": entry.step, "name": attempt.name if attempt else ""},
        "detectedAt": attempt.detected_at.isoformat() if attempt else "",
        "startedAt": entry.started_at.isoformat(),
    }


def _is_unknown(_case: Case, _workload: Workload, _entry: InFlight) -> bool:
    """Nothing in the cluster shows that a URL was called: only its answer does."""
    return False


def _is_still_asked_for(case: Case, _workload: Workload, entry: InFlight) -> bool:
    return is_as_decided(_step(case, entry), entry)


CALLING = Handling(_act, _is_unknown, _is_still_asked_for, leaves_a_trace=False)
