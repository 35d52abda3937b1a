"""`homeostat report gameday/NAME`: what a game day was to show, what each step showed, and what to do, as one report.

Everything is read from the object itself: its spec, and the status that the day has written. Pure.
"""

from collections.abc import Iterator
from typing import Any

from homeostat.api.chaos import Approval
from homeostat.api.gameday import GameDaySpec, Gate, GateVerdict, OnFailure
from homeostat.api.gameday_status import Day, GameDayStatus, StepRecord
from homeostat.api.meta import format_duration
from homeostat.cli.markdown import bullets, code, page, section, table, text
from homeostat.cli.reports.run import NOTHING, as_wire, between, is_over, moment, proved, took, verdict


def as_data(namespace: str, name: str, spec: GameDaySpec, status: GameDayStatus) -> dict[str, Any]:
    """Give the report as JSON: spec and status of the day in the words of the API, without conditions."""
    return {
        "gameDay": {"namespace": namespace, "name": name, "description": spec.description},
        "steps": spec.wire()["steps"],
        "isOver": is_over(status),
        "day": as_wire(status),
    }


def as_markdown(namespace: str, name: str, spec: GameDaySpec, status: GameDayStatus) -> str:
    """Write the report for humans."""
    parts = [
        f"# {text(namespace)}/{text(name)}, day {status.run_number}",
        text(spec.description),
        verdict(status, "day"),
        table(("", ""), _summary(status)),
        section("Steps", _steps(status)),
        section("What was proved", _proofs(status)),
        section("Why", bullets(_reasons(status))),
        section("Plan", _plans(status)),
        section("Gates", bullets(_gates(spec))),
        section("Recommendations", bullets(text(one) for one in status.recommendations)),
        section("Days", _days(status)),
    ]
    return page(parts)


def _summary(status: GameDayStatus) -> Iterator[tuple[str, str]]:
    yield "Steps begun", status.progress or NOTHING
    yield "Began", moment(status.started_at)
    yield "Ended", moment(status.ended_at)
    yield "Took", between(status.started_at, status.ended_at)


def _steps(status: GameDayStatus) -> str:
    head = ("Step", "Experiment", "Run", "Verdict", "Reason", "Took", "Detected", "Acted", "Recovered", "Reverted")
    return table(head, map(_step, status.steps)) if status.steps else ""


def _step(step: StepRecord) -> tuple[str, ...]:
    times = step.timings
    return (
        text(step.name), code(step.experiment), str(step.run_number or NOTHING), step.verdict or step.phase,
        step.reason or NOTHING, between(step.started_at, step.ended_at), took(times.detected_after),
        took(times.acted_after), took(times.recovered_after), took(times.reverted_after),
    )  # fmt: skip


def _proofs(status: GameDayStatus) -> str:
    rows = [
        (text(step.name), f"{one.kind} {code(one.name)}", one.state, *proved(one))
        for step in status.steps
        for one in step.proofs
    ]
    return table(("Step", "What", "Proof", "Detected", "Acted", "Verified", "Missing"), rows) if rows else ""


def _reasons(status: GameDayStatus) -> Iterator[str]:
    for step in status.steps:
        if step.message:
            yield f"{text(step.name)}: {text(step.message)}"


def _plans(status: GameDayStatus) -> str:
    rows = [
        (text(step.name), text(", ".join(step.plan.targets)), text("; ".join(step.plan.changes)),
         text("; ".join(step.plan.undo)))
        for step in status.steps if step.plan is not None
    ]  # fmt: skip
    return table(("Step", "Targets", "Changes", "Undo"), rows) if rows else ""


def _gates(spec: GameDaySpec) -> Iterator[str]:
    for step in spec.steps[:-1]:
        what = ", ".join(_conditions(step.gate))
        otherwise = "go on all the same" if step.on_failure is OnFailure.CONTINUE else "end the day"
        yield f"after {text(step.name or step.experiment)}: {what}; else {otherwise}"


def _conditions(gate: Gate) -> Iterator[str]:
    yield "any verdict" if gate.verdict is GateVerdict.ANY else "it passed"
    yield f"a pause of {format_duration(gate.wait)}"
    for check in gate.health_checks:
        yield f"HealthCheck {code(check.name)} {check.state} within {format_duration(gate.within)}"
    if gate.approval is Approval.REQUIRED:
        yield "a human's approval"


def _days(status: GameDayStatus) -> str:
    return table(("Day", "Began", "Took", "Verdict", "Reason", "Steps"), map(_day, status.runs)) if status.runs else ""


def _day(day: Day) -> tuple[str, ...]:
    steps = ", ".join(f"{text(step.name)} {step.verdict or NOTHING}" for step in day.steps)
    took = between(day.started_at, day.ended_at)
    return str(day.number), moment(day.started_at), took, day.verdict or NOTHING, day.reason, steps
