"""What happens every minute and every second: minutes are booked, history is kept, the loop's lag is measured."""

import asyncio

from homeostat.core.ledger import Ledger
from homeostat.core.window import HOUR, MINUTE
from homeostat.engine.archive import Archive
from homeostat.engine.meters import Meters
from homeostat.ports import Clock
from homeostat.telemetry.metrics import Metrics

LAG_EVERY = 1.0  # seconds
AHEAD = HOUR
"""How far ahead of us (s) history may have been written by a clock that we still believe."""


async def book_minutes(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Book each minute as it ends, for ever.

    A sleep may end a little early. Then the minute is not over, and the rest of it is slept: by the same look at the
    clock, as a second look may be past the end, and this minute would be booked with the next.
    """
    now = clock.now()
    while True:
        await asyncio.sleep(MINUTE - now.timestamp() % MINUTE)
        now = clock.now()
        archive.keep(*meters.roll(now))


async def recall(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Take up what history knows of the open series, a period at a time, so that the loop goes on meanwhile.

    What it turns out to lack is written back. Raises HistoryUnavailable.
    """
    now = int(clock.now().timestamp())
    recorded = await archive.history.recorded_until()
    minute = (recorded if recorded <= now + AHEAD else now) // MINUTE - 1
    for book in meters.books:
        await _recall_counts(book, archive, minute)
    await _recall_runs(meters, archive, now)
    await archive.flush()


async def _recall_counts(book: Ledger, archive: Archive, minute: int) -> None:
    """Bring a ledger to where history ends, which is `minute`, and fill it up to there."""
    if not book.series or minute < 0:
        return
    archive.keep(*book.roll(minute))
    for tier in book.tiers:
        since = (minute + 1) * MINUTE - tier.count * tier.seconds
        async for period in archive.history.periods(tier.seconds, since, book.series):
            book.load(period)
    archive.keep(*book.sum_up())


async def _recall_runs(meters: Meters, archive: Archive, now: int) -> None:
    """Take up the latencies of the hour before and of this one, which may both have been cut short."""
    series = meters.books[0].series
    for start in range((now // HOUR - 1) * HOUR, now, MINUTE):
        runs = await archive.history.runs(start, series)
        ended = None if runs is None else meters.recall(runs)
        if ended is not None:
            archive.keep(ended)


async def measure_lag(metrics: Metrics, clock: Clock, every: float = LAG_EVERY) -> None:
    """Measure how late the event loop wakes us, for ever."""
    while True:
        asked = clock.monotonic()
        await asyncio.sleep(every)
        metrics.lagged(max(0.0, clock.monotonic() - asked - every))
