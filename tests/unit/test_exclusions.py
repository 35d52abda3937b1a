"""Time that does not count against an objective (S9)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective import Exclusion
from homeostat.core.history.ledger import Ledger, LedgerSeries
from homeostat.core.history.series import Series
from homeostat.core.history.window import OBJECTIVE_TIERS
from homeostat.core.objective.exclusions import Cut, cut, excluded
from minutes import Minutes

NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())
NOW = datetime.fromtimestamp(NOON - 30, tz=UTC)
HOUR = 3600


def exclusion(since: float, until: float, mode: str = "Remove") -> Exclusion:
    """Exclude from so many minutes before noon until so many."""
    times = [datetime.fromtimestamp(NOON - minutes * 60, tz=UTC) for minutes in (since, until)]
    return Exclusion.model_validate({"from": times[0], "to": times[1], "mode": mode})


def hour_with_an_outage() -> Minutes:
    """Ten events a minute; all of them bad from 30 to 20 minutes before noon."""
    series = Minutes(now=NOON - 30).fill(NOON - HOUR, NOON, 0, 10)
    return series.fill(NOON - 1800, NOON - 1200, 10, 10)


def without(*exclusions: Exclusion, series: Series | None = None) -> Series:
    return excluded(series or hour_with_an_outage(), exclusions, NOW)


def test_time_that_is_removed_is_not_part_of_the_window() -> None:
    """S9: neither its events, nor its minutes, nor its length."""
    counts = without(exclusion(30, 20)).last(HOUR)

    assert (counts.bad, counts.total, counts.observed_seconds, counts.span_seconds) == (0, 500, 3000, 3000)


def test_time_that_counts_as_good_keeps_its_events() -> None:
    """S9."""
    counts = without(exclusion(30, 25, "CountAsGood")).last(HOUR)

    assert (counts.bad, counts.total, counts.observed_seconds, counts.span_seconds) == (50, 600, HOUR, HOUR)


def test_time_without_data_counts_as_good_time_at_the_rate_of_the_rest() -> None:
    """S9: it neither earns nor costs: bad / total x coverage stays what it was."""
    gap = Minutes(now=NOON - 30).fill(NOON - HOUR, NOON - 1800, 1, 10)
    before, after = gap.last(HOUR), without(exclusion(15, 0, "CountAsGood"), series=gap).last(HOUR)

    assert (after.bad, after.total, after.observed_seconds) == (30, 450, 2700)
    assert after.bad / after.total * after.observed_seconds == before.bad / before.total * before.observed_seconds


def test_results_that_come_rarely_speak_for_their_interval_in_excluded_time_too() -> None:
    """S6, S9: a check of every five minutes lacks nothing in an hour with twelve results."""
    rare = Minutes(now=NOON - 30).fill(NOON - HOUR, NOON, 0, 1, every=5)
    counts = excluded(rare, [exclusion(60, 0, "CountAsGood")], NOW, timedelta(minutes=5)).last(HOUR)

    assert (counts.total, counts.observed_seconds) == (12, 720)


def test_what_overlaps_counts_once_and_remove_wins() -> None:
    """S9."""
    counts = without(
        exclusion(40, 25), exclusion(30, 24), exclusion(26, 15, "CountAsGood"), exclusion(35, 32, "CountAsGood")
    ).last(HOUR)

    assert (counts.bad, counts.total, counts.span_seconds) == (0, 440, 44 * 60)


def test_a_window_that_is_excluded_whole_has_no_data() -> None:
    """S5, S9: which is not 100 percent."""
    counts = without(exclusion(100, 0)).last(HOUR)

    assert (counts.total, counts.observed_seconds, counts.span_seconds) == (0, 0, 0)


@pytest.mark.parametrize("stretch", [(200, 60), (0, -60), (-60, -120)])
def test_an_exclusion_outside_the_window_changes_nothing(stretch: tuple[int, int]) -> None:
    """S9: longer ago than the window, or still to come."""
    assert without(exclusion(*stretch)).last(HOUR) == hour_with_an_outage().last(HOUR)


def test_a_minute_and_a_slice_that_an_exclusion_touches_are_excluded_whole() -> None:
    """S9."""
    half = without(exclusion(29.5, 20.5)).last(HOUR)
    slices = Minutes({NOON // 60 - 21: (1, 1), NOON // 60 - 26: (1, 1)}, now=NOON - 30)
    counts = excluded(slices, [exclusion(23, 22)], NOW, slice_seconds=300).last(HOUR)

    assert (half.bad, half.span_seconds) == (0, 3000)
    assert (counts.total, counts.span_seconds) == (1, 3300)


def test_buckets_count_with_the_share_that_is_left() -> None:
    """S9: where minutes are gone, an hour that is excluded in part counts in part."""
    series = without(exclusion(30, 25), exclusion(25, 24, "CountAsGood"))
    buckets = series.buckets(NOON - HOUR, NOON)

    assert (len(buckets), sum(bucket.bad for bucket in buckets)) == (55, 40)


def test_where_minutes_are_gone_the_error_is_what_the_buckets_at_the_ends_hold() -> None:
    """S9: an outage of an hour and a half ten days ago, in a ledger that keeps hours that long."""
    ledger = Ledger(OBJECTIVE_TIERS[0])
    slot, minute = ledger.open("slo/a"), NOON // 60 - 11 * 1440
    ledger.roll(minute)
    since, until = NOON // 60 - 10 * 1440 + 20, NOON // 60 - 10 * 1440 + 110
    for at in range(minute, NOON // 60):
        ledger.add(slot, 6 if since <= at < until else 0, 6)
        ledger.roll(at + 1)
    outage = exclusion(10 * 1440 - 20, 10 * 1440 - 110)
    whole_hours = exclusion(10 * 1440, 10 * 1440 - 120)

    def bad(one: Exclusion) -> float:
        now = datetime.fromtimestamp(NOON + 30, tz=UTC)
        return excluded(LedgerSeries(ledger, slot), [one], now).last(30 * 24 * HOUR).bad

    assert LedgerSeries(ledger, slot).last(30 * 24 * HOUR).bad == 540
    assert 0 <= bad(outage) <= 2 * 360
    assert bad(outage) < 540
    assert bad(whole_hours) == pytest.approx(0, abs=1e-6)


def test_without_exclusions_the_series_is_itself() -> None:
    series = Minutes()

    assert excluded(series, (), NOW) is series


stretches = st.tuples(st.integers(0, 80), st.integers(1, 30), st.sampled_from(["Remove", "CountAsGood"]))


def excluding(found: list[tuple[int, int, str]]) -> list[Exclusion]:
    return [exclusion(since, since - length, mode) for since, length, mode in found]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=60, max_size=60),
    st.lists(stretches, max_size=5),
)
def test_exclusions_equal_a_minute_by_minute_count(
    minutes: list[tuple[int, int, bool]], found: list[tuple[int, int, str]]
) -> None:
    """S9: by brute force; and they never make a window worse in what was bad."""
    first = NOON // 60 - 60
    series = Minutes(
        {first + at: (bad, bad + good) for at, (bad, good, is_there) in enumerate(minutes) if is_there}, now=NOON - 30
    )
    counts = excluded(series, excluding(found), NOW).last(HOUR)

    def modes(minute: int) -> set[str]:
        ago = NOON // 60 - minute
        return {mode for since, length, mode in found if since >= ago > since - length}

    kept = [minute for minute in range(first, first + 60) if "Remove" not in modes(minute)]
    bad = sum(series.counts[minute][0] for minute in kept if minute in series.counts and not modes(minute))

    assert counts.bad == pytest.approx(bad)
    assert counts.bad <= series.last(HOUR).bad
    assert counts.span_seconds == 60 * len(kept)
    assert counts.total >= sum(series.counts[minute][1] for minute in kept if minute in series.counts) - 1e-6
    assert counts.observed_seconds <= counts.span_seconds


@given(st.lists(stretches, max_size=8))
def test_what_is_cut_is_in_order_and_apart(found: list[tuple[int, int, str]]) -> None:
    """S9."""
    cuts: Cut = cut(excluding(found))
    bounds = [bound for stretch in cuts.removed for bound in stretch]
    both = sorted((*cuts.removed, *cuts.forgiven))

    assert bounds == sorted(set(bounds))
    assert all(one[1] <= other[0] for one, other in pairwise(both))


@given(st.integers(0, 60), st.integers(0, 60), st.lists(stretches, max_size=4))
def test_splitting_and_recombining_a_window_gives_the_same_counts(
    first: int, second: int, found: list[tuple[int, int, str]]
) -> None:
    """S4, S9: of what is left when time is removed."""
    removed = [(since, length, "Remove") for since, length, _ in found]
    series = excluded(hour_with_an_outage(), excluding(removed), NOW)
    split = sorted((NOON - HOUR, NOON - first * 60, NOON - second * 60, NOON))
    parts = [series.between(since, until) for since, until in pairwise(split)]
    whole = series.between(NOON - HOUR, NOON)

    assert sum(part.bad for part in parts) == whole.bad
    assert sum(part.total for part in parts) == whole.total
    assert sum(part.span_seconds for part in parts) == whole.span_seconds
