"""Probes that speak to the API server, with the very rights of dist/: Secrets, Jobs, workloads and what ails them."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Api, Kubectl
from cluster.installation import manifests, token_of
from cluster.manifests import SAMPLE, Manifest, deployment, health_check, secret
from cluster.operator_process import kubeconfig_for
from cluster.waiting import eventually, until
from fakes import FakeClock
from homeostat.core.probing.request import HttpRequest, JobRequest, SecretKey, Tls, WorkloadRequest
from homeostat.core.probing.result import Reason
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.apiserver.resources import JOB, POD, SECRET
from homeostat.kube.jobs import ApiJobs, job_name
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.secrets import ApiSecrets
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.ports import Forbidden
from homeostat.probe.cluster.job import JobProbe
from homeostat.probe.cluster.secrets import SecretReader
from homeostat.probe.cluster.workload import WorkloadProbe
from homeostat.probe.ending import Ending

SYSTEM = "homeostat-system"
HTTP = HttpRequest("shop.test", 443, is_tls=True)
TOKEN = replace(HTTP, headers_from=(("Authorization", SecretKey("", "api", "token")),))

MakeKubeconfig = Callable[[str, str], Path]


# --- who asks -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kubeconfig_of(api: Api, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeKubeconfig:
    """Make a kubeconfig of a ServiceAccount: `kubeconfig_of(namespace, name)`."""

    def make(namespace: str, name: str) -> Path:
        token = token_of(api, namespace, name)
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        folder = tmp_path_factory.mktemp("kubeconfig")
        return kubeconfig_for(folder, cluster["server"], token, cluster["certificate-authority-data"])

    return make


@pytest.fixture(scope="module")
def operators(kubectl: Kubectl, crds: None, kubeconfig_of: MakeKubeconfig) -> Path:  # noqa: ARG001
    """The kubeconfig of the operator's ServiceAccount, with the rights of dist/ and no others."""
    rights = [document for document in manifests("probe-jobs") if document["kind"] != "Deployment"]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(rights))
    return kubeconfig_of(SYSTEM, "homeostat")


@pytest.fixture
async def client(operators: Path) -> AsyncIterator[ApiClient]:
    async with ApiClient(find_credentials({}, kubeconfig=str(operators))) as opened:
        yield opened


@pytest.fixture
async def nobody(kubeconfig_of: MakeKubeconfig, namespace: str) -> AsyncIterator[ApiClient]:
    """Somebody without any rights."""
    found = find_credentials({}, kubeconfig=str(kubeconfig_of(namespace, "default")))
    async with ApiClient(found) as opened:
        yield opened


@pytest.fixture
def put(api: Api, namespace: str) -> Callable[[str, Manifest], dict[str, Any]]:
    """Apply into the namespace: `put("api/v1/secrets", manifest)`."""

    def apply(collection: str, manifest: Manifest) -> dict[str, Any]:
        root, _, plural = collection.rpartition("/")
        path = f"/{root}/namespaces/{namespace}/{plural}/{manifest['metadata']['name']}"
        code, answer = api(
            "PATCH", f"{path}?fieldManager=test&force=true", manifest, content_type="application/apply-patch+yaml"
        )
        assert code < 300, answer
        return answer

    return apply


Put = Callable[[str, Manifest], dict[str, Any]]


# --- Secrets --------------------------------------------------------------------------------------------


class Desk:
    """A reader of Secrets of one namespace, with a clock of its own."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.clock = FakeClock()
        self.namespace = namespace
        self.reader = SecretReader(ApiSecrets(client), self.clock.monotonic)

    async def token(self) -> str | Reason:
        name, key = TOKEN.headers_from[0]
        asked = replace(TOKEN, headers_from=((name, replace(key, namespace=self.namespace)),))
        filled = await self.reader.fill(asked, self.clock.monotonic() + 10)
        return filled if isinstance(filled, Reason) else filled.secret_headers[0][1]  # type: ignore[union-attr]


@pytest.mark.apiserver
async def test_a_rotated_secret_is_in_use_after_thirty_seconds(client: ApiClient, namespace: str, put: Put) -> None:
    """H9: read with the right to get and no other; made as people make it, with a line break at its end."""
    desk = Desk(client, namespace)
    put("api/v1/secrets", secret("api", token="first\n"))  # noqa: S106 - not one
    assert await desk.token() == "first"

    put("api/v1/secrets", secret("api", token="second"))  # noqa: S106
    assert await desk.token() == "first"
    desk.clock.advance(30)
    assert await desk.token() == "second"


@pytest.mark.apiserver
async def test_the_operator_cannot_list_secrets(client: ApiClient, namespace: str) -> None:
    """H9: what it may read it must know by name."""
    for path in (SECRET.path(namespace), SECRET.path()):
        with pytest.raises(Forbidden):
            await client.collect(path)


@pytest.mark.apiserver
async def test_a_missing_secret_and_a_missing_right_are_told_apart(
    client: ApiClient, nobody: ApiClient, namespace: str, put: Put
) -> None:
    assert await Desk(client, namespace).token() is Reason.SECRET_NOT_FOUND
    put("api/v1/secrets", secret("api", token="there"))  # noqa: S106
    assert await Desk(nobody, namespace).token() is Reason.NOT_PERMITTED

    assert await Desk(client, namespace).token() == "there"


@pytest.mark.apiserver
async def test_a_service_accounts_token_is_never_sent(client: ApiClient, namespace: str, put: Put, api: Api) -> None:
    """H9: not even when it stands in a Secret that a HealthCheck may name."""
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    until(lambda: api("GET", account)[0] == 200, "there is the account: without it Kubernetes takes the Secret away")
    annotations = {"kubernetes.io/service-account.name": "default"}
    manifest = secret("api", "kubernetes.io/service-account-token", token="key to the cluster")  # noqa: S106
    put("api/v1/secrets", manifest | {"metadata": {"name": "api", "annotations": annotations}})

    assert await Desk(client, namespace).token() is Reason.SECRET_UNUSABLE


@pytest.mark.apiserver
async def test_a_client_certificate_must_be_in_a_secret_for_it(client: ApiClient, namespace: str, put: Put) -> None:
    desk = Desk(client, namespace)
    pair = {"tls_crt": "certificate", "tls_key": "key"}
    put("api/v1/secrets", secret("opaque", **pair))
    put("api/v1/secrets", secret("pair", "kubernetes.io/tls", **pair))
    filled = {}
    for name in ("opaque", "pair"):
        tls = Tls(certificate_from=SecretKey(namespace, name))
        filled[name] = await desk.reader.fill(replace(HTTP, tls=tls), desk.clock.monotonic() + 10)

    assert filled["opaque"] is Reason.SECRET_UNUSABLE
    assert filled["pair"].tls.certificate == b"certificate"  # type: ignore[union-attr]


# --- Jobs -----------------------------------------------------------------------------------------------

PASSES, FAILS, RUNS_ON = ("-h",), ("-no-such-flag",), ()  # the sample ends with 0, with 2, or serves for ever


def template(*args: str, image: str = SAMPLE, **pod: Any) -> dict[str, Any]:
    container = {"name": "ask", "image": image, "imagePullPolicy": "Never", "args": list(args)}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"spec": spec | pod}


def job_check(job: dict[str, Any], name: str = "job") -> Manifest:
    return health_check(name, probe={"job": {"template": job}}, interval="1m", timeout="30s")


@pytest.fixture
def request_of(put: Put, namespace: str) -> Callable[[dict[str, Any]], JobRequest]:
    """Make the request of a HealthCheck that really is there, for a Job belongs to it."""

    def make(job: dict[str, Any]) -> JobRequest:
        check = put("apis/homeostat.dev/v1alpha1/healthchecks", job_check(job) | {"spec": job_check(job)["spec"]})
        return JobRequest(namespace, "job", check["metadata"]["uid"], json.dumps(job))

    return make


RequestOf = Callable[[dict[str, Any]], JobRequest]


async def run(client: ApiClient, request: JobRequest, seconds: float = 60) -> Ending:
    """Run it as the prober would; at its end nothing is left of it."""
    ending = await JobProbe(ApiJobs(client), time.monotonic).run(request, time.monotonic() + seconds)
    left = await ApiJobs(client).read(request)
    assert left is None or left.is_deleting
    return ending


@pytest.mark.cluster
async def test_a_job_that_ends_well_passes_and_leaves_nothing(
    client: ApiClient, namespace: str, request_of: RequestOf
) -> None:
    assert await run(client, request_of(template(*PASSES))) == Ending(Reason.OK)

    async def is_tidy() -> bool:
        return not await client.collect(POD.path(namespace))

    await eventually(is_tidy)


@pytest.mark.cluster
async def test_a_job_that_fails_is_told_with_its_exit_code(client: ApiClient, request_of: RequestOf) -> None:
    assert await run(client, request_of(template(*FAILS))) == Ending(Reason.JOB_FAILED, 2)


@pytest.mark.cluster
async def test_a_job_that_runs_on_is_ended_at_the_deadline(client: ApiClient, request_of: RequestOf) -> None:
    """H3: the timeout is a hard one."""
    assert await run(client, request_of(template(*RUNS_ON)), 10) == Ending(Reason.TIMEOUT)


@pytest.mark.cluster
async def test_a_job_whose_image_is_nowhere_says_so(client: ApiClient, request_of: RequestOf) -> None:
    request = request_of(template(image="homeostat.dev/no-such-image:dev"))

    assert await run(client, request, 30) == Ending(Reason.IMAGE_PULL_BACK_OFF)


@pytest.mark.cluster
async def test_what_a_killed_operator_left_behind_gives_way_to_the_next_job(
    client: ApiClient, request_of: RequestOf
) -> None:
    """A Job of the same name runs on, and nobody waits for it any more."""
    left = await ApiJobs(client).create(request_of(template(*RUNS_ON)), 300)
    request = request_of(template(*PASSES))
    assert await run(client, request) == Ending(Reason.OK)

    async def is_gone() -> bool:
        return not await ApiJobs(client).pods(left.ref)

    await eventually(is_gone)


@pytest.mark.apiserver
async def test_a_job_is_deleted_when_its_run_is_cancelled(client: ApiClient, request_of: RequestOf) -> None:
    request = request_of(template(*RUNS_ON))
    probing = asyncio.get_running_loop().create_task(run(client, request))
    await eventually(lambda: ApiJobs(client).read(request))
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing

    async def is_gone() -> bool:
        return await ApiJobs(client).read(request) is None

    await eventually(is_gone)


@pytest.mark.apiserver
async def test_a_job_goes_with_its_check(
    client: ApiClient, kubectl: Kubectl, namespace: str, request_of: RequestOf
) -> None:
    """Should the operator be gone for good, nothing is left of it once its objects are deleted."""
    request = request_of(template(*RUNS_ON))
    await ApiJobs(client).create(request, 300)
    kubectl("-n", namespace, "delete", "healthcheck", "job")

    async def is_gone() -> bool:
        return await ApiJobs(client).read(request) is None

    await eventually(is_gone)


@pytest.mark.apiserver
async def test_a_job_that_kubernetes_refuses_is_invalid(
    client: ApiClient, kubectl: Kubectl, namespace: str, request_of: RequestOf
) -> None:
    """By its form, and by a quota: neither says anything of the target, and it is not a right that is missing."""
    assert await run(client, request_of({"spec": {"containers": []}})) == Ending(Reason.INVALID_JOB)
    kubectl("-n", namespace, "create", "quota", "none", "--hard=count/jobs.batch=0")
    until(lambda: kubectl("-n", namespace, "get", "quota", "none", "-o", "jsonpath={.status.hard}").stdout, "the quota")
    tried = ("-n", namespace, "create", "job", "tried", "--image=none", "--dry-run=server")
    until(lambda: kubectl(*tried, check=False).returncode, "the quota is in force")

    assert await run(client, request_of(template(*PASSES))) == Ending(Reason.INVALID_JOB)


@pytest.mark.apiserver
async def test_a_job_whose_pods_may_not_be_made_is_invalid(
    client: ApiClient, kubectl: Kubectl, namespace: str, request_of: RequestOf
) -> None:
    """The Job is accepted, but the namespace wants restricted pods only."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    tried = ("-n", namespace, "run", "tried", "--image=none", "--dry-run=server")
    until(lambda: kubectl(*tried, check=False).returncode, "the label is in force")

    assert await run(client, request_of(template(*PASSES)), 20) == Ending(Reason.INVALID_JOB)


@pytest.mark.apiserver
async def test_without_the_right_to_it_no_job_runs_and_that_is_said(nobody: ApiClient, request_of: RequestOf) -> None:
    probe = JobProbe(ApiJobs(nobody), time.monotonic)
    ending = await probe.run(request_of(template(*PASSES)), time.monotonic() + 10)

    assert ending == Ending(Reason.NOT_PERMITTED)


@pytest.mark.apiserver
async def test_a_job_of_somebody_else_is_left_alone(
    client: ApiClient, namespace: str, put: Put, request_of: RequestOf
) -> None:
    """It has our name by chance or by intent; we only delete what belongs to the check."""
    request = request_of(template(*PASSES))
    name = job_name(request.uid)
    job = {"template": {"spec": template(*RUNS_ON)["spec"] | {"restartPolicy": "Never"}}, "suspend": True}
    theirs = put(
        "apis/batch/v1/jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job}
    )
    probe = JobProbe(ApiJobs(client), time.monotonic)
    assert await probe.run(request, time.monotonic() + 10) == Ending(Reason.INVALID_JOB)

    still = await client.request("GET", JOB.path(namespace, name))
    assert still["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert "deletionTimestamp" not in still["metadata"]


# --- workloads ------------------------------------------------------------------------------------------


@pytest.fixture
def look(client: ApiClient, namespace: str) -> Callable[..., Awaitable[Ending]]:
    """Look once at the Deployment `shop`: `look(min_ready, *fail_on)`."""
    cluster = ApiCluster(client, Locks(client, SYSTEM), ActionBudget(client, SYSTEM, of=1, per=timedelta(hours=1)))

    async def once(min_ready: str = "1", *fail_on: str) -> Ending:
        request = WorkloadRequest(namespace, "Deployment", "shop", Decimal(min_ready), fail_on=fail_on)
        return await WorkloadProbe(cluster, time.monotonic).run(request, time.monotonic() + 10)

    return once


Look = Callable[..., Awaitable[Ending]]


def shop(replicas: int = 1, args: tuple[str, ...] = RUNS_ON, **pod: Any) -> Manifest:
    """The sample shop, with other arguments, or with fields of its pods."""
    manifest = deployment(replicas)
    spec = manifest["spec"]["template"]["spec"]
    spec["containers"][0]["args"] = list(args)
    spec.update(pod)
    return manifest


async def until_reason(look: Look, reason: Reason, min_ready: str = "1", *fail_on: str) -> Ending:
    """Look until the reason is told; what was told instead is in the error."""
    told: list[Reason] = []

    async def is_told() -> Ending | None:
        ending = await look(min_ready, *fail_on)
        told[:] = [ending.reason]
        return ending if ending.reason is reason else None

    try:
        found: Ending = await eventually(is_told)
    except TimeoutError:
        pytest.fail(f"never {reason}, at last {told}")
    return found


@pytest.mark.cluster
async def test_a_container_that_crashes_is_told_by_its_trouble(look: Look, put: Put) -> None:
    put("apis/apps/v1/deployments", shop(args=FAILS))

    assert (await until_reason(look, Reason.CRASH_LOOP_BACK_OFF)).share == (0, 1)


@pytest.mark.cluster
async def test_an_image_that_is_nowhere_is_told_by_its_trouble(look: Look, put: Put) -> None:
    manifest = shop()
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "homeostat.dev/no-such-image:dev"
    put("apis/apps/v1/deployments", manifest)

    assert (await until_reason(look, Reason.IMAGE_PULL_BACK_OFF)).share == (0, 1)


@pytest.mark.cluster
async def test_memory_that_runs_out_fails_a_check_that_asks_for_it(
    look: Look, put: Put, api: Api, namespace: str
) -> None:
    """Two of three replicas are enough for one check; another wants to know that the kernel killed one."""
    put("apis/apps/v1/deployments", shop(3))
    await until_reason(look, Reason.OK)
    victim = api("GET", f"/api/v1/namespaces/{namespace}/pods")[1]["items"][0]["metadata"]["name"]
    fault = f"/api/v1/namespaces/{namespace}/pods/http:{victim}:8081/proxy/fault"
    for _ in range(30):  # each time it comes back, until its container is made to wait
        api("POST", fault, {"kind": "leak", "rate": 1024})
        ending = await look("0.5", "OOMKilled")
        if ending.reason is Reason.OOM_KILLED:
            break
        await asyncio.sleep(0.5)
    else:
        pytest.fail(f"not killed: {ending}")

    assert (await look("0.5")).reason is Reason.OK


@pytest.mark.apiserver
async def test_a_volume_that_nobody_provides_is_told_by_its_trouble(look: Look, put: Put) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Mi"}}}
    put(
        "api/v1/persistentvolumeclaims",
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
    )
    put(
        "apis/apps/v1/deployments",
        shop(volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]),
    )

    assert (await until_reason(look, Reason.VOLUME_NOT_BOUND)).share == (0, 1)


@pytest.fixture
def node(api: Api) -> Iterator[str]:
    """A node that nobody is: nothing is scheduled to it, and its kubelet never reports."""
    name = f"nobody-{uuid.uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"unschedulable": True}}
    code, answer = api("POST", "/api/v1/nodes", body)
    assert code == 201, answer
    yield name
    api("DELETE", f"/api/v1/nodes/{name}")


def _conditions(**conditions: str) -> Manifest:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"status": {"conditions": [{"type": kind, "status": is_so, **times} for kind, is_so in conditions.items()]}}


@pytest.mark.apiserver
async def test_a_node_in_trouble_is_told_where_a_check_asks_for_it(look: Look, put: Put, api: Api, node: str) -> None:
    """The pods are told to be on that node; that they are not ready does not matter to a check that wants none."""
    put("apis/apps/v1/deployments", shop(nodeName=node))
    merge = "application/merge-patch+json"
    path = f"/api/v1/nodes/{node}/status"
    asked = ("0", "NodeNotReady", "NodePressure")
    api("PATCH", path, _conditions(Ready="True", MemoryPressure="True"), content_type=merge)
    await until_reason(look, Reason.NODE_PRESSURE, *asked)
    assert (await look("0")).reason is Reason.OK

    api("PATCH", path, _conditions(Ready="False", MemoryPressure="True"), content_type=merge)
    assert (await until_reason(look, Reason.NODE_NOT_READY, *asked)).share == (0, 1)
    await until_reason(look, Reason.NODE_NOT_READY)
