"""`homeostat report gameday/NAME`: one report of all steps, from a saved object (C17)."""

import json
from pathlib import Path

import pytest
import yaml

from homeostat.__main__ import main
from homeostat.api.chaos_status import Plan, ProofRecord, ProofState, Timings, Verdict
from homeostat.api.gameday import KIND
from homeostat.api.meta import API_VERSION
from homeostat.core.gameday import Rehearsal
from scenarios.gameday.world import World, a_day

STEPS = (
    {"experiment": "pod-loss", "gate": {"wait": "2s", "healthChecks": [{"name": "checkout", "state": "Degraded"}]},
     "onFailure": "Continue"},
    {"experiment": "latency-spike", "gate": {"wait": "0s", "verdict": "Any"}},
    {"name": "last", "experiment": "dns-outage"},
)  # fmt: skip


def saved(folder: Path, world: World) -> str:
    """Write a game day as `kubectl get -o yaml` would (JSON is YAML)."""
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND.kind,
        "metadata": {"name": "friday", "namespace": "shop"},
        "spec": world.spec.wire(),
        "status": world.status.wire(),
    }
    path = folder / "day.yaml"
    path.write_text(json.dumps(body))
    return str(path)


def a_day_that_is_over() -> World:
    world = World(a_day(*STEPS, description="Checkout | bears it"))
    one = world.experiments["latency-spike"]
    one.verdict, one.reason = Verdict.FAILED, "HypothesisBroken"
    proof = ProofRecord(kind="RecoveryPolicy", name="restart-checkout", state=ProofState.PROVED)
    for each in world.experiments.values():
        each.status = each.status.model_copy(update={"proofs": (proof,), "timings": Timings()})
    world.checks = {}
    world.spec = a_day({**STEPS[0], "gate": {"wait": "2s"}}, *STEPS[1:], description="Checkout | bears it")
    world.run(60)
    world.spec = a_day(*STEPS, description="Checkout | bears it")
    return world


def test_a_report_names_each_step_its_verdict_its_gate_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C17: one report of the whole day."""
    assert main(["report", "gameday/friday", "-f", saved(tmp_path, a_day_that_is_over())]) == 0
    told = capsys.readouterr().out

    assert told.startswith("# shop/friday, day 1\n\nCheckout \\| bears it\n\n**Failed** (StepNotPassed).")
    assert "| latency-spike | `latency-spike` | 1 | Failed | HypothesisBroken |" in told
    assert "| last | `dns-outage` | 1 | Passed | HypothesisHeld |" in told
    assert "| last | RecoveryPolicy `restart-checkout` | Proved |" in told
    assert "- after pod-loss: it passed, a pause of 2s, HealthCheck `checkout` Degraded within 5m; else go on" in told
    assert "- after latency-spike: any verdict, a pause of 0s; else end the day" in told
    assert "- about latency-spike" in told
    assert "| 1 | 2026-12-01 12:00:01Z |" in told


def test_a_report_for_machines_has_the_words_of_the_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["report", "gd/friday", "-f", saved(tmp_path, a_day_that_is_over())]
    assert main([*asked, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert main([*asked, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == told
    assert told["gameDay"] == {"namespace": "shop", "name": "friday", "description": "Checkout | bears it"}
    assert told["isOver"] is True
    assert [step["verdict"] for step in told["day"]["steps"]] == ["Passed", "Failed", "Passed"]
    assert "conditions" not in told["day"]


def test_a_dry_run_is_reported_as_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C14: one plan of all."""
    plan = Plan(targets=("Pod/a",), changes=("delete Pod/a",), undo=("none",))
    drawn = {name: Rehearsal(plan, "DryRun", "") for name in ("pod-loss", "latency-spike", "dns-outage")}
    world = World(a_day(*STEPS, dryRun=True), rehearsals=drawn)
    world.run(2)

    assert main(["report", "gameday/friday", "-f", saved(tmp_path, world)]) == 0
    assert "| last | Pod/a | delete Pod/a | none |" in capsys.readouterr().out


def test_a_day_that_needs_a_human_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13: what is waited for."""
    gate = {"gate": {"approval": "Required"}}
    world = World(a_day({"experiment": "pod-loss", **gate}, {"experiment": "dns-outage"}, approval="Required"))
    world.run(3)

    assert main(["report", "gameday/friday", "-f", saved(tmp_path, world)]) == 0
    told = capsys.readouterr().out
    assert "**AwaitingApproval**: Step pod\\-loss" in told or "**AwaitingApproval**: Step pod-loss" in told
    assert "a human's approval" in told


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("gameday/monday", "there is no GameDay monday"), ("gameday/friday", "there was no day yet")],
)
def test_without_a_day_there_is_no_report(
    name: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", name, "-f", saved(tmp_path, World())]) == 2
    assert complaint in capsys.readouterr().err
