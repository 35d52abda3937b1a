"""H7: scores from 0 to 100. What they promise, whatever the checks; and the example that docs/scores.md works out."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import Criticality, HealthState, Trend
from homeostat.core.health.score import WEIGHTS, Mark, Score, check_score, overall_score, service_of, service_score

HEALTHY, DEGRADED, UNHEALTHY = HealthState.HEALTHY, HealthState.DEGRADED, HealthState.UNHEALTHY
UNKNOWN, SUSPENDED = HealthState.UNKNOWN, HealthState.SUSPENDED
CRITICAL, HIGH, MEDIUM, LOW = Criticality

UP, DOWN = 100, 0
FROM_BAD_TO_GOOD = [(UNHEALTHY, 0, 4), *((DEGRADED, passing, 4) for passing in range(5)), (HEALTHY, 4, 4)]


def mark(criticality: Criticality, state: HealthState, passing: int = 1, total: int = 1) -> Mark:
    return Mark(criticality, state, check_score(state, passing, total))


def trending(criticality: Criticality, trend: Trend | None) -> Mark:
    return Mark(criticality, HEALTHY, UP, trend)


known = st.builds(
    lambda criticality, how: mark(criticality, *how), st.sampled_from(Criticality), st.sampled_from(FROM_BAD_TO_GOOD)
)
unknown = st.builds(mark, st.sampled_from(Criticality), st.sampled_from([UNKNOWN, SUSPENDED]))
marks = st.lists(known | unknown, max_size=12)
services = st.lists(marks, max_size=6)


def overall(checks: list[list[Mark]]) -> Score:
    return overall_score(service_score(service) for service in checks)


# --- a check ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "passing", "total", "score"),
    [
        (HEALTHY, 3, 3, 100),
        (HEALTHY, 0, 3, 100),  # it has begun to fail, and is not Unhealthy yet
        (DEGRADED, 3, 3, 50),
        (DEGRADED, 2, 3, 33),
        (DEGRADED, 0, 3, 0),
        (DEGRADED, 0, 0, 0),
        (DEGRADED, -1, -1, 50),  # after a restart, before its first run
        (UNHEALTHY, 2, 3, 0),
        (UNKNOWN, 3, 3, None),
        (SUSPENDED, 3, 3, None),
    ],
)
def test_a_degraded_check_counts_half_of_what_passes(
    state: HealthState, passing: int, total: int, score: int | None
) -> None:
    """H7: degraded counts half."""
    assert check_score(state, passing, total) == score


def test_a_worse_check_never_has_a_higher_score() -> None:
    scores = [check_score(*how) for how in FROM_BAD_TO_GOOD]

    assert all(worse <= better for worse, better in pairwise(score for score in scores if score is not None))
    assert None not in scores


# --- a service ----------------------------------------------------------------------------------------


def test_a_critical_check_weighs_as_much_as_eight_low_ones() -> None:
    assert list(WEIGHTS.values()) == [8, 4, 2, 1]
    assert service_score([mark(HIGH, UNHEALTHY), mark(MEDIUM, HEALTHY), mark(LOW, HEALTHY)]).value == 100 * 3 // 7


def test_the_example_of_the_documentation() -> None:
    """docs/scores.md works out these figures."""
    checkout = [mark(CRITICAL, HEALTHY), mark(HIGH, DEGRADED, 2, 3), mark(LOW, UNHEALTHY), mark(MEDIUM, UNKNOWN)]
    payment = [mark(CRITICAL, UNHEALTHY), mark(HIGH, HEALTHY), mark(HIGH, HEALTHY), mark(MEDIUM, HEALTHY)]
    newsletter = [mark(LOW, HEALTHY)]

    assert [service_score(one).value for one in (checkout, payment, newsletter)] == [71, 49, 100]
    assert overall([checkout, payment, newsletter]) == Score(value=62, trend=None, weight=8, known=8, total=9)


def test_a_service_that_fails_where_it_is_critical_reads_below_50_whatever_else_is_well() -> None:
    well = [mark(CRITICAL, HEALTHY)] * 20

    assert service_score([mark(CRITICAL, UNHEALTHY), *well]).value == 49
    assert service_score([mark(HIGH, UNHEALTHY), *well]).value == 97


def test_a_service_of_which_nothing_is_known_has_no_score() -> None:
    assert service_score([]) == Score(None, None, 0, 0, 0)
    assert service_score([mark(CRITICAL, UNKNOWN), mark(LOW, SUSPENDED)]) == Score(None, None, 0, 0, 2)


def test_only_a_service_that_is_all_healthy_reads_100() -> None:
    almost = [mark(CRITICAL, HEALTHY)] * 500 + [mark(LOW, DEGRADED)]

    assert service_score(almost).value == 99


def test_a_check_without_a_service_is_one_of_its_own() -> None:
    assert service_of("", "web") == "web"
    assert service_of("shop", "web") == "shop"


# --- a namespace and the cluster ------------------------------------------------------------------------


def test_a_service_weighs_as_its_most_critical_check_however_many_it_has() -> None:
    down = [mark(LOW, UNHEALTHY)] * 50

    assert overall([down, [mark(CRITICAL, HEALTHY)]]).value == 100 * 8 // 9


def test_a_critical_failure_caps_its_service_and_not_the_cluster() -> None:
    well = [[mark(CRITICAL, HEALTHY)]] * 49

    assert overall([[mark(CRITICAL, UNHEALTHY)], *well]).value == 98


def test_a_cluster_of_which_nothing_is_known_has_no_score() -> None:
    assert overall([]) == overall_score([])
    assert overall([[mark(LOW, UNKNOWN)]]) == Score(None, None, 0, 0, 1)


# --- promises --------------------------------------------------------------------------------------------


@given(services)
def test_scores_stay_between_the_worst_and_the_best(checks: list[list[Mark]]) -> None:
    each = [service_score(service) for service in checks]
    for service, score in zip(checks, each, strict=True):
        scores = [one.score for one in service if one.score is not None]
        if score.value is None:
            assert not scores
        else:
            assert min([*scores, 49]) <= score.value <= max(scores)
    values = [score.value for score in each if score.value is not None]
    whole = overall_score(each).value

    assert whole is None if not values else whole is not None and min(values) <= whole <= max(values)


@given(services, st.randoms(use_true_random=False))
def test_the_order_of_checks_and_services_does_not_matter(checks: list[list[Mark]], dice: random.Random) -> None:
    shuffled = [dice.sample(service, len(service)) for service in checks]
    dice.shuffle(shuffled)

    assert overall(shuffled) == overall(checks)


@given(services, st.integers(0), unknown)
def test_a_check_of_which_nothing_is_known_changes_the_coverage_and_no_score(
    checks: list[list[Mark]], place: int, further: Mark
) -> None:
    """H1: what is unknown is not failure; nor is it health, so the coverage tells."""
    before = overall(checks)
    where = place % (len(checks) + 1)
    more = [*checks[:where], [*[*checks, []][where], further], *checks[where + 1 :]]
    after = overall(more)

    assert (after.value, after.trend, after.weight, after.known) == (
        before.value, before.trend, before.weight, before.known,
    )  # fmt: skip
    assert after.total == before.total + 1


@given(services, st.integers(0), st.sampled_from(Criticality), st.integers(0, len(FROM_BAD_TO_GOOD) - 2))
def test_a_check_that_gets_worse_never_raises_the_score_of_its_service_or_of_the_cluster(
    checks: list[list[Mark]], place: int, criticality: Criticality, how: int
) -> None:
    """H7."""
    where = place % (len(checks) + 1)
    rest = [*checks, []][where]

    def with_one(state: HealthState, passing: int, total: int) -> tuple[int | None, int | None]:
        service = [*rest, mark(criticality, state, passing, total)]
        return service_score(service).value, overall([*checks[:where], service, *checks[where + 1 :]]).value

    worse, better = with_one(*FROM_BAD_TO_GOOD[how]), with_one(*FROM_BAD_TO_GOOD[how + 1])
    for low, high in zip(worse, better, strict=True):
        assert low is not None
        assert high is not None
        assert low <= high


@given(marks)
def test_a_critical_check_that_is_unhealthy_always_shows(rest: list[Mark]) -> None:
    score = service_score([*rest, mark(CRITICAL, UNHEALTHY)])

    assert score.value is not None
    assert score.value <= 49


# --- trends of several -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trends", "whole"),
    [
        ([], None),
        ([None, None], None),
        ([Trend.STABLE, None], Trend.STABLE),
        ([Trend.WORSENING, *[Trend.STABLE] * 9], Trend.WORSENING),
        ([Trend.WORSENING, *[Trend.STABLE] * 10], Trend.STABLE),
        ([Trend.WORSENING, Trend.IMPROVING], Trend.STABLE),
        ([Trend.WORSENING, Trend.IMPROVING, Trend.IMPROVING], Trend.IMPROVING),
    ],
)
def test_a_trend_is_that_of_a_tenth_of_the_weight(trends: list[Trend | None], whole: Trend | None) -> None:
    assert service_score(trending(LOW, trend) for trend in trends).trend is whole
    assert overall_score(service_score([trending(LOW, trend)]) for trend in trends).trend is whole


def test_a_trend_is_weighed_by_criticality() -> None:
    checks = [trending(CRITICAL, Trend.IMPROVING), *[trending(LOW, Trend.WORSENING)] * 6]

    assert service_score(checks).trend is Trend.IMPROVING


def test_the_trend_of_a_check_that_is_not_known_does_not_count() -> None:
    gone = Mark(CRITICAL, UNKNOWN, None, Trend.WORSENING)

    assert service_score([gone, trending(LOW, Trend.STABLE)]).trend is Trend.STABLE


@given(st.lists(st.sampled_from([*Trend, None]), min_size=1, max_size=30))
def test_time_that_runs_backwards_turns_every_trend(trends: list[Trend | None]) -> None:
    turned = {
        Trend.IMPROVING: Trend.WORSENING,
        Trend.WORSENING: Trend.IMPROVING,
        Trend.STABLE: Trend.STABLE,
        None: None,
    }
    forwards = service_score(trending(LOW, trend) for trend in trends).trend
    backwards = service_score(trending(LOW, turned[trend]) for trend in trends).trend

    assert backwards is turned[forwards]
