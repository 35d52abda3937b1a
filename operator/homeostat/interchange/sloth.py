"""Sloth: its plain spec (prometheus/v1), PrometheusServiceLevel (sloth.slok.dev/v1) and AlertWindows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from homeostat.api.meta import format_decimal, parse_duration
from homeostat.api.objective_status import Severity
from homeostat.core.objective.burn import DEFAULT_PAIRS, Pair, Terms, factor
from homeostat.interchange import promql
from homeostat.interchange.draft import (
    Alarm,
    Draft,
    alerting,
    description,
    dns_name,
    kept_annotations,
    kept_labels,
    span,
)
from homeostat.interchange.importing import Import
from homeostat.interchange.metadata import MOST_LABEL
from homeostat.interchange.reading import Foreign, Notes, Source, Unusable

PLAIN, GROUP = "prometheus/v1", "sloth.slok.dev"
DEFAULT_PERIOD: Final = timedelta(days=30)
_ROUTING: Final = "labels and annotations of alerts have no place here: route by what our alerts carry"
_PLUGINS: Final = "plugins of Sloth cannot run here"


@dataclass(frozen=True, slots=True)
class Windows:
    """The window of objectives, and their four alerts: Sloth has one such set for all of them."""

    period: timedelta = DEFAULT_PERIOD
    pairs: tuple[Pair, ...] = DEFAULT_PAIRS


def is_known(body: object) -> bool:
    """Whether it is something of Sloth's."""
    if not isinstance(body, dict):
        return False
    return body.get("version") == PLAIN or str(body.get("apiVersion", "")).partition("/")[0] == GROUP


def convert(objects: Sequence[Foreign]) -> list[Import]:
    """Turn the service levels of files into drafts of our objectives."""
    imports: list[Import] = []
    windows = Windows()
    for one in objects:
        if is_known(one.body) and one.body.get("kind") == "AlertWindows":
            notes = Notes()
            imports.append(Import(one, "AlertWindows", notes))
            windows = _windows(Source(one.body, "", notes), windows)
    levels = (one for one in objects if is_known(one.body) and one.body.get("kind") != "AlertWindows")
    return [*imports, *(_converted(one, windows) for one in levels)]


def _converted(one: Foreign, windows: Windows) -> Import:
    notes = Notes()
    whole = Source(one.body, "", notes)
    is_plain = whole.text("version") == PLAIN
    kind, _ = whole.text("kind"), whole.text("apiVersion")
    if not is_plain and kind != "PrometheusServiceLevel":
        notes.errors.append(("kind", f'"{kind}" is no PrometheusServiceLevel: skipped'))
        return Import(one, f"{kind or 'object'}/", notes)
    metadata = whole.part("metadata")
    name = metadata.text("name")
    group = whole if is_plain else whole.part("spec")
    found = Import(one, f"{kind or 'service'}/{name or group.text('service')}", notes)
    whole.raw("status")
    metadata.lose("not taken over", "generateName")
    for field in ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers"):
        metadata.raw(field)
    shared = _Shared(
        service=group.text("service"),
        namespace=metadata.text("namespace"),
        labels=kept_labels(metadata.map("labels") | group.map("labels"), group.at("labels"), notes),
        annotations=_annotations(metadata, notes),
        windows=windows,
    )
    group.lose(_PLUGINS, "slo_plugins", "sloPlugins")
    slos = group.parts("slos")
    if not slos:
        notes.errors.append((group.at("slos"), "there are none"))
    for slo in slos:
        try:
            found.drafts.append(_draft(slo, shared))
        except (Unusable, ValueError) as error:
            slo.drop()
            path = error.path if isinstance(error, Unusable) else slo.path
            notes.errors.append((path, f"{error.message if isinstance(error, Unusable) else error}: skipped"))
    whole.tell_rest()
    return found


def _annotations(metadata: Source, notes: Notes) -> dict[str, str]:
    given = {
        name: value
        for name, value in metadata.map("annotations").items()
        if not str(name).startswith("kubectl.kubernetes")
    }
    return kept_annotations(given, metadata.at("annotations"), notes)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all objectives of a file share."""

    service: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    windows: Windows


def _draft(slo: Source, shared: _Shared) -> Draft:
    notes = slo.notes
    objective = slo.number("objective")
    if objective is None:
        raise Unusable(slo.at("objective"), "there is none")
    slo.lose(_PLUGINS, "plugins")
    spec: dict[str, Any] = {}
    if shared.service:
        spec["service"] = dns_name(shared.service, "service", notes, MOST_LABEL)
    spec |= description(slo.text("description"), slo.at("description"), notes)
    spec |= {"objective": format_decimal(objective), "window": {"rolling": span(shared.windows.period)}}
    spec["indicator"] = {"prometheus": _indicator(slo.part("sli"))}
    spec |= _alerting(slo.part("alerting"), objective, shared.windows)
    return Draft(
        name=dns_name(f"{shared.service}-{slo.text('name')}".strip("-"), slo.at("name"), notes),
        spec=spec,
        namespace=shared.namespace,
        labels=dict(shared.labels) | kept_labels(slo.map("labels"), slo.at("labels"), notes),
        annotations=dict(shared.annotations),
    )


def _indicator(sli: Source) -> dict[str, Any]:
    if "plugin" in sli:
        raise Unusable(sli.at("plugin"), f"{_PLUGINS}: write down the queries that it gives")
    if "raw" in sli:
        raw = sli.part("raw")
        query = raw.text("errorRatioQuery") or raw.text("error_ratio_query")
        return {"ratioQuery": promql.with_template(_needed(query, raw.path))}
    events = sli.part("events")
    bad = events.text("errorQuery") or events.text("error_query")
    total = events.text("totalQuery") or events.text("total_query")
    taken = promql.counts([_needed(bad, events.path), _needed(total, events.path)], is_counter=True)
    for note in taken.notes:
        sli.notes.warn(events.path, note)
    return {"ratio": dict(zip(("bad", "total"), taken.queries, strict=True))}


def _needed(query: str, path: str) -> str:
    if not query:
        raise Unusable(path, "a query is missing")
    return query


# --- alerts ---------------------------------------------------------------------------------------------


def _alerting(source: Source, objective: Decimal, windows: Windows) -> dict[str, Any]:
    """Give the member `alerting`; Sloth can leave out the alerts that page, or those that open a ticket."""
    source.lose(_ROUTING, "labels", "annotations")
    source.lose("alerts are called by their objective here", "name")
    wanted = {
        Severity.PAGE: _is_wanted(source, "pageAlert", "page_alert"),
        Severity.TICKET: _is_wanted(source, "ticketAlert", "ticket_alert"),
    }
    alarms = [
        Alarm(factor(pair.budget, windows.period, pair.long), pair.long, pair.short, pair.severity, source.path)
        for pair in windows.pairs
        if wanted[pair.severity]
    ]
    return alerting(alarms, Terms((100 - objective) / 100, windows.period), source.path, source.notes)


def _is_wanted(source: Source, *names: str) -> bool:
    alerts = [source.part(name) for name in names if name in source]
    for alert in alerts:
        alert.lose(_ROUTING, "labels", "annotations")
    return True not in [alert.flag("disable") for alert in alerts]


_WINDOWS: Final = (
    ("page", "quick", Severity.PAGE),
    ("page", "slow", Severity.PAGE),
    ("ticket", "quick", Severity.TICKET),
    ("ticket", "slow", Severity.TICKET),
)


def _windows(whole: Source, default: Windows) -> Windows:
    """Read an AlertWindows; what is wrong with it is an error, and the default stays."""
    whole.text("apiVersion"), whole.text("kind"), whole.raw("metadata")
    spec = whole.part("spec")
    try:
        period = parse_duration(spec.text("sloPeriod"))
        pairs = tuple(_pair(spec.part(alert).part(speed), severity) for alert, speed, severity in _WINDOWS)
    except (Unusable, ValueError) as error:
        whole.notes.errors.append(("spec", f"{error}: Sloth's default of 30d is taken instead"))
        return default
    whole.tell_rest()
    return Windows(period, pairs)


def _pair(window: Source, severity: Severity) -> Pair:
    budget = window.number("errorBudgetPercent")
    if budget is None:
        raise Unusable(window.at("errorBudgetPercent"), "there is none")
    long, short = (parse_duration(window.text(name)) for name in ("longWindow", "shortWindow"))
    return Pair(budget / 100, long, short, severity)
