"""The books of 10,000 objectives of 30 days: a minute's end and all burn rates, memory, an event, a restart.

Every objective has had data in every minute; `bytes_per_objective` is what its counts take. Windows: 5m, 30m, 1h, 2h,
6h, 1d, 3d, 30d. Beside it what the same costs when the minutes are summed up again, in plain Python and in SQLite: of
few objectives, the rest is multiplication. PostgreSQL takes part when HOMEOSTAT_BENCH_POSTGRES is the URL of an empty
database.
"""

import argparse
import asyncio
import gc
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from bench.progress import say
from bench.report import Row, publish
from homeostat.core.history.ledger import Closed, Ledger
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.core.objective.survey import Watched, burn_rates
from homeostat.core.ref import Ref
from homeostat.engine.archive import Archive
from homeostat.engine.clock import SystemClock
from homeostat.engine.meters import Meters
from homeostat.engine.minutes import recall
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objects import Key
from homeostat.store.history import SqlHistory
from homeostat.telemetry.metrics import Metrics

DAYS = 30
WINDOWS = (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY, DAYS * DAY)
PAIRS = ((HOUR, 300, 14.4), (6 * HOUR, 1800, 6.0), (DAY, 2 * HOUR, 3.0), (3 * DAY, 6 * HOUR, 1.0))
BAD_SHARE = 0.001
PER_MINUTE = 60
ROUNDS = 150
EVENTS = 1_000_000
QUESTIONS = 10_000
CHECKS, SNAPSHOTS = 10_000, 120
FEW = 5
OURS, PLAIN, SQLITE, POSTGRESQL = "homeostat", "plain Python, summed up again", "SQLite, summed up again", "PostgreSQL"
BEGAN = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) // MINUTE


def key_of(number: int) -> Key:
    """Name an objective."""
    return Key("ServiceLevelObjective", "bench", f"objective-{number}")


def opened(count: int) -> Meters:
    """Open so many objectives, each with four alerts."""
    meters = Meters()
    for number in range(count):
        meters.open_objective(
            key_of(number), f"{number:08d}-0000-4000-8000-000000000000", Counting(timedelta(days=DAYS))
        )
        meters.watch(key_of(number), Watched(BAD_SHARE, DAYS * DAY, PAIRS))
    return meters


def lived(book: Ledger, minute: int) -> Iterator[Closed]:
    """Give the buckets of `DAYS` days before a minute: one event in 4,000 is bad."""
    names = book.series
    bad = (np.arange(len(names)) % 50 == 0).astype(np.float64)
    for tier in book.tiers:
        minutes = tier.seconds // MINUTE
        newest = minute * MINUTE // tier.seconds
        since = max(newest - tier.count + 2, (minute * MINUTE - DAYS * DAY) // tier.seconds)
        counted = np.stack((bad * minutes, np.full(len(names), float(PER_MINUTE * minutes)),
                            np.full(len(names), float(minutes))))  # fmt: skip
        for number in range(since, newest):
            yield Closed(number * tier.seconds, tier.seconds, names, counted)


def resident() -> int:
    """Give the memory of this process that is in use, in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled() -> int:
    """Give the memory in use when there is no garbage."""
    gc.collect()
    return resident()


def cpu(do: Callable[[], object]) -> float:
    """Give the CPU seconds that something takes."""
    began = time.process_time()
    do()
    return time.process_time() - began


# --- ours -----------------------------------------------------------------------------------------------


def fill(meters: Meters) -> None:
    """Fill books with a month."""
    minute = BEGAN - ROUNDS - 10
    for book in meters.books:
        book.roll(minute)
    book = meters.books[1]
    for closed in lived(book, minute):
        book.load(closed)
    for wanted in meters.wanted():
        meters.recalled(wanted)


def evaluations(case: str, count: int) -> Iterator[Row]:
    """Measure memory, the end of a minute with all burn rates, an event, and questions."""
    empty = settled()
    meters = opened(count)
    bare = settled()
    fill(meters)
    minutes(meters, 3)
    yield Row(case, OURS, "bytes_per_objective", (settled() - bare) / count, "B")
    yield Row(case, OURS, "bytes_per_objective of names and keys, besides", (bare - empty) / count, "B")
    figures = minutes(meters, ROUNDS)
    both = [roll + rate for roll, rate in zip(figures["roll"], figures["burn_rates"], strict=True)]
    yield Row(case, OURS, "cpu_s_per_evaluation_of_all", sum(both) / len(both), "s")
    yield Row(case, OURS, "cpu_s_per_evaluation_of_all, median", median(both), "s")
    yield Row(case, OURS, "cpu_s_per_evaluation_of_all, longest", max(both), "s")
    for name, took in figures.items():
        yield Row(case, OURS, f"cpu_s_per_{name}", sum(took) / len(took), "s")
    yield Row(case, OURS, "update_per_event", updates(meters.books[1], count), "ns")
    yield from questions(case, meters)


def minutes(meters: Meters, count: int) -> dict[str, list[float]]:
    """Live through minutes; give the CPU seconds of what comes with each."""
    book = meters.books[1]
    shares = np.full(book.width, BAD_SHARE)
    found: dict[str, list[float]] = {"roll": [], "burn_rates": [], "survey of four alerts": [], "snapshot of all": []}
    for minute in range(book.minute + 1, book.minute + 1 + count):
        for slot in range(len(book.series)):
            book.add(slot, 0, PER_MINUTE)
        now = datetime.fromtimestamp(minute * MINUTE, UTC)
        found["snapshot of all"].append(cpu(meters.snapshot))
        found["roll"].append(cpu(partial(meters.roll, now)))
        found["burn_rates"].append(cpu(partial(burn_rates, book, WINDOWS, shares)))
        found["survey of four alerts"].append(cpu(meters.moved))
    return found


def questions(case: str, meters: Meters) -> Iterator[Row]:
    """Measure what a decision asks a series."""
    series = meters.series(key_of(0))
    if series is None:
        return
    since = BEGAN * MINUTE - 20 * DAY - 7 * MINUTE
    calendar = cpu(lambda: [series.between(since, 2 * BEGAN * MINUTE) for _ in range(QUESTIONS)]) / QUESTIONS
    rolling = cpu(lambda: [series.last(DAYS * DAY) for _ in range(QUESTIONS)]) / QUESTIONS
    yield Row(case, OURS, "question_of_calendar_window", calendar * 1e6, "us")
    yield Row(case, OURS, "question_of_rolling_window", rolling * 1e6, "us")


def updates(book: Ledger, count: int) -> float:
    """Give the nanoseconds that an event takes."""
    slots = [number % count for number in range(EVENTS)]

    def add_all() -> None:
        add = book.add
        for slot in slots:
            add(slot, 0, 1)

    def nothing() -> None:
        for _ in slots:
            pass

    return (cpu(add_all) - cpu(nothing)) / EVENTS * 1e9


async def snapshots(folder: str) -> list[Row]:
    """Measure what a snapshot costs of 10,000 checks that run every 10 s, all the way into SQLite."""
    history = SqlHistory(f"sqlite+aiosqlite:///{folder}/snapshots.db")
    meters, slots = Meters(), list[int]()
    for number in range(CHECKS):
        slots.append(meters.open_check(Ref("HealthCheck", "bench", f"check-{number}", f"uid-{number}")))
    archive = Archive(history, SystemClock(), Metrics())
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    meters.roll(now)
    archive.keep(*meters.snapshot())
    await archive.flush()
    began = time.process_time()
    for turn in range(SNAPSHOTS):
        for slot in slots[turn % 5 :: 5]:
            meters.books[0].add(slot, 0, 1)
        archive.keep(*meters.snapshot())
        await archive.flush()
        if turn % 30 == 29:
            now += timedelta(minutes=1)
            archive.keep(*meters.roll(now))
    each = (time.process_time() - began) / SNAPSHOTS
    await history.close()
    return [Row("10000 checks", f"{OURS}, SQLite", "cpu_s_per_snapshot, every 2 s", each, "s")]


async def restart(case: str, count: int, url: str, subject: str) -> list[Row]:
    """Measure how long a start takes up a month from a store."""
    clock = SystemClock()
    minute = int(clock.now().timestamp()) // MINUTE
    meters = opened(count)
    history = SqlHistory(url)
    batch: list[Closed] = []
    say(f"filling {subject}")
    for closed in lived(meters.books[1], minute):
        batch.append(closed)
        if len(batch) == 50:
            await history.add(batch)
            batch = []
    await history.add(batch)
    await history.close()
    found = []
    for _ in range(3):
        meters, history = opened(count), SqlHistory(url)
        archive = Archive(history, clock, Metrics())
        gc.collect()
        began, worked = time.perf_counter(), time.process_time()
        await recall(meters, archive, clock)
        found.append((time.perf_counter() - began, time.process_time() - worked))
        await history.close()
        counts = meters.books[1].window(0, DAYS * DAY)
        if counts.observed_seconds < 0.99 * DAYS * DAY:
            raise RuntimeError(f"{counts.observed_seconds} s of {DAYS} days are there")
    took, worked = min(found)
    return [Row(case, subject, "restart_s", took, "s"), Row(case, subject, "restart_cpu_s", worked, "s")]


# --- others ---------------------------------------------------------------------------------------------


def plain(case: str, count: int) -> Iterator[Row]:
    """Sum up lists of minutes, for few objectives."""
    minutes = DAYS * DAY // MINUTE
    books = [([0] * minutes, [PER_MINUTE] * minutes) for _ in range(FEW)]

    def evaluate() -> None:
        for bad, total in books:
            for window in WINDOWS:
                newest = window // MINUTE
                _ = sum(bad[-newest:]) / sum(total[-newest:]) / BAD_SHARE

    yield Row(case, PLAIN, f"cpu_s_per_evaluation_of_all, extrapolated from {FEW}", cpu(evaluate) / FEW * count, "s")
    size = minutes * 2 * 8  # pointers to small numbers that are shared
    yield Row(case, PLAIN, "bytes_per_objective", size, "B")


def in_sqlite(case: str, count: int, folder: str) -> Iterator[Row]:
    """Sum up rows of minutes, for few objectives."""
    path = Path(folder) / "plain.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE m (o INT, t INT, bad INT, total INT, PRIMARY KEY (o, t)) WITHOUT ROWID")
        rows = ((one, minute, 0, PER_MINUTE) for one in range(FEW) for minute in range(DAYS * DAY // MINUTE))
        database.executemany("INSERT INTO m VALUES (?, ?, ?, ?)", rows)
        database.commit()

        def evaluate() -> None:
            for one in range(FEW):
                for window in WINDOWS:
                    since = (DAYS * DAY - window) // MINUTE
                    query = "SELECT sum(bad) * 1.0 / sum(total) FROM m WHERE o = ? AND t >= ?"
                    database.execute(query, (one, since)).fetchone()

        took = cpu(evaluate) / FEW * count
    database.close()
    yield Row(case, SQLITE, f"cpu_s_per_evaluation_of_all, extrapolated from {FEW}", took, "s")
    yield Row(case, SQLITE, "bytes_per_objective", path.stat().st_size / FEW, "B")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objectives", type=int, default=10_000)
    count = parser.parse_args().objectives
    case = str(count)
    say(f"{count} objectives")
    rows = list(evaluations(case, count))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/history.db"
        rows += asyncio.run(restart(case, count, url, f"{OURS}, SQLite"))
        rows += asyncio.run(snapshots(folder))
        rows += [*plain(case, count), *in_sqlite(case, count, folder)]
    postgresql = os.environ.get("HOMEOSTAT_BENCH_POSTGRES", "")
    if postgresql:
        rows += asyncio.run(restart(case, count, postgresql, f"{OURS}, {POSTGRESQL}"))
    publish("slo", rows)


if __name__ == "__main__":
    main()
