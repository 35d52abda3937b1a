"""`homeostat rules` prints what Prometheus takes, and complains in one line."""

from pathlib import Path

import pytest
import yaml

from homeostat.__main__ import main
from prometheus_process import promtool

OBJECTIVE = """
apiVersion: homeostat.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {{name: {name}}}
spec:
  objective: "99.9"
  window: {{rolling: 30d}}
  indicator: {indicator}
  rules: {{emit: true, labels: {{release: kps}}}}
"""
REQUESTS = "{prometheus: {ratio: {bad: 'sum(errors_total)', total: requests_total}}}"


def file_of(folder: Path, *objectives: tuple[str, str]) -> str:
    path = folder / "slo.yaml"
    path.write_text("---".join(OBJECTIVE.format(name=name, indicator=indicator) for name, indicator in objectives))
    return str(path)


def test_a_file_of_rules_is_printed_that_prometheus_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["rules", "-f", file_of(tmp_path, ("a", REQUESTS), ("b", REQUESTS)), "-n", "shop"])
    printed = tmp_path / "rules.yaml"
    printed.write_text(capsys.readouterr().out)

    assert code == 0
    assert promtool("check", "rules", printed).returncode == 0
    names = [group["name"].split(":")[:3] for group in yaml.safe_load(printed.read_text())["groups"]]
    assert names == [["homeostat", "shop", name] for name in ("a", "a", "b", "b")]


def test_objects_of_the_prometheus_operator_are_printed_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["rules", "-f", file_of(tmp_path, ("a", REQUESTS)), "--format", "prometheusrule"])
    (body,) = yaml.safe_load_all(capsys.readouterr().out)

    assert (code, body["kind"]) == (0, "PrometheusRule")
    assert body["metadata"] == {"name": "homeostat-slo-a", "namespace": "default", "labels": {"release": "kps"}}


def test_an_objective_without_rules_is_told_and_the_others_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["rules", "-f", file_of(tmp_path, ("a", "{events: {}}"), ("b", REQUESTS))])
    told = capsys.readouterr()

    assert (code, len(yaml.safe_load(told.out)["groups"])) == (1, 2)
    assert told.err == "homeostat: default/a: Rules can only be written for an indicator of type prometheus.\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Pod", "no ServiceLevelObjective in it"),
        ("kind: ServiceLevelObjective\nmetadata: {name: a}", "apiVersion is not homeostat.dev/v1alpha1"),
        ("kind: ServiceLevelObjective\nmetadata: {name: A_}", "needs a name"),
        (OBJECTIVE.format(name="a", indicator="{events: {}}").replace("99.9", "100"), "spec.objective"),
        (OBJECTIVE.format(name="a", indicator="{event: {}}"), "spec.indicator.event: unknown field"),
        ("a: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text(text)
    code = main(["rules", "-f", str(path)])
    told = capsys.readouterr()

    assert (code, told.out, told.err.count("\n")) == (2, "", 1)
    assert told.err.startswith("homeostat: ")
    assert why in told.err


def test_a_file_that_is_not_there_and_an_option_that_is_none_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "-f", "/nowhere/slo.yaml"]) == 2
    assert main(["rules", "--oops"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
