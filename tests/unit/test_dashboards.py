"""The dashboards: what is installed is what is described, and asks for nothing that homeostat does not show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

import gen_dashboards
from shown_metrics import SHOWN, asked_for

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "charts" / "homeostat" / "files" / "dashboards").glob("*.json"))
BOARDS = {path.stem: json.loads(path.read_text()) for path in FILES}
BUILT_IN = {"row", "stat", "timeseries", "table", "state-timeline", "bargauge", "gauge"}
UNITS = {"short", "none", "percentunit", "s", "bytes", "ops", "reqps"}
"""Those of Grafana that are used; a name that it does not know is shown as text behind the figure."""
OF_GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*", "$name": ".*", "$job": ".*"}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def filled(expr: str) -> str:
    """Put something where Grafana puts what was chosen."""
    for variable, value in OF_GRAFANA.items():
        expr = re.sub(re.escape(variable) + r"\b", value, expr)
    return expr


def queries(board: dict[str, Any]) -> Iterator[str]:
    yield from (target["expr"] for panel in panels(board) for target in panel["targets"])
    yield from (note["expr"] for note in board["annotations"]["list"])


def test_the_files_are_what_is_described() -> None:
    assert gen_dashboards.generated().stale() == []


def test_there_is_a_dashboard_for_each_thing_that_one_looks_at() -> None:
    assert set(BOARDS) == {f"homeostat-{name}" for name in ("fleet", "slo", "recovery", "chaos", "operator")}
    assert {name: board["uid"] for name, board in BOARDS.items()} == {name: name for name in BOARDS}


@pytest.mark.parametrize("name", BOARDS)
def test_a_query_names_only_metrics_and_labels_that_there_are(name: str) -> None:
    asked = [one for query in queries(BOARDS[name]) for one in asked_for(promql_parser.parse(filled(query)))]

    assert len(asked) >= len(list(queries(BOARDS[name])))
    assert [metric for metric, _ in asked if metric not in SHOWN] == []
    assert [(metric, labels - SHOWN[metric]) for metric, labels in asked if labels - SHOWN[metric]] == []


@pytest.mark.parametrize("name", BOARDS)
def test_a_query_uses_no_variable_that_its_dashboard_does_not_have(name: str) -> None:
    used = {variable for query in queries(BOARDS[name]) for variable in re.findall(r"\$(\w+)", query)}

    assert used - {"__rate_interval", "__range"} <= {one["name"] for one in BOARDS[name]["templating"]["list"]}


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows_in_which_unit_and_what_it_means_that_nothing_is_there(name: str) -> None:
    for panel in panels(BOARDS[name]):
        shown = panel["fieldConfig"]["defaults"]
        assert panel["type"] in BUILT_IN
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert shown["unit"] in UNITS
        assert shown["noValue"]
        assert shown["thresholds"]["steps"][0]["value"] is None
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_panels_have_one_title_one_id_or_one_place(name: str) -> None:
    every = BOARDS[name]["panels"]
    places = [
        (x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["title"] for panel in every if panel["type"] != "row"}) == len(panels(BOARDS[name]))
    assert len({panel["id"] for panel in every}) == len(every)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


@pytest.mark.parametrize("name", BOARDS)
def test_thresholds_rise(name: str) -> None:
    for panel in panels(BOARDS[name]):
        bounds = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]
        assert bounds == sorted(bounds)


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_leads_to_all_others_and_to_the_runbooks(name: str) -> None:
    urls = [link["url"] for link in BOARDS[name]["links"]]

    assert urls == [*(f"/d/{other['uid']}" for other in by_age() if other["uid"] != name), "RUNBOOK_URL"]


def by_age() -> list[dict[str, Any]]:
    """Give the dashboards in the order in which they are linked."""
    order = ("fleet", "slo", "recovery", "chaos", "operator")
    return [BOARDS[f"homeostat-{name}"] for name in order]


@pytest.mark.parametrize("name", BOARDS)
def test_a_table_names_the_figure_of_each_query(name: str) -> None:
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table":
            renamed = panel["transformations"][1]["options"]["renameByName"]
            assert len(renamed) == len(panel["targets"])
            assert panel["fieldConfig"]["overrides"][0]["matcher"]["options"] in renamed.values()


@pytest.mark.parametrize("name", BOARDS)
def test_variables_ask_for_labels_that_there_are(name: str) -> None:
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", variable["definition"])
        assert found is not None
        assert found[3] in SHOWN[found[1]]


def test_experiments_and_attempts_are_drawn_into_the_dashboards_of_what_they_touch() -> None:
    drawn = {name: [note["name"] for note in board["annotations"]["list"]] for name, board in BOARDS.items()}

    assert drawn == {
        "homeostat-fleet": ["Experiments", "Recovery"],
        "homeostat-slo": ["Experiments", "Recovery"],
        "homeostat-recovery": ["Experiments", "Recovery"],
        "homeostat-chaos": ["Recovery"],
        "homeostat-operator": [],
    }


def test_the_alerts_about_homeostat_ask_for_nothing_that_there_is_not() -> None:
    text = (ROOT / "charts" / "homeostat" / "files" / "rules" / "homeostat.yaml").read_text()
    named = set(re.findall(r"\bhomeostat_\w+", text))

    assert named <= set(SHOWN)
