"""Our objectives written as OpenSLO v1: an SLO each, and a DataSource for each Prometheus.

What OpenSLO has no field for goes into annotations and free fields where it names things (the short window of an
alert, a label to group by); the rest is lost, and told. What only homeostat measures becomes a metric of type
Homeostat, which no other tool reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from homeostat.api.meta import format_duration
from homeostat.api.objective import CalendarUnit, NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import Indicator, PrometheusIndicator
from homeostat.core.objective.burn import Pair, factor, pairs
from homeostat.core.prometheus.queries import queries_of
from homeostat.interchange.draft import NOMINAL, slug
from homeostat.interchange.metadata import MOST_LABEL
from homeostat.interchange.openslo_alerts import NOBODY, SHORT
from homeostat.interchange.openslo_import import OURS
from homeostat.interchange.openslo_objects import EXPORTED
from homeostat.interchange.promql import WINDOW, with_template
from homeostat.interchange.reading import Notes

VERSION: Final = "openslo/v1"
_PERIODS: Final = {
    CalendarUnit.DAY: "1d",
    CalendarUnit.WEEK: "1w",
    CalendarUnit.MONTH: "1M",
    CalendarUnit.QUARTER: "1Q",
    CalendarUnit.YEAR: "1Y",
}
_NO_OBJECT: Final = "OpenSLO has nothing like it: left out"
_SERVER_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"

Body = dict[str, Any]


@dataclass(slots=True)
class Exported:
    """The documents of one or more objectives."""

    slos: list[Body] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    """Names of data sources, by the address of Prometheus."""

    def documents(self) -> list[Body]:
        """Give all documents, data sources first."""
        return [*(_data_source(name, url) for url, name in self.sources.items()), *self.slos]

    def source_of(self, url: str) -> str:
        """Name the data source of an address."""
        if url not in self.sources:
            number = len(self.sources) + 1
            self.sources[url] = "prometheus" if number == 1 else f"prometheus-{number}"
        return self.sources[url]

    def add(self, metadata: Mapping[str, Any], spec: ServiceLevelObjectiveSpec, notes: Notes) -> None:
        """Add an objective."""
        _tell_losses(spec, notes)
        period = (
            spec.window.rolling or NOMINAL[(spec.window.calendar and spec.window.calendar.unit) or CalendarUnit.MONTH]
        )
        name = slug(str(metadata.get("name", "")), MOST_LABEL)
        body: Body = {"service": spec.service or name}
        if spec.description:
            body = {"description": spec.description, **body}
        body["indicator"] = {"metadata": {"name": name}, "spec": self._indicator(spec.indicator)}
        body["timeWindow"] = [_window(spec, notes)]
        body["budgetingMethod"] = spec.budgeting.method.value
        body["objectives"] = [_objective(spec, notes)]
        if not spec.alerting.disabled:
            body["alertPolicies"] = [_policy(pair, period, notes) for pair in pairs(spec.alerting.burn_rates, period)]
        meta = _metadata(metadata, name, has_service=bool(spec.service))
        self.slos.append({"apiVersion": VERSION, "kind": "SLO", "metadata": meta, "spec": body})

    # --- indicators ---

    def _indicator(self, indicator: Indicator) -> Body:
        prometheus = indicator.prometheus
        if prometheus is None:
            whole = {"type": "Homeostat", "spec": {"indicator": _shown(indicator)}}
            return {"ratioMetric": {"rawType": "failure", "raw": {"metricSource": whole}}}
        if prometheus.ratio_query is not None:
            raw = self._metric(prometheus, prometheus.ratio_query)
            return {"ratioMetric": {"rawType": "failure", "raw": raw}}
        return {"ratioMetric": self._ratio(prometheus)}

    def _ratio(self, prometheus: PrometheusIndicator) -> Body:
        asked = queries_of(prometheus)
        queries = (asked.query.written, asked.total.written if asked.total else "")
        some, all_ = (self._metric(prometheus, query) for query in queries)
        is_counter = not any(WINDOW in query for query in queries)
        return {"counter": is_counter, asked.part.value.lower(): some, "total": all_}

    def _metric(self, prometheus: PrometheusIndicator, query: str) -> Body:
        spec: Body = {"query": with_template(query).replace(WINDOW, "{{.window}}")}
        given = prometheus.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        spec |= {name: given[name] for name in ("resolution", "groupBy", "latency") if name in given}
        source: Body = {"type": "Prometheus"}
        if prometheus.url:
            source["metricSourceRef"] = self.source_of(prometheus.url)
        return {"metricSource": source | {"spec": spec}}


def _shown(indicator: Indicator) -> Body:
    return indicator.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _data_source(name: str, url: str) -> Body:
    spec = {"type": "Prometheus", "connectionDetails": [{"url": url}]}
    return {"apiVersion": VERSION, "kind": "DataSource", "metadata": {"name": name}, "spec": spec}


def _metadata(metadata: Mapping[str, Any], name: str, *, has_service: bool) -> Body:
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key != _SERVER_ANNOTATION
    }
    annotations[EXPORTED] = "true"
    if metadata.get("name") != name:
        annotations[f"{OURS}name"] = str(metadata.get("name"))
    if metadata.get("namespace"):
        annotations[f"{OURS}namespace"] = str(metadata["namespace"])
    if not has_service:
        annotations[f"{OURS}no-service"] = "true"
    labels = {"labels": dict(metadata["labels"])} if metadata.get("labels") else {}
    return {"name": name, **labels, "annotations": annotations}


# --- what an objective promises -------------------------------------------------------------------------


def _window(spec: ServiceLevelObjectiveSpec, notes: Notes) -> Body:
    calendar = spec.window.calendar
    if calendar is None:
        length = spec.window.rolling or timedelta(0)
        return {"duration": _shorthand(length, "spec.window.rolling", notes), "isRolling": True}
    start = {"startTime": calendar.start.replace("T", " "), "timeZone": calendar.time_zone}
    return {"duration": _PERIODS[calendar.unit], "isRolling": False, "calendar": start}


def _shorthand(length: timedelta, path: str, notes: Notes) -> str:
    """Write a duration as OpenSLO does: one number and m, h or d."""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    if seconds:
        minutes += 1
        notes.warn(path, f"{format_duration(length)} became {minutes}m: OpenSLO knows no seconds")
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def _objective(spec: ServiceLevelObjectiveSpec, notes: Notes) -> Body:
    body: Body = {"targetPercent": _number(spec.objective, "spec.objective", notes)}
    budgeting = spec.budgeting
    if budgeting.slice_objective is not None:
        body["timeSliceTarget"] = _number(budgeting.slice_objective / 100, "spec.budgeting.sliceObjective", notes)
    if budgeting.slice is not None:
        body["timeSliceWindow"] = _shorthand(budgeting.slice, "spec.budgeting.slice", notes)
    return body


def _number(value: Decimal, path: str, notes: Notes) -> int | float:
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    if Decimal(repr(number)) != value:
        notes.warn(path, f"{value} became {number!r}: OpenSLO has numbers of 15 digits")
    return number


def _policy(pair: Pair, period: timedelta, notes: Notes) -> Body:
    name = slug(f"{pair.severity.value}-{format_duration(pair.long)}", MOST_LABEL)
    condition = {
        "kind": "burnrate",
        "op": "gte",
        "threshold": float(factor(pair.budget, period, pair.long)),
        "lookbackWindow": _shorthand(pair.long, "spec.alerting.burnRates", notes),
    }
    metadata: Body = {"name": name}
    if pair.short != pair.long / 12:
        metadata["annotations"] = {SHORT: format_duration(pair.short)}
    alert = {"kind": "AlertCondition", "metadata": metadata}
    alert["spec"] = {"severity": pair.severity.value.lower(), "condition": condition}
    spec = {"alertWhenBreaching": True, "conditions": [alert], "notificationTargets": [dict(NOBODY)]}
    return {"kind": "AlertPolicy", "metadata": {"name": name}, "spec": spec}


def _tell_losses(spec: ServiceLevelObjectiveSpec, notes: Notes) -> None:
    lost: Iterable[tuple[bool, str]] = (
        (spec.no_data is not NoData.UNKNOWN, "spec.noData"),
        (bool(spec.alerting.min_bad_events), "spec.alerting.minBadEvents"),
        (spec.alerting.disabled and bool(spec.alerting.burn_rates), "spec.alerting.burnRates"),
        (bool(spec.exclusions), "spec.exclusions"),
        (bool(spec.budget_policy), "spec.budgetPolicy"),
        (spec.rules_ is not None, "spec.rules"),
    )
    for is_lost, path in lost:
        if is_lost:
            notes.warn(path, _NO_OBJECT)
    if spec.indicator.prometheus is None:
        member = next(iter(_shown(spec.indicator)))
        notes.warn(
            f"spec.indicator.{member}", "only homeostat measures this: other tools find a metric they do not know"
        )
