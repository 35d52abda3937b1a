"""The books of the process: uptime of every check and the events of every objective, and their way to history.

A run of a check counts once in the check's own series, and once in that of each objective that looks at it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from homeostat.core.decision import Ref
from homeostat.core.ledger import Closed, Ledger
from homeostat.core.probing import Verdict
from homeostat.core.run import Run
from homeostat.core.window import CHECK_TIERS, DAY, HOUR, MINUTE, OBJECTIVE_TIERS, Bucket, Counts
from homeostat.engine.checks import Check
from homeostat.engine.objects import Key

ROUNDING = 1e-6  # of weighted sums
UPTIME_WINDOWS = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}


@dataclass(frozen=True, slots=True)
class Meter:
    """An objective that counts a check's runs: its series, and the latency (s) within which a pass is good."""

    objective: Key
    slot: int
    faster_than: float | None = None


def minute_of(now: datetime) -> int:
    """Give the minute since the epoch."""
    return int(now.timestamp()) // MINUTE


class Meters:
    """Two ledgers, and which objective counts which check."""

    def __init__(self) -> None:
        self._checks = Ledger(CHECK_TIERS)
        self._objectives = Ledger(OBJECTIVE_TIERS)
        self._meters: dict[Key, Meter] = {}
        self._of_check: defaultdict[Key, tuple[Meter, ...]] = defaultdict(tuple)

    def open_check(self, ref: Ref) -> int:
        """Open the series of a check."""
        return self._checks.open(f"check/{ref.uid}")

    def close_check(self, ref: Ref) -> None:
        """Forget the series of a check that is gone."""
        self._checks.close(self.open_check(ref))

    def open_objective(self, key: Key, uid: str, check: Key, faster_than: float | None) -> None:
        """Let an objective count a check's runs; whatever it counted by before is replaced."""
        self._detach(key)
        meter = Meter(key, self._objectives.open(f"slo/{uid}"), faster_than)
        self._meters[key] = meter
        self._of_check[check] += (meter,)

    def close_objective(self, key: Key) -> None:
        """Forget the series of an objective that is gone."""
        meter = self._meters.get(key)
        self._detach(key)
        if meter is not None:
            self._objectives.close(meter.slot)

    def count(self, check: Check, run: Run) -> None:
        """Count one run; only passes and fails enter uptime and indicators (H1). The hot path."""
        if run.verdict is not Verdict.PASS and run.verdict is not Verdict.FAIL:
            return
        is_pass = run.verdict is Verdict.PASS
        self._checks.add(check.slot, is_pass, 1)
        for meter in self._of_check.get(check.key, ()):
            is_good = is_pass and (meter.faster_than is None or run.seconds < meter.faster_than)
            self._objectives.add(meter.slot, is_good, 1)

    def uptime(self, check: Check) -> dict[str, tuple[int, int, float]]:
        """Give good and all runs of a check, and the seconds observed, by window."""
        found = {name: self._checks.window(check.slot, seconds) for name, seconds in UPTIME_WINDOWS.items()}
        return {name: (*_whole(one), one.observed_seconds) for name, one in found.items()}

    def counts(self, key: Key, windows: Iterable[timedelta]) -> dict[timedelta, Counts]:
        """Give the counts of an objective by window; none when nothing counts for it."""
        meter = self._meters.get(key)
        if meter is None:
            return {}
        return {window: self._objectives.window(meter.slot, int(window.total_seconds())) for window in windows}

    def roll(self, now: datetime) -> list[Bucket]:
        """End the minute if it is over; give what is to be kept. History is loaded before the first roll."""
        return [*self._roll(self._checks, now), *self._roll(self._objectives, now)]

    def close(self) -> list[Bucket]:
        """End the unfinished minute, for a graceful stop; give what is to be kept."""
        closed = (*self._checks.roll(self._checks.minute + 1), *self._objectives.roll(self._objectives.minute + 1))
        return _buckets(closed)

    @property
    def books(self) -> tuple[Ledger, Ledger]:
        """The two ledgers, to take up history with."""
        return self._checks, self._objectives

    def _detach(self, key: Key) -> None:
        meter = self._meters.pop(key, None)
        if meter is None:
            return
        for check, meters in list(self._of_check.items()):
            left = tuple(one for one in meters if one.objective != key)
            if left:
                self._of_check[check] = left
            else:
                del self._of_check[check]

    def _roll(self, ledger: Ledger, now: datetime) -> list[Bucket]:
        return _buckets(ledger.roll(minute_of(now)))


def _whole(counts: Counts) -> tuple[int, int]:
    """Give good and total as whole runs, never better than the truth: a part of a bad run is a bad run."""
    total = ceil(counts.total - ROUNDING)
    bad = ceil(counts.total - counts.good - ROUNDING)
    return total - bad, total


def _buckets(closed: Iterable[Closed]) -> list[Bucket]:
    return [bucket for period in closed for bucket in period]
