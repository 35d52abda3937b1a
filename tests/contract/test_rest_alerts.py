"""Alerts told to policies over our API: whom it lets in, what it takes, when it has it; a real Alertmanager."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest

from alertmanager_process import RunningAlertmanager, running_alertmanager
from fakes import FakeClock, eventually
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState
from homeostat.core.recovery.alerting import MOST_TOLD
from homeostat.engine.clock import SystemClock
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.objects import Key
from homeostat.engine.recovery import alert_inbox
from homeostat.ports import Attributes, Refusal
from homeostat.rest.desk import Desk, NotServing
from homeostat.rest.server import serving_api
from pushed import FakeAccess, NotingBooks, ingesting
from told import HIGH_ERRORS, Policies, alert, message, policy_body

PATH = "/api/v1/alerts/shop"
GOOD_TOKEN = {"Authorization": "Bearer good"}
FIRING, QUIET, STALE = SignalState.FIRING, SignalState.QUIET, SignalState.STALE
PATIENCE = 20.0


@dataclass(slots=True)
class Api:
    """The API as Alertmanager sees it, and the policies behind it."""

    url: str
    policies: Policies
    access: FakeAccess
    standing: NotServing | None = None

    async def post(self, body: Any, path: str = PATH, headers: Any = GOOD_TOKEN) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, headers=headers, json=body) as response,
        ):
            return response.status, json.loads(await response.text())

    async def refusal(self, body: Any, path: str = PATH, headers: Any = GOOD_TOKEN) -> tuple[int, str, int | None]:
        status, answer = await self.post(body, path, headers)
        return status, answer["error"]["reason"], answer["error"].get("index")

    def written(self, key: Key) -> list[SignalState]:
        """Give the states of a policy's triggers as they are on record."""
        entry = self.policies.store.get(key)
        assert entry is not None
        status = entry.status()
        assert isinstance(status, RecoveryPolicyStatus)
        return [signal.state for signal in status.signals]


@asynccontextmanager
async def api_of(policies: Policies) -> AsyncIterator[Api]:
    """Serve an API on loopback, as the operator makes it."""
    access = FakeAccess()
    async with ingesting(policies.store, NotingBooks(), None, policies.clock) as ingest:

        def desk() -> Desk | NotServing:
            made = desk_of(policies.store, ingest, AlertBook(policies.store), access, policies.clock, policies.inbox)
            return api.standing or made

        async with serving_api("127.0.0.1", 0, desk) as port:
            api = Api(f"http://127.0.0.1:{port}", policies, access)
            yield api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """An API behind which the policy shop/errors waits for the alert HighErrors of severity page."""
    policies = Policies()
    policies.put(policy_body("errors"))
    async with api_of(policies) as serving:
        yield serving


ERRORS = Key("RecoveryPolicy", "shop", "errors")


async def test_an_alert_fires_a_policy_and_its_end_ends_it(api: Api) -> None:
    first = await api.post(message(alert()))
    fired = api.written(ERRORS)
    second = await api.post(message(alert(status="resolved")))

    assert first == second == (200, {"accepted": 1, "policies": 1})
    assert (fired, api.written(ERRORS)) == ([FIRING], [QUIET])
    assert api.policies.woken == ["errors", "errors"]
    assert api.access.asked[0] == Attributes("create", "recoverypolicies", "alerts", "shop")


async def test_who_may_not_tells_nobody_anything(api: Api) -> None:
    """H9: nothing is believed of strangers, and nothing is said to them."""
    for headers in ({}, {"Authorization": "Bearer bad"}):
        assert await api.refusal(message(alert()), headers=headers) == (401, "Unauthenticated", None)
    api.access.answers = [Refusal.FORBIDDEN, Refusal.UNDECIDED]
    status, answer = await api.post(message(alert()))
    assert (status, answer["error"]["reason"]) == (403, "Forbidden")
    assert (
        'the right "create" on recoverypolicies.homeostat.dev/alerts in the namespace shop'
        in (answer["error"]["message"])
    )
    assert await api.refusal(message(alert())) == (503, "Undecided", None)
    assert api.policies.woken == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], (400, "InvalidBody", None)),
        ({"version": "3", "alerts": []}, (400, "UnknownVersion", None)),
        (message(alert(), {"status": "firing"}), (422, "InvalidAlert", 1)),
        (message(*[alert()] * (MOST_TOLD + 1)), (422, "TooManyAlerts", None)),
    ],
)
async def test_what_is_no_message_is_refused_with_its_reason(
    api: Api, body: Any, expected: tuple[int, str, int | None]
) -> None:
    assert await api.refusal(body) == expected
    assert api.policies.woken == []


async def test_a_body_is_bounded_and_a_namespace_is_a_name(api: Api) -> None:
    huge = json.dumps(message(alert(description="x" * (1 << 20)))).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(api.url + PATH, headers=GOOD_TOKEN, data=io.BytesIO(huge)) as response,
    ):
        assert response.status == 413

    assert await api.refusal(message(alert()), path="/api/v1/alerts/Not_A_Name") == (400, "InvalidNamespace", None)
    assert api.policies.woken == []


async def test_what_cannot_be_written_is_told_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2: 200 means that it is on record; before that Alertmanager is told to come again, and then it is."""
    monkeypatch.setattr(alert_inbox, "LOOKS", 3)
    api.policies.is_away = True
    early = await api.refusal(message(alert()))
    api.policies.is_away = False

    assert early == (503, "NotRecorded", None)
    assert await api.post(message(alert())) == (200, {"accepted": 1, "policies": 1})
    assert api.written(ERRORS) == [FIRING]


async def test_what_was_acknowledged_outlives_a_kill(api: Api) -> None:
    """R2, R12: the next process believes it until maxDataAge, then says that it is stale."""
    await api.post(message(alert()))
    api.policies.begin()
    after_restart = [signal.state for signal in api.policies.states(ERRORS)]
    clock = api.policies.clock
    assert isinstance(clock, FakeClock)
    clock.advance(timedelta(hours=5, seconds=1).total_seconds())

    assert after_restart == [FIRING]
    assert [signal.state for signal in api.policies.states(ERRORS)] == [STALE]


async def test_only_those_are_woken_that_the_alert_concerns(api: Api) -> None:
    other = policy_body("latency", {"alert": {"name": "HighLatency"}})
    elsewhere = policy_body("errors", namespace="bank", uid="uid-bank")
    api.policies.put(other)
    api.policies.put(elsewhere)

    assert await api.post(message(alert(), alert("Unheard"))) == (200, {"accepted": 2, "policies": 1})
    assert await api.post(message(alert(severity="ticket"))) == (200, {"accepted": 1, "policies": 0})
    assert await api.post(message(alert()), path="/api/v1/alerts/nowhere") == (200, {"accepted": 1, "policies": 0})
    assert api.policies.woken == ["errors"]


async def test_a_replica_that_stands_by_takes_nothing(api: Api) -> None:
    api.standing = NotServing.NOT_LEADER

    assert await api.refusal(message(alert())) == (503, "NotLeader", None)


# --- a real Alertmanager ------------------------------------------------------------------------------------


def post_to(alertmanager: RunningAlertmanager, ends_in: timedelta, **labels: str) -> None:
    """Tell Alertmanager of an alert, as Prometheus does."""
    now = SystemClock().now()
    told = {
        "labels": {"alertname": "HighErrors", "severity": "page"} | labels,
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now + ends_in).isoformat(),
    }
    request = Request(  # noqa: S310 - our own URL on loopback
        f"{alertmanager.url}/api/v2/alerts", json.dumps([told]).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=10):  # noqa: S310
        pass


@pytest.mark.programs
async def test_a_real_alertmanager_fires_a_policy_and_ends_it_through_a_restart(tmp_path: Path) -> None:
    """R2, R7: with a bearer token; what it says is on record, accuses a pod, and its end is the word that heals."""
    policies = Policies(clock=SystemClock())
    key = policies.put(policy_body("errors", HIGH_ERRORS))
    async with api_of(policies) as api:
        hook = f"{api.url}{PATH}"
        with running_alertmanager(tmp_path / "alertmanager", hook, token="good") as alertmanager:  # noqa: S106
            post_to(alertmanager, timedelta(hours=1), pod="checkout-1")
            await eventually(lambda: api.written(key) == [FIRING], within=PATIENCE)
            [seen] = policies.signals.seen(_spec(policies, key), "shop", (), policies.clock)
            assert seen.accused == {"checkout-1"}
            assert seen.began_at is not None
            assert seen.began_at < policies.clock.now() - timedelta(seconds=50)
            policies.begin()
            assert [signal.state for signal in policies.states(key)] == [FIRING]
            post_to(alertmanager, timedelta(0), pod="checkout-1")
            await eventually(lambda: api.written(key) == [QUIET], within=PATIENCE)


@pytest.mark.programs
async def test_a_real_alertmanager_tells_again_what_was_not_taken(tmp_path: Path) -> None:
    """R2: while another replica is about to lead nothing is lost."""
    policies = Policies(clock=SystemClock())
    key = policies.put(policy_body("errors", HIGH_ERRORS))
    async with api_of(policies) as api:
        api.standing = NotServing.NOT_LEADER
        hook = f"{api.url}{PATH}"
        with running_alertmanager(tmp_path / "alertmanager", hook, token="good") as alertmanager:  # noqa: S106
            post_to(alertmanager, timedelta(hours=1))
            await eventually(lambda: len(alertmanager.alerts()) == 1, within=PATIENCE)
            assert api.written(key) == []
            api.standing = None
            await eventually(lambda: api.written(key) == [FIRING], within=PATIENCE)


def _spec(policies: Policies, key: Key) -> Any:
    entry = policies.store.get(key)
    assert entry is not None
    return entry.spec()
