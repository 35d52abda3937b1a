"""What a start takes up of the past, what it writes back, and how minutes are booked."""

import asyncio
from datetime import datetime, timedelta

import numpy as np
import pytest

from fakes import NOON, FakeClock, FakeHistory, check_body
from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.history import Latencies
from homeostat.core.ledger import Closed
from homeostat.core.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.probing import Reason, Verdict
from homeostat.core.run import Run
from homeostat.core.track import Track
from homeostat.core.window import DAY, MINUTE
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters
from homeostat.engine.minutes import AHEAD, book_minutes, recall
from homeostat.engine.objects import Key, entry_from
from homeostat.ports import HistoryUnavailable, Record
from homeostat.telemetry.metrics import Metrics

SLO = Key("ServiceLevelObjective", "shop", "web")
PASS, FAIL = Run(Verdict.PASS, Reason.OK, 0.25, 1, 1), Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1)


class Process:
    """One life of the operator: its books, and the way to a history that outlives it."""

    def __init__(self, history: FakeHistory, now: datetime) -> None:
        self.clock = FakeClock(now)
        self.history = history
        self.meters = Meters()
        self.archive = Archive(history, self.clock, Metrics())
        entry = entry_from(check_body(), "HealthCheck")
        plan = compile(HealthCheckSpec.model_validate(check_body()["spec"]), entry.ref)
        assert isinstance(plan, Plan)
        track = Track(since=NOON, fresh=0.0)
        self.check = Check(entry.key, entry.ref, plan, track, self.meters.open_check(entry.ref))
        self.meters.open_objective(SLO, "slo-1", entry.key, None)

    async def start(self) -> None:
        await recall(self.meters, self.archive, self.clock)
        self.archive.keep(*self.meters.roll(self.clock.now()))

    async def live(self, minutes: int, run: Run = PASS) -> None:
        """Have a run every minute, and write every minute."""
        for _ in range(minutes):
            self.meters.count(self.check, run, self.clock.now())
            self.clock.advance(60)
            self.archive.keep(*self.meters.roll(self.clock.now()))
            await self.archive.flush()

    async def stop(self) -> None:
        self.archive.keep(*self.meters.close())
        await self.archive.flush()

    def uptime(self, window: str) -> tuple[int, int]:
        return self.meters.uptime(self.check)[window][:2]

    def objective(self, window: timedelta) -> tuple[float, float]:
        found = self.meters.counts(SLO, [window])[window]
        return found.good, found.total


def closed(history: FakeHistory, seconds: int) -> dict[tuple[str, int], int]:
    """Give the totals that history has, by series and minutes since noon."""
    return {
        (bucket.series, (bucket.start - int(NOON.timestamp())) // 60): bucket.total
        for one in history.kept_of(Closed)
        for bucket in one
        if one.seconds == seconds
    }


async def test_a_start_goes_on_where_the_last_one_stopped() -> None:
    """H6: uptime and budgets over all windows."""
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(50)
    await first.live(50, FAIL)
    await first.stop()

    second = Process(history, first.clock.now() + timedelta(minutes=7))
    await second.start()
    await second.live(3)

    assert second.uptime("24h") == (53, 103)
    assert second.uptime("1h") == (3, 52)
    assert second.objective(timedelta(hours=6)) == (53, 103)
    assert second.objective(timedelta(days=28)) == (53, 103)


async def test_what_a_killed_process_did_not_close_is_closed_by_the_next() -> None:
    """H6, fault 20: hours and their latencies are there although nobody was at their end."""
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(40)  # killed

    second = Process(history, NOON + timedelta(minutes=70))
    await second.start()
    await second.archive.flush()
    [hour] = [one for one in history.kept_of(Latencies) if one.start == int(NOON.timestamp())]

    assert closed(history, 3600) == {("check/uid-1", 0): 40, ("slo/slo-1", 0): 40}
    assert closed(history, 300)["check/uid-1", 35] == 5
    assert (hour.series, hour.count.tolist()) == (("check/uid-1",), [40])


async def test_the_latencies_of_an_hour_with_a_restart_in_it_are_those_of_the_whole() -> None:
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(20)
    await first.stop()
    second = Process(history, NOON + timedelta(minutes=30))
    await second.start()
    await second.live(31)
    hours = [one for one in history.kept_of(Latencies) if one.start == int(NOON.timestamp())]

    assert [one.count.tolist() for one in hours] == [[20], [50]]


async def test_history_from_a_clock_that_was_far_ahead_stops_no_counting() -> None:
    """Fault 25: the minute of the books never goes back, so it must not be led to next year."""
    history = FakeHistory()
    wrong = int(NOON.timestamp()) + 365 * DAY
    for start in (wrong, int(NOON.timestamp()) - 60):
        await history.add([Closed(start, 60, ("check/uid-1",), np.array([[1], [1], [1]]))])
    process = Process(history, NOON)
    await process.start()
    await process.live(2)

    assert process.uptime("1h") == (3, 3)


async def test_history_from_a_clock_that_was_a_little_ahead_is_gone_on_with() -> None:
    """Fault 25: nothing that was counted is lost, and nothing is booked twice."""
    history = FakeHistory()
    start = int(NOON.timestamp()) + int(AHEAD) // 2
    await history.add([Closed(start, 60, ("check/uid-1",), np.array([[1], [1], [1]]))])
    process = Process(history, NOON)
    await process.start()
    await process.live(2)

    assert process.uptime("1h") == (3, 3)


async def test_a_history_that_cannot_be_read_is_said() -> None:
    """Fault 27: the caller decides what that means."""
    history = FakeHistory()
    history.is_down = True

    with pytest.raises(HistoryUnavailable):
        await Process(history, NOON).start()


class BusyClock(FakeClock):
    """Half a millisecond passes with each look at it."""

    def now(self) -> datetime:
        self.advance(0.0005)
        return super().now()


async def test_a_minute_is_booked_by_itself_although_sleeps_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """H6: else it would count in the minute before it, and that one would not be observed."""
    process = Process(FakeHistory(), NOON)
    process.meters.roll(NOON)
    clock = BusyClock(NOON)
    left = iter(range(8))

    async def sleep(seconds: float) -> None:
        if next(left, None) is None:
            raise asyncio.CancelledError
        if seconds > 1:
            process.meters.count(process.check, PASS, NOON)
        clock.advance(max(0.0, seconds - 0.0008))

    kept: list[Record] = []
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(process.archive, "keep", lambda *records: kept.extend(records))
    with pytest.raises(asyncio.CancelledError):
        await book_minutes(process.meters, process.archive, clock)

    series = process.meters.books[0].series
    minutes = [one for one in kept if isinstance(one, Closed) and one.seconds == MINUTE and one.series == series]
    assert len(minutes) >= 3
    assert [one.start for one in minutes] == [int(NOON.timestamp()) + MINUTE * n for n in range(len(minutes))]
    assert all(one.counted.tolist() == [[1], [1], [1]] for one in minutes)
