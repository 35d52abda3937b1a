"""C17: the report of a run says what was to be shown, what was done, what was seen, and what to do about it."""

import json
from pathlib import Path

import pytest
import yaml

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.cli.reports import command as report_command
from homeostat.cli.reports.experiment import as_data, as_markdown

EXPERIMENT = """
apiVersion: homeostat.dev/v1alpha1
kind: ChaosExperiment
metadata: {name: kill-checkout, namespace: shop}
spec:
  description: Losing a pod | is not *noticed*
  fault: {podKill: {}}
  target: {kind: Pod, selector: {matchLabels: {app: checkout}}}
  duration: 60s
  hypothesis:
    - {healthCheck: {name: checkout}}
    - {slo: {name: checkout, burnRateBelow: "6"}, duringFault: MayBreak}
    - {promql: {query: 'sum(errors) / sum(requests)', condition: "< 0.05"}}
  stopConditions: [{slo: {name: checkout, burnRateAbove: "14.4"}}, {budget: {slo: checkout, remainingBelow: "10%"}}]
  proves: [{recoveryPolicy: restart-checkout}]
status:
  fault: podKill
  target: Pod app=checkout
  phase: Finished
  verdict: Passed
  reason: HypothesisHeld
  message: All is well.
  runNumber: 2
  startedAt: "2026-11-21T10:00:00.000Z"
  injectedAt: "2026-11-21T10:00:10.000Z"
  plan: {targets: [Pod/checkout-1], changes: ["delete Pod/checkout-1"], undo: ["none: a new pod is made"]}
  targets:
    - {kind: Pod, name: checkout-1, uid: a, phase: Recovered, mechanism: nftables drop, counters: {dropped: 7},
       original: {replicas: "3"}, to: {replicas: "0"},
       workload: {kind: Deployment, name: checkout, uid: b, readyBefore: 3}}
  timings: {detectedAfter: 4s, actedAfter: 5s, recoveredAfter: 38s}
  observations:
    - {at: "2026-11-21T10:00:00.000Z", what: HealthCheck checkout is Healthy}
    - {at: "2026-11-21T10:00:14.000Z", what: HealthCheck checkout is Unhealthy}
  proofs:
    - {kind: RecoveryPolicy, name: restart-checkout, state: Proved, detectedAfter: 4s, actedAfter: 5s,
       verifiedAfter: 38s}
  budgetSpent: {checkout: "1.25%"}
  stages:
    before: {passed: 20, latency: 12ms, score: 100}
    during: {passed: 40, failed: 4, latency: 300ms, score: 61, restarts: 1}
  recommendations: [Deployment checkout has no PodDisruptionBudget]
  runs:
    - {number: 2, startedAt: "2026-11-21T10:00:00.000Z", endedAt: "2026-11-21T10:02:00.000Z", verdict: Passed,
       reason: HypothesisHeld, timings: {detectedAfter: 4s}}
    - {number: 1, startedAt: "2026-11-14T10:00:00.000Z", endedAt: "2026-11-14T10:03:00.000Z", verdict: Failed,
       reason: NotProved, timings: {recoveredAfter: 61s}, budgetSpent: {checkout: "2.5%"}, proofs: [
       {kind: RecoveryPolicy, name: restart-checkout, state: NotProved, message: it did not act}]}
"""
BODY = yaml.safe_load(EXPERIMENT)


def rendered() -> str:
    spec, status = (
        ChaosExperimentSpec.model_validate(BODY["spec"]),
        ChaosExperimentStatus.model_validate(BODY["status"]),
    )
    return as_markdown("shop", "kill-checkout", spec, status)


@pytest.mark.parametrize(
    "said",
    [
        "# shop/kill-checkout, run 2", "**Passed** (HypothesisHeld). All is well.",
        "| Detected after | 4s |",
        "| Acted after | 5s |", "| Recovered after | 38s |", "| Budget of checkout spent | 1.25% |",
        "- HealthCheck checkout is Healthy\n",
        "checkout burns less than 6 times its budget, may break during the fault",
        "`sum(errors) / sum(requests)` \\< 0.05",
        "- ends at once when less than 10 % of the budget of checkout is left",
        "- delete Pod/checkout-1\n", "- undo: none: a new pod is made",
        "| Pod/checkout-1 | Recovered | nftables drop | replicas: 3 → 0, 7 dropped |",
        "| RecoveryPolicy restart-checkout | Proved | 4s | 5s | 38s | - |",
        "| during | 40 | 4 | 300ms | 61 | 1 |", "- 2026-11-21 10:00:14Z (+4s) HealthCheck checkout is Unhealthy",
        "- Deployment checkout has no PodDisruptionBudget",
        "| 2 | 2026-11-21 10:00:00Z | Passed | HypothesisHeld | 4s |",
    ],
)  # fmt: skip
def test_a_report_says(said: str) -> None:
    """C17."""
    assert said in rendered()


def test_what_people_wrote_is_no_markup() -> None:
    """Text of others is data: a description makes no table and no emphasis."""
    assert "Losing a pod \\| is not \\*noticed\\*" in rendered()


def test_a_run_that_is_not_over_is_no_verdict() -> None:
    """C15: what is not known yet is not said."""
    spec = ChaosExperimentSpec.model_validate(BODY["spec"])
    status = ChaosExperimentStatus.model_validate({"phase": "Running", "runNumber": 1, "message": "The fault is on."})

    assert "**Running**: The fault is on." in as_markdown("shop", "kill-checkout", spec, status)
    assert as_data("shop", "kill-checkout", spec, status)["isOver"] is False


def test_the_command_reads_what_kubectl_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON, whole; and a clear word where there is no such experiment, or no run."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT)

    assert report_command.main(["chaos/kill-checkout", "-f", str(file), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"]["proofs"][0]["verifiedAfter"] == "38s"
    assert list(told["fault"]) == ["podKill"]

    assert report_command.main(["chaos/other", "-f", str(file)]) == 2
    assert "there is no ChaosExperiment other" in capsys.readouterr().err

    file.write_text(EXPERIMENT.partition("status:")[0])
    assert report_command.main(["chaos/kill-checkout", "-f", str(file)]) == 2
    assert "there was no run yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "# shop/kill-checkout, run 1", "**Failed** (NotProved).", "| Ended | 2026-11-14 10:03:00Z |",
        "| Recovered after | 1m1s |", "| Budget of checkout spent | 2.5% |",
        "| RecoveryPolicy restart-checkout | NotProved | - | - | - | it did not act |",
    ],
)  # fmt: skip
def test_an_earlier_run_is_reported_as_far_as_it_is_kept(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C17."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT)

    assert report_command.main(["chaos/kill-checkout", "-f", str(file), "--run", "1"]) == 0
    assert said in capsys.readouterr().out


def test_earlier_runs_are_asked_for_by_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last one is reported whole; one that is not kept is named with those that are."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT)
    asked = ["chaos/kill-checkout", "-f", str(file), "-o", "json"]

    assert report_command.main([*asked, "--run", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["stages"]["during"]["failed"] == 4
    assert report_command.main([*asked, "--run", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["budgetSpent"] == {"checkout": "2.5%"}
    assert report_command.main([*asked, "--run", "7"]) == 2
    assert "there is no run 7; of earlier runs the newest five are kept: 1, 2" in capsys.readouterr().err
