"""The words that dashboards are described in, and the JSON of Grafana that they become.

Only panels that Grafana brings along; the datasource is a variable, and so is what is looked at. `RUNBOOK_URL` stands
for where the runbooks are: the chart puts its value there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

SCHEMA: Final = 39
"""The version of the schema: Grafana 10.3 and newer read it as it is."""
WIDE: Final = 24
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, ORANGE, RED, GREY = "green", "yellow", "orange", "red", "text"


@dataclass(frozen=True, slots=True)
class Query:
    """One query; `legend` names its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `steps` are thresholds, (from where on, colour), the first without a bound.

    `empty` is what stands there without data. `columns` (tables only) names the figure of each query in turn.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    least: float | None = None
    most: float | None = None
    decimals: int | None = None
    empty: str = "No data"
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What a value means: "1" → (word, colour)."""
    columns: Sequence[str] = ()
    is_stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one title."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that the reader chooses, from the values of a label."""

    name: str
    label: str
    query: str
    is_many: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is drawn into every panel over time."""

    name: str
    expr: str
    title: str
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `uid` never changes, so that links to it last."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    notes: Sequence[Note] = ()
    since: str = "now-6h"


def rendered(dashboard: Dashboard, others: Sequence[Dashboard]) -> Json:
    """Give the JSON of a dashboard, with links to the others."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["homeostat"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timezone": "",
        "annotations": {"list": [_annotation(note) for note in dashboard.notes]},
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "links": [*(_link(other) for other in others if other is not dashboard), _runbooks()],
        "panels": list(_panels(dashboard.rows)),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": {}, "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": "",
            "options": []}  # fmt: skip


def _variable(variable: Variable) -> Json:
    everything = {"text": ["All"], "value": ["$__all"]}
    return {
        "name": variable.name, "label": variable.label, "type": "query", "datasource": DATASOURCE,
        "definition": variable.query, "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2, "sort": 1, "hide": 0, "regex": "", "options": [],
        "multi": variable.is_many, "includeAll": variable.is_many,
        **({"allValue": ".*", "current": everything} if variable.is_many else {"current": {}}),
    }  # fmt: skip


def _annotation(note: Note) -> Json:
    return {
        "name": note.name, "datasource": DATASOURCE, "enable": True, "expr": note.expr, "iconColor": note.colour,
        "step": "30s", "titleFormat": note.title, "textFormat": note.text, "tagKeys": "",
    }  # fmt: skip


def _link(other: Dashboard) -> Json:
    return {"title": other.title, "type": "link", "url": f"/d/{other.uid}", "icon": "dashboard", "includeVars": True,
            "keepTime": True, "targetBlank": False, "asDropdown": False, "tags": [],
            "tooltip": other.description}  # fmt: skip


def _runbooks() -> Json:
    return {"title": "Runbooks", "type": "link", "url": "RUNBOOK_URL", "icon": "doc", "includeVars": False,
            "keepTime": False, "targetBlank": True, "asDropdown": False, "tags": [],
            "tooltip": "What to do when an alert about homeostat fires"}  # fmt: skip


def _panels(rows: Sequence[Row]) -> Iterator[Json]:
    """Lay the panels out from left to right, row by row."""
    number, top = 1, 0
    for row in rows:
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
               "gridPos": {"x": 0, "y": top, "w": WIDE, "h": 1}}  # fmt: skip
        number, top, left, height = number + 1, top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDE:
                top, left, height = top + height, 0, 0
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            number, left, height = number + 1, left + panel.width, max(height, panel.height)
        top += height


def _panel(panel: Panel, number: int, place: Json) -> Json:
    is_table = panel.kind == "table"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, place_, query) for place_, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _columns(panel) if is_table else []},
        "options": _options(panel),
        **({"transformations": _table(panel)} if is_table else {}),
    }


def _target(panel: Panel, place: int, query: Query) -> Json:
    is_now = panel.kind in {"stat", "table", "bargauge", "gauge"}
    return {
        "refId": chr(ord("A") + place), "datasource": DATASOURCE, "expr": query.expr,
        "legendFormat": query.legend or "__auto", "instant": is_now, "range": not is_now,
        "format": "table" if panel.kind == "table" else "time_series", "editorMode": "code",
    }  # fmt: skip


def _defaults(panel: Panel) -> Json:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    bounds = {"min": panel.least, "max": panel.most, "decimals": panel.decimals}
    return {
        "unit": panel.unit,
        "noValue": panel.empty,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind != "timeseries" else "palette-classic"},
        "mappings": [_mapping(panel.words)] if panel.words else [],
        **{name: value for name, value in bounds.items() if value is not None},
        "custom": _drawing(panel),
    }


def _mapping(words: dict[str, tuple[str, str]]) -> Json:
    options = {
        value: {"text": word, "color": colour, "index": index}
        for index, (value, (word, colour)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}


def _drawing(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    has_limit = len(panel.steps) > 1
    return {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if panel.is_stacked else 0, "showPoints": "never",
        "spanNulls": False, "stacking": {"mode": "normal" if panel.is_stacked else "none"},
        "thresholdsStyle": {"mode": "line" if has_limit else "off"},
    }  # fmt: skip


def _options(panel: Panel) -> Json:
    now = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "timeseries":
            return {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
                    "tooltip": {"mode": "multi", "sort": "desc"}}  # fmt: skip
        case "stat":
            return {"reduceOptions": now, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
        case "bargauge":
            return {"reduceOptions": now, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}
        case "state-timeline":
            return {"showValue": "never", "mergeValues": True, "rowHeight": 0.8,
                    "legend": {"displayMode": "list", "placement": "bottom"}}  # fmt: skip
    return {"showHeader": True, "cellHeight": "sm"}


def _columns(panel: Panel) -> list[Json]:
    """Colour the figure that the thresholds are for: the first."""
    first = panel.columns[0]
    properties = [{"id": "custom.cellOptions", "value": {"type": "color-text"}}]
    return [{"matcher": {"id": "byName", "options": first}, "properties": properties}]


def _table(panel: Panel) -> list[Json]:
    """Join what the queries say of the same labels into one row, and name the figures."""
    values = [f"Value #{chr(ord('A') + place)}" for place in range(len(panel.queries))]
    if len(values) == 1:
        values = ["Value"]
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {},
                                       "renameByName": dict(zip(values, panel.columns, strict=True))}},
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": panel.columns[0], "desc": False}]}},
    ]  # fmt: skip
