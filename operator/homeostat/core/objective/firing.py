"""Alerts as the world outside knows them: labels that say which, annotations for humans. Made of a status alone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.meta import format_decimal, format_duration
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus
from homeostat.core.objective.burn import factor, pairs

NAMES: Mapping[AlertType, str] = {
    AlertType.BURN_RATE: "HomeostatErrorBudgetBurn",
    AlertType.TOTAL_OUTAGE: "HomeostatTotalOutage",
    AlertType.BUDGET_EXHAUSTED: "HomeostatErrorBudgetExhausted",
    AlertType.NO_DATA: "HomeostatNoData",
}
LONGEST_VALUE = 256
_SAID: Mapping[AlertType, str] = {
    AlertType.BURN_RATE: "the error budget burns too fast",
    AlertType.TOTAL_OUTAGE: "everything is bad",
    AlertType.BUDGET_EXHAUSTED: "no error budget is left",
    AlertType.NO_DATA: "data stopped arriving",
}
_FOUR_DIGITS = Decimal("0.0001")
_LABEL = re.compile(r"(?:^|,)([a-zA-Z_][a-zA-Z0-9_]*)=")
_FNV_OFFSET, _FNV_PRIME, _ALL_BITS = 14695981039346656037, 1099511628211, 2**64 - 1


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """One alert that fires. `labels` are sorted by name and identify it."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    since: datetime

    @property
    def fingerprint(self) -> str:
        """Give the hash of its labels, the same that Alertmanager gives it: 64-bit FNV-1a, FF after each text."""
        value = _FNV_OFFSET
        for label in self.labels:
            for part in label:
                for byte in (*part.encode("utf-8", "replace"), 0xFF):
                    value = (value ^ byte) * _FNV_PRIME & _ALL_BITS
        return f"{value:016x}"

    def has(self, name: str, value: str) -> bool:
        """Whether a label has a value; one that is not there has the empty one."""
        return dict(self.labels).get(name, "") == value


Factors = Mapping[tuple[timedelta, timedelta], Decimal]
"""The burn rates from which pairs of windows (long, short) set off an alert."""


def factors_of(spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus) -> Factors:
    """Give the factors of an objective's alerts; of a calendar, for the period that its status is about."""
    seen = status.window
    period = spec.window.rolling or (seen.end - seen.start if seen else None)
    if not period:
        return {}
    alerts = pairs(spec.alerting.burn_rates, period)
    return {(pair.long, pair.short): factor(pair.budget, period, pair.long) for pair in alerts}


def alerts_of(
    namespace: str, name: str, service: str, status: ServiceLevelObjectiveStatus, factors: Factors | None = None
) -> tuple[FiringAlert, ...]:
    """Give the alerts of one objective; no two have the same labels."""
    described = {alert: _description(alert, status, factors or {}) for alert in status.alerts}
    found = (_firing(namespace, name, service, *one) for one in described.items())
    return tuple({alert.labels: alert for alert in found}.values())


def _firing(namespace: str, name: str, service: str, alert: Alert, description: str) -> FiringAlert:
    own = {
        "alertname": NAMES[alert.type],
        "namespace": namespace,
        "slo": name,
        "service": service,
        "severity": alert.severity.value.lower(),
        "long_window": "" if alert.long is None else format_duration(alert.long),
        "short_window": "" if alert.short is None else format_duration(alert.short),
        "expected_by": alert.expected_by or "",
    }
    # A label of a group that is called like one of ours is set apart, as Prometheus does it.
    labels = {f"exported_{label}" if label in own else label: value for label, value in group_labels(alert.group)}
    labels |= own
    return FiringAlert(
        labels=tuple(sorted((label, value[:LONGEST_VALUE]) for label, value in labels.items() if value)),
        annotations=(("description", description), ("summary", _summary(namespace, name, alert))),
        since=alert.since,
    )


def group_labels(group: str) -> Iterator[tuple[str, str]]:
    """Take the name of a group apart: `region=eu,route=/pay`; a comma within a value stays there."""
    found = list(_LABEL.finditer(group))
    ends = [following.start() for following in found[1:]] + [len(group)]
    for match, end in zip(found, ends, strict=False):
        yield match[1], group[match.end() : end]


def _summary(namespace: str, name: str, alert: Alert) -> str:
    windows = "/".join(format_duration(window) for window in (alert.long, alert.short) if window is not None)
    over = f" over {windows}" if windows else ""
    group = f" ({alert.group})" if alert.group else ""
    expected = f", as ChaosExperiment {alert.expected_by} expects" if alert.expected_by else ""
    return f"{namespace}/{name}{group}: {_SAID[alert.type]}{over}{expected}."


# --- what is told to whoever is woken -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is known of the whole window, of all events or of a group; None where that is not known."""

    good: int | None
    bad: int | None
    sli: Decimal | None
    remaining: Decimal | None


def _description(alert: Alert, status: ServiceLevelObjectiveStatus, factors: Factors) -> str:
    """Say what burns first: of a month the figures look well long after an outage began."""
    found = _figures(alert, status)
    events = "" if found.good is None or found.bad is None else f"{found.good} good and {found.bad} bad"
    left = "" if found.remaining is None else f"{found.remaining:f} % of the error budget left"
    whole = ", ".join(part for part in (events, left) if part)
    length = status.window.length if status.window else ""
    sentences = (
        _burning(alert, status, factors) if alert.type is AlertType.BURN_RATE else "",
        f"In the window{f' of {length}' if length else ''}: {whole}." if whole else "",
        "" if found.sli is None else f"SLI {found.sli:f} %.",
        "" if status.objective is None else f"Objective {status.objective:f} %.",
    )
    return " ".join(sentence for sentence in sentences if sentence) or "No figures are known."


def _figures(alert: Alert, status: ServiceLevelObjectiveStatus) -> _Figures:
    if not alert.group:
        remaining = status.budget.remaining if status.budget else None
        return _Figures(status.good, status.bad, status.sli, remaining)
    group = next((one for one in status.groups if one.name == alert.group), None)
    return _Figures(group.good, group.bad, group.sli, group.remaining) if group else _Figures(None, None, None, None)


def _burning(alert: Alert, status: ServiceLevelObjectiveStatus, factors: Factors) -> str:
    """Say how fast the budget burns in the windows of an alert, as far as that is known: of groups it is not."""
    rates = {} if alert.group else {one.window: one.rate for one in status.burn_rates}
    windows = [window for window in (alert.long, alert.short) if window is not None]
    known = [(format_decimal(rates[window]), format_duration(window)) for window in windows if window in rates]
    least = factors.get((alert.long, alert.short)) if alert.long and alert.short else None
    alarm = "" if least is None else f"alert from {format_decimal(least.quantize(_FOUR_DIGITS))}"
    if not known:
        return f"Burn rate: {alarm}." if alarm else ""
    (rate, window), *others = known
    short = "".join(f" ({rate} over {window})" for rate, window in others)
    told = f"Burns {rate} times as fast as the budget allows over {window}{short}"
    return f"{told}, {alarm}." if alarm else f"{told}."
