"""The Jobs that probes are, on the API server (`ports.Jobs`).

Whatever becomes of us, a Job ends: by its own deadline, by its time to live once it ended, and with the HealthCheck
it belongs to.
"""

import hashlib
import json
import math
from typing import Any

from homeostat.api.meta import API_VERSION, GROUP
from homeostat.core.cluster import Job, Pod
from homeostat.core.probing.request import JobRequest
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import ACCESS_REVIEW, JOB, POD
from homeostat.kube.workloads.projections import job_of, pod_of
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

_MANAGER = {"fieldManager": "homeostat-probes"}
_LONGEST_LABEL = 63
_LONGEST_GRACE = 30
"""Seconds that a pod may take to end once it is told to: else pods of past runs would pile up."""
_SECONDS_KEPT = 60


class ApiJobs:
    """`ports.Jobs` on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def create(self, request: JobRequest, seconds: float) -> Job:
        """Create the Job of a HealthCheck; see `ports.Jobs`."""
        body = _manifest(request, seconds)
        return job_of(await create_job(self._client, request.namespace, body, _MANAGER["fieldManager"]))

    async def read(self, request: JobRequest) -> Job | None:
        """Read the Job of that name, whoever made it; None when there is none."""
        try:
            return job_of(await self._client.request("GET", JOB.path(request.namespace, job_name(request.uid))))
        except Gone:
            return None

    async def pods(self, job: Ref) -> tuple[Pod, ...]:
        """Read the pods of a Job."""
        query = {"labelSelector": f"batch.kubernetes.io/controller-uid={job.uid}"}
        return tuple(map(pod_of, await self._client.collect(POD.path(job.namespace), query=query)))

    async def delete(self, job: Ref) -> None:
        """Delete this very Job and leave its pods to the garbage collector; that it is gone already is fine."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.uid}}
        path = JOB.path(job.namespace, job.name)
        try:
            await self._client.request("DELETE", path, body=body, urgency=Urgency.ACTION)
        except (Gone, Conflict):  # Conflict: another Job has the name by now
            return


async def create_job(client: ApiClient, namespace: str, body: dict[str, Any], manager: str) -> dict[str, Any]:
    """Create a Job. Raises Conflict while there is one of that name, and Rejected when the Job itself is refused."""
    try:
        return await client.request("POST", JOB.path(namespace), query={"fieldManager": manager}, body=body)
    except Forbidden:
        if await _may_create(client, namespace):
            raise Rejected("a quota or an admission rule refuses the Job") from None
        raise
    except Gone:
        raise Rejected("the namespace is not there") from None


async def _may_create(client: ApiClient, namespace: str) -> bool:
    """Whether it is not our rights that are missing: both kinds of refusal come as the same 403."""
    attributes = {"namespace": namespace, "verb": "create", "group": "batch", "resource": "jobs"}
    body = {
        "apiVersion": ACCESS_REVIEW.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        review = await client.request("POST", ACCESS_REVIEW.path(), body=body)
    except (Forbidden, Unavailable):
        return False
    return bool((review.get("status") or {}).get("allowed"))


def job_name(uid: str) -> str:
    """Name the Job of the HealthCheck with this uid: always the same, so that there is one at a time."""
    return f"homeostat-probe-{_digest(uid)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def label_of(owner: str) -> str:
    """Give a name as a label's value, which may be shorter than a name."""
    if len(owner) <= _LONGEST_LABEL:
        return owner
    return f"{owner[: _LONGEST_LABEL - 17]}-{_digest(owner)}"


def _manifest(request: JobRequest, seconds: float) -> dict[str, Any]:
    labels = {f"{GROUP}/healthcheck": label_of(request.owner)}
    owner = {"apiVersion": API_VERSION, "kind": "HealthCheck", "name": request.owner, "uid": request.uid}
    return {
        "apiVersion": JOB.api_version,
        "kind": "Job",
        "metadata": {
            "name": job_name(request.uid),
            "namespace": request.namespace,
            "labels": {"app.kubernetes.io/managed-by": "homeostat", **labels},
            "ownerReferences": [owner] if request.uid else [],  # without one it is tried from a shell
        },
        "spec": {
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "activeDeadlineSeconds": max(1, math.ceil(seconds)),
            "ttlSecondsAfterFinished": _SECONDS_KEPT,
            "podFailurePolicy": {"rules": [_PUT_OUT_POD]},
            "template": pod_template(_parsed(request.template), labels),
        },
    }


_PUT_OUT_POD = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""A pod that was evicted or preempted says nothing of the target: the Job makes another while there is time."""


def _parsed(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        raise Rejected("the template is not JSON") from None


def pod_template(template: Any, labels: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Take the template a user wrote, and add what is ours; Rejected when it is of another form."""
    metadata, spec = part_of(template, "metadata"), part_of(template, "spec")
    grace = spec.get("terminationGracePeriodSeconds", _LONGEST_GRACE)
    if not isinstance(grace, int):
        raise Rejected("terminationGracePeriodSeconds is not a number")
    return {
        "metadata": {**metadata, "labels": {**part_of(metadata, "labels"), **labels}},
        "spec": {**spec, "restartPolicy": "Never", "terminationGracePeriodSeconds": min(grace, _LONGEST_GRACE)},
    }


def part_of(whole: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Give an object within an object of a user; Rejected when it is something else."""
    part = whole.get(name) if isinstance(whole, dict) else whole
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise Rejected(f"the template's {name} is not an object")
    return part
