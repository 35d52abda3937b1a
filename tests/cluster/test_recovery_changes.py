"""What only a real control plane shows of changes: dry runs, strategic merges, going back, sizes (R2, R8)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster.hands import client, cluster, hand
from cluster.waiting import eventually
from homeostat.core import merge_patch
from homeostat.core.action import Action, Outcome, PatchObject, ResizePod, SetUnschedulable, UndoRollout, Verb
from homeostat.core.cluster import Pod, Workload
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.resources import NODE, POD, WORKLOADS
from homeostat.kube.workloads.cluster import ApiCluster

pytestmark = pytest.mark.apiserver
__all__ = ["client", "cluster", "hand"]

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DONE = Outcome(Verb.DONE)
MARKER = "homeostat.dev/attempt"


@pytest.fixture
def revisions(client: ApiClient) -> ApiRevisions:
    return ApiRevisions(client)


# --- what there is to change ----------------------------------------------------------------------------


def _template(image: str, **environment: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "app",
        "image": image,
        "resources": {"requests": {"memory": "64Mi", "cpu": "100m"}, "limits": {"memory": "64Mi"}},
    }
    if environment:
        container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


async def _workload(client: ApiClient, namespace: str, kind: str = "Deployment") -> Ref:
    resource = WORKLOADS[kind]
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": "web"}}, "template": _template("web:1")}
    spec |= {"Deployment": {"replicas": 1}, "StatefulSet": {"replicas": 1, "serviceName": "web"}}.get(kind, {})
    body = {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": "web"}, "spec": spec}
    raw = await client.request("POST", resource.path(namespace), body=body)
    return Ref(kind, namespace, "web", raw["metadata"]["uid"])


async def _raw(client: ApiClient, target: Ref) -> dict[str, Any]:
    return await client.request("GET", WORKLOADS[target.kind].path(target.namespace, target.name))


async def _roll_to(client: ApiClient, target: Ref, template: dict[str, Any]) -> None:
    path = WORKLOADS[target.kind].path(target.namespace, target.name)
    await client.request("PATCH", path, body={"spec": {"template": template}}, content_type=MERGE_PATCH)


async def _seen(cluster: ApiCluster, target: Ref) -> Workload:
    found = await cluster.workload(target.namespace, target.kind, target.name)
    assert found is not None
    return found


async def _act(hand: ApiActuator, cluster: ApiCluster, make: Callable[[str], Action], target: Ref) -> None:
    """Act on the version that is there now; controllers write statuses all the time."""

    async def once() -> bool:
        outcome = await hand.act(make((await _seen(cluster, target)).resource_version), NOW)
        assert outcome == DONE or outcome.reason == "Conflict"
        return outcome == DONE

    await eventually(once)


# --- revisions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_workload_goes_back_to_the_very_template_of_an_earlier_revision_and_forth(
    client: ApiClient, hand: ApiActuator, cluster: ApiCluster, revisions: ApiRevisions, namespace: str, kind: str
) -> None:
    """R2, R8: nothing of the later template is left, and the revision gone back to is the current one again."""
    target = await _workload(client, namespace, kind)

    async def current(of: int) -> str:
        known = await revisions.revisions(await _seen(cluster, target))
        return next((one.name for one in known if one.is_current), "") if len(known) == of else ""

    first = await eventually(lambda: current(1))
    original = (await _raw(client, target))["spec"]["template"]
    await _roll_to(client, target, _template("web:2", MODE="bad"))
    second = await eventually(lambda: current(2))
    later = (await _raw(client, target))["spec"]["template"]

    await _act(hand, cluster, lambda at: UndoRollout("go-1", target, at, first, {MARKER: "go-1"}), target)
    raw = await _raw(client, target)
    assert raw["spec"]["template"] == original
    assert raw["metadata"]["annotations"][MARKER] == "go-1"
    assert await eventually(lambda: current(2)) == first

    await _act(hand, cluster, lambda at: UndoRollout("go-1-undo", target, at, second, {MARKER: None}), target)
    raw = await _raw(client, target)
    assert raw["spec"]["template"] == later
    assert MARKER not in raw["metadata"].get("annotations", {})
    assert await eventually(lambda: current(2)) == second


async def test_the_current_revision_is_known_by_its_template_not_by_its_number(
    client: ApiClient, hand: ApiActuator, cluster: ApiCluster, revisions: ApiRevisions, namespace: str
) -> None:
    """R8: whether the controllers have caught up or not, what runs is what the spec says."""
    target = await _workload(client, namespace)

    async def known() -> Any:
        return await revisions.revisions(await _seen(cluster, target))

    await eventually(known)
    await _roll_to(client, target, _template("web:2"))
    await eventually(lambda: _has(known, 2))
    oldest = (await known())[-1]
    await _act(hand, cluster, lambda at: UndoRollout("go-2", target, at, oldest.name, {MARKER: "go-2"}), target)

    assert [one.name for one in await known() if one.is_current] == [oldest.name]
    newest = await eventually(lambda: _newest_if(known, oldest.name))
    assert newest.created_at == oldest.created_at


async def _has(known: Callable[[], Awaitable[Any]], count: int) -> bool:
    return len(await known()) == count


async def _newest_if(known: Callable[[], Awaitable[Any]], name: str) -> Any:
    newest = (await known())[0]
    return newest if newest.name == name else None


async def test_going_back_repeated_is_once_and_another_version_is_a_conflict(
    client: ApiClient, hand: ApiActuator, cluster: ApiCluster, revisions: ApiRevisions, namespace: str
) -> None:
    """R2: the answer may have been lost."""
    target = await _workload(client, namespace)
    known = await eventually(lambda: _revisions(revisions, cluster, target))
    action = UndoRollout("go-3", target, "1", known[0].name, {MARKER: "go-3"})

    assert (await hand.act(action, NOW)).reason == "Conflict"
    await _act(hand, cluster, lambda at: replace(action, resource_version=at), target)
    assert await hand.act(action, NOW) == DONE
    other = replace(target, uid="00000000-0000-0000-0000-000000000000")
    assert (await hand.act(replace(action, target=other), NOW)).reason == "NotFound"


async def _revisions(revisions: ApiRevisions, cluster: ApiCluster, target: Ref) -> Any:
    return await revisions.revisions(await _seen(cluster, target))


# --- patches --------------------------------------------------------------------------------------------

STRATEGIC = {
    "metadata": {"labels": {"mode": "slow"}},
    "spec": {
        "minReadySeconds": 7,
        "template": {"spec": {"containers": [{"name": "app", "env": [{"name": "MODE", "value": "slow"}]}]}},
    },
}


@pytest.mark.parametrize("strategy", ["Strategic", "Merge"])
async def test_a_dry_run_tells_what_a_patch_does_and_how_to_put_it_back(
    client: ApiClient, hand: ApiActuator, cluster: ApiCluster, revisions: ApiRevisions, namespace: str, strategy: str
) -> None:
    """R2, R8: nothing is changed by it; the change and its way back are exact."""
    target = await _workload(client, namespace)
    body = (
        STRATEGIC
        if strategy == "Strategic"
        else {"spec": {"minReadySeconds": 7, "strategy": {"type": "Recreate", "rollingUpdate": None}}}
    )
    before = await _raw(client, target)

    effect = await revisions.try_patch(target, strategy, body)
    assert effect.refusal is None
    assert effect.forward["spec"]["minReadySeconds"] == 7
    assert (await _raw(client, target))["spec"] == before["spec"]

    await _act(
        hand, cluster, lambda at: PatchObject("do-1", target, at, "Merge", effect.forward, {MARKER: "do-1"}), target
    )
    patched = await _raw(client, target)
    assert patched["spec"]["minReadySeconds"] == 7
    fields = merge_patch.shape(effect.forward, effect.back)
    assert merge_patch.same(await revisions.fields(target, fields), effect.forward)

    await _act(
        hand, cluster, lambda at: PatchObject("do-1-undo", target, at, "Merge", effect.back, {MARKER: None}), target
    )
    after = await _raw(client, target)
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    assert MARKER not in after["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("strategy", "body"),
    [
        ("Merge", {"spec": {"replicas": "many"}}),
        ("Merge", {"spec": {"replicas": -1}}),
        ("Merge", {"spec": {"replicsa": 3}}),
        ("Merge", {"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
        ("Strategic", {"spec": {"template": {"spec": {"containers": [{"image": "nameless"}]}}}}),
        ("Strategic", {"spec": {"template": {"$patch": "no-such-directive"}}}),
        ("Strategic", {"spec": {"template": {"spec": {"containers": "none"}}}}),
    ],
)
async def test_a_patch_that_does_not_apply_is_found_by_the_dry_run(
    client: ApiClient, revisions: ApiRevisions, namespace: str, strategy: str, body: dict[str, Any]
) -> None:
    """Before anything is touched, and without stopping the evaluation."""
    target = await _workload(client, namespace)
    before = (await _raw(client, target))["spec"]

    effect = await revisions.try_patch(target, strategy, body)

    assert effect.refusal is not None
    assert effect.refusal[0] in {"Invalid", "ApiUnavailable"}
    assert (effect.forward, effect.back) == ({}, {})
    assert (await _raw(client, target))["spec"] == before


async def test_a_patch_of_what_is_there_already_changes_nothing(
    client: ApiClient, revisions: ApiRevisions, namespace: str
) -> None:
    """The effect is empty: there is nothing to do."""
    target = await _workload(client, namespace)

    effect = await revisions.try_patch(target, "Merge", {"spec": {"replicas": 1}})

    assert (effect.forward, effect.back, effect.refusal) == ({}, {}, None)


async def test_of_an_object_that_was_replaced_nothing_is_tried_or_read(
    client: ApiClient, revisions: ApiRevisions, namespace: str
) -> None:
    """R2: the name is not the object."""
    target = replace(await _workload(client, namespace), uid="00000000-0000-0000-0000-000000000000")

    assert (await revisions.try_patch(target, "Merge", {"spec": {"replicas": 3}})).refusal == (
        "NotFound",
        "the object is not there",
    )
    assert await revisions.fields(target, {"spec": {"replicas": None}}) == {}


# --- sizes ----------------------------------------------------------------------------------------------


async def _pod(client: ApiClient, cluster: ApiCluster, namespace: str) -> Pod:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": _template("web:1")["spec"]}
    await client.request("POST", POD.path(namespace), body=body)
    found = await cluster.pod(namespace, "one")
    assert found is not None
    return found


async def test_a_pod_that_is_gone_or_replaced_is_not_resized(
    client: ApiClient, hand: ApiActuator, cluster: ApiCluster, namespace: str
) -> None:
    """R2: not found is not the same as a cluster that cannot."""
    pod = await _pod(client, cluster, namespace)
    sizes = {"app": {"limits": {"memory": "96Mi"}, "requests": {"memory": "96Mi"}}}
    other = replace(pod.ref, uid="00000000-0000-0000-0000-000000000000")
    gone = replace(pod.ref, name="gone")

    assert (await hand.act(ResizePod("r-2", other, pod.resource_version, sizes), NOW)).verb is Verb.REFUSED
    assert (await hand.act(ResizePod("r-3", gone, pod.resource_version, sizes), NOW)).reason == "NotFound"


# --- nodes ----------------------------------------------------------------------------------------------


async def test_a_node_is_cordoned_once_and_back(client: ApiClient, hand: ApiActuator, namespace: str) -> None:
    """R2, R8: with the marker in the same write."""
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"spare-{namespace}"}}
    raw = await client.request("POST", NODE.path(), body=body)
    node = Ref("Node", "", raw["metadata"]["name"], raw["metadata"]["uid"])
    path = NODE.path(name=node.name)

    async def cordoned(action: SetUnschedulable) -> bool:
        at = (await client.request("GET", path))["metadata"]["resourceVersion"]
        return await hand.act(replace(action, resource_version=at), NOW) == DONE

    try:
        cordon = SetUnschedulable("c-1", node, "", unschedulable=True, annotations={MARKER: "c-1"})
        await eventually(lambda: cordoned(cordon))
        seen = await client.request("GET", path)
        assert seen["spec"]["unschedulable"] is True
        assert seen["metadata"]["annotations"][MARKER] == "c-1"
        assert await hand.act(replace(cordon, resource_version="1"), NOW) == DONE

        undo = SetUnschedulable("c-1-undo", node, "", unschedulable=False, annotations={MARKER: None})
        await eventually(lambda: cordoned(undo))
        seen = await client.request("GET", path)
        assert "unschedulable" not in seen["spec"]
        assert MARKER not in seen["metadata"].get("annotations", {})
    finally:
        await client.request("DELETE", path)
