"""Chaos experiments on a real cluster: what passes, what is restored, and what is refused untouched."""

from typing import Any

import pytest

from cluster.manifests import (
    Manifest,
    bystander,
    disruption_budget,
    freeze,
    kill_experiment,
    policy,
    scale_experiment,
)
from cluster.stage import MERGE, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

MARKER = "homeostat.dev/chaos"


def replicas(shop: Stage) -> int:
    return int(shop.read("Deployment")["spec"]["replicas"])


def is_marked(shop: Stage) -> bool:
    return MARKER in shop.read("Deployment")["metadata"].get("annotations", {})


def test_losing_a_pod_passes_where_users_do_not_notice(shop: Stage) -> None:
    """C7, C15, C17: exactly one pod goes, another comes, the verdict is Passed with its timings."""
    before = shop.open_healthy_shop()
    shop.put(kill_experiment())
    status = shop.until_finished()
    after = shop.until_serving(3)

    assert (status["verdict"], status["reason"]) == ("Passed", "HypothesisHeld")
    assert len(set(before.values()) - set(after.values())) == 1
    assert status["timings"]["recoveredAfter"]
    assert until(lambda: shop.events("Injected"), "an event tells of the fault")
    assert until(lambda: shop.events("Passed"), "an event tells of the verdict")


def test_a_workload_scaled_to_nothing_is_restored(shop: Stage) -> None:
    """C2, C5, C7: MayBreak: the outage is seen, the original replicas come back, marker and finalizer go."""
    shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=0, duration="20s"))
    running = shop.until_phase("Running")
    assert (running["targets"][0]["original"], running["targets"][0]["to"]) == ({"replicas": "3"}, {"replicas": "0"})
    assert (replicas(shop), is_marked(shop)) == (0, True)
    assert shop.read("ChaosExperiment")["metadata"]["finalizers"]

    status = shop.until_finished()
    assert status["verdict"] == "Passed", status
    assert {"detectedAfter", "recoveredAfter", "revertedAfter"} <= set(status["timings"])
    assert (replicas(shop), is_marked(shop)) == (3, False)
    until(lambda: "finalizers" not in shop.read("ChaosExperiment")["metadata"], "the finalizer goes")


def test_a_hypothesis_that_must_hold_and_does_not_fails_the_run(shop: Stage) -> None:
    """C7, C15: the fault comes off at once, and the verdict is Failed."""
    shop.open_healthy_shop(bystander())
    must_hold = [{"healthCheck": {"name": "shop", "state": "Healthy"}}]
    shop.put(scale_experiment(to=0, duration="10m", hypothesis=must_hold))
    status = shop.until_finished()

    assert (status["verdict"], status["reason"]) == ("Failed", "HypothesisBroken")
    assert (replicas(shop), is_marked(shop)) == (3, False)


def test_a_second_run_is_asked_for_by_annotation(shop: Stage) -> None:
    """C9: nothing runs again by itself; a new value of homeostat.dev/run does it."""
    shop.open_healthy_shop()
    shop.put(kill_experiment())
    shop.until_finished()
    shop.patch("ChaosExperiment", {"metadata": {"annotations": {"homeostat.dev/run": "2"}}})
    status = shop.until_finished(2)

    assert [run["verdict"] for run in status["runs"]] == ["Passed", "Passed"]


def test_a_run_that_is_deleted_is_undone_before_it_goes(shop: Stage) -> None:
    """C2, C3: deletion while the fault is on: the Deployment is as before, then the object goes."""
    shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=0, duration="10m"))
    shop.until_phase("Running")
    shop.delete("ChaosExperiment")
    until(lambda: shop.find("ChaosExperiment") is None, "the experiment is gone")

    assert (replicas(shop), is_marked(shop)) == (3, False)


def test_a_newer_value_of_another_writer_is_kept(shop: Stage) -> None:
    """C5: somebody scales while the fault is on: the undo takes the marker off, and leaves his number."""
    shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=1, duration="10m"))
    shop.until_phase("Running")
    shop.patch("Deployment", {"spec": {"replicas": 2}})
    shop.patch("ChaosExperiment", {"metadata": {"annotations": {"homeostat.dev/abort": "enough"}}})
    status = shop.until_finished()

    assert status["targets"][0]["phase"] == "Superseded"
    assert (replicas(shop), is_marked(shop)) == (2, False)


REFUSALS: dict[str, tuple[Manifest, str, str]] = {
    "no_target_matches": (
        kill_experiment(target={"kind": "Pod", "selector": {"matchLabels": {"app": "shpo"}}}), "Failed", "NoTargets",
    ),
    "the_share_is_less_than_one": (
        kill_experiment(target={"kind": "Pod", "selector": {"matchLabels": {"app": "shop"}}, "count": "10%"}),
        "Aborted", "BlastRadiusRoundsToZero",
    ),
    "too_few_would_be_left": (
        kill_experiment(blastRadius={"minAvailable": 3}), "Aborted", "BlastRadiusMinAvailable",
    ),
    "too_much_of_the_namespace_would_go": (scale_experiment(to=0), "Aborted", "BlastRadiusNamespace"),
    "a_disruption_budget_forbids_it": (kill_experiment(), "Aborted", "BlastRadiusDisruptionBudget"),
    "the_namespace_has_not_opted_in": (kill_experiment(), "Aborted", "NamespaceNotAllowed"),
    "there_is_no_check": (
        kill_experiment(hypothesis=[{"healthCheck": {"name": "missing"}}]), "Inconclusive", "SignalMissing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_run_is_refused_untouched(shop: Stage, case: str) -> None:
    """C7, C10, C11, C15: nothing happens, the verdict says why, and missing data never passes."""
    experiment, verdict, reason = REFUSALS[case]
    before = shop.open_healthy_shop(replicas=2)
    if case == "a_disruption_budget_forbids_it":
        shop.put(disruption_budget(2))
        until(lambda: shop.status("PodDisruptionBudget", "shop").get("expectedPods") == 2, "the budget is counted")
    if case == "the_namespace_has_not_opted_in":
        unlabelled = {"metadata": {"labels": {"homeostat.dev/chaos": None}}}
        shop.api("PATCH", f"/api/v1/namespaces/{shop.namespace}", unlabelled, content_type=MERGE)
    shop.put(experiment)
    status = shop.until_finished()

    assert (status["verdict"], status["reason"]) == (verdict, reason)
    assert shop.pods() == before
    assert (replicas(shop), is_marked(shop)) == (2, False)


def test_a_dry_run_plans_exactly_what_the_run_then_does(shop: Stage) -> None:
    """C14: targets, changes and undo by the same code; nothing is touched until dryRun is taken back."""
    before = shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=1, duration="3s", dryRun=True))
    dry = shop.until_status("ChaosExperiment", lambda it: it.get("phase") == "Finished", "planned")
    assert "verdict" not in dry
    assert dry["reason"] == "DryRun"
    assert shop.pods() == before

    shop.patch("ChaosExperiment", {"spec": {"dryRun": False}})
    real = shop.until_status("ChaosExperiment", lambda it: it.get("verdict") and it["phase"] == "Finished", "run")
    assert real["plan"] == dry["plan"]
    assert real["plan"]["targets"] == ["Deployment/shop"]


def test_a_check_that_falls_silent_stops_the_run(shop: Stage) -> None:
    """C7, C15: the check is suspended while the fault is on: Aborted, undone, not passed."""
    shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=1, duration="10m", recoveryTimeout="30s"))  # the check never speaks again
    shop.until_phase("Running")
    shop.patch("HealthCheck", {"spec": {"suspend": True}})
    status = shop.until_finished()

    assert status["verdict"] in {"Aborted", "Inconclusive"}
    assert (replicas(shop), is_marked(shop)) == (3, False)


def test_a_freeze_stops_a_run_for_good(shop: Stage) -> None:
    """C8, C9: reverted and Aborted at once; lifting the freeze does not bring it back."""
    shop.open_healthy_shop(bystander())
    shop.put(scale_experiment(to=0, duration="10m"))
    shop.until_phase("Running")
    name = f"chaos-{shop.namespace}"
    shop.put(freeze(name, shop.namespace, "Chaos"))
    status = shop.until_finished()
    assert (status["verdict"], status["reason"]) == ("Aborted", "Frozen")
    assert (replicas(shop), is_marked(shop)) == (3, False)
    frozen = shop.until_status("Freeze", lambda it: it.get("stopped"), "it says what it stopped", name)
    assert {"kind": "ChaosExperiment", "namespace": shop.namespace, "name": "shop"} in frozen["stopped"]

    shop.delete("Freeze", name)
    shop.until_serving(3)
    shop.until_state("Healthy")
    assert shop.status("ChaosExperiment")["runNumber"] == 1
    shop.patch("ChaosExperiment", {"metadata": {"annotations": {"homeostat.dev/run": "2"}}})
    assert shop.until_status("ChaosExperiment", lambda it: it.get("runNumber") == 2, "a new run when asked for")


def test_a_freeze_holds_recovery_back_until_it_is_lifted(shop: Stage) -> None:
    """R12, C9: Blocked Frozen with the freeze's reason; afterwards recovery goes on by itself."""
    before = shop.open_healthy_shop(policy())
    name = f"recovery-{shop.namespace}"
    shop.put(freeze(name, shop.namespace, "Recovery"))
    shop.until_status("Freeze", lambda it: it.get("engaged"), "engaged", name)
    shop.break_pod(min(before))
    status: dict[str, Any] = shop.until_blocked("Frozen")
    assert "a test says so" in status["blocked"]["message"]
    assert shop.pods() == before

    shop.delete("Freeze", name)
    shop.until_recovered()
