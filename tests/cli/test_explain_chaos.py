"""`homeostat explain chaos/NAME`: gate by gate, from what the operator wrote and what one may read."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.test_explain_command import (
    DEPLOYMENT,
    FREEZES,
    LONG_AGO,
    NAMESPACE,
    OURS,
    PODS,
    Bodies,
    api_of,
    check,
    deployment,
    listing,
    pod,
    run,
    says,
    shop,
)
from homeostat.cli import desk
from homeostat.core.chaos.explaining import BEFORE, DURING
from homeostat.kube.apiserver.client import Patience

EXPERIMENT = f"{OURS}/chaosexperiments/kill"
OBJECTIVES = f"{OURS}/servicelevelobjectives"
SPEC = {
    "fault": {"podKill": {}},
    "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
    "duration": "2m",
    "hypothesis": [{"healthCheck": {"name": "checkout"}}],
}


def experiment(status: Bodies | None = None, **spec: Any) -> Bodies:
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ChaosExperiment",
        "metadata": {"name": "kill", "namespace": "shop", "uid": "kill-1", "resourceVersion": "7", "generation": 3},
        "spec": SPEC | spec,
        "status": {"observedGeneration": 3, "phase": "Pending"} if status is None else status,
    }


def objective(**status: Any) -> Bodies:
    return {
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "slo-1", "resourceVersion": "3", "generation": 1},
        "spec": {"service": "checkout", "objective": "99.9", "window": {"rolling": "30d"},
                 "indicator": {"healthCheck": {"name": "checkout"}}},
        "status": {"observedGeneration": 1} | status,
    }  # fmt: skip


def world(body: Bodies | None = None, **changes: Any) -> Bodies:
    """A namespace that takes part in chaos, all well; `changes` by path."""
    labels = {"homeostat.dev/chaos": "allowed"}
    allowed = {"metadata": {"name": "shop", "labels": labels}, "status": {"phase": "Active"}}
    pods = [pod(f"checkout-{number}") for number in range(4)]
    healthy = check("checkout", "Healthy", lastProbe=LONG_AGO, since=LONG_AGO)
    return shop(**{
        EXPERIMENT: experiment() if body is None else body,
        NAMESPACE: allowed,
        PODS: listing(*pods),
        "/api/v1/pods": listing(*pods, *(pod(f"other-{number}") for number in range(90))),
        DEPLOYMENT: deployment(),
        f"{OURS}/healthchecks": listing(healthy),
        OBJECTIVES: listing(),
        f"{OURS}/recoverypolicies": listing(),
        "/apis/policy/v1/namespaces/shop/poddisruptionbudgets": listing(),
    }) | changes  # fmt: skip


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


async def test_an_experiment_that_nothing_stands_against_passes_every_gate_and_says_what_it_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods: set[str] = set()
    code = await run(tmp_path, api_of(world(), methods=methods), "chaos/kill")
    told = capsys.readouterr().out

    lines = told.splitlines()
    assert lines[0] == "ChaosExperiment shop/kill: Pending"
    assert [line.split()[0] for line in lines[lines.index("") + 2 :][: len(BEFORE)]] == list(BEFORE)
    assert all(says(told, gate) == "passed" for gate in BEFORE)
    assert "All gates let it pass." in lines
    assert any(line.startswith("would do:    ") and "checkout-" in line for line in lines)
    assert "hypothesis:  HealthCheck checkout is Healthy; must hold during the fault" in lines
    assert "stop it:     homeostat chaos abort chaos/kill -n shop" in lines
    assert "fault off:   after 2m at the latest" in lines
    assert "only the operator knows its rights" in told
    assert code == 0
    assert methods == {"GET"}


async def test_a_schedule_says_when_it_begins_next_and_what_would_refuse_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    freeze = {
        "metadata": {"name": "outage", "uid": "f-1", "resourceVersion": "1"},
        "spec": {"stops": ["Chaos"], "reason": "provider outage", "until": "2099-01-01T00:00:00Z"},
    }
    body = experiment(schedule={"cron": "0 3 * * *", "timeZone": "Europe/Berlin"})
    code = await run(tmp_path, api_of(world(body, **{FREEZES: listing(freeze)})), "chaos/kill")
    told = capsys.readouterr().out

    assert says(told, "wanted").startswith("REFUSED    NotDue: The schedule's next time has not come. (until ")
    assert says(told, "frozen") == "REFUSED    Frozen: Freeze outage: provider outage"
    assert "No run is wanted now. If it were, it would be refused by frozen." in told
    assert "(0 3 * * *, Europe/Berlin)" in told
    assert code == 1


async def test_a_budget_a_page_and_a_broken_hypothesis_are_told_from_what_the_operator_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"type": "BurnRate", "severity": "Page", "long": "1h", "short": "5m", "since": LONG_AGO}
    burning = objective(
        state="Burning", alerts=[page], holds=["Chaos"], burnRates=[{"window": "1h", "rate": "20"}],
        conditions=[{"type": "DataPresent", "status": "True", "reason": "Fresh", "message": "",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    )  # fmt: skip
    body = experiment(stopConditions=[{"slo": {"name": "checkout", "burnRateAbove": "14.4"}}])
    unwell = check("checkout", "Unhealthy", lastProbe=LONG_AGO, since=LONG_AGO)
    changes = {OBJECTIVES: listing(burning), f"{OURS}/healthchecks": listing(unwell)}
    code = await run(tmp_path, api_of(world(body, **changes)), "chaos/kill", "-o", "json")
    told = json.loads(capsys.readouterr().out)

    reasons = {gate["name"]: gate["reason"] for gate in told["gates"] if gate["passed"] is False}
    assert reasons == {
        "budget_held": "BudgetHeld", "incident_open": "IncidentOpen", "stop_conditions": "BurnRateAbove",
        "steady_state": "SteadyStateBroken",
    }  # fmt: skip
    assert told["refusedBy"] == "budget_held"
    assert told["stopConditions"][0]["holds"] is False
    assert code == 1


async def test_what_one_may_not_read_and_what_only_the_operator_measures_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = {"promql": {"query": "sum(up)", "condition": "> 1"}}
    body = experiment(hypothesis=[query])
    code = await run(tmp_path, api_of(world(body), forbidden=(PODS,)), "chaos/kill")
    told = capsys.readouterr().out

    assert says(told, "plan") == "not known  you may not read its targets and what limits a fault"
    assert "only the operator asks Prometheus" in says(told, "steady_state")
    assert "Nothing that is known refuses; not known: namespace, plan, steady_state." in told
    assert code == 3


async def test_under_a_fault_the_gates_are_those_that_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = {
        "observedGeneration": 3, "phase": "Running", "reason": "FaultActive", "fault": "podKill",
        "target": "Pod app=checkout", "runNumber": 2, "runGeneration": 3, "startedAt": LONG_AGO, "injectedAt": LONG_AGO,
        "revertAt": "2099-01-01T00:00:00.000000Z",
    }  # fmt: skip
    code = await run(tmp_path, api_of(world(experiment(status)), forbidden=(PODS,)), "chaos/kill")
    told = capsys.readouterr().out

    assert told.startswith("ChaosExperiment shop/kill: Running (FaultActive), podKill of Pod app=checkout, run 2\n")
    assert all(says(told, gate) == "passed" for gate in DURING)
    assert "Nothing that is known stops its fault." in told
    assert "fault off:   at 2099-01-01T00:00:00Z at the latest" in told
    assert code == 0
