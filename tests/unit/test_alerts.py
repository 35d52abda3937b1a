"""Alerts as others see them: labels that say which, the same ones as long as it fires, and no text without bounds."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON
from homeostat.api.objective_status import Alert, AlertType, Budget, ServiceLevelObjectiveStatus, Severity
from homeostat.core.alerts import NAMES, FiringAlert, alerts_of, group_labels

HOUR, MINUTES = timedelta(hours=1), timedelta(minutes=5)


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
    assert dict(second.annotations)["description"] == "Objective 99.9 %, SLI 99.85 %, -50 % of the error budget left."


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
