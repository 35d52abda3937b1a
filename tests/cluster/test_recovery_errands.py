"""Evictions, Nodes and Jobs of steps against the real API server, with the very rights of dist/ and no others."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import PATIENCE, Api, Kubectl
from cluster.installation import manifests, token_of
from cluster.manifests import disruption_budget, policy
from cluster.operator_process import kubeconfig_for
from cluster.waiting import until
from homeostat.core.action import EvictPod, Outcome, RunJob, SetUnschedulable, Verb
from homeostat.core.cluster import Job
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks

pytestmark = pytest.mark.apiserver

SYSTEM = "homeostat-system"
MARKER = "homeostat.dev/attempt"
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DONE = Outcome(Verb.DONE)
TEMPLATE = {"spec": {"containers": [{"name": "clean", "image": "homeostat.dev/none:dev"}]}}

Post = Callable[..., dict[str, Any]]


# --- who acts, and on what ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def operators(
    kubectl: Kubectl, api: Api, crds: None, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory  # noqa: ARG001
) -> Path:  # fmt: skip
    """The kubeconfig of the operator's ServiceAccount, with the rights of dist/ and no others."""
    given = manifests("recovery", "recovery-jobs", "recovery-nodes")
    rights = [one for one in given if one["kind"] != "Deployment"]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(rights))
    token = token_of(api, SYSTEM, "homeostat")
    for right in ("create pods --subresource=eviction", "create jobs.batch", "patch nodes"):
        asked = ("auth", "can-i", *right.split(), f"--as=system:serviceaccount:{SYSTEM}:homeostat", "--all-namespaces")
        until(lambda asked=asked: kubectl(*asked, check=False).stdout == "yes\n", f"{right} is allowed")
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    folder = tmp_path_factory.mktemp("kubeconfig")
    return kubeconfig_for(folder, cluster["server"], token, cluster["certificate-authority-data"])


@pytest.fixture
async def client(operators: Path) -> AsyncIterator[ApiClient]:
    async with ApiClient(find_credentials({}, kubeconfig=str(operators))) as opened:
        yield opened


@pytest.fixture
def hand(client: ApiClient) -> ApiActuator:
    budget = ActionBudget(client, SYSTEM, of=100, per=timedelta(hours=1))
    return ApiActuator(client, Locks(client, SYSTEM), budget)


@pytest.fixture
def post(api: Api, namespace: str) -> Post:
    """Create an object in the namespace: `post("api/v1/pods", manifest)`."""

    def create(collection: str, manifest: dict[str, Any]) -> dict[str, Any]:
        root, _, plural = collection.rpartition("/")
        code, answer = api("POST", f"/{root}/namespaces/{namespace}/{plural}", manifest)
        assert code == 201, answer
        return answer

    return create


@pytest.fixture
def node(api: Api, namespace: str) -> Iterator[dict[str, Any]]:
    """Make a Node that nobody runs: no kubelet ever ends a pod on it."""
    name = f"silent-{namespace}"
    code, made = api("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    assert code == 201, made
    yield made
    api("DELETE", f"/api/v1/nodes/{name}")


def ref_of(kind: str, raw: dict[str, Any]) -> Ref:
    metadata = raw["metadata"]
    return Ref(kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


# --- evictions ------------------------------------------------------------------------------------------


@pytest.fixture
def lingering(api: Api, namespace: str, post: Post, node: dict[str, Any]) -> Ref:
    """A pod that was told to go and never will, for its Node is silent; a budget forbids every disruption."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stuck", "labels": {"app": "shop"}},
        "spec": {
            "nodeName": node["metadata"]["name"],
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "web", "image": "homeostat.dev/none:dev"}],
        },
    }
    post("apis/policy/v1/poddisruptionbudgets", disruption_budget(1))
    until(lambda: api("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")[0] == 200, "an account")
    made = post("api/v1/pods", pod)
    code, _ = api("DELETE", f"/api/v1/namespaces/{namespace}/pods/stuck")
    assert code == 200
    return ref_of("Pod", made)


async def test_a_pod_that_lingers_is_ended_by_an_eviction_without_a_right_to_delete(
    hand: ApiActuator, api: Api, namespace: str, lingering: Ref
) -> None:
    """R10: forceTerminating needs no delete, and only ends what was told to go already."""
    path = f"/api/v1/namespaces/{namespace}/pods/stuck"
    assert api("GET", path)[1]["metadata"]["deletionTimestamp"]

    assert await hand.act(EvictPod("a1-0", lingering, 0), NOW) == DONE
    until(lambda: api("GET", path)[0] == 404, "the pod is gone")
    assert await hand.act(EvictPod("a1-0", lingering, 0), NOW) == DONE


async def test_another_pod_of_the_name_is_not_ended(
    hand: ApiActuator, api: Api, namespace: str, lingering: Ref
) -> None:
    """R2: down to the incarnation."""
    other = Ref("Pod", namespace, lingering.name, "11111111-2222-3333-4444-555555555555")
    await hand.act(EvictPod("a1-0", other, 0), NOW)

    assert api("GET", f"/api/v1/namespaces/{namespace}/pods/stuck")[1]["metadata"]["uid"] == lingering.uid


# --- Nodes ----------------------------------------------------------------------------------------------


def _now(api: Api, node: dict[str, Any]) -> dict[str, Any]:
    return api("GET", f"/api/v1/nodes/{node['metadata']['name']}")[1]


async def test_a_node_is_cordoned_and_uncordoned_with_its_marker(
    hand: ApiActuator, api: Api, node: dict[str, Any]
) -> None:
    """R8: the marker and the change are one write, and go together."""
    target = ref_of("Node", node)

    async def act(action: SetUnschedulable) -> SetUnschedulable:
        """Do it on the version that is there: the cluster writes its new Node, too."""
        async with asyncio.timeout(PATIENCE):
            while True:
                asked = replace(action, resource_version=_now(api, node)["metadata"]["resourceVersion"])
                outcome = await hand.act(asked, NOW)
                assert outcome == DONE or outcome.reason == "Conflict"
                if outcome == DONE:
                    return asked

    asked = await act(SetUnschedulable("a1-0", target, "", unschedulable=True, annotations={MARKER: "a1-0"}))
    marked = _now(api, node)

    assert marked["spec"]["unschedulable"] is True
    assert marked["metadata"]["annotations"][MARKER] == "a1-0"
    assert await hand.act(asked, NOW) == DONE  # R2: asked again after a kill, it is done

    until(lambda: _now(api, node)["spec"].get("taints"), "the cordon is in force")
    await act(SetUnschedulable("a1-0-undo", target, "", unschedulable=False, annotations={MARKER: None}))
    cleared = _now(api, node)
    assert not cleared["spec"].get("unschedulable")
    assert MARKER not in cleared["metadata"].get("annotations", {})


async def test_a_node_that_was_replaced_is_left_alone(hand: ApiActuator, api: Api, node: dict[str, Any]) -> None:
    """R2: a Node of the same name is another Node."""
    other = Ref("Node", "", node["metadata"]["name"], "11111111-2222-3333-4444-555555555555")
    version = _now(api, node)["metadata"]["resourceVersion"]
    outcome = await hand.act(SetUnschedulable("a1-0", other, version, unschedulable=True), NOW)

    assert outcome.verb is Verb.REFUSED
    assert not _now(api, node)["spec"].get("unschedulable")


# --- Jobs -----------------------------------------------------------------------------------------------


@pytest.fixture
def owner(post: Post) -> Ref:
    return ref_of("RecoveryPolicy", post("apis/homeostat.dev/v1alpha1/recoverypolicies", policy("heal")))


def run_job(owner: Ref, **changes: Any) -> RunJob:
    fields: dict[str, Any] = {
        "template": TEMPLATE,
        "environment": {"HOMEOSTAT_TARGET_NAME": "shop", "HOMEOSTAT_REASON": "because of $(HOME)"},
        "seconds": 30,
        "keep_seconds": 60,
    }
    return RunJob("a1-0", owner, "homeostat-a1-0", **fields | changes)


async def test_a_runbook_is_created_once_and_found_again(
    hand: ApiActuator, client: ApiClient, kubectl: Kubectl, namespace: str, owner: Ref
) -> None:
    """R2: asked twice, run once; it belongs to its policy and ends by itself."""
    assert await hand.act(run_job(owner), NOW) == DONE
    assert await hand.act(run_job(owner, seconds=5), NOW) == DONE
    found = json.loads(kubectl("-n", namespace, "get", "jobs", "-o", "json").stdout)["items"]

    assert len(found) == 1
    spec = found[0]["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 30, 60)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    environment = {one["name"]: one["value"] for one in spec["template"]["spec"]["containers"][0]["env"]}
    assert environment == {"HOMEOSTAT_TARGET_NAME": "shop", "HOMEOSTAT_REASON": "because of $$(HOME)"}
    seen = await ApiJobReader(client).job(namespace, "homeostat-a1-0")
    assert isinstance(seen, Job)
    assert (seen.owners, seen.is_complete, seen.failure) == ((owner.uid,), False, "")


async def test_a_runbook_that_never_ends_is_ended_by_kubernetes(
    hand: ApiActuator, client: ApiClient, namespace: str, owner: Ref
) -> None:
    """Its image is nowhere: without its deadline it would wait for ever."""
    assert await hand.act(run_job(owner, seconds=1), NOW) == DONE
    reader = ApiJobReader(client)
    async with asyncio.timeout(PATIENCE):
        while (seen := await reader.job(namespace, "homeostat-a1-0")) is not None and not seen.failure:  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    assert seen is not None
    assert seen.failure == "DeadlineExceeded"


async def test_a_runbook_goes_with_its_policy(hand: ApiActuator, kubectl: Kubectl, namespace: str, owner: Ref) -> None:
    assert await hand.act(run_job(owner), NOW) == DONE
    kubectl("-n", namespace, "delete", "recoverypolicy", owner.name)

    until(lambda: not kubectl("-n", namespace, "get", "jobs", "-o", "name").stdout, "the Job is gone")


async def test_a_job_of_somebody_else_is_not_ours(hand: ApiActuator, post: Post, owner: Ref) -> None:
    spec = {"suspend": True, "template": {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}}
    post("apis/batch/v1/jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "homeostat-a1-0"},
                                "spec": spec})  # fmt: skip
    outcome = await hand.act(run_job(owner), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "NameTaken")


@pytest.mark.parametrize("template", [{"spec": {"containers": []}}, {"spec": {}}, {"spec": {"containers": {}}}])
async def test_a_template_that_kubernetes_refuses_is_refused(
    hand: ApiActuator, owner: Ref, template: dict[str, Any]
) -> None:
    outcome = await hand.act(run_job(owner, template=template), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Invalid")


async def test_a_quota_that_forbids_jobs_is_told_apart_from_a_right_that_is_missing(
    hand: ApiActuator, kubectl: Kubectl, namespace: str, owner: Ref
) -> None:
    kubectl("-n", namespace, "create", "quota", "none", "--hard=count/jobs.batch=0")
    get = ("-n", namespace, "get", "quota", "none", "-o", "jsonpath={.status.hard}")
    until(lambda: kubectl(*get).stdout, "the quota is counted")
    tried = ("-n", namespace, "create", "job", "tried", "--image=none", "--dry-run=server")
    until(lambda: kubectl(*tried, check=False).returncode, "the quota is in force")
    outcome = await hand.act(run_job(owner), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Invalid")
    assert "quota" in outcome.message


# --- rights ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize(
    ("verb", "what", "flags"),
    [
        ("create", "pods", ("--subresource=eviction",)),
        ("patch", "pods", ("--subresource=resize",)),
        ("patch", "deployments.apps", ()),
        ("patch", "statefulsets.apps", ()),
        ("patch", "daemonsets.apps", ()),
        ("list", "controllerrevisions.apps", ()),
        ("list", "replicasets.apps", ()),
        ("get", "services", ()),
        ("patch", "services", ()),
        ("create", "jobs.batch", ()),
        ("get", "jobs.batch", ()),
        ("patch", "nodes", ()),
    ],
)
def test_the_operator_may_do_what_its_steps_need(
    kubectl: Kubectl, namespace: str, verb: str, what: str, flags: tuple[str, ...]
) -> None:
    account = f"--as=system:serviceaccount:{SYSTEM}:homeostat"
    done = kubectl(account, "-n", namespace, "auth", "can-i", verb, what, *flags, check=False)

    assert done.stdout.strip() == "yes"


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize(
    ("verb", "what"), [("delete", "nodes"), ("create", "pods"), ("delete", "deployments.apps"), ("list", "secrets")]
)
def test_the_operator_may_not_do_what_no_step_needs(kubectl: Kubectl, namespace: str, verb: str, what: str) -> None:
    """Least privilege."""
    account = f"--as=system:serviceaccount:{SYSTEM}:homeostat"
    done = kubectl(account, "-n", namespace, "auth", "can-i", verb, what, check=False)

    assert done.stdout.strip() == "no"
