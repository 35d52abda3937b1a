"""Pushed events on real databases of both kinds: what was acknowledged is counted exactly once, whatever breaks."""

import asyncio
import os
import queue
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from contract import deliverer
from contract.deliverer import NAMES, NOON
from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import Grid
from homeostat.core.history.records import Known, Retention
from homeostat.core.history.window import DAY, HOUR
from homeostat.ports import Delivery, HistoryUnavailable
from homeostat.store import sqlite
from homeostat.store.history import SqlHistory

NOW = datetime.fromtimestamp(NOON, UTC)
MINUTE = NOON // 60


@pytest.fixture
async def history(store_url: str) -> AsyncIterator[SqlHistory]:
    opened = SqlHistory(store_url)
    yield opened
    await opened.close()


def pushed(key: str, *counts: tuple[str, int, float, float], objective: str = "uid-1") -> Delivery:
    return Delivery(objective, key, counts)


async def stored(history: SqlHistory, seconds: int, series: str) -> list[tuple[int, float, float, float]]:
    """Read (start, bad, total, observed) of the buckets with data."""
    periods = [(period.start, *period.counted[:, 0].tolist()) async for period in history.periods(seconds, 0, [series])]
    return [period for period in periods if period[2]]


# --- counting -------------------------------------------------------------------------------------------


async def test_pushed_events_are_in_the_buckets_of_every_length(history: SqlHistory) -> None:
    """S4: minutes with data are counted once, however often events of them come."""
    await history.deliver([pushed("1", ("slo/a", MINUTE, 1, 10), ("slo/b", MINUTE, 0, 3))], NOW)
    await history.deliver([pushed("2", ("slo/a", MINUTE, 0, 5), ("slo/a", MINUTE + 4, 2, 2))], NOW)
    await history.deliver([pushed("3", ("slo/a", MINUTE + 5, 0, 1), ("slo/a", MINUTE - 1, 1, 1))], NOW)

    assert await stored(history, 60, "slo/a") == [
        (NOON - 60, 1, 1, 1), (NOON, 1, 15, 1), (NOON + 240, 2, 2, 1), (NOON + 300, 0, 1, 1),
    ]  # fmt: skip
    assert await stored(history, 300, "slo/a") == [(NOON - 300, 1, 1, 1), (NOON, 3, 17, 2), (NOON + 300, 0, 1, 1)]
    assert await stored(history, 3600, "slo/a") == [(NOON - HOUR, 1, 1, 1), (NOON, 3, 18, 3)]
    assert await stored(history, 3600, "slo/b") == [(NOON, 0, 3, 1)]


async def test_a_key_is_counted_once_for_each_objective_also_within_one_call(history: SqlHistory) -> None:
    count = ("slo/a", MINUTE, 1, 2)
    first = await history.deliver([pushed("x", count), pushed("y", count), pushed("x", count)], NOW)
    second = await history.deliver([pushed("x", count), pushed("z", count)], NOW)
    other = await history.deliver([pushed("x", count, objective="uid-2")], NOW)

    assert (first, second, other) == ((True, True, False), (False, True), (True,))
    assert await stored(history, 60, "slo/a") == [(NOON, 4, 8, 1)]


async def test_whose_series_are_counted_is_known_as_soon_as_they_are(history: SqlHistory) -> None:
    """S14: a group whose name is lost with a kill would begin anew while the whole does not."""
    known = [Known("slo/a/1", "shop", "web", "region=eu", seen) for seen in (NOON, NOON + 1)]
    counts = (("slo/a/1", MINUTE, 0, 1),)
    await history.deliver([Delivery("uid-1", str(one.seen), counts, (one,)) for one in known], NOW)

    assert await history.known("shop", "web") == known[1:]


async def test_without_a_key_every_delivery_counts(history: SqlHistory) -> None:
    told = [await history.deliver([pushed("", ("slo/a", MINUTE, 0, 1))] * 2, NOW) for _ in range(2)]

    assert told == [(True, True), (True, True)]
    assert await stored(history, 60, "slo/a") == [(NOON, 0, 4, 1)]
    assert await history.deliver([], NOW) == ()


async def test_keys_of_any_length_and_script_are_told_apart(history: SqlHistory) -> None:
    """Faults 31: NUL, emoji, homoglyphs, and keys longer than any index would take."""
    keys = ["a\0b", "a", "а", "🙂", "x" * 10_000, "x" * 10_001]  # noqa: RUF001 - the third is Cyrillic
    deliveries = [pushed(key, ("slo/a", MINUTE, 0, 1)) for key in keys]

    assert await history.deliver(deliveries, NOW) == (True,) * 6
    assert await history.deliver(deliveries, NOW) == (False,) * 6


async def test_an_hour_that_is_being_counted_into_does_not_say_that_history_reaches_to_its_end(
    history: SqlHistory,
) -> None:
    """S6: a restart goes on in the minute that the events are of, not in one that has not come."""
    await history.deliver([pushed("1", ("slo/a", MINUTE + 7, 0, 1))], NOW)

    assert await history.recorded_until() == NOON + 8 * 60


async def test_many_series_and_keys_are_delivered_at_once(history: SqlHistory) -> None:
    names = [f"slo/{number}" for number in range(1500)]
    deliveries = [pushed(str(number), (name, MINUTE, 0, number + 1)) for number, name in enumerate(names)]

    assert all(await history.deliver(deliveries, NOW))
    assert not any(await history.deliver(deliveries, NOW))
    [period] = [period async for period in history.periods(3600, 0, names)]
    assert period.counted[1].tolist() == list(range(1, 1501))


async def test_new_series_get_the_next_numbers_and_names_keep_theirs(history: SqlHistory) -> None:
    """Numbers without holes keep blocks dense; a failed transaction or a pruning uses none up."""
    await history.add([Known("slo/a", "shop", "pay", "", NOON)])
    for _ in range(20):
        await history.deliver([pushed("", ("slo/a", MINUTE, 0, 1), ("slo/b", MINUTE, 0, 1))], NOW)
        await history.prune(NOW)
    await history.deliver([pushed("", ("slo/c", MINUTE, 0, 1))], NOW)

    def numbers() -> list[tuple[int, str]]:
        with history._open().connect() as connection:
            found = connection.exec_driver_sql("SELECT id, name FROM series ORDER BY id")
            return [(number, name) for number, name in found]

    assert await history._in_thread(numbers) == [(1, "slo/a"), (2, "slo/b"), (3, "slo/c")]


# --- beside what the ledger writes ----------------------------------------------------------------------


def closed(start: int, seconds: int, bad: float, total: float) -> Closed:
    return Closed(start, seconds, ("slo/a",), np.array([[bad], [total], [1.0]]))


async def test_a_row_of_fewer_events_never_takes_the_place_of_a_fuller_one(history: SqlHistory) -> None:
    """What was acknowledged stays when the ledger writes a minute that it has not caught up with."""
    await history.deliver([pushed("1", ("slo/a", MINUTE, 2, 10))], NOW)
    await history.add([closed(NOON, 60, 1, 7), closed(NOON, 300, 1, 7), closed(NOON, 3600, 1, 7)])
    kept = [await stored(history, seconds, "slo/a") for seconds in (60, 300, 3600)]
    await history.add([closed(NOON, 60, 3, 10), closed(NOON, 300, 3, 11)])
    fuller = [await stored(history, seconds, "slo/a") for seconds in (60, 300)]

    assert kept == [[(NOON, 2, 10, 1)]] * 3
    assert fuller == [[(NOON, 3, 10, 1)], [(NOON, 3, 11, 1)]]


async def test_numbers_that_are_not_whole_are_stored_to_one_in_sixteen_million(history: SqlHistory) -> None:
    """S3: rates of Prometheus; what is rounded is rounded against the service, and small whole numbers are exact."""
    await history.add([closed(NOON, 60, 1e-9, 1234.56789), closed(NOON + 60, 60, 3, 2**31 - 1)])
    await history.add([closed(NOON + 120, 60, 0.0, 5e12), closed(NOON + 180, 60, 0.1, 0.1)])
    [small, whole, large, all_bad] = await stored(history, 60, "slo/a")
    [step] = await history.span("slo/a", Grid(NOON, NOON + 60, 60))

    assert small[1] == pytest.approx(1e-9, rel=1.2e-7)
    assert small[1] >= 1e-9
    assert small[2] == pytest.approx(1234.56789, rel=6e-8)
    assert whole[1:3] == (3, 2**31 - 1)
    assert large[1:3] == (0, pytest.approx(5e12, rel=6e-8))
    assert all_bad[1] == all_bad[2] == pytest.approx(0.1, rel=6e-8)
    assert (step.total - step.good, step.total) == pytest.approx((1e-9, 1234.56789), rel=1e-4)


# --- how long -------------------------------------------------------------------------------------------


async def test_keys_are_forgotten_after_their_time_and_events_are_not(store_url: str) -> None:
    history = SqlHistory(store_url, Retention(deliveries=HOUR))
    await history.deliver([pushed("old", ("slo/a", MINUTE, 0, 1))], NOW)
    await history.deliver([pushed("new", ("slo/a", MINUTE, 0, 1))], NOW + timedelta(hours=1))
    await history.prune(NOW + timedelta(hours=1, seconds=1))
    again = [await history.deliver([pushed(key, ("slo/a", MINUTE, 0, 1))], NOW) for key in ("new", "old")]
    found = await stored(history, 60, "slo/a")
    await history.close()

    assert again == [(False,), (True,)]
    assert found == [(NOON, 0, 3, 1)]


async def test_a_series_that_is_counted_is_remembered_although_nobody_names_it(history: SqlHistory) -> None:
    """Groups and slices: a series that lost its number would lose what was counted under it."""
    later = NOW + timedelta(days=100)
    at = int(later.timestamp())
    await history.deliver([pushed("", ("slo/a", MINUTE, 0, 1), ("slo/b", MINUTE, 0, 1))], NOW)
    await history.add([Closed(at, 3600, ("slo/b", "slo/c"), np.ones((3, 2)))])
    await history.prune(later)
    await history.deliver([pushed("", ("slo/a", at // 60, 0, 1))], later)

    def numbers() -> list[tuple[str, int]]:
        with history._open().connect() as connection:
            return [(name, number) for name, number in connection.exec_driver_sql("SELECT name, id FROM series")]

    assert sorted(await history._in_thread(numbers)) == [("slo/a", 4), ("slo/b", 2), ("slo/c", 3)]


async def test_where_there_is_no_room_keys_are_kept_for_an_hour(store_url: str) -> None:
    history = SqlHistory(store_url, Retention(most_bytes=1, deliveries=DAY))
    for hours in range(6):
        await history.deliver([pushed(str(hours), ("slo/a", MINUTE, 0, 1))], NOW + timedelta(hours=hours))
    left = await history.prune(NOW + timedelta(hours=6))
    again = [await history.deliver([pushed(str(hours), ("slo/a", MINUTE, 0, 1))], NOW) for hours in range(6)]
    await history.close()

    assert left.is_cut
    assert again == [(True,)] * 4 + [(False,)] * 2


# --- what can break -------------------------------------------------------------------------------------


class Deliverer:
    """A process that pushes; `told` are the numbers it was told of, with whether they were new."""

    def __init__(self, url: str, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, deliverer.__file__, url, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.told: dict[int, bool] = {}
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *rest = line.split(maxsplit=1)
            if word == "failed":
                self.failures += rest
            else:
                first, count, *are_new = map(int, rest[0].split())
                self.told |= {first + place: bool(is_new) for place, is_new in enumerate(are_new)}
                assert count == len(are_new)
            self.lines.put(word)
        self.lines.put(None)

    def wait_for(self, word: str, count: int) -> None:
        """Wait for so many further lines with this word."""
        while count:
            line = self.lines.get(timeout=60)
            assert line is not None
            count -= line == word

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def delivering(url: str, *arguments: str) -> Iterator[Deliverer]:
    process = Deliverer(url, *arguments)
    try:
        yield process
    finally:
        if process.process.poll() is None or process._thread.is_alive():
            process.kill()


async def prove_exactly_once(url: str, told: dict[int, bool]) -> None:
    """Deliver all again, and what may have been under way: afterwards each is counted once."""
    history = SqlHistory(url)
    last = max(told)
    again = await history.deliver([deliverer.delivery(number) for number in range(last + 20)], NOW)
    counted = {name: await stored(history, 3600, name) for name in NAMES}
    minutes = {name: await stored(history, 60, name) for name in NAMES}
    await history.close()

    assert not any(again[number] for number in told)
    for name, rest in zip(NAMES, range(3), strict=True):
        numbers = [number for number in range(last + 20) if number % 3 == rest]
        bad = sum(number % 2 == 0 for number in numbers)
        assert [found[1:3] for found in counted[name]] == [(bad, len(numbers))]
        assert (sum(found[1] for found in minutes[name]), sum(found[2] for found in minutes[name])) == (
            bad,
            len(numbers),
        )


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_acknowledged_is_there_exactly_once_after_kill_9_at_any_moment(
    store_url: str, seed: int
) -> None:
    """Fault 20: the process is killed at random while it pushes and writes minutes, and another goes on."""
    chance, told = random.Random(seed), {}  # noqa: S311 - the same every time
    with delivering(store_url) as process:
        await asyncio.to_thread(process.wait_for, "told", 3 + chance.randrange(20))
        await asyncio.sleep(chance.random() * 0.02)
        process.kill()
        told |= process.told

    await prove_exactly_once(store_url, told)


async def test_two_processes_that_push_at_once_lose_nothing(store_url: str) -> None:
    """The same keys and blocks, from a leader that does not know yet that it is one no more: each counts once."""
    with delivering(store_url) as first, delivering(store_url) as second:
        for process in (first, second):
            await asyncio.to_thread(process.wait_for, "told", 25)
        first.kill()
        second.kill()
    both = first.told.keys() & second.told.keys()

    assert both
    assert not any(first.told[number] and second.told[number] for number in both)
    waited_in_vain = "database is locked"  # on a busy machine; it was answered so, and pushed again
    assert not [one for one in first.failures + second.failures if waited_in_vain not in one]
    await prove_exactly_once(store_url, first.told | second.told)


async def test_a_full_disk_fails_deliveries_whole_and_they_are_counted_when_there_is_room(tmp_path: Path) -> None:
    """Faults 27: a file that may not grow; nothing is partly there."""
    url = f"sqlite+aiosqlite:///{tmp_path}/history.db"
    with delivering(url, "--most-bytes", "200000") as process:
        await asyncio.to_thread(process.wait_for, "failed", 3)
        before = len(process.told)
        process.say()
        await asyncio.to_thread(process.wait_for, "told", 5)
        process.kill()

    assert before
    assert all(process.told.values())
    await prove_exactly_once(url, process.told)


async def test_a_store_that_another_process_keeps_locked_fails_deliveries_and_later_ones_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults 28."""
    monkeypatch.setattr(sqlite, "_PRAGMAS", (*sqlite._PRAGMAS, "busy_timeout = 200"))
    history = SqlHistory(f"sqlite+aiosqlite:///{tmp_path}/history.db")
    await history.recorded_until()
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryUnavailable, match="locked"):
            await history.deliver([pushed("1", ("slo/a", MINUTE, 0, 1))], NOW)
        other.execute("ROLLBACK")
    told = await history.deliver([pushed("1", ("slo/a", MINUTE, 0, 1))], NOW)
    found = await stored(history, 60, "slo/a")
    await history.close()

    assert told == (True,)
    assert found == [(NOON, 0, 1, 1)]


async def test_what_failed_before_it_was_counted_is_not_new_when_another_process_has_counted_it_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults 28: only a failure of the commit leaves it open whether we counted; a lock that was not had does not."""
    monkeypatch.setattr(sqlite, "_PRAGMAS", (*sqlite._PRAGMAS, "busy_timeout = 200"))
    history, other = (SqlHistory(f"sqlite+aiosqlite:///{tmp_path}/history.db") for _ in range(2))
    delivery = pushed("1", ("slo/a", MINUTE, 0, 1))
    await history.recorded_until()
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryUnavailable, match="locked"):
            await history.deliver([delivery], NOW)
        holder.execute("ROLLBACK")
    told = [await one.deliver([delivery], NOW) for one in (other, history)]
    found = await stored(history, 60, "slo/a")
    await history.close()
    await other.close()

    assert told == [(True,), (False,)]
    assert found == [(NOON, 0, 1, 1)]


async def test_a_delivery_that_failed_after_it_was_counted_is_new_when_it_comes_again_and_counts_once(
    history: SqlHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while it commits: nobody was told, so who asks again is told that it is new, once."""
    write = SqlHistory._write

    def broken(self: SqlHistory, change: object) -> object:
        write(self, change)  # type: ignore[arg-type]
        raise HistoryUnavailable("the connection broke")

    delivery = pushed("1", ("slo/a", MINUTE, 0, 1))
    await history.recorded_until()
    monkeypatch.setattr(SqlHistory, "_write", broken)
    with pytest.raises(HistoryUnavailable):
        await history.deliver([delivery], NOW)
    monkeypatch.undo()
    told = [await history.deliver([delivery, delivery], NOW) for _ in range(2)]

    assert told == [(True, False), (False, False)]
    assert await stored(history, 60, "slo/a") == [(NOON, 0, 1, 1)]
