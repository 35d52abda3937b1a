"""The hand that acts never raises, whatever the API server answers, and never claims what it does not know."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.kube_server import Behaviour, answers, client_of, refuses, resets, says, serving, truncates
from contract.test_kube_changes import ACTIONS as CHANGES
from homeostat.core.action import (
    Action,
    DeletePod,
    EvictPod,
    InstallRules,
    Outcome,
    ReleaseLock,
    RemoveRules,
    RestartRollout,
    Scale,
    TakeLock,
    TakeToken,
    Verb,
)
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
POD = Ref("Pod", "shop", "web-1", "pod-uid")
WEB = Ref("Deployment", "shop", "web", "web-uid")
POLICY = Ref("RecoveryPolicy", "shop", "heal", "policy-uid")
ACTIONS: dict[str, Action] = {
    "evict": EvictPod("1", POD, 5),
    "delete": DeletePod("2", POD),
    "restart": RestartRollout("3", WEB, "7"),
    "scale": Scale("4", WEB, "7", 3, {"homeostat.dev/fault": "x"}),
    "lock": TakeLock("5", WEB, POLICY, 60),
    "release": ReleaseLock("6", WEB, POLICY),
    "token": TakeToken("7"),
    "install": InstallRules("8", POLICY, {"kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "rules"}}),
    "remove": RemoveRules("9", POLICY, "PrometheusRule", "rules"),
}


def _hand(client: ApiClient) -> ApiActuator:
    budget = ActionBudget(client, "homeostat-system", of=5, per=timedelta(hours=1))
    return ApiActuator(client, Locks(client, "homeostat-system"), budget)


@pytest.mark.parametrize("action", (ACTIONS | CHANGES).values(), ids=ACTIONS | CHANGES)
@pytest.mark.parametrize(
    "behaviour",
    [
        refuses(400, "BadRequest", message="no"),
        refuses(401, "Unauthorized"),
        refuses(403, "Forbidden", message="upstream-text"),
        refuses(422, "Invalid", message="no"),
        refuses(429, "TooManyRequests", {"Retry-After": "1"}),
        refuses(500, "InternalError", message="upstream-text"),
        refuses(503, "ServiceUnavailable"),
        refuses(504, "Timeout"),
        resets,
        truncates,
        says("not json"),
    ],
    ids=["400", "401", "403", "422", "429", "500", "503", "504", "reset", "truncated", "text"],
)
async def test_no_answer_makes_an_act_raise_or_count_as_done(action: Action, behaviour: Behaviour) -> None:
    """R2."""
    async with serving(behaviour) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(action, NOW)

    assert outcome.verb in {Verb.REFUSED, Verb.FAILED}
    assert outcome.reason in {"Invalid", "Forbidden", "ApiUnavailable"}
    assert "upstream-text" not in outcome.message


async def test_an_eviction_names_the_very_pod_and_its_grace() -> None:
    """R2, R10."""
    async with serving(answers(201)) as api, client_of(api.url) as client:
        assert await _hand(client).act(ACTIONS["evict"], NOW) == Outcome(Verb.DONE)

    (seen,) = api.seen
    assert (seen.method, seen.path) == ("POST", "/api/v1/namespaces/shop/pods/web-1/eviction")
    assert seen.body["deleteOptions"] == {"preconditions": {"uid": "pod-uid"}, "gracePeriodSeconds": 5}


@pytest.mark.parametrize("name", ["restart", "scale"])
async def test_an_act_whose_answer_was_lost_is_recognised_as_done_when_it_is_repeated(name: str) -> None:
    """R2: kill or outage between act and result: exactly one action."""
    template = {"metadata": {"annotations": {"homeostat.dev/restartedAt": "3"}}}
    written = {
        "metadata": {"uid": "web-uid", "resourceVersion": "8", "annotations": {"homeostat.dev/fault": "x"}},
        "spec": {"replicas": 3, "template": template},
    }
    async with (
        serving(resets, refuses(409, "Conflict"), answers(200, written)) as api,
        client_of(api.url) as client,
    ):
        lost = await _hand(client).act(ACTIONS[name], NOW)
        repeated = await _hand(client).act(ACTIONS[name], NOW)

    assert lost.verb is Verb.FAILED
    assert repeated == Outcome(Verb.DONE)
    assert [seen.method for seen in api.seen] == ["PATCH", "PATCH", "GET"]
    pinned = {"uid": "web-uid", "resourceVersion": "7"}
    assert pinned.items() <= api.seen[0].body["metadata"].items()


async def test_a_write_by_another_meanwhile_is_a_conflict_and_stays() -> None:
    """R8: a newer value by another writer is never overwritten."""
    theirs = {"metadata": {"uid": "web-uid"}, "spec": {"replicas": 9, "template": {}}}
    async with serving(refuses(409, "Conflict"), answers(200, theirs)) as api, client_of(api.url) as client:
        outcome = await _hand(client).act(ACTIONS["scale"], NOW)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Conflict")
