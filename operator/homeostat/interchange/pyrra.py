"""Pyrra: its ServiceLevelObjective (pyrra.dev/v1alpha1)."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from homeostat.api.meta import format_decimal, parse_duration
from homeostat.interchange import promql
from homeostat.interchange.draft import (
    NOBODY_TOLD,
    Draft,
    description,
    dns_name,
    go_duration,
    kept_annotations,
    kept_labels,
    span,
)
from homeostat.interchange.importing import Import
from homeostat.interchange.promql import WINDOW, Selector
from homeostat.interchange.reading import Foreign, Notes, Source, Unusable

GROUP, KIND = "pyrra.dev", "ServiceLevelObjective"
_OF_THE_SERVER: Final = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers", "ownerReferences",
)  # fmt: skip
_ITS_ALERTS: Final = "alerts are called by their objective here, and their severities are Page and Ticket"
_ITS_RULES: Final = "about the rules that Pyrra writes: ours are set by spec.rules"


def is_known(body: object) -> bool:
    """Whether it is something of Pyrra's."""
    return isinstance(body, dict) and str(body.get("apiVersion", "")).partition("/")[0] == GROUP


def convert(objects: Sequence[Foreign]) -> list[Import]:
    """Turn the objectives of files into drafts of ours."""
    return [_converted(one) for one in objects if is_known(one.body)]


def _converted(one: Foreign) -> Import:
    notes = Notes()
    whole = Source(one.body, "", notes)
    kind, _ = whole.text("kind"), whole.text("apiVersion")
    metadata, spec = whole.part("metadata"), whole.part("spec")
    found = Import(one, f"{kind}/{metadata.text('name')}", notes)
    if kind != KIND:
        notes.errors.append(("kind", f'"{kind}" is no {KIND}: skipped'))
        return found
    try:
        found.drafts.append(_draft(metadata, spec))
    except Unusable as error:
        notes.errors.append((error.path, f"{error.message}: skipped"))
    except ValueError as error:
        notes.errors.append(("spec", f"{error}: skipped"))
    else:
        whole.raw("status")
        whole.tell_rest()
    return found


def _draft(metadata: Source, spec: Source) -> Draft:
    notes = spec.notes
    for name in _OF_THE_SERVER:
        metadata.raw(name)
    annotations = metadata.map("annotations")
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    ours: dict[str, Any] = description(spec.text("description"), "spec.description", notes)
    ours |= {"objective": _target(spec), "window": {"rolling": span(parse_duration(spec.text("window")))}}
    ours["indicator"] = {"prometheus": _indicator(spec.part("indicator"))}
    ours |= _alerting(spec.part("alerting"))
    if spec.text("partial_response_strategy") not in {"", "abort"}:
        notes.warn(spec.at("partial_response_strategy"), "an answer with warnings counts as it is here")
    spec.lose(_ITS_RULES, "performanceOverAccuracy", "ruleOutput")
    return Draft(
        name=dns_name(metadata.text("name"), "metadata.name", notes),
        spec=ours,
        namespace=metadata.text("namespace"),
        labels=kept_labels(metadata.map("labels"), "metadata.labels", notes),
        annotations=kept_annotations(annotations, "metadata.annotations", notes),
    )


def _target(spec: Source) -> str:
    text = spec.text("target")
    try:
        return format_decimal(Decimal(text))
    except InvalidOperation as error:
        raise Unusable(spec.at("target"), f'not a number: "{text}"') from error


def _alerting(alerting: Source) -> dict[str, Any]:
    alerting.lose(_ITS_ALERTS, "name", "absentName", "severities")
    if alerting.flag("absent") is False:
        alerting.notes.warn(alerting.at("absent"), "the alert on absent data cannot be switched off by itself here")
    is_off = bool(alerting.flag("disabled")), alerting.flag("burnrates") is False
    if any(is_off):
        alerting.notes.warn(alerting.path, NOBODY_TOLD)
        return {"alerting": {"disabled": True}}
    alerting.notes.warn(alerting.path, "the windows of alerts are ours, 1h, 6h, 1d and 3d, which are near to Pyrra's")
    return {}


# --- indicators -----------------------------------------------------------------------------------------


def _indicator(indicator: Source) -> dict[str, Any]:
    for name, convert_one in (
        ("ratio", _ratio),
        ("latency", _latency),
        ("latencyNative", _native),
        ("bool_gauge", _gauge),
        ("boolGauge", _gauge),
    ):
        if name in indicator:
            part = indicator.part(name)
            groups = part.texts("grouping")
            return convert_one(part, groups) | ({"groupBy": groups} if groups else {})
    raise Unusable(indicator.path, "one of ratio, latency, latencyNative, bool_gauge is needed")


def _selector(source: Source) -> Selector:
    text = source.text("metric")
    found = promql.selector(text)
    if found is None:
        raise Unusable(source.at("metric"), f'not a metric with its labels: "{text}"')
    return found


def _summed(function: str, metric: Selector, groups: Sequence[str]) -> str:
    by = f" by ({', '.join(groups)})" if groups else ""
    return f"sum{by} ({function}({metric}[{WINDOW}]))"


def _ratio(ratio: Source, groups: Sequence[str]) -> dict[str, Any]:
    errors, total = _selector(ratio.part("errors")), _selector(ratio.part("total"))
    return {"ratio": {"bad": _summed("increase", errors, groups), "total": _summed("increase", total, groups)}}


def _latency(latency: Source, groups: Sequence[str]) -> dict[str, Any]:
    success, total = _selector(latency.part("success")), _selector(latency.part("total"))
    threshold = success.equals("le")
    name = total.name.removesuffix("_count")
    is_histogram = (success.name, total.name) == (f"{name}_bucket", f"{name}_count")
    if is_histogram and threshold and sorted(success.without("le").matchers) == sorted(total.matchers):
        found = _milliseconds(threshold)
        if found:
            return {"latency": {"histogram": name, "threshold": found} | _selected(total)}
    latency.notes.warn(latency.path, "no bucket and count of one histogram with the same labels: taken as a ratio")
    return {"ratio": {"good": _summed("increase", success, groups), "total": _summed("increase", total, groups)}}


def _milliseconds(seconds: str) -> str:
    """Write the bound of a bucket as our durations; "" for one that is no whole number of milliseconds."""
    try:
        milliseconds = Decimal(seconds) * 1000
    except InvalidOperation:
        return ""
    if not milliseconds.is_finite() or milliseconds != milliseconds.to_integral_value() or milliseconds <= 0:
        return ""
    return go_duration(parse_duration(f"{int(milliseconds)}ms"))


def _selected(metric: Selector) -> dict[str, str]:
    return {"selector": metric.inner} if metric.matchers else {}


def _native(native: Source, _: Sequence[str]) -> dict[str, Any]:
    metric = _selector(native.part("total"))
    threshold = go_duration(parse_duration(native.text("latency")))
    return {"latency": {"histogram": metric.name, "threshold": threshold, "type": "Native"} | _selected(metric)}


def _gauge(gauge: Source, groups: Sequence[str]) -> dict[str, Any]:
    """Count the samples of a gauge that is 1 while all is well, as Pyrra does."""
    metric = _selector(gauge)
    good, total = (_summed(function, metric, groups) for function in ("sum_over_time", "count_over_time"))
    return {"ratio": {"good": good, "total": total}}
