"""Whatever dies, goes or is taken away while faults are on: they come off, each way by itself, and nothing stays."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from cluster import proxy
from cluster.experiments import (
    CHAOS,
    agents_of,
    disarm_guards,
    ended,
    experiment,
    guards_of,
    in_turn,
    is_marked,
    open_booths,
    pods_of,
    restarts_of,
    specs_of,
    until_nothing_is_left,
)
from cluster.manifests import Manifest, freeze
from cluster.operator_process import ROOT
from cluster.stage import MERGE, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

WIRE, FIELD, CALM = "wire", "field", "calm"
"""Booths: the calm one serves on, so that the field may go before the agent in the wire is ready."""
FAILS = {"http": {"port": 8080, "status": 503}}
CLOSED = {"scale": {"to": 0}}
EVERYTHING = "GET|POST|PUT|PATCH|DELETE"


def hold_both(stage: Stage) -> dict[str, Manifest]:
    """Have a fault held by an agent, and one by a guard; give the Deployments as they were."""
    open_booths(stage, WIRE, FIELD, CALM)
    before = specs_of(stage, WIRE, FIELD)
    stage.put(experiment(FIELD, CLOSED, "Deployment", duration="10m"))
    stage.until_phase("Running", FIELD)
    stage.put(experiment(WIRE, FAILS, duration="10m"))  # last, for a machine that stops for 3 s takes it off
    stage.until_phase("Running", WIRE)
    assert is_broken(stage)
    return before


def answer_of(stage: Stage, name: str = WIRE) -> int:
    """Ask a booth's pod as a client does; give the status code."""
    (pod,) = pods_of(stage, name).values()
    path = f"/api/v1/namespaces/{stage.namespace}/pods/http:{pod['metadata']['name']}:8080/proxy/echo"
    return stage.api("GET", path)[0]


def replicas_of(stage: Stage, name: str = FIELD) -> int:
    return int(stage.read("Deployment", name)["spec"]["replicas"])


def is_broken(stage: Stage) -> bool:
    return answer_of(stage) == 503 and replicas_of(stage) == 0 and is_marked(stage, FIELD)


def until_healed_by_themselves(stage: Stage) -> None:
    """Wait until the faults are off although no operator takes them off."""
    until(lambda: answer_of(stage) == 200, "the agent took its fault off")
    until(lambda: agents_of(stage, WIRE) == ["terminated"], "the agent has ended")
    until(lambda: replicas_of(stage) == 1 and not is_marked(stage, FIELD), "the guard took its fault off")


@pytest.mark.parametrize("what", ["killed", "cut off"])
@in_turn
def test_faults_end_when_nobody_holds_them_up_and_stay_off(stage: Stage, what: str) -> None:
    """C3, C4, C9, C18: agent by its lease, field by its guard; a freeze meanwhile, and no run goes on afterwards."""
    stage.start()
    before = hold_both(stage)
    with ExitStack() as meanwhile:
        if what == "killed":
            stage.one.kill()
        else:
            meanwhile.enter_context(stage.faults.always(EVERYTHING, r"", proxy.drop))
            stage.faults.cut_bridges()
            stage.one.await_end()  # who cannot reach the API server does not lead
        until_healed_by_themselves(stage)
        stage.put(freeze(f"left-{stage.namespace}", stage.namespace, "Chaos"))
    stage.one.start()
    ends = {name: stage.until_finished(name=name) for name in (WIRE, FIELD)}

    until_nothing_is_left(stage, before)
    assert {ended(status) for status in ends.values()} == {("Aborted", "Frozen")}
    assert {status["runNumber"] for status in ends.values()} == {1}
    assert agents_of(stage, WIRE) == ["terminated"]


def sweep(stage: Stage, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """Run `homeostat chaos sweep` as an administrator; give its exit code and what it found."""
    where = ["-n", stage.namespace, "--operator-namespace", stage.system, "--kubeconfig", str(stage.kubeconfig)]
    command = [sys.executable, "-m", "homeostat", "chaos", "sweep", *flags, *where, "-o", "json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["found"]


def lose_the_guard(stage: Stage) -> None:
    """Take its rights from the guard, which then is as good as dead, and wait until it has tried in vain."""
    disarm_guards(stage)
    (name,) = set(guards_of(stage))
    until(lambda: "homeostat.dev/guard-fired" in stage.read("Lease", name)["metadata"]["annotations"], "it tries")


@in_turn
def test_what_nobody_is_left_to_undo_is_found_by_its_marker(stage: Stage) -> None:
    """C3: operator dead, guard powerless, finalizer stripped, experiment gone: `homeostat chaos sweep` restores it."""
    stage.start()
    before = hold_both(stage)
    stage.one.kill()
    lose_the_guard(stage)
    for name in (WIRE, FIELD):
        stage.api("PATCH", stage.path(CHAOS, name), {"metadata": {"finalizers": None}}, content_type=MERGE)
        stage.delete(CHAOS, name)
        until(lambda name=name: stage.find(CHAOS, name) is None, "the experiment is gone")
    assert (replicas_of(stage), is_marked(stage, FIELD)) == (0, True)
    until(lambda: answer_of(stage) == 200, "the agent needs nobody")

    looked, seen = sweep(stage, "--dry-run")
    assert (looked, replicas_of(stage)) == (1, 0)
    assert {one["kind"] for one in seen} >= {"marked", "guard"}
    assert sweep(stage)[0] == 0
    until_nothing_is_left(stage, before)


@in_turn
def test_a_namespace_that_is_deleted_takes_its_faults_along(shop: Stage) -> None:
    """C3: the finalizers let go once the faults are off; nothing of them is left in the operator's own namespace."""
    hold_both(shop)
    uids = [one["metadata"]["uid"] for one in shop.all_of(CHAOS)]
    path = f"/api/v1/namespaces/{shop.namespace}"
    assert shop.api("DELETE", path)[0] == 200
    until(lambda: shop.api("GET", path)[0] == 404, "the namespace is gone")

    until(lambda: not any(guards_of(shop, uid) for uid in uids), "the guards are gone")


@in_turn
def test_targets_that_change_under_a_fault_end_without_it(shop: Stage) -> None:
    """C5: a container that starts again, a pod that is replaced, a Deployment that goes: recovered once, by what is."""
    crashed, replaced, removed = names = ("crashed", "replaced", "removed")
    open_booths(shop, *names)
    before = specs_of(shop, crashed, replaced)
    for name in names:
        fault, kind = (CLOSED, "Deployment") if name == removed else (FAILS, "Pod")
        shop.put(experiment(name, fault, kind, duration="10m"))
    for name in names:
        shop.until_phase("Running", name)
    (pod,) = (one["metadata"]["name"] for one in pods_of(shop, crashed).values())
    shop.break_pod(pod, "crash")
    until(lambda: restarts_of(shop, crashed) == 1, "the container has started again")
    shop.delete("Pod", next(one["metadata"]["name"] for one in pods_of(shop, replaced).values()))
    shop.delete("Deployment", removed)
    until(lambda: answer_of(shop, crashed) == 503, "the fault is still on")
    for name in names:
        shop.patch(CHAOS, {"metadata": {"annotations": {"homeostat.dev/abort": "enough"}}}, name)
    ends = {name: shop.until_finished(name=name) for name in names}

    assert {ended(status) for status in ends.values()} == {("Aborted", "AbortRequested")}
    assert ends[removed]["targets"][0]["phase"] == "Gone"
    until(lambda: answer_of(shop, crashed) == 200, "the fault is off")
    until_nothing_is_left(shop, before)
    assert (restarts_of(shop, crashed), agents_of(shop, crashed)) == (1, ["terminated"])
    assert agents_of(shop, replaced) == []
    assert {status["runNumber"] for status in ends.values()} == {1}
