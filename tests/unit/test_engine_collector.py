"""The collector on a Prometheus in memory: what is asked when, and what of it gets into the books."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from fakes import FakeClock, eventually
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.history.window import Bucket
from homeostat.core.prometheus.answer import Failure, Line, LoadedGroup, Matrix, Sample, Trouble, Vector
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objects import Key

NOW = datetime(2026, 11, 21, 12, 0, 59, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60
END = MINUTE * 60
HOUR = timedelta(hours=1)
KEY = Key("ServiceLevelObjective", "shop", "checkout")
Value = float | dict[str, float] | None


class FakeBooks:
    """Counts by (name, group, start, seconds)."""

    def __init__(self) -> None:
        self.added: defaultdict[tuple[str, str], dict[int, tuple[float, float]]] = defaultdict(dict)
        self.buckets: dict[tuple[str, str, int, int], Bucket] = {}
        self.last: dict[Key, float] = {}
        self.recalled = True
        self.known: tuple[str, ...] = ()
        self.has_room = True

    def groups(self, key: Key) -> tuple[str, ...]:
        return self.known

    def add(self, key: Key, group: str, minute: int, bad: float, total: float) -> bool:
        assert minute not in self.added[key.name, group], "counted twice"
        self.added[key.name, group][minute] = bad, total
        return self.has_room

    def put(self, key: Key, group: str, bucket: Bucket) -> bool:
        self.buckets[key.name, group, bucket.start, bucket.seconds] = bucket
        return True

    def series_name(self, key: Key, group: str) -> str:
        return f"slo/{key.name}/{group}"

    def last_counted(self, key: Key) -> float | None:
        return self.last.get(key)

    def is_recalled(self, key: Key) -> bool:
        return self.recalled

    def minutes(self, name: str = "checkout", group: str = "") -> dict[int, tuple[float, float]]:
        """Give what was counted, by minutes from now on."""
        return {minute - MINUTE: counts for minute, counts in sorted(self.added[name, group].items())}


class FakePrometheus:
    """Answers by rules: the first whose text is in the query says what there is at a time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int, int]] = []
        self.rules: list[tuple[str, Callable[[int], Value | list[Sample]]]] = []
        self.trouble: dict[str, Trouble] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0
        self.is_partial = False

    def says(self, part: str, answer: Any) -> None:
        self.rules.insert(0, (part, answer if callable(answer) else lambda _: answer))

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        trouble = await self._turn(url, query, at, at)
        return trouble or Vector(tuple(self._samples(query, int(at))), self.is_partial)

    async def query_range(self, url: str, query: str, start: float, end: float, step: float) -> Matrix | Failure:
        trouble = await self._turn(url, query, start, end)
        lines: defaultdict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        for at in range(int(start), int(end) + 1, int(step)):
            for sample in self._samples(query, at):
                lines[tuple(sample.labels.items())].append((float(at), sample.value))
        return trouble or Matrix(tuple(Line(tuple(points), dict(labels)) for labels, points in lines.items()))

    async def groups(self, url: str) -> tuple[LoadedGroup, ...] | Failure:
        raise AssertionError("nobody asks")

    async def _turn(self, url: str, query: str, start: float, end: float) -> Failure | None:
        self.asked.append((url, query, int(start), int(end)))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        trouble = next((trouble for part, trouble in self.trouble.items() if part in query or part == url), None)
        return Failure(trouble) if trouble is not None else None

    def _samples(self, query: str, at: int) -> list[Sample]:
        found = next((answer(at) for part, answer in self.rules if part in query), None)
        if isinstance(found, list):
            return found
        if isinstance(found, dict):
            return [Sample(value, {"pod": pod}) for pod, value in found.items()]
        return [] if found is None else [Sample(found)]


class Bench:
    def __init__(self, concurrency: int = 8) -> None:
        self.clock = FakeClock(NOW)
        self.books = FakeBooks()
        self.prometheus = FakePrometheus()
        self.prometheus.says("bad", 1.0)
        self.prometheus.says("all", 10.0)
        self.woken: list[str] = []
        self.collector = Collector(
            self.prometheus, self.books, self.clock, lambda key: self.woken.append(key.name), concurrency, pause=0
        )

    def open(self, name: str = "checkout", *, counted: int | None = 0, **more: Any) -> None:
        """Open an objective that was counted up to `counted` minutes from now; None for never."""
        key = KEY._replace(name=name)
        if counted is not None and key not in self.books.last:
            self.books.last[key] = END + 60.0 * counted
        settings = {name: more.pop(name) for name in ("reach", "is_recorded", "uid") if name in more}
        self.collector.open(
            key, settings.pop("uid", f"uid-{name}"), indicator(**more), settings.pop("reach", HOUR), **settings
        )

    async def go(self, seconds: float = 60) -> None:
        """Let time pass, and whatever begins by that end."""
        for _ in range(int(seconds // 10)):
            self.clock.advance(10)
            self.collector.timetable._tick()
            await self.rest()

    async def rest(self) -> None:
        await eventually(lambda: not any(source.is_busy or source.is_owing for source in self.sources()))

    def sources(self) -> list[Any]:
        shared: list[Any] = [one for one in self.collector._shared.values() if one.is_busy]
        return [source for source in self.collector._sources.values() if source.is_busy or source.is_owing] or [
            type("Busy", (), {"is_busy": True, "is_owing": False})() for _ in shared
        ]

    def reason(self, name: str = "checkout") -> str:
        seen = self.collector.seen(KEY._replace(name=name))
        assert seen is not None
        return seen.reason


def indicator(**spec: Any) -> PrometheusIndicator:
    return PrometheusIndicator.model_validate(
        {"ratio": {"bad": "increase(bad[{{window}}])", "total": "increase(all[{{window}}])"}, **spec}
        if not spec.keys() & {"ratio", "latency", "ratioQuery"}
        else spec
    )


COUNTERS = {"ratio": {"bad": "bad", "total": "all"}}


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Bench]:
    bench = Bench(**settings)
    task = asyncio.create_task(bench.collector.run())
    await eventually(lambda: bench.collector.timetable._is_open)
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.wait([task])


# --- the present ----------------------------------------------------------------------------------------


async def test_each_minute_is_asked_for_once_as_of_its_end() -> None:
    async with running() as bench:
        bench.open()
        await bench.go(300)

    assert bench.books.minutes() == dict.fromkeys(range(5), (1.0, 10.0))
    assert bench.prometheus.asked[:2] == [
        ("", "increase(all[60s])", END + 60, END + 60),
        ("", "increase(bad[60s])", END + 60, END + 60),
    ]
    assert all(start % 60 == 0 for _, _, start, _ in bench.prometheus.asked)
    seen = bench.collector.seen(KEY)
    assert seen is not None
    assert (seen.reason, seen.is_valid, seen.is_clamped) == ("", True, False)
    assert seen.observed_at == datetime.fromtimestamp(END + 300, UTC)
    assert bench.woken.count("checkout") == 5


async def test_a_longer_resolution_is_asked_less_often_and_spread_over_its_minutes() -> None:
    async with running() as bench:
        bench.open(resolution="5m")
        await bench.go(700)

    assert [query[1:] for query in bench.prometheus.asked if "all" in query[1]] == [
        ("increase(all[300s])", END + 300, END + 300),
        ("increase(all[300s])", END + 600, END + 600),
    ]
    assert bench.books.minutes() == dict.fromkeys(range(10), (0.2, 2.0))


async def test_objectives_of_a_minute_are_spread() -> None:
    """Fault 49: no burst at the full minute."""
    bench = Bench()
    for number in range(200):
        bench.open(str(number))
    await asyncio.sleep(0)
    began = bench.clock.monotonic()
    offsets = sorted(at - began for at in bench.collector.timetable._schedule._due.values())
    assert offsets[0] >= 0
    assert offsets[-1] <= 60
    assert max(later - earlier for earlier, later in pairwise(offsets)) < 10


async def test_zero_traffic_is_data() -> None:
    """S5."""
    async with running() as bench:
        bench.prometheus.says("all", 0.0)
        bench.prometheus.says("bad", None)
        bench.open()
        await bench.go(60)

    assert bench.books.minutes() == {0: (0.0, 0.0)}
    assert bench.reason() == ""


async def test_no_total_is_no_data() -> None:
    """S5: it says what may be wrong with the resolution."""
    async with running() as bench:
        bench.prometheus.says("all", None)
        bench.open()
        await bench.go(120)

    assert not bench.books.minutes()
    assert bench.reason() == "NoSamples"
    seen = bench.collector.seen(KEY)
    assert seen is not None
    assert seen.is_valid
    assert "two scrapes" in seen.message
    assert seen.observed_at is not None
    assert NOW < seen.observed_at <= NOW + timedelta(seconds=60)  # when counting went on


async def test_a_query_of_bad_events_that_is_refused_is_told_even_where_nothing_happens() -> None:
    """S13: else it would be noticed with the first traffic."""
    async with running() as bench:
        bench.prometheus.says("all", None)
        bench.prometheus.trouble["bad"] = Trouble.INVALID_QUERY
        bench.open()
        await bench.go(600)

        seen = bench.collector.seen(KEY)
        assert seen is not None
        assert (seen.reason, seen.is_valid) == ("InvalidQuery", False)
        assert "refuses spec.indicator.prometheus.ratio.bad," in seen.message
        del bench.prometheus.trouble["bad"]
        await bench.go(600)

    assert bench.reason() == "NoSamples"


async def test_an_empty_past_is_asked_for_its_total_only() -> None:
    """Fault 49: a history is many queries."""
    async with running() as bench:
        bench.prometheus.says("all", None)
        bench.open(counted=None, reach=30 * 24 * HOUR)
        await bench.go(120)

    asked = bench.prometheus.asked
    parts = [(start, end) for _, query, start, end in asked if "bad" in query]
    assert parts
    assert min(start for start, _ in parts) >= END - 6 * 3600
    assert min(start for _, query, start, _ in asked if "all" in query) < END - 29 * 24 * 3600


async def test_before_anything_was_answered_it_is_said_that_it_is_being_asked() -> None:
    """S13: what was not asked is no want of samples."""
    async with running() as bench:
        bench.open(counted=None)
        seen = bench.collector.seen(KEY)
        await bench.go(120)

    assert seen is not None
    assert (seen.reason, seen.is_valid, seen.observed_at) == ("NotAskedYet", True, None)
    assert seen.message.endswith("is being asked; there is no answer yet.")
    assert bench.reason() == ""


@pytest.mark.parametrize(
    ("spec", "says", "reason"),
    [
        ({}, {"all": {"a": 1.0, "b": 2.0}}, "InvalidQuery"),
        ({"latency": {"histogram": "all", "threshold": "1s"}}, {"bucket": None}, "BucketMissing"),
    ],
)
async def test_what_the_user_must_repair_is_said(spec: dict[str, Any], says: dict[str, Value], reason: str) -> None:
    """S11, fault 50: two series for one objective are not added up."""
    async with running() as bench:
        for part, value in says.items():
            bench.prometheus.says(part, value)
        bench.open(**spec)
        await bench.go(60)

    seen = bench.collector.seen(KEY)
    assert seen is not None
    assert (seen.reason, seen.is_valid) == (reason, False)
    assert not bench.books.minutes()


async def test_a_ratio_out_of_range_is_clamped_and_said_for_an_hour() -> None:
    """S14; the word does not flicker with every answer."""
    async with running() as bench:
        bench.prometheus.says("ratio", lambda at: 1.5 if at == END + 60 else 0.5)
        bench.open(ratioQuery="ratio")
        await bench.go(180)
        seen = bench.collector.seen(KEY)
        assert seen is not None
        assert seen.is_clamped
        await bench.go(3600)

    assert list(bench.books.minutes().values())[:2] == [(1.0, 1.0), (0.5, 1.0)]
    later = bench.collector.seen(KEY)
    assert later is not None
    assert not later.is_clamped


async def test_groups_are_counted_and_too_many_are_told() -> None:
    """S14, fault 54."""
    async with running() as bench:
        bench.prometheus.says("bad", {"a": 1.0})
        bench.prometheus.says("all", {"a": 5.0, "b": 7.0})
        bench.open(groupBy=["pod"])
        await bench.go(60)
        assert bench.reason() == ""
        bench.books.has_room, bench.books.known = False, tuple(map(str, range(64)))
        await bench.go(60)

    assert bench.books.minutes(group="pod=a")[0] == (1.0, 5.0)
    assert bench.books.minutes(group="pod=b")[0] == (0.0, 7.0)
    assert bench.reason() == "TooManyGroups"


async def test_a_partial_answer_is_counted_and_told() -> None:
    async with running() as bench:
        bench.prometheus.is_partial = True
        bench.open()
        await bench.go(60)

    assert bench.books.minutes() == {0: (1.0, 10.0)}
    assert bench.reason() == "PartialAnswer"


async def test_counters_are_followed_from_minute_to_minute() -> None:
    """Fault 50: counter resets; a series that is born while we watch counts from 0."""
    values = {0: 100.0, 1: 103.0, 2: 2.0, 3: 4.0}
    async with running() as bench:
        bench.prometheus.says("all", lambda at: {"a": values[(at - END) // 60]})
        bench.prometheus.says("bad", lambda at: {"e": 1.0} if at >= END + 120 else None)
        bench.open(**COUNTERS)
        await bench.go(180)

    assert bench.books.minutes() == {0: (0.0, 3.0), 1: (1.0, 2.0), 2: (0.0, 2.0)}


# --- the past -------------------------------------------------------------------------------------------


async def test_after_a_restart_only_the_gap_is_asked_for_by_one_range() -> None:
    """Fault 53."""
    async with running() as bench:
        bench.open(counted=-30)
        await bench.go(60)

    (total, bad) = bench.prometheus.asked[:2]
    assert total[2] == END - 29 * 60
    assert total[3] >= END
    assert bad[2:] == total[2:]
    assert set(bench.books.minutes()) >= set(range(-30, 0))
    assert not bench.books.buckets


async def test_a_restart_is_no_silence_even_before_anything_is_asked() -> None:
    """S5, S13: else every restart would tell of missing data; an objective that never had any is another matter."""
    async with running() as bench:
        bench.open(counted=-30)
        bench.open("new", counted=None)
        old, new = bench.collector.seen(KEY), bench.collector.seen(KEY._replace(name="new"))

    assert old is not None
    assert new is not None
    assert (old.observed_at, new.observed_at) == (bench.clock.now(), None)


async def test_what_was_counted_is_not_known_before_history_is_taken_up() -> None:
    async with running() as bench:
        bench.books.recalled = False
        bench.open(counted=None)
        await bench.go(60)
        assert not bench.prometheus.asked
        bench.books.recalled, bench.books.last = True, {KEY: END - 60.0}
        await bench.go(60)

    assert min(bench.books.minutes()) == -1
    assert not bench.books.buckets


async def test_a_store_that_is_lost_does_not_keep_us_from_counting() -> None:
    async with running() as bench:
        bench.books.recalled = False
        bench.open(counted=None)
        await bench.go(300)

    assert bench.books.minutes()


async def test_a_new_objective_takes_up_the_history_of_its_window() -> None:
    async with running() as bench:
        bench.open(counted=None, reach=timedelta(days=30))
        await bench.go(120)

    windows = {query.rpartition("[")[2] for _, query, _, _ in bench.prometheus.asked}
    assert windows == {"3600s])", "300s])", "60s])"}
    minutes = bench.books.minutes()
    assert len(minutes) >= 300
    hours = {start: one for (_, _, start, seconds), one in bench.books.buckets.items() if seconds == 3600}
    assert len(hours) >= 30 * 24 - 7
    assert {one.total for one in hours.values()} <= {10.0, 120.0}  # asked for as an hour, and as twelve
    assert {one.observed for one in hours.values()} == {60}


async def test_counters_of_a_history_begin_where_it_begins() -> None:
    """Prometheus keeps less than the window: what a counter had by then is not counted."""
    born = END - 10 * 86_400
    async with running() as bench:
        bench.prometheus.says("all", lambda at: {"a": 1e9 + (at - born) / 60} if at >= born else None)
        bench.prometheus.says("bad", None)
        bench.open(counted=None, reach=timedelta(days=30), **COUNTERS)
        await bench.go(60)

    hours = [one.total for (_, _, _, seconds), one in bench.books.buckets.items() if seconds == 3600]
    assert set(hours) == {60.0}
    assert set(bench.books.minutes().values()) == {(0.0, 1.0)}


async def test_many_histories_do_not_storm_prometheus() -> None:
    async with running(concurrency=8) as bench:
        bench.prometheus.gate.clear()
        for number in range(20):
            bench.open(str(number), counted=None, reach=timedelta(days=30))
        for _ in range(6):
            bench.clock.advance(10)
            bench.collector.timetable._tick()
            await asyncio.sleep(0.01)
        assert bench.prometheus.most_under_way == 2
        bench.prometheus.gate.set()
        await bench.rest()

    assert bench.prometheus.most_under_way <= 2


async def test_a_window_that_became_longer_is_filled() -> None:
    """Fault 52."""
    async with running() as bench:
        bench.open(reach=timedelta(days=1))
        await bench.go(60)
        assert not bench.books.buckets
        bench.open(reach=timedelta(days=7))
        await bench.go(120)

    starts = [start for _, _, start, seconds in bench.books.buckets if seconds == 3600]
    assert min(starts) <= END + 60 - 7 * 86_400
    assert max(starts) + 3600 <= END + 180
    assert not bench.collector._sources[KEY].owed


async def test_a_longer_window_that_prometheus_cannot_fill_is_given_up() -> None:
    async with running() as bench:
        bench.open(reach=timedelta(days=1))
        await bench.go(60)
        bench.prometheus.trouble["[3600s]"] = Trouble.TOO_LARGE
        bench.open(reach=timedelta(days=7))
        await bench.go(1200)

    assert not bench.collector._sources[KEY].owed
    assert len(bench.books.minutes()) == 21
    assert bench.reason() == ""


async def test_a_history_that_is_too_much_for_prometheus_is_asked_for_in_pieces_and_then_given_up() -> None:
    """No past may keep us from the present."""
    async with running() as bench:
        bench.prometheus.trouble["[3600s]"] = Trouble.TIMEOUT
        bench.open(counted=None, reach=timedelta(days=4))
        await bench.go(3600)

    pieces = {(end - start) // 3600 + 1 for _, query, start, end in bench.prometheus.asked if "[3600s]" in query}
    assert min(pieces) <= 24
    assert len(bench.books.minutes()) > 60


# --- troubles -------------------------------------------------------------------------------------------


async def test_missed_minutes_are_caught_up_when_prometheus_answers_again() -> None:
    """Fault 53: Prometheus was away for a quarter of an hour."""
    async with running() as bench:
        bench.open()
        await bench.go(60)
        bench.prometheus.trouble["all"] = Trouble.UNREACHABLE
        await bench.go(900)
        assert bench.reason() == "PrometheusUnreachable"
        seen = bench.collector.seen(KEY)
        assert seen is not None
        assert seen.is_valid
        bench.prometheus.trouble.clear()
        await bench.go(360)

    minutes = bench.books.minutes()
    assert list(minutes) == list(range(len(minutes)))
    assert len(minutes) >= 20
    assert bench.reason() == ""


async def test_a_prometheus_that_is_down_is_not_stormed() -> None:
    """Fault 49: a thousand objectives, a few questions a minute."""
    async with running() as bench:
        for number in range(1000):
            bench.open(str(number))
        bench.prometheus.trouble["all"] = Trouble.UNREACHABLE
        await bench.go(120)
        before = len(bench.prometheus.asked)
        await bench.go(600)
        assert len(bench.prometheus.asked) - before <= 60
        assert {bench.reason(str(number)) for number in range(1000)} == {"PrometheusUnreachable"}
        bench.prometheus.trouble.clear()
        await bench.go(420)

    assert all(len(bench.books.minutes(str(number))) >= 15 for number in range(1000))


@pytest.mark.parametrize("trouble", [Trouble.TIMEOUT, Trouble.INVALID_QUERY, Trouble.UNAVAILABLE])
async def test_one_objective_that_fails_holds_up_no_other(trouble: Trouble) -> None:
    async with running() as bench:
        bench.open("broken", ratio={"bad": "increase(bad[{{window}}])", "total": "increase(broken[{{window}}])"})
        bench.open()
        bench.prometheus.trouble["broken"] = trouble
        await bench.go(1800)

    asked = [query for _, query, _, _ in bench.prometheus.asked if "broken" in query]
    assert len(asked) < 15
    assert len(bench.books.minutes()) == 30
    assert bench.reason("broken") == trouble.value
    assert bench.reason() == ""


async def test_a_users_prometheus_that_stalls_holds_up_no_other() -> None:
    """A tarpit takes the slots of users' Prometheis at most."""
    async with running() as bench:
        for number in range(20):
            bench.open(f"slow-{number}", url="http://tarpit.test", counted=-5)
        bench.prometheus.gate.clear()
        for _ in range(6):
            bench.clock.advance(10)
            bench.collector.timetable._tick()
            await asyncio.sleep(0.01)
        assert bench.prometheus.under_way == 6
        bench.open()
        for _ in range(12):
            bench.clock.advance(10)
            bench.collector.timetable._tick()
            await asyncio.sleep(0.01)
        assert bench.prometheus.under_way == 7
        bench.prometheus.gate.set()
        await bench.rest()

    assert bench.books.minutes()


async def test_a_crew_survives_a_bug() -> None:
    async with running() as bench:

        def bug(_: int) -> float:
            raise ZeroDivisionError

        bench.prometheus.says("broken", bug)
        bench.open("broken", ratioQuery="broken")
        bench.open()
        await bench.go(300)

    assert len(bench.books.minutes()) == 5


# --- changes --------------------------------------------------------------------------------------------


async def test_an_answer_to_what_was_edited_meanwhile_is_dropped() -> None:
    async with running() as bench:
        bench.open()
        bench.prometheus.gate.clear()
        for _ in range(12):
            bench.clock.advance(10)
            bench.collector.timetable._tick()
            await asyncio.sleep(0)
        await eventually(lambda: bench.prometheus.under_way == 1)
        bench.open(ratioQuery="bad")
        bench.prometheus.gate.set()
        await bench.go(120)

    minutes = bench.books.minutes()
    assert list(minutes) == list(range(len(minutes)))
    assert set(minutes.values()) == {(1.0, 1.0)}


async def test_an_objective_that_is_gone_is_not_asked_for() -> None:
    async with running() as bench:
        bench.open()
        await bench.go(60)
        bench.collector.close(KEY)
        asked = len(bench.prometheus.asked)
        await bench.go(120)

    assert len(bench.prometheus.asked) == asked
    assert bench.collector.seen(KEY) is None
    assert not len(bench.collector.timetable)
    bench.collector.close(KEY)


async def test_opening_again_without_a_change_changes_nothing() -> None:
    async with running() as bench:
        bench.open()
        await bench.go(60)
        bench.open()
        await bench.go(60)

    assert list(bench.books.minutes()) == [0, 1]


async def test_one_of_the_same_name_is_another() -> None:
    async with running() as bench:
        bench.open()
        await bench.go(60)
        bench.books.last, bench.books.added = {}, defaultdict(dict)
        bench.open(uid="another", counted=None)
        await bench.go(120)

    assert len(bench.books.minutes()) >= 60


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0])
async def test_a_clock_that_jumps_and_comes_back_counts_nothing_twice(jump: float) -> None:
    """Fault 25. Of the future there is no data."""
    async with running() as bench:
        truth = bench.clock.monotonic() - bench.clock.now().timestamp()

        def real(at: int) -> float | None:
            return 10.0 if at <= bench.clock.monotonic() - truth else None

        bench.prometheus.says("all", real)
        bench.open(reach=timedelta(days=2))
        await bench.go(180)
        bench.clock.jump(jump)
        await bench.go(300)
        bench.clock.jump(-jump)
        await bench.go(300)

    minutes = bench.books.minutes()
    assert set(range(10)) <= set(minutes)


# --- what rules recorded --------------------------------------------------------------------------------


def recorded(bad: float | None, total: float | None, *names: str, **labels: str) -> list[Sample]:
    return [
        Sample(
            value,
            {
                "__name__": f"homeostat:slo_{kind}:rate5m",
                "homeostat_namespace": "shop",
                "homeostat_slo": name,
                **labels,
            },
        )
        for name in names
        for kind, value in (("bad", bad), ("total", total))
        if value is not None
    ]


async def test_what_rules_recorded_is_asked_for_all_at_once() -> None:
    async with running() as bench:
        names = [str(number) for number in range(100)]
        bench.prometheus.says("__name__", recorded(0.5, 2.0, *names))
        for name in names:
            bench.open(name, is_recorded=True)
        await bench.go(120)
        bench.prometheus.asked.clear()
        await bench.go(300)

    assert len(bench.prometheus.asked) == 5
    assert all(query == '{__name__=~"homeostat:slo_(bad|total):rate5m"}' for _, query, _, _ in bench.prometheus.asked)
    for name in names:
        assert list(bench.books.minutes(name)) == list(range(7))
        assert set(list(bench.books.minutes(name).values())[-5:]) == {(30.0, 120.0)}


async def test_recorded_groups_are_groups_and_absent_errors_are_none() -> None:
    """S15."""
    async with running() as bench:
        bench.prometheus.says("all", {"a": 5.0, "b": 7.0})
        bench.prometheus.says("bad", None)
        bench.prometheus.says(
            "__name__", [*recorded(None, 2.0, "checkout", pod="a"), *recorded(1.0, 3.0, "checkout", pod="b")]
        )
        bench.open(is_recorded=True, groupBy=["pod"])
        await bench.go(240)

    assert list(bench.books.minutes(group="pod=a").values())[-1] == (0.0, 120.0)
    assert list(bench.books.minutes(group="pod=b").values())[-1] == (60.0, 180.0)


async def test_an_objective_that_is_not_recorded_is_asked_for_itself() -> None:
    """Rules that were lost cost no data."""
    async with running() as bench:
        bench.prometheus.says("__name__", [])
        bench.open(is_recorded=True)
        await bench.go(300)

    assert len(bench.books.minutes()) >= 4
    assert set(bench.books.minutes().values()) == {(1.0, 10.0)}


async def test_recorded_minutes_that_were_missed_are_caught_up() -> None:
    """Fault 53."""
    async with running() as bench:
        bench.prometheus.says("__name__", recorded(0.5, 2.0, "checkout"))
        bench.open(is_recorded=True)
        await bench.go(120)
        bench.prometheus.trouble["__name__"] = Trouble.UNREACHABLE
        await bench.go(600)
        assert bench.reason() == "PrometheusUnreachable"
        bench.prometheus.trouble.clear()
        await bench.go(180)
        assert bench.reason() == ""
        bench.open(is_recorded=False)
        await bench.go(120)

    minutes = bench.books.minutes()
    assert list(minutes) == list(range(len(minutes)))
    assert len(minutes) >= 15
    assert not bench.collector._shared


async def test_an_answer_about_all_that_is_too_large_makes_each_ask_for_itself() -> None:
    async with running() as bench:
        bench.prometheus.trouble["__name__"] = Trouble.TOO_LARGE
        bench.open(is_recorded=True)
        await bench.go(600)
        assert bench.reason() == ""

    minutes = bench.books.minutes()
    assert len(minutes) >= 9
    assert list(minutes) == list(range(len(minutes)))


async def test_what_rules_recorded_for_ten_thousand_objectives_is_not_too_large() -> None:
    async with running() as bench:
        others = [f"other-{number}" for number in range(10_000)]
        bench.prometheus.says("__name__", recorded(0.5, 2.0, "checkout", *others))
        bench.open(is_recorded=True)
        await bench.go(120)
        bench.prometheus.asked.clear()
        await bench.go(120)

    assert {query for _, query, _, _ in bench.prometheus.asked} == {'{__name__=~"homeostat:slo_(bad|total):rate5m"}'}
    assert list(bench.books.minutes().values())[-1] == (30.0, 120.0)
