"""Alert policies of OpenSLO: conditions on burn rates, inline or by name, as alarms."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from homeostat.api.meta import parse_duration
from homeostat.api.objective_status import Severity
from homeostat.interchange.draft import Alarm
from homeostat.interchange.openslo_objects import Library
from homeostat.interchange.reading import Source, Unusable

SHORT: Final = "homeostat.dev/short"
"""The annotation on a condition that has the short window, which OpenSLO has no place for."""
NOBODY: Final = {"kind": "AlertNotificationTarget", "metadata": {"name": "homeostat"}, "spec": {"target": "homeostat"}}
"""What stands for those who are told in what we write: OpenSLO wants somebody to be there."""
_PAGES: Final = re.compile(r"page|pager|crit|critical|emergency|high|urgent|sev-?[01]|p[01]|1", re.IGNORECASE)
_TICKETS: Final = re.compile(r"ticket|warn|warning|info|low|medium|minor|sev-?[2-5]|p[2-5]|[2-5]", re.IGNORECASE)
_UNITS: Final = {"m": 1, "h": 60, "d": 1440, "w": 10080}


@dataclass(slots=True)
class Policies:
    """The alerts of an SLO. `is_whole`: nothing of its alert policies was left out."""

    alarms: list[Alarm] = field(default_factory=list)
    is_whole: bool = True


def policies_of(spec: Source, library: Library) -> Policies | None:
    """Read the alert policies of an SLO; None when it has none at all."""
    policies = spec.parts("alertPolicies", "alertPolicyRef")
    if not policies:
        return None
    found = Policies()
    for policy in policies:
        try:
            found.alarms += _of_policy(policy, library)
        except Unusable as error:
            found.is_whole = False
            if policy.is_object:
                spec.notes.warn(error.path, f"{error.message}: the alert is left out")
            else:
                spec.notes.errors.append((error.path, error.message))
    return found


def _of_policy(policy: Source, library: Library) -> list[Alarm]:
    if not policy.is_object:
        raise Unusable(policy.path, "neither an alert policy nor the name of one")
    if "alertPolicyRef" in policy:
        policy = library.find("AlertPolicy", "alertPolicyRef", policy)
    else:
        policy.raw("kind"), policy.raw("metadata")
    spec = policy.part("spec")
    if spec.raw("notificationTargets") != [NOBODY]:
        spec.lose("who is told is not part of an objective here", "notificationTargets")
    spec.lose("alerts are told when they begin and when they end", "alertWhenResolved")
    spec.lose("absent data is an alert of its own here", "alertWhenNoData")
    spec.lose("alerts have no description here", "description")
    if spec.flag("alertWhenBreaching") is False:
        spec.notes.warn(spec.at("alertWhenBreaching"), "without it there is no alert: left out")
        return []
    conditions = spec.parts("conditions", "conditionRef")
    if not conditions:
        raise Unusable(spec.at("conditions"), "there are none")
    return [_alarm(condition, library) for condition in conditions]


def _alarm(condition: Source, library: Library) -> Alarm:
    short: timedelta | None = None
    if "conditionRef" in condition:
        condition = library.find("AlertCondition", "conditionRef", condition)
    else:
        condition.raw("kind")
        annotations = condition.map("metadata").get("annotations")
        text = annotations.get(SHORT) if isinstance(annotations, dict) else None
        short = _short(str(text), condition.at("metadata")) if text else None
    spec = condition.part("spec")
    spec.lose("alerts have no description here", "description")
    return _burn_rate(spec, short)


def _short(text: str, path: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Unusable(path, f"{SHORT}: {error}") from error


def _burn_rate(spec: Source, short: timedelta | None) -> Alarm:
    condition = spec.part("condition")
    kind, sign, factor = condition.text("kind") or "burnrate", condition.text("op"), condition.number("threshold")
    if kind.lower() != "burnrate":
        raise Unusable(condition.at("kind"), f'only burn rates are known: "{kind}"')
    if factor is None:
        raise Unusable(condition.at("threshold"), "there is none")
    if sign in {"lt", "lte"}:
        spec.notes.warn(
            condition.at("op"), f"{sign} became gte: an alert on a budget that burns slowly would be for ever"
        )
    condition.lose("the short window (a twelfth of lookbackWindow) says whether it still burns", "alertAfter")
    long = _length(condition)
    return Alarm(factor, long, short, _severity(spec), condition.path)


def _length(condition: Source) -> timedelta:
    text = condition.text("lookbackWindow")
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if found is None or int(found.group(1)) == 0:
        raise Unusable(condition.at("lookbackWindow"), f'not a duration such as 1h: "{text}"')
    return timedelta(minutes=int(found.group(1)) * _UNITS[found.group(2)])


def _severity(spec: Source) -> Severity:
    text = spec.text("severity")
    if _PAGES.fullmatch(text):
        return Severity.PAGE
    if not _TICKETS.fullmatch(text):
        spec.notes.warn(spec.at("severity"), f'"{text}" became Ticket: there are Page and Ticket')
    return Severity.TICKET
