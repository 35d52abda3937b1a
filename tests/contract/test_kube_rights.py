"""What the operator itself may do, asked of an API server over the wire: each right once, remembered for a while."""

import pytest

from contract.kube_server import Behaviour, answers, client_of, refuses, serving
from fakes import FakeClock
from homeostat.core.cluster import Right
from homeostat.kube.apiserver.client import Patience
from homeostat.kube.authorization.rights import REMEMBER_FOR, ApiRights
from homeostat.ports import Unavailable

EVICT = Right("create", "", "pods", "eviction", "shop", "step 0 (restartPods)")
EVICT_AGAIN = Right("create", "", "pods", "eviction", "shop", "step 1 (evict)")
ALLOWED = answers(201, {"status": {"allowed": True}})
DENIED = answers(201, {"status": {"allowed": False}})


async def test_a_right_is_asked_for_in_the_clusters_own_words_and_once_for_all_steps() -> None:
    """What the steps call it is not told to the API server."""
    async with serving(DENIED) as api, client_of(api.url) as client:
        missing = await ApiRights(client).missing([EVICT, EVICT_AGAIN])

    assert missing == (EVICT, EVICT_AGAIN)
    assert [(seen.path, seen.body) for seen in api.seen] == [
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "verb": "create", "resource": "pods", "subresource": "eviction", "namespace": "shop"
                    }
                },
            },
        )
    ]  # fmt: skip


async def test_an_answer_is_remembered_for_a_minute() -> None:
    """A thousand policies of a namespace ask once."""
    clock = FakeClock()
    async with serving(ALLOWED, DENIED) as api, client_of(api.url) as client:
        rights = ApiRights(client, clock.monotonic)
        assert await rights.missing([EVICT]) == ()
        assert await rights.missing([EVICT]) == ()
        clock.advance(REMEMBER_FOR + 1)
        assert await rights.missing([EVICT]) == (EVICT,)

    assert len(api.seen) == 2


@pytest.mark.parametrize(
    "answer",
    [refuses(403, "Forbidden"), answers(201, {}), answers(500, {})],
    ids=["refused", "empty", "broken"],
)
async def test_what_is_not_answered_is_not_known(answer: Behaviour) -> None:
    """R12: neither held nor missing."""
    patience = Patience(timeout=0.1, total=0)
    async with serving(answer) as api, client_of(api.url, patience=patience) as client:
        with pytest.raises(Unavailable):
            await ApiRights(client).missing([EVICT])
