"""Steps on pods, Nodes, Jobs and webhooks: each by the small worlds of scenarios/recovery, killed before and after."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import Outcome as Ended
from homeostat.api.recovery_decision import Delivery
from homeostat.api.recovery_status import SignalState
from homeostat.core.action import EvictPod, Outcome, Verb
from homeostat.core.recovery.steps.handling import MARKER
from homeostat.core.ref import Ref
from scenarios.recovery.errands import NODE, REFUSED, UNANSWERED, ErrandWorld, NodeWorld
from scenarios.recovery.world import DONE, NOON, POLICY, Killed, World, spec

LIMITS = {"cooldown": "1s", "budget": {"actions": 20, "per": "1h"}, "maxUnhealthy": "100%"}
VERIFY = {"stabilise": "0s", "holdFor": "3s", "deadline": "20s"}
NEXT: dict[str, Any] = {"rolloutRestart": {}}
TEMPLATE = {"spec": {"containers": [{"name": "clean", "image": "shop/clean:1"}]}}


def steps(*wanted: dict[str, Any], **changes: Any) -> Any:
    return spec(steps=list(wanted), limits=LIMITS, verify=VERIFY, **changes)


def job_world(*more: dict[str, Any], timeout: str = "1m", keep_for: str = "1h", **world: Any) -> ErrandWorld:
    step = {"job": {"template": TEMPLATE, "keepFor": keep_for}, "timeout": timeout}
    made = ErrandWorld(spec=steps(step, *more), **world)
    made.sick.add("checkout-1")
    return made


def hook_world(*more: dict[str, Any], timeout: str = "1m", **world: Any) -> ErrandWorld:
    made = ErrandWorld(spec=steps({"webhook": {"url": "https://hooks.test/"}, "timeout": timeout}, *more), **world)
    made.sick.add("checkout-1")
    return made


def node_world(step: dict[str, Any], *more: dict[str, Any], **world: Any) -> NodeWorld:
    target = {"kind": "Node", "name": NODE.name}
    made = NodeWorld(spec=steps({"timeout": "30s"} | step, *more, target=target), **world)
    made.sick.add("checkout-1")
    return made


def live(world: World, time: str) -> None:
    """Let time pass, and come back from each kill at the next look."""
    end = world.now + timedelta(seconds=int(time.removesuffix("s")))
    while world.now < end:
        try:
            world.reconcile()
        except Killed:
            continue
        world.now += timedelta(seconds=1)


# --- evict --------------------------------------------------------------------------------------------------


def evict_world(change: dict[str, Any] | None = None, pod: str = "checkout-2", **evict: Any) -> World:
    """Have a check that fails without naming a pod, and one pod of another kind."""
    at_once = [{"healthCheck": {"name": "checkout"}}]
    world = World(spec=steps({"evict": evict, "timeout": "5s"}, NEXT, triggers=at_once))
    world.verdict = SignalState.FIRING
    world.pods[pod] = replace(world.pods[pod], **(change or {}))
    return world


@pytest.mark.parametrize("change", [{"phase": "Failed", "reasons": ("Evicted",)}, {"phase": "Failed"}])
def test_pods_that_ended_for_good_are_evicted_although_no_trigger_names_them(change: dict[str, Any]) -> None:
    world = evict_world(change)
    world.run("5s")

    assert world.effects[0].startswith("evict checkout-2 ")
    assert len([effect for effect in world.effects if effect.startswith("evict")]) == 1


def test_a_pod_that_finds_no_place_is_scheduled_anew_but_not_one_that_was_just_made() -> None:
    world = evict_world({"phase": "Pending", "created_at": NOON - timedelta(seconds=10)})
    world.run("3s")
    assert world.effects == []

    world = evict_world({"phase": "Pending", "created_at": NOON - timedelta(minutes=2)})
    world.run("3s")
    assert world.effects[0].startswith("evict checkout-2 ")


def test_evicting_all_pods_goes_one_by_one() -> None:
    """R4: each is replaced and serves before the next goes."""
    world = evict_world(which="All")
    world.spec = steps({"evict": {"which": "All"}, "timeout": "1m"})
    world.run("20s")
    evicted = [effect.split()[1] for effect in world.effects]

    assert evicted == ["checkout-0", "checkout-1", "checkout-2", "checkout-3"]


def test_an_eviction_that_a_budget_forbids_leads_to_the_next_step_after_its_time() -> None:
    """R10: evictions only; PodDisruptionBudget is the reason, and nothing is deleted."""
    world = evict_world(which="All")
    world.pdb_allows = False
    world.run("3s")
    blocked = world.status.blocked
    assert blocked is not None
    assert blocked.reason == "PodDisruptionBudget"
    world.run("20s")

    assert [effect.split()[0] for effect in world.effects] == ["restart"]


def overdue(kind: str, **change: Any) -> dict[str, Any]:
    """Describe a pod that was told to go a minute ago, and may take half of that."""
    owner = Ref(kind, "shop", "checkout", "owner")
    told = {"is_terminating": True, "terminating_since": NOON - timedelta(minutes=1), "grace_seconds": 30}
    return {"owner": owner, **told, **change}


def evictions(world: World) -> list[EvictPod]:
    return [action for action in world.decide().actions if isinstance(action, EvictPod)]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "ReplicaSet", "Job"])
def test_a_pod_that_does_not_go_is_ended_at_once_through_the_eviction_api(kind: str) -> None:
    [action] = evictions(evict_world(overdue(kind), forceTerminating=True))

    assert (action.pod.name, action.grace_period_seconds) == ("checkout-2", 0)


@pytest.mark.parametrize("kind", ["StatefulSet", "Elasticsearch"])
def test_a_pod_with_an_identity_is_never_ended_while_a_node_may_run_it(kind: str) -> None:
    """Two of one identity would be worse than none: UnsafeForce, and the next step after its time."""
    world = evict_world(overdue(kind), forceTerminating=True)
    world.run("2s")
    assert world.effects == []
    assert world.status.blocked is not None
    assert world.status.blocked.reason == "UnsafeForce"
    world.run("10s")

    assert [effect.split()[0] for effect in world.effects] == ["restart"]


def test_one_that_no_node_runs_may_be_ended_whatever_it_is() -> None:
    assert evictions(evict_world(overdue("StatefulSet", node=""), forceTerminating=True))


@pytest.mark.parametrize(
    "change",
    [
        {"terminating_since": NOON - timedelta(seconds=39)},
        {"grace_seconds": 3600},
        {"is_terminating": False, "terminating_since": None},
    ],
)
def test_a_pod_that_still_has_time_is_not_forced(change: dict[str, Any]) -> None:
    assert evictions(evict_world(overdue("Deployment", **change), forceTerminating=True)) == []


def test_without_being_told_to_nobody_is_forced() -> None:
    assert evictions(evict_world(overdue("Deployment"))) == []


def test_a_forced_eviction_has_happened_only_once_the_pod_is_gone() -> None:
    """R2: a pod that was on its way out before proves nothing of our own act."""
    world = evict_world(overdue("Deployment"), forceTerminating=True)
    world.spec = steps({"evict": {"forceTerminating": True}, "timeout": "1m"})
    world.kill_in = 3  # after the intent was written, and before the eviction was sent
    live(world, "1s")
    world.kill_in = None
    live(world, "5s")

    assert [effect.split()[1] for effect in world.effects] == ["checkout-2"]


# --- Nodes --------------------------------------------------------------------------------------------------


def test_a_node_is_cordoned_and_what_helps_stays() -> None:
    world = node_world({"cordon": {}})
    world.run("3s")
    world.sick.clear()
    world.run("10s")

    assert world.unschedulable
    assert world.status.last[0].outcome is Ended.RECOVERED
    assert [effect.split()[0] for effect in world.effects] == ["cordon"]


def test_a_cordon_that_does_not_help_is_taken_back() -> None:
    """R8: and only our own."""
    world = node_world({"cordon": {}})
    world.run("40s")

    assert [effect.split()[0] for effect in world.effects] == ["cordon", "uncordon"]
    assert not world.unschedulable
    assert MARKER not in world.annotations
    assert world.status.last[-1].undone or any(record.undone for record in world.status.last)


def test_a_node_that_somebody_else_uncordoned_or_replaced_stays_as_it_is() -> None:
    """R8: what another writer has changed since is theirs."""
    world = node_world({"cordon": {}})
    world.run("5s")
    world.unschedulable, world.version = False, world.version + 1
    world.run("60s")

    assert [effect.split()[0] for effect in world.effects] == ["cordon"]


def test_a_node_that_is_cordoned_already_is_left_to_whoever_did_it() -> None:
    world = node_world({"cordon": {}, "timeout": "2s"}, {"escalate": {}}, unschedulable=True)
    world.run("30s")

    assert world.effects == []
    assert world.unschedulable
    assert world.status.escalated is not None


def test_a_drain_marks_the_node_first_and_moves_one_pod_after_another() -> None:
    """R4, R10: no DaemonSet pods, no mirror pods; each has gone before the next is asked to."""
    world = node_world({"drain": {}, "timeout": "1m"})
    world.run("4s")
    assert len(world.leaving) <= 1
    world.run("20s")

    assert [" ".join(effect.split()[:-1]) for effect in world.effects[:4]] == [
        "cordon",
        "evict of-a/a",
        "evict of-b/b",
        "evict of-c/c",
    ]
    assert sorted(world.guests) == ["agent", "mirror"]


def test_a_drained_node_stays_cordoned_when_that_helped() -> None:
    world = node_world({"drain": {}, "timeout": "1m"})
    world.run("15s")
    world.sick.clear()
    world.run("10s")

    assert world.status.last[0].outcome is Ended.RECOVERED
    assert world.unschedulable


def test_a_drain_that_does_not_help_is_taken_back_as_far_as_that_goes() -> None:
    world = node_world({"drain": {}, "timeout": "1m"})
    world.run("60s")

    assert world.effects[4].startswith("uncordon ")
    assert not world.unschedulable


@pytest.mark.parametrize(
    ("drain", "guest", "reason"),
    [
        ({}, {"kind": "Deployment", "has_empty_dir": True}, "EmptyDirData"),
        ({"deleteEmptyDir": True}, {"kind": None}, "NotReplaced"),
    ],
)
def test_a_drain_that_would_lose_something_does_not_begin(
    drain: dict[str, Any], guest: dict[str, Any], reason: str
) -> None:
    """R15: the Node is not even cordoned."""
    world = node_world({"drain": drain})
    world.host("z", **guest)
    world.run("2s")

    assert world.effects == []
    assert world.status.blocked is not None
    assert world.status.blocked.reason == reason


def test_data_in_an_empty_dir_may_go_when_that_is_said() -> None:
    world = node_world({"drain": {"deleteEmptyDir": True}, "timeout": "1m"})
    world.host("z", "Deployment", has_empty_dir=True)
    world.run("20s")

    assert "z" not in world.guests


def test_what_ended_on_a_node_keeps_its_logs() -> None:
    world = node_world({"drain": {}, "timeout": "1m"})
    world.host("done", "Job", phase="Succeeded")
    world.run("20s")

    assert "done" in world.guests


def test_a_drain_held_by_a_budget_says_so_and_is_taken_back_after_its_time() -> None:
    """R10: no pod is got rid of against its PodDisruptionBudget."""
    world = node_world({"drain": {}, "timeout": "8s"}, kept_by_budget={"b"})
    world.run("6s")
    assert world.status.blocked is not None
    assert world.status.blocked.reason == "PodDisruptionBudget"
    world.run("28s")

    assert "b" in world.guests
    assert not world.unschedulable


def test_the_pods_of_a_node_are_evicted_where_they_live() -> None:
    """Evict of a Node: those that fail, in their own namespaces, and none of a DaemonSet."""
    world = node_world({"evict": {"which": "All"}, "timeout": "1m"})
    world.run("20s")

    assert [effect.split()[1] for effect in world.effects] == ["of-a/a", "of-b/b", "of-c/c"]
    assert not world.unschedulable


@pytest.mark.parametrize("kill_in", range(24))
def test_a_drain_killed_anywhere_does_each_thing_once(kill_in: int) -> None:
    """R2: before and after each write and each act."""
    world = node_world({"drain": {}, "timeout": "1m"})
    world.kill_in = kill_in
    live(world, "20s")
    done = [effect.rsplit(" ", 1)[0] for effect in world.effects]

    assert done[:4] == ["cordon", "evict of-a/a", "evict of-b/b", "evict of-c/c"]
    assert len(set(world.effects)) == len(world.effects)


# --- Jobs ---------------------------------------------------------------------------------------------------


def test_a_runbook_is_run_once_and_verified_when_it_is_complete() -> None:
    world = job_world()
    world.run("20s")
    [(action, _)] = world.jobs.values()
    [record] = world.status.last

    assert record.outcome is Ended.RECOVERED
    assert record.targets == (f"RunJob {action.name}",)  # what `kubectl logs job/NAME` takes
    assert action.name == f"homeostat-{action.id}"
    assert (action.owner, action.template, action.seconds, action.keep_seconds) == (POLICY, TEMPLATE, 60, 3600)
    assert action.environment == {
        "HOMEOSTAT_NAMESPACE": "shop",
        "HOMEOSTAT_POLICY": "restart-checkout",
        "HOMEOSTAT_ATTEMPT": record.id,
        "HOMEOSTAT_TRIGGER": "healthCheck checkout",
        "HOMEOSTAT_REASON": "HealthCheck checkout is Unhealthy",
        "HOMEOSTAT_TARGET_KIND": "Deployment",
        "HOMEOSTAT_TARGET_NAME": "checkout",
        "HOMEOSTAT_PODS": "checkout-1",
    }


@pytest.mark.parametrize("kill_in", range(14))
def test_a_runbook_is_run_once_whenever_the_operator_is_killed(kill_in: int) -> None:
    """R2: before and after each write and each act."""
    world = job_world()
    world.kill_in = kill_in
    live(world, "25s")

    assert len(world.jobs) == 1
    assert world.status.last[0].outcome is Ended.RECOVERED


def test_a_runbook_that_fails_gives_way_at_once() -> None:
    """R16: nobody waits for the deadline of a verification that cannot come."""
    world = job_world(NEXT, job_failure="BackoffLimitExceeded", timeout="10m")
    world.run("15s")
    failed = world.status.last[-1]

    assert (failed.outcome, failed.reason) == (Ended.FAILED, "JobFailed")
    assert [effect.split()[0] for effect in world.effects] == ["job", "restart"]


def test_a_runbook_that_never_ends_is_ended_by_its_own_deadline() -> None:
    world = job_world(NEXT, job_takes=None, timeout="10s")
    world.run("8s")
    assert [effect.split()[0] for effect in world.effects] == ["job"]
    world.run("15s")

    assert world.status.last[-1].reason == "JobTimeout"
    assert [effect.split()[0] for effect in world.effects] == ["job", "restart"]


def test_a_runbook_that_somebody_deletes_is_not_run_again() -> None:
    world = job_world(NEXT, job_takes=None, timeout="10m")
    world.run("5s")
    world.jobs.clear()
    world.run("10s")

    assert world.status.last[-1].reason == "JobGone"
    assert [effect.split()[0] for effect in world.effects] == ["job", "restart"]


def test_a_runbook_that_failed_while_the_trigger_went_quiet_is_verified_all_the_same() -> None:
    world = job_world(NEXT, job_failure="BackoffLimitExceeded")
    world.run("4s")
    world.sick.clear()
    world.run("15s")

    assert world.status.last[0].outcome is Ended.RECOVERED
    assert len(world.effects) == 1


def test_a_job_of_the_name_that_is_not_ours_is_no_runbook_of_ours() -> None:
    answer = Outcome(Verb.REFUSED, "NameTaken", "another Job has the name")
    world = job_world(NEXT, job_answer=answer)
    world.run("10s")

    assert world.status.last[-1].reason == "NameTaken"
    assert [effect.split()[0] for effect in world.effects] == ["restart"]


def test_a_job_that_belongs_to_another_proves_nothing() -> None:
    world = job_world(NEXT, owner="another-policy")
    world.run("10s")

    assert world.status.last[-1].reason == "JobGone"


def test_a_runbook_that_may_not_run_gives_way_after_its_time() -> None:
    answer = Outcome(Verb.REFUSED, "Forbidden", "the operator lacks the right to do this")
    world = job_world(NEXT, job_answer=answer, timeout="10s")
    world.run("5s")
    assert world.status.blocked is not None
    assert world.status.blocked.reason == "NotPermitted"
    world.run("20s")

    assert [effect.split()[0] for effect in world.effects] == ["restart"]


def test_what_is_left_of_the_steps_time_is_the_jobs_own() -> None:
    """A Job that could only be made late has no more time than the step."""
    world = job_world(timeout="1m", wire_breaks=True)
    world.run("20s")
    world.wire_breaks = False
    world.run("20s")
    [(action, at)] = world.jobs.values()

    assert at + timedelta(seconds=action.seconds) <= NOON + timedelta(seconds=64)


def test_a_failed_runbook_is_shown_as_a_plan_in_observe_mode_and_never_run() -> None:
    """R1: what would be done is told, and no Job is made."""
    world = job_world()
    world.spec = world.spec.model_copy(update={"mode": Mode.OBSERVE})
    world.run("20s")

    assert world.jobs == {}
    assert world.status.last[0].outcome is Ended.WOULD_DO


# --- webhooks -----------------------------------------------------------------------------------------------


def test_a_webhook_that_says_yes_is_verified() -> None:
    world = hook_world()
    world.run("10s")
    [(_, action)] = world.calls
    [record] = world.status.last

    assert record.outcome is Ended.RECOVERED
    assert (action.owner, action.url, action.secret) == (POLICY, "https://hooks.test/", None)
    assert action.body["id"] == action.id
    assert action.body["target"] == {"kind": "Deployment", "name": "checkout", "uid": "checkout-uid"}
    assert action.body["trigger"] == "healthCheck checkout"


def test_the_key_to_sign_with_is_named_and_never_seen() -> None:
    world = hook_world()
    webhook = {"url": "https://hooks.test/", "secretRef": {"name": "hooks", "key": "key"}}
    world.spec = steps({"webhook": webhook})
    world.run("10s")

    assert world.calls[0][1].secret == ("hooks", "key")


def test_a_webhook_without_an_answer_is_asked_again_with_growing_pauses_under_one_id() -> None:
    world = hook_world(answers=[UNANSWERED] * 4 + [DONE])
    world.run("60s")
    times = [at for at, _ in world.calls]
    pauses = [(after - before).total_seconds() for before, after in pairwise(times)]

    assert len({action.id for _, action in world.calls}) == 1
    assert len({str(action.body) for _, action in world.calls}) == 1
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 4
    assert world.status.last[0].outcome is Ended.RECOVERED


def test_a_webhook_that_hangs_gives_way_after_the_steps_time() -> None:
    world = hook_world(NEXT, answers=[UNANSWERED], timeout="20s")
    world.run("15s")
    assert world.status.blocked is not None
    assert world.status.blocked.reason == "WebhookUnanswered"
    world.run("20s")

    assert world.status.last[-1].reason == "WebhookUnanswered"
    assert [effect.split()[0] for effect in world.effects] == ["restart"]


@pytest.mark.parametrize("reason", ["WebhookRefused", "AddressDenied"])
def test_a_webhook_that_says_no_gives_way_at_once(reason: str) -> None:
    world = hook_world(NEXT, answers=[Outcome(Verb.REFUSED, reason, "no")], timeout="10m")
    world.run("6s")

    assert len(world.calls) == 1
    assert world.status.last[-1].reason == reason
    assert [effect.split()[0] for effect in world.effects] == ["restart"]


@pytest.mark.parametrize("kill_in", range(12))
def test_a_webhook_is_called_under_one_id_whenever_the_operator_is_killed(kill_in: int) -> None:
    """R2: it may be called twice, and then says so by its Idempotency-Key; what the record says is true.

    Where the answer died with the operator, nothing but another answer tells that it was called, well as all may be.
    """
    world = hook_world()
    world.kill_in = kill_in
    live(world, "20s")

    assert len({action.id for _, action in world.calls}) == 1
    assert len(world.calls) <= 2
    assert world.status.last[0].outcome is Ended.RECOVERED


# --- the webhook of an escalation ---------------------------------------------------------------------------


def told_world(**world: Any) -> ErrandWorld:
    webhook = {"url": "https://hooks.test/", "secretRef": {"name": "hooks", "key": "key"}}
    policy = steps({"restartPods": {}}, {"escalate": {"summary": "help", "webhook": webhook}})
    made = ErrandWorld(spec=policy, eviction_heals=False, hook_heals=False, **world)
    made.sick.add("checkout-1")
    return made


def delivery(world: ErrandWorld) -> Delivery | None:
    escalated = world.status.escalated
    return escalated.webhook if escalated else None


def test_who_is_told_by_webhook_is_told_all_once() -> None:
    """R16: what was tried, of which policy and target, and why."""
    world = told_world()
    world.run("60s")
    [(_, action)] = world.calls
    escalated = world.status.escalated

    assert escalated is not None
    assert (escalated.webhook, escalated.deliveries) == (Delivery.DELIVERED, 1)
    assert (action.id, action.secret) == (escalated.id, ("hooks", "key"))
    assert action.body["policy"] == {"namespace": "shop", "name": "restart-checkout", "uid": "policy-uid"}
    assert action.body["target"] == {"kind": "Deployment", "name": "checkout"}
    assert (action.body["severity"], action.body["summary"]) == ("Critical", "help")
    assert action.body["trigger"] == "healthCheck checkout"
    assert "EvictPod checkout-1" in action.body["tried"][0]


def test_who_is_told_in_a_drill_is_told_of_which_experiment() -> None:
    """C13: also when it is told again after the run; outside of drills there is no such field."""
    drill, plain = told_world(drilled_by="kill-checkout", answers=[UNANSWERED]), told_world()
    drill.run("60s")
    drill.drilled_by = ""
    drill.run("10m", step="5s")
    plain.run("60s")

    assert len(drill.calls) > 1
    assert {action.body.get("experiment") for _, action in drill.calls} == {"kill-checkout"}
    assert "experiment" not in plain.calls[0][1].body


def test_who_does_not_answer_is_told_again_under_the_same_id_and_given_up_after_an_hour() -> None:
    world = told_world(answers=[UNANSWERED])
    world.run("5400s", step="5s")
    times = [at for at, _ in world.calls]
    escalated = world.status.escalated

    assert escalated is not None
    assert (escalated.webhook, escalated.deliveries) == (Delivery.FAILED, len(times))
    assert len({action.id for _, action in world.calls}) == 1
    assert len({str(action.body) for _, action in world.calls}) == 1
    assert 8 <= len(times) <= 16
    assert times[-1] - times[0] <= timedelta(hours=1)


def test_who_does_not_answer_is_told_even_when_all_is_well_again() -> None:
    """R16: that it healed by itself in the meantime is no reason for the human not to hear of it."""
    world = told_world(answers=[UNANSWERED, UNANSWERED, DONE])
    while not world.calls and world.now < NOON + timedelta(minutes=2):
        world.run("1s")
    assert delivery(world) is Delivery.PENDING
    world.sick.clear()
    world.run("10m", step="5s")

    assert world.status.escalated is None
    assert world.status.undelivered == ()
    assert len(world.calls) == 3
    assert len({(action.id, str(action.body)) for _, action in world.calls}) == 1


@pytest.mark.parametrize("answer", [REFUSED, Outcome(Verb.REFUSED, "AddressDenied", "no")])
def test_who_says_no_is_not_told_again(answer: Outcome) -> None:
    world = told_world(answers=[answer])
    world.run("120s")

    assert delivery(world) is Delivery.FAILED
    assert len(world.calls) == 1


def test_a_key_that_is_missing_now_may_come() -> None:
    world = told_world(answers=[Outcome(Verb.REFUSED, "SecretUnusable", "no key"), DONE])
    world.run("120s")

    assert delivery(world) is Delivery.DELIVERED
    assert len(world.calls) == 2


@pytest.mark.parametrize("kill_in", range(0, 60, 3))
def test_an_escalation_is_delivered_under_one_id_whenever_the_operator_is_killed(kill_in: int) -> None:
    """R2, R16: neither forgotten nor told as another one."""
    world = told_world()
    world.kill_in = kill_in
    live(world, "90s")

    assert delivery(world) is Delivery.DELIVERED
    assert len({action.id for _, action in world.calls}) == 1
    assert len(world.calls) <= 2


def test_observe_tells_nobody() -> None:
    """R1."""
    world = told_world()
    world.spec = world.spec.model_copy(update={"mode": Mode.OBSERVE})
    world.run("300s")

    assert world.calls == []
