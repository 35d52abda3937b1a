"""Events about what others own: of any kind, in any scope."""

from typing import Any

import pytest

from contract.kube_server import answers, client_of, serving
from fakes import NOON
from homeostat.core.decision import Event, EventType
from homeostat.core.ref import Ref
from homeostat.kube.recorder import ApiRecorder

EVENT = Event("RecoveryBlocked", "RecoveryPolicy heal does nothing: Frozen: outage", EventType.WARNING, "Recover")


@pytest.mark.parametrize(
    ("about", "namespace", "regarding"),
    [
        (
            Ref("Deployment", "shop", "web", "uid-1"),
            "shop",
            {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop"},
        ),
        (Ref("Node", "", "worker-1", "uid-1"), "default", {"apiVersion": "v1", "kind": "Node"}),
        (Ref("Service", "shop", "web", "uid-1"), "shop", {"apiVersion": "v1", "kind": "Service", "namespace": "shop"}),
        (
            Ref("RecoveryPolicy", "shop", "heal", "uid-1"),
            "shop",
            {"apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "namespace": "shop"},
        ),
        (Ref("Rollout", "shop", "web", "uid-1"), "shop", {"kind": "Rollout", "namespace": "shop"}),
    ],
    ids=lambda one: one.kind if isinstance(one, Ref) else "",
)
async def test_an_event_regards_its_object_whatever_it_is(
    about: Ref, namespace: str, regarding: dict[str, Any]
) -> None:
    """R15: a refusal is told on the target: a workload, a Node, or a kind that is not known here."""
    async with serving(answers(201)) as api, client_of(api.url) as client:
        await ApiRecorder(client, "homeostat-0").record(about, EVENT, NOON)

    (posted,) = api.seen
    assert posted.path == f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    assert posted.body["metadata"]["namespace"] == namespace
    assert posted.body["regarding"] == regarding | {"name": about.name, "uid": "uid-1"}
    assert (posted.body["reason"], posted.body["type"]) == ("RecoveryBlocked", "Warning")


async def test_a_refusal_that_is_told_again_is_counted_on_the_same_event() -> None:
    """R15: deduplicated."""
    about = Ref("Deployment", "shop", "web", "uid-1")
    async with serving(answers(201)) as api, client_of(api.url) as client:
        recorder = ApiRecorder(client, "homeostat-0")
        for _ in range(3):
            await recorder.record(about, EVENT, NOON)

    assert [one.method for one in api.seen] == ["POST", "PATCH", "PATCH"]
    assert api.seen[-1].body["series"]["count"] == 3
