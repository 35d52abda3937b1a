"""What a game day asks of an experiment is written on the version it was decided on, and never twice (R2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.kube_server import answers, client_of, refuses, resets, serving
from homeostat.core.action import AskExperiment, Outcome, Verb
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
RUN, BY = "homeostat.dev/run", "homeostat.dev/by"
PATH = "/apis/homeostat.dev/v1alpha1/namespaces/shop/chaosexperiments/pod-loss"
ASK = AskExperiment("ask/1", Ref("ChaosExperiment", "shop", "pod-loss", "uid"), "7", {RUN: "friday-1-1", BY: None})


def hand(client: ApiClient) -> ApiActuator:
    budget = ActionBudget(client, "homeostat-system", of=5, per=timedelta(hours=1))
    return ApiActuator(client, Locks(client, "homeostat-system"), budget)


def held(uid: str = "uid", **annotations: str) -> dict[str, Any]:
    said = {f"homeostat.dev/{name}": value for name, value in annotations.items()}
    return {"metadata": {"name": "pod-loss", "uid": uid, "resourceVersion": "9", "annotations": said}}


async def test_a_wish_is_one_write_at_the_version_of_the_decision() -> None:
    """R2: by uid and resourceVersion."""
    async with serving(answers(200)) as api, client_of(api.url) as client:
        assert await hand(client).act(ASK, NOW) == Outcome(Verb.DONE)

    [seen] = api.seen
    assert (seen.method, seen.path) == ("PATCH", PATH)
    assert seen.query == {"fieldManager": "homeostat-gameday"}
    assert seen.body == {
        "metadata": {"uid": "uid", "resourceVersion": "7", "annotations": {RUN: "friday-1-1", BY: None}}
    }


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (held(run="friday-1-1"), Verb.DONE),
        (held(run="by hand"), Verb.REFUSED),
        (held(run="friday-1-1", by="ada"), Verb.REFUSED),
        (held(), Verb.REFUSED),
        (held("another", run="friday-1-1"), Verb.REFUSED),
    ],
)
async def test_a_conflict_is_done_only_if_the_wish_stands_on_the_same_experiment(
    found: dict[str, Any], outcome: Verb
) -> None:
    """R2: an answer that got lost is no reason to ask twice; somebody else's wish is not ours."""
    async with serving(refuses(409, "Conflict"), answers(200, found)) as api, client_of(api.url) as client:
        assert (await hand(client).act(ASK, NOW)).verb is outcome


async def test_an_experiment_that_is_gone_is_refused_and_a_broken_wire_is_not_known() -> None:
    """R2: what is not known is looked at again."""
    async with serving(refuses(404, "NotFound")) as api, client_of(api.url) as client:
        assert (await hand(client).act(ASK, NOW)).reason == "NotFound"
    async with serving(resets) as api, client_of(api.url) as client:
        assert (await hand(client).act(ASK, NOW)).verb is Verb.FAILED
