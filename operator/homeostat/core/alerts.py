"""Alerts as the world outside knows them: labels that say which, annotations for humans. Made of a status alone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from homeostat.api.meta import format_duration
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus

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


def alerts_of(namespace: str, name: str, service: str, status: ServiceLevelObjectiveStatus) -> tuple[FiringAlert, ...]:
    """Give the alerts of one objective; no two have the same labels."""
    found = (_firing(namespace, name, service, alert, status) for alert in status.alerts)
    return tuple({alert.labels: alert for alert in found}.values())


def _firing(namespace: str, name: str, service: str, alert: Alert, status: ServiceLevelObjectiveStatus) -> FiringAlert:
    own = {
        "alertname": NAMES[alert.type],
        "namespace": namespace,
        "slo": name,
        "service": service,
        "severity": alert.severity.value.lower(),
        "long_window": "" if alert.long is None else format_duration(alert.long),
        "short_window": "" if alert.short is None else format_duration(alert.short),
    }
    # A label of a group that is called like one of ours is set apart, as Prometheus does it.
    labels = {f"exported_{label}" if label in own else label: value for label, value in group_labels(alert.group)}
    labels |= own
    return FiringAlert(
        labels=tuple(sorted((label, value[:LONGEST_VALUE]) for label, value in labels.items() if value)),
        annotations=(("description", _description(status)), ("summary", _summary(namespace, name, alert))),
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
    return f"{namespace}/{name}{group}: {_SAID[alert.type]}{over}."


def _description(status: ServiceLevelObjectiveStatus) -> str:
    """Give the figures of the whole, as far as they are known."""
    parts = [
        "" if status.objective is None else f"objective {status.objective:f} %",
        "" if status.sli is None else f"SLI {status.sli:f} %",
        "" if status.budget is None else f"{status.budget.remaining:f} % of the error budget left",
    ]
    told = ", ".join(part for part in parts if part)
    return f"{told[0].upper()}{told[1:]}." if told else "No figures are known."
