"""The books of all checks or of all objectives: good and total of every series, minute by minute and coarser.

A result is added to two plain lists (the unfinished minute). At a minute's end `roll` books the minute of all
series at once into every tier; `window` then answers from the finest tier that reaches far enough. Nothing
here knows the time: minutes are counted since the epoch and told.

Memory of a series whose every bucket was lived through, with n windows asked for: CHECK_TIERS 1,074 x 4 =
4,296 bytes, OBJECTIVE_TIERS 3,390 x 8 = 27,120 (15,600 after 30 days); to either 16 + 24 n, and the name.
Series are held in blocks of 128.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from homeostat.core.ring import GOOD, OBSERVED, TOTAL, Counted, Ring, RunningSum, fuller, nothing
from homeostat.core.window import MINUTE, Bucket, Counts, Tier

BLOCK = 128
MOST_SUMS = 24
"""Windows whose sums are kept up to date; any further window is summed up when it is asked for."""
MOST_MINUTES = 60
"""Minutes that a bucket may have, as a cell counts them."""


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A period that is over, for all series that had data in it: arrays side by side. Iterates as buckets."""

    start: int
    seconds: int
    series: tuple[str, ...]
    counted: Counted

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Bucket]:
        for name, good, total, observed in zip(self.series, *self.counted.tolist(), strict=True):
            yield Bucket(name, self.start, self.seconds, good, total, observed)


class Ledger:
    """Counts of many series over time. Not thread-safe; holds no clock.

    A window of n minutes is the unfinished minute and the n - 1 before it. It is exact where its edge is the
    edge of a bucket of its tier, which for the first tier is always; elsewhere the oldest bucket counts with
    the share of it that is inside the window.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        _require_nested(tiers)
        self.tiers = tuple(tiers)
        self._rings = [Ring(tier) for tier in tiers]
        self._minute = -1
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self._good: list[int] = []
        self._total: list[int] = []
        self._sums: dict[int, RunningSum] = {}

    @property
    def minute(self) -> int:
        """The unfinished minute, since the epoch; -1 before it was told."""
        return self._minute

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the open series."""
        return tuple(self._slots)

    def open(self, series: str) -> int:
        """Give the slot of a series, a new and empty one if it has none."""
        if series in self._slots:
            return self._slots[series]
        if self._free:
            slot = self._free.pop()
            self._names[slot] = series
        else:
            slot = len(self._names)
            self._names.append(series)
            self._good.append(0)
            self._total.append(0)
        self._slots[series] = slot
        return slot

    def close(self, slot: int) -> None:
        """Forget a series and all its counts; the slot may be given to another. Closing twice is closing once."""
        if self._slots.get(self._names[slot]) != slot:
            return
        del self._slots[self._names[slot]]
        self._names[slot] = ""
        self._free.append(slot)
        self._good[slot] = self._total[slot] = 0
        for ring in self._rings:
            ring.clear(slot)
        for running in self._sums.values():
            running.clear(slot)

    def add(self, slot: int, good: int, total: int) -> None:
        """Count in the unfinished minute: `good` of `total`. The hot path."""
        self._good[slot] += good
        self._total[slot] += total

    def roll(self, minute: int) -> tuple[Closed, ...]:
        """Go on to `minute`, and give what closed: a minute, and the coarser buckets that ended with it.

        Skipped minutes have no data. On a clock that went back nothing happens: results go on counting in the
        newest minute until time has caught up. At a graceful stop `roll(ledger.minute + 1)` gives what is left.
        """
        if minute <= self._minute:
            return ()
        booked, self._minute = self._minute, minute
        if booked < 0:
            return ()
        self._book(booked)
        closed = ((ring, ring.bucket_of(booked)) for ring in self._rings)
        records = (self._closed(ring, bucket) for ring, bucket in closed if ring.bucket_of(minute) > bucket)
        return tuple(record for record in records if record.series)

    def load(self, period: Closed) -> None:
        """Take up one period of history, of the series that are open; what is out of reach is left out.

        First `roll` to where history ends; then load each period once, in any order; then `sum_up`. Counts that are
        there stay if they are fuller; those of the unfinished minute add up.
        """
        ring = next((ring for ring in self._rings if ring.tier.seconds == period.seconds), None)
        if ring is None or period.start < 0 or period.start % period.seconds:
            return
        slots = np.array([self._slots.get(name, -1) for name in period.series], dtype=np.int64)
        known = np.flatnonzero((slots >= 0) & _is_sound(period.counted))
        number, newest = period.start // period.seconds, ring.bucket_of(self._minute)
        if newest - ring.tier.count < number < newest:
            self._merge(ring, number, slots[known], period.counted[:, known])
        elif number == newest and ring is self._rings[0]:
            good, total, _ = period.counted
            for place in known.tolist():
                self.add(int(slots[place]), int(good[place]), int(total[place]))

    def sum_up(self) -> tuple[Closed, ...]:
        """Sum coarse buckets that history lacks up from finer ones; give them, to be written."""
        closed = tuple(record for fine, coarse in pairwise(self._rings) for record in self._sum_up(fine, coarse))
        self._sums.clear()
        return closed

    def window(self, slot: int, seconds: int) -> Counts:
        """Count the last `seconds` of a series, the unfinished minute included. Beyond all tiers: what there is."""
        ring = next((ring for ring in self._rings if ring.tier.reach >= seconds), self._rings[-1])
        size = ring.tier.seconds
        edge = (self._minute + 1) * MINUTE - min(max(seconds, MINUTE), ring.tier.reach)
        first, last = -(-edge // size), ring.bucket_of(self._minute)
        good, total, observed = self._sum(ring, seconds, (first, last), slot)
        newest = (self._good[slot], self._total[slot], 1 if self._total[slot] else 0)
        unfinished = ring.cell(last, slot)
        oldest, share = ring.cell(first - 1, slot), first - edge / size
        return Counts(
            good=good + newest[GOOD] + unfinished[GOOD] + share * oldest[GOOD],
            total=total + newest[TOTAL] + unfinished[TOTAL] + share * oldest[TOTAL],
            observed_seconds=MINUTE * (observed + newest[OBSERVED] + unfinished[OBSERVED] + share * oldest[OBSERVED]),
            span_seconds=seconds,
        )

    def periods(self, slot: int, seconds: int, count: int) -> tuple[tuple[int, int], ...]:
        """Give good and total of the newest `count` buckets of `seconds`, oldest first; the last is unfinished.

        There must be a tier of such buckets, which holds as many.
        """
        ring = next(ring for ring in self._rings if ring.tier.seconds == seconds)
        newest = ring.bucket_of(self._minute)
        cells = [ring.cell(bucket, slot) for bucket in range(newest - count + 1, newest + 1)]
        counts = [(cell[GOOD], cell[TOTAL]) for cell in cells]
        counts[-1] = counts[-1][GOOD] + self._good[slot], counts[-1][TOTAL] + self._total[slot]
        return tuple(counts)

    def _width(self) -> int:
        return -(-len(self._names) // BLOCK) * BLOCK

    def _book(self, minute: int) -> None:
        count = len(self._names)
        counted = nothing(self._width())
        counted[GOOD, :count] = self._good
        counted[TOTAL, :count] = self._total
        counted[OBSERVED] = counted[TOTAL] > 0
        self._good[:] = self._total[:] = [0] * count
        for ring in self._rings:
            ring.add(ring.bucket_of(minute), counted)

    def _closed(self, ring: Ring, bucket: int, chosen: npt.NDArray[np.bool_] | None = None) -> Closed:
        counted = ring.counted(bucket, self._width())
        slots = np.flatnonzero(counted[TOTAL] if chosen is None else chosen)
        names = tuple(self._names[slot] for slot in slots.tolist())
        return Closed(bucket * ring.tier.seconds, ring.tier.seconds, names, counted[:, slots])

    def _sum(self, ring: Ring, seconds: int, run: tuple[int, int], slot: int) -> tuple[int, int, int]:
        """Sum a run of closed buckets, for one series."""
        running = self._sums.get(seconds)
        if running is None and len(self._sums) < MOST_SUMS:
            running = self._sums[seconds] = RunningSum(ring)
        if running is None:
            cells = [ring.cell(bucket, slot) for bucket in range(*run)]
            return sum(c[GOOD] for c in cells), sum(c[TOTAL] for c in cells), sum(c[OBSERVED] for c in cells)
        good, total, observed = running.over(*run, self._width())[:, slot].tolist()
        return good, total, observed

    def _merge(self, ring: Ring, number: int, slots: npt.NDArray[np.int64], counted: Counted) -> None:
        old = ring.counted(number, self._width())
        new = nothing(old.shape[1])
        new[:, slots] = counted
        allowed = np.minimum(ring.tier.seconds // MINUTE, new[TOTAL])
        new[OBSERVED] = np.where(new[OBSERVED] > 0, new[OBSERVED], allowed)
        ring.put(number, np.where(fuller(old, new), new, old))

    def _sum_up(self, fine: Ring, coarse: Ring) -> tuple[Closed, ...]:
        """Fill coarse buckets from finer ones wherever these know more; give the closed ones that gained by it."""
        parts = coarse.tier.seconds // fine.tier.seconds
        newest = coarse.bucket_of(self._minute)
        oldest = max((fine.bucket_of(self._minute) - fine.tier.count + 1) // parts, newest - coarse.tier.count + 1)
        closed: list[Closed] = []
        for number in range(max(oldest, 0), newest + 1):
            old = coarse.counted(number, self._width())
            new = nothing(old.shape[1])
            for part in range(number * parts, (number + 1) * parts):
                new += fine.counted(part, new.shape[1])
            coarse.put(number, np.where(fuller(old, new), new, old))
            gained = new[TOTAL] > old[TOTAL]
            if number < newest and gained.any():
                closed.append(self._closed(coarse, number, gained))
        return tuple(closed)


def _is_sound(counted: Counted) -> npt.NDArray[np.bool_]:
    good, total, observed = counted
    result: npt.NDArray[np.bool_] = (good >= 0) & (good <= total) & (total > 0) & (observed >= 0)
    return result


def _require_nested(tiers: Sequence[Tier]) -> None:
    """Raise ValueError unless tiers start with minutes and each is made of the one before, within its reach."""
    if not tiers or tiers[0].seconds != MINUTE or tiers[-1].seconds > MOST_MINUTES * MINUTE:
        raise ValueError("the first tier counts minutes, the last at most hours")
    for fine, coarse in pairwise(tiers):
        if coarse.seconds % fine.seconds or fine.reach < coarse.seconds:
            raise ValueError(
                "a tier's buckets are made of those of the tier before, which reaches at least one of them"
            )
