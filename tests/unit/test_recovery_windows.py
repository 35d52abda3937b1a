"""RecoveryPolicy: when acting is allowed, in a zone's own time, over midnight and across changes of the clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_limits import Weekday, Window
from homeostat.core.condition import condition
from homeostat.core.recovery.limits.windows import is_open, opens_at, problem
from scenarios.recovery.world import World, spec

MINUTE = timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
WEEKDAYS = tuple(Weekday)


def window(**changes: Any) -> Window:
    return Window.model_validate({"from": "22:00", "to": "06:00"} | changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


times_of_day = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
windows = st.builds(
    lambda days, begins, ends, zone: window(**{"days": days, "from": begins, "to": ends, "timeZone": zone}),
    st.lists(st.sampled_from(WEEKDAYS), unique=True, max_size=3),
    times_of_day,
    times_of_day,
    st.sampled_from(ZONES),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - of UTC


@pytest.mark.parametrize(
    ("moment", "is_inside"),
    [
        ("2026-11-20 21:59", False),  # Friday
        ("2026-11-20 22:00", True),
        ("2026-11-21 05:59", True),  # begun on Friday
        ("2026-11-21 06:00", False),
        ("2026-11-20 02:00", False),  # the night to Friday began on Thursday
        ("2026-11-21 23:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(moment: str, *, is_inside: bool) -> None:
    """Fri 22:00-06:00 holds Saturday 02:00 and not Friday 02:00."""
    assert is_open((window(days=["Fri"]),), at(moment)) is is_inside


def test_without_windows_acting_is_always_allowed() -> None:
    """Empty means always."""
    assert is_open((), at("2026-11-21 12:00"))


def test_a_window_is_of_its_zones_own_time_in_summer_and_winter() -> None:
    """09:00 in Berlin is 08:00 in UTC in winter, and 07:00 in summer."""
    morning = (window(**{"from": "09:00", "to": "10:00", "timeZone": "Europe/Berlin"}),)

    assert opens_at(morning, at("2026-01-10 00:00")) == at("2026-01-10 08:00")
    assert opens_at(morning, at("2026-07-10 00:00")) == at("2026-07-10 07:00")


def test_a_beginning_that_the_clocks_skip_lies_as_far_after_the_jump() -> None:
    """S8: on 29 March 2026, 02:30 in Berlin is 03:30."""
    night = (window(**{"from": "02:30", "to": "05:00", "timeZone": "Europe/Berlin"}),)

    assert opens_at(night, at("2026-03-29 00:00")) == at("2026-03-29 01:30")


def test_a_beginning_that_the_clocks_show_twice_is_the_first() -> None:
    """S8: on 25 October 2026, 02:30 in Berlin comes at 00:30 and at 01:30 in UTC."""
    night = (window(**{"from": "02:30", "to": "05:00", "timeZone": "Europe/Berlin"}),)

    assert opens_at(night, at("2026-10-24 12:00")) == at("2026-10-25 00:30")


@given(windows, moments)
def test_the_next_opening_is_the_first_minute_that_is_inside(one: Window, now: datetime) -> None:
    """`until` of the refusal is when acting is allowed again, and not a minute later."""
    now = now.replace(second=0, microsecond=0)
    until = opens_at((one,), now)

    assert until is not None
    assert until > now
    assert is_open((one,), until)
    if not is_open((one,), now):
        step = max(MINUTE, (until - now) / 50 // MINUTE * MINUTE)
        assert not any(is_open((one,), moment) for moment in _between(now, until, step))


@given(windows.filter(lambda one: one.time_zone in {"UTC", "Asia/Kolkata"}), moments)
def test_where_clocks_never_change_a_window_is_what_the_wall_clock_says(one: Window, now: datetime) -> None:
    """Against a plain reading of the wall clock."""
    local = now.astimezone(ZoneInfo(one.time_zone))

    assert is_open((one,), now) is _by_the_wall_clock(one, local)


def _between(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while start < end:
        yield start
        start += step


def _by_the_wall_clock(one: Window, local: datetime) -> bool:
    begins, ends, clock = time.fromisoformat(one.from_), time.fromisoformat(one.to), local.time()
    days = one.days or WEEKDAYS
    is_today, is_of_yesterday = WEEKDAYS[local.weekday()] in days, WEEKDAYS[local.weekday() - 1] in days
    if begins < ends:
        return is_today and begins <= clock < ends
    return (is_today and clock >= begins) or (is_of_yesterday and clock < ends)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "-"])
def test_a_zone_that_is_not_known_is_said_and_nothing_is_done(zone: str) -> None:
    """Bad input: Ready=False, InvalidTimeZone; not a window that is always or never open."""
    made = World(spec=spec(windows=[{"from": "00:00", "to": "00:00", "timeZone": zone}]))
    made.sick.add("checkout-1")

    status = made.run("10s")

    ready = condition(status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "InvalidTimeZone")
    assert problem(made.spec.windows) is not None
    assert made.effects == []


def test_a_human_is_told_outside_of_all_windows() -> None:
    """R16: windows are for acting, not for telling."""
    closed = [{"days": ["Mon"], "from": "01:00", "to": "01:01"}]
    made = World(spec=spec(steps=[{"escalate": {"summary": "look"}}], windows=closed))
    made.sick.add("checkout-1")

    made.run("10s")

    assert "Escalated" in made.events


def test_the_refusal_outside_of_windows_says_until_when() -> None:
    """R15: the next opening."""
    made = World(spec=spec(windows=[{"days": ["Mon"], "from": "01:00", "to": "01:01"}]))
    made.sick.add("checkout-1")

    status = made.run("10s")

    assert status.blocked is not None
    assert (status.blocked.reason, status.blocked.until) == ("OutsideWindow", at("2026-11-23 01:00"))
    assert made.effects == []
