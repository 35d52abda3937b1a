"""The commands `import`, `export` and `validate`: exit codes, and what goes to which stream."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.__main__ import main

OBJECTIVE = """\
apiVersion: homeostat.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: checkout, namespace: shop}
spec:
  objective: "99.9"
  window: {rolling: 30d}
  indicator: {prometheus: {ratio: {bad: "sum(bad)", total: "sum(all)"}}}
"""
CHECK = """\
apiVersion: homeostat.dev/v1alpha1
kind: HealthCheck
metadata: {name: NAME, namespace: shop}
spec: {probe: {http: {url: "http://checkout.shop/"}}}
"""
OPENSLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: web}
spec:
  service: web
  indicator:
    metadata: {name: web}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: sum(bad)}}}
        total: {metricSource: {type: Prometheus, spec: {query: sum(all)}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str, name: str = "a.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


# --- validate -------------------------------------------------------------------------------------------


def test_what_is_valid_is_counted_by_kind_where_no_script_reads(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", file(OBJECTIVE)]) == 0
    assert capsys.readouterr() == ("", "1 object is valid: 1 ServiceLevelObjective\n")

    checks = [CHECK.replace("NAME", name) for name in ("a", "b")]
    assert main(["validate", "-f", file("---\n".join([OBJECTIVE, *checks]))]) == 0
    assert capsys.readouterr() == ("", "3 objects are valid: 2 HealthCheck, 1 ServiceLevelObjective\n")


def test_programs_are_told_of_valid_objects_as_data_alone(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", file(OBJECTIVE), "-o", "json"]) == 0
    out, err = capsys.readouterr()
    assert ([one["problems"] for one in json.loads(out)], err) == ([[]], "")


def test_where_one_object_is_not_valid_nothing_is_said_to_be_valid(
    file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", file(OBJECTIVE + "---\n" + CHECK.replace("NAME", "a").replace("probe", "prob"))]) == 1
    assert capsys.readouterr().err == ""


def test_a_problem_is_one_line_with_file_document_object_and_path(
    file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(OBJECTIVE + "---\n" + OBJECTIVE.replace("99.9", "100"))

    assert main(["validate", "-f", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        f"{path}:2 ServiceLevelObjective/checkout: spec.objective: objective must be above 0 and below 100 percent"
    )
    assert lines[1].endswith("metadata.name: warning: given before: the later one replaces it")


@pytest.mark.parametrize(("objective", "complaint"), [
    ('"99.9%"', '"99.9%" is not a number in quotes such as "99.9"'), ("99.9", 'not number: write it in quotes, "99.9"'),
])  # fmt: skip
def test_an_objective_that_is_no_figure_is_told_in_one_plain_line(
    file: Any, capsys: pytest.CaptureFixture[str], objective: str, complaint: str
) -> None:
    """What the evaluator of rules says of it would help nobody."""
    assert main(["validate", "-f", file(OBJECTIVE.replace('"99.9"', objective))]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "rules were not evaluated" not in line]
    assert len(lines) == 1
    assert f"spec.objective: {'must be of type string, ' if objective == '99.9' else ''}{complaint}" in lines[0]


def test_files_are_named_with_or_without_a_flag(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = file(OBJECTIVE), file(OBJECTIVE.replace("99.9", "100"), "b.yaml")

    assert (main(["validate", good]), main(["validate", good, "-f", bad])) == (0, 1)
    assert main(["validate", good, bad, "-o", "json"]) == 1
    capsys.readouterr()
    assert main(["validate"]) == 2
    assert capsys.readouterr().err == (
        "homeostat: validate: name a file: homeostat validate -f FILE, or - for standard input\n"
    )


def test_a_warning_alone_is_valid(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    body = yaml.safe_load(OBJECTIVE)
    body["spec"]["indicator"] = {"healthCheck": {"name": "elsewhere"}}

    assert main(["validate", "-f", file(json.dumps(body)), "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["document"], found["kind"], found["namespace"], found["name"]) == (
        "1", "ServiceLevelObjective", "shop", "checkout",
    )  # fmt: skip
    assert [(one["severity"], one["path"]) for one in found["problems"]] == [
        ("warning", "spec.indicator.healthCheck.name")
    ]
    assert main(["validate", "-f", file(json.dumps(body))]) == 0
    assert capsys.readouterr().err == "1 object is valid, with 1 warning: 1 ServiceLevelObjective\n"


def test_items_of_a_list_and_files_of_a_directory_are_checked_and_foreign_objects_left_alone(
    tmp_path: Path, file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [yaml.safe_load(OBJECTIVE), {"apiVersion": "v1", "kind": "ConfigMap"}]
    items[0]["spec"]["noData"] = "Nothing"
    file(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), "list.json")
    file("not yaml: [", "notes.txt")

    assert main(["validate", "-f", str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "noData" in line]
    assert line.startswith(f"{tmp_path / 'list.json'}:1[0] ServiceLevelObjective/checkout: spec.noData: unsupported")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("a: 1\na: 2", '"a" is given twice'),
        ("kind: ConfigMap", "no object of homeostat in it"),
        (OBJECTIVE + "  description: &a [*a]", "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_exit_code_two(
    file: Any, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    assert main(["validate", "-f", file(text)]) == 2
    out, err = capsys.readouterr()
    assert (out, why in err) == ("", True)


def test_a_file_that_is_not_there_and_a_flag_that_there_is_not_are_exit_code_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", "-f", "nowhere.yaml"]) == 2
    assert main(["validate", "--fast"]) == 2
    assert main(["import", "yaml", "a.yaml"]) == 2
    assert capsys.readouterr().out == ""


# --- import and export ----------------------------------------------------------------------------------


def test_import_prints_manifests_and_tells_losses_on_standard_error(
    file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(OPENSLO)

    assert main(["import", "openslo", path, "-n", "shop"]) == 0
    out, err = capsys.readouterr()
    (manifest,) = yaml.safe_load_all(out)
    assert manifest["metadata"] == {"name": "web", "namespace": "shop"}
    assert manifest["spec"]["objective"] == "99.9"
    assert (
        err == f"{path}: SLO/web: spec.alertPolicies: there are none: this objective tells nobody (alerting.disabled)\n"
    )


def test_import_of_some_only_is_exit_code_one(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(OPENSLO + "---\n" + OPENSLO.replace("0.999", "1").replace("name: web", "name: all"))

    assert main(["import", "openslo", path]) == 1
    out, err = capsys.readouterr()
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(out)] == ["web"]
    assert (
        f"{path}: SLO/all: all: spec.objective: error: objective must be above 0 and below 100 percent: skipped" in err
    )


def test_import_of_what_is_of_another_format_is_exit_code_two(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "sloth", file(OPENSLO)]) == 2
    assert "nothing of Sloth in it" in capsys.readouterr().err
    assert main(["import", "openslo", file(OPENSLO), "-n", "No Namespace"]) == 2


POD_KILL = """
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: kill}
spec: {action: pod-kill, mode: one, selector: {labelSelectors: {app: web}}}
"""


def test_an_experiment_is_imported_with_what_its_own_tool_did_not_know(
    file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    added = ["-n", "shop", "--health-check", "checkout", "--health-check", "port", "--duration", "1m30s"]

    assert main(["import", "chaos-mesh", file(POD_KILL), *added]) == 0
    out, err = capsys.readouterr()
    (manifest,) = yaml.safe_load_all(out)
    assert manifest["metadata"] == {"name": "kill", "namespace": "shop"}
    assert manifest["spec"]["duration"] == "1m30s"
    assert [part["healthCheck"]["name"] for part in manifest["spec"]["hypothesis"]] == ["checkout", "port"]
    assert err == ""


def test_what_is_added_to_experiments_is_a_mistake_where_there_are_none_or_it_is_no_duration(
    file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "openslo", file(OPENSLO), "--health-check", "checkout"]) == 2
    assert "are of experiments" in capsys.readouterr().err
    assert main(["import", "chaos-mesh", file(POD_KILL), "--duration", "soon"]) == 2
    assert 'not a duration: "soon"' in capsys.readouterr().err


def test_what_is_imported_is_valid_and_what_is_exported_comes_back(
    file: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "openslo", file(OBJECTIVE)]) == 0
    exported = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    assert main(["import", "openslo", "-"]) == 0
    out, err = capsys.readouterr()

    assert err == ""
    assert yaml.safe_load(out) == yaml.safe_load(OBJECTIVE)
    assert main(["validate", "-f", file(out)]) == 0


def test_export_takes_the_list_that_kubectl_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = yaml.safe_load(OBJECTIVE)
    body["metadata"] |= {"uid": "1", "generation": 2, "managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    body["status"] = {"observedGeneration": 2}
    broken = yaml.safe_load(OBJECTIVE)
    broken["spec"]["objective"] = "100"
    whole = {"apiVersion": "v1", "kind": "List", "items": [body, broken]}
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(whole)))

    assert main(["export", "openslo", "-"]) == 1
    out, err = capsys.readouterr()
    assert [one["kind"] for one in yaml.safe_load_all(out)] == ["SLO"]
    assert "spec.objective: error: objective must be above 0 and below 100 percent: skipped" in err


@pytest.mark.parametrize("command", [["import", "sloth"], ["export", "openslo"], ["validate", "-f"]])
def test_no_text_of_a_file_commands_the_terminal_or_makes_a_line_of_its_own(
    command: list[str], file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\x1b]0;title\a\nhomeostat: all is well"
    ours, theirs = (
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": {"\x1b[2J\n": 1, "slos": [{}]}}
        for version, kind in (
            ("homeostat.dev/v1alpha1", "ServiceLevelObjective"),
            ("sloth.slok.dev/v1", "PrometheusServiceLevel"),
        )
    )
    main([*command, file(json.dumps([ours, theirs]))])
    shown = capsys.readouterr()

    lines = f"{shown.out}{shown.err}".splitlines()
    assert lines
    assert all(line.isprintable() and not line.startswith("homeostat: all is well") for line in lines)
