"""A series for tests of decisions: a list of minutes, each with bad and total, and nothing rounded."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from homeostat.core.history.window import MINUTE, Bucket, Counts


def epoch(text: str) -> int:
    """Read a time such as 2026-12-01T00:00 (UTC) as epoch seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Minutes:
    """Minutes since the epoch with (bad, total) of each; (0, 0) is a minute in which there was nothing to count.

    `now` (epoch s) is when it is looked at: the minute it lies in is the unfinished one.
    """

    def __init__(self, counts: Mapping[int, tuple[float, float]] | None = None, now: float = 0) -> None:
        self._counts = dict(counts or {})
        self._sums: list[tuple[float, float, int]] = []  # up to, without, each minute from the first on
        self._first = 0
        self.now = now
        self.asked = 0

    @property
    def counts(self) -> dict[int, tuple[float, float]]:
        """The minutes, to be changed at will."""
        self._sums = []
        return self._counts

    def put(self, minute: int, bad: float, total: float) -> None:
        """Put counts into a minute, at no cost if it is the one after the newest."""
        self._counts[minute] = bad, total
        if self._sums and minute == self._first + len(self._sums) - 1:
            before = self._sums[-1]
            self._sums.append((before[0] + bad, before[1] + total, before[2] + 1))
        else:
            self._sums = []

    def fill(self, since: int, until: int, bad: float, total: float, every: int = 1) -> "Minutes":
        """Put the same counts into every minute, or every so manyth, of a range (epoch s)."""
        for minute in range(since // MINUTE, until // MINUTE, every):
            self.counts[minute] = bad, total
        return self

    def add(self, minute: int, bad: float, total: float) -> None:
        """Count more in a minute."""
        had = self.counts.get(minute, (0, 0))
        self.counts[minute] = had[0] + bad, had[1] + total

    def last(self, seconds: int) -> Counts:
        end = (int(self.now) // MINUTE + 1) * MINUTE
        return self.between(end - seconds, end)

    def between(self, since: int, until: int) -> Counts:
        self.asked += 1
        end, start = self._until(-(-until // MINUTE)), self._until(-(-since // MINUTE))
        bad, total, observed = (after - before for after, before in zip(end, start, strict=True))
        return Counts(total - bad, total, observed * MINUTE, until - since)

    def _until(self, minute: int) -> tuple[float, float, int]:
        if not self._sums and self._counts:
            self._first = min(self._counts)
            self._sums = [(0.0, 0.0, 0)]
            for number in range(self._first, max(self._counts) + 1):
                bad, total = self._counts.get(number, (0, 0))
                before = self._sums[-1]
                self._sums.append((before[0] + bad, before[1] + total, before[2] + (number in self._counts)))
        if not self._sums or minute <= self._first:
            return 0.0, 0.0, 0
        return self._sums[min(minute - self._first, len(self._sums) - 1)]

    def buckets(self, since: int, until: int) -> Sequence[Bucket]:
        first, last = -(-since // MINUTE), -(-until // MINUTE)
        inside = sorted(minute for minute in self.counts if first <= minute < last)
        return [
            Bucket(
                "", minute * MINUTE, MINUTE, self.counts[minute][1] - self.counts[minute][0], self.counts[minute][1], 1
            )
            for minute in inside
        ]
