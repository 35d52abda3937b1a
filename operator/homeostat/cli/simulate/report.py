"""What the replay of an objective came to, as text and as data. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeostat.api.meta import format_decimal, format_time
from homeostat.cli.simulate.coverage import ENDS, Coverage, coarse, coverage, span
from homeostat.cli.simulate.pasts import FILE, HISTORY, Known
from homeostat.core.simulation import objective
from homeostat.core.simulation.questions import Times

MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Told:
    """The same thing twice."""

    data: dict[str, Any]
    lines: tuple[str, ...]


# --- objectives -----------------------------------------------------------------------------------------


def of_objective(
    namespace: str, name: str, known: Known, times: Times, after: objective.Outcome, before: objective.Outcome | None,
) -> Told:  # fmt: skip
    """Tell of a changed objective, beside the present one where that is known."""
    series = known.past.series
    first, last = max(times.since, series.begin), max(series.end, known.past.until or series.end)
    interval = known.past.interval if known.past.stale_after else None
    covered = coverage(series, times.since, last if known.source == FILE else times.until, interval)
    notes = tuple(_notes(known, times, covered))
    data = {
        "kind": "ServiceLevelObjective",
        "namespace": namespace,
        "name": name,
        "since": format_time(first),
        "until": format_time(last),
        "source": known.source,
        "coverage": covered.data(),
        "changed": _outcome_data(after, last),
        "present": _outcome_data(before, last) if before else None,
        "notes": list(notes),
    }
    source = f", from {known.source}" if known.source != HISTORY else ""
    lines = [f"slo/{name} in {namespace}, replayed from {format_time(first)} to {format_time(last)}{source}", ""]
    lines += _outcome_lines("changed", after, last)
    if before:
        lines += ["", *_outcome_lines("present", before, last)]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return Told(data, tuple(lines))


def _outcome_lines(called: str, came: objective.Outcome, end: datetime) -> Iterator[str]:
    left = "unknown" if came.remaining is None else f"{format_decimal(came.remaining)} %"
    left += f" (provisional: {_covered(came)} % of its window has data)" if came.is_provisional else ""
    lowest = f", lowest {format_decimal(came.lowest[0])} % at {format_time(came.lowest[1])}" if came.lowest else ""
    gone = f", exhausted at {format_time(came.exhausted_at)}" if came.exhausted_at else ""
    yield f"{called}: {count(len(came.fired), 'alert')}, budget left {left}{lowest}{gone}"
    for one in came.fired[:MOST_SHOWN]:
        until = f"for {span((one.until or end) - one.since)}" + ("" if one.until else ", and fires still")
        yield f"  {format_time(one.since)}  {one.alert.severity.value:6}  {_alert(one)}  {until}"
    if len(came.fired) > MOST_SHOWN:
        yield f"  and {len(came.fired) - MOST_SHOWN} more; -o json lists all"


def _alert(one: objective.Fired) -> str:
    pair = f" {one.alert.pair}" if one.alert.long else ""
    return f"{one.alert.type.value}{pair}{f' of {one.alert.group}' if one.alert.group else ''}"


def _covered(came: objective.Outcome) -> str | None:
    """Give the percentage of the budget's window that has data, at the end."""
    return format_decimal(came.end.window.coverage) if came.end.window else None


def _outcome_data(came: objective.Outcome, end: datetime) -> dict[str, Any]:
    return {
        "alerts": [
            {
                "type": one.alert.type.value,
                "severity": one.alert.severity.value,
                "windows": one.alert.pair if one.alert.long else "",
                "group": one.alert.group,
                "since": format_time(one.since),
                "until": format_time(one.until) if one.until else None,
                "seconds": int(((one.until or end) - one.since).total_seconds()),
            }
            for one in came.fired
        ],
        "state": came.end.state.value,
        "budgetRemaining": None if came.remaining is None else format_decimal(came.remaining),
        "budgetProvisional": came.is_provisional,
        "windowCoverage": _covered(came),
        "lowestRemaining": format_decimal(came.lowest[0]) if came.lowest else None,
        "lowestAt": format_time(came.lowest[1]) if came.lowest else None,
        "exhaustedAt": format_time(came.exhausted_at) if came.exhausted_at else None,
    }


def _notes(known: Known, times: Times, covered: Coverage) -> Iterator[str]:
    series = known.past.series
    if series.begin > times.since:
        reach = f"data begins at {format_time(series.begin)}: windows that reach further back are counted from there"
        yield f"{reach}, and time without data spends no budget"
    elif series.begin > times.begin + ENDS:
        reach = f"windows reach back to {format_time(times.begin)}, and data to {format_time(series.begin)}"
        yield f"{reach}: they are counted from there, and time without data spends no budget"
    if covered.note():
        yield covered.note()
    yield from coarse(series, times.since)
    yield from known.remarks


# --- words ----------------------------------------------------------------------------------------------


def count(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def how_often(number: int) -> str:
    """Write how often something happened."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
