"""Burn rates and the alerts they set off."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import BurnRate
from homeostat.api.objective_status import Severity
from homeostat.core.burn import (
    DEFAULT_PAIRS,
    Pair,
    Terms,
    bad_events,
    bad_ratio,
    burn,
    can_fire,
    coverage,
    factor,
    is_held,
    is_reached,
    is_sampled,
    pairs,
)
from homeostat.core.window import Counts

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = Terms(Decimal("0.001"), 30 * DAY)
FAST = DEFAULT_PAIRS[0]
TEN_SECONDS = timedelta(seconds=10)


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
    outage = {pair.long: counts(7, 7), pair.short: counts(1, 1)}

    assert is_reached(pair, outage, terms, TEN_SECONDS, 0) == can_fire(pair, terms)


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
    assert not is_reached(FAST, {}, MONTH, TEN_SECONDS, 0)
    assert not is_reached(FAST, {HOUR: counts(9, 9)}, MONTH, TEN_SECONDS, 0)


def test_an_alert_needs_both_windows() -> None:
    """S2: enough has happened, and it still happens."""
    high, low = counts(15, 1000), counts(14, 1000)
    five = FAST.short

    assert is_reached(FAST, {HOUR: high, five: high}, MONTH, TEN_SECONDS, 0)
    assert not is_reached(FAST, {HOUR: low, five: high}, MONTH, TEN_SECONDS, 0)
    assert not is_reached(FAST, {HOUR: high, five: low}, MONTH, TEN_SECONDS, 0)


def test_an_alert_waits_for_enough_bad_events() -> None:
    """S10."""
    windows = {HOUR: counts(5, 20), FAST.short: counts(2, 4)}

    assert is_reached(FAST, windows, MONTH, TEN_SECONDS, 5)
    assert not is_reached(FAST, windows, MONTH, TEN_SECONDS, 6)


def test_the_first_failed_run_of_a_new_objective_wakes_nobody() -> None:
    """S6: one bad run of ten in the first minute is no hour of it."""
    first = counts(1, 10, HOUR, timedelta(minutes=1))
    short = counts(1, 10, FAST.short, timedelta(minutes=1))

    assert not is_reached(FAST, {HOUR: first, FAST.short: short}, MONTH, TEN_SECONDS, 0)


def test_an_outage_from_the_start_pages_within_the_minute_as_any_other() -> None:
    """S2, S6: 2 percent of a month's budget is gone after 52 seconds, covered or not."""
    first = counts(6, 6, HOUR, timedelta(minutes=1))
    short = counts(6, 6, FAST.short, timedelta(minutes=1))

    assert is_reached(FAST, {HOUR: first, FAST.short: short}, MONTH, TEN_SECONDS, 0)


@pytest.mark.parametrize(("observed", "is_waiting"), [(0, True), (22, True), (23, False), (24, False)])
def test_a_slow_alert_is_held_until_its_long_window_is_covered(observed: int, is_waiting: bool) -> None:  # noqa: FBT001
    """S6: 95 percent of its minutes."""
    slow = DEFAULT_PAIRS[2]
    windows = {DAY: counts(1, 10, DAY, observed * HOUR)}

    assert is_held(slow, windows, timedelta(seconds=10)) == is_waiting


def test_a_fast_alert_is_never_held() -> None:
    """S6: an outage in the first hour of an objective pages."""
    assert not is_held(FAST, {}, timedelta(seconds=10))


@pytest.mark.parametrize(
    ("interval", "observed", "share"),
    [(10, 30, "0.5"), (60, 60, "1"), (300, 12, "1"), (300, 6, "0.5"), (90, 60, "1"), (10, 0, "0")],
)
def test_a_result_speaks_for_its_interval(interval: int, observed: int, share: str) -> None:
    """S6: a check that runs every five minutes covers its window with one minute in five."""
    window = counts(0, 1, HOUR, timedelta(minutes=observed))

    assert coverage(window, timedelta(seconds=interval)) == Decimal(share)


def test_a_window_that_was_not_counted_is_not_covered() -> None:
    assert coverage(Counts(), timedelta(seconds=10)) == 0
