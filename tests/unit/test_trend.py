"""H7: a trend is told when there is one; a stable service never reads Worsening."""

import random
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON, check_body
from homeostat.api.health_check import HealthCheckSpec, Trend
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.track import Track
from homeostat.core.health.trend import LEAST_PERIODS, LEAST_RUNS, trend_of
from homeostat.core.history.ledger import Ledger
from homeostat.core.history.window import CHECK_TIERS, MINUTE
from homeostat.engine.checks import Check
from homeostat.engine.meters import Meters
from homeostat.engine.objects import entry_from

IMPROVING, STABLE, WORSENING = Trend
Points = list[tuple[int, int]]

HOUR_OF_10S, HOUR_OF_1S, DAY_OF_5M, DAY_OF_20M = (12, 30), (12, 300), (24, 12), (24, 3)
RHYTHMS = (HOUR_OF_10S, HOUR_OF_1S, DAY_OF_5M, DAY_OF_20M)
"""Periods, and runs in each."""
SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)


def stream(dice: random.Random, rhythm: tuple[int, int], shares: Sequence[float]) -> Points:
    """Runs that pass by chance, with the share of each period."""
    runs = rhythm[1]
    return [(sum(dice.random() < share for _ in range(runs)), runs) for share in shares]


def stable(dice: random.Random, rhythm: tuple[int, int], share: float) -> Points:
    return stream(dice, rhythm, [share] * rhythm[0])


def drifting(dice: random.Random, rhythm: tuple[int, int], first: float, last: float) -> Points:
    periods = rhythm[0]
    return stream(dice, rhythm, [first + (last - first) * when / (periods - 1) for when in range(periods)])


def found(streams: Sequence[Points]) -> dict[Trend | None, int]:
    trends = [trend_of(points) for points in streams]
    return {trend: trends.count(trend) for trend in trends}


# --- what is stable ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rhythm", "share"), list(product(RHYTHMS, SHARES)))
def test_a_stable_service_never_reads_worsening(rhythm: tuple[int, int], share: float) -> None:
    """H7: 200 services of each rhythm and each level, none of them by chance; the seed is fixed."""
    dice = random.Random(7)  # noqa: S311 - dice of a test

    assert found([stable(dice, rhythm, share) for _ in range(200)]) == {STABLE: 200}


def test_of_20000_looks_at_a_service_of_90_percent_at_most_3_are_wrong() -> None:
    """H7: the floor promises one in 15,000, of both sides together. Shares of 90 % have the most noise."""
    dice = random.Random(11)  # noqa: S311 - dice of a test
    looks = found([stable(dice, HOUR_OF_10S, 0.9) for _ in range(20_000)])

    assert looks[STABLE] >= 19_997


def test_a_stable_service_that_is_looked_at_all_day_never_reads_worsening() -> None:
    """H7: every minute of ten days, the unfinished period included: looks that overlap, as they do in truth."""
    dice = random.Random(13)  # noqa: S311 - dice of a test
    minutes = [sum(dice.random() < 0.97 for _ in range(6)) for _ in range(10 * 24 * 60)]
    looks = set()
    for now in range(60, len(minutes)):
        starts = range(now - now % 5 - 55, now + 1, 5)
        looks.add(trend_of([(sum(minutes[at : min(at + 5, now)]), 6 * (min(at + 5, now) - at)) for at in starts]))

    assert looks == {STABLE}


@pytest.mark.parametrize("periods", [6, 12, 24])
@pytest.mark.parametrize("runs", [12, 30, 300])
def test_one_bad_period_is_no_trend_wherever_it_is(periods: int, runs: int) -> None:
    """An outage that was over within a period, or has just begun, tells nothing of where things go."""
    for bad, left in product(range(periods), (0, runs // 2, runs - 1)):
        points = [(left if when == bad else runs, runs) for when in range(periods)]

        assert trend_of(points) is STABLE


def test_bursts_of_failures_here_and_there_are_no_trend() -> None:
    """Real failures come in bursts, which scatter more than single runs do by chance."""
    bursts = [(30, 30), (12, 30), (30, 30), (30, 30), (20, 30), (30, 30), (30, 30), (9, 30), (30, 30), (25, 30)]

    assert trend_of([*bursts, (30, 30), (14, 30)]) is STABLE


@pytest.mark.parametrize("runs", [30, 10_000])
def test_what_is_always_good_or_always_bad_is_stable(runs: int) -> None:
    assert trend_of([(runs, runs)] * 12) is STABLE
    assert trend_of([(0, runs)] * 12) is STABLE


def test_a_change_too_small_to_matter_is_no_trend_however_certain_it_is() -> None:
    """From 99.9 to 99.0 percent in a million runs: beyond all doubt, and less than a percentage point."""
    drift = [(1_000_000 - 1_000 - 800 * when, 1_000_000) for when in range(12)]

    assert trend_of(drift) is STABLE
    assert trend_of([(good - 300 * when, total) for when, (good, total) in enumerate(drift)]) is WORSENING


# --- what is not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhythm", "first", "last"),
    [
        (HOUR_OF_10S, 1.0, 0.6),
        (HOUR_OF_1S, 1.0, 0.9),
        (HOUR_OF_1S, 0.999, 0.93),
        (DAY_OF_5M, 1.0, 0.4),
        (DAY_OF_20M, 1.0, 0.0),
    ],
)
def test_a_clear_drift_is_found_either_way(rhythm: tuple[int, int], first: float, last: float) -> None:
    dice = random.Random(17)  # noqa: S311 - dice of a test
    down = found([drifting(dice, rhythm, first, last) for _ in range(100)])
    up = found([drifting(dice, rhythm, last, first) for _ in range(100)])

    assert down.get(WORSENING, 0) >= 95
    assert up.get(IMPROVING, 0) >= 95
    assert down.keys() | up.keys() <= {WORSENING, IMPROVING, STABLE}
    assert IMPROVING not in down
    assert WORSENING not in up


@pytest.mark.parametrize("periods", [12, 24])
def test_an_outage_reads_worsening_from_its_second_period_on_and_improving_when_it_is_long_over(periods: int) -> None:
    def outage(begin: int, end: int) -> Trend | None:
        return trend_of([(0 if begin <= when < end else 30, 30) for when in range(periods)])

    assert outage(periods - 1, periods) is STABLE
    assert {outage(periods - lasting, periods) for lasting in range(2, periods // 2)} == {WORSENING}
    assert {outage(0, lasting) for lasting in range(2, periods // 2)} == {IMPROVING}


def test_a_drift_over_gaps_counts_by_the_clock() -> None:
    """Periods without runs are no data: the line goes over them, and they are not failures."""
    drift: Points = [(30 - when, 30) for when in range(24)]
    with_gaps = [(0, 0) if when % 3 else point for when, point in enumerate(drift)]

    assert trend_of(with_gaps) is WORSENING


# --- too little to say ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0, 0)] * 12,
        [(30, 30)] * (LEAST_PERIODS - 1),
        [(30, 30)] * (LEAST_PERIODS - 1) + [(0, 0)] * 7,
        [(1, 1)] * (LEAST_RUNS - 1),
        [(2, 2)] * 12,  # a check of half an hour, in half a day
    ],
)
def test_too_little_data_says_nothing(points: Points) -> None:
    assert trend_of(points) is None


def test_just_enough_data_says_something() -> None:
    assert trend_of([(12, 12)] * LEAST_PERIODS) is STABLE
    assert trend_of([(1, 1)] * LEAST_RUNS) is STABLE


# --- promises ---------------------------------------------------------------------------------------------

counted = st.integers(0, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
histories = st.lists(counted, max_size=24)
TURNED = {IMPROVING: WORSENING, WORSENING: IMPROVING, STABLE: STABLE, None: None}


@given(histories)
def test_time_that_runs_backwards_turns_the_trend(points: Points) -> None:
    assert trend_of(points[::-1]) is TURNED[trend_of(points)]


@given(histories)
def test_failures_that_become_passes_turn_the_trend(points: Points) -> None:
    assert trend_of([(total - good, total) for good, total in points]) is TURNED[trend_of(points)]


@given(histories, st.integers(0, 5), st.integers(0, 5))
def test_empty_periods_at_either_end_change_nothing(points: Points, before: int, after: int) -> None:
    assert trend_of([*[(0, 0)] * before, *points, *[(0, 0)] * after]) is trend_of(points)


# --- the points -------------------------------------------------------------------------------------------

minutes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=200)


@given(st.integers(0, 1_000), minutes)
def test_the_points_of_a_ledger_are_the_counts_of_each_period(first: int, counts: Points) -> None:
    """Against a count minute by minute; the last period is the unfinished one."""
    ledger = Ledger(CHECK_TIERS)
    other, slot = ledger.open("other"), ledger.open("web")
    for minute, (good, bad) in enumerate(counts, start=first):
        ledger.roll(minute)
        ledger.add(slot, bad, good + bad)
        ledger.add(other, 1, 7)
    newest = (first + len(counts) - 1) // 5
    expected = [[0, 0] for _ in range(12)]
    for minute, (good, bad) in enumerate(counts, start=first):
        if (place := minute // 5 - newest + 11) >= 0:
            expected[place][0] += good
            expected[place][1] += good + bad

    assert ledger.periods(slot, 5 * MINUTE, 12) == tuple(map(tuple, expected))


def test_a_ledger_that_was_told_no_time_has_no_points() -> None:
    ledger = Ledger(CHECK_TIERS)

    assert ledger.periods(ledger.open("web"), 5 * MINUTE, 12) == ((0, 0),) * 12


@pytest.mark.parametrize(("interval", "periods"), [("1s", 12), ("30s", 12), ("31s", 24), ("1h", 24)])
def test_a_check_that_runs_rarely_is_judged_by_its_day(interval: str, periods: int) -> None:
    """An hour of it would have too few runs to say anything."""
    body = check_body(spec={"interval": interval})
    entry = entry_from(body, "HealthCheck")
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry.ref)
    assert isinstance(plan, Plan)
    meters = Meters()
    check = Check(entry.key, entry.ref, plan, Track(since=NOON, fresh=0.0), meters.open_check(entry.ref))

    assert len(meters.trend_points(check)) == periods
