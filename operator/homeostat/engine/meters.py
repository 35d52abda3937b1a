"""The books of the process: uptime of every check and the events of every objective, and their way to history.

A run of a check counts once in the check's own series, and once in that of each objective that looks at it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from homeostat.core.decision import Ref
from homeostat.core.history import Latencies, Runs
from homeostat.core.latency import LatencyBook
from homeostat.core.ledger import Ledger
from homeostat.core.probing import Verdict
from homeostat.core.run import Run
from homeostat.core.window import CHECK_TIERS, DAY, HOUR, MINUTE, OBJECTIVE_TIERS, Counts
from homeostat.engine.checks import Check
from homeostat.engine.objects import Key
from homeostat.engine.rawbook import RawBook
from homeostat.engine.register import Register
from homeostat.ports import Record

ROUNDING = 1e-6  # of weighted sums
UPTIME_WINDOWS = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}

TREND_HOUR, TREND_DAY = (5 * MINUTE, 12), (HOUR, 24)
"""Length and number of the periods that a trend is made of."""
OFTEN = 30.0
"""The longest interval (s) of a check that has runs enough for a trend within an hour."""


@dataclass(frozen=True, slots=True)
class Meter:
    """An objective that counts a check's runs: its series, and the latency (s) within which a pass is good."""

    objective: Key
    slot: int
    faster_than: float | None
    series: str


def minute_of(now: datetime) -> int:
    """Give the minute since the epoch."""
    return int(now.timestamp()) // MINUTE


class Meters:
    """Two ledgers, and which objective counts which check; raw runs on their way to history, and their latencies."""

    def __init__(self) -> None:
        self._checks = Ledger(CHECK_TIERS)
        self._objectives = Ledger(OBJECTIVE_TIERS)
        self._raw = RawBook()
        self._latencies = LatencyBook()
        self._register = Register()
        self._meters: dict[Key, Meter] = {}
        self._of_check: defaultdict[Key, tuple[Meter, ...]] = defaultdict(tuple)

    def open_check(self, ref: Ref, service: str = "") -> int:
        """Open the series of a check, which speaks for a service."""
        series = series_of(ref)
        slot = self._checks.open(series)
        self._raw.open(slot, series)
        self._register.put(series, (ref.namespace, ref.name, service))
        return slot

    def close_check(self, ref: Ref) -> None:
        """Forget the series of a check that is gone; history keeps it."""
        series = series_of(ref)
        self._checks.close(self._checks.open(series))
        self._register.remove(series)

    def open_objective(self, key: Key, uid: str, check: Key, faster_than: float | None) -> None:
        """Let an objective count a check's runs; whatever it counted by before is replaced."""
        self._detach(key)
        series = f"slo/{uid}"
        meter = Meter(key, self._objectives.open(series), faster_than, series)
        self._register.put(series, (key.namespace, key.name, ""))
        self._meters[key] = meter
        self._of_check[check] += (meter,)

    def close_objective(self, key: Key) -> None:
        """Forget the series of an objective that is gone."""
        meter = self._meters.get(key)
        self._detach(key)
        if meter is not None:
            self._objectives.close(meter.slot)
            self._register.remove(meter.series)

    def count(self, check: Check, run: Run, now: datetime) -> None:
        """Take in one run; only passes and fails enter uptime and indicators (H1). The hot path."""
        self._raw.add(check.slot, run, now.timestamp())
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

    def trend_points(self, check: Check) -> Sequence[tuple[int, int]]:
        """Give good and all runs of equal periods, oldest first: the last hour, or day of a check that runs rarely."""
        return self._checks.periods(check.slot, *(TREND_HOUR if check.plan.interval <= OFTEN else TREND_DAY))

    def counts(self, key: Key, windows: Iterable[timedelta]) -> dict[timedelta, Counts]:
        """Give the counts of an objective by window; none when nothing counts for it."""
        meter = self._meters.get(key)
        if meter is None:
            return {}
        return {window: self._objectives.window(meter.slot, int(window.total_seconds())) for window in windows}

    def roll(self, now: datetime) -> list[Record]:
        """End the minute if it is over; give what is to be kept. History is loaded before the first roll."""
        minute = minute_of(now)
        closed = (*self._checks.roll(minute), *self._objectives.roll(minute))
        return [*self._register.news(minute), *closed, *self._ended(self._raw.drain(minute), minute)]

    def close(self) -> list[Record]:
        """End the unfinished minute, for a graceful stop; give what is to be kept."""
        minute = self._checks.minute + 1
        closed = (*self._checks.roll(minute), *self._objectives.roll(self._objectives.minute + 1))
        return [*self._register.news(minute), *closed, *self._ended(self._raw.drain(), minute + HOUR // MINUTE)]

    def recall(self, runs: Runs) -> Latencies | None:
        """Take up raw runs of a minute, oldest first, as far as latencies go; give those of an hour that ended."""
        ended = self._latencies.roll(runs.start // HOUR)
        self._latencies.add(runs)
        return ended

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

    def _ended(self, drained: Iterable[Runs], minute: int) -> Iterator[Record]:
        """Pass raw runs on, and the latencies of the hours that ended by `minute`."""
        for runs in drained:
            ended = self.recall(runs)
            yield from (runs,) if ended is None else (ended, runs)
        ended = self._latencies.roll(minute * MINUTE // HOUR)
        if ended is not None:
            yield ended


def series_of(check: Ref) -> str:
    """Name the series of a check."""
    return f"check/{check.uid}"


def _whole(counts: Counts) -> tuple[int, int]:
    """Give good and total as whole runs, never better than the truth: a part of a bad run is a bad run."""
    total = ceil(counts.total - ROUNDING)
    bad = ceil(counts.total - counts.good - ROUNDING)
    return total - bad, total
