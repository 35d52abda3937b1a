"""R13: consent from the annotation to the target and back, with a real operator and real pods."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import Kubectl
from cluster.installation import apply as apply_to
from cluster.manifests import Manifest, deployment, health_check, policy
from cluster.operator_pod import address_beside, stage_in
from cluster.operator_process import OperatorProcess
from cluster.stage import Api
from cluster.test_recovery_consent import OTHER, apply, policies
from cluster.waiting import until
from homeostat.cli.consent.command import main

pytestmark = pytest.mark.cluster
__all__ = ["policies"]


@pytest.fixture
def operator(policies: None, api: Api, kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:  # noqa: ARG001
    """An operator of this namespace alone, in a pod where there can be one."""
    apply_to(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-system"}})
    stage = stage_in(api, kubeconfig, namespace, tmp_path, address_beside(kubeconfig))
    yield stage.start()
    stage.strike()


class Place:
    """A namespace with a Deployment, one policy for it, and somebody at a terminal."""

    def __init__(self, kubectl: Kubectl, namespace: str, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._kubeconfig = kubeconfig
        self._capsys = capsys
        self.me = kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").stdout

    def say(self, command: str, *flags: str) -> tuple[int, str]:
        """Run a command; give its exit code and what it printed."""
        where = ["-n", self._namespace, "--kubeconfig", str(self._kubeconfig), "--wait", "60"]
        return main(command, ["rp/careful", *where, *flags]), self._capsys.readouterr().out

    def put(self, *manifests: Manifest) -> None:
        for manifest in manifests:
            apply(self._kubectl, self._namespace, manifest)

    def until_rolled_out(self) -> None:
        self._kubectl("-n", self._namespace, "rollout", "status", "deploy/shop", "--timeout=60s")

    def has(self, replicas: int) -> bool:
        found = self._kubectl("-n", self._namespace, "get", "deploy", "shop", "-o", "jsonpath={.spec.replicas}")
        return bool(found.stdout == str(replicas))

    def plan(self) -> dict[str, Any] | None:
        """Give the plan that awaits approval."""
        found = json.loads(self._kubectl("-n", self._namespace, "get", "rp", "careful", "-o", "json").stdout)
        plan: dict[str, Any] | None = found.get("status", {}).get("plan")
        return plan if plan and plan["state"] == "AwaitingApproval" else None


SCALE = {"scale": {"by": "+1", "max": 3}, "timeout": "10s"}
KEEP = {"onFailure": "NextStep"}


@pytest.fixture
def place(
    operator: OperatorProcess,  # noqa: ARG001 - it answers
    kubectl: Kubectl,
    namespace: str,
    kubeconfig: Path,
    capsys: pytest.CaptureFixture[str],
) -> Place:
    made = Place(kubectl, namespace, kubeconfig, capsys)
    made.put(deployment(1))
    made.until_rolled_out()
    return made


def test_a_step_is_run_by_hand_unless_the_policy_is_paused(place: Place) -> None:
    """R13: from the annotation to the target and back; each exit code is true."""
    place.put(policy("careful", step=SCALE, mode="Suggest", verify=KEEP))
    run = ("run", "--step", "scale", "--reason", "drill")

    assert place.say("pause", "--reason", "lunch") == (0, "paused\n")
    assert place.say(*run) == (1, f"refused: Paused: Paused by {place.me}: lunch\n")
    code, said = place.say("resume")
    assert (code, said.partition(";")[0].strip()) == (0, "resumed")  # behind it, what else keeps it from acting
    assert place.has(replicas=1)
    assert place.say(*run) == (0, f"begun by {place.me}: Scale shop from 1 to 2\n")
    until(lambda: place.has(replicas=2), "the step is done")


def test_a_plan_is_carried_out_once_it_is_approved(place: Place) -> None:
    """R13: that very plan, in the name that the API server knows."""
    place.put(health_check(probe={"tcp": {"address": "192.0.2.1:9"}}))
    place.put(policy("careful", step=SCALE, mode="Approve", verify=KEEP))
    plan = until(place.plan, "it asks")

    assert (plan["does"], place.has(replicas=1)) == (["Scale shop from 1 to 2"], True)
    assert place.say("approve", "--plan", OTHER)[0] == 1
    assert place.say("approve", "--plan", plan["hash"]) == (0, f"approved by {place.me}: Scale shop from 1 to 2\n")
    until(lambda: place.has(replicas=2), "the plan is carried out")
