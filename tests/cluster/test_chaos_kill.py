"""kill -9 of the operator around a fault: whatever happens to it, the Deployment ends as it was before."""

from datetime import UTC, datetime

import pytest

from cluster import proxy
from cluster.experiments import disarm_guards
from cluster.manifests import bystander, scale_experiment
from cluster.stage import MERGE, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

MARKER = "homeostat.dev/chaos"
DEPLOYMENT = r"/deployments/shop\?"
UNWATCHED = {
    ("Inconclusive", "Interrupted"),
    ("Inconclusive", "GuardFired"),
    ("Aborted", "SignalStale"),
    ("Aborted", "SignalUnknown"),
}
"""How a run ends that nobody watched for a while: a machine under load starts an operator in seconds or in twenty."""


def until_restored(stage: Stage, replicas: int = 2) -> None:
    """Wait until the Deployment is as before, without a marker, and serves."""

    def is_restored() -> bool:
        found = stage.read("Deployment")
        return found["spec"]["replicas"] == replicas and MARKER not in found["metadata"].get("annotations", {})

    until(is_restored, "the Deployment is as before")
    stage.until_serving(replicas)


def open_case(stage: Stage, *flags: str) -> None:
    stage.open_shop(bystander(), replicas=2)
    stage.start(*flags)
    stage.until_state("Healthy")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_at_the_injection_ends_with_the_target_as_it_was(stage: Stage, moment: str) -> None:
    """C2, C5: whether or not the write had got through, the next process finds out from the target."""
    open_case(stage)
    effect = proxy.instead(stage.one.kill) if moment == "before" else proxy.after(stage.one.kill)
    cut = stage.faults.on("PATCH", DEPLOYMENT, effect)
    stage.put(scale_experiment(to=1, duration="4s"))
    assert cut.has_hit.wait(90), stage.one.tail()
    record = stage.status("ChaosExperiment")["targets"][0]
    assert (record["original"], record["to"]) == ({"replicas": "2"}, {"replicas": "1"})
    assert stage.read("Deployment")["spec"]["replicas"] == (2 if moment == "before" else 1)

    stage.one.start()
    status = stage.until_finished()
    until_restored(stage)
    assert status["runNumber"] == 1
    assert status["verdict"] in {"Passed", "Aborted", "Inconclusive"}


def test_a_kill_while_the_fault_is_on_does_not_leave_it_on(stage: Stage) -> None:
    """C3, C5, C15: away when the fault should end: undone on its return; away for long, it is not called Passed."""
    open_case(stage)
    stage.put(scale_experiment(to=1, duration="10s"))
    ends = datetime.fromisoformat(stage.until_phase("Running")["revertAt"])
    stage.one.kill()
    assert stage.read("Deployment")["spec"]["replicas"] == 1
    until(lambda: datetime.now(UTC) > ends, "the fault should have ended")
    stage.one.start()
    status = stage.until_finished()

    until_restored(stage)
    assert (status["verdict"], status["reason"]) in {("Passed", "HypothesisHeld"), *UNWATCHED}


def test_a_kill_at_the_undo_does_not_undo_twice_nor_never(stage: Stage) -> None:
    """C5: killed after the undo was done and before it was known."""
    open_case(stage)
    stage.put(scale_experiment(to=1, duration="10m"))
    stage.until_phase("Running")
    cut = stage.faults.on("PATCH", DEPLOYMENT, proxy.after(stage.one.kill))
    stage.patch("ChaosExperiment", {"metadata": {"annotations": {"homeostat.dev/abort": "enough"}}})
    assert cut.has_hit.wait(90), stage.one.tail()
    stage.one.start()
    status = stage.until_finished()

    until_restored(stage)
    assert status["targets"][0]["phase"] in {"Reverted", "Recovered"}


def test_a_fault_whose_experiment_was_taken_away_is_found_by_its_marker(stage: Stage) -> None:
    """C3: operator down, finalizer stripped, object deleted: the next process restores by the marker alone."""
    open_case(stage)
    stage.put(scale_experiment(to=1, duration="10m"))
    stage.until_phase("Running")
    disarm_guards(stage)  # or it is the guard that restores, before the operator is back
    stage.one.kill()
    path = stage.path("ChaosExperiment", "shop")
    stage.api("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    stage.delete("ChaosExperiment")
    until(lambda: stage.find("ChaosExperiment") is None, "the experiment is gone")
    assert stage.read("Deployment")["spec"]["replicas"] == 1

    stage.one.start()
    until_restored(stage)


def test_a_run_that_was_under_way_goes_on_after_a_graceful_restart(stage: Stage) -> None:
    """C2: SIGTERM ends no experiment: a successor that comes before the checks' data is old goes on with it."""
    open_case(stage)
    stage.put(scale_experiment(to=1, duration="20s"))
    stage.until_phase("Running")
    assert stage.one.terminate() == 0
    stage.one.start()
    status = stage.until_finished()

    until_restored(stage)
    assert (status["verdict"], status["reason"]) in {("Passed", "HypothesisHeld"), *UNWATCHED}
    assert status["runNumber"] == 1
