"""The rules that keep recovery from making things worse, each on a real cluster with the real operator."""

from typing import Any

import pytest

from cluster.manifests import Manifest, deployment, disruption_budget, freeze, health_check, policy, service
from cluster.stage import APPLY, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

POLICY = "RecoveryPolicy"
SICK = {"path": "/no-such-page"}  # each pod of the shop fails this check, always
ROLL = {"rolloutRestart": {}, "timeout": "5m"}
RESTART = {"restartPods": {"which": "Failing"}, "timeout": "5m"}
MORE = {"scale": {"by": "+1", "max": 4}, "timeout": "5m"}
HELP = {"escalate": {"severity": "High", "summary": "the shop stays broken"}}
AT_ONCE = {"stabilise": "0s", "holdFor": "0s", "deadline": "3s"}
OF_TARGETS = r"^(?!.*(homeostat\.dev|/leases|/events|/selfsubject)).*$"  # neither our own objects nor notes


def decision(stage: Stage) -> dict[str, Any]:
    """Give what was decided, without how far the mode lets it go."""
    taken: dict[str, Any] = stage.status(POLICY).get("decision", {})
    return {key: taken.get(key) for key in ("trigger", "step", "name", "target", "does")}


def generation(stage: Stage, name: str = "shop") -> int:
    """Give the version of the spec of a Deployment."""
    return int(stage.read("Deployment", name)["metadata"]["generation"])


def told(stage: Stage, reason: str, kind: str = POLICY) -> list[dict[str, Any]]:
    """Give the events of one kind of object with a reason."""
    return [one for one in stage.events(reason) if one["regarding"]["kind"] == kind]


def acted(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the attempts that are over and acted, oldest first."""
    return [one for one in reversed(status.get("last", [])) if "actedAt" in one]


def recoveries(status: dict[str, Any]) -> int:
    return sum(one["outcome"] == "Recovered" for one in status.get("last", []))


def let_act(stage: Stage, name: str = "shop") -> None:
    """Let a policy act that was put there suspended, so that all of the fault is there before it looks."""
    stage.patch(POLICY, {"spec": {"suspend": False}}, name)


# --- R1: modes ------------------------------------------------------------------------------------------


def test_observe_decides_as_auto_does_and_writes_to_no_target(stage: Stage) -> None:
    """R1: the proxy saw no write but to our own objects; then, in mode Auto, the very same is decided and done."""
    before = stage.open_shop(policy(mode="Observe"), replicas=2)
    stage.start()
    stage.until_state("Healthy")
    stage.break_pod(min(before))
    stage.until_status(POLICY, lambda it: it.get("lastOutcome") == "WouldDo", "it would act")
    observed = decision(stage)
    assert stage.status(POLICY)["decision"]["verdict"] == "WouldAct"
    assert [stage.faults.count(verb, OF_TARGETS) for verb in ("POST", "PUT", "PATCH", "DELETE")] == [0, 0, 0, 0]
    assert stage.pods() == before

    stage.patch(POLICY, {"spec": {"mode": "Auto"}})
    record = stage.until_recovered()
    assert decision(stage) == observed
    assert record["targets"] == [observed["does"]] == [f"EvictPod {min(before)}"]
    assert stage.faults.count("POST", r"/eviction$") == 1


# --- R4, R5: many at once -------------------------------------------------------------------------------


def test_of_two_failing_pods_the_second_goes_once_the_first_is_replaced(shop: Stage) -> None:
    """R4: maxInFlight is asked again before each action, and what is in treatment counts."""
    before = shop.open_healthy_shop(policy(suspend=True), replicas=5)
    victims = sorted(before)[:2]
    for victim in victims:
        shop.break_pod(victim)
    shop.until_status("HealthCheck", lambda it: it.get("passing") == "3/5", "two fail")
    let_act(shop)
    shop.until_status(POLICY, recoveries, "it recovers")
    after = shop.until_serving(5)

    assert set(before) - set(after) == set(victims)
    first, second = sorted((one for one in shop.all_of("Pod") if one["metadata"]["name"] not in before), key=born)
    assert ready_since(first) <= born(second)


def born(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def ready_since(pod: dict[str, Any]) -> str:
    return next(str(one["lastTransitionTime"]) for one in pod["status"]["conditions"] if one["type"] == "Ready")


def test_four_pods_of_ten_that_fail_together_are_left_alone_and_a_human_is_told_once(shop: Stage) -> None:
    """R5: above maxUnhealthy: no action, one incident."""
    limits = {"maxUnhealthy": "30%", "cooldown": "20s"}  # time to heal all of them: three may be acted on
    before = shop.open_healthy_shop(policy(suspend=True, limits=limits), replicas=10)
    for victim in sorted(before)[:4]:
        shop.break_pod(victim)
    shop.until_status("HealthCheck", lambda it: it.get("passing") == "6/10", "four fail")
    let_act(shop)
    status = shop.until_status(POLICY, lambda it: it.get("escalated"), "a human is told")
    blocked = shop.until_blocked("TooManyUnhealthy")
    shop.patch(POLICY, {"metadata": {"annotations": {"story": "look again"}}})
    for victim in sorted(before)[:4]:
        shop.heal_pod(victim)
    shop.until_status(POLICY, lambda it: "escalated" not in it and "blocked" not in it, "all is well again")

    assert status["escalated"]["reason"] == "TooManyUnhealthy"
    assert not acted(blocked)
    assert shop.pods() == before
    [event] = told(shop, "Escalated")
    assert event.get("series", {}).get("count", 1) == 1


def test_a_storm_of_policies_stops_all_of_them_and_one_tells_a_human(stage: Stage) -> None:
    """R5: more policies want to act than may: none begins, and there is one incident."""
    names = ("shop", "books", "wine")
    at_once = [{"healthCheck": {"name": "shop"}, "for": "8s"}]
    policies = [
        policy(name, step=ROLL, target={"kind": "Deployment", "name": name}, triggers=at_once) for name in names
    ]
    before = stage.open_shop(*policies, deployment(1, "books"), deployment(1, "wine"), replicas=1)
    stage.start("--storm-policies", "2", "--storm-hold-seconds", "600")
    stage.until_state("Healthy")
    stage.break_pod(min(before))
    for name in names:
        stage.until_blocked("Storm", name)
    until(lambda: told(stage, "Escalated"), "a human is told")

    incidents = [one for name in names if (one := stage.status(POLICY, name).get("escalated"))]
    assert [one["reason"] for one in incidents] == ["Storm"]
    assert len(told(stage, "Escalated")) == 1
    assert [generation(stage, name) for name in names] == [1, 1, 1]


# --- R6: flapping ---------------------------------------------------------------------------------------


def test_a_check_that_comes_and_goes_is_not_acted_on_and_a_human_is_told_once(shop: Stage) -> None:
    """R6: a square wave; afterwards the trigger fires on, and still nothing is done."""
    limits = {"flapping": {"transitions": 4, "window": "30m", "holdFor": "30m"}}
    before = shop.open_healthy_shop(policy(suspend=True, limits=limits))
    victim = min(before)
    for _ in range(2):
        shop.break_pod(victim)
        until_signal(shop, "Firing")
        shop.heal_pod(victim)
        until_signal(shop, "Quiet")
    let_act(shop)
    shop.break_pod(victim)
    status = shop.until_blocked("Flapping")
    until(lambda: told(shop, "Escalated"), "a human is told")

    assert status["blocked"]["until"]
    assert shop.status(POLICY)["escalated"]["reason"] == "Flapping"
    assert len(told(shop, "Escalated")) == 1
    assert shop.pods() == before


def until_signal(shop: Stage, state: str) -> None:
    """Wait until the first trigger says so."""
    shop.until_status(POLICY, lambda it: it.get("signals", [{}])[0].get("state") == state, f"the trigger is {state}")


# --- R7: verification -----------------------------------------------------------------------------------


def test_what_can_no_longer_be_asked_is_unverified(shop: Stage) -> None:
    """R7: the check is suspended right after the act: Unverified, not Recovered, and nothing more is done."""
    verify = {"holdFor": "12s", "deadline": "14s"}
    before = shop.open_healthy_shop(policy(verify=verify, steps=[RESTART, ROLL]))
    shop.break_pod(min(before))
    shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "it acted")
    shop.patch("HealthCheck", {"spec": {"suspend": True}})
    status = shop.until_status(POLICY, acted, "the attempt is over")
    after = shop.until_serving(3)

    assert acted(status)[0]["outcome"] == "Unverified"
    assert "recoveredAt" not in acted(status)[0]
    assert generation(shop) == 1
    assert set(before) - set(after) == {min(before)}


# --- R8: taking back ------------------------------------------------------------------------------------


def test_replicas_that_did_not_help_are_taken_back(shop: Stage) -> None:
    """R8: three replicas fail as two did: two again, and the attempt says that it was undone."""
    shop.open_shop(policy(step=MORE, verify=AT_ONCE), check=health_check(**SICK), replicas=2)
    status = shop.until_status(POLICY, acted, "the attempt is over")
    shop.until_serving(2)

    assert (acted(status)[0]["outcome"], acted(status)[0]["undone"]) == ("Failed", True)
    assert acted(status)[0]["targets"] == ["Scale shop from 2 to 3", "Scale shop from 3 to 2"]
    assert shop.read("Deployment")["spec"]["replicas"] == 2
    assert "homeostat.dev/attempt" not in shop.read("Deployment")["metadata"]["annotations"]


def test_a_newer_number_of_replicas_by_somebody_else_stays(shop: Stage) -> None:
    """R8: an autoscaler asked for four meanwhile: four stay, and an event says that the change was left."""
    verify = AT_ONCE | {"deadline": "15s"}
    shop.open_shop(policy(step=MORE, verify=verify), check=health_check(**SICK), replicas=2)
    until(lambda: shop.read("Deployment")["spec"]["replicas"] == 3, "it scales")
    shop.patch("Deployment", {"spec": {"replicas": 4}})
    status = shop.until_status(POLICY, acted, "the attempt is over")

    assert acted(status)[0]["reason"] == "ChangedByAnother"
    assert not acted(status)[0].get("undone")
    assert shop.read("Deployment")["spec"]["replicas"] == 4
    assert until(lambda: told(shop, "ChangeLeft"), "an event tells of it")


# --- R9: a writer that takes it back --------------------------------------------------------------------


def test_a_change_that_git_takes_back_three_times_is_given_up(shop: Stage) -> None:
    """R9: three returns: Ineffective, with its end, and one incident that tells what was tried."""
    git = from_git()
    step = MORE | {"retries": {"max": 9, "backoff": "1s", "maxBackoff": "1s"}}
    limits = {"ineffective": {"count": 3, "window": "1h"}, "budget": {"actions": 20}}
    shop.put(service())
    sync(shop, git)
    shop.until_serving(2)
    shop.put(health_check(**SICK), policy(steps=[step, HELP], limits=limits))
    for _ in range(3):
        until(lambda: shop.read("Deployment")["spec"]["replicas"] == 3, "it scales")
        sync(shop, git)
    status = shop.until_blocked("Ineffective")
    until(lambda: told(shop, "Escalated"), "a human is told")

    assert [one["reason"] for one in acted(status)] == ["RevertedByGitOps"] * 3
    assert status["blocked"]["until"]
    escalated = shop.status(POLICY)["escalated"]
    assert (escalated["reason"], len(escalated["tried"])) == ("Ineffective", 3)
    assert len(told(shop, "Escalated")) == 1
    assert shop.read("Deployment")["spec"]["replicas"] == 2
    assert "spec.replicas" in shop.condition(POLICY, "GitOwned")["message"]


def from_git() -> Manifest:
    """The shop as Argo CD would apply it."""
    manifest = deployment(2)
    manifest["metadata"]["namespace"] = ""
    manifest["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/shop"}
    return manifest


def sync(shop: Stage, manifest: Manifest) -> None:
    """Apply as Argo CD does."""
    manifest["metadata"]["namespace"] = shop.namespace
    path = f"{shop.path('Deployment', 'shop')}?fieldManager=argocd-controller&force=true"
    code, answer = shop.api("PATCH", path, manifest, content_type=APPLY)
    assert code < 300, answer


# --- R10: disruption budgets ----------------------------------------------------------------------------


def test_a_disruption_budget_is_named_and_no_pod_is_deleted(stage: Stage) -> None:
    """R10: the API server refuses the eviction; the proxy saw no deletion, and the reason names the budget."""
    before = stage.open_shop(disruption_budget(2), policy(), replicas=2)
    stage.start()
    stage.until_state("Healthy")
    until(lambda: stage.status("PodDisruptionBudget").get("expectedPods") == 2, "the budget is counted")
    stage.break_pod(min(before))
    status = stage.until_blocked("PodDisruptionBudget")

    assert "disruption budget shop " in status["blocked"]["message"]
    assert stage.faults.count("POST", r"/eviction$") == stage.faults.count("DELETE", r"/pods") == 0
    assert stage.pods() == before


# --- R11: one writer ------------------------------------------------------------------------------------


def test_the_lock_of_a_policy_that_is_gone_ends_by_itself(shop: Stage) -> None:
    """R11: one of two policies treats the Deployment, the other says who holds it, and has its turn after the lock."""
    long = {"verify": {"holdFor": "0s", "deadline": "30m"}, "limits": {"maxUnhealthy": "100%"}}
    shop.open_shop(policy("first", step=ROLL, **long), check=health_check(**SICK), replicas=1)
    shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "the first treats it", "first")
    shop.put(policy("second", step=ROLL, **long))
    status = shop.until_blocked("Locked", "second")
    assert "first" in status["blocked"]["message"]
    assert "attempt" not in status
    assert generation(shop) == 2

    shop.delete(POLICY, "first")
    shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "the second treats it", "second")
    assert generation(shop) == 3


# --- R12: when nothing is done --------------------------------------------------------------------------


def test_a_namespace_that_ends_is_left_alone(stage: Stage) -> None:
    """R12: its pods go first and one of them lingers; meanwhile the check fails, and nothing is repaired."""
    heal = policy(step=ROLL, triggers=[{"pods": {"reason": "NotReady"}}, {"healthCheck": {"name": "shop"}}])
    before = stage.open_shop(heal, replicas=1)
    stage.start()
    stage.until_state("Healthy")
    hold(stage, min(before), ["homeostat.dev/story"])
    try:
        code, _ = stage.api("DELETE", f"/api/v1/namespaces/{stage.namespace}")
        assert code == 200
        stage.until_blocked("NamespaceTerminating")
        assert stage.faults.count("PATCH", r"/deployments/shop") == 0
    finally:
        hold(stage, min(before), None)


def hold(stage: Stage, pod: str, finalizers: list[str] | None) -> None:
    """Keep a pod from going, or let it go."""
    stage.patch("Pod", {"metadata": {"finalizers": finalizers}}, pod)


# --- R13: approvals -------------------------------------------------------------------------------------


def test_an_approval_is_for_one_plan_of_one_attempt(shop: Stage) -> None:
    """R13: what approved another plan, or an attempt before, approves nothing; only the plan that is shown now."""
    before = shop.open_healthy_shop(policy(mode="Approve"))
    victim = min(before)
    shop.break_pod(victim)
    shown = until_asked(shop)
    shop.patch(POLICY, {"spec": {"steps": [ROLL | {"approval": "Required"}]}})
    edited = until_asked(shop, other_than=shown["hash"])
    approve(shop, shown["hash"])
    refused = shop.until_status(POLICY, lambda it: it["plan"].get("refused") == shown["hash"], "it is refused")
    assert refused["plan"]["whyRefused"] == "OtherPlan"
    assert (shop.pods(), generation(shop)) == (before, 1)

    approve(shop, edited["hash"])
    record = shop.until_recovered()
    assert record["name"] == "rolloutRestart"
    assert record["approvedBy"]

    victim = min(shop.until_serving(3))
    shop.until_state("Healthy")
    shop.break_pod(victim)
    replayed = until_asked(shop, other_than=edited["hash"])
    assert replayed["refused"] == edited["hash"]
    assert (generation(shop), victim in shop.pods()) == (2, True)
    assert until(lambda: told(shop, "ApprovalRefused"), "an event tells of it")


def test_an_approval_that_comes_too_late_is_refused(shop: Stage) -> None:
    """R13: after its time the plan is made anew under another hash; the old one opens nothing."""
    before = shop.open_healthy_shop(policy(mode="Approve", approvals={"expireAfter": "10s"}))
    shop.break_pod(min(before))
    expired = until_asked(shop)
    until_asked(shop, other_than=expired["hash"])
    approve(shop, expired["hash"])
    shop.until_status(POLICY, lambda it: it["plan"].get("refused") == expired["hash"], "it is refused")

    assert shop.pods() == before
    assert not acted(shop.status(POLICY))


def until_asked(shop: Stage, other_than: str = "") -> dict[str, Any]:
    """Wait until a plan awaits approval, and give it."""

    def is_asked(status: dict[str, Any]) -> bool:
        plan = status.get("plan", {})
        return plan.get("state") == "AwaitingApproval" and plan["hash"] != other_than

    plan: dict[str, Any] = shop.until_status(POLICY, is_asked, "a plan awaits approval")["plan"]
    return plan


def approve(shop: Stage, plan: str) -> None:
    shop.patch(POLICY, {"metadata": {"annotations": {"homeostat.dev/approve": plan}}})


# --- R14: dependencies ----------------------------------------------------------------------------------


def test_with_its_database_down_a_service_is_left_alone_until_that_is_healed(shop: Stage) -> None:
    """R14: acted on the database only; the shop's turn comes when the database is well again."""
    database = {
        "target": {"kind": "Deployment", "name": "database"},
        "triggers": [{"healthCheck": {"name": "database"}}],
    }
    probe = {"http": {"service": {"name": "database", "port": "http", "path": "/healthz"}}}
    shop.put(service("database"))
    before = shop.open_healthy_shop(
        deployment(1, "database"),
        health_check("database", probe=probe),
        policy("database", suspend=True, **database),
        policy(dependsOn=[{"healthCheck": {"name": "database"}}], suspend=True),
        replicas=2,
    )
    shop.until_state("Healthy", "database")
    ill = next(one["metadata"]["name"] for one in shop.all_of("Pod") if one["metadata"]["labels"]["app"] == "database")
    shop.break_pod(ill)
    shop.break_pod(min(before))
    shop.until_state("Unhealthy")
    shop.until_state("Unhealthy", "database")
    let_act(shop)
    status = shop.until_blocked("DependencyUnhealthy")
    assert "database" in status["blocked"]["message"]
    assert shop.pods() == before

    let_act(shop, "database")
    healed = shop.until_recovered("database")
    assert shop.until_recovered()["startedAt"] >= healed["actedAt"]


# --- R15: every refusal is visible ----------------------------------------------------------------------


def test_a_refusal_shows_on_the_policy_on_its_target_and_in_the_metrics_until_it_is_over(shop: Stage) -> None:
    """R12, R15: a Freeze: condition, event on policy and target, metric; all of it ends with the Freeze."""
    before = shop.open_healthy_shop(policy())
    name = f"story-{shop.namespace}"
    shop.put(freeze(name, shop.namespace, "Recovery"))
    until(lambda: shop.find("Freeze", name), "the freeze holds")
    shop.patch(POLICY, {"metadata": {"annotations": {"homeostat.dev/pause": "a story begins"}}})
    shop.until_status(POLICY, lambda it: it.get("conditions"), "it was evaluated")
    shop.break_pod(min(before))
    shop.until_blocked("Paused")
    shop.patch(POLICY, {"metadata": {"annotations": {"homeostat.dev/pause": None}}})
    status = shop.until_blocked("Frozen")
    condition = shop.condition(POLICY, "Blocked")
    frozen = rf'^homeostat_recovery_blocked\{{.*namespace="{shop.namespace}".*reason="Frozen"'

    assert (condition["status"], condition["reason"]) == ("True", "Frozen")
    assert {"reason", "since", "message"} <= set(status["blocked"])
    until(lambda: shop.one.metric(frozen) == 1, "the metric shows it")
    until(lambda: [one for one in told(shop, "Blocked") if "Frozen" in one["note"]], "an event of the policy")
    until(
        lambda: [one for one in told(shop, "RecoveryBlocked", "Deployment") if "Frozen" in one["note"]], "of the target"
    )
    assert shop.pods() == before

    shop.delete("Freeze", name)
    shop.until_recovered()
    shop.until_status(POLICY, lambda it: "blocked" not in it, "nothing stands against it")
    assert shop.condition(POLICY, "Blocked")["status"] == "False"
    until(lambda: shop.one.metric(frozen) == 0, "the metric ends")


# --- R16: the steps in order ----------------------------------------------------------------------------


def test_steps_are_tried_in_order_and_the_human_is_told_all_that_was_tried(shop: Stage) -> None:
    """R16: scaled and taken back, rolled, escalated: each once, in this order; then nothing more."""
    steps = [MORE, ROLL, HELP]
    shop.open_shop(policy(steps=steps, verify=AT_ONCE), check=health_check(**SICK), replicas=1)
    status = shop.until_status(POLICY, lambda it: it.get("phase") == "Escalated", "escalated")
    [event] = until(lambda: told(shop, "Escalated"), "an event tells of it")

    assert [(one["name"], one["outcome"]) for one in acted(status)] == [
        ("scale", "Failed"),
        ("rolloutRestart", "Failed"),
    ]
    assert [one.split()[0] for one in status["escalated"]["tried"]] == ["scale", "rolloutRestart"]
    assert all(word in event["note"] for word in ("scale", "rolloutRestart", "the shop stays broken"))
    assert status["escalated"]["reason"] == "StepsExhausted"
    assert shop.read("Deployment")["spec"]["replicas"] == 1
