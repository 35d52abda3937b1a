"""What history is made of, beside the buckets that the ledger closes: runs, latencies, names; how long it is kept."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.core.probing.result import Reason, Verdict

FIVE_MINUTES = 5 * MINUTE

SHARES = (0.50, 0.95, 0.99, 1.0)
"""What is kept of the latencies of an hour: p50, p95, p99 and the longest."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long history is kept (s), and how large it may grow (bytes). `deliveries`: the keys of pushed events.

    Minutes must reach as far back as the windows that read them (6 h), and hours as the longest objective (90 d).
    When the store is larger than `most_bytes`, the oldest of the finest is given up, whatever its age.
    """

    results: int = 2 * HOUR
    minutes: int = 12 * HOUR
    hours: int = 94 * DAY
    most_bytes: int = 512 << 20
    deliveries: int = DAY

    def of(self, seconds: int) -> int:
        """Give how long (s) buckets of a length are kept."""
        return {MINUTE: self.minutes, FIVE_MINUTES: max(4 * DAY, self.minutes), HOUR: self.hours}[seconds]


@dataclass(frozen=True, slots=True)
class Known:
    """Whose runs a series counts, so that it can be asked for by name. `seen` is when it was last there (epoch s)."""

    series: str
    namespace: str
    name: str
    service: str
    seen: int


# --- runs -----------------------------------------------------------------------------------------------

VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.INVALID, Verdict.ERROR, Verdict.SKIPPED, Verdict.UNKNOWN)
"""A verdict is stored as its place here: what stands here is never moved."""

RETRIED = 0x80
"""Added to the verdict of a run that passed only after a retry (H2)."""


def code_of(reason: Reason) -> int:
    """Give the number a reason is stored as: a checksum of its name, so that reasons may come and move."""
    return crc32(reason.encode()) & 0xFFFF


_REASONS = {code_of(reason): reason for reason in Reason}


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """All runs that began to be known in one minute, from `start` (epoch s): arrays side by side, an item a run.

    `owner` is a place in `series`; `offset` ms since `start`; `verdict` and `reason` as stored; `seconds` a half
    float: 60 µs to 18 h, to 0.05 %.
    """

    start: int
    series: tuple[str, ...]
    owner: npt.NDArray[np.uint32]
    offset: npt.NDArray[np.uint16]
    verdict: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]
    seconds: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.series)


class PastRun(NamedTuple):
    """One run as history has it: `at` epoch seconds. `reason` is None if this release does not know it."""

    at: float
    verdict: Verdict
    reason: Reason | None
    seconds: float
    is_retried: bool


def past_run(start: int, stored: Sequence[float]) -> PastRun | None:
    """Read one run of the minute from `start`: offset, verdict, reason, seconds as stored. None if it is none."""
    offset, verdict, reason, seconds = stored
    place = int(verdict) & ~RETRIED
    if place >= len(VERDICTS):
        return None
    is_retried = bool(int(verdict) & RETRIED)
    return PastRun(start + offset / 1000, VERDICTS[place], _REASONS.get(int(reason)), float(seconds), is_retried)


# --- latencies ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """The latencies of the runs that passed in one hour: `count` of each series, and `seconds` of shape (4, series).

    The rows of `seconds` go by SHARES.
    """

    start: int
    series: tuple[str, ...]
    count: npt.NDArray[np.uint32]
    seconds: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.series)


class Latency(NamedTuple):
    """How long passed runs took (s)."""

    runs: int
    p50: float
    p95: float
    p99: float
    longest: float


def together(parts: Sequence[Latency]) -> Latency | None:
    """Give the latencies of several periods as one. Never better than the truth.

    Of a period only its percentiles are known: each of its runs counts with the next percentile above it.
    A period of one run, or one alone, is exact.
    """
    if len(parts) <= 1:
        return parts[0] if parts else None
    weights: list[tuple[float, int]] = []
    for part in parts:
        ranks = [0, *(ceil(share * part.runs) for share in SHARES)]
        weights += [(value, to - since) for value, (since, to) in zip(part[1:], pairwise(ranks), strict=True)]
    weights.sort()
    ranks = list(accumulate(weight for _, weight in weights))
    return Latency(ranks[-1], *(weights[bisect_left(ranks, ceil(share * ranks[-1]))][0] for share in SHARES))


def latency_of(seconds: Iterable[float]) -> Latency | None:
    """Give the percentiles (nearest rank) of runs; None of none."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return Latency(len(ordered), *(ordered[ceil(share * len(ordered)) - 1] for share in SHARES))
