"""`homeostat report chaos/NAME`: what a run of an experiment was to show, did, and showed, as Markdown or JSON (C17).

Everything is read from the object itself: its spec, and the status that the run has written.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from homeostat.api.chaos import ChaosExperimentSpec, DuringFault, Hypothesis, StopCondition
from homeostat.api.chaos_status import ChaosExperimentStatus, ProofRecord, Run, Stage, TargetRecord
from homeostat.api.meta import format_decimal, format_duration
from homeostat.cli.markdown import bullets, code, page, section, table, text
from homeostat.cli.reports.run import NOTHING, as_wire, is_over, moment, proved, took, verdict


def as_data(namespace: str, name: str, spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> dict[str, Any]:
    """Give the report as JSON: spec and status of the run in the words of the API, without conditions."""
    wanted = spec.wire()
    return {
        "experiment": {"namespace": namespace, "name": name, "description": spec.description},
        "fault": wanted.get("fault", {}),
        "hypothesis": wanted.get("hypothesis", []),
        "stopConditions": wanted.get("stopConditions", []),
        "proves": wanted.get("proves", []),
        "isOver": is_over(status),
        "run": as_wire(status),
    }


def as_markdown(namespace: str, name: str, spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> str:
    """Write the report for humans."""
    parts = [
        f"# {text(namespace)}/{text(name)}, run {status.run_number}",
        text(spec.description),
        verdict(status, "run"),
        table(("", ""), _summary(spec, status)),
        section("Hypothesis", bullets(_hypothesis(spec))),
        section("Plan", _plan(status)),
        section("Targets", _targets(status)),
        section("The loop", _proofs(status.proofs)),
        section("Before, during and after", _stages(status)),
        section("Timeline", bullets(_timeline(status))),
        section("Recommendations", bullets(text(one) for one in status.recommendations)),
        section("Runs", _runs(status)),
    ]
    return page(parts)


def run_as_data(namespace: str, name: str, run: Run) -> dict[str, Any]:
    """Give what is kept of a run that is over, as JSON; the spec may have been another then, and is left out."""
    return {"experiment": {"namespace": namespace, "name": name}, "isOver": True, "run": run.wire()}


def run_as_markdown(namespace: str, name: str, run: Run) -> str:
    """Write what is kept of a run that is over, for humans."""
    parts = [
        f"# {text(namespace)}/{text(name)}, run {run.number}",
        f"**{run.verdict or 'A dry run'}** ({text(run.reason)}).",
        table(("", ""), (("Began", moment(run.started_at)), ("Ended", moment(run.ended_at)), *_took_in(run))),
        section("The loop", _proofs(run.proofs)),
    ]
    return page(parts)


def _summary(spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> Iterator[tuple[str, str]]:
    yield "Fault", text(f"{status.fault} on {status.target}")
    yield "Duration", format_duration(spec.duration)
    yield "Reaction", str(spec.reaction)
    for title, at in (
        ("Began", status.started_at), ("Injected", status.injected_at),
        ("Fault off", status.revert.done_at if status.revert else None), ("Ended", status.ended_at),
    ):  # fmt: skip
        if at is not None:
            yield title, moment(at)
    yield from _took_in(status)


def _took_in(run: ChaosExperimentStatus | Run) -> Iterator[tuple[str, str]]:
    """Tell what a run took: of time, and of budgets."""
    timings = run.timings
    for title, duration in (
        ("Detected after", timings.detected_after), ("Acted after", timings.acted_after),
        ("Recovered after", timings.recovered_after), ("Taking it off took", timings.reverted_after),
    ):  # fmt: skip
        yield title, took(duration)
    for objective, share in run.budget_spent.items():
        yield f"Budget of {text(objective)} spent", text(share)


def _hypothesis(spec: ChaosExperimentSpec) -> Iterator[str]:
    for part in spec.hypothesis:
        may = ", may break during the fault" if part.during_fault is DuringFault.MAY_BREAK else ""
        yield f"{_claim(part)}{may}"
    for stop in spec.stop_conditions:
        yield f"ends at once when {_stop(stop)}"


def _claim(part: Hypothesis) -> str:
    if part.health_check is not None:
        return f"HealthCheck {text(part.health_check.name)} is {part.health_check.state}"
    if part.slo is not None:
        return f"{text(part.slo.name)} burns less than {format_decimal(part.slo.burn_rate_below)} times its budget"
    return f"{code(part.promql.query)} {text(part.promql.condition)}" if part.promql else ""


def _stop(stop: StopCondition) -> str:
    if stop.slo is not None:
        return f"{text(stop.slo.name)} burns more than {format_decimal(stop.slo.burn_rate_above)} times its budget"
    if stop.budget is None:
        return ""
    floor = format_decimal(stop.budget.remaining_below * 100)
    return f"less than {floor} % of the budget of {text(stop.budget.slo)} is left"


def _plan(status: ChaosExperimentStatus) -> str:
    if status.plan is None:
        return ""
    lines = [f"{text(change)}" for change in status.plan.changes]
    return bullets([*lines, *(f"undo: {text(undo)}" for undo in status.plan.undo)])


def _targets(status: ChaosExperimentStatus) -> str:
    if not status.targets:
        return ""
    rows = ((text(f"{one.kind}/{one.name}"), str(one.phase), text(one.mechanism) or NOTHING, _met(one))
            for one in status.targets)  # fmt: skip
    return table(("Target", "Phase", "Made of", "Met"), rows)


def _met(record: TargetRecord) -> str:
    changed = [f"{name}: {record.original.get(name, 'absent')} → {to}" for name, to in record.to.items()]
    counted = [f"{count} {name}" for name, count in record.counters.items()]
    return text(", ".join(changed + counted)) or NOTHING


def _proofs(proofs: Sequence[ProofRecord]) -> str:
    if not proofs:
        return ""
    rows = ((text(f"{one.kind} {one.name}"), str(one.state), *proved(one)) for one in proofs)
    return table(("Drill of", "", "Detected after", "Acted after", "Verified after", "Missing"), rows)


def _stages(status: ChaosExperimentStatus) -> str:
    if status.stages is None:
        return ""
    stages = (("before", status.stages.before), ("during", status.stages.during), ("after", status.stages.after))
    rows = ((title, *_stage(stage)) for title, stage in stages if stage is not None)
    return table(("", "Passed", "Failed", "Latency p95", "Lowest score", "Restarts"), rows)


def _stage(stage: Stage) -> tuple[str, ...]:
    score = NOTHING if stage.score is None else str(stage.score)
    return str(stage.passed), str(stage.failed), took(stage.latency), score, str(stage.restarts)


def _timeline(status: ChaosExperimentStatus) -> Iterator[str]:
    start = status.injected_at or status.started_at
    for seen in status.observations:
        offset = "" if start is None else f" ({_offset(seen.at - start)})"
        yield f"{moment(seen.at)}{offset} {text(seen.what)}"


def _runs(status: ChaosExperimentStatus) -> str:
    if not status.runs:
        return ""
    rows = (
        (str(run.number), moment(run.started_at), str(run.verdict or NOTHING), text(run.reason),
         took(run.timings.detected_after), took(run.timings.acted_after), took(run.timings.recovered_after))
        for run in status.runs
    )  # fmt: skip
    return table(("Run", "Began", "Verdict", "Reason", "Detected", "Acted", "Recovered"), rows)


def _offset(after: timedelta) -> str:
    return f"−{format_duration(-after)}" if after < timedelta(0) else f"+{format_duration(after)}"  # noqa: RUF001
