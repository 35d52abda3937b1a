"""What happens every minute and every second: minutes are booked, history is kept, the loop's lag is measured."""

import asyncio

from homeostat.core.window import MINUTE, Bucket
from homeostat.engine.archive import Archive
from homeostat.engine.meters import Meters
from homeostat.ports import Clock
from homeostat.telemetry.metrics import Metrics

LAG_EVERY = 1.0  # seconds
AT_ONCE = 20
"""Series that are recalled at once: at most 70,000 buckets, a tenth of a second."""


async def book_minutes(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Book each minute as it ends, for ever."""
    while True:
        await asyncio.sleep(MINUTE - clock.now().timestamp() % MINUTE)
        archive.keep(*meters.roll(clock.now()))


async def recall(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Take up what history knows of the open series, a few at a time, so that the loop goes on meanwhile.

    What it turns out to lack is written back. Raises HistoryUnavailable.
    """
    now = int(clock.now().timestamp())
    for book in meters.books:
        names = book.series
        for first in range(0, len(names), AT_ONCE):
            chunk, buckets = names[first : first + AT_ONCE], list[Bucket]()
            for tier in book.tiers:
                buckets += await archive.history.buckets(tier.seconds, now - tier.count * tier.seconds, chunk)
            archive.keep(*(bucket for period in book.load(buckets) for bucket in period))
            await archive.flush()


async def measure_lag(metrics: Metrics, clock: Clock, every: float = LAG_EVERY) -> None:
    """Measure how late the event loop wakes us, for ever."""
    while True:
        asked = clock.monotonic()
        await asyncio.sleep(every)
        metrics.lagged(max(0.0, clock.monotonic() - asked - every))
