"""Game days on a real API server, and the whole of one on real pods."""

from typing import Any

import pytest
import yaml

from cluster import proxy
from cluster.conftest import ROOT, Api, Kubectl
from cluster.installation import manifests
from cluster.manifests import OURS, Manifest, freeze, kill_experiment
from cluster.stage import Stage
from cluster.test_probe_admission import POLICIES, Writer
from cluster.waiting import until
from homeostat.__main__ import main

needs_api_server, needs_pods = pytest.mark.apiserver, pytest.mark.cluster
ASKED = r"/chaosexperiments/first\?fieldManager=homeostat-gameday"


def day(*steps: Manifest, **spec: Any) -> Manifest:
    """A game day of the steps `first` and `second`, or of others."""
    plain = [{"experiment": "first", "gate": {"wait": "1s"}}, {"experiment": "second"}]
    return {
        "apiVersion": OURS,
        "kind": "GameDay",
        "metadata": {"name": "day"},
        "spec": {"steps": steps or plain} | spec,
    }


def step_of(manifest: Manifest, name: str, **spec: Any) -> Manifest:
    """An experiment that runs as a step only."""
    return manifest | {"metadata": {"name": name}, "spec": manifest["spec"] | {"start": "OnRequest"} | spec}


def until_over(stage: Stage, number: int = 1) -> dict[str, Any]:
    """Wait until a day is over, and give the status."""
    return stage.until_status(
        "GameDay", lambda it: it.get("phase") == "Finished" and it.get("runNumber") == number, "over", "day", 400
    )


def told(status: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(step["name"], step.get("verdict"), step.get("reason")) for step in status["steps"]]


def put_without_pods(stage: Stage, *steps: Manifest, **spec: Any) -> None:
    """Two experiments that find nothing to break, and a day of them."""
    stage.put(step_of(kill_experiment(), "first"), step_of(kill_experiment(), "second"), day(*steps, **spec))


# --- without pods ---------------------------------------------------------------------------------------


@needs_api_server
def test_steps_run_in_order_and_an_experiment_on_request_runs_as_a_step_only(shop: Stage) -> None:
    """C11, C15: each experiment runs once, by the wish of the day; the worst step is the verdict."""
    shop.put(step_of(kill_experiment(), "first"), step_of(kill_experiment(), "second"))
    idle = {"phase": "Pending", "reason": "NotRequested"}
    shop.until_status("ChaosExperiment", lambda it: {k: it.get(k) for k in idle} == idle, "waits", "first")
    shop.put(day({"experiment": "first", "onFailure": "Continue", "gate": {"wait": "1s"}}, {"experiment": "second"}))
    status = until_over(shop)
    first, second = (shop.read("ChaosExperiment", name) for name in ("first", "second"))

    assert told(status) == [("first", "Failed", "NoTargets"), ("second", "Failed", "NoTargets")]
    assert (status["verdict"], status["reason"], status["progress"]) == ("Failed", "StepNotPassed", "2/2")
    assert (first["status"]["runNumber"], second["status"]["runNumber"]) == (1, 1)
    assert first["metadata"]["annotations"]["homeostat.dev/run"] == status["steps"][0]["asked"]
    assert first["status"]["endedAt"] < second["status"]["startedAt"]
    assert until(lambda: shop.events("StepFailed"), "an event tells of the step")
    until(lambda: "finalizers" not in shop.read("GameDay", "day")["metadata"], "the finalizer goes")


@needs_api_server
def test_a_day_stops_after_a_step_that_does_not_pass_and_runs_anew_when_asked(shop: Stage) -> None:
    """C9: nothing runs again by itself."""
    put_without_pods(shop)
    status = until_over(shop)
    shop.patch("GameDay", {"metadata": {"annotations": {"homeostat.dev/run": "2"}}}, "day")
    again = until_over(shop, 2)

    assert [step["phase"] for step in status["steps"]] == ["Finished", "Skipped"]
    assert [one["verdict"] for one in again["runs"]] == ["Failed", "Failed"]
    assert shop.status("ChaosExperiment", "first")["runNumber"] == 2
    assert shop.status("ChaosExperiment", "second")["runNumber"] == 0


@needs_api_server
def test_a_day_waits_for_a_human_and_hears_yes(shop: Stage) -> None:
    """R13: by the hash of the step."""
    put_without_pods(shop, approval="Required")
    asked = shop.until_status("GameDay", lambda it: it.get("phase") == "AwaitingApproval", "asks", "day")
    assert shop.status("ChaosExperiment", "first")["phase"] == "Pending"
    shop.patch("GameDay", {"metadata": {"annotations": {"homeostat.dev/approve": asked["approval"]["hash"]}}}, "day")

    assert told(until_over(shop))[0] == ("first", "Failed", "NoTargets")


@needs_api_server
def test_a_dry_run_draws_the_plan_of_each_step_and_asks_for_nothing(shop: Stage) -> None:
    """C14: by the code path of a run; an experiment that would be refused says why."""
    put_without_pods(shop, dryRun=True)
    status = until_over(shop)

    assert told(status) == [("first", None, "NoTargets"), ("second", None, "NoTargets")]
    assert (status["reason"], "verdict" in status) == ("DryRun", False)
    assert "annotations" not in shop.read("ChaosExperiment", "first")["metadata"]


@needs_api_server
def test_an_experiment_that_cannot_be_a_step_is_named_with_its_reason(shop: Stage) -> None:
    shop.put(step_of(kill_experiment(), "first", suspend=True), step_of(kill_experiment(), "second"))
    shop.put(day())
    status = until_over(shop)

    assert told(status)[0] == ("first", "Aborted", "ExperimentSuspended")
    assert "spec.suspend" in status["message"]


@needs_api_server
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_when_a_step_is_asked_for_asks_exactly_once(stage: Stage, moment: str) -> None:
    """R2: whether or not the write had got through, the next process finds out from the experiment."""
    stage.start()
    effect = proxy.instead(stage.one.kill) if moment == "before" else proxy.after(stage.one.kill)
    cut = stage.faults.on("PATCH", ASKED, effect)
    put_without_pods(stage)
    assert cut.has_hit.wait(90), stage.one.tail()
    assert stage.status("GameDay", "day")["steps"][0]["phase"] == "Asked"

    stage.one.start()
    status = until_over(stage)
    assert told(status)[0] == ("first", "Failed", "NoTargets")
    assert stage.status("ChaosExperiment", "first")["runNumber"] == 1


WRITES_DAYS = {"apiGroups": ["homeostat.dev"], "resources": ["gamedays"], "verbs": ["*"]}
PATCHES_EXPERIMENTS = {"apiGroups": ["homeostat.dev"], "resources": ["chaosexperiments"], "verbs": ["patch"]}
NO_RIGHT = "you are not allowed to patch chaosexperiments"


@pytest.fixture
def writer(kubectl: Kubectl, namespace: str) -> Writer:
    """Somebody who may write GameDays and nothing else, where dist/ says who may write what."""
    ours = [one for one in manifests() if one["kind"] in POLICIES]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(ours))
    made = Writer(kubectl, namespace)
    made.allow(WRITES_DAYS)
    until(lambda: NO_RIGHT in made.write(day(), "--dry-run=server"), "the policy for authors is in force")
    return made


@needs_api_server
def test_who_may_not_ask_experiments_for_runs_cannot_have_the_operator_do_it(writer: Writer) -> None:
    """The right to write game days is no right to run experiments: not by a new day, a new step, or a new run."""
    known = day()
    writer.have_written(known)

    assert NO_RIGHT in writer.write(day({"experiment": "third"}), "--dry-run=server")
    asked = known | {"metadata": {"name": "day", "annotations": {"homeostat.dev/run": "2"}}}
    assert NO_RIGHT in writer.write(asked, "--dry-run=server")
    assert writer.write(known | {"metadata": {"name": "day", "labels": {"team": "shop"}}}, "--dry-run=server") == ""
    writer.allow(WRITES_DAYS, PATCHES_EXPERIMENTS)
    assert writer.write(asked, "--dry-run=server") == ""


@needs_api_server
@pytest.mark.parametrize("path", ["gameday.yaml", "gameday/first-game-day.yaml", "gameday/dependencies-game-day.yaml"])
def test_the_examples_are_accepted(path: str, namespace: str, api: Api) -> None:
    [example] = yaml.safe_load_all((ROOT / "examples" / path).read_text())
    example["metadata"]["namespace"] = namespace
    where = f"/apis/{OURS}/namespaces/{namespace}/gamedays?dryRun=All&fieldValidation=Strict"

    assert api("POST", where, example)[0] == 201


# --- with pods ------------------------------------------------------------------------------------------


@needs_pods
def test_a_game_day_of_two_experiments_passes_and_is_one_report(shop: Stage) -> None:
    """C7, C15, C17: a pod is lost, then another once the shop is well again; each is a run of its own."""
    before = shop.open_healthy_shop()
    gate = {"wait": "1s", "healthChecks": [{"name": "shop", "state": "Healthy"}], "within": "2m"}
    shop.put(step_of(kill_experiment(), "first"), step_of(kill_experiment(), "second"))
    shop.put(day({"experiment": "first", "gate": gate}, {"experiment": "second"}))
    status = until_over(shop)

    assert (status["verdict"], status["reason"]) == ("Passed", "AllPassed"), status
    assert [step["runNumber"] for step in status["steps"]] == [1, 1]
    assert status["steps"][0]["endedAt"] < status["steps"][1]["startedAt"]
    assert status["steps"][1]["timings"]["recoveredAfter"]
    assert set(before.values()) - set(shop.until_serving(3).values())
    command = ["report", "gameday/day", "-n", shop.namespace, "--kubeconfig", str(shop.kubeconfig)]
    assert main(command) == 0


@needs_pods
def test_a_freeze_ends_the_day_and_its_experiment_and_neither_resumes(stage: Stage) -> None:
    """C9: the fault comes off, the rest of the day is skipped, and it stays so when the freeze is gone."""
    stage.open_shop()
    stage.start()
    stage.until_state("Healthy")
    stage.put(step_of(kill_experiment(duration="10m"), "first"), step_of(kill_experiment(), "second"), day())
    stage.until_status("ChaosExperiment", lambda it: it.get("phase") == "Running", "runs", "first")
    stage.put(freeze(f"stop-{stage.namespace}", stage.namespace, "Chaos"))
    status = until_over(stage)
    stage.delete("Freeze", f"stop-{stage.namespace}")

    assert told(status) == [("first", "Aborted", "Frozen"), ("second", None, "")]
    assert (status["verdict"], status["reason"]) == ("Aborted", "Frozen")


@needs_pods
def test_a_day_that_is_deleted_aborts_the_experiment_under_way_before_it_goes(shop: Stage) -> None:
    """C2, C3: nothing that it began runs on."""
    shop.open_healthy_shop()
    shop.put(step_of(kill_experiment(duration="10m"), "first"), step_of(kill_experiment(), "second"), day())
    shop.until_status("ChaosExperiment", lambda it: it.get("phase") == "Running", "runs", "first")
    shop.delete("GameDay", "day")
    until(lambda: shop.find("GameDay", "day") is None, "the day is gone")
    experiment = shop.status("ChaosExperiment", "first")

    assert (experiment["phase"], experiment["verdict"]) == ("Finished", "Aborted")
