"""What counting over time is made of: tiers of buckets, the counts of a window, and what is kept in history."""

from collections.abc import Sequence
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Bucket:
    """Counts of one series in one period of `seconds` from `start` (epoch seconds): good of total.

    `observed` is the number of minutes of the period that had data. 0 beside a total means that it was not
    recorded: the ledger then takes it from finer buckets, else for as many minutes as the total allows.
    """

    series: str
    start: int
    seconds: int
    good: int
    total: int
    observed: int = 0


@dataclass(frozen=True, slots=True)
class Tier:
    """One resolution: the newest `count` buckets of `seconds` each; a count is exact below 2^`bits`.

    Two buckets are for the edges (the unfinished one, and the oldest, in part), so a tier answers for
    windows up to `(count - 2) * seconds`. A cell holds two counts and the minutes observed: 4 bytes for 13
    bits, 8 bytes for 29.
    """

    seconds: int
    count: int
    bits: int = 29

    @property
    def reach(self) -> int:
        """The longest window (s) this tier answers for."""
        return (self.count - 2) * self.seconds


CHECK_TIERS: Sequence[Tier] = (Tier(MINUTE, 62, 13), Tier(5 * MINUTE, 290, 13), Tier(HOUR, 722, 13))
"""Uptime of a HealthCheck over 1h, 24h and 30d: 1,074 cells of 4 bytes. An hour is exact up to 8,191 runs."""

OBJECTIVE_TIERS: Sequence[Tier] = (Tier(MINUTE, 362), Tier(5 * MINUTE, 866), Tier(HOUR, 2162))
"""An objective's windows up to 6h, 3d and 90d: 3,390 cells of 8 bytes; an hour is exact to 536 million events."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a window holds: whole numbers, but for the oldest bucket, which counts with the share of it inside.

    `observed_seconds` is the time (whole minutes) that had data, `span_seconds` the length that was asked for.
    """

    good: float = 0.0
    total: float = 0.0
    observed_seconds: float = 0.0
    span_seconds: int = 0

    @property
    def bad(self) -> float:
        """Events that were not good."""
        return self.total - self.good
