"""What policies heal, as read from the API server: workloads, Nodes, Services, and what controls Pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from contract.kube_server import client_of, serving_handler
from homeostat.core.action import Outcome, Verb
from homeostat.core.cluster import GitOwner, Service
from homeostat.core.ref import Ref
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.projections import node_workload_of, pod_of, workload_of
from homeostat.kube.workloads.targets import ApiTargets

Objects = dict[str, list[dict[str, Any]]]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Api:
    """An API server that holds a few objects by collection, and notes what it is asked."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        query = request.query
        self.asked.append(f"{request.method} {request.path_qs}")
        if request.path in self.objects:
            items = [one for one in self.objects[request.path] if _matches(one, query)]
            return web.json_response({"items": items, "metadata": {}})
        collection, _, name = request.path.rpartition("/")
        found = [one for one in self.objects.get(collection, []) if one["metadata"]["name"] == name]
        if found:
            return web.json_response(found[0])
        return web.json_response({"kind": "Status", "reason": "NotFound", "code": 404}, status=404)


def _matches(one: dict[str, Any], query: Any) -> bool:
    node = query.get("fieldSelector", "").removeprefix("spec.nodeName=")
    wanted = [part.split("=") for part in query.get("labelSelector", "").split(",") if part]
    labels = one["metadata"].get("labels", {})
    return (not node or one["spec"].get("nodeName") == node) and all(labels.get(key) == value for key, value in wanted)


def cluster_on(client: ApiClient) -> ApiCluster:
    return ApiCluster(client, Locks(client, "system"), ActionBudget(client, "system", of=1, per=timedelta(hours=1)))


def targets_on(client: ApiClient) -> ApiTargets:
    return ApiTargets(client, cluster_on(client), ApiRevisions(client), ApiJobReader(client))


def meta(name: str, **more: Any) -> dict[str, Any]:
    plain = {"name": name, "namespace": "shop", "uid": f"{name}-uid", "resourceVersion": "7"}
    return {**plain, "creationTimestamp": "2026-11-21T08:00:00Z", **more}


def pod(name: str, kind: str = "", owner: str = "", node: str = "n1", **more: Any) -> dict[str, Any]:
    owners = [{"kind": kind, "name": owner, "uid": f"{owner}-uid", "controller": True}] if kind else []
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = meta(name, ownerReferences=owners, labels={"app": "shop"}, **more)
    return {"metadata": metadata, "spec": {"nodeName": node, "containers": []}, "status": status}


def node(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"{name}-uid", "resourceVersion": "7", "labels": {"role": "worker"}}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def deployment(name: str, **more: Any) -> dict[str, Any]:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "shop"}}, "template": {}}
    return {"metadata": meta(name, generation=1, **more), "spec": spec, "status": {"observedGeneration": 1}}


BY_WEB = {"kind": "Deployment", "name": "web", "uid": "web-uid", "controller": True}
SHOP: Objects = {
    "/apis/apps/v1/namespaces/shop/deployments": [deployment("web")],
    "/apis/apps/v1/namespaces/shop/replicasets": [{"metadata": meta("web-5d", ownerReferences=[BY_WEB])}],
    "/apis/apps/v1/namespaces/shop/statefulsets": [],
    "/api/v1/namespaces/shop/pods": [
        pod("web-1", "ReplicaSet", "web-5d"),
        pod("web-2", "ReplicaSet", "web-5d"),
        pod("import-1", "Rollout", "import"),
        pod("alone"),
        pod("proxy-n1", "Node", "n1", annotations={"kubernetes.io/config.mirror": "x"}),
    ],
    "/api/v1/nodes": [node("n1"), node("n2", ready="Unknown"), node("n3", unschedulable=True)],
    "/api/v1/pods": [pod("web-1", "ReplicaSet", "web-5d"), pod("web-2", "ReplicaSet", "web-5d", node="n2")],
    "/api/v1/namespaces/shop/services": [
        {"metadata": meta("web", annotations={"a": "b"}), "spec": {"selector": {"app": "shop"}}}
    ],
}  # fmt: skip


# --- pods -----------------------------------------------------------------------------------------------


async def test_a_pod_stands_for_what_controls_it_with_all_its_pods() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        found = await targets_on(client).named("shop", "Pod", "web-1")

    assert found is not None
    assert found.ref == Ref("Deployment", "shop", "web", "web-uid")
    assert [one.ref.name for one in found.pods] == ["web-1", "web-2"]
    assert found.eligible == frozenset({"web-1-uid"})


async def test_selected_pods_come_by_what_controls_them_and_those_without_stand_for_themselves() -> None:
    """A controller that cannot be read is made of its pods; a static pod is nobody's to replace."""
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        found = await targets_on(client).selected("shop", "Pod", "app=shop")

    assert [(one.ref.kind, one.ref.name, one.replicas) for one in found] == [
        ("Deployment", "web", 2),
        ("Pod", "alone", 1),
        ("Pod", "proxy-n1", 1),
        ("Rollout", "import", 1),
    ]
    assert found[0].eligible == frozenset({"web-1-uid", "web-2-uid"})
    assert found[3].eligible == frozenset({"import-1-uid"})


async def test_a_controller_of_another_kind_is_found_by_its_name_and_none_that_has_no_pods() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        targets = targets_on(client)
        found = await targets.named("shop", "Rollout", "import")
        missing = await targets.named("shop", "Rollout", "nothing")

    assert found is not None
    assert (found.ref.uid, found.replicas, found.ready) == ("import-uid", 1, 1)
    assert missing is None


async def test_a_pod_that_is_gone_is_nobody() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        assert await targets_on(client).named("shop", "Pod", "gone") is None


# --- nodes ----------------------------------------------------------------------------------------------


async def test_a_node_comes_with_its_pods_of_all_namespaces_and_counts_the_nodes_of_the_cluster() -> None:
    api = Api(SHOP)
    async with serving_handler(api.handle) as url, client_of(url) as client:
        found = await targets_on(client).named("", "Node", "n2")

    assert found is not None
    assert found.ref == Ref("Node", "", "n2", "n2-uid")
    assert (found.conditions, found.population, found.replicas) == (("NotReady",), (2, 3), 1)
    assert [one.ref.name for one in found.pods] == ["web-2"]
    assert any("fieldSelector=spec.nodeName%3Dn2" in one for one in api.asked)


async def test_of_several_nodes_only_the_troubled_come_with_their_pods() -> None:
    """The cost is bounded: one listing of the Nodes, and one of pods for each that has something wrong."""
    api = Api(SHOP)
    async with serving_handler(api.handle) as url, client_of(url) as client:
        found = await targets_on(client).selected("", "Node", "role=worker")

    assert [(one.ref.name, one.conditions, len(one.pods)) for one in found] == [
        ("n1", (), 0),
        ("n2", ("NotReady",), 1),
        ("n3", ("Cordoned",), 0),
    ]
    assert {one.population for one in found} == {(2, 3)}
    assert len(api.asked) == 3


async def test_a_node_that_is_not_there_is_none() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        assert await targets_on(client).named("", "Node", "n9") is None


def test_what_is_wrong_with_a_node_is_named() -> None:
    raw = node("n1", ready="False", unschedulable=True)
    raw["status"]["conditions"] += [
        {"type": "DiskPressure", "status": "True"},
        {"type": "PIDPressure", "status": "False"},
    ]

    found = node_workload_of(raw)

    assert found.conditions == ("NotReady", "DiskPressure", "Cordoned")
    assert (found.is_unschedulable, found.ready) == (True, 0)


async def test_the_lock_of_a_node_is_in_the_operators_namespace_and_goes_with_the_node() -> None:
    """R11."""
    created: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"kind": "Status", "reason": "NotFound", "code": 404}, status=404)
        created.append((request.path, await request.json()))
        return web.json_response(created[-1][1] | {"metadata": meta("lease")}, status=201)

    async with serving_handler(handle) as url, client_of(url) as client:
        outcome = await Locks(client, "system").take(
            Ref("Node", "", "n1", "n1-uid"), Ref("RecoveryPolicy", "shop", "p", "p-uid"), 60, NOON
        )

    path, body = created[0]
    assert outcome == Outcome(Verb.DONE)
    assert path == "/apis/coordination.k8s.io/v1/namespaces/system/leases"
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1-uid"}
    assert body["metadata"]["ownerReferences"] == [owner]


# --- services, workloads --------------------------------------------------------------------------------


async def test_a_service_is_something_to_patch_without_replicas() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        found = await targets_on(client).named("shop", "Service", "web")
        missing = await targets_on(client).named("shop", "Service", "nothing")

    assert found is not None
    assert (found.ref.kind, found.replicas, found.pods, found.selector) == ("Service", 0, (), "app=shop")
    assert found.annotations == (("a", "b"),)
    assert not found.is_rolling_out
    assert missing is None


async def test_workloads_are_read_as_for_experiments() -> None:
    async with serving_handler(Api(SHOP).handle) as url, client_of(url) as client:
        found = await targets_on(client).named("shop", "Deployment", "web")

    assert found is not None
    assert [one.ref.name for one in found.pods] == ["web-1", "web-2"]


# --- projections ----------------------------------------------------------------------------------------


def test_a_rollout_past_its_deadline_is_stuck() -> None:
    raw = deployment("web")
    raw["status"]["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]

    assert workload_of(raw, "Deployment").is_stuck
    assert not workload_of(deployment("web"), "Deployment").is_stuck


def test_a_pod_shows_what_draining_and_resizing_depend_on() -> None:
    raw = pod("web-1")
    raw["metadata"] |= {"deletionTimestamp": "2026-11-21T12:00:30Z", "deletionGracePeriodSeconds": 30}
    resources = {
        "requests": {"memory": "64Mi", "cpu": "100m", "ephemeral-storage": "1Gi"},
        "limits": {"memory": "96Mi"},
    }
    raw["spec"] |= {
        "containers": [{"name": "app", "resources": resources}, {"name": "sidecar"}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 45,
    }

    found = pod_of(raw)

    assert (found.terminating_since, found.grace_seconds) == (NOON, 30)
    assert found.has_empty_dir
    assert not found.is_mirror
    assert found.containers[0].requests == (("cpu", "100m"), ("memory", "64Mi"))
    assert found.containers[0].limits == (("memory", "96Mi"),)
    assert found.containers[1].requests == ()


def test_a_pod_that_stays_has_the_grace_of_its_spec() -> None:
    assert (pod_of(pod("web-1")).terminating_since, pod_of(pod("web-1")).grace_seconds) == (None, 30)
    assert pod_of(pod("a", annotations={"kubernetes.io/config.mirror": "x"})).is_mirror


def _managed(manager: str, *names: str, **more: Any) -> dict[str, Any]:
    fields = {"f:spec": {f"f:{name}": {} for name in names}, "f:metadata": {"f:labels": {"f:app": {}}}}
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, **more}


def _git(**metadata: Any) -> GitOwner | None:
    return workload_of(deployment("web", **metadata), "Deployment").git


def test_argo_cd_is_known_by_its_annotation_and_owns_what_it_set() -> None:
    owner = _git(
        annotations={"argocd.argoproj.io/tracking-id": "store:apps/Deployment:shop/web"},
        managedFields=[_managed("argocd-controller", "template"), _managed("kubectl", "replicas")],
    )

    assert owner == GitOwner("Argo CD", "store", ("metadata.labels.app", "spec.template"))


def test_argo_cd_is_known_by_its_manager_and_then_the_common_label_names_the_application() -> None:
    owner = _git(
        labels={"app.kubernetes.io/instance": "store"},
        managedFields=[_managed("argocd-application-controller", "replicas", "template")],
    )

    assert owner is not None
    assert (owner.tool, owner.name) == ("Argo CD", "store")
    assert {"spec.replicas", "spec.template"} <= set(owner.fields)


def test_helms_own_label_alone_is_nobodys() -> None:
    """Helm writes when a human runs it, and reconciles nothing."""
    assert _git(labels={"app.kubernetes.io/instance": "store"}, managedFields=[_managed("helm", "replicas")]) is None


def test_flux_is_known_by_its_labels() -> None:
    kustomization = _git(
        labels={"kustomize.toolkit.fluxcd.io/name": "apps"},
        managedFields=[_managed("kustomize-controller", "replicas")],
    )
    release = _git(
        labels={"helm.toolkit.fluxcd.io/name": "shop"}, managedFields=[_managed("helm-controller", "template")]
    )

    assert kustomization == GitOwner("Flux", "apps", ("metadata.labels.app", "spec.replicas"))
    assert release == GitOwner("Flux", "shop", ("metadata.labels.app", "spec.template"))


def test_where_nobodys_fields_are_known_all_of_spec_may_be_owned() -> None:
    """Fail closed: better a warning too many than a change that is silently taken back."""
    assert _git(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}) == GitOwner("Flux", "apps", ("spec",))


def test_what_a_controller_writes_into_status_is_not_owned() -> None:
    managed = [_managed("kustomize-controller", "replicas", subresource="status")]

    assert _git(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}, managedFields=managed) == GitOwner("Flux", "apps")


def test_an_object_of_nobody_has_no_owner() -> None:
    assert _git(managedFields=[_managed("kubectl-client-side-apply", "replicas")]) is None
    assert _git() is None


async def test_services_come_with_the_addresses_that_stand_for_their_pods() -> None:
    """C14: one that has no address of its own, or selects nobody, stands for no pods."""
    db = {"selector": {"app": "db", "tier": "back"}, "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"]}
    old = {"selector": {"app": "old"}, "clusterIP": "10.96.0.8"}
    headless = {"selector": {"app": "db"}, "clusterIP": "None", "clusterIPs": ["None"]}
    elsewhere = {"type": "ExternalName", "externalName": "db.example", "selector": {"app": "db"}}
    bare = {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}
    specs = {"db": db, "old": old, "headless": headless, "elsewhere": elsewhere, "bare": bare}
    items = [{"metadata": meta(name), "spec": spec} for name, spec in specs.items()]
    api = Api({"/api/v1/namespaces/shop/services": items})
    async with serving_handler(api.handle) as url, client_of(url) as client:
        found = await cluster_on(client).services("shop")

    assert found == (
        Service("db", "app=db,tier=back", ("10.96.0.7", "fd00::7")),
        Service("old", "app=old", ("10.96.0.8",)),
    )
