"""The Job that a probe is, as the API server gets it, and what its refusals mean."""

import json
from typing import Any

import pytest

from contract.kube_server import Behaviour, ScriptedApi, answers, client_of, refuses, serving
from homeostat.core.cluster import Job
from homeostat.core.probing.request import JobRequest
from homeostat.core.ref import Ref
from homeostat.kube.jobs import ApiJobs, job_name
from homeostat.kube.workloads.projections import job_of
from homeostat.ports import Conflict, Forbidden, Rejected, Unavailable

TEMPLATE = {"spec": {"containers": [{"name": "ask", "image": "shop/ask:1"}], "restartPolicy": "Always"}}
REQUEST = JobRequest("shop", "checkout", "uid-1", json.dumps(TEMPLATE))
JOB = {
    "metadata": {
        "name": job_name("uid-1"),
        "namespace": "shop",
        "uid": "job-1",
        "ownerReferences": [{"kind": "HealthCheck", "name": "checkout", "uid": "uid-1"}],
    }
}
REF = Ref("Job", "shop", job_name("uid-1"), "job-1")


async def _created(request: JobRequest = REQUEST, seconds: float = 9.2) -> tuple[ScriptedApi, Job]:
    async with serving(answers(201, JOB)) as api, client_of(api.url) as client:
        return api, await ApiJobs(client).create(request, seconds)


async def _manifest(template: Any, owner: str = "checkout") -> dict[str, Any]:
    api, _ = await _created(JobRequest("shop", owner, "uid-1", json.dumps(template)))
    body: dict[str, Any] = api.seen[0].body
    return body


async def test_a_job_runs_once_ends_by_itself_and_belongs_to_its_check() -> None:
    api, job = await _created()
    seen = api.seen[0]

    assert (seen.method, seen.path) == ("POST", "/apis/batch/v1/namespaces/shop/jobs")
    assert seen.body["metadata"] == {
        "name": job_name("uid-1"),
        "namespace": "shop",
        "labels": {"app.kubernetes.io/managed-by": "homeostat", "homeostat.dev/healthcheck": "checkout"},
        "ownerReferences": [
            {"apiVersion": "homeostat.dev/v1alpha1", "kind": "HealthCheck", "name": "checkout", "uid": "uid-1"}
        ],
    }
    spec = seen.body["spec"]
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (10, 60)
    assert job == Job(REF, ("uid-1",), is_started=False, is_complete=False)


async def test_a_job_of_a_check_that_is_not_applied_has_no_owner() -> None:
    """Else the API server refuses it, for an owner needs a uid."""
    api, _ = await _created(JobRequest("shop", "checkout", "", json.dumps(TEMPLATE)))

    assert api.seen[0].body["metadata"]["ownerReferences"] == []


async def test_a_template_is_kept_but_for_what_makes_it_a_probe() -> None:
    template = {
        "metadata": {"labels": {"app": "ask", "homeostat.dev/healthcheck": "another"}, "annotations": {"a": "b"}},
        "spec": TEMPLATE["spec"] | {"serviceAccountName": "ask", "terminationGracePeriodSeconds": 3600},
    }

    assert (await _manifest(template))["spec"]["template"] == {
        "metadata": {"labels": {"app": "ask", "homeostat.dev/healthcheck": "checkout"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [{"name": "ask", "image": "shop/ask:1"}],
            "serviceAccountName": "ask",
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
        },
    }


async def test_a_shorter_grace_period_is_kept() -> None:
    manifest = await _manifest({"spec": {"terminationGracePeriodSeconds": 0}})

    assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0


async def test_the_label_of_a_long_name_is_a_label_and_differs_from_its_neighbours() -> None:
    manifests = [await _manifest(TEMPLATE, "c" * 200 + tail) for tail in "ab"]
    labels = [manifest["metadata"]["labels"]["homeostat.dev/healthcheck"] for manifest in manifests]

    assert [len(label) for label in labels] == [63, 63]
    assert labels[0] != labels[1]


async def test_a_check_has_one_job_name_for_ever_and_no_other_check_has_it() -> None:
    assert job_name("uid-1") == job_name("uid-1") != job_name("uid-2")
    assert len(job_name("x" * 300)) <= 63


@pytest.mark.parametrize(
    "template",
    [
        "{",
        "[]",
        '"text"',
        '{"spec": []}',
        '{"spec": {"terminationGracePeriodSeconds": "1"}}',
        '{"metadata": 1}',
        '{"metadata": {"labels": []}}',
    ],
)
async def test_a_template_of_another_form_is_refused_before_it_is_sent(template: str) -> None:
    async with serving(answers(201, JOB)) as api, client_of(api.url) as client:
        with pytest.raises(Rejected):
            await ApiJobs(client).create(JobRequest("shop", "checkout", "uid-1", template), 5)

    assert api.seen == []


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ((refuses(409, "AlreadyExists"),), Conflict),
        ((refuses(422, "Invalid"),), Rejected),
        ((refuses(404, "NotFound"),), Rejected),
        ((refuses(403, "Forbidden"), answers(201, {"status": {"allowed": True}})), Rejected),
        ((refuses(403, "Forbidden"), answers(201, {"status": {"allowed": False}})), Forbidden),
        ((refuses(403, "Forbidden"), refuses(403, "Forbidden")), Forbidden),
        ((refuses(403, "Forbidden"), refuses(500, "Unknown")), Forbidden),
        ((refuses(500, "Unknown"),), Unavailable),
    ],
    ids=["there", "invalid", "no namespace", "by a quota", "by RBAC", "unknown", "unanswered", "erred"],
)
async def test_a_refused_job_and_a_missing_right_are_told_apart(
    script: tuple[Behaviour, ...], error: type[Exception]
) -> None:
    """Both come as the same 403: what we may do is asked of the API server, not read out of its words."""
    async with serving(*script) as api, client_of(api.url) as client:
        with pytest.raises(error):
            await ApiJobs(client).create(REQUEST, 5)


async def test_a_job_is_deleted_by_its_uid_and_its_pods_with_it() -> None:
    async with serving(answers(200)) as api, client_of(api.url) as client:
        await ApiJobs(client).delete(REF)

    assert (api.seen[0].method, api.seen[0].path) == ("DELETE", f"/apis/batch/v1/namespaces/shop/jobs/{REF.name}")
    assert api.seen[0].body == {"propagationPolicy": "Background", "preconditions": {"uid": "job-1"}}


@pytest.mark.parametrize("refusal", [refuses(404, "NotFound"), refuses(409, "Conflict")], ids=["gone", "replaced"])
async def test_a_job_that_is_gone_or_replaced_is_deleted_enough(refusal: Behaviour) -> None:
    async with serving(refusal) as api, client_of(api.url) as client:
        await ApiJobs(client).delete(REF)

    assert len(api.seen) == 1


async def test_a_job_that_is_not_there_is_none() -> None:
    async with serving(refuses(404, "NotFound")) as api, client_of(api.url) as client:
        assert await ApiJobs(client).read(REQUEST) is None


async def test_the_pods_of_a_job_are_its_own() -> None:
    metadata = {"name": "a", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-11-21T08:00:00Z"}
    ended = {"state": {"terminated": {"exitCode": 3}}}
    pod = {"metadata": metadata, "status": {"phase": "Failed", "containerStatuses": [ended]}}
    async with serving(answers(200, {"items": [pod]})) as api, client_of(api.url) as client:
        pods = await ApiJobs(client).pods(REF)

    assert [one.exit_code for one in pods] == [3]
    assert api.seen[0].query["labelSelector"] == "batch.kubernetes.io/controller-uid=job-1"


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ({}, (False, False, "")),
        ({"startTime": "2026-11-21T08:00:00Z"}, (True, False, "")),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, (False, True, "")),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, (False, False, "")),
        ({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]}, (False, True, "")),
        (
            {"conditions": [{"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}]},
            (False, False, "BackoffLimitExceeded"),
        ),
        (
            {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]},
            (False, False, "DeadlineExceeded"),
        ),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, (False, False, "Failed")),
        ({"conditions": [{"type": "Suspended", "status": "True"}]}, (False, False, "")),
    ],
)
def test_a_job_ends_as_its_conditions_say(status: dict[str, Any], ends: tuple[bool, bool, str]) -> None:
    job = job_of(JOB | {"status": status})

    assert (job.is_started, job.is_complete, job.failure) == ends
    assert job.has_ended == (ends[1] or ends[2] != "")
