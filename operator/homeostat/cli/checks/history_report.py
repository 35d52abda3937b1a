"""What history holds, as a table for a terminal or JSON for a script. Pure: what was read in, text or data out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor, fsum
from typing import Any

from homeostat.api.meta import format_duration, format_precise_time, format_time
from homeostat.core.history.ranges import Grid, Step
from homeostat.core.history.records import Known, Latency, PastRun, together

NOTHING = "-"
WINDOWS = {"24h": 86400, "7d": 7 * 86400, "30d": 30 * 86400}
_HEAD = ("START", "UPTIME", "GOOD", "TOTAL", "OBSERVED", "P50", "P95", "P99", "MAX")


@dataclass(frozen=True, slots=True)
class Store:
    """What the store is: its file or database, bytes on disk, and bytes by table."""

    path: str
    size: int
    tables: dict[str, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """One check that history knows: good and all runs by window, in the order of WINDOWS."""

    known: Known
    uptime: Sequence[tuple[float, float]]


# --- a range --------------------------------------------------------------------------------------------


def steps_as_text(known: Known, grid: Grid, steps: Sequence[Step]) -> Iterator[str]:
    """Tell how a check fared, step by step; what is not known is a dash."""
    whole = _whole(grid, steps)
    yield f"{_title(known)}, {_time(grid.since)} to {_time(grid.until)}"
    counts = f"{_good(whole.good)} of {_number(whole.total)} good, {_span(whole.observed)} observed"
    yield f"{_percent(whole.good, whole.total)} up: {counts}"
    if whole.latency:
        p50, p95, p99, longest = map(_milliseconds, whole.latency[1:])
        yield f"latency: p50 {p50}, p95 {p95}, p99 {p99}, max {longest}"
    yield ""
    yield from _table([_HEAD, *map(_cells, steps)])


def steps_as_data(known: Known, grid: Grid, steps: Sequence[Step]) -> dict[str, Any]:
    """Give the same as data; durations in seconds."""
    return _identity(known) | {
        "step": grid.step,
        "whole": _step_data(_whole(grid, steps)),
        "steps": [_step_data(step) for step in steps],
    }


def _whole(grid: Grid, steps: Sequence[Step]) -> Step:
    return Step(
        grid.since,
        grid.until,
        good=fsum(step.good for step in steps),
        total=fsum(step.total for step in steps),
        observed=sum(step.observed for step in steps),
        latency=together([step.latency for step in steps if step.latency]),
    )


def _cells(step: Step) -> Sequence[str]:
    latencies = [_milliseconds(value) for value in step.latency[1:]] if step.latency else [NOTHING] * 4
    if not step.total:
        return (_time(step.start), *[NOTHING] * 4, *latencies)
    counts = (_percent(step.good, step.total), _good(step.good), _number(step.total), _span(step.observed))
    return (_time(step.start), *counts, *latencies)


def _step_data(step: Step) -> dict[str, Any]:
    return {
        "start": _time(step.start),
        "end": _time(step.end),
        "good": _whole_if_it_is(step.good),
        "total": _whole_if_it_is(step.total),
        "observed": step.observed,
        "uptime": step.good / step.total if step.total else None,
        "latency": _latency_data(step.latency),
    }


def _latency_data(latency: Latency | None) -> dict[str, Any] | None:
    if latency is None:
        return None
    return {"runs": latency.runs, "p50": latency.p50, "p95": latency.p95, "p99": latency.p99, "max": latency.longest}


# --- runs -----------------------------------------------------------------------------------------------


def runs_as_text(known: Known, runs: Sequence[PastRun]) -> Iterator[str]:
    """Tell of every run."""
    yield f"{_title(known)}, {len(runs)} runs"
    if runs:
        yield ""
        yield from _table([("TIME", "RESULT", "LATENCY", "REASON"), *map(_run_cells, runs)])


def runs_as_data(known: Known, runs: Iterable[PastRun]) -> dict[str, Any]:
    """Give the same as data."""
    return _identity(known) | {
        "runs": [
            {
                "at": format_precise_time(datetime.fromtimestamp(run.at, UTC)),
                "verdict": run.verdict.value,
                "reason": run.reason.value if run.reason else None,
                "seconds": run.seconds,
                "retried": run.is_retried,
            }
            for run in runs
        ]
    }


def _run_cells(run: PastRun) -> Sequence[str]:
    at = datetime.fromtimestamp(run.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    reason = run.reason.value if run.reason else NOTHING
    return at, run.verdict.value, _milliseconds(run.seconds), f"{reason} (after a retry)" if run.is_retried else reason


# --- all checks -----------------------------------------------------------------------------------------


def list_as_text(listed: Sequence[Listed], store: Store) -> Iterator[str]:
    """Tell which checks history knows, how they fared, and what it takes on disk."""
    if listed:
        head = ("NAMESPACE", "NAME", "SERVICE", *(name.upper() for name in WINDOWS), "LAST SEEN")
        rows = [
            (
                one.known.namespace, one.known.name, one.known.service or NOTHING,
                *(_percent(*counts) for counts in one.uptime), _time(one.known.seen)[:10],
            )
            for one in listed
        ]  # fmt: skip
        yield from _table([head, *rows])
        yield ""
    parts = ", ".join(f"{name} {_bytes(size)}" for name, size in store.tables.items())
    yield f"{len(listed)} checks in {store.path}: {_bytes(store.size)}{f' ({parts})' if parts else ''}"


def list_as_data(listed: Iterable[Listed], store: Store) -> dict[str, Any]:
    """Give the same as data."""
    checks = [
        _identity(one.known)
        | {
            "seen": _time(one.known.seen),
            "uptime": {
                name: {
                    "good": _whole_if_it_is(good),
                    "total": _whole_if_it_is(total),
                    "ratio": good / total if total else None,
                }
                for name, (good, total) in zip(WINDOWS, one.uptime, strict=True)
            },
        }
        for one in listed
    ]
    return {"checks": checks, "store": {"path": store.path, "bytes": store.size, "tables": store.tables}}


# --- words ----------------------------------------------------------------------------------------------


def _title(known: Known) -> str:
    return f"{known.namespace}/{known.name}" + (f" of service {known.service}" if known.service else "")


def _identity(known: Known) -> dict[str, Any]:
    uid = known.series.partition("/")[2]
    return {"namespace": known.namespace, "name": known.name, "uid": uid, "service": known.service}


def _percent(good: float, total: float) -> str:
    """Write a share, rounded down: only what is perfect reads 100."""
    if not total:
        return NOTHING
    thousandths = Fraction(good) * 100_000 // Fraction(total)
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".") + " %"


def _good(count: float) -> str:
    """Write what was good: to a thousandth, rounded down, where it is not whole."""
    return _number(count if count.is_integer() else floor(count * 1000) / 1000)


def _number(count: float) -> str:
    return str(int(count)) if count.is_integer() else f"{count:.3f}".rstrip("0").rstrip(".")


def _whole_if_it_is(count: float) -> float:
    return int(count) if count.is_integer() else count


def _time(at: int) -> str:
    return format_time(datetime.fromtimestamp(at, UTC))


def _span(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - what the units are steps of
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
