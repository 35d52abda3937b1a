"""Alerts as triggers: a real Alertmanager, with a token of the cluster, fires a policy; its word outlives a kill -9."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest

from alertmanager_process import RunningAlertmanager, running_alertmanager
from cluster.installation import apply, token_of
from cluster.manifests import OURS, Manifest
from cluster.objectives import Caller, bystander
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.apiserver

POLICY, GROUP = "RecoveryPolicy", "rbac.authorization.k8s.io"


def policy() -> Manifest:
    """Tell a human when the alert HighErrors fires; there is nothing to heal."""
    spec = {
        "mode": "Auto",
        "target": {"kind": "Deployment", "name": "nobody"},
        "triggers": [{"alert": {"name": "HighErrors"}, "for": "1h"}],
        "steps": [{"escalate": {}}],
    }
    return {"apiVersion": OURS, "kind": POLICY, "metadata": {"name": "errors"}, "spec": spec}


def teller(stage: Stage) -> Caller:
    """Give somebody who may tell the policies of the stage of alerts, as docs/api.md says it."""
    metadata = {"metadata": {"name": "tell-alerts", "namespace": stage.namespace}}
    rules = [{"apiGroups": ["homeostat.dev"], "resources": ["recoverypolicies/alerts"], "verbs": ["create"]}]
    who = {"kind": "ServiceAccount", "name": "tell-alerts", "namespace": stage.namespace}
    role = {"apiGroup": GROUP, "kind": "Role", "name": "tell-alerts"}
    apply(stage.api, {"apiVersion": "v1", "kind": "ServiceAccount", **metadata})
    apply(stage.api, {"apiVersion": f"{GROUP}/v1", "kind": "Role", **metadata, "rules": rules})
    binding = {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding", **metadata, "roleRef": role, "subjects": [who]}
    apply(stage.api, binding)
    return Caller(stage, token_of(stage.api, stage.namespace, "tell-alerts"))


def tell(alertmanager: RunningAlertmanager, ends_in: timedelta) -> None:
    """Tell Alertmanager of the alert, as Prometheus does."""
    now = datetime.now(UTC)
    told = {
        "labels": {"alertname": "HighErrors"},
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now + ends_in).isoformat(),
    }
    headers = {"Content-Type": "application/json"}
    request = Request(f"{alertmanager.url}/api/v2/alerts", json.dumps([told]).encode(), headers)  # noqa: S310
    with urlopen(request, timeout=10):  # noqa: S310 - our own URL on loopback
        pass


def signal(status: dict[str, Any]) -> str:
    """Give the state of the only trigger."""
    return next((one["state"] for one in status.get("signals", [])), "")


def until_signal(stage: Stage, state: str) -> dict[str, Any]:
    return stage.until_status(POLICY, lambda it: signal(it) == state, f"the alert is {state}", "errors")


def test_an_alert_fires_a_policy_and_ends_through_a_kill(stage: Stage) -> None:
    """R2, R12: silence is Unknown and Idle; a firing alert is on record, and a new process believes it."""
    stage.put(policy())
    stage.start()
    silent = until_signal(stage, "Unknown")
    assert silent["phase"] == "Idle"
    body = {"version": "4", "alerts": []}
    assert bystander(stage).ask("POST", f"/alerts/{stage.namespace}", body)[0] == 403
    caller = teller(stage)
    until(lambda: caller.ask("POST", f"/alerts/{stage.namespace}", body)[0] == 200, "the right is known")
    hook = f"{stage.one.api}/api/v1/alerts/{stage.namespace}"
    with running_alertmanager(stage.folder / "alertmanager", hook, token=caller.token) as alertmanager:
        tell(alertmanager, timedelta(hours=1))
        fired = until_signal(stage, "Firing")
        assert fired["phase"] == "Pending"
        stage.one.kill()
    stage.one.start()
    stage.patch(POLICY, {"metadata": {"annotations": {"story": "look"}}}, "errors")
    again = stage.until_status(POLICY, lambda it: signal(it) == "Firing", "it is believed", "errors")
    assert again["signals"][0]["observedAt"] == fired["signals"][0]["observedAt"]
    hook = f"{stage.one.api}/api/v1/alerts/{stage.namespace}"
    with running_alertmanager(stage.folder / "alertmanager", hook, token=caller.token) as alertmanager:
        tell(alertmanager, timedelta(0))
        over = until_signal(stage, "Quiet")
    assert over["phase"] == "Idle"
