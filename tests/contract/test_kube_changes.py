"""Changes name the very object and version, carry their marker, and never claim what they do not know (R2, R8)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.kube_server import Behaviour, answers, client_of, refuses, resets, serving
from homeostat.core.action import Action, Outcome, PatchObject, ResizePod, SetUnschedulable, UndoRollout, Verb
from homeostat.core.cluster import PatchEffect, Workload
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.actions.revisions import TRIES, ApiRevisions
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.resizing import is_resizing
from homeostat.ports import Forbidden, Rejected, Unavailable

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
MADE = "2026-11-21T07:00:00Z"
WEB = Ref("Deployment", "shop", "web", "web-uid")
POD = Ref("Pod", "shop", "web-1", "pod-uid")
NODE = Ref("Node", "", "n1", "node-uid")
MARK = {"homeostat.dev/attempt": "a-1"}
SIZES = {"app": {"limits": {"memory": "96Mi"}}}
PATCH = PatchObject("a-1", WEB, "7", "Merge", {"spec": {"replicas": 3, "paused": None}}, MARK)
ROLLBACK = UndoRollout("a-1", WEB, "7", "web-abc", MARK)
RESIZE = ResizePod("a-1", POD, "7", SIZES)
CORDON = SetUnschedulable("a-1", NODE, "7", unschedulable=True, annotations=MARK)
ACTIONS: dict[str, Action] = {"patch": PATCH, "rollback": ROLLBACK, "resize": RESIZE, "cordon": CORDON}

OWNED = {"name": "web-abc", "namespace": "shop", "uid": "rs-uid", "creationTimestamp": MADE}
OWNER = {"kind": "Deployment", "name": "web", "uid": "web-uid", "controller": True}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "web:1"}]}}
LABELLED = {**TEMPLATE, "metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}}}
REPLICA_SET = {"metadata": {**OWNED, "ownerReferences": [OWNER]}, "spec": {"template": LABELLED}}


def _hand(client: ApiClient) -> ApiActuator:
    budget = ActionBudget(client, "homeostat-system", of=5, per=timedelta(hours=1))
    return ApiActuator(client, Locks(client, "homeostat-system"), budget)


def _object(target: Ref, spec: dict[str, Any], marker: str = "a-1", **metadata: Any) -> dict[str, Any]:
    named = {"name": target.name, "uid": target.uid, "resourceVersion": "9", "generation": 1}
    return {"metadata": {**named, "annotations": {"homeostat.dev/attempt": marker}, **metadata}, "spec": spec}


CONFLICT = refuses(409, "Conflict")


# --- acting ---------------------------------------------------------------------------------------------


async def test_a_patch_is_one_write_with_its_marker_at_the_version_of_the_decision() -> None:
    """R2, R8."""
    async with serving(answers(200)) as api, client_of(api.url) as client:
        assert await _hand(client).act(PATCH, NOW) == Outcome(Verb.DONE)

    [seen] = api.seen
    assert (seen.method, seen.path) == ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert seen.query == {"fieldManager": "homeostat-actions"}
    assert seen.headers["Content-Type"] == "application/merge-patch+json"
    assert seen.body == {
        "metadata": {"uid": "web-uid", "resourceVersion": "7", "annotations": MARK},
        "spec": {"replicas": 3, "paused": None},
    }


async def test_a_patch_of_annotations_does_not_lose_the_marker_nor_the_marker_them() -> None:
    """R8."""
    action = PatchObject("a-1", WEB, "7", "Strategic", {"metadata": {"annotations": {"mode": "slow"}}}, MARK)
    async with serving(answers(200)) as api, client_of(api.url) as client:
        await _hand(client).act(action, NOW)

    assert api.seen[0].body["metadata"]["annotations"] == {"mode": "slow", **MARK}
    assert api.seen[0].headers["Content-Type"] == "application/strategic-merge-patch+json"


async def test_going_back_replaces_the_template_by_that_of_the_revision() -> None:
    """R2: without the label that Kubernetes puts on a ReplicaSet's."""
    async with serving(answers(200, REPLICA_SET), answers(200)) as api, client_of(api.url) as client:
        assert await _hand(client).act(ROLLBACK, NOW) == Outcome(Verb.DONE)

    read, write = api.seen
    assert read.path == "/apis/apps/v1/namespaces/shop/replicasets/web-abc"
    assert write.body == {
        "metadata": {"uid": "web-uid", "resourceVersion": "7", "annotations": MARK},
        "spec": {"template": {"$patch": "replace", **TEMPLATE}},
    }


async def test_a_revision_of_another_owner_is_never_gone_back_to() -> None:
    """R2."""
    other = {**REPLICA_SET, "metadata": {**OWNED, "ownerReferences": [{**OWNER, "uid": "other"}]}}
    async with serving(answers(200, other)) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(ROLLBACK, NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "NotFound")
    assert [one.method for one in api.seen] == ["GET"]


async def test_a_resize_goes_to_the_subresource() -> None:
    """R2."""
    async with serving(answers(200)) as api, client_of(api.url) as client:
        assert await _hand(client).act(RESIZE, NOW) == Outcome(Verb.DONE)

    [seen] = api.seen
    assert seen.path == "/api/v1/namespaces/shop/pods/web-1/resize"
    assert seen.body == {
        "metadata": {"uid": "pod-uid", "resourceVersion": "7"},
        "spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "96Mi"}}}]},
    }


@pytest.mark.parametrize(("uid", "reason"), [("pod-uid", "Unsupported"), ("other", "NotFound")])
async def test_a_cluster_that_cannot_resize_is_told_from_a_pod_that_is_gone(uid: str, reason: str) -> None:
    """R16: both are refused."""
    pod = _object(Ref("Pod", "shop", "web-1", uid), {"containers": []})
    async with serving(refuses(404, "NotFound"), answers(200, pod)) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(RESIZE, NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, reason)


STANDING: dict[str, tuple[Action, dict[str, Any]]] = {
    "patch": (PATCH, _object(WEB, {"replicas": 3})),
    "resize": (RESIZE, _object(POD, {"containers": [{"name": "app", "resources": {"limits": {"memory": "98304Ki"}}}]})),
    "cordon": (CORDON, _object(NODE, {"unschedulable": True})),
}


@pytest.mark.parametrize(("action", "stands"), STANDING.values(), ids=STANDING)
async def test_a_conflict_with_our_own_change_is_done(action: Action, stands: dict[str, Any]) -> None:
    """R2: the first answer was lost."""
    async with serving(CONFLICT, answers(200, stands)) as api, client_of(api.url) as client:
        assert await _hand(client).act(action, NOW) == Outcome(Verb.DONE)


async def test_what_stands_of_a_resize_is_read_with_no_right_to_the_subresource() -> None:
    async with serving(CONFLICT, answers(200, STANDING["resize"][1])) as api, client_of(api.url) as client:
        await _hand(client).act(RESIZE, NOW)

    assert [(seen.method, seen.path) for seen in api.seen] == [
        ("PATCH", "/api/v1/namespaces/shop/pods/web-1/resize"), ("GET", "/api/v1/namespaces/shop/pods/web-1"),
    ]  # fmt: skip


async def test_a_conflict_with_our_own_way_back_is_done() -> None:
    """R2."""
    stands = _object(WEB, {"template": TEMPLATE})
    async with serving(answers(200, REPLICA_SET), CONFLICT, answers(200, stands)) as api, client_of(api.url) as client:
        assert await _hand(client).act(ROLLBACK, NOW) == Outcome(Verb.DONE)


OTHERS: dict[str, tuple[Action, dict[str, Any]]] = {
    "patch, other value": (PATCH, _object(WEB, {"replicas": 4})),
    "patch, other marker": (PATCH, _object(WEB, {"replicas": 3}, marker="b-1")),
    "patch, other object": (PATCH, _object(WEB, {"replicas": 3}, uid="other")),
    "patch, field is there": (PATCH, _object(WEB, {"replicas": 3, "paused": True})),
    "resize, other size": (RESIZE, _object(POD, {"containers": [{"name": "app", "resources": {}}]})),
    "resize, no container": (RESIZE, _object(POD, {"containers": []})),
    "cordon, not": (CORDON, _object(NODE, {})),
}


@pytest.mark.parametrize(("action", "stands"), OTHERS.values(), ids=OTHERS)
async def test_a_conflict_with_anything_else_is_a_conflict(action: Action, stands: dict[str, Any]) -> None:
    """R8."""
    async with serving(CONFLICT, answers(200, stands)) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(action, NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Conflict")


@pytest.mark.parametrize(
    "action",
    [
        PatchObject("a-1", Ref("Secret", "shop", "key", "uid"), "7", "Merge", {}, MARK),
        UndoRollout("a-1", Ref("Service", "shop", "web", "uid"), "7", "web-abc", MARK),
    ],
)
async def test_other_kinds_are_not_touched(action: Action) -> None:
    """Only what a target can be."""
    async with serving(answers(200)) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(action, NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Unsupported")
    assert api.seen == []


# --- looking --------------------------------------------------------------------------------------------


async def test_a_patch_is_tried_without_effect_and_strictly() -> None:
    """R2: at one version, and only what a patch may touch counts."""
    before = _object(WEB, {"replicas": 1}, managedFields=[1])
    after = _object(WEB, {"replicas": 3}, managedFields=[2], generation=2)
    async with serving(answers(200, before), answers(200, after)) as api, client_of(api.url) as client:
        effect = await ApiRevisions(client).try_patch(WEB, "Merge", {"spec": {"replicas": 3}})

    assert effect == PatchEffect({"spec": {"replicas": 3}}, {"spec": {"replicas": 1}})
    assert api.seen[1].query == {"dryRun": "All", "fieldManager": "homeostat-actions", "fieldValidation": "Strict"}
    assert api.seen[1].body["metadata"] == {"uid": "web-uid", "resourceVersion": "9"}


async def test_what_is_known_of_a_version_is_not_tried_again() -> None:
    """A policy that waits looks every few seconds."""
    script = [answers(200, _object(WEB, {"replicas": n})) for n in (1, 3, 1)]
    async with serving(*script) as api, client_of(api.url) as client:
        revisions = ApiRevisions(client)
        first = await revisions.try_patch(WEB, "Merge", {"spec": {"replicas": 3}})
        assert await revisions.try_patch(WEB, "Merge", {"spec": {"replicas": 3}}) == first

    assert [one.method for one in api.seen] == ["GET", "PATCH", "GET"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (refuses(422, "Invalid", message="spec.replicas: wrong"), "Invalid"),
        (refuses(403, "Forbidden", message="upstream-text"), "Forbidden"),
        (refuses(500, "", message="upstream-text"), "ApiUnavailable"),
        (resets, "ApiUnavailable"),
        (refuses(404, "NotFound"), "NotFound"),
    ],
)
async def test_what_the_dry_run_refuses_is_said_and_stops_nothing_else(behaviour: Behaviour, reason: str) -> None:
    """A patch that the server cannot read must not stop all evaluation."""
    script = [answers(200, _object(WEB, {})), behaviour]
    async with serving(*script) as api, client_of(api.url) as client:
        effect = await ApiRevisions(client).try_patch(WEB, "Merge", {"spec": {"replicas": 3}})

    assert effect.refusal is not None
    assert effect.refusal[0] == reason
    assert "upstream-text" not in effect.refusal[1]


async def test_an_object_that_never_holds_still_is_given_up() -> None:
    """Bounded."""
    script = [behaviour for _ in range(TRIES) for behaviour in (answers(200, _object(WEB, {})), CONFLICT)]
    async with serving(*script) as api, client_of(api.url) as client:
        effect = await ApiRevisions(client).try_patch(WEB, "Merge", {"spec": {"replicas": 3}})

    assert effect.refusal is not None
    assert effect.refusal[0] == "Conflict"
    assert len(api.seen) == 2 * TRIES


async def test_fields_are_read_as_they_stand() -> None:
    """R8: absent ones are None; of an object that is gone or another, nothing."""
    shape = {"spec": {"replicas": None, "paused": None}, "metadata": {"labels": {"mode": None}}}
    async with serving(answers(200, _object(WEB, {"replicas": 2}))) as api, client_of(api.url) as client:
        seen = await ApiRevisions(client).fields(WEB, shape)
    assert seen == {"spec": {"replicas": 2, "paused": None}, "metadata": {"labels": None}}

    async with serving(refuses(404, "NotFound")) as api, client_of(api.url) as client:
        assert await ApiRevisions(client).fields(WEB, shape) == {}


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(refuses(403, "Forbidden"), Forbidden), (refuses(400, "BadRequest"), Rejected), (resets, Unavailable)],
)
async def test_what_cannot_be_read_is_no_answer(behaviour: Behaviour, error: type[Exception]) -> None:
    """R12: never a guess."""
    async with serving(behaviour) as api, client_of(api.url) as client:
        with pytest.raises(error):
            await ApiRevisions(client).fields(WEB, {})
        with pytest.raises(error):
            await ApiRevisions(client).revisions(_workload())


def _workload() -> Workload:
    return Workload(WEB, "9", 1, 1, replicas=1, updated=1, ready=1, available=1, selector="app=web")


def _replica_set(name: str, number: int, image: str, owner: str = "web-uid") -> dict[str, Any]:
    metadata = {
        "name": name,
        "creationTimestamp": MADE,
        "annotations": {"deployment.kubernetes.io/revision": str(number)},
        "ownerReferences": [{**OWNER, "uid": owner}],
    }
    template = {"metadata": {"labels": {"pod-template-hash": name}}, "spec": {"containers": [{"image": image}]}}
    return {"metadata": metadata, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("image", "observed", "current"),
    [("web:1", 1, "web-a"), ("web:1", 2, "web-a"), ("web:3", 1, ""), ("web:3", 2, "web-b")],
    ids=["template, not yet seen", "template", "new, not yet seen", "controller's word"],
)
async def test_the_current_revision_is_that_of_the_present_template(image: str, observed: int, current: str) -> None:
    """R8: the controller's word only once it has seen the spec; others' ReplicaSets do not count."""
    spec = {
        "template": {"metadata": {"labels": {}, "creationTimestamp": None}, "spec": {"containers": [{"image": image}]}}
    }
    web = _object(WEB, spec, generation=2) | {"status": {"observedGeneration": observed}}
    web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    listed = {
        "items": [
            _replica_set("web-a", 1, "web:1"),
            _replica_set("web-b", 2, "web:2"),
            _replica_set("theirs", 9, "web:1", owner="other"),
        ]
    }
    async with serving(answers(200, web), answers(200, listed)) as api, client_of(api.url) as client:
        found = await ApiRevisions(client).revisions(_workload())

    assert [one.name for one in found] == ["web-b", "web-a"]
    assert next((one.name for one in found if one.is_current), "") == current


# --- whether a pod has its size -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, False),
        ({"containerStatuses": [{"name": "app"}]}, False),
        ({"containerStatuses": [{"name": "app", "resources": {"limits": {"memory": "96Mi"}}}]}, False),
        ({"containerStatuses": [{"name": "app", "resources": {"limits": {"memory": "98304Ki"}}}]}, False),
        ({"containerStatuses": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}]}, True),
        ({"conditions": [{"type": "PodResizePending", "status": "True"}]}, True),
        ({"conditions": [{"type": "PodResizeInProgress", "status": "True"}]}, True),
        ({"conditions": [{"type": "PodResizePending", "status": "False"}]}, False),
    ],
)
def test_a_pod_has_its_size_once_its_status_shows_it(status: dict[str, Any], *, expected: bool) -> None:
    """A status without sizes tells nothing."""
    spec = {"containers": [{"name": "app", "resources": {"limits": {"memory": "96Mi"}}}]}

    assert is_resizing({"spec": spec, "status": status}) is expected
