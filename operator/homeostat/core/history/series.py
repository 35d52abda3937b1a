"""The counts of one indicator over time, whatever keeps them: a ledger, or several series that make up a whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homeostat.core.history.window import HOUR, MINUTE, Bucket, Counts

Numbers = npt.NDArray[np.float64]
"""Shape (n,): counts, or whole seconds, of n buckets."""
Table = npt.NDArray[np.float64]
"""Shape (5, n): start, seconds, bad, total and minutes observed of n buckets."""


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Buckets of one series, oldest first, none of which overlap. Iterates as buckets.

    A month has 1,800 of them: who goes through all, of many members, goes by column.
    """

    table: Table
    series: str = ""

    @staticmethod
    def of(buckets: Iterable[Bucket]) -> "Buckets":
        """Give buckets in columns, whatever they come in."""
        if isinstance(buckets, Buckets):
            return buckets
        rows = [(one.start, one.seconds, one.bad, one.total, one.observed) for one in buckets]
        return Buckets(np.array(rows, dtype=np.float64).reshape(-1, 5).T)

    def __len__(self) -> int:
        return len(self.table[0])

    def __iter__(self) -> Iterator[Bucket]:
        for start, seconds, bad, total, observed in self.table.T.tolist():
            yield Bucket(self.series, int(start), int(seconds), total - bad, total, int(observed))

    @property
    def starts(self) -> Numbers:
        """Epoch seconds."""
        column: Numbers = self.table[0]
        return column

    @property
    def seconds(self) -> Numbers:
        """Lengths."""
        column: Numbers = self.table[1]
        return column

    @property
    def ends(self) -> Numbers:
        """Epoch seconds."""
        ends: Numbers = self.table[0] + self.table[1]
        return ends

    @property
    def bad(self) -> Numbers:
        """Events that were not good."""
        column: Numbers = self.table[2]
        return column

    @property
    def total(self) -> Numbers:
        """All events."""
        column: Numbers = self.table[3]
        return column


class Series(Protocol):
    """What is asked of an indicator. Times are whole minutes; the unfinished minute counts as far as it has come."""

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`, the unfinished minute included."""
        ...

    def between(self, since: int, until: int) -> Counts:
        """Count from `since` up to, without, `until` (epoch s); what is in the future has no data.

        `span_seconds` is until - since. Made of the finest buckets there are; a coarse one at an edge counts with the
        share of it that is inside.
        """
        ...

    def buckets(self, since: int, until: int) -> Iterable[Bucket]:
        """Give the buckets with data that lie in a range, oldest first, the finest there are; none overlap."""
        ...


def counted(bad: float, total: float, observed: float, span: float) -> Counts:
    """Give the counts of a window, kept from what no window can hold: less than nothing, or more bad than there is."""
    total = max(total, 0.0)
    bad = min(max(bad, 0.0), total)
    return Counts(good=total - bad, total=total, observed_seconds=max(observed, 0.0), span_seconds=max(int(span), 0))


def end_of_minute(now: datetime) -> int:
    """Give the end of the unfinished minute (epoch s), at which all windows end."""
    return (int(now.timestamp()) // MINUTE + 1) * MINUTE


def has_data(counts: Counts) -> bool:
    """Whether anything is known of a window: somebody looked, even if there was nothing to count."""
    return counts.total > 0 or counts.observed_seconds > 0


def first_data(series: Series, since: int, until: int) -> int | None:
    """Give the minute (epoch s) from which on a series has data in a range; None when it has none.

    Found by halving: some sixteen questions for a month, some eight where it has data from the beginning on.
    """
    if since >= until or not has_data(series.between(since, until)):
        return None
    low, high = since // MINUTE, -(-until // MINUTE)
    middle = min(low + HOUR // MINUTE, high - 1)
    while low < middle:
        if has_data(series.between(since, middle * MINUTE)):
            high = middle
        else:
            low = middle
        middle = (low + high) // 2
    return max(low * MINUTE, since)
