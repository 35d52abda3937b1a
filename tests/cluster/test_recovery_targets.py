"""What policies heal, as the real API server shows it: Nodes and their pods, controllers of Pods, owners from Git."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.waiting import eventually
from homeostat.core.action import Outcome, Verb
from homeostat.core.cluster import Workload
from homeostat.core.recovery.targets.gitops import TEMPLATE
from homeostat.core.ref import Ref
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import APPLY_PATCH, MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.apiserver.resources import LEASE, NODE, POD, SERVICE, WORKLOADS
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks, lock_name
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.targets import ApiTargets

pytestmark = pytest.mark.apiserver

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DEPLOYMENTS = WORKLOADS["Deployment"]
LABELS = {"app": "shop"}


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    async with ApiClient(find_credentials({}, kubeconfig=str(kubeconfig))) as opened:
        yield opened


@pytest.fixture
def targets(client: ApiClient, namespace: str) -> ApiTargets:
    cluster = ApiCluster(
        client, Locks(client, namespace), ActionBudget(client, namespace, of=1, per=timedelta(hours=1))
    )
    return ApiTargets(client, cluster, ApiRevisions(client), ApiJobReader(client))


@pytest.fixture
async def node(client: ApiClient) -> AsyncIterator[str]:
    """Make a Node of our own that nothing is scheduled to."""
    name = f"target-{time.monotonic_ns()}"
    body = {"metadata": {"name": name, "labels": {"target": name}}, "spec": {"unschedulable": True}}
    await client.request("POST", NODE.path(), body=body)
    try:
        yield name
    finally:
        await client.request("DELETE", NODE.path(name=name))


def _pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": "pause", "resources": {"requests": {"memory": "16Mi"}}}]
    volumes = [{"name": "scratch", "emptyDir": {}}]
    return {
        "metadata": {"name": name, "labels": LABELS},
        "spec": {"containers": containers, "volumes": volumes, **spec},
    }


def _deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": "pause"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"kustomize.toolkit.fluxcd.io/name": "apps", **LABELS}},
        "spec": {"selector": {"matchLabels": LABELS}, "template": template, **spec},
    }


async def test_a_node_is_read_with_the_pods_of_every_namespace_and_its_conditions(
    client: ApiClient, targets: ApiTargets, namespace: str, node: str
) -> None:
    await client.request("POST", POD.path(namespace), body=_pod("guest", nodeName=node))

    found = await targets.named("", "Node", node)
    selected = await targets.selected("", "Node", f"target={node}")

    assert found is not None
    assert [pod.ref.name for pod in found.pods] == ["guest"]
    assert {"NotReady", "Cordoned"} <= set(found.conditions)
    assert found.population is not None
    assert found.population[0] >= 1
    assert [one.ref for one in selected] == [found.ref]
    assert found.pods[0].has_empty_dir
    assert found.pods[0].containers[0].requests == (("memory", "16Mi"),)


async def test_the_lock_of_a_node_is_kept_where_the_operator_is(
    client: ApiClient, targets: ApiTargets, namespace: str, node: str
) -> None:
    """R11: a Lease in a namespace may belong to a Node, and is not collected as an orphan at once."""
    found = await targets.named("", "Node", node)
    assert found is not None
    locks = Locks(client, namespace)

    outcome = await locks.take(found.ref, Ref("RecoveryPolicy", namespace, "p", "p-uid"), 60, NOW)

    held = await locks.read(found.ref)
    lease = await client.request("GET", LEASE.path(namespace, lock_name(found.ref)))
    assert outcome == Outcome(Verb.DONE)
    assert held is not None
    assert held.holder.uid == "p-uid"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == found.ref.uid


async def test_pods_stand_for_what_controls_them_and_alone_for_themselves(
    client: ApiClient, targets: ApiTargets, namespace: str
) -> None:
    await client.request("POST", DEPLOYMENTS.path(namespace), body=_deployment("web", replicas=2))
    await client.request("POST", POD.path(namespace), body=_pod("alone"))

    async def with_its_pods() -> Workload | None:
        found = await targets.named(namespace, "Deployment", "web")
        return found if found is not None and len(found.pods) == 2 else None

    web = await eventually(with_its_pods)

    by_label = await targets.selected(namespace, "Pod", "app=shop")
    by_name = await targets.named(namespace, "Pod", web.pods[0].ref.name)

    assert [(one.ref.kind, one.ref.name) for one in by_label] == [("Deployment", "web"), ("Pod", "alone")]
    assert by_label[0].eligible == {pod.ref.uid for pod in web.pods}
    assert by_name is not None
    assert (by_name.ref, by_name.eligible) == (web.ref, {web.pods[0].ref.uid})


async def test_what_git_owns_is_read_from_the_fields_that_its_controller_applied(
    client: ApiClient, targets: ApiTargets, namespace: str
) -> None:
    """The replicas are a human's: to scale is free, to go back to an older template is not."""
    path = DEPLOYMENTS.path(namespace, "web")
    query = {"fieldManager": "kustomize-controller", "force": "true"}
    await client.request("PATCH", path, query=query, body=_deployment("web"), content_type=APPLY_PATCH)
    scaled = {"spec": {"replicas": 2}}
    await client.request("PATCH", path, query={"fieldManager": "kubectl-edit"}, body=scaled, content_type=MERGE_PATCH)

    found = await targets.named(namespace, "Deployment", "web")

    assert found is not None
    assert found.git is not None
    assert (found.git.tool, found.git.name) == ("Flux", "apps")
    assert TEMPLATE in found.git.fields
    assert "spec.replicas" not in found.git.fields


async def test_a_service_is_read_as_something_to_patch(client: ApiClient, targets: ApiTargets, namespace: str) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": [{"port": 80}]}}
    await client.request("POST", SERVICE.path(namespace), body=body)

    found = await targets.named(namespace, "Service", "web")

    assert found is not None
    assert (found.ref.kind, found.selector, found.replicas) == ("Service", "app=shop", 0)
