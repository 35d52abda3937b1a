"""Stalled on a real API server: it comes with a spec that can never work, and goes with the edit that mends it."""

import json
from typing import Any

import pytest

from cluster.manifests import SHOP, Manifest, health_check, kill_experiment, objective, policy
from cluster.objectives import shell
from cluster.stage import Stage

pytestmark = pytest.mark.apiserver

NOWHERE = "Mars/Olympus"
MONDAY = "2026-01-05T00:00:00"
JOURNEY = {"steps": [{"name": "buy", "http": {"url": "http://shop.example/", "headers": {"X-Token": "{{token}}"}}}]}
WAITS = {"workload": {"kind": "Deployment", "name": SHOP}}


def changed(manifest: Manifest, **spec: Any) -> Manifest:
    return manifest | {"spec": manifest["spec"] | spec}


WELL = (
    health_check(probe=WAITS),
    objective(),
    policy(mode="Observe"),
    kill_experiment(start="OnRequest"),
)
"""Each can be evaluated, whatever there is to look at."""
ODD = (
    ("UnknownCapture", health_check(probe=JOURNEY)),
    (
        "InvalidTimeZone",
        changed(objective(), window={"calendar": {"unit": "Week", "start": MONDAY, "timeZone": NOWHERE}}),
    ),
    ("InvalidTimeZone", policy(mode="Observe", windows=[{"from": "08:00", "to": "18:00", "timeZone": NOWHERE}])),
    ("InvalidSchedule", kill_experiment(schedule={"cron": "0 0 30 2 *"})),
)
"""The same with a spec that the schema accepts and nobody can evaluate, and why."""


def apply(stage: Stage, *manifests: Manifest) -> None:
    """Do as a user does."""
    path = stage.folder / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    shell(stage, f"kubectl -n {stage.namespace} apply -f {path}")


def until_stalled(stage: Stage, kind: str, reason: str) -> None:
    """Wait as `kubectl wait` does; Ready says the same."""
    shell(stage, f"kubectl -n {stage.namespace} wait {kind}/{SHOP} --for=condition=Stalled --timeout=60s")
    ready, stalled = stage.condition(kind, "Ready"), stage.condition(kind, "Stalled")
    assert ready["status"] == "False"
    assert (ready["reason"], stalled["reason"]) == (reason, reason)
    assert ready["message"] == stalled["message"]
    generation = stage.read(kind)["metadata"]["generation"]
    assert ready["observedGeneration"] == stalled["observedGeneration"] == generation


def until_not_stalled(stage: Stage, kind: str) -> None:
    """Wait until the version that stands is evaluated, and see that nothing of it is left."""
    body = stage.read(kind)
    generation = body["metadata"]["generation"]
    status = stage.until_status(kind, lambda it: it["observedGeneration"] == generation, f"{kind} is evaluated")
    assert "Stalled" not in {one["type"] for one in status["conditions"]}


def test_a_bad_spec_is_stalled_and_an_edit_takes_that_away_without_a_trace(stage: Stage) -> None:
    stage.start()
    apply(stage, *(odd for _, odd in ODD))
    for reason, odd in ODD:
        until_stalled(stage, odd["kind"], reason)

    apply(stage, *WELL)
    for well in WELL:
        until_not_stalled(stage, well["kind"])

    apply(stage, *(odd for _, odd in ODD))
    for reason, odd in ODD:
        until_stalled(stage, odd["kind"], reason)


def test_what_a_hand_wrote_beside_it_does_not_keep_an_object_stalled(stage: Stage) -> None:
    """A condition that somebody else owns, too, outlives an apply that leaves it out; this one must not."""
    stage.start()
    apply(stage, ODD[0][1])
    until_stalled(stage, "HealthCheck", "UnknownCapture")
    theirs = [one | {"message": "a hand was here"} for one in stage.status("HealthCheck")["conditions"]]
    by_hand = {"status": {"conditions": theirs}}
    shell(
        stage,
        f"kubectl -n {stage.namespace} patch hc {SHOP} --subresource=status --type=merge -p '{json.dumps(by_hand)}'",
    )

    apply(stage, WELL[0])
    until_not_stalled(stage, "HealthCheck")


def test_what_is_not_there_yet_stalls_nobody(stage: Stage) -> None:
    """It may still come: who waits goes on waiting."""
    stage.start()
    apply(stage, objective())
    stage.until_status(
        "ServiceLevelObjective",
        lambda _: stage.condition("ServiceLevelObjective", "Ready").get("reason") == "HealthCheckNotRunning",
        "it waits for its check",
    )

    assert stage.condition("ServiceLevelObjective", "Stalled") == {}
