"""Webhooks against real servers on loopback: what they get, what their answers mean, and what is never said of them."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from typing_extensions import override

from contract.kube_server import Behaviour, ScriptedApi, answers, hangs, resets, says, serving
from homeostat.core.action import CallWebhook, Outcome, Verb
from homeostat.core.cluster import Secret
from homeostat.core.ref import Ref
from homeostat.notify import webhook
from homeostat.notify.webhook import Webhooks
from homeostat.ports import Forbidden, Unavailable
from homeostat.probe.net.address import Guard
from homeostat.probe.network import NetworkProbes
from programs import free_port

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OWNER = Ref("RecoveryPolicy", "shop", "heal", "policy-1")
KEY = b"a key that nobody guesses"
BODY = {"kind": "Attempt", "id": "a1-0", "target": {"kind": "Deployment", "name": "checkout"}}
DONE = Outcome(Verb.DONE)


class Vault:
    """Secrets of one namespace, or a refusal to give any."""

    def __init__(self, secret: Secret | Exception | None = None) -> None:
        self.given = secret
        self.asked: list[tuple[str, str]] = []

    async def read(self, namespace: str, name: str) -> Secret | None:
        self.asked.append((namespace, name))
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


OPAQUE = Secret("Opaque", {"key": KEY})


def call(url: str, *, signed: bool = False) -> CallWebhook:
    return CallWebhook("a1-0", OWNER, url, BODY, ("hooks", "key") if signed else None)


@asynccontextmanager
async def receiving(*script: Behaviour) -> AsyncIterator[tuple[ScriptedApi, NetworkProbes]]:
    """Serve a script, and a network whose guard lets it be reached."""
    network = NetworkProbes(Guard(allow=[ip_network("127.0.0.0/8")]), NOW.timestamp)
    try:
        async with serving(*script) as api:
            yield api, network
    finally:
        network.close()


async def outcome_of(*script: Behaviour) -> Outcome:
    async with receiving(*script) as (api, network):
        return await Webhooks(network.http.run, Vault()).call(call(f"{api.url}/hook"), NOW)


# --- what is sent -------------------------------------------------------------------------------------------


async def test_a_receiver_can_verify_who_calls_and_that_it_is_new() -> None:
    """The signature is over time and body, with the key of a Secret of the policy's own namespace."""
    vault = Vault(OPAQUE)
    async with receiving(answers(200)) as (api, network):
        assert await Webhooks(network.http.run, vault).call(call(f"{api.url}/hook?team=a", signed=True), NOW) == DONE
    [seen] = api.seen

    assert vault.asked == [("shop", "hooks")]
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/hook", {"team": "a"}, BODY)
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Idempotency-Key"] == "a1-0"
    stamp = seen.headers["X-Homeostat-Timestamp"]
    assert int(stamp) == NOW.timestamp()
    signed = f"{stamp}.".encode() + json.dumps(BODY, sort_keys=True).encode()
    assert seen.headers["X-Homeostat-Signature"] == "sha256=" + hmac.new(KEY, signed, hashlib.sha256).hexdigest()


async def test_the_same_call_again_has_the_same_key_and_body_and_a_signature_of_its_own_time() -> None:
    async with receiving(answers(200)) as (api, network):
        webhooks = Webhooks(network.http.run, Vault(OPAQUE))
        for seconds in (0, 30):
            await webhooks.call(call(f"{api.url}/hook", signed=True), NOW + timedelta(seconds=seconds))
    first, second = api.seen

    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
    assert first.headers["X-Homeostat-Signature"] != second.headers["X-Homeostat-Signature"]


async def test_without_a_secret_nothing_is_signed() -> None:
    async with receiving(answers(204)) as (api, network):
        assert await Webhooks(network.http.run, Vault()).call(call(f"{api.url}/hook"), NOW) == DONE

    assert "X-Homeostat-Signature" not in api.seen[0].headers


# --- what an answer means -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_2xx_is_yes(code: int) -> None:
    assert await outcome_of(answers(code)) == DONE


async def test_yes_is_yes_however_long_the_answer_goes_on() -> None:
    assert await outcome_of(says("x" * 3_000_000)) == DONE


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 422])
async def test_4xx_is_a_final_no_of_which_only_the_code_is_told(code: int) -> None:
    assert await outcome_of(says("secret of the outside", code)) == Outcome(
        Verb.REFUSED, "WebhookRefused", f"the webhook answered {code}"
    )


async def test_no_redirect_is_followed() -> None:
    """H9: the address that was checked is the one that is called."""
    async with receiving(answers(302, headers={"Location": "http://169.254.169.254/"}), answers(200)) as (api, network):
        outcome = await Webhooks(network.http.run, Vault()).call(call(f"{api.url}/hook"), NOW)

    assert outcome == Outcome(Verb.REFUSED, "WebhookRefused", "the webhook answered 302")
    assert len(api.seen) == 1


@pytest.mark.parametrize("code", [500, 502, 503, 408, 425, 429])
async def test_a_server_that_cannot_now_may_be_asked_again(code: int) -> None:
    assert await outcome_of(says("secret of the outside", code)) == Outcome(
        Verb.FAILED, "WebhookUnanswered", f"the webhook answered {code}"
    )


async def test_a_broken_connection_may_be_asked_again() -> None:
    outcome = await outcome_of(resets)

    assert (outcome.verb, outcome.reason) == (Verb.FAILED, "WebhookUnanswered")


async def test_a_server_that_is_not_there_may_be_asked_again() -> None:
    async with receiving(answers(200)) as (_, network):
        outcome = await Webhooks(network.http.run, Vault()).call(call(f"http://127.0.0.1:{free_port()}/"), NOW)

    assert outcome == Outcome(Verb.FAILED, "WebhookUnanswered", "the webhook gave no answer: ConnectionRefused")


async def test_a_webhook_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """H9: one deadline for all of it."""
    assert webhook.SECONDS == 10.0
    monkeypatch.setattr(webhook, "SECONDS", 0.3)
    began = time.monotonic()
    outcome = await outcome_of(hangs)

    assert outcome == Outcome(Verb.FAILED, "WebhookUnanswered", "the webhook gave no answer: Timeout")
    assert time.monotonic() - began < 5


# --- where it may not go ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["{}/hook", "http://localhost:9/", "http://169.254.169.254/latest/", "http://[::1]:80/", "http://0.0.0.0/"],
)
async def test_what_is_not_allowed_is_never_called(url: str) -> None:
    """H9: loopback, metadata and the like, by name or by number."""
    network = NetworkProbes(Guard(), NOW.timestamp)
    try:
        async with serving(answers(200)) as api:
            outcome = await Webhooks(network.http.run, Vault()).call(call(url.format(api.url)), NOW)
    finally:
        network.close()

    assert outcome == Outcome(Verb.REFUSED, "AddressDenied", "the address of the webhook may not be reached")
    assert api.seen == []


@pytest.mark.parametrize("url", ["http://", "http://shop.test:99999/", "http://user@shop.test/", "http://shop test/"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    network = NetworkProbes(Guard(), NOW.timestamp)
    try:
        outcome = await Webhooks(network.http.run, Vault()).call(call(url), NOW)
    finally:
        network.close()

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "WebhookRefused")


# --- the key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "verb", "reason"),
    [
        (None, Verb.REFUSED, "SecretUnusable"),
        (Secret("Opaque", {"other": KEY}), Verb.REFUSED, "SecretUnusable"),
        (Secret("Opaque", {"key": b"short"}), Verb.REFUSED, "SecretUnusable"),
        (Secret("kubernetes.io/service-account-token", {"key": KEY}), Verb.REFUSED, "SecretUnusable"),
        (Secret("bootstrap.kubernetes.io/token", {"key": KEY}), Verb.REFUSED, "SecretUnusable"),
        (Forbidden("no"), Verb.REFUSED, "Forbidden"),
        (Unavailable("away"), Verb.FAILED, "ApiUnavailable"),
    ],
)
async def test_without_a_key_of_use_nothing_is_sent(given: Secret | Exception | None, verb: Verb, reason: str) -> None:
    async with receiving(answers(200)) as (api, network):
        outcome = await Webhooks(network.http.run, Vault(given)).call(call(f"{api.url}/hook", signed=True), NOW)

    assert (outcome.verb, outcome.reason) == (verb, reason)
    assert KEY.decode() not in outcome.message
    assert api.seen == []


async def test_an_api_server_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Vault):
        @override
        async def read(self, namespace: str, name: str) -> Secret | None:
            await asyncio.Event().wait()
            return None

    monkeypatch.setattr(webhook, "SECONDS", 0.2)
    async with receiving(answers(200)) as (api, network):
        outcome = await Webhooks(network.http.run, Slow()).call(call(f"{api.url}/hook", signed=True), NOW)

    assert (outcome.verb, outcome.reason) == (Verb.FAILED, "ApiUnavailable")
    assert api.seen == []
