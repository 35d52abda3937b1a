"""When acting is allowed: times of the week in a zone's own time, also over midnight.

A window begins at `from` on each of its days and ends at the next `to`. A time that the clocks skip lies just as far
after the jump, one that they show twice is the first of the two: what is left of a window then is what counts.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from homeostat.api.recovery_limits import Weekday, Window
from homeostat.core.acceptance import INVALID_TIME_ZONE

DAY = timedelta(days=1)
AHEAD = 15
"""Days that are searched for an opening: a window of one weekday may miss a week by a change of the clocks."""
BEHIND = 2
"""Days back on which a window may have begun that is still open."""

_DAYS = tuple(Weekday)
Span = tuple[datetime, datetime]


def problem(windows: Sequence[Window]) -> tuple[str, str] | None:
    """Give a reason and a message why the windows cannot be read; None when they can."""
    unknown = next((window.time_zone for window in windows if _zone(window.time_zone) is None), None)
    if unknown is None:
        return None
    return INVALID_TIME_ZONE, f'spec.windows: timeZone is no IANA time zone that is known here: "{unknown}".'


def is_open(windows: Sequence[Window], now: datetime) -> bool:
    """Say whether acting is allowed at a time; without windows it always is."""
    return not windows or any(start <= now < end for window in windows for start, end in _spans(window, now, 1))


def opens_at(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Say when the next window begins; None when none is known to."""
    starts = (start for window in windows for start, _ in _spans(window, now, AHEAD) if start > now)
    return min(starts, default=None)


def _spans(window: Window, now: datetime, ahead: int) -> Iterator[Span]:
    """Give the times around `now` at which a window is open, in UTC, without their ends."""
    zone = _zone(window.time_zone)
    if zone is None:
        return
    today = now.astimezone(zone).date()
    for offset in range(-BEHIND, ahead + 1):
        day = today + offset * DAY
        if not window.days or _DAYS[day.weekday()] in window.days:
            start, end = _span(window, day, zone)
            if start < end:
                yield start, end


def _span(window: Window, day: date, zone: ZoneInfo) -> Span:
    begins, ends = time.fromisoformat(window.from_), time.fromisoformat(window.to)
    return _at(day, begins, zone), _at(day if ends > begins else day + DAY, ends, zone)


def _at(day: date, wall: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wall, zone).astimezone(UTC)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; no name at all; the name of a region, which is a directory
        return None
