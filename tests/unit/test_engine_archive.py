"""The way to history: nothing waits for it, nothing is lost until the queue is full, and trouble is told once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from structlog.testing import capture_logs

from fakes import NOON, FakeClock, FakeHistory, eventually
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Known, Runs
from homeostat.engine import archive as module
from homeostat.engine.archive import PRUNE_EVERY, Archive
from homeostat.ports import StoredAttempt
from homeostat.telemetry.metrics import Metrics


def closed(number: int, rows: int = 1) -> Closed:
    return Closed(60 * number, 60, tuple(f"s{row}" for row in range(rows)), np.ones((3, rows), dtype=np.int64))


def runs(number: int, rows: int = 1) -> Runs:
    names = tuple(f"s{row}" for row in range(rows))
    columns = (np.zeros(rows, dtype=kind) for kind in (np.uint32, np.uint16, np.uint8, np.uint16, np.float16))
    return Runs(60 * number, names, *columns)


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
    records = [closed(1), runs(1), attempt(1), Known("check/1", "shop", "web", "", 0)]
    async with running(Bench()) as bench:
        bench.archive.keep(*records)
        bench.archive.keep(closed(2))
        await eventually(lambda: len(bench.history.kept) == 5)

        assert bench.history.kept[:4] == records


async def test_a_store_that_is_down_loses_nothing_and_recovers() -> None:
    """Fault 28: the database is locked for a while."""
    first, second = closed(1), closed(2)
    async with running(Bench()) as bench:
        bench.history.is_down = True
        bench.archive.keep(first)
        await eventually(lambda: bench.history.tries > 2)
        bench.archive.keep(second)
        was_writable = bench.archive.is_writable
        bench.history.is_down = False
        await eventually(lambda: len(bench.history.kept) == 2)

        assert not was_writable
        assert bench.archive.is_writable
        assert bench.history.kept == [first, second]
        assert bench.count("dropped") == 0


async def test_trouble_is_told_once_and_its_end_once() -> None:
    bench = Bench()
    bench.history.is_down = True
    with capture_logs() as told:
        for number in range(5):
            bench.archive.keep(attempt(number))
            await bench.archive.flush()
        bench.history.is_down = False
        await bench.archive.flush()
        await bench.archive.flush()

    assert [line["event"] for line in told] == ["history unavailable", "history available again"]
    assert bench.count("errors") == 5


async def test_when_the_queue_is_full_raw_runs_are_given_up_first_and_then_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fault 27: the disk is full for good; memory stays bounded, and what is kept longest is kept longest."""
    monkeypatch.setattr(module, "MAX_WAITING", 100)
    minutes, raw = [closed(number, 10) for number in range(8)], [runs(number, 10) for number in range(8)]
    late = [closed(number, 10) for number in range(8, 13)]
    bench = Bench()
    bench.history.is_down = True
    for pair in zip(minutes, raw, strict=True):
        bench.archive.keep(*pair)
        await bench.archive.flush()
    dropped = bench.count("dropped")
    waiting = list(bench.archive._waiting)
    bench.archive.keep(*late)
    bench.history.is_down = False
    await bench.archive.flush()

    assert dropped == 60
    assert waiting == [*minutes[:6], minutes[6], raw[6], minutes[7], raw[7]]
    assert bench.history.kept == [*minutes[3:], *late]
    assert bench.count("dropped") == 60 + 20 + 30


async def test_what_comes_while_a_batch_is_written_keeps_its_place() -> None:
    first, second = closed(1), closed(2)
    bench = Bench()
    bench.archive.keep(first)
    bench.history.door.clear()
    writing = asyncio.create_task(bench.archive.flush())
    await eventually(lambda: bench.history.tries == 1)
    bench.archive.keep(second)
    bench.history.is_down = True
    bench.history.door.set()
    await writing
    bench.history.is_down = False
    await bench.archive.flush()

    assert bench.history.kept == [first, second]


async def test_a_stop_in_the_middle_of_a_write_loses_nothing() -> None:
    """Fault 21: the last flush of a graceful stop takes what the one cut short did not write."""
    records = [closed(1), runs(1)]
    bench = Bench()
    async with running(bench):
        bench.history.door.clear()
        bench.archive.keep(*records)
        await eventually(lambda: bench.history.tries == 1)
    bench.history.door.set()
    await bench.archive.flush()

    assert bench.history.kept == records


async def test_a_bug_costs_its_batch_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    async def fail(_: object) -> None:
        raise ValueError("bug")

    with capture_logs() as told, monkeypatch.context() as patch:
        patch.setattr(bench.history, "add", fail)
        bench.archive.keep(closed(1, 7))
        await bench.archive.flush()
    bench.archive.keep(attempt(1))
    await bench.archive.flush()

    assert bench.history.kept == [attempt(1)]
    assert bench.count("dropped") == 7
    assert told[0]["event"] == "history given up"


async def test_the_past_is_pruned_soon_then_every_ten_minutes_and_again_when_that_failed() -> None:
    bench = Bench()
    await bench.archive.flush()
    await bench.archive.flush()
    bench.clock.advance(PRUNE_EVERY)
    bench.history.broken.add("prune")
    bench.archive.keep(attempt(1))
    await bench.archive.flush()
    bench.history.broken.clear()
    await bench.archive.flush()
    await bench.archive.flush()

    assert bench.history.pruned == [NOON, bench.clock.now()]
    assert bench.history.batches.count((attempt(1),)) == 1  # what was written is not written again for a failed pruning


async def test_the_size_of_the_store_is_known_and_cutting_it_is_told() -> None:
    bench = Bench()
    bench.history.size, bench.history.is_cut = 123_456, True
    with capture_logs() as told:
        await bench.archive.flush()

    assert bench.metrics.registry.get_sample_value("homeostat_history_bytes") == 123_456
    assert [(line["event"], line["bytes"]) for line in told] == [("history cut", 123_456)]
