"""How an objective was kept in a month: exact, by the clocks of a zone, and never better than what is known."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import BudgetingMethod, Exclusion
from homeostat.core.objective.compliance import (
    Course,
    Hour,
    Measure,
    Month,
    Verdict,
    course,
    cut_hours,
    filled,
    finest,
    outline,
    refined,
    report,
)

UTC_ZONE, PARIS, NEW_YORK, KOLKATA = map(ZoneInfo, ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"))
OCTOBER = Month(2026, 10, UTC_ZONE)
HOUR, DAY = 3600, 86_400
LONG_AFTER = 2_000_000_000
THREE_NINES = Measure(Decimal("99.9"))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def hour(start: int, bad: float = 0, total: float = 360, observed: int = HOUR) -> Hour:
    return Hour(start, start + HOUR, Fraction(bad), Fraction(total), Fraction(observed))


def hours_of(month: Month = OCTOBER, bad: dict[int, float] | None = None, total: float = 360) -> list[Hour]:
    """Fill a month, and the hours around it, that must not count; `bad` by start."""
    since, until = month.stretch
    first, last = since // HOUR * HOUR - 5 * HOUR, until + 5 * HOUR
    return [hour(start, (bad or {}).get(start, 0), total) for start in range(first, last, HOUR)]


def exclusion(since: str, until: str, mode: str = "Remove") -> Exclusion:
    return Exclusion.model_validate({"from": f"{since}Z", "to": f"{until}Z", "mode": mode, "reason": "migration"})


def excluding(*exclusions: Exclusion, **more: Any) -> Measure:
    return Measure(Decimal("99.9"), exclusions=exclusions, **more)


# --- the calendar ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "hours", "days"),
    [
        (Month(2026, 10, UTC_ZONE), 744, 31),
        (Month(2026, 10, PARIS), 745, 31),
        (Month(2026, 3, PARIS), 743, 31),
        (Month(2022, 3, NEW_YORK), 743, 31),
        (Month(2022, 11, NEW_YORK), 721, 30),
        (Month(2026, 2, KOLKATA), 672, 28),
        (Month(2028, 2, UTC_ZONE), 696, 29),
    ],
    ids=lambda value: f"{value.year}-{value.month} {value.zone}" if isinstance(value, Month) else None,
)
def test_a_month_is_as_long_as_its_zone_says(month: Month, hours: int, days: int) -> None:
    """S8: wall-clock time; where clocks are changed it has an hour more or less."""
    since, until = month.stretch

    assert (until - since, len(month.days())) == (hours * HOUR, days)


@given(
    st.integers(1990, 2037),
    st.integers(1, 12),
    st.sampled_from(["UTC", "Europe/Paris", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kathmandu", "Africa/Cairo"]),
)
def test_the_days_of_a_month_are_all_of_it(year: int, month: int, zone: str) -> None:
    """S8: also where there is no midnight on the day that clocks are changed."""
    whole = Month(year, month, ZoneInfo(zone))
    days = whole.days()

    assert (days[0].since, days[-1].until) == whole.stretch
    assert all(before.until == after.since for before, after in pairwise(days))
    assert all(22 * HOUR < day.until - day.since < 26 * HOUR for day in days)


def test_months_are_counted_back_over_new_year() -> None:
    assert [(one.year, one.month) for one in (Month(2026, 2, UTC_ZONE).back(back) for back in (0, 1, 2, 14))] == [
        (2026, 2), (2026, 1), (2025, 12), (2024, 12),
    ]  # fmt: skip


# --- events ---------------------------------------------------------------------------------------------


def test_a_month_is_counted_from_its_first_hour_to_its_last() -> None:
    """S4: sum bad over sum total; the hours around it are another month's."""
    first, last = OCTOBER.stretch.since, OCTOBER.stretch.until - HOUR
    found = report(
        OCTOBER, hours_of(bad={first - HOUR: 100, first: 10, last: 5, last + HOUR: 100}), THREE_NINES, LONG_AFTER
    )

    assert (found.whole.kept.bad, found.whole.kept.total) == (15, 744 * 360)
    assert found.whole.sli == 1 - Fraction(15, 744 * 360)
    assert found.is_over


def test_ten_thousand_events_with_one_bad_consume_ten_percent() -> None:
    """The vector of the issue: 9,999 of 10,000 at 99.9 %."""
    since, until = OCTOBER.stretch
    count = (until - since) // HOUR
    hours = [
        hour(since + HOUR * index, bad=1 if index == 7 else 0, total=Fraction(10_000, count)) for index in range(count)
    ]
    found = report(OCTOBER, hours, THREE_NINES, LONG_AFTER)

    assert found.whole.consumed == Fraction(1, 10)
    assert found.whole.verdict is Verdict.MET


@pytest.mark.parametrize(("bad", "verdict"), [(267, Verdict.MET), (268, Verdict.MISSED)])
def test_the_verdict_is_exact_at_the_edge(bad: int, verdict: Verdict) -> None:
    """S1: 0.1 % of 267,000 events are 267, not one more."""
    first = OCTOBER.stretch.since
    hours = [hour(first + HOUR * at, 0 if at else bad, total=Fraction(267_000, 744)) for at in range(744)]

    assert report(OCTOBER, hours, THREE_NINES, LONG_AFTER).whole.verdict is verdict


# --- what a month is called -----------------------------------------------------------------------------


def month_of(hours: int, bad: float, now: int = LONG_AFTER) -> Any:
    """Report so many hours from the first on, of 360 events each; all bad ones come in the first."""
    first = OCTOBER.stretch.since
    return report(
        OCTOBER, [hour(first + HOUR * at, 0 if at else bad) for at in range(hours)], THREE_NINES, now
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hours", "bad", "verdict"),
    [
        (744, 267, Verdict.MET),
        (744, 268, Verdict.MISSED),
        (720, 258, Verdict.MET),
        (720, 260, Verdict.INCOMPLETE),
        (720, 268, Verdict.MISSED),
        (372, 0, Verdict.INCOMPLETE),
        (1, 1, Verdict.INCOMPLETE),
        (1, 268, Verdict.MISSED),
    ],
)
def test_a_month_that_is_over_is_met_only_if_what_is_unknown_cannot_change_it(
    hours: int, bad: int, verdict: Verdict
) -> None:
    """S6: missed is what took more than the budget of the month, incomplete what lacks data that decides."""
    found = month_of(hours, bad)

    assert found.whole.verdict is verdict
    assert found.whole.consumed == found.burn * found.counted_share
    assert (verdict is Verdict.MISSED) == (found.whole.consumed > 1)


@pytest.mark.parametrize(
    ("hours", "bad", "verdict"),
    [(240, 0, Verdict.MET), (240, 200, Verdict.MET), (240, 268, Verdict.MISSED), (2, 1, Verdict.INCOMPLETE)],
)
def test_a_month_that_goes_on_is_met_while_budget_is_left(hours: int, bad: int, verdict: Verdict) -> None:
    """As the status, which is Met while budget is left, and says that it is provisional; on the tenth of the month."""
    found = month_of(hours, bad, OCTOBER.stretch.since + 10 * DAY)

    assert found.whole.verdict is verdict
    assert found.whole.consumed == found.burn * found.counted_share


def test_a_complete_month_is_one_that_is_over_and_has_all_data() -> None:
    whole, lacking = month_of(744, 1), month_of(743, 1)

    assert (whole.is_complete, lacking.is_complete, month_of(744, 1, OCTOBER.stretch.until - 1).is_complete) == (
        True, False, False,
    )  # fmt: skip


def test_the_budget_read_as_time_is_a_share_of_the_month() -> None:
    found = report(OCTOBER, hours_of(bad={OCTOBER.stretch.since: 36}), THREE_NINES, LONG_AFTER)

    assert found.budget_seconds == Fraction(744 * HOUR, 1000)
    assert found.lost_seconds == HOUR / 10
    assert found.whole.consumed == found.lost_seconds / found.budget_seconds


def test_no_data_is_neither_met_nor_missed() -> None:
    """S5: total 0 is no data, not 100 %."""
    found = report(OCTOBER, [], THREE_NINES, LONG_AFTER)

    assert (found.whole.sli, found.whole.verdict, found.whole.consumed) == (None, Verdict.NO_DATA, None)
    assert found.gaps == (OCTOBER.stretch,)
    assert (found.worst_day, found.worst_hour, found.whole.kept.coverage) == (None, None, 0)


def test_time_without_data_spends_nothing_and_is_listed() -> None:
    since = OCTOBER.stretch.since
    hours = [one for one in hours_of() if not since + 5 * HOUR <= one.start < since + 377 * HOUR]
    hours[10] = hour(hours[10].start, bad=36)
    found = report(OCTOBER, hours, THREE_NINES, LONG_AFTER)

    assert found.whole.kept.coverage == Fraction(1, 2)
    assert found.gaps == ((since + 5 * HOUR, since + 377 * HOUR),)
    assert found.whole.consumed == Fraction(36, 372 * 360) * 1000 / 2


def test_a_month_that_goes_on_is_told_so_far() -> None:
    """What is to come is neither good nor without data; only the budget is that of the whole month."""
    now = OCTOBER.stretch.since + 10 * DAY + 1800
    begun = Hour(now - 1800, now, Fraction(0), Fraction(180), Fraction(1800))
    found = report(OCTOBER, [*(one for one in hours_of() if one.end <= now), begun], THREE_NINES, now)

    assert not found.is_over
    assert found.whole.stretch.until == now
    assert (found.whole.kept.coverage, found.gaps, len(found.days)) == (1, (), 11)
    assert found.budget_seconds == Fraction(744 * HOUR, 1000)


def test_the_parts_of_a_month_take_what_the_whole_takes() -> None:
    found = report(
        OCTOBER, hours_of(bad={at("2026-10-12T14:00"): 20, at("2026-10-20T01:00"): 5}), THREE_NINES, LONG_AFTER
    )

    assert sum(day.consumed or 0 for day in found.days) == found.whole.consumed
    assert sum(day.kept.total for day in found.days) == found.whole.kept.total
    assert found.worst_day is not None
    assert found.worst_day.stretch.since == at("2026-10-12T00:00")
    assert found.worst_hour is not None
    assert (found.worst_hour.stretch.since, found.worst_hour.kept.bad) == (at("2026-10-12T14:00"), 20)


def test_an_hour_that_midnight_cuts_through_counts_in_both_days() -> None:
    """S8: at half past in Kolkata; hours are the finest."""
    month = Month(2026, 10, KOLKATA)
    noon = month.days()[4].since
    found = report(month, hours_of(month, {noon - 1800: 10}), THREE_NINES, LONG_AFTER)

    assert [day.kept.bad for day in found.days[3:6]] == [5, 5, 0]
    assert found.whole.kept.bad == 10
    assert found.worst_hour is not None
    assert found.worst_hour.kept.bad == 10


def test_a_result_speaks_for_the_time_until_the_next() -> None:
    """Of a check that runs every five minutes one minute in five has data."""
    sparse = [hour(HOUR * number, observed=720) for number in range(3)] + [hour(3 * HOUR, observed=360)]

    assert [one.observed for one in filled(sparse)] == [HOUR, HOUR, HOUR, HOUR / 2]
    assert filled([hour(0)]) == (hour(0),)
    assert filled([]) == ()


# --- slices ---------------------------------------------------------------------------------------------


def sliced(month: Month, bad: int, slice_seconds: int, hours: int | None = None) -> list[Hour]:
    """Fill so many hours with slices, of which the first are bad."""
    per_hour, found = HOUR // slice_seconds, []
    for index in range((month.stretch.until - month.stretch.since) // HOUR if hours is None else hours):
        some = min(bad, per_hour)
        bad -= some
        found.append(hour(month.stretch.since + HOUR * index, some, per_hour))
    return found


def test_slices_are_a_share_of_all_there_was_time_for() -> None:
    """S7: SLI = 1 - bad / all slices of the period, not of the observed ones."""
    measure = Measure(Decimal("99.5"), BudgetingMethod.TIMESLICES, 60)
    full = outline("", OCTOBER, sliced(OCTOBER, 80, 60), measure, LONG_AFTER)
    half = outline("", OCTOBER, sliced(OCTOBER, 80, 60, hours=372), measure, LONG_AFTER)

    assert full.sli == half.sli == 1 - Fraction(80, 744 * 60)
    assert half.kept.coverage == Fraction(1, 2)
    assert full.consumed == half.consumed == Fraction(80, 744 * 60) / Fraction(5, 1000)


def test_the_vectors_of_slices_hold() -> None:
    """80 bad of 10,080 slices are 0.99206349; 10 of 168 are 0.94047619; a week at 99.95 % has 5.04 minutes."""
    week = excluding(
        exclusion("2026-10-08T00:00", "2026-11-01T00:00"), method=BudgetingMethod.TIMESLICES, slice_seconds=60
    )
    minutes = report(OCTOBER, sliced(OCTOBER, 80, 60), week, LONG_AFTER)
    hourly = excluding(
        exclusion("2026-10-08T00:00", "2026-11-01T00:00"), method=BudgetingMethod.TIMESLICES, slice_seconds=HOUR
    )
    by_hours = report(OCTOBER, sliced(OCTOBER, 10, HOUR), hourly, LONG_AFTER)
    strict = Measure(Decimal("99.95"), week.method, 60, week.exclusions)

    assert [round(float(found.whole.sli or 0), 8) for found in (minutes, by_hours)] == [0.99206349, 0.94047619]
    assert report(OCTOBER, [], strict, LONG_AFTER).budget_seconds == Fraction(504, 100) * 60


def test_slices_without_any_data_are_no_data() -> None:
    """S5."""
    measure = Measure(Decimal("99.5"), BudgetingMethod.TIMESLICES, 60)

    assert outline("", OCTOBER, [], measure, LONG_AFTER).verdict is Verdict.NO_DATA


def test_slices_without_data_are_bad_where_the_spec_says_so() -> None:
    """S5: from the first data on; what is not over yet is not missing."""
    hours = [one for one in sliced(OCTOBER, 0, 60) if one.start >= at("2026-10-02T00:00") and one.start % DAY]
    now = at("2026-10-11T00:30")
    bad = Measure(Decimal("99.5"), BudgetingMethod.TIMESLICES, 60, are_missing_bad=True)
    unknown = Measure(Decimal("99.5"), BudgetingMethod.TIMESLICES, 60)

    assert outline("", OCTOBER, hours, bad, now).kept.bad == 8 * 60 + 30
    assert outline("", OCTOBER, hours, unknown, now).kept.bad == 0
    assert report(OCTOBER, hours, bad, now).whole.kept.bad == 8 * 60 + 30


def test_ratio_slices_are_the_mean_of_their_ratios() -> None:
    """S7: 33 of 90 in ratios."""
    measure = Measure(Decimal(30), BudgetingMethod.RATIO_TIMESLICES, 60)
    row = outline("", OCTOBER, [hour(OCTOBER.stretch.since, bad=57, total=90)], measure, LONG_AFTER)

    assert round(float(row.sli or 0), 6) == 0.366667


# --- exclusions -----------------------------------------------------------------------------------------


def test_removed_time_is_not_part_of_the_month() -> None:
    """S9: two modes with different figures; set afterwards, and recomputed."""
    hours = hours_of(bad={at("2026-10-12T14:00"): 360})
    measure = excluding(exclusion("2026-10-12T12:00", "2026-10-12T16:00"))
    found = report(OCTOBER, hours, measure, LONG_AFTER)

    assert (found.whole.kept.bad, found.whole.kept.total) == (0, 740 * 360)
    assert found.budget_seconds == Fraction(740 * HOUR, 1000)
    assert found.whole.kept.coverage == 1
    assert found.exclusions == measure.exclusions


def test_time_counted_as_good_stays_part_of_it() -> None:
    """S9."""
    hours = hours_of(bad={at("2026-10-12T14:00"): 360})
    found = report(
        OCTOBER, hours, excluding(exclusion("2026-10-12T12:00", "2026-10-12T16:00", "CountAsGood")), LONG_AFTER
    )

    assert (found.whole.kept.bad, found.whole.kept.total) == (0, 744 * 360)
    assert found.budget_seconds == Fraction(744 * HOUR, 1000)


def test_time_counted_as_good_has_data_as_good_as_the_rest() -> None:
    """S9: as in the status: nobody measured during the migration, and that costs nothing."""
    gone = range(at("2026-10-12T12:00"), at("2026-10-12T16:00"))
    hours = [one for one in hours_of(bad={OCTOBER.stretch.since: 36}) if one.start not in gone]
    forgiven = excluding(exclusion("2026-10-12T12:00", "2026-10-12T16:00", "CountAsGood"))
    found = report(OCTOBER, hours, forgiven, LONG_AFTER)

    assert (found.whole.kept.bad, found.whole.kept.total, found.gaps) == (36, 744 * 360, ())
    assert found.whole.kept.coverage == 1
    assert report(OCTOBER, [], forgiven, LONG_AFTER).whole.verdict is Verdict.NO_DATA


def test_a_minute_that_an_exclusion_touches_is_excluded_as_a_whole() -> None:
    """S9: as in the status; a slice too."""
    touching = exclusion("2026-10-12T14:00:59", "2026-10-12T14:01:01")
    slices = excluding(touching, method=BudgetingMethod.TIMESLICES, slice_seconds=300)

    assert report(OCTOBER, hours_of(), excluding(touching), LONG_AFTER).whole.kept.span == 744 * HOUR - 120
    assert report(OCTOBER, sliced(OCTOBER, 0, 300), slices, LONG_AFTER).whole.kept.span == 744 * HOUR - 300


def test_an_exclusion_cuts_an_hour_by_its_share() -> None:
    """S9: hours are the finest that is kept."""
    hours = hours_of(bad={at("2026-10-12T14:00"): 360})
    found = report(OCTOBER, hours, excluding(exclusion("2026-10-12T14:15", "2026-10-12T14:30")), LONG_AFTER)

    assert found.whole.kept.bad == 270
    assert found.worst_hour is not None
    assert found.worst_hour.kept.bad == 270


def test_finer_counts_say_what_of_an_hour_an_exclusion_takes() -> None:
    """S9: the failures were in the quarter that is excluded, so none is left."""
    at_two, quarter = at("2026-10-12T14:00"), exclusion("2026-10-12T14:15", "2026-10-12T14:30")
    parts = [
        Hour(start, start + 300, Fraction(90 if 900 <= start - at_two < 1800 else 0), Fraction(120), Fraction(300))
        for start in range(at_two, at_two + HOUR, 300)
    ]
    measure = excluding(quarter)
    whole = hour(at_two, 270, 12 * 120)
    found = report(OCTOBER, refined([*hours_of()], finest(whole, [parts, ()])), measure, LONG_AFTER)

    assert cut_hours(measure, OCTOBER.stretch) == (at_two,)
    assert (found.whole.kept.bad, found.whole.kept.total) == (0, 743 * 360 + 9 * 120)
    assert (found.whole.kept.coverage, found.gaps, len(found.days)) == (1, (), 31)


def test_an_hour_is_divided_only_by_what_knows_all_of_it() -> None:
    """S9: buckets that are past their retention are not an hour without events."""
    whole = hour(0, 10, 120)
    fives = [Hour(start, start + 300, Fraction(0), Fraction(10), Fraction(300)) for start in range(0, HOUR, 300)]
    minutes = [Hour(start, start + 60, Fraction(0), Fraction(2), Fraction(60)) for start in range(600, HOUR, 60)]

    assert finest(whole, [fives[1:], ()]) == (whole,)
    assert finest(whole, [fives, ()]) == tuple(fives)
    assert finest(whole, [fives, minutes]) == (*fives[:2], *minutes)


def test_a_result_in_a_part_of_an_hour_speaks_for_the_time_after_it() -> None:
    """One minute in five has data, also in an hour that an exclusion cuts through."""
    first = OCTOBER.stretch.since
    hours = [hour(start.start, 0, 12, observed=720) for start in hours_of()]
    minutes = [Hour(at, at + 60, Fraction(0), Fraction(1), Fraction(60)) for at in range(first, first + HOUR, 300)]
    found = report(
        OCTOBER, filled(hours, minutes), excluding(exclusion("2026-10-01T00:15", "2026-10-01T00:30")), LONG_AFTER
    )

    assert (found.whole.kept.coverage, found.gaps, found.whole.kept.total) == (1, (), 744 * 12 - 3)


def test_exclusions_that_overlap_remove_time_once_and_removal_is_the_stronger() -> None:
    hours = hours_of(bad={at("2026-10-12T14:00"): 360})
    both = excluding(
        exclusion("2026-10-12T12:00", "2026-10-12T15:00", "CountAsGood"),
        exclusion("2026-10-12T14:00", "2026-10-12T16:00"),
        exclusion("2026-10-12T15:00", "2026-10-12T17:00"),
    )
    found = report(OCTOBER, hours, both, LONG_AFTER)

    assert (found.whole.kept.total, found.whole.kept.span) == (741 * 360, 741 * HOUR)


def test_an_exclusion_of_another_month_is_not_told_of() -> None:
    measure = excluding(exclusion("2026-09-12T12:00", "2026-09-12T16:00"))

    assert report(OCTOBER, hours_of(), measure, LONG_AFTER).exclusions == ()


def test_a_month_that_is_all_excluded_has_no_data() -> None:
    found = report(OCTOBER, hours_of(), excluding(exclusion("2026-10-01T00:00", "2026-11-01T00:00")), LONG_AFTER)

    assert (found.whole.verdict, found.budget_seconds, found.gaps) == (Verdict.NO_DATA, 0, ())


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 743 * 60), st.integers(1, 3000), st.booleans()), max_size=5),
    st.dictionaries(st.integers(0, 743), st.integers(0, 360), max_size=20),
)
def test_exclusions_are_what_they_are_minute_by_minute(
    excluded: list[tuple[int, int, bool]], bad: dict[int, int]
) -> None:
    """S9: against a count of each minute, whole hours spread evenly."""
    since, until = OCTOBER.stretch
    moments = [
        (since + start * 60, min(since + (start + length) * 60, until), mode) for start, length, mode in excluded
    ]
    times = [
        (datetime.fromtimestamp(a, UTC).isoformat()[:16], datetime.fromtimestamp(b, UTC).isoformat()[:16], mode)
        for a, b, mode in moments
    ]
    measure = excluding(*(exclusion(a, b, "Remove" if mode else "CountAsGood") for a, b, mode in times))
    found = report(
        OCTOBER, hours_of(bad={since + HOUR * index: count for index, count in bad.items()}), measure, LONG_AFTER
    )
    removed, good = (_covered(moments, mode) for mode in (True, False))
    left = set(range(since, until, 60)) - removed

    assert found.whole.kept.span == len(left) * 60
    assert found.whole.kept.total == len(left) * 6
    assert found.whole.kept.bad * 60 == sum(bad.get((minute - since) // HOUR, 0) for minute in left - good)


def _covered(moments: Iterable[tuple[int, int, bool]], mode: bool) -> set[int]:  # noqa: FBT001
    return {minute for a, b, its in moments if its is mode for minute in range(a, b, 60)}


# --- other months ---------------------------------------------------------------------------------------


def month_with(bad: float, total: float = 267_840, month: Month = OCTOBER) -> Any:
    return outline("", month, [hour(month.stretch.since, bad, total)], THREE_NINES, LONG_AFTER)


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (200, 200, Course.SAME),
        (210, 200, Course.SAME),
        (100, 200, Course.BETTER),
        (300, 200, Course.WORSE),
        (0, 0, Course.SAME),
        (12, 0, Course.SAME),
        (40, 0, Course.WORSE),
    ],
)
def test_a_difference_within_the_noise_is_none(now: int, then: int, expected: Course) -> None:
    """Months that differ by less than 5 % of the budget, or by chance, are the same."""
    assert course(month_with(now), [month_with(then, month=OCTOBER.back(1))], THREE_NINES) is expected


def test_few_events_prove_no_change() -> None:
    """One failure of a hundred against none of a hundred may be chance."""
    assert course(month_with(1, 100), [month_with(0, 100, OCTOBER.back(1))], THREE_NINES) is Course.SAME


def test_months_before_count_by_their_events_and_those_without_data_not_at_all() -> None:
    """S4: averages of ratios are never used."""
    before = [month_with(1000, 10_000, OCTOBER.back(1)), month_with(0, 10_000_000, OCTOBER.back(2))]

    assert course(month_with(27), before, THREE_NINES) is Course.SAME
    assert course(month_with(27), [month_with(0, 0, OCTOBER.back(1))], THREE_NINES) is Course.UNKNOWN
    assert course(month_with(0, 0), before, THREE_NINES) is Course.UNKNOWN
    assert course(month_with(27), [], THREE_NINES) is Course.UNKNOWN


@given(st.lists(st.integers(0, 360), min_size=1, max_size=30), st.data())
def test_one_bad_event_more_never_leaves_more_budget(counts: list[int], data: st.DataObject) -> None:
    """The budget is monotone in bad events."""
    since, index = OCTOBER.stretch.since, data.draw(st.integers(0, len(counts) - 1))
    hours = [hour(since + HOUR * number, bad) for number, bad in enumerate(counts)]
    more = [*hours[:index], hour(hours[index].start, min(counts[index] + 1, 360)), *hours[index + 1 :]]
    before, after = (outline("", OCTOBER, each, THREE_NINES, LONG_AFTER) for each in (hours, more))

    assert before.consumed is not None
    assert after.consumed is not None
    assert after.consumed >= before.consumed
