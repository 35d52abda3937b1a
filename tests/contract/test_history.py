"""The history store on real databases of both kinds: what is written is read, and nothing breaks what can break."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sqlalchemy import event

from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import Grid, Step
from homeostat.core.history.records import VERDICTS, Known, Latencies, PastRun, Retention, Runs, code_of
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.core.probing.result import Reason, Verdict
from homeostat.ports import HistoryUnavailable, StoredAttempt, StoredDecision
from homeostat.store import sqlite
from homeostat.store.history import SqlHistory

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOON = int(NOW.timestamp())


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/history.db"


@pytest.fixture
async def history(store_url: str) -> AsyncIterator[SqlHistory]:
    opened = SqlHistory(store_url)
    yield opened
    await opened.close()


def closed(start: int, seconds: int, **counts: tuple[float, float]) -> Closed:
    """Make a period of (good, total) by series; every minute of it was observed."""
    rows = [(total - good, total, seconds // MINUTE) for good, total in counts.values()]
    return Closed(start, seconds, tuple(counts), np.array(rows, dtype=np.float64).T)


def runs_of(start: int, *runs: tuple[str, float, Verdict, Reason, float]) -> Runs:
    """Make the runs of one minute: series, seconds into it, verdict, reason, latency."""
    series = tuple(sorted({run[0] for run in runs}))
    return Runs(
        start, series,
        owner=np.array([series.index(run[0]) for run in runs], dtype=np.uint32),
        offset=np.array([run[1] * 1000 for run in runs], dtype=np.uint16),
        verdict=np.array([VERDICTS.index(run[2]) for run in runs], dtype=np.uint8),
        reason=np.array([code_of(run[3]) for run in runs], dtype=np.uint16),
        seconds=np.array([run[4] for run in runs], dtype=np.float16),
    )  # fmt: skip


def passes(start: int, series: str, *seconds: float) -> Runs:
    return runs_of(start, *((series, at, Verdict.PASS, Reason.OK, took) for at, took in enumerate(seconds)))


def attempt(identity: str, *, ended: bool) -> StoredAttempt:
    return StoredAttempt(
        identity, "uid-1", "RecoveryPolicy", "shop", "restart", NOW, NOW if ended else None,
        "Recovered" if ended else "Started", {"step": 0},
    )  # fmt: skip


def decision(identity: str, message: str = "") -> StoredDecision:
    return StoredDecision(
        identity, "uid-1", "shop", "restart", NOW, "Refuse", "CoolingDown", {"gate": "cooling_down", "message": message}
    )


class Stored(NamedTuple):
    """One bucket as it is in the store."""

    series: str
    start: int
    seconds: int
    good: float
    total: float
    observed: float


async def buckets(history: SqlHistory, seconds: int, *series: str) -> list[Stored]:
    """Read all that is stored of some series."""
    return [bucket async for period in history.periods(seconds, 0, series) for bucket in stored(period)]


def stored(period: Closed) -> list[Stored]:
    counts = zip(period.series, *period.counted.tolist(), strict=True)
    return [
        Stored(name, period.start, period.seconds, total - bad, total, observed)
        for name, bad, total, observed in counts
        if total
    ]


def grid(since: int, until: int, step: int) -> Grid:
    return Grid(since, until, step)


def counts(steps: Iterable[Step]) -> list[tuple[int, float, float, int]]:
    return [(step.start, step.good, step.total, step.observed) for step in steps]


# --- what is written is read ----------------------------------------------------------------------------


async def test_buckets_survive_a_restart_and_are_overwritten_not_doubled(store_url: str) -> None:
    """H6, S6: what was counted before a restart is there after it."""
    first = SqlHistory(store_url)
    await first.add([closed(NOON, 60, a=(1, 2), b=(5, 5))])
    await first.add([closed(NOON, 60, a=(3, 4))])
    await first.close()

    second = SqlHistory(store_url)
    both = await buckets(second, 60, "a", "b")
    only_a = await buckets(second, 60, "a")
    await second.close()

    assert both == [Stored("a", NOON, 60, 3, 4, 1), Stored("b", NOON, 60, 5, 5, 1)]
    assert only_a == [Stored("a", NOON, 60, 3, 4, 1)]


async def test_series_of_many_blocks_keep_their_own_counts(history: SqlHistory) -> None:
    names = [f"s{number}" for number in range(1500)]
    await history.add([closed(NOON, 60, **{name: (number, number + 1) for number, name in enumerate(names)})])
    await history.add([closed(NOON + 60, 60, s700=(7, 9))])

    [first, second] = [period async for period in history.periods(60, NOON, [*names, "nobody"])]

    assert first.counted[0].tolist() == [1] * 1500 + [0]
    assert first.counted[1, :-1].tolist() == list(range(1, 1501))
    assert first.counted[:, -1].tolist() == [0, 0, 0]
    assert stored(second) == [Stored("s700", NOON + 60, 60, 7, 9, 1)]


async def test_what_is_written_again_after_a_stop_changes_nothing(history: SqlHistory) -> None:
    """Fault 21: a write that was cut short may have been done."""
    batch = [closed(NOON, 60, a=(1, 2)), passes(NOON, "a", 0.1, 0.2), attempt("a-1", ended=True)]
    await history.add(batch)
    await history.add(batch)

    assert await buckets(history, 60, "a") == [Stored("a", NOON, 60, 1, 2, 1)]
    assert [run.at for run in await history.past_runs("a", NOON, NOON + 60)] == [NOON, NOON + 1]
    assert await history.attempts("uid-1") == [attempt("a-1", ended=True)]


async def test_runs_of_a_minute_that_two_processes_wrote_are_all_there(history: SqlHistory) -> None:
    """H6: the one before wrote its part of the minute when it stopped."""
    await history.add([runs_of(NOON, ("a", 5, Verdict.FAIL, Reason.TIMEOUT, 2.0))])
    await history.add([runs_of(NOON, ("a", 55, Verdict.PASS, Reason.OK, 0.25), ("b", 1, Verdict.PASS, Reason.OK, 1.0))])

    assert await history.past_runs("a", NOON, NOON + 60) == [
        PastRun(NOON + 5.0, Verdict.FAIL, Reason.TIMEOUT, 2.0, is_retried=False),
        PastRun(NOON + 55.0, Verdict.PASS, Reason.OK, 0.25, is_retried=False),
    ]


async def test_every_verdict_and_reason_is_read_as_it_was_written(history: SqlHistory) -> None:
    """H1: all six results."""
    said = [(VERDICTS[number % 6], reason) for number, reason in enumerate(Reason)]
    await history.add([runs_of(NOON, *(("a", at / 2, *one, 0.5) for at, one in enumerate(said)))])

    read = await history.past_runs("a", NOON, NOON + 60)

    assert [(run.verdict, run.reason) for run in read] == said


async def test_all_runs_of_a_minute_are_read_for_those_who_are_asked_for(history: SqlHistory) -> None:
    await history.add([passes(NOON, "a", 0.1), passes(NOON, "b", 0.2, 0.4)])

    found = await history.runs(NOON, ("c", "b"))

    assert found is not None
    assert (found.series, found.owner.tolist()) == (("c", "b"), [1, 1])
    assert found.seconds.tolist() == pytest.approx([0.2, 0.4], rel=1e-3)
    assert await history.runs(NOON + 60, ("b",)) is None


async def test_names_outlive_the_check_and_follow_an_edit(history: SqlHistory) -> None:
    """Fault 37: a name that is used again is another check."""
    old, new = Known("check/1", "shop", "web", "", 100), Known("check/2", "shop", "web", "cart", 200)
    await history.add([old, new, Known("check/3", "shop", "api", "", 200), Known("check/4", "ops", "web", "", 300)])
    await history.add([replace(old, service="cart", seen=90)])

    assert await history.known("shop", "web") == [replace(old, service="cart"), new]
    assert [one.series for one in await history.known()] == ["check/4", "check/3", "check/1", "check/2"]


async def test_a_decision_is_there_once_and_the_newest_come_first(history: SqlHistory) -> None:
    """R15: a decision that is kept again after a restart is the same decision."""
    newer = replace(decision("d-2"), at=NOW + timedelta(seconds=5))
    await history.add([decision("d-1"), newer])
    await history.add([decision("d-1", "in other words")])

    assert await history.decisions("uid-1") == [newer, decision("d-1", "in other words")]
    assert await history.decisions("uid-1", limit=1) == [newer]
    assert await history.decisions("uid-2") == []


async def test_an_attempt_is_written_once_and_then_updated(history: SqlHistory) -> None:
    await history.add([attempt("a-1", ended=False)])
    await history.add([attempt("a-1", ended=True)])

    assert await history.attempts("uid-1") == [attempt("a-1", ended=True)]


async def test_the_end_of_what_is_recorded_is_that_of_the_newest_bucket(history: SqlHistory) -> None:
    empty = await history.recorded_until()
    await history.add(
        [closed(NOON - 300, 300, a=(1, 1)), closed(NOON, 60, a=(1, 1)), closed(NOON - HOUR, HOUR, a=(1, 1))]
    )

    assert (empty, await history.recorded_until()) == (0, NOON + 60)


# --- ranges ---------------------------------------------------------------------------------------------


async def test_a_range_is_read_from_the_longest_buckets_and_shorter_ones_at_its_edges(history: SqlHistory) -> None:
    """S4: no run counts twice, and none is left out."""
    minutes = [closed(NOON + 60 * number, 60, a=(1, 2)) for number in range(75)]
    fives = [closed(NOON + 300 * number, 300, a=(5, 10)) for number in range(15)]
    await history.add([*minutes, *fives, closed(NOON, HOUR, a=(60, 120))])

    whole = await history.span("a", grid(NOON, NOON + 75 * 60, DAY))
    shifted = await history.span("a", grid(NOON + 7 * 60, NOON + 67 * 60, DAY))
    hourly = await history.span("a", grid(NOON, NOON + 2 * HOUR, HOUR))

    assert counts(whole) == [(NOON, 75, 150, 75 * 60)]
    assert counts(shifted) == [(NOON + 7 * 60, 60, 120, 3600)]
    assert counts(hourly) == [(NOON, 60, 120, 3600), (NOON + HOUR, 15, 30, 900)]


async def test_where_minutes_are_gone_an_hour_counts_whole_in_the_step_it_begins_in(history: SqlHistory) -> None:
    await history.add([closed(NOON, HOUR, a=(9, 10))])

    steps = await history.span("a", grid(NOON, NOON + HOUR, 20 * 60))

    assert counts(steps) == [(NOON, 9, 10, 3600), (NOON + 1200, 0, 0, 0), (NOON + 2400, 0, 0, 0)]


async def test_an_hour_that_was_never_closed_is_read_from_its_minutes(history: SqlHistory) -> None:
    """H6: the operator was killed and has not come back."""
    await history.add([closed(NOON, 300, a=(5, 5)), closed(NOON + 300, 60, a=(1, 1)), closed(NOON + 360, 60, a=(0, 1))])

    assert counts(await history.span("a", grid(NOON, NOON + HOUR, HOUR))) == [(NOON, 6, 7, 420)]


async def test_nothing_is_read_of_a_series_nobody_knows(history: SqlHistory) -> None:
    await history.add([closed(NOON, 60, a=(1, 1))])

    assert await history.span("b", grid(NOON, NOON + 60, 60)) == ()
    assert await history.past_runs("b", NOON, NOON + 60) == ()


async def test_latencies_are_those_of_the_hour_and_of_runs_where_it_has_not_ended(history: SqlHistory) -> None:
    percentiles = np.array([[0.1], [0.2], [0.3], [0.4]], dtype=np.float32)
    await history.add([Latencies(NOON, ("a",), np.array([360], dtype=np.uint32), percentiles)])
    await history.add(
        [passes(NOON + HOUR, "a", 0.5, 0.25), closed(NOON + HOUR, 60, a=(2, 2)), closed(NOON, HOUR, a=(1, 1))]
    )
    await history.add([runs_of(NOON + HOUR, ("a", 30, Verdict.FAIL, Reason.TIMEOUT, 9.0))])

    first, second = [step.latency for step in await history.span("a", grid(NOON, NOON + 2 * HOUR, HOUR))]

    assert first is not None
    assert second is not None
    assert first[0] == 360
    assert first[1:] == pytest.approx((0.1, 0.2, 0.3, 0.4), rel=1e-3)
    assert second == (2, 0.25, 0.5, 0.5, 0.5)


async def test_the_latencies_of_more_runs_stay(history: SqlHistory) -> None:
    """H6: an hour that was computed once more from a part of its runs does not replace the whole."""
    series, one = ("a",), np.ones((4, 1), dtype=np.float32)
    for count, took in ((100, 1.0), (50, 2.0), (120, 3.0), (30, 4.0)):
        await history.add([Latencies(NOON, series, np.array([count], dtype=np.uint32), took * one)])

    [step] = await history.span("a", grid(NOON, NOON + HOUR, HOUR))

    assert step.latency == (120, 3.0, 3.0, 3.0, 3.0)


# --- how it stays small ---------------------------------------------------------------------------------


async def test_what_is_past_its_retention_is_pruned_and_nothing_else(history: SqlHistory) -> None:
    old, fresh = NOON - 13 * HOUR, NOON - HOUR
    await history.add([closed(old, 60, s=(1, 1)), closed(fresh, 60, s=(2, 2)), closed(old, 300, s=(1, 1))])
    await history.add([closed(NOON - 5 * DAY, 300, s=(1, 1)), closed(NOON - 5 * DAY, HOUR, s=(1, 1))])
    await history.add(
        [closed(NOON - 95 * DAY, HOUR, s=(1, 1)), passes(fresh, "s", 0.1), passes(NOON - 3 * HOUR, "s", 0.1)]
    )
    await history.add(
        [Known("s", "shop", "web", "", NOON - 91 * DAY), Known("gone", "shop", "old", "", NOON - 97 * DAY)]
    )
    await history.add([replace(attempt("a-1", ended=True), started_at=NOW - timedelta(days=95))])
    await history.add([replace(decision("d-1"), at=NOW - timedelta(days=95)), decision("d-2")])

    left = await history.prune(NOW)

    assert not left.is_cut
    assert [bucket.start for bucket in await buckets(history, 60, "s")] == [fresh]
    assert [bucket.start for bucket in await buckets(history, 300, "s")] == [old]
    assert [bucket.start for bucket in await buckets(history, HOUR, "s")] == [NOON - 5 * DAY]
    assert [run.at for run in await history.past_runs("s", 0, NOON)] == [fresh]
    assert [one.series for one in await history.known()] == ["s"]
    assert await history.attempts("uid-1") == []
    assert await history.decisions("uid-1") == [decision("d-2")]


def noise(start: int, series: Iterable[str]) -> Runs:
    """Make runs that do not compress."""
    names = tuple(series)
    random = np.random.default_rng(start)
    owner = np.arange(len(names), dtype=np.uint32).repeat(6)
    return Runs(
        start, names, owner,
        offset=random.integers(0, 60_000, len(owner), dtype=np.uint16),
        verdict=np.zeros(len(owner), dtype=np.uint8),
        reason=np.full(len(owner), code_of(Reason.OK), dtype=np.uint16),
        seconds=random.random(len(owner)).astype(np.float16),
    )  # fmt: skip


async def test_a_store_that_grew_too_large_gives_up_the_oldest_of_the_finest_and_its_file_shrinks(
    tmp_path: Path,
) -> None:
    names = [f"s{number}" for number in range(500)]
    history = SqlHistory(url(tmp_path), Retention(results=DAY, most_bytes=2_000_000))
    for minute in range(300):
        start = NOON - 300 * 60 + 60 * minute
        await history.add([noise(start, names), closed(start, 60, **dict.fromkeys(names, (1, 1)))])
    before = (tmp_path / "history.db").stat().st_size
    left = await history.prune(NOW)
    minutes = await buckets(history, 60, "s1")
    runs = await history.past_runs("s1", 0, NOON)
    again = await history.prune(NOW)
    await history.close()

    assert left.is_cut
    assert before > 2_500_000
    assert left.size <= 2_000_000
    assert (tmp_path / "history.db").stat().st_size <= left.size
    assert len(minutes) == 300
    assert runs[0].at > NOON - 300 * 60
    assert runs[-1].at > NOON - 60
    assert not again.is_cut


async def test_a_limit_that_nothing_fits_in_leaves_the_newest_and_ends(store_url: str) -> None:
    history = SqlHistory(store_url, Retention(most_bytes=1))
    periods = [
        closed(NOON - seconds * number, seconds, s=(1, 1)) for seconds in (60, 300, 3600) for number in (1, 2, 3)
    ]
    await history.add([*periods, passes(NOON - 60, "s", 0.1), passes(NOON - 120, "s", 0.1)])

    left = await history.prune(NOW)
    kept = [bucket.start for seconds in (60, 300, 3600) for bucket in await buckets(history, seconds, "s")]
    runs = await history.past_runs("s", 0, NOON)
    await history.close()

    assert left.is_cut
    assert kept == [NOON - 60, NOON - 300, NOON - 3600]
    assert len(runs) == 1


async def test_free_pages_go_back_to_the_disk_when_there_are_many(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(500)]
    history = SqlHistory(url(tmp_path), Retention(results=DAY))
    await history.add([noise(NOON - 60 * minute, names) for minute in range(1, 1200)])
    await history.prune(NOW)
    before = (tmp_path / "history.db").stat().st_size
    await history.prune(NOW + timedelta(days=2))
    await history.close()

    assert before > 10_000_000
    assert (tmp_path / "history.db").stat().st_size < 200_000


# --- what can break -------------------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_set_aside_and_history_begins_anew(tmp_path: Path) -> None:
    """Faults 27: a torn or foreign file costs history, not the operator."""
    (tmp_path / "history.db").write_bytes(b"this is not a database" * 100)
    history = SqlHistory(url(tmp_path))
    await history.add([closed(NOON, 60, s=(1, 1))])
    found = await buckets(history, 60, "s")
    await history.close()

    assert len(found) == 1
    assert (tmp_path / "history.db.broken").read_bytes().startswith(b"this is not")


async def test_a_row_that_makes_no_sense_reads_as_no_data_and_is_written_over(tmp_path: Path) -> None:
    """Faults 27: rows of a torn file."""
    history = SqlHistory(url(tmp_path))
    await history.add([closed(NOON, 60, s=(1, 1)), closed(NOON + 60, 60, s=(1, 1)), passes(NOON, "s", 0.1)])
    with closing(sqlite3.connect(tmp_path / "history.db")) as other:
        other.execute("UPDATE counts SET packed = x'00ff00'")
        other.execute("UPDATE runs SET packed = ?", (b"x\x9cK\x04\x00\x00b\x00b",))
        other.commit()
    torn = await buckets(history, 60, "s"), await history.past_runs("s", 0, NOON + 60)
    await history.add([closed(NOON, 60, s=(2, 3)), passes(NOON, "s", 0.5)])
    mended = await buckets(history, 60, "s"), await history.past_runs("s", 0, NOON + 60)
    await history.close()

    assert torn == ([], [])
    assert mended[0] == [Stored("s", NOON, 60, 2, 3, 1)]
    assert [run.seconds for run in mended[1]] == [0.5]


async def test_a_place_that_cannot_be_written_is_reported_as_unavailable(tmp_path: Path) -> None:
    """Faults 27: a read-only or missing folder is a known outcome, not a crash."""
    history = SqlHistory(f"sqlite+aiosqlite:///{tmp_path}/missing/history.db")

    with pytest.raises(HistoryUnavailable):
        await history.add([closed(NOON, 60, s=(1, 1))])
    with pytest.raises(HistoryUnavailable):
        await history.recorded_until()
    await history.close()


def allow_40_pages(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA max_page_count = 40")
    cursor.close()


async def test_a_full_disk_is_reported_as_unavailable_and_reading_goes_on(tmp_path: Path) -> None:
    """Faults 27: SQLite says 'database or disk is full'."""
    history = SqlHistory(url(tmp_path))
    await history.add([closed(NOON, 60, s=(1, 1))])
    assert history._engine is not None
    event.listen(history._engine, "connect", allow_40_pages)
    await history._in_thread(history._engine.dispose)

    for _ in range(2):
        with pytest.raises(HistoryUnavailable):
            await history.add([closed(NOON, 60, **{f"series-{number}": (1, 1) for number in range(20_000)})])
    left = await buckets(history, 60, "s", "series-1")
    await history.add([closed(NOON + 60, 60, s=(1, 1))])
    more = await buckets(history, 60, "s")
    await history.close()

    assert [bucket.series for bucket in left] == ["s"]
    assert len(more) == 2


async def test_a_locked_database_is_reported_as_unavailable_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults 28: nobody waits for the lock but the store's own thread."""
    monkeypatch.setattr(sqlite, "_PRAGMAS", (*sqlite._PRAGMAS, "busy_timeout = 300"))
    history = SqlHistory(url(tmp_path))
    await history.add([closed(NOON, 60, s=(1, 1))])
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(history.add([closed(NOON + 60, 60, s=(1, 1))]))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(HistoryUnavailable):
            await writing
        other.execute("ROLLBACK")
    await history.add([closed(NOON + 60, 60, s=(1, 1))])
    found = await buckets(history, 60, "s")
    await history.close()

    assert turns > 5
    assert len(found) == 2


async def test_a_wait_that_is_given_up_leaves_no_thread_that_answers_into_a_closed_loop(tmp_path: Path) -> None:
    """Fault 21: a stop in the middle of a write."""
    history = SqlHistory(url(tmp_path))
    writing = asyncio.create_task(history.add([noise(NOON + 60 * minute, ["a", "b"]) for minute in range(200)]))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    await history.close()
    await history.add([closed(NOON, 60, a=(1, 1))])
    found = await buckets(history, 60, "a")
    await history.close()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("history")]
    for thread in threads:
        await asyncio.to_thread(thread.join, 5)

    assert len(found) == 1
    assert not any(thread.is_alive() for thread in threads)
