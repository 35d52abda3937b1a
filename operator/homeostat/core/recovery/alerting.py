"""What Alertmanager tells of alerts (its webhook, version 4), and which of them a trigger means.

Only what is needed is read, strictly: labels, whether it fires, and since when. Whatever else is there is left alone,
because Alertmanager may say more in a later release.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from homeostat.api.recovery_trigger import AlertTrigger

VERSION = "4"
MOST_TOLD = 1000
"""Alerts of one message."""
MOST_LABELS, LONGEST_LABELS = 64, 8192
"""Labels of one alert: how many, and how many characters all together."""
ACCUSING = frozenset({"deployment", "statefulset", "daemonset", "pod", "node"})
"""Labels whose values name a workload or a Node."""
_STATES = {"firing": True, "resolved": False}


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """One alert as it was told; `started_at` is None where Alertmanager does not say since when it fires."""

    labels: tuple[tuple[str, str], ...]
    is_firing: bool
    started_at: datetime | None = None

    @property
    def name(self) -> str:
        """Its label `alertname`."""
        return dict(self.labels).get("alertname", "")


@dataclass(frozen=True, slots=True)
class Misread:
    """Why a message is not taken: a word, a sentence that is safe to show, and which alert is to blame."""

    reason: str
    message: str
    index: int | None = None


def alerts_in(body: object) -> tuple[ToldAlert, ...] | Misread:
    """Read a message of Alertmanager: all of its alerts, or none."""
    if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
        return Misread("InvalidBody", "The body must be what Alertmanager posts to a webhook: an object with alerts.")
    if body.get("version") != VERSION:
        return Misread("UnknownVersion", f'The version of the message must be "{VERSION}".')
    if len(body["alerts"]) > MOST_TOLD:
        return Misread("TooManyAlerts", f"A message has {MOST_TOLD} alerts at most: set max_alerts of the receiver.")
    found: list[ToldAlert] = []
    for index, raw in enumerate(body["alerts"]):
        alert = _alert(raw)
        if alert is None:
            return Misread("InvalidAlert", _SHAPE, index)
        found.append(alert)
    return tuple(found)


def means(trigger: AlertTrigger, labels: Mapping[str, str]) -> bool:
    """Whether a trigger means an alert with these labels."""
    return labels.get("alertname") == trigger.name and all(
        labels.get(name, "") == value for name, value in trigger.labels.items()
    )


def accused_by(labels: Mapping[str, str]) -> frozenset[str]:
    """Name the workloads, pods and Nodes that labels accuse."""
    return frozenset(value for name, value in labels.items() if name in ACCUSING and value)


_SHAPE = (
    'An alert has "status" (firing or resolved) and "labels" (text by name, with alertname; '
    f"{MOST_LABELS} at most, {LONGEST_LABELS} characters together)."
)


def _alert(raw: object) -> ToldAlert | None:
    if not isinstance(raw, dict):
        return None
    labels, is_firing = _labels(raw.get("labels")), _is_firing(raw.get("status"))
    if labels is None or is_firing is None:
        return None
    return ToldAlert(labels, is_firing, _time(raw.get("startsAt")))


def _is_firing(status: object) -> bool | None:
    return _STATES.get(status) if isinstance(status, str) else None


def _labels(raw: object) -> tuple[tuple[str, str], ...] | None:
    """Give labels in the order of their names; None when they are none, or too many."""
    if not isinstance(raw, dict) or not 0 < len(raw) <= MOST_LABELS:
        return None
    if not all(isinstance(value, str) for value in raw.values()) or not raw.get("alertname"):
        return None
    if sum(len(name) + len(value) for name, value in raw.items()) > LONGEST_LABELS:
        return None
    return tuple(sorted(raw.items()))


def _time(raw: object) -> datetime | None:
    """Give a time; None where there is none that can be used: nothing hangs on it."""
    try:
        at = datetime.fromisoformat(raw) if isinstance(raw, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
