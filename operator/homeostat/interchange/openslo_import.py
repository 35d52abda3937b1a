"""OpenSLO (v1alpha, v1, v2alpha) read: each objective of an SLO becomes a ServiceLevelObjective of ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from homeostat.api.meta import format_decimal
from homeostat.api.objective import CalendarUnit
from homeostat.core.objective.burn import Terms
from homeostat.interchange import promql
from homeostat.interchange.draft import (
    KEPT,
    NOMINAL,
    Draft,
    alerting,
    description,
    dns_name,
    go_duration,
    kept_annotations,
    kept_labels,
    percent_of_share,
    span,
)
from homeostat.interchange.importing import Import
from homeostat.interchange.metadata import MOST_LABEL
from homeostat.interchange.openslo_alerts import Policies, policies_of
from homeostat.interchange.openslo_objects import (
    EXPORTED,
    INDEXED,
    VERSIONS,
    Library,
    Metric,
    is_known,
    metric,
    name_of,
)
from homeostat.interchange.promql import WINDOW
from homeostat.interchange.reading import Foreign, Notes, Source, Unusable

__all__ = ["convert", "is_known"]

OURS: Final = "homeostat.dev/"
_DEFAULT_WINDOW: Final = timedelta(days=30)
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "Q": 7776000, "Y": 31536000}
_CALENDAR: Final = {
    "1d": CalendarUnit.DAY, "24h": CalendarUnit.DAY, "1w": CalendarUnit.WEEK, "7d": CalendarUnit.WEEK,
    "1M": CalendarUnit.MONTH, "1Q": CalendarUnit.QUARTER, "3M": CalendarUnit.QUARTER, "1Y": CalendarUnit.YEAR,
    "12M": CalendarUnit.YEAR, "4Q": CalendarUnit.YEAR,
}  # fmt: skip
_SHORT_NAMES: Final = {
    "Second": "s",
    "Minute": "m",
    "Hour": "h",
    "Day": "d",
    "Week": "w",
    "Month": "M",
    "Quarter": "Q",
    "Year": "Y",
}
_OPERATORS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
MOST_WEIGHT: Final = 1000


def convert(objects: Sequence[Foreign]) -> list[Import]:
    """Turn the SLOs of files into drafts of our objectives."""
    library = Library.of(objects)
    imports = [_converted(one, library) for one in objects if one.body.get("kind") == "SLO"]
    others = [_left_out(one, library) for one in objects if one.body.get("kind") != "SLO"]
    return [*imports, *(one for one in others if one is not None)]


def _left_out(one: Foreign, library: Library) -> Import | None:
    kind, name = str(one.body.get("kind") or "object"), name_of(one.body)
    if (kind, name) in library.used:
        return None
    notes = Notes()
    if kind in INDEXED:
        notes.warn("metadata.name", "no SLO of what was given uses it: left out")
    elif kind == "Service":
        notes.warn("kind", "there is no such object here: its name is in spec.service of the objectives")
    elif kind == "AlertNotificationTarget":
        notes.warn("kind", "who is told is not part of an objective here: left out")
    else:
        notes.errors.append(("kind", f'"{kind}" is no kind of OpenSLO: skipped'))
    return Import(one, f"{kind}/{name}", notes)


def _converted(one: Foreign, library: Library) -> Import:
    notes = Notes()
    whole = Source(one.body, "", notes)
    version, _ = whole.text("apiVersion"), whole.text("kind")
    if version not in VERSIONS:
        notes.warn("apiVersion", f"{version} is not known: read as if it were one of {', '.join(VERSIONS)}")
    found = Import(one, f"SLO/{name_of(one.body)}", notes)
    metadata, spec = whole.part("metadata"), whole.part("spec")
    try:
        found.drafts += _drafts(metadata, spec, library)
    except Unusable as error:
        notes.errors.append((error.path, f"{error.message}: skipped"))
    else:
        whole.tell_rest()
    return found


# --- what all objectives of an SLO share ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all objectives of an SLO share; `period` is the length of the window, of calendars the nominal one."""

    library: Library
    window: dict[str, Any]
    period: timedelta
    method: str
    is_ours: bool
    base: dict[str, Any]


def _drafts(metadata: Source, spec: Source, library: Library) -> list[Draft]:
    notes = spec.notes
    annotations = metadata.map("annotations")
    is_ours = annotations.pop(EXPORTED, None) is not None
    own = {name: str(annotations.pop(OURS + name, "")) for name in ("name", "namespace", "no-service")}
    window, period = _window(spec)
    base = _service(spec, is_left_out=bool(own["no-service"]))
    text = spec.text("description") or metadata.text("displayName")
    if spec.text("description"):
        metadata.lose("there is one name, and a description", "displayName")
    base |= description(text, spec.at("description"), notes)
    shared = _Shared(library, window, period, spec.text("budgetingMethod") or "Occurrences", is_ours, base)
    template = Draft(
        name=own["name"] or dns_name(metadata.text("name"), "metadata.name", notes),
        spec={},
        namespace=own["namespace"],
        labels=kept_labels(metadata.map("labels"), "metadata.labels", notes),
        annotations=kept_annotations(annotations, "metadata.annotations", notes),
    )
    found = policies_of(spec, library)
    drafts = _of_objectives(spec, shared, template)
    for draft in drafts:
        draft.spec |= _alerting(spec, draft, shared, found)
    return drafts


def _service(spec: Source, *, is_left_out: bool) -> dict[str, Any]:
    name = spec.text("service") or spec.text("serviceRef")
    return {"service": dns_name(name, spec.at("service"), spec.notes, MOST_LABEL)} if name and not is_left_out else {}


def _alerting(spec: Source, draft: Draft, shared: _Shared, found: Policies | None) -> dict[str, Any]:
    if found is None:
        if not shared.is_ours:
            spec.notes.warn(spec.at("alertPolicies"), "there are none: this objective tells nobody (alerting.disabled)")
        return {"alerting": {"disabled": True}}
    if not found.alarms and not found.is_whole:
        spec.notes.warn(spec.at("alertPolicies"), KEPT)
        return {}
    terms = Terms((100 - Decimal(draft.spec["objective"])) / 100, shared.period)
    return alerting(found.alarms, terms, spec.at("alertPolicies"), spec.notes)


# --- windows --------------------------------------------------------------------------------------------


def _window(spec: Source) -> tuple[dict[str, Any], timedelta]:
    """Give `window` and its length."""
    windows = spec.parts("timeWindow") or spec.parts("timeWindows")
    if not windows:
        spec.notes.warn(spec.at("timeWindow"), "there is none: the last 30d are taken")
        return {"rolling": span(_DEFAULT_WINDOW)}, _DEFAULT_WINDOW
    first, *more = windows
    if more:
        spec.notes.warn(spec.at("timeWindow"), "only the first counts")
    text = first.text("duration") or _counted(first)
    if first.flag("isRolling") or (first.raw("isRolling") is None and "calendar" not in first):
        first.lose("a rolling window has no calendar", "calendar")
        length = duration(text, first.at("duration"))
        if text[-1:] in "MQY":
            spec.notes.warn(first.at("duration"), f"{text} became {span(length)}: a rolling window has a fixed length")
        return {"rolling": span(length)}, length
    return _calendar(first, text)


def _counted(window: Source) -> str:
    """Give the length of a window of v1alpha: a unit and a count."""
    unit, count = window.text("unit"), window.number("count")
    return f"{1 if count is None else int(count)}{_SHORT_NAMES.get(unit.capitalize(), unit)}"


def duration(text: str, path: str) -> timedelta:
    """Read a duration of OpenSLO: a number and one of m, h, d, w, M, Q, Y. Raises Unusable."""
    found = re.fullmatch(r"([0-9]{1,9})\s*([smhdwMQY])", text)
    if found is None:
        raise Unusable(path, f'not a duration such as 28d: "{text}"')
    return timedelta(seconds=int(found.group(1)) * (1 if found.group(2) == "s" else _UNITS[found.group(2)]))


def _calendar(window: Source, text: str) -> tuple[dict[str, Any], timedelta]:
    unit = _CALENDAR.get(text)
    if unit is None:
        raise Unusable(window.at("duration"), f'no period of the calendar: "{text}"; they are 1d, 1w, 1M, 1Q, 1Y')
    calendar = window.part("calendar")
    start, zone = calendar.text("startTime"), calendar.text("timeZone") or "UTC"
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?Z?)?", start)
    if found is None:
        raise Unusable(calendar.at("startTime"), f'not a time such as 2026-01-01 00:00:00: "{start}"')
    clock = found.group(2) or "00:00:00"
    full = f"{found.group(1)}T{clock if clock.count(':') > 1 else clock + ':00'}"
    return {"calendar": {"unit": unit.value, "start": full, "timeZone": zone}}, NOMINAL[unit]


# --- objectives -----------------------------------------------------------------------------------------


def _of_objectives(spec: Source, shared: _Shared, template: Draft) -> list[Draft]:
    objectives = spec.parts("objectives")
    if not objectives:
        raise Unusable(spec.at("objectives"), "there are none")
    whole = _indicator_of(spec, shared.library)
    is_composite = whole is None and any(_has_indicator(one) for one in objectives)
    drafts: list[Draft] = []
    for number, objective in enumerate(objectives, 1):
        name = f"{template.name}-{number}" if len(objectives) > 1 or is_composite else template.name
        own = whole if not _has_indicator(objective) else _indicator_of(objective, shared.library)
        body = _objective(objective, own, shared)
        drafts.append(Draft(name, body, template.namespace, dict(template.labels), dict(template.annotations)))
    if len(drafts) > 1:
        names = ", ".join(draft.name for draft in drafts)
        spec.notes.warn(spec.at("objectives"), f"an objective each: {names}")
    return [*drafts, _composite(spec, objectives, drafts, shared, template)] if is_composite else drafts


_INDICATORS: Final = ("indicator", "sli", "indicatorRef", "sliRef")


def _has_indicator(source: Source) -> bool:
    return any(name in source for name in _INDICATORS)


def _indicator_of(source: Source, library: Library) -> Source | None:
    """Give the spec of the SLI that an SLO or an objective has, inline or by name; None when it has none."""
    for name in ("indicatorRef", "sliRef"):
        if name in source:
            return library.find("SLI", name, source).part("spec")
    for name in ("indicator", "sli"):
        if name in source:
            inline = source.part(name)
            inline.raw("metadata")
            return inline.part("spec") if "spec" in inline else inline  # v1alpha has no spec in it
    return None


def _objective(objective: Source, indicator: Source | None, shared: _Shared) -> dict[str, Any]:
    objective.lose("objectives have no name of their own here", "displayName")
    objective.raw("compositeWeight")
    body = dict(shared.base)
    body["objective"] = _target(objective)
    body["window"] = shared.window
    if shared.method != "Occurrences":
        body["budgeting"] = _budgeting(objective, shared.method)
    if "ratioMetrics" in objective:  # v1alpha
        ratio = objective.part("ratioMetrics")
        objective.lose("a ratio is compared with nothing", "op", "value")
        body["indicator"] = _ratio(ratio, shared, is_counter=ratio.flag("incremental") is not False)
    elif indicator is None:
        raise Unusable(objective.path, "there is no indicator")
    else:
        body["indicator"] = _indicator(indicator, objective, shared)
    return body


def _target(objective: Source) -> str:
    share, percent = objective.number("target"), objective.number("targetPercent")
    if share is None and percent is None:
        raise Unusable(objective.at("target"), "there is none")
    return format_decimal(percent) if percent is not None else percent_of_share(share or Decimal(0))


def _budgeting(objective: Source, method: str) -> dict[str, Any]:
    slice_text = objective.text("timeSliceWindow")
    if not slice_text:
        objective.notes.warn(objective.at("timeSliceWindow"), "there is none: 1m is taken")
    is_number = re.fullmatch(r"\d+(\.0)?", slice_text) is not None
    text = f"{slice_text.partition('.')[0]}m" if is_number else slice_text or "1m"
    budgeting = {"method": method, "slice": go_duration(duration(text, objective.at("timeSliceWindow")))}
    share = objective.number("timeSliceTarget")
    if share is not None and method == "Timeslices":
        budgeting["sliceObjective"] = percent_of_share(share)
    return budgeting


# --- indicators -----------------------------------------------------------------------------------------


def _indicator(indicator: Source, objective: Source, shared: _Shared) -> dict[str, Any]:
    indicator.lose("the description is that of the objective", "description")
    if "thresholdMetric" in indicator:
        return _threshold(indicator.part("thresholdMetric"), objective, shared)
    if "ratioMetric" not in indicator:
        raise Unusable(indicator.path, "neither thresholdMetric nor ratioMetric")
    if "op" in objective or "value" in objective:
        objective.lose("a ratio is compared with nothing", "op", "value")
    ratio = indicator.part("ratioMetric")
    counter = ratio.flag("counter")
    if "raw" in ratio:
        return _raw(ratio, shared)
    ratio.lose("it goes with raw only", "rawType")
    return _ratio(ratio, shared, is_counter=counter is not False)


def _ratio(ratio: Source, shared: _Shared, *, is_counter: bool) -> dict[str, Any]:
    part = "bad" if "bad" in ratio else "good"
    if "good" in ratio and "bad" in ratio and "total" in ratio:
        ratio.lose("bad and total say it all", "good")
    if part not in ratio:
        raise Unusable(ratio.path, "neither good nor bad")
    some = metric(ratio.part(part), shared.library)
    if "total" not in ratio:
        raise Unusable(ratio.at("total"), "there is none")
    total = metric(ratio.part("total"), shared.library)
    if some.ours or total.ours:
        return dict(some.ours or total.ours or {})
    extra = some.extra | total.extra
    url = _one_url(some, total, ratio)
    if shared.is_ours and "latency" in extra:
        latency = extra.pop("latency")
        return {"prometheus": url | extra | {"latency": latency}}
    if shared.is_ours:
        queries = tuple(promql.with_template(one.query) for one in (some, total))
    else:
        taken = promql.counts([some.query, total.query], is_counter=is_counter)
        queries = taken.queries
        for note in taken.notes:
            ratio.notes.warn(ratio.path, note)
    return {"prometheus": url | extra | {"ratio": dict(zip((part, "total"), queries, strict=True))}}


def _one_url(some: Metric, total: Metric, ratio: Source) -> dict[str, Any]:
    if some.url != total.url and some.url:
        ratio.notes.warn(some.path, "one Prometheus is asked for both: that of total")
    url = total.url or some.url
    return {"url": url} if url else {}


def _raw(ratio: Source, shared: _Shared) -> dict[str, Any]:
    found, kind = metric(ratio.part("raw"), shared.library), ratio.text("rawType")
    if found.ours is not None:
        return found.ours
    if kind not in {"success", "failure"}:
        raise Unusable(ratio.at("rawType"), f'neither success nor failure: "{kind}"')
    query = promql.with_template(found.query)
    url: dict[str, Any] = {"url": found.url} if found.url else {}
    return {"prometheus": url | found.extra | {"ratioQuery": query if kind == "failure" else f"1 - ({query})"}}


def _threshold(source: Source, objective: Source, shared: _Shared) -> dict[str, Any]:
    """Give the share of the time in which a value is not as it should be: it is asked for every minute."""
    found = metric(source, shared.library)
    sign, value = _OPERATORS.get(objective.text("op")), objective.number("value")
    if sign is None or value is None:
        raise Unusable(
            objective.at("op" if sign is None else "value"), "a threshold needs op (lt, lte, gt, gte) and value"
        )
    if found.ours is not None:
        return found.ours
    objective.notes.warn(source.path, "every minute weighs alike: it is bad for the share of it in which the value is")
    compared = f"({promql.with_template(found.query)}) {sign} bool {format_decimal(value)}"
    query = f"1 - avg(avg_over_time(({compared})[{WINDOW}:]))"
    url: dict[str, Any] = {"url": found.url} if found.url else {}
    return {"prometheus": url | {"ratioQuery": query}}


# --- composites -----------------------------------------------------------------------------------------


def _composite(
    spec: Source, objectives: Sequence[Source], members: Sequence[Draft], shared: _Shared, template: Draft
) -> Draft:
    """Give the objective of the whole, whose budget burns as OpenSLO defines it: as the sum of its members' burn rates.

    OpenSLO has no target for it. Of members with budgets B and weights w, that sum is the burn rate of the weighted
    mean with weights w / B, for a budget of 1 / sum(w / B).
    """
    shares = [
        (one.number("compositeWeight") or Decimal(1)) / ((100 - Decimal(member.spec["objective"])) / 100)
        for one, member in zip(objectives, members, strict=True)
        if Decimal(member.spec["objective"]) < 100  # noqa: PLR2004 - percent
    ]
    if len(shares) < len(members) or any(share <= 0 for share in shares):
        raise Unusable(spec.at("objectives"), "a composite needs members with a budget and a weight above 0")
    weights = _weights(shares)
    budget = 100 / sum(shares, Decimal(0))
    objective = format_decimal((100 - budget).quantize(Decimal("0.000000000001")))
    spec.notes.warn(
        spec.at("objectives"),
        f"a composite has no target in OpenSLO: with {objective} the budget of {template.name} burns at the sum of its "
        "members' burn rates",
    )
    if shared.method == "Timeslices":
        spec.notes.warn(spec.at("budgetingMethod"), "a slice is not bad for the whole as soon as it is for a member")
    listed = [{"name": member.name, "weight": weight} for member, weight in zip(members, weights, strict=True)]
    body = shared.base | {"objective": objective, "window": shared.window}
    body["indicator"] = {"composite": {"mode": "Weighted", "members": listed}}
    return Draft(template.name, body, template.namespace, dict(template.labels), dict(template.annotations))


def _weights(shares: Sequence[Decimal]) -> list[int]:
    """Give whole numbers from 1 to 1000 in the proportion of the shares, as near as that goes."""
    least = min(shares)
    ratios = [share / least for share in shares]
    if max(ratios) <= MOST_WEIGHT and all(ratio == ratio.to_integral_value() for ratio in ratios):
        return [int(ratio) for ratio in ratios]
    return [max(1, round(share / max(shares) * MOST_WEIGHT)) for share in shares]
