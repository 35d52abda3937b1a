"""Which period of the calendar a time lies in (S8)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective import Window
from homeostat.core.objective.calendar import Period, longest, period_at, problem

UNITS = ("Day", "Week", "Month", "Quarter", "Year")
ZONES = ("UTC", "America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")

minutes = st.integers(0, 31_536_000).map(lambda number: at("1990-01-01T00:00") + timedelta(minutes=number))


def window(unit: str, start: str, zone: str = "UTC") -> Window:
    return Window.model_validate({"calendar": {"unit": unit, "start": start, "timeZone": zone}})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bounds(period: Period) -> tuple[str, str]:
    return tuple(bound.strftime("%Y-%m-%dT%H:%M") for bound in (period.start, period.end))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("unit", "start", "expected"),
    [
        ("Week", "2022-07-05T08:00:00", ("2022-08-09T08:00", "2022-08-16T08:00")),
        ("Month", "2022-07-01T08:00:00", ("2022-08-01T08:00", "2022-09-01T08:00")),
        ("Quarter", "2022-03-01T08:00:00", ("2022-06-01T08:00", "2022-09-01T08:00")),
        ("Year", "2020-08-11T08:31:00", ("2022-08-11T08:31", "2023-08-11T08:31")),
        ("Day", "2030-01-01T09:00:00", ("2022-08-10T09:00", "2022-08-11T09:00")),
    ],
)
def test_periods_of_the_calendar_at_a_known_time(unit: str, start: str, expected: tuple[str, str]) -> None:
    """S8: at 2022-08-11T08:31Z; a `start` in the future counts backwards."""
    assert bounds(period_at(window(unit, start), at("2022-08-11T08:31"))) == expected


@pytest.mark.parametrize(
    ("now", "hours"), [("2022-03-12T12:00", 167), ("2022-11-05T12:00", 169), ("2022-06-01T00:00", 168)]
)
def test_a_week_across_a_change_of_clocks_is_an_hour_shorter_or_longer(now: str, hours: int) -> None:
    """S8."""
    week = period_at(window("Week", "2022-03-12T00:00:00", "America/New_York"), at(now))

    assert week.length == timedelta(hours=hours)
    assert period_at(window("Week", "2022-03-12T00:00:00"), at(now)).length == timedelta(hours=168)


def test_a_month_from_the_31st_ends_with_shorter_months_and_is_the_31st_again() -> None:
    """S8: month end clamps, from the day that was asked for and not from the month before."""
    months = window("Month", "2022-01-31T00:00:00")

    assert bounds(period_at(months, at("2022-02-15T00:00"))) == ("2022-01-31T00:00", "2022-02-28T00:00")
    assert bounds(period_at(months, at("2022-02-28T00:00"))) == ("2022-02-28T00:00", "2022-03-31T00:00")
    assert bounds(period_at(months, at("2022-04-30T00:00"))) == ("2022-04-30T00:00", "2022-05-31T00:00")
    assert bounds(period_at(months, at("2024-02-28T23:59"))) == ("2024-01-31T00:00", "2024-02-29T00:00")
    assert bounds(period_at(window("Year", "2024-02-29T00:00:00"), at("2025-03-01T00:00"))) == (
        "2025-02-28T00:00",
        "2026-02-28T00:00",
    )


def test_a_time_that_the_clocks_skip_lies_after_the_jump_and_one_shown_twice_is_the_first() -> None:
    """S8: New York, 2:30 on the 13th of March 2022 and 1:30 on the 6th of November."""
    assert bounds(period_at(window("Day", "2022-01-01T02:30:00", "America/New_York"), at("2022-03-13T12:00"))) == (
        "2022-03-13T07:30",
        "2022-03-14T06:30",
    )
    assert bounds(period_at(window("Day", "2022-01-01T01:30:00", "America/New_York"), at("2022-11-06T12:00"))) == (
        "2022-11-06T05:30",
        "2022-11-07T06:30",
    )


def test_a_day_that_a_country_left_out_is_in_no_period() -> None:
    """S8: Samoa had no 30th of December 2011."""
    period = period_at(window("Day", "2011-12-01T00:00:00", "Pacific/Apia"), at("2011-12-30T10:00"))

    assert bounds(period) == ("2011-12-30T10:00", "2011-12-31T10:00")


def test_a_rolling_period_ends_now() -> None:
    period = period_at(Window.model_validate({"rolling": "30d"}), at("2026-12-01T12:00"))

    assert bounds(period) == ("2026-11-01T12:00", "2026-12-01T12:00")


@given(st.sampled_from(UNITS), minutes, st.sampled_from(ZONES), minutes.map(lambda time: time + timedelta(seconds=7)))
def test_periods_hold_their_time_and_follow_each_other(unit: str, start: datetime, zone: str, now: datetime) -> None:
    """S8: whatever the zone, no time is in none or in two; none is longer than `longest`."""
    days = window(unit, start.strftime("%Y-%m-%dT%H:%M:00"), zone)
    period = period_at(days, now)

    assert period.start <= now < period.end
    assert period.length <= longest(days)
    assert period_at(days, period.end).start == period.end
    assert period_at(days, period.start - timedelta(microseconds=1)).end == period.start


@pytest.mark.parametrize("zone", ["Nowhere/Else", "America", "../etc/passwd", "UTC0x", "/etc/localtime"])
def test_a_zone_that_is_not_known_is_a_problem_and_no_crash(zone: str) -> None:
    """S8, faults.md 35."""
    plain: dict[str, Any] = {"unit": "Day", "start": "2026-01-01T00:00:00", "time_zone": zone}
    bad = Window.model_construct(rolling=None, calendar=window("Day", plain["start"]).calendar.model_copy(update=plain))  # type: ignore[union-attr]

    found = problem(bad)

    assert found is not None
    assert found[0] == "InvalidTimeZone"
    assert f'"{zone}"' in found[1]
    with pytest.raises(ValueError, match="timeZone"):
        period_at(bad, at("2026-12-01T12:00"))


def test_a_window_that_names_nothing_is_a_problem() -> None:
    """faults.md 35."""
    calendar = window("Day", "2026-01-01T00:00:00").calendar
    assert calendar is not None
    odd = Window(calendar=calendar.model_copy(update={"start": "2026-02-30T00:00:00"}))

    assert problem(Window()) == ("Invalid", "spec.window needs rolling or calendar.")
    assert problem(odd) == ("Invalid", "spec.window.calendar.start is no date and time.")
    assert problem(Window.model_validate({"rolling": "30d"})) is None
    assert longest(Window()) == timedelta(0)
