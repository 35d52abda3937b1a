"""Which period of an objective it is: the time that ends now, or a period of the calendar in a zone's own time (S8).

Periods of the calendar follow each other without a gap. Their bounds are wall-clock times, counted from the `start` of
the spec in both directions: a month from the 31st begins on the last day of a shorter month, and on the 31st again
after it; a week across a change of clocks has 167 or 169 hours. A bound that the clocks skip lies just as far after the
jump, one that they show twice is the first of the two.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from homeostat.api.objective import CalendarUnit, CalendarWindow, Window
from homeostat.core.acceptance import INVALID, INVALID_TIME_ZONE

_DAYS = {CalendarUnit.DAY: 1, CalendarUnit.WEEK: 7}
_MONTHS = {CalendarUnit.MONTH: 1, CalendarUnit.QUARTER: 3, CalendarUnit.YEAR: 12}
_LONGEST = {
    CalendarUnit.DAY: 1, CalendarUnit.WEEK: 7, CalendarUnit.MONTH: 31, CalendarUnit.QUARTER: 92, CalendarUnit.YEAR: 366
}  # fmt: skip
_HOUR_OF_THE_CLOCKS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The time that an objective is about, in UTC, without its end. A rolling one ends now."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is, which for periods of the calendar differs."""
        return self.end - self.start


def problem(window: Window) -> tuple[str, str] | None:
    """Give a reason and a message why a window names no period; None when it does."""
    calendar = window.calendar
    if window.rolling is not None:
        return None
    if calendar is None:
        return INVALID, "spec.window needs rolling or calendar."
    if _zone(calendar.time_zone) is None:
        told = f'spec.window.calendar.timeZone is no IANA time zone that is known here: "{calendar.time_zone}".'
        return INVALID_TIME_ZONE, told
    return None if _start(calendar) else (INVALID, "spec.window.calendar.start is no date and time.")


def period_at(window: Window, now: datetime) -> Period:
    """Give the period that `now` lies in. Raises ValueError for a window that has a `problem`."""
    if window.rolling is not None:
        end = now.astimezone(UTC)
        return Period(end - window.rolling, end)
    found = problem(window)
    if found or window.calendar is None:
        raise ValueError(found[1] if found else "no window")
    return _calendar_period(_Grid.of(window.calendar), now.astimezone(UTC))


def longest(window: Window) -> timedelta:
    """Give the longest that a period can be: a year has 366 days, and in autumn clocks show an hour twice."""
    if window.calendar is None:
        return window.rolling or timedelta(0)
    return timedelta(days=_LONGEST[window.calendar.unit]) + _HOUR_OF_THE_CLOCKS


@dataclass(frozen=True, slots=True)
class _Grid:
    """The bounds of all periods, numbered from `start` (wall-clock time without a zone), which is number 0."""

    unit: CalendarUnit
    start: datetime
    zone: ZoneInfo

    @classmethod
    def of(cls, calendar: CalendarWindow) -> "_Grid":
        zone, start = _zone(calendar.time_zone), _start(calendar)
        if zone is None or start is None:
            raise ValueError("a calendar window with a problem")
        return cls(calendar.unit, start, zone)

    def bound(self, number: int) -> datetime:
        """Give a bound in UTC."""
        return self._on_the_wall(number).replace(tzinfo=self.zone).astimezone(UTC)

    def near(self, now: datetime) -> int:
        """Give the number of a bound that is close to a time."""
        wall = now.astimezone(self.zone).replace(tzinfo=None)
        if self.unit in _DAYS:
            return (wall - self.start).days // _DAYS[self.unit]
        return ((wall.year - self.start.year) * 12 + wall.month - self.start.month) // _MONTHS[self.unit]

    def _on_the_wall(self, number: int) -> datetime:
        if self.unit in _DAYS:
            return self.start + timedelta(days=_DAYS[self.unit] * number)
        years, month = divmod(self.start.month - 1 + _MONTHS[self.unit] * number, 12)
        year = self.start.year + years
        day = min(self.start.day, monthrange(year, month + 1)[1])
        return self.start.replace(year=year, month=month + 1, day=day)


def _calendar_period(grid: _Grid, now: datetime) -> Period:
    number = grid.near(now)
    while grid.bound(number) > now:
        number -= 1
    while grid.bound(number + 1) <= now:
        number += 1
    return Period(grid.bound(number), grid.bound(number + 1))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; no name at all; the name of a region, which is a directory
        return None


def _start(calendar: CalendarWindow) -> datetime | None:
    try:
        return datetime.fromisoformat(calendar.start).replace(tzinfo=None)
    except ValueError:
        return None
