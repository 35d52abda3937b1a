"""The newest buckets of one resolution, of all series at once: a row a bucket, a packed cell a series.

A cell is one unsigned integer: the minutes observed, the good and the total, from high bits to low. Rows come
to be when they are first written, so time that was never lived through costs no memory; a row that holds
another bucket than the one asked for reads as no data, so a gap in time costs nothing either.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from homeostat.core.window import Tier

GOOD, TOTAL, OBSERVED = 0, 1, 2
OBSERVED_BITS = 6

Counted = npt.NDArray[np.int64]
"""Shape (3, series): good, total, minutes observed."""
Cells = npt.NDArray[Any]
"""Shape (series,): packed cells, uint32 or uint64."""


def nothing(width: int) -> Counted:
    """Give the counts of `width` series without data."""
    return np.zeros((3, width), dtype=np.int64)


def widened(counted: Counted, width: int) -> Counted:
    """Give the counts for at least `width` series; the new ones have no data."""
    missing = width - counted.shape[1]
    return np.pad(counted, ((0, 0), (0, missing))) if missing > 0 else counted


def fuller(old: Counted, new: Counted) -> npt.NDArray[np.bool_]:
    """Say of which series `new` has at least as many events as `old`, and any."""
    result: npt.NDArray[np.bool_] = (new[TOTAL] >= old[TOTAL]) & (new[TOTAL] > 0)
    return result


class Ring:
    """The newest `tier.count` buckets of `tier.seconds`. A bucket's number is its start over its length."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._most = (1 << tier.bits) - 1
        self._type = np.uint32 if 2 * tier.bits + OBSERVED_BITS <= 32 else np.uint64  # noqa: PLR2004 - bits
        self._rows: list[Cells] = [np.zeros(0, self._type)] * tier.count
        self._numbers = [-1] * tier.count

    def bucket_of(self, minute: int) -> int:
        """Give the number of the bucket that a minute is in."""
        return minute * 60 // self.tier.seconds

    def is_overwritten(self, bucket: int) -> bool:
        """Whether a newer bucket has taken the place of this one."""
        return self._numbers[bucket % self.tier.count] > bucket

    def counted(self, bucket: int, width: int) -> Counted:
        """Unpack a bucket for at least `width` series."""
        row = self._row(bucket)
        bits, most = self.tier.bits, self._most
        counted = np.empty((3, len(row)), dtype=np.int64)
        counted[GOOD] = (row >> bits) & most
        counted[TOTAL] = row & most
        counted[OBSERVED] = row >> (2 * bits)
        return widened(counted, width)

    def cell(self, bucket: int, slot: int) -> tuple[int, int, int]:
        """Unpack one series of a bucket: good, total, minutes observed."""
        row = self._row(bucket)
        if slot >= len(row):
            return 0, 0, 0
        cell, bits, most = int(row[slot]), self.tier.bits, self._most
        return (cell >> bits) & most, cell & most, cell >> (2 * bits)

    def put(self, bucket: int, counted: Counted) -> None:
        """Replace a bucket, which must be one of the newest `tier.count`."""
        place, packed = bucket % self.tier.count, self._packed(counted)
        if len(self._rows[place]) == len(packed):
            self._rows[place][:] = packed  # in place: rows of one size must not scatter over the heap
        else:
            self._rows[place] = packed
        self._numbers[place] = bucket

    def add(self, bucket: int, counted: Counted) -> None:
        """Add counts of all series to a bucket."""
        self.put(bucket, self.counted(bucket, counted.shape[1]) + counted)

    def clear(self, slot: int) -> None:
        """Forget one series."""
        for row in self._rows:
            if slot < len(row):
                row[slot] = 0

    def _row(self, bucket: int) -> Cells:
        place = bucket % self.tier.count
        return self._rows[place] if self._numbers[place] == bucket else np.zeros(0, self._type)

    def _packed(self, counted: Counted) -> Cells:
        good, total, observed = self._saturated(counted)
        observed = np.minimum(observed, (1 << OBSERVED_BITS) - 1)
        packed: Cells = ((observed << (2 * self.tier.bits)) | (good << self.tier.bits) | total).astype(self._type)
        return packed

    def _saturated(self, counted: Counted) -> Counted:
        """Scale counts that do not fit: the ratio stays, rounded against us, and all good stays all good."""
        over = counted[TOTAL] > self._most
        if not over.any():
            return counted
        fitting = counted.copy()
        total = counted[TOTAL, over].astype(np.float64)
        bad = np.ceil((total - counted[GOOD, over]) * self._most / total).astype(np.int64)
        fitting[GOOD, over] = np.maximum(self._most - bad, 0)
        fitting[TOTAL, over] = self._most
        return fitting


class RunningSum:
    """The sum of a run of buckets that moves with time: follows by adding what came and taking what went."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._first = self._last = -1
        self._sum = nothing(0)

    def over(self, first: int, last: int, width: int) -> Counted:
        """Sum the buckets from `first` up to, without, `last`, for at least `width` series."""
        if not self._can_follow(first, last):
            self._first = self._last = first
            self._sum = nothing(width)
        self._sum = widened(self._sum, width)
        for bucket in range(self._last, last):
            self._sum += self._ring.counted(bucket, self._sum.shape[1])
        for bucket in range(self._first, first):
            self._sum -= self._ring.counted(bucket, self._sum.shape[1])
        self._first, self._last = first, last
        return self._sum

    def clear(self, slot: int) -> None:
        """Forget one series."""
        if slot < self._sum.shape[1]:
            self._sum[:, slot] = 0

    def _can_follow(self, first: int, last: int) -> bool:
        went = range(self._first, first)
        moves_on = self._first <= first <= self._last <= last
        return moves_on and not any(self._ring.is_overwritten(bucket) for bucket in went)
