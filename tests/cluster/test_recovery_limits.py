"""What keeps a policy from acting, on a real cluster: every refusal is visible, and nothing is touched."""

from typing import Any

import pytest

from cluster.manifests import bystander, deployment, disruption_budget, health_check, policy, scale_experiment
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

SICK = {"path": "/no-such-page"}  # each pod of the shop fails this check, always

ROLL = {"rolloutRestart": {}, "timeout": "5m"}


def actions(shop: Stage, name: str = "shop") -> list[dict[str, Any]]:
    """Give the attempts of a policy, open or over, that are about the target."""
    status = shop.status("RecoveryPolicy", name)
    open_one = [status["attempt"]] if "attempt" in status else []
    return [*open_one, *(one for one in status.get("last", []) if one["outcome"] != "WouldDo")]


def test_observe_writes_what_it_would_do_and_touches_nothing(shop: Stage) -> None:
    """R1: the decision is on record, with its cooldown; pods and Deployment stay as they were."""
    before = shop.open_healthy_shop(policy(mode="Observe", limits={"cooldown": "2s", "budget": {"actions": 2}}))
    version = shop.read("Deployment")["metadata"]["generation"]
    victim = min(before)
    shop.break_pod(victim)
    status = shop.until_status("RecoveryPolicy", lambda it: it.get("budget", {}).get("used") == 2, "two rounds")
    shop.until_blocked("BudgetSpent")

    assert {one["outcome"] for one in status["last"]} == {"WouldDo"}
    assert status["last"][0]["targets"] == [f"EvictPod {victim}"]
    assert shop.pods() == before
    assert shop.read("Deployment")["metadata"]["generation"] == version
    assert until(lambda: shop.events("WouldAct"), "an event tells of it")


def test_a_budget_that_is_spent_stops_a_policy_in_a_fault_without_end(shop: Stage) -> None:
    """R3, R15: two of two actions, then BudgetSpent on condition and event."""
    limits = {"budget": {"actions": 2}}
    verify = {"holdFor": "0s", "deadline": "2s"}
    step = {"restartPods": {"which": "Failing"}, "timeout": "3s"}
    steps = [step, step, step, step]
    shop.open_shop(policy(limits=limits, verify=verify, steps=steps), check=health_check(**SICK))
    status = shop.until_blocked("BudgetSpent")
    shop.until_serving(3)

    assert status["budget"]["used"] == status["budget"]["of"] == 2
    evicted = {target for one in status["last"] for target in one["targets"]}  # the second may be a replacement
    assert len(evicted) == 2
    assert not evicted & {f"EvictPod {pod}" for pod in shop.pods()}
    assert shop.condition("RecoveryPolicy", "Blocked")["reason"] == "BudgetSpent"
    assert until(lambda: shop.events("Blocked"), "an event tells of the refusal")


def test_an_eviction_that_a_disruption_budget_forbids_is_not_got_round(shop: Stage) -> None:
    """R10, R15: minAvailable = replicas: no pod goes, and the reason names the PodDisruptionBudget."""
    before = shop.open_healthy_shop(disruption_budget(3), policy())
    until(lambda: shop.status("PodDisruptionBudget", "shop").get("expectedPods") == 3, "the budget is counted")
    shop.break_pod(min(before))
    status = shop.until_blocked("PodDisruptionBudget")

    assert shop.pods() == before
    assert status["blocked"]["message"]
    blocked = next(one for one in status["conditions"] if one["type"] == "Blocked")
    assert blocked["reason"] == "PodDisruptionBudget"


def test_with_two_policies_on_one_deployment_one_acts_at_a_time(shop: Stage) -> None:
    """R11: the lock's holder acts; the other says Locked, and no two pods are in treatment at once."""
    verify = {"stabilise": "3s", "holdFor": "2s"}
    before = shop.open_healthy_shop(policy("first", verify=verify), policy("second", verify=verify))
    shop.break_pod(min(before))

    def record() -> dict[str, Any] | None:
        acted = [one for name in ("first", "second") for one in shop.status("RecoveryPolicy", name).get("last", [])]
        return next((one for one in acted if one["outcome"] == "Recovered"), None)

    def is_held_back() -> bool:
        said = [shop.status("RecoveryPolicy", name).get("blocked", {}) for name in ("first", "second")]
        return any(one.get("reason") == "Locked" for one in said)

    until(lambda: is_held_back() or record(), "one is held back, or was too late")
    until(record, "one policy recovers the shop")
    assert len(set(before.values()) - set(shop.until_serving(3).values())) == 1


def test_without_its_check_a_policy_does_nothing_and_says_why(shop: Stage) -> None:
    """R12: the check was deleted in the middle of a fault: SignalMissing, no action."""
    trigger = {"healthCheck": {"name": "shop"}, "for": "30m"}
    before = shop.open_healthy_shop(policy(triggers=[trigger]))
    shop.break_pod(min(before))
    shop.until_state("Unhealthy")
    shop.delete("HealthCheck")
    shop.patch("RecoveryPolicy", {"spec": {"triggers": [{"healthCheck": {"name": "shop"}}]}})
    shop.until_blocked("SignalMissing")

    assert shop.pods() == before
    assert not actions(shop)


def test_a_suspended_check_is_no_ground_to_act(shop: Stage) -> None:
    """R12, R7: not probed is not known: SignalMissing, no action."""
    before = shop.open_healthy_shop(policy(triggers=[{"healthCheck": {"name": "shop"}, "for": "30m"}]))
    shop.break_pod(min(before))
    shop.until_state("Unhealthy")
    shop.patch("HealthCheck", {"spec": {"suspend": True}})
    shop.until_state("Suspended")
    shop.patch("RecoveryPolicy", {"spec": {"triggers": [{"healthCheck": {"name": "shop"}}]}})
    status = shop.until_status("RecoveryPolicy", lambda it: "blocked" in it, "blocked")

    assert status["blocked"]["reason"] in {"SignalMissing", "SignalStale"}
    assert shop.pods() == before


def test_a_suspended_policy_says_so_and_goes_on_once_it_may(shop: Stage) -> None:
    """R15: spec.suspend."""
    before = shop.open_healthy_shop(policy(suspend=True))
    shop.break_pod(min(before))
    shop.until_blocked("Suspended")
    assert shop.pods() == before

    shop.patch("RecoveryPolicy", {"spec": {"suspend": False}})
    assert shop.until_recovered()["targets"] == [f"EvictPod {min(before)}"]


def test_an_outage_of_most_pods_is_left_alone(shop: Stage) -> None:
    """R5, R15: more than maxUnhealthy fail: no action."""
    before = shop.open_shop(policy(limits={"maxUnhealthy": "50%"}), check=health_check(**SICK))
    shop.until_blocked("TooManyUnhealthy")

    assert shop.pods() == before


def test_nothing_is_done_in_the_middle_of_a_rollout(shop: Stage) -> None:
    """R12: a rollout that hangs is a writer: RolloutInProgress."""
    shop.open_shop(policy(mode="Auto", suspend=True), check=health_check(**SICK))
    broken = deployment()
    broken["spec"]["template"]["spec"]["containers"][0]["image"] = "homeostat.dev/none:dev"
    shop.put(broken)
    until(lambda: len(shop.pods()) == 4, "the rollout hangs")
    before = shop.pods()
    shop.patch("RecoveryPolicy", {"spec": {"suspend": False}})
    shop.until_blocked("RolloutInProgress")

    assert shop.pods() == before


def test_when_all_steps_fail_a_human_is_told_once(shop: Stage) -> None:
    """R16: the steps in order, then an event and a condition; and nothing more is done."""
    steps = [
        {"restartPods": {"which": "Failing"}, "timeout": "2s"},
        {"escalate": {"severity": "High", "summary": "the shop stays broken"}},
    ]
    verify = {"holdFor": "0s", "deadline": "2s"}
    before = shop.open_shop(policy(steps=steps, verify=verify), check=health_check(**SICK), replicas=2)
    status = shop.until_status("RecoveryPolicy", lambda it: it.get("phase") == "Escalated", "escalated")
    after = shop.until_serving(2)

    assert status["escalated"]["summary"] == "the shop stays broken"
    (told,) = until(lambda: shop.events("Escalated"), "an event tells of it")
    assert told["type"] == "Warning"
    assert "the shop stays broken" in told["note"]
    assert 1 <= len(set(before.values()) - set(after.values())) <= 2


def test_an_experiment_that_asks_to_look_on_is_not_reacted_to(shop: Stage) -> None:
    """C12: reaction Observe: the policy says ExpectedFault and leaves the target alone."""
    shop.open_healthy_shop(policy(step=ROLL), bystander())
    shop.put(scale_experiment(to=0, duration="30s", reaction="Observe"))
    shop.until_blocked("ExpectedFault")
    shop.until_finished()

    assert shop.read("Deployment")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert not actions(shop)


def test_a_drill_proves_the_policy_that_it_names(shop: Stage) -> None:
    """C12, C17, R17: with reaction Act the policy acts on what the experiment broke, and both say so."""
    shop.open_healthy_shop(policy(step=ROLL), bystander())
    shop.put(scale_experiment(to=0, duration="30s", proves=[{"recoveryPolicy": "shop"}]))
    status = shop.until_finished()
    assert status["verdict"] == "Passed", status
    assert status["runs"][0]["proved"] == ["shop"]
    assert status["timings"]["actedAfter"]

    policy_status = shop.until_status("RecoveryPolicy", lambda it: it.get("proof"), "the drill is on record")
    assert policy_status["proof"]["verdict"] == "Passed"
    assert shop.condition("RecoveryPolicy", "Proven")["status"] == "True"
