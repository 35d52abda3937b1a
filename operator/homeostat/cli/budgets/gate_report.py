"""What `homeostat gate` says of an objective: whether its budget lets something go on, and why. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from homeostat.api.meta import ConditionStatus, format_decimal
from homeostat.api.objective import BudgetRule, ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Hold, ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.condition import condition


class Answer(StrEnum):
    """What a pipeline is told."""

    GO = "Go"
    STOP = "Stop"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the budget says of one thing that it may hold. `remaining` is in percent of the budget.

    `is_held`: the status holds it, though it may not be known whether it still would. `rule` is the one that holds,
    or of those that could the first that would.
    """

    namespace: str
    name: str
    hold: Hold
    answer: Answer
    why: str
    state: ObjectiveState = ObjectiveState.UNKNOWN
    remaining: Decimal | None = None
    is_provisional: bool = False
    is_held: bool = False
    rule: BudgetRule | None = None


def judge(body: Mapping[str, Any], hold: Hold, silent: str = "") -> Verdict:
    """Judge an objective as the API server gives it. What cannot be read, or is not of now, is not known.

    `silent` says since when no operator has written it, "" where one does: a budget that nobody counts lets nothing go.
    """
    metadata = body["metadata"]
    namespace, name = str(metadata.get("namespace", "")), str(metadata["name"])
    try:
        spec = ServiceLevelObjectiveSpec.model_validate(body.get("spec") or {})
        status = ServiceLevelObjectiveStatus.model_validate(body.get("status") or {})
    except ValidationError:
        return Verdict(namespace, name, hold, Answer.UNKNOWN, "it cannot be read: is it of another release?")
    unknown, is_held = silent or _unknown(status, metadata.get("generation", 0)), hold in status.holds
    answer = Answer.UNKNOWN if unknown else Answer.STOP if is_held else Answer.GO
    remaining = status.budget.remaining if status.budget else None
    rule = _rule(spec, hold, remaining)
    return Verdict(
        namespace, name, hold, answer, unknown or _figures(remaining, rule, hold, is_held=is_held),
        state=status.state,
        remaining=remaining,
        is_provisional=status.budget is not None and status.budget.provisional,
        is_held=is_held,
        rule=rule,
    )  # fmt: skip


def settled(verdict: Verdict, unknown: Answer) -> Verdict:
    """Take `unknown` for what is not known; but a hold that stands is not let go for that."""
    if verdict.answer is not Answer.UNKNOWN or unknown is Answer.UNKNOWN:
        return verdict
    return replace(verdict, answer=Answer.STOP if verdict.is_held else unknown)


def _unknown(status: ServiceLevelObjectiveStatus, generation: object) -> str:
    """Say why nothing is known, "" when something is."""
    if status.observed_generation < 0:
        return "it was never evaluated: does the operator run?"
    if status.observed_generation != generation:
        return "its status is about an earlier spec: does the operator run?"
    ready = condition(status.conditions, "Ready")
    if ready is None or ready.status is not ConditionStatus.TRUE:
        return f"it is not evaluated: {ready.reason if ready else 'it has no condition Ready'}"
    allowed = condition(status.conditions, "RolloutsAllowed")
    is_silent = allowed is not None and allowed.status is ConditionStatus.UNKNOWN
    return "there is no fresh data" if is_silent or status.state is ObjectiveState.UNKNOWN else ""


def _rule(spec: ServiceLevelObjectiveSpec, hold: Hold, remaining: Decimal | None) -> BudgetRule | None:
    """Find the rule that holds: the strictest that is reached, else the one that would be reached first."""
    rules = sorted((rule for rule in spec.budget_policy if hold in rule.hold), key=lambda rule: rule.remaining_below)
    reached = (rule for rule in rules if remaining is not None and remaining <= rule.remaining_below * 100)
    return next(reached, rules[-1] if rules else None)


def _figures(remaining: Decimal | None, rule: BudgetRule | None, hold: Hold, *, is_held: bool) -> str:
    left = "no budget is known" if remaining is None else f"{format_decimal(remaining)} % of the budget is left"
    if rule is None:
        return f"{left}; {'the status holds' if is_held else 'no rule of budgetPolicy holds'} {hold.value}"
    return f"{left}; budgetPolicy holds {hold.value} below {format_decimal(rule.remaining_below * 100)} %"


# --- printing -------------------------------------------------------------------------------------------


def as_line(verdict: Verdict) -> str:
    """Say it in one line."""
    state = "" if verdict.state is ObjectiveState.UNKNOWN else f"{verdict.state.value}, "
    provisional = " (provisional: the window is not covered yet)" if verdict.is_provisional else ""
    whose = f"{verdict.namespace}/{verdict.name}"
    return f"{whose}: {verdict.answer.value.lower()}: {state}{verdict.why}{provisional}"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Give the same as data; what is not known is null."""
    below = verdict.rule and f"{format_decimal(verdict.rule.remaining_below * 100)}%"
    return {
        "namespace": verdict.namespace,
        "name": verdict.name,
        "hold": verdict.hold.value,
        "answer": verdict.answer.value,
        "held": verdict.is_held,
        "state": verdict.state.value,
        "remaining": None if verdict.remaining is None else format_decimal(verdict.remaining),
        "provisional": verdict.is_provisional,
        "remainingBelow": below,
        "why": verdict.why,
    }
