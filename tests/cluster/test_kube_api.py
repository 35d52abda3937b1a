"""Our writes against the real API server: ownership, preconditions, locks, budgets, evictions, events, leadership."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from cluster.hands import budget_of, client, cluster, hand
from cluster.waiting import eventually
from homeostat.api.health_check import KIND as HEALTH_CHECK
from homeostat.api.recovery import KIND as RECOVERY_POLICY
from homeostat.core.action import (
    DeletePod,
    EvictPod,
    Outcome,
    ReleaseLock,
    RestartRollout,
    Scale,
    TakeLock,
    TakeToken,
    Verb,
)
from homeostat.core.cluster import Workload
from homeostat.core.decision import Event, EventType
from homeostat.core.leadership import Terms
from homeostat.core.ref import Ref
from homeostat.engine.objects import KIND_BY_NAME
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import APPLY_PATCH, MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.resources import LEASE, POD, WORKLOADS, resource_of
from homeostat.kube.leases import budget as budgets
from homeostat.kube.leases import election as leases
from homeostat.kube.leases.election import Leadership
from homeostat.kube.leases.locks import lock_name
from homeostat.kube.objects import FINALIZER, ApiObjects
from homeostat.kube.recorder import ApiRecorder
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.projections import RESTARTED_AT
from homeostat.ports import Conflict, Gone, Rejected, Unavailable

pytestmark = pytest.mark.apiserver
__all__ = ["client", "cluster", "hand"]

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DONE = Outcome(Verb.DONE)
CHECKS = resource_of(HEALTH_CHECK)


# --- objects --------------------------------------------------------------------------------------------


async def _check(client: ApiClient, namespace: str, name: str = "web", **metadata: Any) -> tuple[Ref, str]:
    body = {
        "apiVersion": CHECKS.api_version,
        "kind": "HealthCheck",
        "metadata": {"name": name, **metadata},
        "spec": {"probe": {"tcp": {"address": "db:5432"}}},
    }
    raw = await client.request("POST", CHECKS.path(namespace), body=body)
    return Ref("HealthCheck", namespace, name, raw["metadata"]["uid"]), raw["metadata"]["resourceVersion"]


def _condition(kind: str) -> dict[str, Any]:
    at = "2026-11-21T08:00:00Z"
    return {"type": kind, "status": "True", "reason": "Tested", "message": "", "lastTransitionTime": at}


async def test_applying_a_status_replaces_what_is_ours_and_leaves_what_is_others(
    client: ApiClient, namespace: str
) -> None:
    objects = ApiObjects(client)
    ref, _ = await _check(client, namespace)
    await client.request(
        "PATCH",
        CHECKS.path(namespace, ref.name, "status"),
        query={"fieldManager": "another"},
        body={
            "apiVersion": CHECKS.api_version,
            "kind": "HealthCheck",
            "status": {"conditions": [_condition("Theirs")]},
        },
        content_type=APPLY_PATCH,
    )
    await objects.apply_status(
        HEALTH_CHECK, ref, {"message": "first", "conditions": [_condition("Ready"), _condition("Healthy")]}
    )
    after = await objects.apply_status(HEALTH_CHECK, ref, {"conditions": [_condition("Ready")]})

    assert {one["type"] for one in after["status"]["conditions"]} == {"Theirs", "Ready"}
    assert "message" not in after["status"]
    assert after["spec"]["probe"]["tcp"]["address"] == "db:5432"


async def test_what_a_hand_wrote_into_a_status_goes_with_our_next_write(client: ApiClient, namespace: str) -> None:
    """R2: a status is our memory. What an edit left in it would be believed for ever, or make it unwritable."""
    objects = ApiObjects(client)
    ref, _ = await _check(client, namespace)
    await objects.apply_status(HEALTH_CHECK, ref, {"message": "ours"})
    by_hand = {"message": "theirs", "passing": "9/9", "history": [{"state": "Healthy", "at": "2026-11-21T08:00:00Z"}]}
    await _by_hand(client, ref, by_hand | {"conditions": [_condition("Theirs")]})

    after = await objects.apply_status(HEALTH_CHECK, ref, {"conditions": [_condition("Ready")]})
    assert not after["status"].keys() & by_hand.keys()
    assert {one["type"] for one in after["status"]["conditions"]} == {"Theirs", "Ready"}


@pytest.mark.parametrize("change", [{"message": "by hand"}, {"status": "False", "reason": "ByHand"}])
@pytest.mark.parametrize("part", [{}, {"message": "theirs"}], ids=["conditions", "more"])
async def test_a_condition_of_ours_that_ended_goes_although_a_hand_wrote_it_too(
    client: ApiClient, namespace: str, change: dict[str, str], part: dict[str, str]
) -> None:
    """Stalled and DependenciesHealthy are there only at times; of others' conditions nothing is taken."""
    objects = ApiObjects(client)
    ref, _ = await _check(client, namespace)
    ours = [_condition("Ready"), _condition("Stalled")]
    await objects.apply_status(HEALTH_CHECK, ref, {"conditions": ours})
    by_hand = [*(one | change for one in ours), _condition("DependenciesHealthy"), _condition("Theirs")]
    await _by_hand(client, ref, part | {"conditions": by_hand})

    after = await objects.apply_status(HEALTH_CHECK, ref, {"conditions": [_condition("Ready")]})
    assert after["status"].get("message") is None
    assert {one["type"] for one in after["status"]["conditions"]} == {"Theirs", "Ready"}


async def test_a_status_that_a_hand_has_made_impossible_to_apply_is_replaced(client: ApiClient, namespace: str) -> None:
    """R2: an attempt by hand, of which we wrote parts anew, cannot be taken off by an apply: the rest is no attempt."""
    objects = ApiObjects(client)
    ref = await _policy(client, namespace)
    at = "2026-11-21T08:00:00Z"
    workload = {"kind": "Deployment", "name": "shop", "uid": "u"}
    attempt = {"id": "a", "step": 0, "name": "restartPods", "trigger": 0, "phase": "Acting", "workload": workload}
    attempt |= {"detectedAt": at, "startedAt": at, "deadline": at}
    await _by_hand(client, ref, {"attempt": attempt})

    ours = attempt | {"phase": "Verifying", "deadline": "2026-11-21T09:00:00Z"}
    await objects.apply_status(RECOVERY_POLICY, ref, {"attempt": ours})
    after = await objects.apply_status(RECOVERY_POLICY, ref, {"phase": "Idle"})
    assert (after["status"]["phase"], after["status"].get("attempt")) == ("Idle", None)


async def _policy(client: ApiClient, namespace: str) -> Ref:
    spec = {
        "target": {"kind": "Deployment", "name": "shop"},
        "triggers": [{"healthCheck": {"name": "shop"}}],
        "steps": [{"restartPods": {}}],
    }
    body = {"apiVersion": CHECKS.api_version, "kind": "RecoveryPolicy", "metadata": {"name": "shop"}, "spec": spec}
    raw = await client.request("POST", resource_of(RECOVERY_POLICY).path(namespace), body=body)
    return Ref("RecoveryPolicy", namespace, "shop", raw["metadata"]["uid"])


async def _by_hand(client: ApiClient, ref: Ref, status: dict[str, Any]) -> None:
    """Write a status as `kubectl edit --subresource=status` does."""
    path = resource_of(KIND_BY_NAME[ref.kind]).path(ref.namespace, ref.name, "status")
    body = {"status": status}
    await client.request("PATCH", path, query={"fieldManager": "by-hand"}, body=body, content_type=MERGE_PATCH)


async def test_a_status_decided_on_another_version_is_refused(client: ApiClient, namespace: str) -> None:
    """R2: the intent is written on the very version it was decided on, or not at all."""
    objects = ApiObjects(client)
    ref, version = await _check(client, namespace)
    fresh = await objects.apply_status(HEALTH_CHECK, ref, {"message": "one"}, resource_version=version)
    with pytest.raises(Conflict):
        await objects.apply_status(HEALTH_CHECK, ref, {"message": "two"}, resource_version=version)

    again = fresh["metadata"]["resourceVersion"]
    await objects.apply_status(HEALTH_CHECK, ref, {"message": "three"}, resource_version=again)


async def test_a_re_created_object_of_the_same_name_is_never_written(client: ApiClient, namespace: str) -> None:
    """R2: the uid is part of every status write."""
    objects = ApiObjects(client)
    old, old_version = await _check(client, namespace)
    await client.request("DELETE", CHECKS.path(namespace, old.name))
    with pytest.raises(Gone):
        await objects.apply_status(HEALTH_CHECK, old, {"message": "late"})

    new, version = await _check(client, namespace)
    with pytest.raises(Conflict):
        await objects.apply_status(HEALTH_CHECK, old, {"message": "late"}, resource_version=old_version)
    with pytest.raises(Conflict):
        await objects.apply_status(HEALTH_CHECK, old, {"message": "late"})
    with pytest.raises(Conflict):
        await objects.set_finalizer(HEALTH_CHECK, old, version, present=True)

    assert "message" not in (await objects.get(HEALTH_CHECK, namespace, new.name)).get("status", {})


async def test_a_status_that_the_schema_refuses_is_rejected_with_the_servers_words(
    client: ApiClient, namespace: str
) -> None:
    ref, _ = await _check(client, namespace)
    with pytest.raises(Rejected, match="Lovely"):
        await ApiObjects(client).apply_status(HEALTH_CHECK, ref, {"state": "Lovely"})


async def test_a_map_of_the_status_can_become_empty_again(client: ApiClient, namespace: str) -> None:
    """H6: as uptime does when history was lost; left to itself the API server makes null of it, and refuses that."""
    objects = ApiObjects(client)
    ref, _ = await _check(client, namespace)
    await objects.apply_status(HEALTH_CHECK, ref, {"uptime": {"1h": "100"}})
    after = await objects.apply_status(HEALTH_CHECK, ref, {"uptime": {}, "message": "anew"})

    assert "uptime" not in after["status"]
    assert after["status"]["message"] == "anew"


async def test_our_finalizer_comes_and_goes_and_others_stay(client: ApiClient, namespace: str) -> None:
    """C2: finalizer first."""
    objects = ApiObjects(client)
    theirs = ["example.com/a", "example.com/b"]
    ref, version = await _check(client, namespace, finalizers=theirs)
    added = await objects.set_finalizer(HEALTH_CHECK, ref, version, present=True)
    assert added["metadata"]["finalizers"] == [*theirs, FINALIZER]

    repeated = await objects.set_finalizer(HEALTH_CHECK, ref, version, present=True)
    assert repeated["metadata"]["resourceVersion"] == added["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await objects.set_finalizer(HEALTH_CHECK, ref, version, present=False)

    removed = await objects.set_finalizer(HEALTH_CHECK, ref, added["metadata"]["resourceVersion"], present=False)
    assert removed["metadata"]["finalizers"] == theirs
    await client.request(
        "PATCH",
        CHECKS.path(namespace, ref.name),
        body={"metadata": {"finalizers": None}},
        content_type=MERGE_PATCH,
    )


async def test_removing_the_last_finalizer_lets_a_deleted_object_go(client: ApiClient, namespace: str) -> None:
    """C2."""
    objects = ApiObjects(client)
    ref, version = await _check(client, namespace)
    await objects.set_finalizer(HEALTH_CHECK, ref, version, present=True)
    await client.request("DELETE", CHECKS.path(namespace, ref.name))
    ending = await objects.get(HEALTH_CHECK, namespace, ref.name)
    await objects.set_finalizer(HEALTH_CHECK, ref, ending["metadata"]["resourceVersion"], present=False)

    with pytest.raises(Gone):
        await objects.get(HEALTH_CHECK, namespace, ref.name)


async def test_objects_and_their_versions_are_listed(client: ApiClient, namespace: str) -> None:
    made = [await _check(client, namespace, name) for name in ("a", "b", "c")]
    objects = ApiObjects(client)
    versions = [found async for found in objects.list_versions(HEALTH_CHECK, [namespace])]
    whole = [raw async for raw in objects.list(HEALTH_CHECK, [namespace])]

    assert versions == made
    assert [raw["metadata"]["uid"] for raw in whole] == [ref.uid for ref, _ in made]
    assert {raw["kind"] for raw in whole} == {"HealthCheck"}


# --- workloads and acts ---------------------------------------------------------------------------------


async def _deployment(client: ApiClient, cluster: ApiCluster, namespace: str, name: str = "web") -> Workload:
    """Make a Deployment of two pods that no node takes, and wait for its pods."""
    labels = {"app": "shared"}
    spec = {
        "nodeSelector": {"homeostat.dev/nowhere": "true"},
        "containers": [{"name": "main", "image": "none.invalid/none"}],
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    await client.request("POST", WORKLOADS["Deployment"].path(namespace), body=body)

    async def settled() -> Workload | None:
        seen = await cluster.workload(namespace, "Deployment", name)
        is_settled = seen is not None and len(seen.pods) == 2 and not seen.is_rolling_out
        return seen if is_settled else None

    return await eventually(settled)


A = TypeVar("A", Scale, RestartRollout)


async def _act(hand: ApiActuator, cluster: ApiCluster, action: A) -> A:
    """Act on the version that is there now: controllers write statuses all the time. Give what was done."""

    async def once() -> A | None:
        seen = await cluster.workload(action.target.namespace, action.target.kind, action.target.name)
        assert seen is not None
        asked = replace(action, resource_version=seen.resource_version)
        outcome = await hand.act(asked, NOW)
        assert outcome == DONE or outcome.reason == "Conflict"
        return asked if outcome == DONE else None

    return await eventually(once)


async def _write_version(cluster: ApiCluster, workload: Workload) -> Workload:
    """Read the workload again: its status may have moved on."""
    seen = await cluster.workload(workload.ref.namespace, workload.ref.kind, workload.ref.name)
    assert seen is not None
    return seen


async def test_a_workload_has_the_pods_that_it_controls_and_no_others_of_its_selector(
    client: ApiClient, cluster: ApiCluster, namespace: str
) -> None:
    web = await _deployment(client, cluster, namespace)
    await _running_pod(client, namespace, "stranger", {"app": "shared"})

    assert {pod.owner for pod in web.pods} == {web.ref}
    assert all(pod.reasons == ("Pending",) for pod in web.pods)
    assert len(await cluster.pods(namespace, "app=shared")) == 3
    (found,) = await cluster.workloads(namespace, "Deployment", "app=shared")
    assert {pod.ref for pod in found.pods} == {pod.ref for pod in web.pods}
    single = await cluster.pod(namespace, web.pods[0].ref.name)
    assert single is not None
    assert single.owner == web.ref


async def test_what_is_not_there_is_none(cluster: ApiCluster, namespace: str) -> None:
    assert await cluster.workload(namespace, "Deployment", "none") is None
    assert await cluster.pod(namespace, "none") is None
    assert await cluster.namespace("no-such-namespace") is None
    assert await cluster.workloads(namespace, "StatefulSet", "") == ()
    found = await cluster.namespace(namespace)
    assert found is not None
    assert not found.is_terminating


async def test_scaling_twice_is_scaling_once_and_a_changed_object_is_left_alone(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R2, C5: a repeated action is the same action; R8: a newer value by another writer is never overwritten."""
    web = await _deployment(client, cluster, namespace)
    marker = {"homeostat.dev/fault": "run-1"}
    fault = await _act(hand, cluster, Scale("run-1", web.ref, "", 0, marker))
    assert await hand.act(fault, NOW) == DONE

    scaled = await _write_version(cluster, web)
    assert scaled.replicas == 0
    assert ("homeostat.dev/fault", "run-1") in scaled.annotations
    late = Scale("run-2", web.ref, fault.resource_version, 1)
    assert (await hand.act(late, NOW)).reason == "Conflict"
    assert (await _write_version(cluster, web)).replicas == 0


async def test_undoing_a_scale_takes_its_marker_away(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """C6."""
    web = await _deployment(client, cluster, namespace)
    await _act(hand, cluster, Scale("do", web.ref, "", 3, {"homeostat.dev/fault": "x"}))
    await _act(hand, cluster, Scale("undo", web.ref, "", 2, {"homeostat.dev/fault": None}))
    back = await _write_version(cluster, web)
    assert back.replicas == 2
    assert "homeostat.dev/fault" not in dict(back.annotations)


async def test_a_rollout_restarted_twice_by_one_id_is_restarted_once(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R2."""
    web = await _deployment(client, cluster, namespace)
    restart = await _act(hand, cluster, RestartRollout("attempt-1", web.ref, ""))
    generation = (await _write_version(cluster, web)).generation
    assert await hand.act(restart, NOW) == DONE

    raw = await client.request("GET", WORKLOADS["Deployment"].path(namespace, "web"))
    assert raw["metadata"]["generation"] == generation
    assert raw["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT] == "attempt-1"
    other = RestartRollout("attempt-2", web.ref, restart.resource_version)
    assert (await hand.act(other, NOW)).reason == "Conflict"


async def test_a_replaced_workload_is_not_scaled(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R2."""
    web = await _deployment(client, cluster, namespace)
    stranger = Ref(web.ref.kind, namespace, "web", "another-uid")
    outcome = await hand.act(Scale("x", stranger, web.resource_version, 0), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Conflict")
    missing = Ref("Deployment", namespace, "none", "another-uid")
    assert (await hand.act(Scale("x", missing, "1", 0), NOW)).verb is Verb.REFUSED
    unscalable = Ref("DaemonSet", namespace, "web", "another-uid")
    assert (await hand.act(Scale("x", unscalable, "1", 0), NOW)).reason == "Unsupported"


async def _running_pod(client: ApiClient, namespace: str, name: str, labels: dict[str, str]) -> Ref:
    """Make a pod that looks Running and Ready, on a node that does not exist: no kubelet needed."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "main", "image": "none.invalid/none"}]},
    }
    raw = await client.request("POST", POD.path(namespace), body=body)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T08:00:00Z"}
    await client.request(
        "PATCH",
        POD.path(namespace, name, "status"),
        body={"status": {"phase": "Running", "conditions": [ready]}},
        content_type=MERGE_PATCH,
    )
    return Ref("Pod", namespace, name, raw["metadata"]["uid"])


async def test_an_eviction_respects_the_disruption_budget_and_names_it(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R10: minAvailable = replicas: no deletion, and the reason names the PDB."""
    pod = await _running_pod(client, namespace, "web-0", {"app": "web"})
    pdb = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web-stays"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    await client.request("POST", path, body=pdb)

    async def counted() -> bool:
        raw = await client.request("GET", f"{path}/web-stays")
        return bool(raw.get("status", {}).get("currentHealthy") == 1)

    await eventually(counted)
    (budget,) = await cluster.disruption_budgets(namespace)
    held = await hand.act(EvictPod("e", pod, 0), NOW)

    assert (budget.name, budget.selector, budget.disruptions_allowed) == ("web-stays", "app=web", 0)
    assert (held.verb, held.reason) == (Verb.REFUSED, "PodDisruptionBudget")
    assert "web-stays" in held.message
    assert await cluster.pod(namespace, "web-0") is not None


async def test_evicting_or_deleting_a_pod_that_is_gone_or_replaced_is_done(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R2: exactly once, and never the successor of the same name."""
    first = await _running_pod(client, namespace, "a", {})
    assert await hand.act(EvictPod("1", first, 0), NOW) == DONE
    assert await cluster.pod(namespace, "a") is None
    assert await hand.act(EvictPod("1", first, 0), NOW) == DONE

    second = await _running_pod(client, namespace, "a", {})
    assert await hand.act(EvictPod("1", first, 0), NOW) == DONE
    assert await hand.act(DeletePod("2", first, 0), NOW) == DONE
    survivor = await cluster.pod(namespace, "a")
    assert survivor is not None
    assert survivor.ref == second

    assert await hand.act(DeletePod("3", second, 0), NOW) == DONE
    assert await cluster.pod(namespace, "a") is None
    assert await hand.act(DeletePod("3", second, 0), NOW) == DONE


# --- locks, budget, leadership --------------------------------------------------------------------------


async def test_one_of_two_holders_gets_the_lock_of_a_target(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R11: two policies on one Deployment: one acts."""
    web = await _deployment(client, cluster, namespace)
    holders = [Ref("RecoveryPolicy", namespace, name, name) for name in "ab"]
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(hand.act(TakeLock("t", web.ref, holder, 60), NOW)) for holder in holders]
    outcomes = [one.result() for one in tries]
    lock = await cluster.lock(web.ref)

    assert sorted(outcome.verb for outcome in outcomes) == [Verb.DONE, Verb.REFUSED]
    assert {outcome.reason for outcome in outcomes} == {"", "Locked"}
    assert lock is not None
    winner = holders[[outcome.verb for outcome in outcomes].index(Verb.DONE)]
    assert lock.holder == winner
    assert lock.until == NOW + timedelta(seconds=60)
    raw = await client.request("GET", LEASE.path(namespace, lock_name(web.ref)))
    assert raw["metadata"]["ownerReferences"][0]["uid"] == web.ref.uid


async def test_a_lock_is_renewed_expires_is_taken_over_and_is_released_only_by_its_holder(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator
) -> None:
    """R11: a vanished holder's lock is free."""
    web = (await _deployment(client, cluster, namespace)).ref
    one, two = (Ref("ChaosExperiment", namespace, name, name) for name in ("one", "two"))
    later = NOW + timedelta(seconds=50)
    assert await hand.act(TakeLock("1", web, one, 60), NOW) == DONE
    assert await hand.act(TakeLock("2", web, one, 60), later) == DONE
    assert (await hand.act(TakeLock("3", web, two, 60), NOW + timedelta(seconds=100))).reason == "Locked"
    assert await hand.act(TakeLock("4", web, two, 60), NOW + timedelta(seconds=111)) == DONE

    assert await hand.act(ReleaseLock("5", web, one), later) == DONE
    held = await cluster.lock(web)
    assert held is not None
    assert held.holder == two
    assert await hand.act(ReleaseLock("6", web, two), later) == DONE
    assert await hand.act(ReleaseLock("6", web, two), later) == DONE
    assert await cluster.lock(web) is None


async def test_fifty_takers_at_once_get_no_more_tokens_than_there_are(client: ApiClient, namespace: str) -> None:
    """R3: the budget is one for the whole cluster, whoever asks."""
    await budget_of(client, namespace).ensure()
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(budget_of(client, namespace).take(f"action-{number}", NOW)) for number in range(50)]
    outcomes = [one.result() for one in tries]
    left = await budget_of(client, namespace).read(NOW)

    assert [outcome.verb for outcome in outcomes].count(Verb.DONE) == 5
    assert {outcome.reason for outcome in outcomes if outcome != DONE} == {"BudgetExhausted"}
    assert (left.used, left.of, left.resets_at) == (5, 5, NOW + timedelta(hours=1))


async def test_a_token_comes_back_after_its_period_and_one_action_takes_one(client: ApiClient, namespace: str) -> None:
    """R2, R3: restarts change nothing, the record is in the API server."""
    await budget_of(client, namespace).ensure()
    for _ in range(3):
        assert await budget_of(client, namespace, of=1).take("same", NOW) == DONE
    one = budget_of(client, namespace, of=1)
    await one.ensure()
    spent = await one.take("other", NOW + timedelta(minutes=59))
    again = await one.take("other", NOW + timedelta(minutes=61))

    assert (spent.verb, spent.reason) == (Verb.REFUSED, "BudgetExhausted")
    assert again == DONE


@pytest.mark.parametrize("damage", [None, {"homeostat.dev/tokens": "soon:x y"}, {"homeostat.dev/tokens": None}])
async def test_without_a_readable_budget_nobody_acts(
    client: ApiClient, cluster: ApiCluster, namespace: str, hand: ApiActuator, damage: dict[str, Any] | None
) -> None:
    """R3, R12: fail closed."""
    if damage is not None:
        await budget_of(client, namespace).ensure()
        await client.request(
            "PATCH",
            LEASE.path(namespace, budgets.NAME),
            body={"metadata": {"annotations": damage}},
            content_type=MERGE_PATCH,
        )
    outcome = await hand.act(TakeToken("x"), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "BudgetUnreadable")
    with pytest.raises(Unavailable):
        await cluster.token_budget(NOW)


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


async def test_of_two_candidates_one_leads_and_the_other_follows_when_it_stops(
    client: ApiClient, namespace: str
) -> None:
    terms = Terms(duration=30.0, deadline=25.0, renew_every=0.5)  # nobody renews here
    one, two = (Leadership(client, namespace, name, RealClock(), terms=terms) for name in ("one", "two"))
    async with asyncio.TaskGroup() as group:
        both = {group.create_task(one.acquire()), group.create_task(two.acquire())}
        _, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert one.is_held() != two.is_held()
        assert len(waiting) == 1
        leader, follower = (one, two) if one.is_held() else (two, one)
        await leader.release()
        await asyncio.wait(waiting)

    raw = await client.request("GET", LEASE.path(namespace, leases.NAME))
    assert follower.is_held()
    assert not leader.is_held()
    assert raw["spec"]["leaseTransitions"] == 1


# --- events ---------------------------------------------------------------------------------------------


async def test_a_repeated_event_is_one_series_that_kubectl_shows(
    client: ApiClient, namespace: str, kubectl: Callable[..., Any]
) -> None:
    """R15: every refusal is visible on the object, also when another process told it first."""
    ref, _ = await _check(client, namespace)
    event = Event("Unhealthy", "Connection refused by 2 of 3 endpoints", EventType.WARNING)
    now = datetime.now(UTC)
    recorder = ApiRecorder(client, "homeostat-0")
    for _ in range(3):
        await recorder.record(ref, event, now)
    await ApiRecorder(client, "homeostat-1").record(ref, event, now + timedelta(seconds=5))
    await recorder.record(ref, Event("Healthy", "All endpoints answer"), now)

    shown = kubectl("describe", "healthcheck", ref.name, "-n", namespace).stdout
    raw = await client.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    counts = {item["reason"]: item.get("series", {}).get("count") for item in raw["items"]}
    listed = kubectl("get", "events", "-n", namespace).stdout

    assert counts == {"Unhealthy": 4, "Healthy": None}
    assert event.note in shown
    assert event.note in listed
    assert "healthcheck/web" in listed.lower()


async def test_an_object_that_flaps_writes_few_events_and_loses_no_count(client: ApiClient, namespace: str) -> None:
    ref, _ = await _check(client, namespace)
    recorder, event = ApiRecorder(client, "homeostat-0"), Event("Flapping", "x" * 5000)
    for _ in range(60):
        await recorder.record(ref, event, NOW)
    await recorder.record(ref, event, NOW + timedelta(minutes=5))
    raw = await client.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")

    (told,) = raw["items"]
    assert told["series"]["count"] == 61
    assert len(told["note"].encode()) <= 1024


async def test_an_event_that_the_server_refuses_is_logged_by_its_reason_and_never_raised(
    client: ApiClient, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    ref = Ref("HealthCheck", "no-such-namespace", "web", "some-uid")
    await ApiRecorder(client, namespace).record(ref, Event("Unhealthy", "a private note"), NOW)

    assert "Unhealthy" in caplog.text
    assert "private" not in caplog.text
