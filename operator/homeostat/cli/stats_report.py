"""How well policies heal, as a table for a terminal or JSON for a script. Pure: figures in, text or data out."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.meta import format_duration, format_time
from homeostat.core.recovery.analytics import Figures, Part, Spread

NOTHING = "-"
_HEADS = {"policy": ("POLICY",), "step": ("POLICY", "STEP"), "cause": ("POLICY", "CAUSE")}
_COLUMNS = ("ATTEMPTS", "RECOVERED", "SUCCESS", "DETECT", "DECIDE", "ACT", "RECOVER", "P95", "OTHERS")
_SHOWN = frozenset({"Recovered"})


def as_text(figures: Sequence[Figures], by: str, since: datetime) -> Iterator[str]:
    """Tell how well healing worked; the four times are medians, P95 is of recovering."""
    if not figures:
        yield f"no attempt since {format_time(since)}"
        return
    rows = [(*_HEADS[by], *_COLUMNS), *map(_cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_data(figures: Sequence[Figures], by: str, since: datetime) -> dict[str, Any]:
    """Give the same as data; durations in seconds."""
    return {"since": format_time(since), "by": by, "items": [_item(one, by) for one in figures]}


def _cells(one: Figures) -> tuple[str, ...]:
    medians = (_short(one.took[part].median) if part in one.took else NOTHING for part in Part)
    p95 = _short(one.took[Part.RECOVER].p95) if Part.RECOVER in one.took else NOTHING
    rate = NOTHING if one.success_rate is None else f"{one.success_rate:.0%}"
    others = ", ".join(f"{count} {outcome}" for outcome, count in sorted(one.outcomes.items()) if outcome not in _SHOWN)
    return (*one.key, str(one.attempts), str(one.recovered), rate, *medians, p95, others or NOTHING)


def _item(one: Figures, by: str) -> dict[str, Any]:
    names = (name.lower() for name in _HEADS[by])
    return dict(zip(names, one.key, strict=True)) | {
        "attempts": one.attempts,
        "recovered": one.recovered,
        "successRate": one.success_rate,
        "outcomes": dict(one.outcomes),
        "seconds": {part.value: _spread(spread) for part, spread in one.took.items()},
    }


def _spread(spread: Spread) -> dict[str, float]:
    return {
        "count": spread.count,
        "mean": spread.mean.total_seconds(),
        "p50": spread.median.total_seconds(),
        "p95": spread.p95.total_seconds(),
    }


def _short(span: timedelta) -> str:
    """Write a span to the tenth of a second, and to the second from a minute on."""
    if span < timedelta(minutes=1):
        return f"{span.total_seconds():.1f}s".replace(".0s", "s")
    return format_duration(timedelta(seconds=round(span.total_seconds())))
