"""Alerts as others see them: labels that say which, the same ones as long as it fires, and no text without bounds."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import (
    Alert,
    AlertType,
    Budget,
    GroupStatus,
    ObjectiveState,
    ObservedWindow,
    ServiceLevelObjectiveStatus,
    Severity,
    WindowBurnRate,
)
from homeostat.core.objective.firing import NAMES, Factors, FiringAlert, alerts_of, factors_of, group_labels

HOUR, MINUTES, DAY = timedelta(hours=1), timedelta(minutes=5), timedelta(days=1)


def made(**alert: Any) -> FiringAlert:
    status = ServiceLevelObjectiveStatus(alerts=(Alert(**{"severity": Severity.PAGE, "since": NOON} | alert),))
    [found] = alerts_of("shop", "web", "checkout", status)
    return found


def test_an_alert_is_named_by_what_it_is_about() -> None:
    burning = dict(made(long=HOUR, short=MINUTES).labels)

    assert burning == {
        "alertname": "HomeostatErrorBudgetBurn",
        "namespace": "shop",
        "slo": "web",
        "service": "checkout",
        "severity": "page",
        "long_window": "1h",
        "short_window": "5m",
    }
    assert dict(made(type=AlertType.NO_DATA, severity=Severity.TICKET).labels) == {
        "alertname": "HomeostatNoData",
        "namespace": "shop",
        "slo": "web",
        "service": "checkout",
        "severity": "ticket",
    }
    assert set(NAMES) == set(AlertType)


def test_labels_of_a_group_are_labels_of_the_alert() -> None:
    labels = dict(made(group="region=eu,route=/pay?a=b,c,severity=high").labels)

    assert (labels["region"], labels["route"]) == ("eu", "/pay?a=b,c")
    assert (labels["severity"], labels["exported_severity"]) == ("page", "high")


def test_figures_are_annotations_and_do_not_make_another_alert() -> None:
    """Else each new figure would end one alert and begin another."""
    alert = Alert(severity=Severity.PAGE, since=NOON)
    budget = Budget(total=Decimal("0.1"), consumed=Decimal(150), remaining=Decimal(-50))
    first, second = (
        alerts_of("shop", "web", "", ServiceLevelObjectiveStatus(alerts=(alert,), **figures))[0]
        for figures in ({}, {"sli": Decimal("99.85"), "objective": Decimal("99.9"), "budget": budget})
    )

    assert first.labels == second.labels
    assert first.fingerprint == second.fingerprint
    assert dict(second.annotations)["description"] == (
        "In the window: -50 % of the error budget left. SLI 99.85 %. Objective 99.9 %."
    )


def described(alert: Alert, factors: Factors | None = None, **more: Any) -> str:
    figures: dict[str, Any] = {
        "sli": Decimal("99.99"),
        "objective": Decimal("99.95"),
        "budget": Budget(total=Decimal("0.05"), consumed=Decimal("19.9"), remaining=Decimal("80.1")),
        "burn_rates": (
            WindowBurnRate(window=MINUTES, rate=Decimal("60.10")),
            WindowBurnRate(window=HOUR, rate=Decimal("53.90")),
        ),
        "window": ObservedWindow(start=NOON - 30 * DAY, end=NOON, coverage=Decimal(100), length="30d"),
        "good": 539461,
        "bad": 54,
    }
    status = ServiceLevelObjectiveStatus(alerts=(alert,), **figures | more)
    return dict(alerts_of("shop", "web", "", status, factors)[0].annotations)["description"]


def test_whoever_is_woken_reads_first_how_fast_the_budget_burns() -> None:
    """S16: of a month all looks well an hour after an outage began."""
    alert = Alert(severity=Severity.PAGE, long=HOUR, short=MINUTES, since=NOON)

    assert described(alert, {(HOUR, MINUTES): Decimal("14.40")}) == (
        "Burns 53.9 times as fast as the budget allows over 1h (60.1 over 5m), alert from 14.4. "
        "In the window of 30d: 539461 good and 54 bad, 80.1 % of the error budget left. SLI 99.99 %. Objective 99.95 %."
    )
    assert described(alert).startswith("Burns 53.9 times as fast as the budget allows over 1h (60.1 over 5m). In")
    assert described(alert, {(HOUR, MINUTES): Decimal("14.4")}, burn_rates=()).startswith("Burn rate: alert from 14.4.")
    assert described(Alert(type=AlertType.NO_DATA, severity=Severity.TICKET, since=NOON)).startswith("In the window")


def test_an_alert_of_a_group_is_told_with_the_figures_of_the_group() -> None:
    """S14: a group has a budget of its own; the whole may be well."""
    alert = Alert(severity=Severity.PAGE, long=HOUR, short=MINUTES, group="region=eu", since=NOON)
    group = GroupStatus(
        name="region=eu", state=ObjectiveState.EXHAUSTED, sli=Decimal(99), remaining=Decimal(-400), good=99, bad=1
    )

    assert described(alert, {(HOUR, MINUTES): Decimal("14.4")}, groups=(group,)) == (
        "Burn rate: alert from 14.4. "
        "In the window of 30d: 99 good and 1 bad, -400 % of the error budget left. SLI 99 %. Objective 99.95 %."
    )
    assert described(alert) == "Objective 99.95 %."  # the group is not listed: nothing of the whole stands in for it


def test_the_factor_of_an_alert_is_that_of_its_objective() -> None:
    """S2: for rolling windows and for the period of a calendar."""

    def factors(window: dict[str, Any], **alerting: Any) -> Factors:
        spec = ServiceLevelObjectiveSpec.model_validate(
            {"objective": "99.9", "window": window, "indicator": {"events": {}}, "alerting": alerting}
        )
        seen = ObservedWindow(start=NOON, end=NOON + 7 * DAY, coverage=Decimal(1))
        return factors_of(spec, ServiceLevelObjectiveStatus(window=seen))

    week = {"calendar": {"unit": "Week", "start": "2026-01-05T00:00:00"}}
    assert factors({"rolling": "30d"})[HOUR, MINUTES] == Decimal("14.4")
    assert factors(week)[HOUR, MINUTES] == Decimal("3.36")
    assert factors({"rolling": "28d"}, burnRates=[{"budget": "2%", "long": "2h", "severity": "Page"}]) == {
        (2 * HOUR, 2 * MINUTES): Decimal("6.72")
    }
    assert (
        factors_of(
            ServiceLevelObjectiveSpec.model_validate(
                {"objective": "99.9", "window": week, "indicator": {"events": {}}}
            ),
            ServiceLevelObjectiveStatus(),
        )
        == {}
    )


def test_an_alert_that_is_listed_twice_is_one() -> None:
    alert = Alert(severity=Severity.PAGE, long=HOUR, short=MINUTES, since=NOON)

    assert len(alerts_of("shop", "web", "", ServiceLevelObjectiveStatus(alerts=(alert, alert)))) == 1


GROUPS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True),
    st.text(max_size=20).filter(lambda one: "," not in one),
)


@given(GROUPS)
def test_the_name_of_a_group_can_be_taken_apart(labels: dict[str, str]) -> None:
    name = ",".join(f"{label}={labels[label]}" for label in sorted(labels))

    assert dict(group_labels(name)) == labels


@given(st.text(max_size=256))
def test_whatever_a_group_is_called_labels_are_bounded_and_our_own_stay(group: str) -> None:
    alert = made(group=group)
    labels = dict(alert.labels)

    assert labels["slo"] == "web"
    assert labels["alertname"] == "HomeostatErrorBudgetBurn"
    assert all(0 < len(value) <= 256 for value in labels.values())
    assert len(alert.fingerprint) == 16
