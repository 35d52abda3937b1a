"""What happens every minute and every second: minutes are booked, history is kept, the loop's lag is measured."""

import asyncio
from collections.abc import Iterable

from homeostat.core.window import CHECK_TIERS, MINUTE, OBJECTIVE_TIERS, Bucket
from homeostat.engine.archive import Archive
from homeostat.engine.meters import Meters
from homeostat.ports import Clock, History
from homeostat.telemetry.metrics import Metrics

LAG_EVERY = 1.0  # seconds


async def book_minutes(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Book each minute as it ends, for ever."""
    while True:
        await asyncio.sleep(MINUTE - clock.now().timestamp() % MINUTE)
        archive.keep(*meters.roll(clock.now()))


async def recall(meters: Meters, history: History, clock: Clock) -> Iterable[Bucket]:
    """Take up what history knows of the open series; give what it turned out to lack."""
    now = int(clock.now().timestamp())
    buckets: list[Bucket] = []
    for seconds, reach in _reaches().items():
        buckets += await history.buckets(seconds, now - reach)
    return meters.load(buckets)


async def measure_lag(metrics: Metrics, clock: Clock, every: float = LAG_EVERY) -> None:
    """Measure how late the event loop wakes us, for ever."""
    while True:
        asked = clock.monotonic()
        await asyncio.sleep(every)
        metrics.lagged(max(0.0, clock.monotonic() - asked - every))


def _reaches() -> dict[int, int]:
    """Give how far back each resolution is worth reading, in seconds."""
    reaches: dict[int, int] = {}
    for tier in (*CHECK_TIERS, *OBJECTIVE_TIERS):
        reaches[tier.seconds] = max(reaches.get(tier.seconds, 0), tier.count * tier.seconds)
    return reaches
