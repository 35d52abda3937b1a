"""Guards on a real API server, without a kubelet: made once, renewed, answered, and gone without a trace."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.hands import client
from homeostat.core.action import DropGuard, KeepGuard, Outcome, Verb
from homeostat.core.guarding.held import Leftover, Restorable, write_records
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.resources import LEASE, POD
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.guards.post import GuardPost
from homeostat.ports import Forbidden, Gone

pytestmark = pytest.mark.apiserver
__all__ = ["client"]

NOW = datetime.now(UTC)
DONE = Outcome(Verb.DONE)
OWNER = Ref("ChaosExperiment", "shop", "example", "uid-of-experiment")
RECORDS = write_records([Restorable("Deployment", "shop", "web", "uid", {"replicas": "3"}, {"replicas": "0"}, "m")])
IMAGE = "homeostat.dev/none:none"


def keep(records: str = RECORDS, owner: Ref = OWNER) -> KeepGuard:
    return KeepGuard("keep", "guard", owner, 3, records, NOW + timedelta(minutes=5), 15)


@pytest.fixture
async def guards(client: ApiClient, namespace: str) -> ApiGuards:
    """Guards of a namespace that lets only restricted pods in, as that of the operator."""
    account = {"metadata": {"name": "homeostat-undo"}}
    await client.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", body=account)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{namespace}"
    await client.request("PATCH", path, body={"metadata": {"labels": labels}}, content_type=MERGE_PATCH)
    return ApiGuards(client, namespace, IMAGE)


async def lease(client: ApiClient, namespace: str) -> dict[str, Any]:
    return await client.request("GET", LEASE.path(namespace, "guard"))


async def test_a_guard_is_made_once_and_then_renewed(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C18: Lease and Pod, the Pod within the strictest Pod Security, and no longer alive than it is needed."""
    assert await guards.keep(keep(), NOW) == DONE
    pod = await client.request("GET", POD.path(namespace, "guard"))
    assert await guards.keep(keep(), NOW + timedelta(seconds=3)) == DONE

    again = await client.request("GET", POD.path(namespace, "guard"))
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    assert pod["spec"]["serviceAccountName"] == "homeostat-undo"
    assert pod["spec"]["activeDeadlineSeconds"] == 5 * 60 + 60 * 60
    assert (await lease(client, namespace))["spec"]["leaseDurationSeconds"] == 15
    seen = await guards.read("guard")
    assert seen is not None
    assert (seen.ready_for, seen.has_fired) == ("", False)
    assert seen.renewed_at == NOW + timedelta(seconds=3)


async def test_it_is_ready_for_what_its_pod_has_read(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C2: no fault goes on before that; records that changed are not those that were answered."""
    await guards.keep(keep(), NOW)
    post = GuardPost(client, namespace, "guard")
    read = await post.read()
    assert read is not None
    assert (read.records, read.sight.left, read.sight.seconds) == (RECORDS, 300.0, 15.0)
    await post.acknowledge(read.records, "")
    ready = await guards.read("guard")
    assert ready is not None
    assert ready.ready_for == RECORDS

    await guards.keep(keep(records="[]"), NOW)
    changed = await guards.read("guard")
    assert changed is not None
    assert changed.ready_for == ""


async def test_what_is_in_its_way_is_told(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C6: and the answer of before counts no more."""
    await guards.keep(keep(), NOW)
    post = GuardPost(client, namespace, "guard")
    await post.acknowledge(RECORDS, "")
    await post.acknowledge(RECORDS, "Deployment/web: Forbidden")

    seen = await guards.read("guard")
    assert seen is not None
    assert (seen.ready_for, seen.trouble) == ("", "Deployment/web: Forbidden")


async def test_one_that_fired_is_not_renewed(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C9: what it took off stays off."""
    await guards.keep(keep(), NOW)
    await GuardPost(client, namespace, "guard").has_fired("Lease")

    outcome = await guards.keep(keep(), NOW)
    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "GuardFired")
    seen = await guards.read("guard")
    assert seen is not None
    assert seen.has_fired


async def test_a_guard_of_another_experiment_is_left_alone(guards: ApiGuards) -> None:
    """C12."""
    await guards.keep(keep(), NOW)

    other = keep(records="[]", owner=Ref("ChaosExperiment", "shop", "other", "another"))
    assert (await guards.keep(other, NOW)).verb is Verb.REFUSED


async def test_a_pod_that_was_deleted_is_made_again(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C18: a guard that is lost while the operator lives comes back, and its answer is that of the new one."""
    await guards.keep(keep(), NOW)
    path = POD.path(namespace, "guard")
    first = await client.request("GET", path)
    await client.request("DELETE", path, body={"gracePeriodSeconds": 0})

    await guards.keep(keep(), NOW)
    second = await client.request("GET", path)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_nothing_of_a_dropped_guard_is_left(client: ApiClient, guards: ApiGuards, namespace: str) -> None:
    """C3: and dropping it twice is no harm."""
    await guards.keep(keep(), NOW)
    assert await guards.leftovers() == (Leftover("guard", "shop", OWNER.uid, 3),)
    drop = DropGuard("drop", "guard", OWNER)

    assert await guards.drop(drop) == DONE
    assert await guards.drop(drop) == DONE
    assert await guards.leftovers() == ()
    assert await guards.read("guard") is None
    with pytest.raises(Gone):
        await lease(client, namespace)


async def test_without_an_image_or_a_place_there_is_no_guard(client: ApiClient, namespace: str) -> None:
    """C6: and so no fault that needs one."""
    assert (await ApiGuards(client, namespace).keep(keep(), NOW)).reason == "NoGuardImage"

    with pytest.raises(Forbidden):  # there is no ServiceAccount for it
        await ApiGuards(client, namespace, IMAGE).keep(keep(), NOW)
