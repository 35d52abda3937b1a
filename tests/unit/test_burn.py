"""Burn rates and the alerts they set off."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import BurnRate
from homeostat.api.objective_status import Severity
from homeostat.core.history.window import Counts
from homeostat.core.objective.burn import (
    DEFAULT_PAIRS,
    Pair,
    Terms,
    bad_events,
    bad_ratio,
    burn,
    can_fire,
    coverage,
    factor,
    filled,
    goes_on,
    is_held,
    is_reached,
    is_sampled,
    pairs,
    time_to_exhaustion,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = Terms(Decimal("0.001"), 30 * DAY)
FAST = DEFAULT_PAIRS[0]


def counts(bad: float, total: float, span: timedelta = HOUR, observed: timedelta | None = None) -> Counts:
    seen = span if observed is None else observed
    return Counts(total - bad, total, seen.total_seconds(), int(span.total_seconds()))


@pytest.mark.parametrize(
    ("days", "factors"),
    [(30, ("14.4", "6", "3", "1")), (28, ("13.44", "5.6", "2.8", "0.9333")), (7, ("3.36", "1.4", "0.7", "0.2333"))],
)
def test_factors_are_computed_for_any_period(days: int, factors: tuple[str, ...]) -> None:
    """S2: budget x period / long window, with the figures of the field for 30 and 28 days."""
    found = [factor(pair.budget, days * DAY, pair.long) for pair in DEFAULT_PAIRS]

    assert [value.quantize(Decimal("0.0001")) for value in found] == [Decimal(value) for value in factors]


def test_the_default_alerts_are_the_four_pairs_of_the_field() -> None:
    """S2."""
    assert [(pair.name, str(pair.budget), pair.severity) for pair in pairs((), 30 * DAY)] == [
        ("1h/5m", "0.02", Severity.PAGE),
        ("6h/30m", "0.05", Severity.PAGE),
        ("24h/2h", "0.10", Severity.TICKET),
        ("72h/6h", "0.10", Severity.TICKET),
    ]


def test_a_default_alert_that_looks_back_further_than_the_objective_is_left_out() -> None:
    assert [pair.name for pair in pairs((), DAY)] == ["1h/5m", "6h/30m", "24h/2h"]
    assert [pair.name for pair in pairs((), HOUR)] == ["1h/5m"]


def test_listed_alerts_replace_the_default_and_a_short_window_is_a_twelfth_unless_given() -> None:
    """S2: short = long / 12."""
    listed = [
        BurnRate.model_validate({"budget": "2%", "long": "2h"}),
        BurnRate.model_validate({"budget": "5%", "long": "3h", "short": "90s", "severity": "Ticket"}),
        BurnRate.model_validate({"budget": "2%", "long": "2h"}),
    ]

    assert pairs(listed, 30 * DAY) == (
        Pair(Decimal("0.02"), 2 * HOUR, timedelta(minutes=10), Severity.PAGE),
        Pair(Decimal("0.05"), 3 * HOUR, timedelta(seconds=90), Severity.TICKET),
    )
    assert pairs(listed, 30 * DAY)[1].name == "3h/1m30s"


@pytest.mark.parametrize(("objective", "can"), [("93.05", False), ("93.06", True), ("99.9", True), ("90", False)])
def test_an_alert_above_the_burn_rate_of_a_total_outage_can_never_fire(objective: str, can: bool) -> None:  # noqa: FBT001
    """S3: 14.4 needs a target above 93.056 percent."""
    assert can_fire(FAST, Terms((100 - Decimal(objective)) / 100, 30 * DAY)) == can


@settings(deadline=None)
@given(st.decimals("0.01", "99.99", places=2), st.integers(1, 100), st.integers(1, 720), st.integers(24, 2160))
def test_what_cannot_fire_is_not_reached_by_a_total_outage_and_what_can_is(
    objective: Decimal, percent: int, long: int, period: int
) -> None:
    """S3."""
    pair = Pair(Decimal(percent) / 100, long * HOUR, long * HOUR / 12, Severity.PAGE)
    terms = Terms((100 - objective) / 100, period * HOUR)

    assert is_reached(pair, counts(7, 7), counts(1, 1), terms, 0) == can_fire(pair, terms)


@pytest.mark.parametrize(
    ("interval", "short", "is_fine"),
    [(10, 60, True), (30, 60, True), (31, 60, False), (1, 59, False), (150, 300, True), (151, 300, False)],
)
def test_a_short_window_holds_two_results_and_a_minute(interval: int, short: int, is_fine: bool) -> None:  # noqa: FBT001
    """S3: below max(2 x sampling interval, 1 m) it is refused."""
    pair = Pair(Decimal("0.02"), HOUR, timedelta(seconds=short), Severity.PAGE)

    assert is_sampled(pair, timedelta(seconds=interval)) == is_fine


def test_burn_is_bad_over_total_over_b_without_the_dust_of_binary_fractions() -> None:
    """S1, S4: 0.1 percent bad against 99.9 percent is a burn rate of exactly 1."""
    assert burn(counts(1, 1000), Decimal("0.001")) == 1
    assert bad_ratio(counts(144, 10_000)) == Decimal("0.0144")
    assert bad_events(Counts(good=43198.6, total=43199.6)) == 1


def test_without_traffic_there_is_no_burn_rate_and_no_alert() -> None:
    """S5: zero traffic is neither good nor bad."""
    assert burn(Counts(), Decimal("0.001")) is None
    assert not is_reached(FAST, Counts(), Counts(), MONTH, 0)
    assert not is_reached(FAST, counts(9, 9), Counts(), MONTH, 0)


def test_an_alert_needs_both_windows() -> None:
    """S2: enough has happened, and it still happens."""
    high, low = counts(15, 1000), counts(14, 1000)

    assert is_reached(FAST, high, high, MONTH, 0)
    assert not is_reached(FAST, low, high, MONTH, 0)
    assert not is_reached(FAST, high, low, MONTH, 0)


def test_an_alert_ends_when_its_short_window_is_a_tenth_below_the_factor() -> None:
    """S2: one that hovers about the factor neither ends nor begins anew at each look."""
    at, just_below, below = counts(14.4, 1000), counts(13, 1000), counts(12.9, 1000)

    assert is_reached(FAST, at, at, MONTH, 0)
    assert not is_reached(FAST, just_below, just_below, MONTH, 0)
    assert goes_on(FAST, just_below, just_below, MONTH)
    assert goes_on(FAST, counts(1, 1000), just_below, MONTH)
    assert not goes_on(FAST, at, below, MONTH)


def test_a_short_window_without_events_does_not_end_an_alert_a_long_one_does() -> None:
    """S5, S10: at a request every ten minutes the last five are often empty."""
    high = counts(15, 1000)

    assert goes_on(FAST, high, Counts(), MONTH)
    assert not goes_on(FAST, counts(12, 1000), Counts(), MONTH)
    assert not goes_on(FAST, Counts(), Counts(), MONTH)


@pytest.mark.parametrize(("rate", "minutes"), [("1", 30 * 1440), ("2", 15 * 1440), ("10", 3 * 1440), ("1000", "43.2")])
def test_a_budget_lasts_its_period_divided_by_the_burn_rate(rate: str, minutes: float | str) -> None:
    """S16: 30 days, 15 days, 3 days and 43.2 minutes."""
    assert time_to_exhaustion(Decimal(rate), 30 * DAY) == timedelta(minutes=float(minutes))


@pytest.mark.parametrize(
    ("days", "listed", "factors"),
    [
        (7, (("8", 1), ("12.5", 6), ("20", 24), ("42", 72)), ("13.44", "3.5", "1.4", "0.98")),
        (30, (("1", 0.5), ("2", 3), ("5", 12), ("5", 36)), ("14.4", "4.8", "3", "1")),
    ],
)
def test_factors_of_listed_alerts(days: int, listed: tuple[tuple[str, float], ...], factors: tuple[str, ...]) -> None:
    """S2: any budget in any window of any period."""
    found = [factor(Decimal(percent) / 100, days * DAY, hours * HOUR) for percent, hours in listed]

    assert found == [Decimal(value) for value in factors]


def test_an_alert_waits_for_enough_bad_events() -> None:
    """S10."""
    assert is_reached(FAST, counts(5, 20), counts(2, 4), MONTH, 5)
    assert not is_reached(FAST, counts(5, 20), counts(2, 4), MONTH, 6)


def test_the_first_failed_run_of_a_new_objective_wakes_nobody() -> None:
    """S6: one bad run of ten in the first minute is no hour of it."""
    first = counts(1, 10, HOUR, timedelta(minutes=1))
    short = counts(1, 10, FAST.short, timedelta(minutes=1))

    assert not is_reached(FAST, filled(first), short, MONTH, 0)


def test_an_outage_from_the_start_pages_within_the_minute_as_any_other() -> None:
    """S2, S6: 2 percent of a month's budget is gone after 52 seconds, covered or not."""
    first = counts(6, 6, HOUR, timedelta(minutes=1))
    short = counts(6, 6, FAST.short, timedelta(minutes=1))

    assert is_reached(FAST, filled(first), short, MONTH, 0)


@pytest.mark.parametrize(("observed", "is_waiting"), [(0, True), (22, True), (23, False), (24, False)])
def test_a_slow_alert_is_held_until_its_long_window_is_covered(observed: int, is_waiting: bool) -> None:  # noqa: FBT001
    """S6: 95 percent of its minutes."""
    slow = DEFAULT_PAIRS[2]

    assert is_held(slow, counts(1, 10, DAY, observed * HOUR)) == is_waiting


def test_a_fast_alert_is_never_held() -> None:
    """S6: an outage in the first hour of an objective pages."""
    assert not is_held(FAST, Counts())


def test_coverage_is_the_share_of_a_window_with_data() -> None:
    """S6: and a window that was not counted is not covered."""
    assert coverage(counts(0, 1, HOUR, timedelta(minutes=30))) == Decimal("0.5")
    assert coverage(Counts()) == 0
