"""GitOps on a real API server: what the operator owns of objects, how they look to the tools, what a button does."""

from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from cluster.manifests import SHOP, health_check, kill_experiment, objective, policy
from cluster.stage import Stage
from cluster.waiting import until
from gitops import lua

pytestmark = pytest.mark.apiserver

GITOPS = Path(__file__).resolve().parents[2] / "gitops"
HEALTH = (GITOPS / "argo-cd" / "health.lua").read_text()
RULES = yaml.safe_load((GITOPS / "flux" / "health-check-exprs-of-the-group.yaml").read_text())["spec"][
    "healthCheckExprs"
][0]
WRITTEN = {"HealthCheck": SHOP, "ServiceLevelObjective": SHOP, "RecoveryPolicy": "restart-checkout"}


def health(stage: Stage, kind: str, name: str) -> str:
    return lua.health(HEALTH, stage.read(kind, name))["status"]


def owned(body: dict[str, Any]) -> set[str]:
    """Name the parts of an object that the operator owns as a field manager."""
    entries = (one for one in body["metadata"]["managedFields"] if one["manager"].startswith("homeostat"))
    return {part for entry in entries for part in entry["fieldsV1"]}


def test_of_a_users_objects_the_operator_owns_the_status_and_the_tools_agree_on_it(stage: Stage) -> None:
    plain = policy("restart-checkout")
    stage.put(health_check(), objective(), plain)
    stage.start()

    for kind, name in WRITTEN.items():
        until(lambda kind=kind, name=name: stage.condition(kind, "Ready", name), f"{kind} {name} is evaluated")
        body = stage.read(kind, name)
        assert owned(body) == {"f:status"}
        said = [word for word in ("current", "inProgress", "failed") if cel.evaluate(RULES[word], body) is True]
        assert len(said) == 1
    until(lambda: health(stage, "RecoveryPolicy", "restart-checkout") == "Healthy", "the policy is healthy")


def press(stage: Stage, kind: str, name: str, action: str) -> None:
    """Do what Argo CD does when a button is pressed: a merge patch of what the script has changed."""
    script = (GITOPS / "argo-cd" / "homeostat.dev" / kind / "actions" / action / "action.lua").read_text()
    before = stage.read(kind, name)
    was, now = (one["metadata"].get("annotations", {}) for one in (before, lua.act(script, before)))
    stage.patch(kind, {"metadata": {"annotations": {key: now.get(key) for key in was | now}}}, name)


def test_a_policy_that_is_paused_by_a_button_is_suspended_until_it_is_resumed_by_another(stage: Stage) -> None:
    stage.put(health_check(), policy("restart-checkout"))
    stage.start()
    stage.until_status("RecoveryPolicy", lambda it: it.get("conditions"), "evaluated", "restart-checkout")

    press(stage, "RecoveryPolicy", "restart-checkout", "pause")
    stage.until_blocked("Paused", "restart-checkout")
    assert health(stage, "RecoveryPolicy", "restart-checkout") == "Suspended"

    press(stage, "RecoveryPolicy", "restart-checkout", "resume")
    stage.until_status(
        "RecoveryPolicy", lambda it: (it.get("blocked") or {}).get("reason") != "Paused", "resumed", "restart-checkout"
    )
    assert health(stage, "RecoveryPolicy", "restart-checkout") == "Healthy"


def test_a_run_that_is_asked_for_by_a_button_is_taken_up_under_its_word(stage: Stage) -> None:
    stage.put(health_check(), kill_experiment(start="OnRequest"))
    stage.start()
    name = kill_experiment()["metadata"]["name"]
    stage.until_status("ChaosExperiment", lambda it: it.get("conditions"), "evaluated", name)

    press(stage, "ChaosExperiment", name, "run")

    stage.until_status("ChaosExperiment", lambda it: it.get("run") == "argo-cd-1", "taken up", name)
