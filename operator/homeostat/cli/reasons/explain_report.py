"""What `homeostat explain` says of a RecoveryPolicy: the chain gate by gate, what is due, what is on record. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from homeostat.api.meta import format_time
from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import AttemptPhase
from homeostat.cli.reasons.gate_table import (
    NOT_KNOWN,
    PASSED,
    REFUSED,
    gate_data,
    if_it_were,
    names,
    table,
    until_then,
    verdict,
    whole,
)
from homeostat.core.recovery.explaining import Explanation
from homeostat.core.recovery.gates.explanation import TRIGGERED, GateAnswer
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.signals import title
from homeostat.core.recovery.steps.plan import Plan

NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True, slots=True)
class Report:
    """An explanation, and of which gates it could not be made: why, by the gate's name.

    `notes`: what whoever reads it should know of the whole, such as that no operator has looked at the policy yet.
    """

    explanation: Explanation
    not_known: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def says(self, answer: GateAnswer) -> str:
        """Say in a word or two what a gate says."""
        if answer.name in self.not_known:
            return NOT_KNOWN
        return PASSED if answer.passed else REFUSED

    @property
    def refusals(self) -> tuple[GateAnswer, ...]:
        """Give the gates that refuse, in their order."""
        return tuple(one for one in self.explanation.answers if self.says(one) == REFUSED)

    @property
    def unknown(self) -> tuple[GateAnswer, ...]:
        """Give the gates of which it is not known."""
        return tuple(one for one in self.explanation.answers if self.says(one) == NOT_KNOWN)


# --- text -----------------------------------------------------------------------------------------------


def lines(report: Report) -> Iterator[str]:
    """Write the report for a terminal."""
    yield from _head(report.explanation)
    yield from (f"note: {note}" for note in report.notes)
    yield ""
    yield from table([(one.name, report.says(one), _why(report, one)) for one in report.explanation.answers])
    yield ""
    yield _verdict(report)
    yield from (f"{name + ':':10} {text}" for name, text in _facts(report) if text)


def _head(told: Explanation) -> Iterator[str]:
    case = told.case
    ref, status = case.seen.ref, case.status
    seen, wanted = case.seen.target, case.spec.target
    target = f"{seen.ref.kind}/{seen.ref.name}" if seen else f"{wanted.kind.value}/{wanted.name or '*'}"
    yield f"RecoveryPolicy {ref.namespace}/{ref.name}: {status.phase.value}, mode {case.spec.mode.value}, for {target}"
    for signal in status.signals:
        since = f"since {format_time(signal.since)} ({_ago(signal.since, case.now)})"
        yield f"trigger {signal.trigger}: {title(case, signal.trigger)} is {signal.state.value} {since}"


def _why(report: Report, answer: GateAnswer) -> str:
    if answer.name in report.not_known:
        return report.not_known[answer.name]
    if answer.passed:
        return ""
    return f"{answer.reason}: {answer.message}{until_then(answer.until, report.explanation.case.now)}"


def _verdict(report: Report) -> str:
    refusals = report.refusals
    if refusals and refusals[0].name == TRIGGERED:
        if _is_verifying(report.explanation):
            return "Nothing more is to be done now: what was done is being verified."
        return "Nothing is to be done now." + if_it_were(refusals[1:])
    return verdict(refusals, names(report.unknown))


def _is_verifying(told: Explanation) -> bool:
    attempt = told.case.status.attempt
    return attempt is not None and attempt.phase is AttemptPhase.VERIFYING


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    told = report.explanation
    case = told.case
    status = case.status
    yield "next", _next(report)
    yield "decided", _decided(told)
    if status.attempt:
        attempt = status.attempt
        yield (
            "attempt",
            (
                f"{attempt.id}, step {attempt.step} ({attempt.name}), {attempt.phase.value}, "
                f"until {format_time(attempt.deadline)} at the latest"
            ),
        )
        for entry in status.in_flight:
            yield "action", f"{entry.id}: {entry.action.value} {entry.target.name}, {entry.phase.value}"
    yield "budget", _budget(told)
    if status.plan:
        plan = status.plan
        what = "; ".join(plan.does)
        yield "plan", f"{plan.hash}, {plan.state.value}, until {format_time(plan.expires_at)}: {what}"
    if status.escalated:
        yield "escalated", f"{format_time(status.escalated.since)}: {status.escalated.summary}"


def _next(report: Report) -> str:
    told = report.explanation
    step = f"step {told.index} ({told.step.name})"
    if told.case.status.attempt:
        return f"{step} is under way"
    if told.plan is None and told.case.status.escalated and told.case.status.escalated.is_last:
        return "nothing until the trigger was quiet: a human was told"
    if isinstance(told.plan, Plan):
        return f"{step}: {told.plan.title}{_how(told.case.spec.mode)}"
    if isinstance(told.plan, Block) and NOTHING_TO_DO in report.not_known:
        is_quiet = bool(report.refusals) and report.refusals[0].reason == BlockReason.NOT_FIRING
        return f"{step}, once a trigger fires" if is_quiet else f"{step}: {report.not_known[NOTHING_TO_DO]}"
    return f"{step}: {told.plan.message}" if isinstance(told.plan, Block) else f"{step}: tell a human"


def _how(mode: Mode) -> str:
    return {
        Mode.OBSERVE: " (mode Observe: nothing would be touched)",
        Mode.SUGGEST: " (mode Suggest: a plan would be shown)",
        Mode.APPROVE: " (mode Approve: once it is approved)",
    }.get(mode, "")


def _decided(told: Explanation) -> str:
    record = told.case.status.decision
    if record is None:
        return "nothing is on record"
    when = f"{format_time(record.at)} ({_ago(record.at, told.case.now)})"
    why = f" by {record.gate or 'the API server'}: {record.reason}" if record.reason else ""
    does = f", {record.does}" if record.does and not record.reason else ""
    return f"{record.verdict.value}{why}{does}; trigger {record.trigger}, step {record.step} ({record.name}); {when}"


def _budget(told: Explanation) -> str:
    budget = told.case.status.budget
    if not budget.of:
        return ""
    resets = f" until {format_time(budget.resets_at)}" if budget.resets_at else ""
    return f"{budget.used} of {budget.of} actions used{resets}"


def _ago(then: datetime, now: datetime) -> str:
    return f"{whole(max(now - then, now - now))} ago"


# --- data -----------------------------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """Give the same as data."""
    told = report.explanation
    case = told.case
    status = case.status
    return {
        "namespace": case.seen.ref.namespace,
        "name": case.seen.ref.name,
        "mode": case.spec.mode.value,
        "phase": status.phase.value,
        "notes": list(report.notes),
        "signals": [signal.wire() for signal in status.signals],
        "gates": [gate_data(answer, report.not_known) for answer in told.answers],
        "refusedBy": report.refusals[0].name if report.refusals else None,
        "next": {"step": told.index, "name": told.step.name, "does": _does(told)},
        "decision": status.decision.wire() if status.decision else None,
        "attempt": status.attempt.wire() if status.attempt else None,
        "inFlight": [entry.wire() for entry in status.in_flight],
        "budget": status.budget.wire(),
        "plan": status.plan.wire() if status.plan else None,
    }


def _does(told: Explanation) -> str:
    return told.plan.title if isinstance(told.plan, Plan) else ""
