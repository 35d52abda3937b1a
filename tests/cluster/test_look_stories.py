"""`homeostat status`, `budget`, `freeze` and `doctor` on a real API server, with an operator that is outside of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import Kubectl
from cluster.operator_process import OperatorProcess, kubeconfig_for
from cluster.waiting import until
from homeostat.cli import freeze as freeze_command
from homeostat.cli.budgets import budget as budget_command
from homeostat.cli.doctor import command as doctor_command
from homeostat.cli.status import command as status_command

pytestmark = pytest.mark.apiserver
Say = Callable[..., tuple[int, Any]]
GROUP = "homeostat.dev/v1alpha1"


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator of this namespace alone."""
    flags = ("--namespaces", json.dumps([namespace]), "--operator-namespace", namespace)
    process = OperatorProcess(tmp_path, kubeconfig, "look", flags)
    process.start()
    yield process
    process.terminate()


@pytest.fixture
def say(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command as a shell would; give its exit code, and what it told as data."""

    def run(main: Callable[[list[str]], int], *arguments: str, config: Path = kubeconfig) -> tuple[int, Any]:
        code = main([*arguments, "--kubeconfig", str(config), "-o", "json"])
        told = capsys.readouterr().out
        return code, json.loads(told) if told else None

    return run


def manifest(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> str:
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec})


def apply(kubectl: Kubectl, namespace: str) -> None:
    """A check of a Deployment that there is not, and an objective of it."""
    probe = {"workload": {"kind": "Deployment", "name": "absent"}}
    check = {"service": "shop", "interval": "1s", "timeout": "1s", "failureThreshold": 1, "probe": probe}
    goal = {"service": "shop", "objective": "99", "window": {"rolling": "1d"},
            "indicator": {"healthCheck": {"name": "front"}}}  # fmt: skip
    kubectl("apply", "-f", "-", stdin=manifest("HealthCheck", namespace, "front", check))
    kubectl("apply", "-f", "-", stdin=manifest("ServiceLevelObjective", namespace, "front", goal))


def test_status_says_what_no_operator_has_looked_at(kubectl: Kubectl, namespace: str, say: Say) -> None:
    apply(kubectl, namespace)
    code, told = say(status_command.main, "-n", namespace)
    (service,) = told["services"]
    assert (code, service["name"], service["level"]) == (1, "shop", "Unknown")
    assert {one["state"] for one in service["objects"]} == {"NotEvaluated"}


@pytest.mark.usefixtures("operator")
def test_status_and_budget_tell_what_the_operator_wrote(kubectl: Kubectl, namespace: str, say: Say) -> None:
    apply(kubectl, namespace)

    def is_known() -> bool:
        level = say(status_command.main, "-n", namespace)[1]["services"][0]["level"]
        return bool(level in {"Wrong", "Attention"})

    until(is_known, "the operator says that the check fails")
    code, told = say(status_command.main, "-n", namespace, "shop")
    assert code == 1
    assert [one["name"] for one in told["services"]] == ["shop"]
    assert {one["object"] for one in told["services"][0]["objects"]} == {"hc/front", "slo/front"}

    until(lambda: say(budget_command.main, "slo/front", "-n", namespace)[1]["remainingPercent"] is not None, "a budget")
    _, budget = say(budget_command.main, "slo/front", "-n", namespace)
    assert (budget["objective"], budget["service"]) == ("99", "shop")


@pytest.mark.usefixtures("operator")
def test_a_freeze_is_made_heeded_listed_shown_and_lifted(kubectl: Kubectl, namespace: str, say: Say) -> None:
    name = f"freeze-{namespace}"
    asked = ("--reason", "hands off", "--name", name, "-n", namespace, "--timeout", "60")
    code, told = say(freeze_command.main, *asked)
    assert (code, told["engaged"], told["namespaces"]) == (0, True, [namespace])

    assert name in {one["name"] for one in say(freeze_command.main, "list")[1]}
    assert name in {one["name"] for one in say(status_command.main, "-n", namespace)[1]["freezes"]}
    assert say(freeze_command.main, *asked)[0] == 2, "there is one of that name"

    assert say(freeze_command.main, "lift", name) == (0, {"lifted": [name], "missing": []})
    assert kubectl("get", "freeze", name, check=False).returncode != 0


@pytest.mark.usefixtures("crds")
def test_doctor_finds_the_definitions_and_misses_the_operator(namespace: str, say: Say) -> None:
    code, told = say(doctor_command.main, "-n", namespace)
    found = {one["check"]: one for one in told["checks"]}
    assert code == 1
    assert {check: found[check]["verdict"] for check in ("API server", "clock", "CRDs", "operator", "leader")} == {
        "API server": "ok", "clock": "ok", "CRDs": "ok", "operator": "fail", "leader": "fail",
    }  # fmt: skip


def test_who_may_list_nothing_is_told_what_and_by_the_exit_code(
    kubectl: Kubectl, namespace: str, kubeconfig: Path, tmp_path: Path, say: Say
) -> None:
    kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = kubectl("create", "token", "nobody", "-n", namespace).stdout.strip()
    server = kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
    ca = kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}").stdout
    nobody = kubeconfig_for(tmp_path, server, token, ca)
    assert kubeconfig != nobody
    assert say(status_command.main, "-n", namespace, config=nobody) == (2, None)
    assert say(budget_command.main, "-n", namespace, config=nobody) == (2, None)
    code, told = say(doctor_command.main, "-n", namespace, config=nobody)
    assert code == 2
    assert {one["verdict"] for one in told["checks"]} <= {"ok", "unknown", "warn"}
    assert {one["check"] for one in told["checks"] if one["verdict"] == "unknown"} >= {"operator", "leader", "rights"}
