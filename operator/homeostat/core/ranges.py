"""How a range of history is read: from the longest buckets that fit its steps, and shorter ones where none does.

Buckets are kept in three lengths: minutes for hours, five minutes for days, hours for long. Shorter ones are read at
the edges of a step, and for the hour that has not ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import NamedTuple

from homeostat.core.history import FIVE_MINUTES, Latency, together
from homeostat.core.window import HOUR, MINUTE

LENGTHS = (HOUR, FIVE_MINUTES, MINUTE)
"""The lengths of buckets (s), longest first. Each is a whole number of the next."""


class Cell(NamedTuple):
    """The counts of one series in one bucket; `observed` in minutes."""

    start: int
    seconds: int
    good: int
    total: int
    observed: int


class Step(NamedTuple):
    """One step of a range, from `start` up to `end` (epoch s). `observed` is the time (s) that had data."""

    start: int
    end: int
    good: int
    total: int
    observed: int
    latency: Latency | None


Stretch = tuple[int, int]
"""From (epoch s), and up to, without."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A range in steps. Steps begin at whole multiples of `step` since the epoch, the first one at `since`.

    All are whole minutes: what begins or ends within a minute takes in the whole of it.
    """

    since: int
    until: int
    step: int

    @classmethod
    def over(cls, since: datetime, until: datetime, step: int) -> "Grid":
        """Lay steps of `step` seconds over a range."""
        first = int(since.timestamp()) // MINUTE * MINUTE
        last = ceil(until.timestamp() / MINUTE) * MINUTE
        return cls(first, max(first, last), max(MINUTE, step // MINUTE * MINUTE))

    def fits(self, start: int, seconds: int) -> bool:
        """Whether a bucket lies in one step."""
        is_inside = self.since <= start and start + seconds <= self.until
        return is_inside and start // self.step == (start + seconds - 1) // self.step

    def steps(self) -> Iterator[Stretch]:
        """Give the steps, in order."""
        start = self.since
        while start < self.until:
            end = min((start // self.step + 1) * self.step, self.until)
            yield start, end
            start = end


def since_oldest(wanted: Iterable[Stretch], oldest: int) -> list[Stretch]:
    """Give what is wanted as far as there can be anything."""
    return [(max(since, oldest), until) for since, until in wanted if until > oldest]


def starts(seconds: int, wanted: Iterable[Stretch]) -> list[int]:
    """Give the starts of the buckets of this length that touch what is wanted."""
    found = dict.fromkeys(
        start for since, until in wanted for start in range(since // seconds * seconds, until, seconds)
    )
    return list(found)


def unsettled(grid: Grid, seconds: int, known: Iterable[int], wanted: Iterable[Stretch]) -> list[Stretch]:
    """Give the buckets of this length, of those that touch what is wanted, that settle nothing.

    There is none (`known` are the starts of those there are), or it fits no step. They are given whole, so that what
    shorter ones know can be compared with it.
    """
    settled = {start for start in known if grid.fits(start, seconds)}
    left: list[Stretch] = []
    for start in starts(seconds, wanted):
        if start in settled:
            continue
        if left and left[-1][1] == start:
            left[-1] = left[-1][0], start + seconds
        else:
            left.append((start, start + seconds))
    return left


def settle(grid: Grid, levels: Sequence[Sequence[Cell]]) -> list[Cell]:
    """Choose which buckets to count, so that no run counts twice. `levels`: cells by length, longest first.

    A bucket that fits a step is taken unless shorter ones know more. One that fits none is taken only where they know
    less, as the shorter ones are gone: it then counts whole in the step that it begins in.
    """
    *longer, chosen = levels
    for level in reversed(longer):
        chosen = _settle(grid, level, chosen)
    return sorted(cell for cell in chosen if grid.since <= cell.start < grid.until)


def _settle(grid: Grid, level: Sequence[Cell], parts: Sequence[Cell]) -> list[Cell]:
    seconds = level[0].seconds if level else MINUTE
    chosen: dict[int, list[Cell]] = {}
    for part in parts:
        chosen.setdefault(part.start // seconds, []).append(part)
    for cell in level:
        finer = sum(part.total for part in chosen.get(cell.start // seconds, []))
        if cell.total > finer or (cell.total == finer and grid.fits(cell.start, seconds)):
            chosen[cell.start // seconds] = [cell]
    return [cell for cells in chosen.values() for cell in cells]


def summed(grid: Grid, cells: Iterable[Cell], latencies: Iterable[tuple[int, Latency]]) -> list[Step]:
    """Sum chosen buckets, and latencies with their start, up by steps."""
    counts: dict[int, list[int]] = {}
    for cell in cells:
        sums = counts.setdefault(cell.start // grid.step, [0, 0, 0])
        sums[0] += cell.good
        sums[1] += cell.total
        sums[2] += cell.observed
    parts: dict[int, list[Latency]] = {}
    for start, latency in latencies:
        parts.setdefault(start // grid.step, []).append(latency)
    steps: list[Step] = []
    for start, end in grid.steps():
        good, total, observed = counts.get(start // grid.step, (0, 0, 0))
        steps.append(Step(start, end, good, total, observed * MINUTE, together(parts.get(start // grid.step, []))))
    return steps
