"""How long the passed runs of the running hour took: a small histogram for each series, of all series at once.

A bucket is 10 % longer than the one before, so a percentile is right to 5 %; the longest run is exact. 320 bytes a
series. Nothing here knows the time: hours are counted since the epoch and told.
"""

from math import log

import numpy as np
import numpy.typing as npt

from homeostat.core.history.records import RETRIED, SHARES, VERDICTS, Latencies, Runs
from homeostat.core.history.window import HOUR
from homeostat.core.probing.result import Verdict

BUCKETS = 160
FIRST = 50e-6  # s: runs up to this long are in the first bucket
GROWTH = 1.1  # the last bucket begins at 173 s
MOST = 0xFFFF
"""Runs that a bucket counts, at most."""
AT_ONCE = 1024
"""Series whose percentiles are computed at once: the sums of all would take four times the room of the book."""

_MIDDLE = FIRST * GROWTH ** (np.arange(BUCKETS) - 0.5)
_PASS = VERDICTS.index(Verdict.PASS)


class LatencyBook:
    """The histograms of one hour. Not thread-safe."""

    def __init__(self) -> None:
        self._hour = -1
        self._rows: dict[str, int] = {}
        self._counts = np.zeros((0, BUCKETS), dtype=np.uint16)
        self._longest = np.zeros(0, dtype=np.float32)

    def add(self, runs: Runs) -> None:
        """Count the passes of a minute."""
        rows = np.array([self._rows.setdefault(name, len(self._rows)) for name in runs.series], dtype=np.int64)
        self._grow()
        is_pass = (runs.verdict & ~np.uint8(RETRIED)) == _PASS
        owner, seconds = rows[runs.owner[is_pass]], runs.seconds[is_pass].astype(np.float32)
        bucket = np.ceil(np.log(np.maximum(seconds, FIRST) / FIRST) / log(GROWTH)).astype(np.int64)
        touched, more = np.unique(owner * BUCKETS + np.minimum(bucket, BUCKETS - 1), return_counts=True)
        counts = self._counts.reshape(-1)
        counts[touched] = np.minimum(counts[touched] + more, MOST)
        np.maximum.at(self._longest, owner, seconds)

    def roll(self, hour: int) -> Latencies | None:
        """Go on to `hour`; give the one that ended, if there was anything. Back in time it does not go."""
        if hour <= self._hour:
            return None
        ended, self._hour = self._hour, hour
        parts = [self._percentiles(first) for first in range(0, len(self._rows), AT_ONCE)]
        names = list(self._rows)
        self._rows.clear()
        self._counts[:] = 0
        self._longest[:] = 0
        rows = [row for part in parts for row in part[0].tolist()]
        if not rows:
            return None
        return Latencies(
            start=ended * HOUR,
            series=tuple(names[row] for row in rows),
            count=np.concatenate([part[1] for part in parts]),
            seconds=np.concatenate([part[2] for part in parts], axis=1),
        )

    def _grow(self) -> None:
        missing = len(self._rows) - len(self._longest)
        if missing > 0:
            missing = max(missing, len(self._longest) // 4)
            self._counts = np.concatenate((self._counts, np.zeros((missing, BUCKETS), dtype=np.uint16)))
            self._longest = np.concatenate((self._longest, np.zeros(missing, dtype=np.float32)))

    def _percentiles(self, first: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Give the rows with passes, how many, and their percentiles, of AT_ONCE rows from `first` on."""
        below = np.cumsum(self._counts[first : first + AT_ONCE], axis=1, dtype=np.uint32)
        rows = np.flatnonzero(below[:, -1])
        below, longest = below[rows], self._longest[first : first + AT_ONCE][rows]
        count = below[:, -1]
        seconds = np.empty((len(SHARES), len(rows)), dtype=np.float32)
        for place, share in enumerate(SHARES):
            bucket = (below < np.ceil(share * count)[:, None]).sum(axis=1)
            seconds[place] = np.minimum(_MIDDLE[bucket], longest)
        seconds[-1] = longest
        return rows + first, count, seconds
