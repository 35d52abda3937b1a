"""What counting over time is made of: tiers of buckets, the counts of a window, and what is kept in history."""

from collections.abc import Sequence
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Bucket:
    """Counts of one series in one period of `seconds` from `start` (epoch seconds): good of total.

    `observed` is the number of minutes of the period that had data. 0 beside a total means that it was not
    recorded: the ledger then takes it for as many minutes as the total allows.
    """

    series: str
    start: int
    seconds: int
    good: float
    total: float
    observed: int = 0

    @property
    def bad(self) -> float:
        """Events that were not good."""
        return self.total - self.good


@dataclass(frozen=True, slots=True)
class Tier:
    """One resolution: the newest `count` buckets of `seconds` each, in cells of two counts of `bits` each.

    Two buckets are for the edges (the unfinished one, and the oldest, in part), so a tier answers for
    windows up to `(count - 2) * seconds`. A cell takes 4 bytes for counts of 13 bits: whole numbers below 2^13.
    It takes 8 bytes for 29: whole numbers below 2^28, and of all others at least six digits (see `ring`).
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


def _reaching(hours: int) -> Sequence[Tier]:
    return Tier(MINUTE, 362), Tier(5 * MINUTE, 866), Tier(HOUR, hours + 2)


MONTH_TIERS, QUARTER_TIERS, YEAR_TIERS = OBJECTIVE_TIERS = (
    _reaching(31 * 24 + 1),
    _reaching(93 * 24),
    _reaching(368 * 24),
)
"""An objective's windows up to 6h, 3d, and as long as the objective needs: 1,975 cells of 8 bytes for a month (of 31 d
whose clock is put back), 3,462 for a quarter, 10,062 for a year."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a window holds; of a bucket at its edge the share that is inside. Bad events keep 15 digits of the total.

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
