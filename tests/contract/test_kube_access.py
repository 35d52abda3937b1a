"""Who somebody is and what they may do, asked of an API server over the wire: in whose words, and how long believed."""

import asyncio
import gc
import logging
from typing import Any

import pytest

from contract.kube_server import Behaviour, ScriptedApi, answers, client_of, hangs, refuses, resets, serving
from fakes import FakeClock
from homeostat.kube.apiserver.client import Patience
from homeostat.kube.authorization import access as access_module
from homeostat.kube.authorization.access import ApiAccess
from homeostat.ports import Attributes, Refusal

PUSH = Attributes("create", "servicelevelobjectives", "events", "shop", "web")
LIST = Attributes("list", "servicelevelobjectives")
USER = {"username": "system:serviceaccount:shop:ci", "uid": "u-1", "groups": ["a", "b"], "extra": {"x/y": ["z"]}}
KNOWN = answers(201, {"status": {"authenticated": True, "user": USER}})
UNKNOWN = answers(201, {"status": {"authenticated": False, "error": "token has expired"}})
ALLOWED = answers(201, {"status": {"allowed": True}})
DENIED = answers(201, {"status": {"allowed": False, "reason": "RBAC: swordfish"}})
AUTHENTICATION, AUTHORIZATION = (
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
)


def paths(api: ScriptedApi) -> list[str]:
    return [seen.path for seen in api.seen]


async def verdict(*script: Behaviour, token: str = "swordfish", attributes: Attributes = PUSH) -> Refusal | None:  # noqa: S107
    patience = Patience(timeout=0.1, total=0)
    async with serving(*script) as api, client_of(api.url, patience=patience) as client:
        return await ApiAccess(client).check(token, attributes)


async def test_a_bearer_is_asked_for_in_the_clusters_own_words() -> None:
    async with serving(KNOWN, ALLOWED) as api, client_of(api.url) as client:
        assert await ApiAccess(client).check("swordfish", PUSH) is None

    assert paths(api) == [AUTHENTICATION, AUTHORIZATION]
    assert api.seen[0].body == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "swordfish"},
    }
    assert api.seen[1].body == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": USER["username"],
            "uid": "u-1",
            "groups": ["a", "b"],
            "extra": {"x/y": ["z"]},
            "resourceAttributes": {
                "group": "homeostat.dev",
                "verb": "create",
                "resource": "servicelevelobjectives",
                "subresource": "events",
                "namespace": "shop",
                "name": "web",
            },
        },
    }


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((KNOWN, ALLOWED), None),
        ((KNOWN, DENIED), Refusal.FORBIDDEN),
        ((KNOWN, answers(201, {"status": {"allowed": True, "denied": True}})), Refusal.FORBIDDEN),
        ((KNOWN, answers(201, {"status": {"allowed": "yes"}})), Refusal.FORBIDDEN),
        ((KNOWN, answers(201, {"status": {}})), Refusal.FORBIDDEN),
        ((UNKNOWN,), Refusal.UNKNOWN),
        ((answers(201, {"status": {"authenticated": True}}),), Refusal.UNKNOWN),
        ((answers(201, {"status": {"authenticated": True, "user": {"username": ""}}}),), Refusal.UNKNOWN),
        ((answers(201, {"status": {"authenticated": "true", "user": USER}}),), Refusal.UNKNOWN),
        ((answers(201, {}),), Refusal.UNDECIDED),
        ((answers(201, {"status": "Failure"}),), Refusal.UNDECIDED),
        ((KNOWN, answers(201, {})), Refusal.UNDECIDED),
        ((resets,), Refusal.UNDECIDED),
        ((hangs,), Refusal.UNDECIDED),
        ((KNOWN, hangs), Refusal.UNDECIDED),
        ((refuses(500, "InternalError"),), Refusal.UNDECIDED),
        ((refuses(503, ""),), Refusal.UNDECIDED),
        ((refuses(403, "Forbidden"),), Refusal.UNABLE),  # the operator lacks the right to ask
        ((refuses(404, "NotFound"),), Refusal.UNDECIDED),
        ((KNOWN, refuses(403, "Forbidden")), Refusal.UNABLE),
        ((KNOWN, refuses(422, "Invalid")), Refusal.UNDECIDED),
    ],
)
async def test_only_a_clear_yes_lets_anybody_in(script: tuple[Behaviour, ...], expected: Refusal | None) -> None:
    assert await verdict(*script) is expected


@pytest.mark.parametrize("token", ["", "a b", "a\n", "é", "x" * 16385, "\0"])
async def test_what_can_be_no_token_is_not_even_asked_about(token: str) -> None:
    async with serving(KNOWN, ALLOWED) as api, client_of(api.url) as client:
        assert await ApiAccess(client).check(token, PUSH) is Refusal.UNKNOWN

    assert api.seen == []


async def test_a_yes_is_believed_for_a_minute() -> None:
    clock = FakeClock()
    async with serving(KNOWN, ALLOWED, UNKNOWN) as api, client_of(api.url) as client:
        access = ApiAccess(client, clock.monotonic)
        for _ in range(3):
            assert await access.check("swordfish", PUSH) is None
        clock.advance(59)
        assert await access.check("swordfish", PUSH) is None
        assert len(api.seen) == 2
        clock.advance(1)
        assert await access.check("swordfish", PUSH) is Refusal.UNKNOWN


async def test_a_yes_is_never_believed_longer_than_the_token() -> None:
    """A right that was asked for late does not prolong what is believed of the token."""
    clock = FakeClock()
    async with serving(KNOWN, ALLOWED, ALLOWED, UNKNOWN) as api, client_of(api.url) as client:
        access = ApiAccess(client, clock.monotonic)
        await access.check("swordfish", PUSH)
        clock.advance(59)
        assert await access.check("swordfish", LIST) is None
        clock.advance(1)
        assert await access.check("swordfish", LIST) is Refusal.UNKNOWN

    assert paths(api) == [AUTHENTICATION, AUTHORIZATION, AUTHORIZATION, AUTHENTICATION]


@pytest.mark.parametrize("script", [(UNKNOWN, KNOWN, ALLOWED), (KNOWN, DENIED, ALLOWED)])
async def test_a_no_is_believed_for_ten_seconds(script: tuple[Behaviour, ...]) -> None:
    clock = FakeClock()
    async with serving(*script) as api, client_of(api.url) as client:
        access = ApiAccess(client, clock.monotonic)
        first = await access.check("swordfish", PUSH)
        clock.advance(9)
        asked = len(api.seen)
        assert await access.check("swordfish", PUSH) is first
        assert len(api.seen) == asked
        clock.advance(1)
        assert await access.check("swordfish", PUSH) is None


async def test_what_is_undecided_is_asked_again_at_once() -> None:
    async with (
        serving(refuses(403, "Forbidden"), KNOWN, ALLOWED) as api,
        client_of(api.url) as client,
    ):
        access = ApiAccess(client)
        assert await access.check("swordfish", PUSH) is Refusal.UNABLE
        assert await access.check("swordfish", PUSH) is None


async def test_rights_are_each_asked_for() -> None:
    async with serving(KNOWN, ALLOWED, DENIED, DENIED) as api, client_of(api.url) as client:
        access = ApiAccess(client)
        assert await access.check("swordfish", PUSH) is None
        assert await access.check("swordfish", LIST) is Refusal.FORBIDDEN
        other = Attributes("create", "servicelevelobjectives", "events", "bank", "web")
        assert await access.check("swordfish", other) is Refusal.FORBIDDEN

    assert "namespace" not in api.seen[2].body["spec"]["resourceAttributes"]  # the whole cluster


async def test_one_bearer_who_asks_often_at_once_is_asked_for_once() -> None:
    async with serving(KNOWN, ALLOWED) as api, client_of(api.url) as client:
        access = ApiAccess(client)
        found = await asyncio.gather(*(access.check("swordfish", PUSH) for _ in range(50)))

    assert found == [None] * 50
    assert len(api.seen) == 2


async def test_strangers_cost_the_api_server_only_so_much() -> None:
    clock = FakeClock()
    async with serving(UNKNOWN) as api, client_of(api.url) as client:
        access = ApiAccess(client, clock.monotonic)
        found = [await access.check(f"guess-{number}", PUSH) for number in range(300)]

    assert len(api.seen) == access_module.REVIEWS_PER_SECOND
    assert found.count(Refusal.UNKNOWN) == access_module.REVIEWS_PER_SECOND
    assert set(found) == {Refusal.UNKNOWN, Refusal.UNDECIDED}


async def test_a_flood_of_guesses_keeps_nobody_out_who_was_let_in_before() -> None:
    clock = FakeClock()
    async with serving(KNOWN, ALLOWED, UNKNOWN) as api, client_of(api.url) as client:
        access = ApiAccess(client, clock.monotonic)
        assert await access.check("mine", PUSH) is None
        clock.advance(access_module.ALLOW_FOR + 1)
        for number in range(200):
            await access.check(f"guess-{number}", PUSH)
        api.script[:] = [KNOWN, ALLOWED]

        assert await access.check("mine", PUSH) is None


async def test_only_so_much_is_remembered() -> None:
    memory = access_module._Memory[int](most=3)
    for number in range(5):
        memory.put(number, 10.0, number)
        memory.get(2, 0.0)

    assert [memory.get(number, 0.0) for number in range(5)] == [None, None, (10.0, 2), (10.0, 3), (10.0, 4)]


async def test_a_token_is_nowhere_but_on_its_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = "-".join(["sword", str(len(caplog.records)), "fish"])  # no constant of this file
    async with serving(KNOWN, DENIED, refuses(422, "Invalid", message=token)) as api, client_of(api.url) as client:
        access = ApiAccess(client)
        await access.check(token, PUSH)
        await access.check(token + "2", PUSH)
        api.seen.clear()
        del api.script[:]
        gc.collect()

        assert token not in caplog.text
        assert token not in repr(_all_of(access))


def _all_of(thing: Any) -> Any:
    """Give what an object holds, through and through."""
    if hasattr(thing, "__dict__"):
        return {name: _all_of(value) for name, value in vars(thing).items() if name != "_client"}
    return dict(thing) if isinstance(thing, dict) else thing
