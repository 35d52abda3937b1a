"""Objectives that are made of others (S12)."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective_indicator import CompositeMode, WhenMissing
from homeostat.core.history.series import Series
from homeostat.core.history.window import Counts
from homeostat.core.objective.composite import MOST_LEVELS, Composite, Part, find_loop, missing_members, problem
from minutes import Minutes

NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())
NOW = datetime.fromtimestamp(NOON - 30, tz=UTC)
HOUR = 3600
IGNORE, GOOD, BAD = WhenMissing.IGNORE, WhenMissing.GOOD, WhenMissing.BAD
WEIGHTED, ALL, SUM = CompositeMode.WEIGHTED, CompositeMode.ALL, CompositeMode.SUM


def steady(bad: float, total: float, since: int = HOUR, until: int = 0) -> Minutes:
    return Minutes(now=NOON - 30).fill(NOON - since, NOON - until, bad, total)


def of(
    mode: CompositeMode, *series: Series | None, missing: WhenMissing = IGNORE, weights: tuple[int, ...] = ()
) -> Composite:
    parts = [Part(f"m{number}", weights[number] if weights else 1, one) for number, one in enumerate(series)]
    return Composite(mode, missing, parts, NOW)


def ratio(counts: Counts) -> float:
    return counts.bad / counts.total


def test_weighted_is_the_mean_of_the_ratios_whatever_the_traffic() -> None:
    """S12: 3 x 10 % and 7 x 1 % are 3.7 %."""
    composite = of(WEIGHTED, steady(1, 10), steady(10, 1000), weights=(3, 7))

    assert ratio(composite.last(HOUR)) == pytest.approx(0.037)
    assert ratio(composite.between(NOON - HOUR, NOON)) == pytest.approx(0.037)
    assert composite.last(HOUR).observed_seconds == HOUR


def test_sum_is_the_events_of_all() -> None:
    """S12."""
    counts = of(SUM, steady(1, 10), steady(10, 1000)).last(HOUR)

    assert (counts.bad, counts.total) == (660, 60_600)


def test_all_is_the_worst_member_of_each_minute() -> None:
    """S12: two halves of an hour, each bad at another member, are a bad hour, by minutes and not by traffic."""
    first = steady(10, 10, HOUR, 1800).fill(NOON - 1800, NOON, 0, 10)
    second = steady(0, 1, HOUR, 1800).fill(NOON - 1800, NOON, 1, 1)
    composite = of(ALL, first, second)
    counts = composite.last(HOUR)

    assert (counts.bad, counts.total, counts.observed_seconds) == (60, 60, HOUR)
    assert ratio(of(WEIGHTED, first, second).last(HOUR)) == 0.5
    assert composite.last(300).total == 5


def test_all_weighs_time_and_asks_members_once_for_all_windows() -> None:
    """S12: half the hour at 20 % is 10 %."""
    first, second = steady(2, 10, HOUR, 1800), steady(0, 5)
    composite = of(ALL, first, second)

    assert ratio(composite.last(HOUR)) == pytest.approx(0.1)
    asked = first.asked
    assert ratio(composite.last(1800)) == 0
    assert first.asked == asked


@pytest.mark.parametrize("mode", CompositeMode)
@pytest.mark.parametrize(
    ("missing", "shares"), [(IGNORE, (0.1, 0.1, 0.1)), (GOOD, (0.05, 0.1, 0.05)), (BAD, (0.55, 1.0, 0.55))]
)
@pytest.mark.parametrize("absent", [None, Minutes(), steady(1, 1, 9 * HOUR, 8 * HOUR)], ids=["absent", "empty", "old"])
def test_what_a_missing_member_counts_as(
    mode: CompositeMode, missing: WhenMissing, shares: tuple[float, ...], absent: Series | None
) -> None:
    """S12: ignore and renormalise, good, bad; of two members of which one is 10 % bad."""
    share = shares[(WEIGHTED, ALL, SUM).index(mode)]
    composite = of(mode, steady(1, 10, 6 * HOUR), absent, missing=missing)

    assert ratio(composite.between(NOON - HOUR, NOON)) == pytest.approx(share)
    if mode is not ALL:
        assert ratio(composite.last(300)) == pytest.approx(share)


@pytest.mark.parametrize("mode", CompositeMode)
def test_a_minute_without_traffic_is_not_a_missing_member(mode: CompositeMode) -> None:
    """S5, S12: with whenMissing Bad a quiet member must not page."""
    quiet = steady(0, 1, 40 * 60, 20 * 60)
    idle = steady(0, 0, HOUR)

    assert ratio(of(mode, steady(0, 10), quiet, missing=BAD).last(300)) == 0
    assert ratio(of(mode, steady(0, 10), idle, missing=BAD).last(HOUR)) == 0


@pytest.mark.parametrize("mode", CompositeMode)
@pytest.mark.parametrize("missing", WhenMissing)
def test_without_any_member_there_is_no_data(mode: CompositeMode, missing: WhenMissing) -> None:
    """S5: neither 100 percent nor 0."""
    counts = of(mode, None, Minutes(), missing=missing).last(HOUR)

    assert (counts.total, counts.observed_seconds, counts.span_seconds) == (0, 0, HOUR)


@pytest.mark.parametrize("mode", CompositeMode)
def test_composites_nest(mode: CompositeMode) -> None:
    """S12: of one member each a composite is that member, however deep."""
    inner = of(mode, steady(1, 10))
    outer = of(mode, of(mode, inner))

    assert ratio(outer.last(HOUR)) == pytest.approx(0.1)
    assert ratio(of(ALL, outer, steady(0, 1)).last(HOUR)) == pytest.approx(0.1)
    assert sum(bucket.seconds for bucket in outer.buckets(NOON - HOUR, NOON)) == HOUR


def test_a_member_that_is_checked_rarely_speaks_for_its_interval() -> None:
    """S6, S12: a fail of every fifth minute is the worst of the other four too."""
    rare = Minutes(now=NOON - 30).fill(NOON - HOUR, NOON, 1, 1, every=5)
    parts = [Part("rare", 1, rare, timedelta(minutes=5)), Part("often", 1, steady(0, 6))]

    assert ratio(Composite(ALL, IGNORE, parts, NOW).last(HOUR)) == 1
    assert Composite(WEIGHTED, IGNORE, parts[:1], NOW).last(HOUR).observed_seconds == HOUR


members = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=5)


@given(members, st.integers(2, 10))
def test_weights_matter_only_among_each_other(found: list[tuple[int, int, int]], times: int) -> None:
    """S12: scaled they give the same, and the mean is that of the textbook."""
    series = [steady(min(bad, total), total) for _, bad, total in found]
    weights = tuple(weight for weight, _, _ in found)
    exact = sum(Fraction(w * min(b, t), t) for w, b, t in found) / sum(weights)

    once = ratio(of(WEIGHTED, *series, weights=weights).last(HOUR))
    scaled = ratio(of(WEIGHTED, *series, weights=tuple(weight * times for weight in weights)).last(HOUR))

    assert once == pytest.approx(float(exact))
    assert scaled == pytest.approx(once)


@given(members)
def test_the_worst_is_at_least_the_mean_and_a_bad_member_never_helps(found: list[tuple[int, int, int]]) -> None:
    """S12."""
    series = [steady(min(bad, total), total) for _, bad, total in found]
    mean, worst = (ratio(of(mode, *series).last(HOUR)) for mode in (WEIGHTED, ALL))

    assert mean <= worst + 1e-9
    for mode in CompositeMode:
        assert ratio(of(mode, *series, None, missing=GOOD).last(HOUR)) <= ratio(of(mode, *series).last(HOUR)) + 1e-9
        assert ratio(of(mode, *series, None, missing=BAD).last(HOUR)) >= ratio(of(mode, *series).last(HOUR)) - 1e-9


# --- what can be wrong ------------------------------------------------------------------------------------

LOOP = {"a": ("b",), "b": ("c", "d"), "c": ("b",), "d": (), "e": ("e",)}


def test_an_objective_in_a_cycle_or_behind_one_is_found_with_its_path() -> None:
    """S12."""
    assert find_loop(LOOP, "b") == ("b", "c", "b")
    assert find_loop(LOOP, "a") == ("a", "b", "c", "b")
    assert find_loop(LOOP, "e") == ("e", "e")
    assert find_loop(LOOP, "d") == ()
    assert problem(LOOP, "a") == ("CompositeCycle", "Members lead back to where they came from: a -> b -> c -> b.")
    assert problem(LOOP, "d") is None


def test_a_composite_of_too_many_members_of_members_is_refused() -> None:
    """faults.md 35: diamonds double what is asked on each level; a chain must end too."""
    diamonds = {f"{level}{side}": (f"{level + 1}x", f"{level + 1}y") for level in range(9) for side in "xy"}
    chain = {str(number): (str(number + 1),) for number in range(2000)}

    assert problem(diamonds, "8x") is None
    assert (
        problem(
            {f"w{n}": tuple(f"v{n}.{m}" for m in range(32)) for n in range(9)}
            | {"top": tuple(f"w{n}" for n in range(9))},
            "top",
        )
        is not None
    )
    assert problem(chain, "0") is not None
    assert problem(chain, str(2000 - MOST_LEVELS)) is None


def test_missing_members_are_named() -> None:
    """S12, S13."""
    found = missing_members(("a", "c", "b"), {"a"})

    assert found is not None
    assert found[0] == "MemberMissing"
    assert found[1].endswith(": b, c.")
    assert missing_members(("a",), ("a", "b")) is None
