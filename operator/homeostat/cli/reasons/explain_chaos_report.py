"""What `homeostat explain` says of an experiment: its gates, what a run would do, and what would stop it. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from homeostat.api.chaos import DuringFault
from homeostat.api.meta import format_duration, format_time
from homeostat.cli.reasons.explain_chaos import ChaosReport
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
from homeostat.core.chaos.explaining import WANTED, Answer
from homeostat.core.chaos.hypothesis.finding import Finding

_DURING: Final = {
    DuringFault.MUST_HOLD: "must hold during the fault",
    DuringFault.MAY_BREAK: "may break during the fault",
}


def lines(report: ChaosReport) -> Iterator[str]:
    """Write the report for a terminal."""
    yield _head(report)
    yield from (f"note: {note}" for note in report.notes)
    yield ""
    yield from table([(one.name, _says(report, one), _why(report, one)) for one in report.explanation.answers])
    yield ""
    yield _verdict(report)
    yield from (f"{name + ':':12} {text}" for name, text in _facts(report))


def _head(report: ChaosReport) -> str:
    case = report.explanation.case
    status, ref = case.status, case.seen.ref
    run = f", run {status.run_number}" if status.run_number else ""
    said = (
        f" ({status.verdict.value}: {status.reason})"
        if status.verdict
        else f" ({status.reason})"
        if status.reason
        else ""
    )
    what = f", {status.fault} of {status.target}" if status.fault else ""
    dry = ", dry run" if case.spec.dry_run else ""
    return f"ChaosExperiment {ref.namespace}/{ref.name}: {status.phase.value}{said}{what}{run}{dry}"


def _says(report: ChaosReport, answer: Answer) -> str:
    if answer.name in report.not_known:
        return NOT_KNOWN
    return PASSED if answer.passed else REFUSED


def _why(report: ChaosReport, answer: Answer) -> str:
    if answer.name in report.not_known:
        return report.not_known[answer.name]
    if answer.passed:
        return answer.message
    return f"{answer.reason}: {answer.message}{until_then(answer.until, report.explanation.case.now)}"


def _verdict(report: ChaosReport) -> str:
    told, refusals = report.explanation, report.refusals
    unknown = names([one for one in told.answers if one.name in report.not_known])
    if told.is_at_work:
        if refusals:
            return f"Its fault is stopped by {refusals[0].name}: {refusals[0].reason}."
        return f"Nothing that is known stops its fault{f'; not known: {unknown}' if unknown else ''}."
    if refusals and refusals[0].name == WANTED:
        after = if_it_were(refusals[1:]) or " If it were, nothing that is known would refuse it."
        return f"No run is wanted now.{after}"
    return verdict(refusals, unknown)


def _facts(report: ChaosReport) -> Iterator[tuple[str, str]]:
    told = report.explanation
    case = told.case
    spec, status, ref = case.spec, case.status, case.seen.ref
    yield "next start", _next_start(report)
    if told.draft is not None:
        yield from (("would do", change) for change in told.draft.plan.changes)
        yield from (("undone by", undo) for undo in told.draft.plan.undo)
    yield from (("hypothesis", f"{one.says}; {_DURING[one.during]}") for one in told.hypothesis)
    yield from (("stops at", f"a stop condition; now: {one.says}") for one in told.stops)
    yield "stops at", "a Freeze that stops chaos, and a call for a human that it does not foresee, in its namespace"
    yield "stop it", f"homeostat chaos abort chaos/{ref.name} -n {ref.namespace}"
    if status.revert_at and told.is_at_work:
        yield "fault off", f"at {format_time(status.revert_at)} at the latest"
    else:
        yield "fault off", f"after {format_duration(spec.duration)} at the latest"
    if status.runs:
        last = status.runs[0]
        yield "last run", f"{last.number}: {last.verdict.value if last.verdict else 'no verdict'}: {last.reason}"


def _next_start(report: ChaosReport) -> str:
    told = report.explanation
    case = told.case
    on_request = f"on request: homeostat chaos run chaos/{case.seen.ref.name} -n {case.seen.ref.namespace}"
    if case.spec.schedule is not None and told.next_start is not None:
        schedule = f"{case.spec.schedule.cron}, {case.spec.schedule.time_zone}"
        return f"{format_time(told.next_start)}, in {whole(told.next_start - case.now)} ({schedule})"
    if case.spec.schedule is not None:
        return "none: spec.suspend is set" if case.spec.suspend else "none: its schedule is never due"
    return on_request


# --- data -----------------------------------------------------------------------------------------------


def as_data(report: ChaosReport) -> dict[str, Any]:
    """Give the same as data."""
    told = report.explanation
    case = told.case
    status = case.status
    return {
        "namespace": case.seen.ref.namespace,
        "name": case.seen.ref.name,
        "phase": status.phase.value,
        "verdict": status.verdict.value if status.verdict else None,
        "reason": status.reason,
        "runNumber": status.run_number,
        "notes": list(report.notes),
        "gates": [gate_data(one, report.not_known) for one in told.answers],
        "refusedBy": report.refusals[0].name if report.refusals else None,
        "nextStart": format_time(told.next_start) if told.next_start else None,
        "wouldDo": told.draft.plan.wire() if told.draft else None,
        "hypothesis": [_finding(one) | {"duringFault": one.during.value} for one in told.hypothesis],
        "stopConditions": [_finding(one) for one in told.stops],
        "revertAt": format_time(status.revert_at) if status.revert_at and told.is_at_work else None,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {"about": one.about, "holds": None if one.gap else one.holds, "says": one.says}
