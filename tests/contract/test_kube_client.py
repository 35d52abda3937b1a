"""What our client makes of an API server that throttles, errs, breaks off and forgets."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contract.kube_server import (
    Behaviour,
    Pauses,
    answers,
    client_of,
    credentials,
    hangs,
    refuses,
    resets,
    says,
    serving,
    truncates,
)
from homeostat.kube.apiserver.answers import BudgetHeld
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import TokenFile
from homeostat.kube.apiserver.gate import Urgency
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

PATH = "/api/v1/namespaces/shop/pods"
GOOD = answers(200, {"kind": "Pod"})


async def test_a_throttled_write_waits_as_long_as_the_server_says_and_is_sent_again() -> None:
    pauses = Pauses()
    async with (
        serving(refuses(429, "TooManyRequests", {"Retry-After": "3"}), GOOD) as api,
        client_of(api.url, pauses) as client,
    ):
        assert await client.request("PATCH", PATH, body={}) == {"kind": "Pod"}

    assert pauses.taken == [3.0]


async def test_a_server_that_asks_for_more_than_our_patience_is_unavailable_at_once() -> None:
    pauses = Pauses()
    async with (
        serving(refuses(429, "TooManyRequests", {"Retry-After": "300"})) as api,
        client_of(api.url, pauses) as client,
    ):
        with pytest.raises(Unavailable):
            await client.request("GET", PATH)

    assert pauses.taken == []
    assert len(api.seen) == 1


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_a_read_survives_a_burst_of_server_errors(code: int) -> None:
    burst = [refuses(code, "InternalError")] * 3
    async with serving(*burst, GOOD) as api, client_of(api.url) as client:
        assert await client.request("GET", PATH) == {"kind": "Pod"}


async def test_pauses_double_and_the_whole_stays_within_patience() -> None:
    pauses = Pauses()
    async with (
        serving(refuses(503, "ServiceUnavailable")) as api,
        client_of(api.url, pauses, patience=Patience(total=4, first_pause=0.5, longest_pause=2)) as client,
    ):
        with pytest.raises(Unavailable):
            await client.request("GET", PATH)

    assert pauses.taken == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "behaviour",
    [truncates, resets, says("not json"), says('["a list"]')],
    ids=["truncated", "reset", "text", "list"],
)
async def test_a_read_that_broke_off_is_read_again(behaviour: Behaviour) -> None:
    async with serving(behaviour, GOOD) as api, client_of(api.url) as client:
        assert await client.request("GET", PATH) == {"kind": "Pod"}


@pytest.mark.parametrize(
    "behaviour",
    [
        truncates,
        resets,
        says("not json"),
        refuses(504, "Timeout"),
        refuses(500, "ServerTimeout"),
        says("bad gateway", 502),
    ],
    ids=["truncated", "reset", "text", "timeout", "etcd too slow", "gateway"],
)
async def test_a_write_of_unknown_fate_is_never_sent_twice(behaviour: Behaviour) -> None:
    """R2: it may have been committed, so the caller reads again instead."""
    async with serving(behaviour, GOOD) as api, client_of(api.url) as client:
        with pytest.raises(Unavailable):
            await client.request("PATCH", PATH, body={})

        assert len(api.seen) == 1


async def test_a_write_that_hangs_ends_as_unavailable_within_its_timeout() -> None:
    async with serving(hangs) as api, client_of(api.url) as client:
        with pytest.raises(Unavailable):
            await client.request("PATCH", PATH, body={}, timeout=0.05)

        assert len(api.seen) == 1


async def test_a_write_that_never_reached_the_server_is_tried_again_until_patience_ends() -> None:
    pauses = Pauses()
    async with client_of("http://127.0.0.1:1", pauses, patience=Patience(total=3)) as client:
        with pytest.raises(Unavailable):
            await client.request("PATCH", PATH, body={})

    assert len(pauses.taken) > 2


QUOTED = r'"{\"env\":[{\"name\":\"PASSWORD\",\"value\":\"secret\"}],\"more\":\"' + "x" * 5000 + r'\"}"'
INVALID, SAYS_WHY = '"" is invalid: patch: Invalid value: ', 'strict decoding error: unknown field "spec.y"'


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"{INVALID}{QUOTED}: {SAYS_WHY}", f'{INVALID}"…": {SAYS_WHY}'),
        (f'"a" is {"not " * 50}"b"', f'"a" is {"not " * 50}"b"'),
        (f"cut off in {QUOTED[:-1]}", 'cut off in "…"'),
    ],
)
async def test_a_refusal_says_why_without_the_object_that_it_quotes(message: str, told: str) -> None:
    """R15: what the API server says about a patch names the field, and shows nothing of what the object holds."""
    async with serving(refuses(422, "Invalid", message=message)) as api, client_of(api.url) as client:
        with pytest.raises(Rejected) as refused:
            await client.request("PATCH", "/x", body={})
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (refuses(409, "Conflict"), Conflict),
        (refuses(409, "AlreadyExists"), Conflict),
        (refuses(404, "NotFound"), Gone),
        (refuses(403, "Forbidden"), Forbidden),
        (refuses(401, "Unauthorized"), Forbidden),
        (refuses(422, "Invalid", message="spec.x: too long"), Rejected),
        (refuses(400, "BadRequest", message="what?"), Rejected),
        (answers(302, headers={"Location": "http://127.0.0.1:1/"}), Unavailable),
    ],
    ids=["changed", "exists", "gone", "forbidden", "unknown to it", "invalid", "bad", "redirect"],
)
async def test_refusals_are_the_exceptions_of_the_ports(behaviour: Behaviour, error: type[Exception]) -> None:
    async with serving(behaviour) as api, client_of(api.url) as client:
        with pytest.raises(error):
            await client.request("PATCH", PATH, body={})


async def test_another_uid_is_a_conflict_though_the_server_calls_it_an_immutable_field() -> None:
    """R2: a re-created object of the same name is not the one that was meant."""
    details = {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}
    async with serving(refuses(422, "Invalid", details=details)) as api, client_of(api.url) as client:
        with pytest.raises(Conflict):
            await client.request("PATCH", PATH, body={})


async def test_an_eviction_held_by_a_disruption_budget_is_not_pressed_again() -> None:
    """R10: the refusal names the PodDisruptionBudget."""
    details = {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2"}]}
    held = refuses(429, "TooManyRequests", {"Retry-After": "10"}, details=details)
    async with serving(held) as api, client_of(api.url) as client:
        with pytest.raises(BudgetHeld, match="budget web needs 2"):
            await client.request("POST", PATH, body={})

        assert len(api.seen) == 1


async def test_a_listing_is_read_page_by_page() -> None:
    first = answers(200, {"metadata": {"continue": "more"}, "items": [_pod("a")]})
    second = answers(200, {"metadata": {}, "items": [_pod("b")]})
    async with serving(first, second) as api, client_of(api.url) as client:
        found = await client.collect(PATH, query={"labelSelector": "app=web", "resourceVersion": "0"})

    assert [pod["metadata"]["name"] for pod in found] == ["a", "b"]
    assert api.seen[0].query == {"labelSelector": "app=web", "resourceVersion": "0", "limit": "100"}
    assert api.seen[1].query == {"labelSelector": "app=web", "limit": "100", "continue": "more"}


async def test_a_listing_that_expires_under_way_starts_again_once_and_gives_each_object_once() -> None:
    first = answers(200, {"metadata": {"continue": "old"}, "items": [_pod("a")]})
    whole = answers(200, {"metadata": {}, "items": [_pod("a"), _pod("b")]})
    async with serving(first, refuses(410, "Expired"), whole) as api, client_of(api.url) as client:
        found = await client.collect(PATH)

    assert [pod["metadata"]["name"] for pod in found] == ["a", "b"]


async def test_a_listing_that_expires_again_is_unavailable() -> None:
    page = answers(200, {"metadata": {"continue": "old"}, "items": []})
    expired = refuses(410, "Expired")
    async with serving(page, expired, page, expired) as api, client_of(api.url) as client:
        with pytest.raises(Unavailable):
            await client.collect(PATH)

        assert len(api.seen) == 4


async def test_a_rotated_token_is_read_again_when_the_server_refuses_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def rotate(request: Any) -> Any:
        file.write_text("new\n")
        return await refuses(401, "Unauthorized")(request)

    async with (
        serving(GOOD, rotate, GOOD) as api,
        ApiClient(credentials(api.url, TokenFile(file))) as client,
    ):
        await client.request("GET", PATH)
        await client.request("PATCH", PATH, body={})

    assert [seen.headers["Authorization"] for seen in api.seen] == ["Bearer old", "Bearer old", "Bearer new"]


async def test_a_token_that_stays_refused_is_forbidden_after_one_more_try(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    async with (
        serving(refuses(401, "Unauthorized")) as api,
        ApiClient(credentials(api.url, TokenFile(file))) as client,
    ):
        with pytest.raises(Forbidden):
            await client.request("GET", PATH)

        assert len(api.seen) == 2


async def test_every_write_passes_the_gate_with_its_urgency_and_no_read_does() -> None:
    class Gate:
        def __init__(self) -> None:
            self.passed: list[Urgency] = []

        async def pass_(self, urgency: Urgency) -> None:
            self.passed.append(urgency)

    gate = Gate()
    async with (
        serving(refuses(503, "ServiceUnavailable"), GOOD) as api,
        client_of(api.url, gate=gate) as client,
    ):
        await client.request("PATCH", PATH, body={}, urgency=Urgency.ACTION)
        await client.request("GET", PATH)

    assert gate.passed == [Urgency.ACTION, Urgency.ACTION]


async def test_attempts_are_counted_by_verb_and_class_of_status() -> None:
    counted: Counter[tuple[str, str]] = Counter()
    async with (
        serving(refuses(503, "ServiceUnavailable"), truncates, GOOD) as api,
        client_of(api.url, count=lambda method, status: counted.update([(method, status)])) as client,
    ):
        await client.request("GET", PATH)

    assert counted == {("GET", "5xx"): 1, ("GET", "none"): 1, ("GET", "2xx"): 1}


async def test_no_error_or_log_tells_a_token_a_body_or_an_upstream_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """H9: secrets and upstream texts stay where they are."""
    caplog.set_level(logging.DEBUG)
    leaky = refuses(403, "Forbidden", message="upstream-text")
    async with serving(leaky) as api, client_of(api.url) as client:
        with pytest.raises(Forbidden) as caught:
            await client.request("PATCH", PATH, query={"fieldManager": "q"}, body={"data": "body-text"})

    told = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert not any(secret in told for secret in ("known", "body-text", "upstream-text"))


def _pod(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name}}
