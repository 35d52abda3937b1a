"""What a start takes up of the past, what it writes back, and how minutes are booked."""

import asyncio
from datetime import datetime, timedelta

import numpy as np
import pytest

from fakes import NOON, FakeClock, FakeHistory, check_body, eventually
from homeostat.api.health_check import HealthCheckSpec
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.run import Run
from homeostat.core.health.track import Track
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Latencies
from homeostat.core.history.window import DAY, MINUTE
from homeostat.core.probing.result import Reason, Verdict
from homeostat.engine import minutes as module
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters
from homeostat.engine.minutes import AHEAD, book_minutes, keep_unfinished, recall, recall_wanted, survey_often
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objects import Key, entry_from
from homeostat.ports import HistoryUnavailable, Record
from homeostat.telemetry.metrics import Metrics

MONTH = timedelta(days=30)
SLO = Key("ServiceLevelObjective", "shop", "web")
PASS, FAIL = Run(Verdict.PASS, Reason.OK, 0.25, 1, 1), Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1)

ONE = np.array([[0.0], [1.0], [1.0]])


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
        self.meters.open_objective(SLO, "slo-1", Counting(MONTH, entry.key))

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
        series = self.meters.series(SLO)
        assert series is not None
        found = series.last(int(window.total_seconds()))
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


async def test_the_hour_before_a_long_rest_is_whole_although_its_minutes_are_pruned() -> None:
    """H6: of a start that was followed by another, history has its newest minute again, and those before no more."""
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(10)
    await first.live(1, FAIL)
    newest = int(NOON.timestamp()) + 10 * MINUTE
    second = Process(history, NOON + timedelta(days=1))
    await second.start()
    history.kept = [
        one for one in history.kept if not (isinstance(one, Closed) and one.seconds == MINUTE and one.start != newest)
    ]
    third = Process(history, NOON + timedelta(days=1))
    await third.start()

    assert [one.objective(timedelta(days=28)) for one in (second, third)] == [(10, 11)] * 2
    assert [one.uptime("30d") for one in (second, third)] == [(10, 11)] * 2


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
        await history.add([Closed(start, 60, ("check/uid-1",), np.array([[0.0], [1], [1]]))])
    process = Process(history, NOON)
    await process.start()
    await process.live(2)

    assert process.uptime("1h") == (3, 3)


async def test_history_from_a_clock_that_was_a_little_ahead_is_gone_on_with() -> None:
    """Fault 25: nothing that was counted is lost, and nothing is booked twice."""
    history = FakeHistory()
    start = int(NOON.timestamp()) + int(AHEAD) // 2
    await history.add([Closed(start, 60, ("check/uid-1",), np.array([[0.0], [1], [1]]))])
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
        await book_minutes(lambda: process.archive.keep(*process.meters.roll(clock.now())), clock)

    series = process.meters.books[0].series
    minutes = [one for one in kept if isinstance(one, Closed) and one.seconds == MINUTE and one.series == series]
    assert len(minutes) >= 3
    assert [one.start for one in minutes] == [int(NOON.timestamp()) + MINUTE * n for n in range(len(minutes))]
    assert all(one.counted.tolist() == [[0], [1], [1]] for one in minutes)


async def test_a_kill_loses_what_came_after_the_last_snapshot_and_a_start_within_the_minute_doubles_nothing() -> None:
    """H6: kill -9 at any time."""
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(3)
    for _ in range(3):
        first.meters.count(first.check, FAIL, first.clock.now())
        first.archive.keep(*first.meters.snapshot())
        await first.archive.flush()
    first.meters.count(first.check, PASS, first.clock.now())  # killed

    second = Process(history, first.clock.now() + timedelta(seconds=20))
    await second.start()
    second.meters.count(second.check, PASS, second.clock.now())
    at_once = second.uptime("1h"), second.objective(timedelta(hours=1))
    await second.live(1)
    third = Process(history, second.clock.now())
    await third.start()

    assert at_once == ((4, 7), (4, 7))
    assert (third.uptime("1h"), third.objective(timedelta(hours=1))) == ((5, 8), (5, 8))


async def test_the_unfinished_minute_is_kept_by_itself_while_the_store_can_be_written() -> None:
    history = FakeHistory()
    process = Process(history, NOON)
    await process.start()
    task = asyncio.create_task(keep_unfinished(process.meters, process.archive, 0.001))
    try:
        process.meters.count(process.check, PASS, NOON)
        await eventually(lambda: process.archive._waiting)
        await process.archive.flush()
        history.is_down = True
        process.meters.count(process.check, PASS, NOON)
        await eventually(lambda: process.archive._waiting)
        await process.archive.flush()
        waiting = len(process.archive._waiting)
        process.meters.count(process.check, FAIL, NOON)
        for _ in range(10):
            await asyncio.sleep(0.002)
        assert len(process.archive._waiting) == waiting
        history.is_down = False
        await process.archive.flush()
        await eventually(lambda: process.archive._waiting)
        await process.archive.flush()
    finally:
        task.cancel()

    assert closed(history, MINUTE)["check/uid-1", 0] == 3


async def test_objectives_are_surveyed_again_and_again() -> None:
    """S2: an alert does not wait for the minute's end."""
    surveyed: list[int] = []
    task = asyncio.create_task(survey_often(lambda: surveyed.append(1), 0.001))
    try:
        await eventually(lambda: len(surveyed) > 2)
    finally:
        task.cancel()


async def test_history_of_an_objective_that_comes_late_is_taken_up_and_what_it_counted_is_written() -> None:
    """H6, S6: a budget does not begin anew because an object was seen a moment after the start."""
    history = FakeHistory()
    await history.add([Closed(int(NOON.timestamp()) - 60 * n, 60, ("slo/slo-2",), ONE) for n in range(3)])
    process = Process(history, NOON)
    await process.start()
    await process.live(2)
    late = Key("ServiceLevelObjective", "shop", "late")
    task = asyncio.create_task(recall_wanted(process.meters, process.archive, 0.001))
    try:
        history.is_down = True
        process.meters.open_objective(late, "slo-2", Counting(MONTH, process.check.key))
        process.meters.count(process.check, FAIL, process.clock.now())
        assert not process.meters.is_recalled(late)
        history.is_down = False
        await eventually(lambda: process.meters.is_recalled(late))
    finally:
        task.cancel()
    series = process.meters.series(late)
    assert series is not None
    found = series.last(3600)
    await process.live(1)

    assert (found.bad, found.total) == (1, 4)
    assert closed(history, MINUTE)["slo/slo-2", 2] == 2


async def test_a_start_without_history_takes_it_up_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults 27, 28: the database is locked, or away, when the operator starts."""
    monkeypatch.setattr(module, "RETRY_AFTER", 0.001)
    history = FakeHistory()
    first = Process(history, NOON)
    await first.start()
    await first.live(10, FAIL)
    await first.stop()
    second = Process(history, first.clock.now())
    history.broken.add("periods")
    with pytest.raises(HistoryUnavailable):
        await second.start()
    second.meters.roll(second.clock.now())
    second.meters.count(second.check, PASS, second.clock.now())

    task = asyncio.create_task(recall_wanted(second.meters, second.archive, 0.001))
    try:
        await asyncio.sleep(0.01)
        history.broken.clear()
        await eventually(lambda: second.meters.is_recalled(SLO))
    finally:
        task.cancel()

    assert second.objective(timedelta(hours=6)) == (1, 11)


async def test_an_hour_that_pushed_events_wrote_before_its_end_leads_no_book_into_the_future() -> None:
    """The store has the hour as soon as an event of it was delivered."""
    history = FakeHistory()
    at = int(NOON.timestamp())
    await history.add([Closed(at, 3600, ("slo/slo-1",), ONE), Closed(at, 60, ("slo/slo-1",), ONE)])
    process = Process(history, NOON + timedelta(seconds=30))
    await process.start()

    assert process.meters.books[1].minute == at // 60
    assert process.objective(timedelta(hours=1)) == (1, 1)
    await process.live(61)
    assert process.objective(timedelta(hours=6)) == (62, 62)
    assert closed(history, 3600)["slo/slo-1", 0] == 61


async def test_a_start_that_is_stopped_while_it_reads_leaves_no_task_behind() -> None:
    history = FakeHistory()
    await history.add([Closed(int(NOON.timestamp()) - 60 * n, 60, ("check/uid-1",), ONE) for n in range(200)])
    process = Process(history, NOON)
    before = asyncio.all_tasks()
    starting = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    await eventually(lambda: asyncio.all_tasks() == before)
