"""What keeps a guard is not held up by a connection that hangs: a late renewal ends the fault (C18)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.kube_server import ScriptedApi, answers, client_of, hangs, serving
from homeostat.core.action import KeepGuard, Outcome, Verb
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.guards import keeping
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OWNER = Ref("ChaosExperiment", "shop", "example", "uid-of-experiment")
KEEP = KeepGuard("keep", "guard", OWNER, 1, "[]", NOW + timedelta(minutes=5), 15)
DONE = Outcome(Verb.DONE)
POD: dict[str, Any] = {"metadata": {"name": "guard", "namespace": "homeostat-system", "uid": "pod"}}
LEASE: dict[str, Any] = {
    "metadata": {
        "name": "guard",
        "namespace": "homeostat-system",
        "uid": "lease",
        "labels": {"homeostat.dev/guard-of": OWNER.uid},
        "annotations": {
            "homeostat.dev/guard-records": "[]",
            "homeostat.dev/guard-deadline": "2026-11-22T08:05:00.000000Z",
        },
    }
}


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "TIMEOUT", 0.2)


def patient(api: ScriptedApi) -> ApiClient:
    """Give a client that by itself waits for longer than any test may last."""
    return client_of(api.url, patience=Patience(timeout=600.0))


async def kept(client: ApiClient) -> Outcome:
    budget = ActionBudget(client, "homeostat-system", of=5, per=timedelta(hours=1))
    guards = ApiGuards(client, "homeostat-system", "image")
    actuator = ApiActuator(client, Locks(client, "homeostat-system"), budget, guards=guards)
    async with asyncio.timeout(20):
        return await actuator.act(KEEP, NOW)


async def test_a_renewal_that_hangs_is_given_up_in_time_for_the_next_one() -> None:
    """C18: whether it was made is not known, and to renew twice does no harm."""
    async with serving(hangs, answers(200, LEASE), answers(200, POD)) as api, patient(api) as client:
        assert (await kept(client)).verb is Verb.FAILED
        assert await kept(client) == DONE
    assert [seen.method for seen in api.seen] == ["PATCH", "PATCH", "GET"]


async def test_a_look_at_the_pod_that_hangs_is_given_up_in_time_for_the_next_renewal() -> None:
    """C18: it is looked at by each renewal, over another connection then."""
    async with serving(answers(200, LEASE), hangs, answers(200, POD)) as api, patient(api) as client:
        assert await kept(client) == DONE
    assert [seen.method for seen in api.seen] == ["PATCH", "GET", "GET"]


async def test_a_look_at_the_guard_that_hangs_does_not_hold_up_what_follows_from_it() -> None:
    """C18: the next renewal follows from it."""
    async with serving(hangs, answers(200, LEASE), hangs, answers(200, POD)) as api, patient(api) as client:
        async with asyncio.timeout(20):
            assert await ApiGuards(client, "homeostat-system", "image").read("guard") is not None
    assert [seen.method for seen in api.seen] == ["GET"] * 4
