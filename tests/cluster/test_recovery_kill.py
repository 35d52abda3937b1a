"""kill -9 of the operator around an act: exactly one effect, and the attempt ends as it would have."""

from collections.abc import Callable
from typing import Any

import pytest

from cluster import proxy
from cluster.manifests import Manifest, health_check, policy
from cluster.proxy import Effect
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

DEPLOYMENT = r"/deployments/shop\?"
STEPS: dict[str, tuple[Manifest, str, str]] = {
    "restartPods": ({"restartPods": {"which": "Failing"}, "timeout": "2m"}, "POST", r"/eviction$"),
    "rolloutRestart": ({"rolloutRestart": {}, "timeout": "2m"}, "PATCH", DEPLOYMENT),
    "scale": ({"scale": {"by": "+1", "max": 5}, "timeout": "2m"}, "PATCH", DEPLOYMENT),
}
MOMENTS: dict[str, Callable[[Callable[[], None]], Effect]] = {
    "between_intent_and_act": proxy.instead,
    "between_act_and_result": proxy.after,
}


def effects(stage: Stage, before: dict[str, str], step: str) -> int:
    """Count what was done to the shop: pods that are gone, rollouts, replicas added."""
    if step == "restartPods":
        return len(set(before.values()) - set(stage.until_serving(len(before)).values()))
    found = stage.read("Deployment")
    if step == "rolloutRestart":
        return int(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) - 1
    return int(found["spec"]["replicas"]) - len(before)


def open_case(stage: Stage, step: str) -> tuple[dict[str, str], str]:
    """Open the shop under a policy with one step; where more pods are to help, 60 % of them are enough."""
    check = health_check(minPassing="60%") if step == "scale" else health_check()
    before = stage.open_shop(policy(step=STEPS[step][0]), replicas=2, check=check)
    stage.start()
    stage.until_state("Healthy")
    return before, min(before)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_around_the_act_leaves_exactly_one_effect(stage: Stage, step: str, moment: str) -> None:
    """R2: intent, kill, restart: the act happens once, whether or not it had got through."""
    before, victim = open_case(stage, step)
    _, method, path = STEPS[step]
    cut = stage.faults.on(method, path, MOMENTS[moment](stage.one.kill))
    stage.break_pod(victim)
    assert cut.has_hit.wait(90), stage.one.tail()
    intent = stage.status("RecoveryPolicy")
    assert [entry["phase"] for entry in intent["inFlight"]] == ["Intended"]

    stage.one.start()
    record = stage.until_recovered()
    assert record["id"] == intent["attempt"]["id"]
    assert effects(stage, before, step) == 1
    assert stage.faults.count(method, path) == 1


def test_a_kill_right_before_the_intent_is_written_loses_nothing_and_doubles_nothing(stage: Stage) -> None:
    """R2: without an intent on record nothing has happened; the next process begins anew."""
    before, victim = open_case(stage, "restartPods")
    intent = proxy.instead(stage.one.kill)
    cut = stage.faults.on("PATCH", r"/recoverypolicies/shop/status", intent, body=b'"Intended"')
    stage.break_pod(victim)
    assert cut.has_hit.wait(90), stage.one.tail()
    assert stage.pods() == before
    assert "attempt" not in stage.status("RecoveryPolicy")

    stage.one.start()
    stage.until_recovered()
    assert effects(stage, before, "restartPods") == 1


def test_five_kills_in_a_crash_loop_do_not_earn_the_policy_more_actions(stage: Stage) -> None:
    """R3: three actions an hour are three, however often the operator forgets."""
    step = {"restartPods": {"which": "Failing"}, "timeout": "5s"}
    limits = {"budget": {"actions": 3}}
    heal = policy(steps=[step] * 8, limits=limits, verify={"holdFor": "0s", "deadline": "1s"})
    stage.open_shop(heal, check=health_check(path="/no-such-page"), replicas=2)
    stage.start()
    for kills in range(5):
        cut = stage.faults.on(
            "POST" if kills % 2 else "PATCH",
            r"/eviction$" if kills % 2 else r"/recoverypolicies/shop/status",
            proxy.after(stage.one.kill),
        )
        if cut.has_hit.wait(20):
            stage.one.start()
        else:  # all is spent: nothing is written any more
            cut.times = 0
            stage.one.kill()
            stage.one.start()

    def is_spent() -> Any:
        status = stage.status("RecoveryPolicy")
        return status.get("blocked", {}).get("reason") == "BudgetSpent" and status

    status = until(is_spent, "the budget is spent")
    assert status["budget"]["used"] == 3
    assert stage.faults.count("POST", r"/eviction$") <= 3


def test_the_budget_of_the_whole_cluster_survives_a_kill_too(stage: Stage) -> None:
    """R3: the tokens are in a Lease."""
    step = {"restartPods": {"which": "Failing"}, "timeout": "5s"}
    heal = policy(steps=[step] * 8, verify={"holdFor": "0s", "deadline": "1s"})
    stage.open_shop(heal, check=health_check(path="/no-such-page"), replicas=2)
    stage.start("--action-budget", "1")
    cut = stage.faults.on("POST", r"/eviction$", proxy.after(stage.one.kill))
    assert cut.has_hit.wait(90), stage.one.tail()
    stage.one.start()
    stage.until_blocked("ClusterBudgetSpent")

    assert stage.faults.count("POST", r"/eviction$") == 1
