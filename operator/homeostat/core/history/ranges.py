"""How a range of history is read: from the longest buckets that fit its steps, and shorter ones where none does.

Buckets are kept in three lengths: minutes for hours, five minutes for days, hours for long. Shorter ones are read at
the edges of a step, and for the hour that has not ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, fsum
from typing import NamedTuple

from homeostat.core.history.records import FIVE_MINUTES, Latency, together
from homeostat.core.history.window import HOUR, MINUTE

LENGTHS = (HOUR, FIVE_MINUTES, MINUTE)
"""The lengths of buckets (s), longest first. Each is a whole number of the next."""

ROUNDING = 1e-6
"""How far, in parts, a sum of stored numbers may be off: each is rounded to one in 16 million."""


class Cell(NamedTuple):
    """The counts of one series in one bucket; `observed` in minutes. Counts need not be whole."""

    start: int
    seconds: int
    good: float
    total: float
    observed: int


class Step(NamedTuple):
    """One step of a range, from `start` up to `end` (epoch s). `observed` is the time (s) that had data."""

    start: int
    end: int
    good: float
    total: float
    observed: int
    latency: Latency | None

    @property
    def bad(self) -> float:
        """Events that were not good."""
        return self.total - self.good


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
        more = cell.total - finer
        if more > _doubt(cell.total, finer) or (more >= -_doubt(cell.total, finer) and grid.fits(cell.start, seconds)):
            chosen[cell.start // seconds] = [cell]
    return [cell for cells in chosen.values() for cell in cells]


def _doubt(*totals: float) -> float:
    """Give by how much two totals of the same events may differ: numbers that are not whole are stored rounded."""
    return 0.0 if all(float(total).is_integer() for total in totals) else ROUNDING * max(totals)


def summed(grid: Grid, cells: Iterable[Cell], latencies: Iterable[tuple[int, Latency]]) -> list[Step]:
    """Sum chosen buckets, and latencies with their start, up by steps."""
    inside: dict[int, list[Cell]] = {}
    for cell in cells:
        inside.setdefault(cell.start // grid.step, []).append(cell)
    parts: dict[int, list[Latency]] = {}
    for start, latency in latencies:
        parts.setdefault(start // grid.step, []).append(latency)
    steps: list[Step] = []
    for start, end in grid.steps():
        counted = inside.get(start // grid.step, [])
        observed = sum(cell.observed for cell in counted) * MINUTE
        steps.append(Step(start, end, *_sums(counted), observed, together(parts.get(start // grid.step, []))))
    return steps


def _sums(cells: Sequence[Cell]) -> tuple[float, float]:
    """Sum good and total up: of whole numbers exactly, of others rounded once, so that no order of buckets matters."""
    bad, total = fsum(cell.total - cell.good for cell in cells), fsum(cell.total for cell in cells)
    return total - bad, total
