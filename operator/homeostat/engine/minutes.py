"""What happens every minute and every second: minutes are booked, history is kept and taken up, lag is measured."""

import asyncio
import time
from collections.abc import Callable

import structlog

from homeostat.core.history.ledger import Closed, Ledger
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.engine.archive import Archive
from homeostat.engine.meters import Meters, minute_of
from homeostat.ports import Clock, HistoryUnavailable
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.minutes")

LAG_EVERY = 1.0  # seconds
SURVEY_EVERY = 5.0
"""Seconds between looks over the burn rates of all objectives."""
SNAPSHOT_EVERY = 2.0
"""Seconds between snapshots of the unfinished minute: with what the archive gathers for, what a kill may lose."""
LOOK_EVERY = 0.2
"""Seconds between looks for series whose history is to be taken up."""
RETRY_AFTER = 10.0  # seconds
AHEAD = HOUR
"""How far ahead of us (s) history may have been written by a clock that we still believe."""
PERIODS_AHEAD = 60
"""Periods that are read and not taken up yet."""
BLINK = 0.005
"""Seconds of taking up after which others have their turn."""


async def book_minutes(end: Callable[[], None], clock: Clock) -> None:
    """Have each minute booked as it ends, for ever: `end` does it, if the minute is over when it looks.

    A sleep may end a little early. Then the minute is not over, and the rest of it is slept: by the look at the clock
    before, as a later one may be past the end, and this minute would be booked with the next.
    """
    now = clock.now()
    while True:
        await asyncio.sleep(MINUTE - now.timestamp() % MINUTE)
        now = clock.now()
        end()


async def survey_often(survey: Callable[[], None], every: float = SURVEY_EVERY) -> None:
    """Look over all objectives, for ever: an alert that may begin does not wait for the minute's end."""
    while True:
        await asyncio.sleep(every)
        survey()


async def keep_unfinished(meters: Meters, archive: Archive, every: float = SNAPSHOT_EVERY) -> None:
    """Have the unfinished minute written as far as it has come, for ever; not while the store takes nothing."""
    while True:
        await asyncio.sleep(every)
        if archive.is_writable:
            archive.keep(*meters.snapshot())


# --- history --------------------------------------------------------------------------------------------


async def recall(meters: Meters, archive: Archive, clock: Clock) -> None:
    """Take up what history knows of the open series, a period at a time, so that the loop goes on meanwhile.

    What it turns out to lack is written back. Raises HistoryUnavailable; `recall_wanted` then takes up what belongs
    to objectives later, the uptime of checks begins anew.
    """
    now = clock.now()
    history = archive.history
    meters.meet(await history.known())
    series = tuple(name for book in meters.books for name in book.series)
    minute = await _last_minute(archive, series, minute_of(now))
    for book in meters.books:
        if minute >= 0:
            archive.keep(*book.roll(minute))
            await _load(book, archive, book.series)
    archive.keep(*meters.books[0].sum_up())
    for wanted in meters.wanted():
        archive.keep(*meters.recalled(wanted))
    await _recall_runs(meters, archive, int(now.timestamp()))
    if minute >= 0:
        archive.keep(*meters.roll(now))
        await _load_last(meters, archive, minute)
    await archive.flush()


async def recall_wanted(meters: Meters, archive: Archive, every: float = LOOK_EVERY) -> None:
    """Take up the history of objectives that were opened, or look further back, since the start; for ever."""
    while True:
        await asyncio.sleep(every)
        try:
            for wanted in (one for one in meters.wanted() if one.ledger.minute >= 0):
                await _load(wanted.ledger, archive, wanted.series, wanted.until)
                archive.keep(*meters.recalled(wanted))
        except HistoryUnavailable as error:
            log.warning("history not read yet", reason=str(error), effect="budgets lack what was counted before")
            await asyncio.sleep(RETRY_AFTER)


async def _last_minute(archive: Archive, series: tuple[str, ...], now: int) -> int:
    """Find the newest minute that history has, for which this one may go on counting; -1 if there is none.

    Longer buckets may end in the future, as pushed events are in them at once; minutes only if a clock was ahead.
    """
    recorded = await archive.history.recorded_until() // MINUTE
    newest = min(recorded - 1, now)
    if recorded > now + 1:
        async for period in archive.history.periods(MINUTE, (now + 1) * MINUTE, series):
            if period.start <= now * MINUTE + AHEAD:
                newest = max(newest, period.start // MINUTE)
    return newest


async def _load(book: Ledger, archive: Archive, series: tuple[str, ...], until: int | None = None) -> None:
    """Fill a ledger, of some of its series, with what history has; up to `until` (epoch s) of the longest buckets.

    The store reads on while what it gave is taken up.
    """
    if not series or book.minute < 0:
        return
    ready: asyncio.Queue[Closed | None] = asyncio.Queue(PERIODS_AHEAD)
    reader = asyncio.create_task(_read(book, archive, series, until, ready))
    began = time.monotonic()
    try:
        while (period := await ready.get()) is not None:
            book.load(period)
            if time.monotonic() - began > BLINK:
                await asyncio.sleep(0)
                began = time.monotonic()
        await reader
    finally:
        reader.cancel()


async def _read(
    book: Ledger, archive: Archive, series: tuple[str, ...], until: int | None, ready: asyncio.Queue[Closed | None]
) -> None:
    """Read what there is, then None, also when reading fails."""
    try:
        for tier in book.tiers if until is None else book.tiers[-1:]:
            since = (book.minute + 1) * MINUTE - tier.count * tier.seconds
            async for period in archive.history.periods(tier.seconds, since, series):
                if until is None or period.start < until:
                    await ready.put(period)
    except Exception:
        await ready.put(None)
        raise
    await ready.put(None)


async def _load_last(meters: Meters, archive: Archive, minute: int) -> None:
    """Take up the longer buckets that history ended in, now that they are over.

    They were made of the minutes in them, which are pruned after a long time in which nobody counted.
    """
    for book in meters.books:
        for tier in book.tiers[1:] if book.series else ():
            since = minute * MINUTE // tier.seconds * tier.seconds
            async for period in archive.history.periods(tier.seconds, since, book.series):
                book.load(period)


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
