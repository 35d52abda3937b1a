"""What the history store costs, on SQLite and on PostgreSQL: `./hack/bench store`.

Objectives that count 100 events a minute: reading all periods of 30 days back after a restart (the tiers of the books:
6 h of minutes, 3 d of five minutes, 30 d of hours), rows and bytes written, bytes on disk, and how long a delivery of
pushed events takes until it is durable.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import postgres_process
from bench.progress import say
from bench.report import Row, percentile, publish
from homeostat.core.history.ledger import Closed
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.ports import Delivery
from homeostat.store.history import SqlHistory

START = 1_795_262_400
TIERS = ((MINUTE, 6 * HOUR), (5 * MINUTE, 3 * DAY), (HOUR, 30 * DAY))
AT_ONCE = 20
"""Periods written in one transaction."""
STORES = ("sqlite", "postgresql")


def names(count: int) -> tuple[str, ...]:
    """Give names as they are: with a uid."""
    return tuple(f"slo/{number:08x}-0000-4000-8000-{number:012x}" for number in range(count))


def periods(series: tuple[str, ...], seconds: int, reach: int) -> Iterator[Closed]:
    """Make the buckets of one length: 100 events a minute, one in a thousand bad."""
    random = np.random.default_rng(seconds)
    for start in range(START - reach, START, seconds):
        total = random.poisson(100 * seconds / MINUTE, len(series))
        bad = random.binomial(total, 0.001)
        yield Closed(start, seconds, series, np.stack((bad, total, np.full(len(series), seconds // MINUTE))) * 1.0)


async def fill(history: SqlHistory, series: tuple[str, ...]) -> None:
    """Write 30 days."""
    for seconds, reach in TIERS:
        waiting: list[Closed] = []
        for period in periods(series, seconds, reach):
            waiting.append(period)
            if len(waiting) == AT_ONCE:
                await history.add(waiting)
                waiting = []
        await history.add(waiting)


async def read_back(url: str, series: tuple[str, ...]) -> dict[str, float]:
    """Read all of it, as a restart does."""
    history, count = SqlHistory(url), 0
    wall, cpu = time.perf_counter(), time.process_time()
    for seconds, _ in TIERS:
        async for _ in history.periods(seconds, 0, series):
            count += 1
    took = {"restart_s": time.perf_counter() - wall, "restart_cpu_s": time.process_time() - cpu, "periods": count}
    await history.close()
    return took


async def size(history: SqlHistory) -> int:
    """Give the bytes in use."""
    return await history._read(history._database.used)


async def grow(history: SqlHistory, series: tuple[str, ...]) -> dict[str, float]:
    """Write a further hour minute by minute: what a minute costs, in time and rows."""
    closing = {seconds: list(periods(series, seconds, HOUR)) for seconds, _ in TIERS}
    took, rows = [], 0
    for minute, period in enumerate(closing[MINUTE], 1):
        ended = [period] + [one for length, some in closing.items() for one in some[minute * MINUTE // length - 1 :][:1]
                            if length > MINUTE and minute * MINUTE % length == 0]  # fmt: skip
        moved = [Closed(one.start + HOUR, one.seconds, one.series, one.counted) for one in ended]
        rows += len(moved) * -(-len(series) // 256)
        begun = time.process_time()
        await history.add(moved)
        took.append(time.process_time() - begun)
    return {"cpu_ms_a_minute": 1000 * sum(took) / len(took), "rows_a_minute": rows / len(took)}


async def push(history: SqlHistory, series: tuple[str, ...], events: int, count: int) -> dict[str, float]:
    """Deliver, one after the other, so many events at a time."""
    took, number, now = [], 0, datetime.fromtimestamp(START, UTC)
    for _ in range(count):
        keys = range(number, number + events)
        number += events
        batch = [
            Delivery("uid", f"{events}/{key}", ((series[key % len(series)], START // MINUTE, 0.0, 1.0),))
            for key in keys
        ]
        begun = time.perf_counter()
        await history.deliver(batch, now)
        took.append(1000 * (time.perf_counter() - begun))
    return {
        f"deliver_{events}_p50_ms": percentile(took, 0.5),
        f"deliver_{events}_p99_ms": percentile(took, 0.99),
        f"deliver_{events}_events_per_s": 1000 * events * count / sum(took),
    }


@asynccontextmanager
async def opened(store: str) -> AsyncIterator[str]:
    """Give the URL of an empty store."""
    server = postgres_process.running() if store == "postgresql" else nullcontext()
    with server as running, tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        yield running.create() if running else f"sqlite+aiosqlite:///{Path(folder)}/history.db"


async def measure(store: str, objectives: int) -> dict[str, float]:
    """Measure one store."""
    series = names(objectives)
    async with opened(store) as url:
        history = SqlHistory(url)
        await fill(history, series)
        whole = await size(history)
        tables = await history._read(history._database.size)
        found: dict[str, float] = {"bytes_a_series": whole / objectives, "bytes_on_disk": tables}
        await history.close()
        found |= min([await read_back(url, series) for _ in range(3)], key=lambda one: one["restart_s"])
        history = SqlHistory(url)
        found |= await grow(history, series)
        for events, count in ((1, 300), (100, 100), (2000, 20)):
            found |= await push(history, series, events, count)
        await history.close()
        found["bytes_a_series_and_day"] = await a_day(store, series)
    return found


async def a_day(store: str, series: tuple[str, ...]) -> float:
    """Give what a further day of hours takes: what stays when shorter buckets are gone."""
    async with opened(store) as url:
        history = SqlHistory(url)
        sizes = []
        hours = list(periods(series, HOUR, 4 * DAY))
        for first in (0, 48):
            await history.add(hours[first : first + 48])
            sizes.append(await size(history))
        await history.close()
    return (sizes[1] - sizes[0]) / 2 / len(series)


def main() -> None:
    """Measure all stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", type=int, default=10_000)
    parser.add_argument("--stores", default=",".join(STORES))
    options = parser.parse_args()
    rows: list[Row] = []
    for store in options.stores.split(","):
        say(f"{options.objectives} objectives on {store}")
        for metric, value in asyncio.run(measure(store, options.objectives)).items():
            unit = "ms" if "_ms" in metric else "s" if metric.endswith("_s") else "bytes" if "bytes" in metric else ""
            unit = "events/s" if "per_s" in metric else unit
            rows.append(Row(str(options.objectives), store, metric, value, unit))
    publish("store", rows)


if __name__ == "__main__":
    main()
