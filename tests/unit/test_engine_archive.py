"""The way to history: nothing waits for it, nothing is lost until the queue is full, and trouble is told once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from fakes import NOON, FakeClock, FakeHistory, eventually
from homeostat.core.window import Bucket
from homeostat.engine import archive as module
from homeostat.engine.archive import PRUNE_EVERY, Archive
from homeostat.ports import StoredAttempt, StoredResult
from homeostat.telemetry.metrics import Metrics


def bucket(number: int) -> Bucket:
    return Bucket(f"check/{number}", 0, 60, 1, 1)


def result(number: int) -> StoredResult:
    return StoredResult(f"uid-{number}", NOON, "Fail", "Timeout", 1.0)


def attempt(number: int) -> StoredAttempt:
    return StoredAttempt(f"a-{number}", "uid-1", "RecoveryPolicy", "shop", "p", NOON, NOON, "Recovered", {})


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_FOR", 0.0)
    monkeypatch.setattr(module, "RETRY_AFTER", 0.001)


@dataclass
class Bench:
    history: FakeHistory = field(default_factory=FakeHistory)
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.archive = Archive(self.history, self.clock, self.metrics)

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"homeostat_history_{name}_total")


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.archive.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_records_of_all_kinds_are_written() -> None:
    async with running(Bench()) as bench:
        bench.archive.keep(bucket(1), result(1), attempt(1))
        bench.archive.keep(result(2))
        await eventually(lambda: bench.history.kept == 4)

        assert bench.history.kept_buckets == [bucket(1)]
        assert bench.history.kept_results == [result(1), result(2)]
        assert bench.history.kept_attempts == [attempt(1)]


async def test_a_store_that_is_down_loses_nothing_and_recovers() -> None:
    """Fault 28: the database is locked for a while."""
    async with running(Bench()) as bench:
        bench.history.is_down = True
        bench.archive.keep(result(1))
        await eventually(lambda: bench.history.tries > 2)
        bench.archive.keep(result(2))
        was_writable = bench.archive.is_writable
        bench.history.is_down = False
        await eventually(lambda: bench.history.kept == 2)

        assert not was_writable
        assert bench.archive.is_writable
        assert bench.history.kept_results == [result(1), result(2)]
        assert bench.count("dropped") == 0


async def test_trouble_is_told_once_and_its_end_once() -> None:
    bench = Bench()
    bench.history.is_down = True
    with capture_logs() as told:
        for number in range(5):
            bench.archive.keep(result(number))
            await bench.archive.flush()
        bench.history.is_down = False
        await bench.archive.flush()
        await bench.archive.flush()

    assert [line["event"] for line in told] == ["history unavailable", "history available again"]
    assert bench.count("errors") == 5


async def test_when_the_queue_is_full_the_oldest_are_given_up_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 27: the disk is full for good; memory stays bounded."""
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    bench = Bench()
    bench.history.is_down = True
    for number in range(25):
        bench.archive.keep(result(number))
        await bench.archive.flush()
    bench.history.is_down = False
    await bench.archive.flush()

    assert bench.history.kept_results == [result(number) for number in range(15, 25)]
    assert bench.count("dropped") == 15


async def test_what_comes_while_a_batch_is_written_keeps_its_place() -> None:
    bench = Bench()
    bench.archive.keep(result(1))
    bench.history.door.clear()
    writing = asyncio.create_task(bench.archive.flush())
    await eventually(lambda: bench.history.tries == 1)
    bench.archive.keep(result(2))
    bench.history.is_down = True
    bench.history.door.set()
    await writing
    bench.history.is_down = False
    await bench.archive.flush()

    assert bench.history.kept_results == [result(1), result(2)]


async def test_a_stop_in_the_middle_of_a_write_loses_nothing() -> None:
    """Fault 21: the last flush of a graceful stop takes what the one cut short did not write."""
    bench = Bench()
    async with running(bench):
        bench.history.door.clear()
        bench.archive.keep(bucket(1), result(1))
        await eventually(lambda: bench.history.tries == 1)
    bench.history.door.set()
    await bench.archive.flush()

    assert bench.history.kept_buckets == [bucket(1)]
    assert bench.history.kept_results == [result(1)]


@pytest.mark.parametrize("call", ["add_buckets", "add_results", "add_attempt", "prune"])
async def test_a_batch_of_which_a_part_failed_doubles_nothing(call: str) -> None:
    bench = Bench()
    bench.clock.advance(PRUNE_EVERY)
    bench.history.broken.add(call)
    bench.archive.keep(bucket(1), result(1), attempt(1))
    await bench.archive.flush()
    bench.history.broken.clear()
    await bench.archive.flush()

    assert set(bench.history.kept_buckets) == {bucket(1)}  # buckets overwrite themselves
    assert bench.history.kept_results == [result(1)]
    assert bench.history.kept_attempts == [attempt(1)]


async def test_the_past_is_pruned_once_an_hour_and_again_when_that_failed() -> None:
    bench = Bench()
    await bench.archive.flush()
    pruned_early = list(bench.history.pruned)
    bench.clock.advance(PRUNE_EVERY)
    bench.history.broken.add("prune")
    await bench.archive.flush()
    bench.history.broken.clear()
    await bench.archive.flush()
    await bench.archive.flush()

    assert pruned_early == []
    assert bench.history.pruned == [bench.clock.now()]
