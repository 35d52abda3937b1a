"""Our manifests in the making: names and labels that Kubernetes takes, exact figures, and alerts that can fire."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from homeostat.api.meta import API_VERSION, format_decimal, format_duration
from homeostat.api.objective import CalendarUnit
from homeostat.api.objective_status import Severity
from homeostat.core.objective.burn import DEFAULT_PAIRS, Pair, Terms, can_fire
from homeostat.interchange.metadata import MOST_LABEL, MOST_NAME, is_label_value, is_qualified
from homeostat.interchange.reading import Notes

KIND: Final = "ServiceLevelObjective"
MOST_DESCRIPTION: Final = 1024
SHORTEST_LONG: Final = timedelta(minutes=12)  # whose twelfth is a minute
NOMINAL: Final[Mapping[CalendarUnit, timedelta]] = {
    CalendarUnit.DAY: timedelta(days=1),
    CalendarUnit.WEEK: timedelta(days=7),
    CalendarUnit.MONTH: timedelta(days=30),
    CalendarUnit.QUARTER: timedelta(days=90),
    CalendarUnit.YEAR: timedelta(days=365),
}
"""What counts as the length of a period of the calendar where budgets become burn rates and back."""
KEPT: Final = "no alert could be taken over: our default alerts stay, set alerting to change them"
"""What is told where alerts were asked for and none is left of them."""
NOBODY_TOLD: Final = "no alerts are left: this objective tells nobody (alerting.disabled)"
"""What is told where no alerts were asked for."""
_SIX_DIGITS = Decimal("0.000001")


@dataclass(slots=True)
class Draft:
    """A manifest in the making."""

    name: str
    spec: dict[str, Any]
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    kind: str = KIND

    def manifest(self) -> dict[str, Any]:
        """Give the manifest."""
        more = {"namespace": self.namespace, "labels": self.labels, "annotations": self.annotations}
        metadata = {"name": self.name} | {name: value for name, value in more.items() if value}
        return {"apiVersion": API_VERSION, "kind": self.kind, "metadata": metadata, "spec": self.spec}


# --- names ----------------------------------------------------------------------------------------------


def slug(text: str, most: int = MOST_NAME) -> str:
    """Make a DNS label or name of a text; "" when nothing of it can be in one."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:most].strip("-")


def dns_name(text: str, path: str, notes: Notes, most: int = MOST_NAME) -> str:
    """Make a name for an object of a text, and tell when it is another."""
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower())[:most].strip("-.") if most == MOST_NAME else slug(text, most)
    name = re.sub(r"[-.]*\.[-.]*", ".", name)
    if name != text:
        notes.warn(path, f'"{text}" became "{name}": names have a-z, 0-9 and -, at most {most} of them')
    return name


def kept_labels(given: Mapping[str, Any], path: str, notes: Notes) -> dict[str, str]:
    """Give the labels that Kubernetes takes, the others made so, and tell which."""
    kept: dict[str, str] = {}
    for key, value in given.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(value, list) and len(value) > 1:
            notes.warn(f"{path}.{key}", f'a label has one value: of {len(value)}, "{first}" stays')
        text = str(first).lower() if isinstance(first, bool) else "" if first in (None, []) else str(first)
        name, fine = _label_key(str(key)), _label_value(text)
        if not name or name in kept:
            notes.warn(f"{path}.{key}", "no label can be called so, or one is already: left out")
            continue
        if (name, fine) != (key, text):
            notes.warn(f"{path}.{key}", f'"{key}: {text}" became "{name}: {fine}", which a label can hold')
        kept[name] = fine
    return kept


def _label_key(key: str) -> str:
    if is_qualified(key):
        return key
    return re.sub(r"[^A-Za-z0-9._-]+", "-", key)[:MOST_LABEL].strip("-._")


def _label_value(value: str) -> str:
    return value if is_label_value(value) else re.sub(r"[^A-Za-z0-9._-]+", "-", value)[:MOST_LABEL].strip("-._")


def kept_annotations(given: Mapping[str, Any], path: str, notes: Notes) -> dict[str, str]:
    """Give the annotations that Kubernetes takes, and tell which are left out."""
    kept: dict[str, str] = {}
    for key, value in given.items():
        if is_qualified(key):
            kept[str(key)] = str(value)
        else:
            notes.warn(f"{path}.{key}", "no annotation can be called so: left out")
    return kept


def description(text: str, path: str, notes: Notes) -> dict[str, str]:
    """Give the member `description`, of which nothing is there when there is nothing to say."""
    if len(text) > MOST_DESCRIPTION:
        notes.warn(path, f"cut to {MOST_DESCRIPTION} characters")
    return {"description": text[:MOST_DESCRIPTION]} if text else {}


# --- figures --------------------------------------------------------------------------------------------


def percent_of_share(share: Decimal) -> str:
    """Write a share, such as 0.999, as our percentages: "99.9", exactly."""
    return format_decimal(share.scaleb(2))


def span(value: timedelta) -> str:
    """Write a duration in one unit, as `window.rolling` and alerts want it: 30d, 36h, 90m."""
    seconds = round(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def go_duration(value: timedelta) -> str:
    """Write a duration in the units that Go knows: 36h rather than 1d12h."""
    hours, rest = divmod(value, timedelta(hours=1))
    if not hours:
        return format_duration(value)
    return f"{hours}h{format_duration(rest) if rest else ''}"


# --- alerts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert as others say it: a burn rate over a long window; `short` None for a twelfth of that."""

    factor: Decimal
    long: timedelta
    short: timedelta | None
    severity: Severity
    path: str


def pair_of(alarm: Alarm, period: timedelta) -> Pair:
    """Give our alert: the share of the budget that is gone within the long window at this rate."""
    seconds = [Decimal(int(length.total_seconds())) for length in (alarm.long, period)]
    budget = (alarm.factor * seconds[0] / seconds[1]).quantize(_SIX_DIGITS / 100, ROUND_HALF_EVEN)
    return Pair(budget, alarm.long, alarm.short or alarm.long / 12, alarm.severity)


def alerting(alarms: Sequence[Alarm], terms: Terms, path: str, notes: Notes) -> dict[str, Any]:
    """Give the member `alerting` for those alerts that can fire, and tell of the others; {} for our default.

    Where none of them is left our default stays: nobody asked for silence. Where there are none to begin with there
    is silence, and it is told.
    """
    if not alarms:
        notes.warn(path, NOBODY_TOLD)
        return {"alerting": {"disabled": True}}
    pairs = {pair_of(alarm, terms.period) for alarm in alarms}
    if pairs == {pair for pair in DEFAULT_PAIRS if pair.long <= terms.period}:
        return {}
    kept: list[dict[str, str]] = []
    for alarm in alarms:
        why = _why_never(alarm, terms)
        if why:
            notes.warn(alarm.path, f"the alert is left out: {why}")
        else:
            kept.append(_burn_rate(alarm, pair_of(alarm, terms.period), notes))
    if not kept:
        notes.warn(path, KEPT)
    return {"alerting": {"burnRates": kept}} if kept else {}


def _why_never(alarm: Alarm, terms: Terms) -> str:
    if alarm.long > terms.period:
        return "its window is longer than that of the objective"
    pair = pair_of(alarm, terms.period)
    if not 0 < pair.budget <= 1:
        return "it stands for no share of the budget from 0% to 100%"
    return "" if can_fire(pair, terms) else "it can never fire, its burn rate is above 1 / (1 - objective)"


def _burn_rate(alarm: Alarm, pair: Pair, notes: Notes) -> dict[str, str]:
    entry = {"budget": f"{percent_of_share(pair.budget)}%", "long": span(alarm.long), "severity": alarm.severity.value}
    short = alarm.short
    if short is None and alarm.long < SHORTEST_LONG:
        short = timedelta(minutes=1)
        notes.warn(alarm.path, "the short window is 1m: a twelfth of the long one would be less")
    return entry | ({"short": span(short)} if short and short != alarm.long / 12 else {})
