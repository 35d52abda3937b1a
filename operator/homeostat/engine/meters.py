"""The books of the process: uptime of every check and the events of every objective, and their way to history.

A run of a check counts once in the check's own series, and once in that of each objective that looks at it. Other
events come by `add` and `put`. `tallies` has the books of objectives.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from math import ceil

from homeostat.core.health.run import Run
from homeostat.core.history.latency import LatencyBook
from homeostat.core.history.ledger import Closed, Ledger, LedgerSeries
from homeostat.core.history.records import Known, Latencies, Runs
from homeostat.core.history.window import CHECK_TIERS, DAY, HOUR, MINUTE, Bucket, Counts
from homeostat.core.objective.survey import Watched
from homeostat.core.probing.result import Verdict
from homeostat.core.ref import Ref
from homeostat.engine.checks import Check
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objective.tallies import Tallies, Wanted
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


def minute_of(now: datetime) -> int:
    """Give the minute since the epoch."""
    return int(now.timestamp()) // MINUTE


class Meters:
    """The ledgers of checks and objectives; raw runs on their way to history, and their latencies."""

    def __init__(self) -> None:
        self._checks = Ledger(CHECK_TIERS)
        self._raw = RawBook()
        self._latencies = LatencyBook()
        self._register = Register()
        self._tallies = Tallies(self._register)

    # --- checks -----------------------------------------------------------------------------------------

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

    def count(self, check: Check, run: Run, now: datetime) -> None:
        """Take in one run; only passes and fails enter uptime and indicators (H1). The hot path."""
        self._raw.add(check.slot, run, now.timestamp())
        if run.verdict is not Verdict.PASS and run.verdict is not Verdict.FAIL:
            return
        is_pass = run.verdict is Verdict.PASS
        self._checks.add(check.slot, 0 if is_pass else 1, 1)
        for meter in self._tallies.of_check.get(check.key, ()):
            is_good = is_pass and (meter.faster_than is None or run.seconds < meter.faster_than)
            meter.ledger.add(meter.slot, 0 if is_good else 1, 1)

    def uptime(self, check: Check) -> dict[str, tuple[int, int, float]]:
        """Give good and all runs of a check, and the seconds observed, by window."""
        found = {name: self._checks.window(check.slot, seconds) for name, seconds in UPTIME_WINDOWS.items()}
        return {name: (*_whole(one), one.observed_seconds) for name, one in found.items()}

    def trend_points(self, check: Check) -> Sequence[tuple[int, int]]:
        """Give good and all runs of equal periods, oldest first: the last hour, or day of a check that runs rarely."""
        periods = self._checks.periods(check.slot, *(TREND_HOUR if check.plan.interval <= OFTEN else TREND_DAY))
        return [(int(good), int(total)) for good, total in periods]

    # --- objectives -------------------------------------------------------------------------------------

    def open_objective(self, key: Key, uid: str, counting: Counting) -> None:
        """Count for an objective, also after an edit: what was counted stays, and nothing counts as it did before."""
        self._tallies.open(key, uid, counting)

    def close_objective(self, key: Key) -> None:
        """Forget the series of an objective that is gone; history keeps them."""
        self._tallies.close(key)

    def series(self, key: Key, group: str = "") -> LedgerSeries | None:
        """Give the events of an objective, or of one of its groups; None when nothing counts."""
        return self._tallies.series(key, group)

    def slices(self, key: Key, group: str = "") -> LedgerSeries | None:
        """Give the slices of an objective that counts in them: `total` those with data, `bad` the bad of them."""
        return self._tallies.slices(key, group)

    def groups(self, key: Key) -> tuple[str, ...]:
        """Name the groups of an objective that are known."""
        return self._tallies.groups(key)

    def add(self, key: Key, group: str, minute: int, bad: float, total: float) -> bool:
        """Count events of a minute (since the epoch), as far back as minutes reach: in their group and in the whole.

        False, and then nothing is counted: nothing counts there, it is out of reach or in the future, they are no
        counts, or there are too many groups.
        """
        return self._tallies.add(key, group, minute, bad, total)

    def put(self, key: Key, group: str, bucket: Bucket) -> bool:
        """Take a bucket of 60, 300 or 3600 s for what happened in it, if it is fuller than what is known.

        Of a group it counts in the group alone: what is fuller is not what is added up. False if it is out of reach,
        not over, or too much as for `add`. A bucket longer than the shortest that reaches it is not seen by windows
        that are answered from shorter ones.
        """
        return self._tallies.put(key, group, bucket)

    def series_name(self, key: Key, group: str = "") -> str | None:
        """Give the name in the store of what an objective, or a group, counts; a new group has one if it may count."""
        return self._tallies.series_name(key, group)

    def last_counted(self, key: Key) -> float | None:
        """Give up to when (epoch s) an objective has data, to the minute; never in the future."""
        return self._tallies.last_counted(key)

    def is_recalled(self, key: Key) -> bool:
        """Whether history of the objective was taken up: before that, events that are in it must not be added."""
        return self._tallies.is_recalled(key)

    def watch(self, key: Key, watched: Watched | None) -> None:
        """Have `moved` tell when the budget of an objective, or of one of its groups, moves or an alert may change."""
        self._tallies.watch(key, watched)

    def moved(self) -> tuple[Key, ...]:
        """Give the watched objectives whose alerts or budgets moved since they were last given."""
        return self._tallies.moved()

    def crossed(self) -> tuple[Key, ...]:
        """Give the watched objectives of which an alert may begin or end, since they were last given; cheap."""
        return self._tallies.crossed()

    # --- history ----------------------------------------------------------------------------------------

    def roll(self, now: datetime) -> list[Record]:
        """End the minute if it is over; give what is to be kept. History is loaded before the first roll."""
        minute = minute_of(now)
        closed = self._rolled(minute)
        return [*self._register.news(minute), *closed, *self._ended(self._raw.drain(minute), minute)]

    def close(self) -> list[Record]:
        """End the unfinished minute, for a graceful stop; give what is to be kept."""
        minute = self._checks.minute + 1
        closed = self._rolled(minute)
        return [*self._register.news(minute), *closed, *self._ended(self._raw.drain(), minute + HOUR // MINUTE)]

    def snapshot(self) -> list[Record]:
        """Give what counted since this was last asked: of the unfinished minute, and of those that were over."""
        if self._checks.minute < 0:
            return []
        found: list[Record] = [*self._register.news(self._checks.minute)]
        for ledger in self.books:
            found += ledger.unfinished()
            found += ledger.corrections()
        return found

    def recall(self, runs: Runs) -> Latencies | None:
        """Take up raw runs of a minute, oldest first, as far as latencies go; give those of an hour that ended."""
        ended = self._latencies.roll(runs.start // HOUR)
        self._latencies.add(runs)
        return ended

    def meet(self, known: Iterable[Known]) -> None:
        """Open the groups of objectives that history knows."""
        self._tallies.meet(known)

    def wanted(self) -> list[Wanted]:
        """Give the series of objectives whose history is still to be taken up."""
        return self._tallies.wanted()

    def recalled(self, wanted: Wanted) -> Sequence[Record]:
        """Take note that history was taken up; give what it turns out to lack."""
        return self._tallies.recalled(wanted)

    @property
    def books(self) -> tuple[Ledger, ...]:
        """The ledgers, to take up history with; the first is that of checks."""
        return self._checks, *self._tallies.ledgers

    def _rolled(self, minute: int) -> list[Closed]:
        return [*self._checks.roll(minute), *self._tallies.roll(minute)]

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
    bad = ceil(counts.bad - ROUNDING)
    return total - bad, total
