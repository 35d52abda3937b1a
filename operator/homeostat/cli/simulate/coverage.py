"""Of how much of the time something is known, and of which parts nothing: what is missing is said. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np

from homeostat.api.meta import format_duration, format_time
from homeostat.core.history.window import MINUTE
from homeostat.core.simulation.recorded import Stretch

MOST_GAPS = 5
"""Gaps that are listed, the longest first; data has more of them."""
MOST_GAPS_OF_DATA = 1000
_COARSE = (
    "before {when} there are buckets of {what} alone: alerts that fired for less are missing, and times are as coarse"
)
ENDS = timedelta(minutes=5)
"""Of the ends of a history: less is the minute under way, and what a store keeps last."""


class Reaching(Protocol):
    """Something of whose past more or less is known."""

    def __len__(self) -> int:
        """Give how much is known at all."""
        ...

    @property
    def ends(self) -> Sequence[int]:
        """Give up to when (epoch s) something is known, again and again."""
        ...

    def gaps(self, since: int, until: int) -> list[Stretch]:
        """Give the stretches of which nothing is known."""
        ...

    def resolutions(self) -> list[tuple[int, datetime]]:
        """Give the lengths of what is known (s), each with the end of the last of them."""
        ...


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of how much of the time that is replayed something is known, and of which parts nothing."""

    share: float
    gaps: tuple[Stretch, ...]

    def data(self) -> dict[str, Any]:
        """Give it as data."""
        listed = self.gaps[:MOST_GAPS_OF_DATA]
        return {
            "share": f"{self.share:.4f}",
            "missing": [{"since": _time(start), "until": _time(end)} for start, end in listed],
        }

    def note(self) -> str:
        """Say it in a sentence; "" where nothing is missing."""
        if not self.gaps:
            return ""
        longest = sorted(self.gaps, key=lambda gap: gap[0] - gap[1])[:MOST_GAPS]
        listed = "; ".join(f"{_time(start)} to {_time(end)}" for start, end in sorted(longest))
        more = f"; and {len(self.gaps) - MOST_GAPS} shorter ones" if len(self.gaps) > MOST_GAPS else ""
        return f"there is data of {_percent(self.share)} of the time; none from {listed}{more}"


def coverage(past: Reaching, since: datetime, until: datetime, interval: timedelta | None) -> Coverage:
    """Say what of a time is known. `interval`: how often data comes; None where that shows in the data alone."""
    first, last = int(since.timestamp()), int(until.timestamp())
    least = interval.total_seconds() if interval else max(3 * _spacing(past, first), ENDS.total_seconds())
    edge = max(least, ENDS.total_seconds() + min((length for length, _ in past.resolutions()), default=0))
    gaps = tuple(
        (start, end)
        for start, end in past.gaps(first, last)
        if end - start >= (edge if start == first or end == last else least)
    )
    return Coverage(1 - sum(end - start for start, end in gaps) / max(last - first, 1), gaps)


def _spacing(past: Reaching, since: int) -> float:
    """Give how far apart data usually comes (s)."""
    apart = np.diff([end for end in past.ends if end >= since])
    return float(np.median(apart)) if len(apart) else 0.0


def coarse(series: Reaching, since: datetime) -> Iterator[str]:
    """Say which part of what is replayed is known only coarsely."""
    for seconds, until in series.resolutions():
        if seconds > MINUTE and until > since:
            yield _COARSE.format(when=format_time(until), what=span(timedelta(seconds=seconds)))


def span(time: timedelta) -> str:
    """Write a length of time, in whole seconds."""
    return format_duration(timedelta(seconds=round(time.total_seconds())))


def _time(at: int) -> str:
    return format_time(datetime.fromtimestamp(at, UTC))


def _percent(share: float) -> str:
    """Write a share; what is not all is never called 100 %."""
    return f"{min(share * 100, 99.9) if share < 1 else 100:.1f} %"
