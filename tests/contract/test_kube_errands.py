"""The Job of a step, as the API server gets it; created once, whatever breaks in between."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contract.kube_server import Behaviour, ScriptedApi, answers, client_of, refuses, serving
from homeostat.core.action import CallWebhook, Outcome, RunJob, Verb
from homeostat.core.cluster import Job
from homeostat.core.ref import Ref
from homeostat.kube.actions.errands import ApiJobReader, Errands
from homeostat.ports import Forbidden, Rejected, Unavailable

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OWNER = Ref("RecoveryPolicy", "shop", "heal", "policy-1")
TEMPLATE = {"spec": {"containers": [{"name": "clean", "image": "shop/clean:1"}], "restartPolicy": "OnFailure"}}
DONE = Outcome(Verb.DONE)
ENVIRONMENT = {"HOMEOSTAT_TARGET_NAME": "checkout", "HOMEOSTAT_REASON": "HealthCheck $(SECRET) is Unhealthy"}
OURS = {
    "metadata": {
        "name": "homeostat-a1-0",
        "namespace": "shop",
        "uid": "job-1",
        "labels": {"homeostat.dev/attempt": "a1-0"},
        "ownerReferences": [{"kind": "RecoveryPolicy", "name": "heal", "uid": "policy-1"}],
    },
    "status": {"startTime": "2026-11-21T12:00:00Z"},
}


def run_job(template: Any = None, **changes: Any) -> RunJob:
    fields: dict[str, Any] = {"seconds": 90, "keep_seconds": 86400}
    return RunJob(
        "a1-0", OWNER, "homeostat-a1-0", TEMPLATE if template is None else template, ENVIRONMENT, **fields | changes
    )


async def _performed(action: RunJob, *script: Behaviour) -> tuple[ScriptedApi, Outcome]:
    async with serving(*script) as api, client_of(api.url) as client:
        return api, await Errands(client).perform(action, NOW)


async def _manifest(action: RunJob) -> dict[str, Any]:
    api, outcome = await _performed(action, answers(201, OURS))
    assert outcome == DONE
    body: dict[str, Any] = api.seen[0].body
    return body


async def test_a_job_runs_once_ends_by_itself_and_belongs_to_its_policy() -> None:
    body = await _manifest(run_job())

    assert body["metadata"] == {
        "name": "homeostat-a1-0",
        "namespace": "shop",
        "labels": {
            "app.kubernetes.io/managed-by": "homeostat",
            "homeostat.dev/policy": "heal",
            "homeostat.dev/attempt": "a1-0",
        },
        "ownerReferences": [
            {
                "apiVersion": "homeostat.dev/v1alpha1",
                "kind": "RecoveryPolicy",
                "name": "heal",
                "uid": "policy-1",
                "controller": True,
            }
        ],
    }
    spec = body["spec"]
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (90, 86400)
    assert "podFailurePolicy" not in spec  # a pod that was put out may have done half of its work: it is not repeated
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["metadata"]["labels"]["homeostat.dev/attempt"] == "a1-0"


async def test_a_job_is_kept_for_as_long_as_it_may_be_asked_for() -> None:
    """R2: gone before the attempt is over, it would be run a second time."""
    body = await _manifest(run_job(seconds=600, keep_seconds=60))

    assert body["spec"]["ttlSecondsAfterFinished"] == 600


async def test_all_containers_learn_of_the_trigger_and_no_text_is_taken_for_a_variable() -> None:
    template = {
        "spec": {
            "initContainers": [{"name": "first"}],
            "containers": [{"name": "clean", "env": [{"name": "HOMEOSTAT_TARGET_NAME", "value": "x"}, {"name": "A"}]}],
        }
    }
    spec = (await _manifest(run_job(template)))["spec"]["template"]["spec"]
    ours = [
        {"name": "HOMEOSTAT_REASON", "value": "HealthCheck $$(SECRET) is Unhealthy"},
        {"name": "HOMEOSTAT_TARGET_NAME", "value": "checkout"},
    ]

    assert spec["initContainers"][0]["env"] == ours
    assert spec["containers"][0]["env"] == [*ours, {"name": "A"}]


@pytest.mark.parametrize(
    "template", [{"spec": []}, {"spec": {"containers": {}}}, {"spec": {"containers": ["x"]}}, {"metadata": 1}]
)
async def test_a_template_of_another_form_is_refused_before_it_is_sent(template: Any) -> None:
    async with serving(answers(201, OURS)) as api, client_of(api.url) as client:
        with pytest.raises(Rejected):
            await Errands(client).perform(run_job(template), NOW)

    assert api.seen == []


async def test_a_job_that_is_there_already_and_ours_is_done() -> None:
    """R2: the answer was lost, or the operator was killed before it came."""
    api, outcome = await _performed(run_job(), refuses(409, "AlreadyExists"), answers(200, OURS))

    assert outcome == DONE
    assert [(seen.method, seen.path.rsplit("/", 1)[-1]) for seen in api.seen] == [
        ("POST", "jobs"),
        ("GET", "homeostat-a1-0"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"homeostat.dev/attempt": "b2-0"}},
        {"labels": {}},
        {"ownerReferences": [{"kind": "RecoveryPolicy", "name": "heal", "uid": "policy-0"}]},
        {"ownerReferences": []},
    ],
)
async def test_somebody_elses_job_of_the_name_is_left_alone(change: dict[str, Any]) -> None:
    theirs = OURS | {"metadata": {**OURS["metadata"], **change}}
    api, outcome = await _performed(run_job(), refuses(409, "AlreadyExists"), answers(200, theirs))

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "NameTaken")
    assert [seen.method for seen in api.seen] == ["POST", "GET"]


async def test_a_quota_and_a_right_that_is_missing_are_told_apart() -> None:
    review = {"status": {"allowed": True}}
    with pytest.raises(Rejected, match="quota"):
        await _performed(run_job(), refuses(403, "Forbidden"), answers(201, review))
    with pytest.raises(Forbidden):
        await _performed(run_job(), refuses(403, "Forbidden"), answers(201, {"status": {"allowed": False}}))


async def test_an_answer_that_does_not_come_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        await _performed(run_job(), answers(504))


async def test_a_job_is_read_by_its_name() -> None:
    async with serving(answers(200, OURS), refuses(404, "NotFound")) as api, client_of(api.url) as client:
        reader = ApiJobReader(client)

        assert await reader.job("shop", "homeostat-a1-0") == Job(
            Ref("Job", "shop", "homeostat-a1-0", "job-1"), ("policy-1",), is_started=True, is_complete=False
        )
        assert await reader.job("shop", "homeostat-a1-0") is None


async def test_a_webhook_is_left_to_whoever_calls_them() -> None:
    class Caller:
        async def call(self, action: CallWebhook, now: datetime) -> Outcome:
            assert (action.id, now) == ("a1-0", NOW)
            return DONE

    action = CallWebhook("a1-0", OWNER, "http://hooks.test/", {})
    async with serving(answers(500)) as api, client_of(api.url) as client:
        assert await Errands(client, Caller()).perform(action, NOW) == DONE
        assert (await Errands(client).perform(action, NOW)).reason == "Unsupported"

    assert api.seen == []
