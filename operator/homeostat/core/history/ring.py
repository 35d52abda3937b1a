"""The newest buckets of one resolution, of all series at once: a row a bucket, a packed cell a series.

A cell is one unsigned integer: the minutes observed, the bad and the total, from high bits to low. Rows come
to be when they are first written, so time that was never lived through costs no memory; a row that holds
another bucket than the one asked for reads as no data, so a gap in time costs nothing either.

A count of 29 bits is a whole number below 2^28 as it is. Any other (a fraction, or larger) is marked by the highest
bit, beside a float32 without its sign and its three lowest bits: off by at most 6e-7 of itself, and never 0. A count
of 13 bits is a whole number; one that does not fit is scaled, with its cell.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from homeostat.core.history.window import Tier

BAD, TOTAL, OBSERVED = 0, 1, 2
OBSERVED_BITS = 6
MOST_OBSERVED = (1 << OBSERVED_BITS) - 1
ROUGH_BITS = 29
"""Counts of so many bits may be fractions."""
ROUGH = 1 << (ROUGH_BITS - 1)
"""Marks a count that is no whole number below this."""
_DROPPED = 3
_MOST_ROUGH = 0x7F7FFFFF >> _DROPPED  # the largest float32
_EXACT = float(1 << 53)
_LARGEST = float(np.finfo(np.float32).max)
_BITS, _FLOAT = Struct("=I"), Struct("=f")

Counted = npt.NDArray[np.float64]
"""Shape (3, n): bad, total, minutes observed of n series, or of n buckets. Whole numbers are exact up to 2^53."""
Cells = npt.NDArray[Any]
"""Shape (n,): packed cells, uint32 or uint64."""
Slots = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Three = tuple[float, float, float]
"""Bad, total and minutes observed of one series."""


def nothing(width: int) -> Counted:
    """Give the counts of `width` series without data."""
    return np.zeros((3, width))


def widened(counted: Counted, width: int) -> Counted:
    """Give the counts for at least `width` series; the new ones have no data."""
    missing = width - counted.shape[1]
    return np.pad(counted, ((0, 0), (0, missing))) if missing > 0 else counted


def fuller(old: Counted, new: Counted) -> Flags:
    """Say of which series `new` has data and more events than `old`, or as many in at least as many minutes."""
    more = (new[TOTAL] > old[TOTAL]) | ((new[TOTAL] == old[TOTAL]) & (new[OBSERVED] >= old[OBSERVED]))
    result: Flags = more & ((new[TOTAL] > 0) | (new[OBSERVED] > 0))
    return result


class Ring:
    """The newest `tier.count` buckets of `tier.seconds`. A bucket's number is its start over its length.

    `is_rough`: a count that is no small whole number has been written, so sums may carry the noise of fractions.
    """

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.is_rough = False
        self._most = (1 << tier.bits) - 1
        self._type = np.uint32 if 2 * tier.bits + OBSERVED_BITS <= 32 else np.uint64  # noqa: PLR2004 - bits
        self._no_row: Cells = np.zeros(0, self._type)
        self._rows: list[Cells] = [self._no_row] * tier.count
        self._numbers = [-1] * tier.count

    def bucket_of(self, minute: int) -> int:
        """Give the number of the bucket that a minute is in."""
        return minute * 60 // self.tier.seconds

    def is_overwritten(self, bucket: int) -> bool:
        """Whether a newer bucket has taken the place of this one."""
        return self._numbers[bucket % self.tier.count] > bucket

    def counted(self, bucket: int, width: int) -> Counted:
        """Unpack a bucket for at least `width` series."""
        return widened(self._unpacked(self._row(bucket)), width)

    def at(self, bucket: int, slots: Slots) -> Counted:
        """Unpack some series of a bucket."""
        row = self._row(bucket)
        if not len(row):
            return nothing(len(slots))
        return self._unpacked(np.where(slots < len(row), row[np.minimum(slots, len(row) - 1)], row.dtype.type(0)))

    def of(self, slot: int, buckets: Iterable[int]) -> Counted:
        """Unpack one series of some buckets."""
        found = self._run_of(slot, buckets) if isinstance(buckets, range) else None
        if found is None:
            rows = map(self._row, buckets)
            found = [row.item(slot) if slot < len(row) else 0 for row in rows]
        return self._unpacked(np.array(found, self._type))

    def _run_of(self, slot: int, buckets: range) -> list[int] | None:
        """Give the cells of a run of buckets, in half the time; None if one of them is not there."""
        count, first = self.tier.count, buckets.start % self.tier.count
        if len(buckets) > count or buckets.step != 1:
            return None
        end = first + len(buckets)
        if self._numbers[first:end] + self._numbers[: max(end - count, 0)] != list(buckets):
            return None
        try:
            return [row.item(slot) for row in self._rows[first:end] + self._rows[: max(end - count, 0)]]
        except IndexError:
            return None

    def one(self, slot: int, bucket: int) -> Three:
        """Unpack one series of one bucket."""
        row = self._row(bucket)
        cell: int = row.item(slot) if slot < len(row) else 0
        if not cell:
            return 0.0, 0.0, 0.0
        bits, most = self.tier.bits, self._most
        bad, total = self._number(cell >> bits & most), self._number(cell & most)
        return min(bad, total) if self.is_rough else bad, total, float(cell >> 2 * bits)

    def put_one(self, slot: int, bucket: int, three: Three, width: int) -> Three:
        """Replace one series of a bucket, which must be one of the newest `tier.count`; give what it gained."""
        bad, total, observed = three
        before, row = self.one(slot, bucket), self._row(bucket)
        if slot < len(row) and (total <= self._most or self.tier.bits == ROUGH_BITS):
            bits = self.tier.bits
            row[slot] = min(int(observed), MOST_OBSERVED) << 2 * bits | self._code(bad) << bits | self._code(total)
        else:
            self.put_at(bucket, np.array([slot]), np.array([three], dtype=np.float64).T, width)
        after = self.one(slot, bucket)
        return after[BAD] - before[BAD], after[TOTAL] - before[TOTAL], after[OBSERVED] - before[OBSERVED]

    def put(self, bucket: int, counted: Counted) -> None:
        """Replace a bucket, which must be one of the newest `tier.count`."""
        place, packed = bucket % self.tier.count, self._packed(counted)
        if len(self._rows[place]) == len(packed):
            self._rows[place][:] = packed  # in place: rows of one size must not scatter over the heap
        else:
            self._rows[place] = packed
        self._numbers[place] = bucket

    def put_at(self, bucket: int, slots: Slots, counted: Counted, width: int) -> None:
        """Replace some series of a bucket, which must be one of the newest `tier.count`."""
        place, row = bucket % self.tier.count, self._row(bucket)
        if len(row) < width:
            row = np.pad(row, (0, width - len(row)))
        row[slots] = self._packed(counted)
        self._rows[place], self._numbers[place] = row, bucket

    def has(self, bucket: int) -> bool:
        """Whether anything was written into a bucket."""
        return self._numbers[bucket % self.tier.count] == bucket

    def rounded(self, counted: Counted) -> Counted:
        """Give counts as cells hold them, as far as they hold fractions."""
        return self._unpacked(self._packed(counted)) if self.is_rough else counted

    def clear(self, slot: int) -> None:
        """Forget one series."""
        for row in self._rows:
            if slot < len(row):
                row[slot] = 0

    def _row(self, bucket: int) -> Cells:
        place = bucket % self.tier.count
        return self._rows[place] if self._numbers[place] == bucket else self._no_row

    def _code(self, count: float) -> int:
        """Encode one count, that needs no scaling, as `_coded` does many."""
        if self.tier.bits != ROUGH_BITS or (count < ROUGH and count == int(count)):
            return int(count)
        self.is_rough = True
        bits: int = _BITS.unpack(_FLOAT.pack(min(count, _LARGEST)))[0]
        return min(max((bits + (1 << (_DROPPED - 1))) >> _DROPPED, 1), _MOST_ROUGH) | ROUGH

    def _number(self, code: int) -> float:
        """Decode one count."""
        if not self.is_rough or not code & ROUGH:
            return float(code)
        found: float = _FLOAT.unpack(_BITS.pack((code & (ROUGH - 1)) << _DROPPED))[0]
        return found

    def _unpacked(self, cells: Cells) -> Counted:
        bits, most = self.tier.bits, self._most
        counted = np.empty((3, len(cells)))
        counted[BAD] = self._decoded((cells >> bits) & most)
        counted[TOTAL] = self._decoded(cells & most)
        counted[OBSERVED] = cells >> (2 * bits)
        if self.is_rough:  # a whole total may lie just below a rough bad of the same size
            np.minimum(counted[BAD], counted[TOTAL], out=counted[BAD])
        return counted

    def _decoded(self, codes: Cells) -> Any:  # noqa: ANN401 - an array of counts, of either kind of number
        if not self.is_rough:
            return codes
        rough = ((codes & (ROUGH - 1)) << _DROPPED).astype(np.uint32).view(np.float32)
        return np.where(codes & ROUGH, rough.astype(np.float64), codes)

    def _packed(self, counted: Counted) -> Cells:
        bits = self.tier.bits
        fitting = counted if bits == ROUGH_BITS else self._scaled(counted)
        observed = np.minimum(fitting[OBSERVED], MOST_OBSERVED).astype(self._type)
        bad, total = self._coded(fitting[BAD]), self._coded(fitting[TOTAL])
        packed: Cells = (observed << (2 * bits)) | (bad << bits) | total
        return packed

    def _coded(self, counts: npt.NDArray[np.float64]) -> Cells:
        whole = np.minimum(counts, _EXACT).astype(self._type)
        if self.tier.bits != ROUGH_BITS:
            return whole
        is_whole = (whole == counts) & (counts < ROUGH)
        if is_whole.all():
            return whole
        self.is_rough = True
        bits = np.minimum(counts, _LARGEST).astype(np.float32).view(np.uint32)
        rounded = (bits + (1 << (_DROPPED - 1))) >> _DROPPED
        return np.where(is_whole, whole, np.clip(rounded, 1, _MOST_ROUGH).astype(self._type) | ROUGH)

    def _scaled(self, counted: Counted) -> Counted:
        """Scale counts that do not fit: the ratio stays, rounded against us, and all good stays all good."""
        over = counted[TOTAL] > self._most
        if not over.any():
            return counted
        fitting = counted.copy()
        fitting[BAD, over] = np.minimum(np.ceil(counted[BAD, over] * self._most / counted[TOTAL, over]), self._most)
        fitting[TOTAL, over] = self._most
        return fitting


class RunningSum:
    """The sum of a run of buckets that moves with time: follows by adding what came and taking what went.

    `asked` is the minute in which it was last wanted. Sums of fractions are made anew once all that was in them went,
    so that no noise of what is long gone remains.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.asked = -1
        self._first = self._last = -1
        self._fresh_until = -1
        self._sum = nothing(0)

    def over(self, first: int, last: int, width: int) -> Counted:
        """Sum the buckets from `first` up to, without, `last`, for at least `width` series."""
        if first == self._first and last == self._last and width <= self._sum.shape[1]:
            return self._sum
        if not self._can_follow(first, last):
            self._first = self._last = first
            self._fresh_until = last
            self._sum = nothing(width)
        self._sum = widened(self._sum, width)
        for bucket in range(self._last, last):
            self._sum += self.ring.counted(bucket, self._sum.shape[1])
        for bucket in range(self._first, first):
            self._sum -= self.ring.counted(bucket, self._sum.shape[1])
        self._first, self._last = first, last
        return self._sum

    def of(self, slot: int, first: int, last: int, width: int) -> Three:
        """Sum the same buckets for one series of `width`."""
        bad, total, observed = self.over(first, last, width)
        return bad.item(slot), total.item(slot), observed.item(slot)

    def correct(self, bucket: int, slots: Slots, gained: Counted) -> None:
        """Take note of what a bucket gained that may be in the sum."""
        if self._first <= bucket < self._last:
            self._sum = widened(self._sum, int(slots.max(initial=-1)) + 1)
            self._sum[:, slots] += gained

    def correct_one(self, bucket: int, slot: int, gained: Three) -> None:
        """Take note of what one series of a bucket gained."""
        if self._first <= bucket < self._last:
            if slot >= self._sum.shape[1]:
                self._sum = widened(self._sum, slot + 1)
            for row, count in enumerate(gained):
                if count:
                    self._sum[row, slot] += count

    def clear(self, slot: int) -> None:
        """Forget one series."""
        if slot < self._sum.shape[1]:
            self._sum[:, slot] = 0

    def _can_follow(self, first: int, last: int) -> bool:
        went = range(self._first, first)
        moves_on = self._first <= first <= self._last <= last
        if self.ring.is_rough and first >= self._fresh_until > self._first:
            return False
        return moves_on and not any(self.ring.is_overwritten(bucket) for bucket in went)
