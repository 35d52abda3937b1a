"""One leader, whatever the clocks, the network and the API server do."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.kube_server import credentials, serving_handler
from contract.lease_server import LeaseServer
from homeostat.core.leadership import Sighting, Step, Terms, next_step, seconds_left, sighted
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.election import Leadership

TERMS = Terms()
SHORT = Terms(duration=1.0, deadline=0.6, renew_every=0.1)


def _seen(holder: str, since: float = 0.0, seconds: float = 15.0) -> Sighting:
    return Sighting(holder, "v1", seconds, since)


@pytest.mark.parametrize(
    ("seen", "now", "step"),
    [
        (None, 0.0, Step.CREATE),
        (_seen("me"), 100.0, Step.RENEW),
        (_seen(""), 0.0, Step.TAKE),
        (_seen("other"), 14.9, Step.WAIT),
        (_seen("other"), 15.0, Step.TAKE),
        (_seen("other", since=10.0), 24.0, Step.WAIT),
        (_seen("other", seconds=60.0), 30.0, Step.WAIT),
        (_seen("other", seconds=1.0), 14.0, Step.WAIT),
    ],
    ids=["none", "mine", "released", "alive", "silent", "seen later", "asked for longer", "asked for shorter"],
)
def test_a_candidate_takes_over_only_what_was_silent_for_its_whole_duration(
    seen: Sighting | None, now: float, step: Step
) -> None:
    assert next_step("me", seen, TERMS, now) is step


def test_silence_counts_from_when_we_first_saw_a_version() -> None:
    first = sighted(None, "other", "v1", 15.0, now=5.0)

    assert sighted(first, "other", "v1", 15.0, now=9.0).since == 5.0
    assert sighted(first, "other", "v2", 15.0, now=9.0).since == 9.0


def test_a_leader_stops_at_the_deadline_counted_from_before_its_renewal() -> None:
    assert seconds_left(100.0, TERMS, 109.5) == pytest.approx(0.5)
    assert seconds_left(100.0, TERMS, 110.0) <= 0


@dataclass
class Candidate:
    """One process: its own zero of monotonic time, what it saw, and a write that may be under way."""

    name: str
    offset: float
    seen: Sighting | None = None
    looked_at: float = 0.0
    planned_on: int | None = None
    is_committed: bool = False
    renewed_at: float | None = None

    def is_held(self, now: float) -> bool:
        return self.renewed_at is not None and seconds_left(self.renewed_at, TERMS, now + self.offset) > 0


class Election(RuleBasedStateMachine):
    """Two candidates, requests that take any time, answers that get lost: never two leaders (fault 19)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.version, self.holder = 1, ""
        self.candidates = (Candidate("a", -1000.0), Candidate("b", 50_000.0))

    who = st.sampled_from([0, 1])

    @rule(seconds=st.floats(0.1, 6.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=who)
    def look(self, who: int) -> None:
        one, own_now = self.candidates[who], self.now + self.candidates[who].offset
        one.seen = sighted(one.seen, self.holder, str(self.version), 15.0, own_now)
        is_waiting = next_step(one.name, one.seen, TERMS, own_now) is Step.WAIT
        one.looked_at, one.is_committed = own_now, False
        one.planned_on = None if is_waiting else self.version

    @precondition(lambda self: any(one.planned_on for one in self.candidates))
    @rule(who=who)
    def the_write_arrives(self, who: int) -> None:
        one = self.candidates[who]
        if one.planned_on == self.version:
            self.version, self.holder, one.is_committed = self.version + 1, one.name, True
        one.planned_on = None

    @rule(who=who, is_lost=st.booleans())
    def the_answer_arrives(self, who: int, *, is_lost: bool) -> None:
        one = self.candidates[who]
        if one.is_committed and not is_lost:
            one.renewed_at = one.looked_at
        one.is_committed = False

    @invariant()
    def there_are_never_two_leaders(self) -> None:
        assert not all(one.is_held(self.now) for one in self.candidates)


TestElection = Election.TestCase
TestElection.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


class SkewedClock:
    """A wall clock that is wrong by `skew`; the monotonic one is right."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    def monotonic(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def _candidate(url: str, name: str, minutes: int = 0) -> AsyncIterator[Leadership]:
    async with ApiClient(credentials(url)) as client:
        clock = SkewedClock(timedelta(minutes=minutes))
        yield Leadership(client, "homeostat-system", name, clock, terms=SHORT)


@pytest.mark.parametrize(("first", "second"), [(-5, 5), (5, -5)])
async def test_clocks_five_minutes_apart_neither_steal_nor_block_leadership(first: int, second: int) -> None:
    """Fault 19: clock skew between replicas."""
    server = LeaseServer()
    async with (
        serving_handler(server.handle) as url,
        _candidate(url, "a", first) as a,
        _candidate(url, "b", second) as b,
        asyncio.TaskGroup() as group,
    ):
        await a.acquire()
        holding = group.create_task(a.hold())
        waiting = group.create_task(b.acquire())
        for _ in range(15):  # longer than the duration of the Lease
            server.changed.clear()
            await server.changed.wait()
            assert a.is_held()
            assert not b.is_held()

        holding.cancel()  # the leader vanishes without a word
        await waiting
        assert b.is_held()
        assert not a.is_held()
        assert server.lease()["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_cannot_reach_the_api_server_stops_before_another_may_start() -> None:
    """R12, fault 19: it must be fenced by its own clock."""
    server = LeaseServer()
    async with serving_handler(server.handle) as url, _candidate(url, "a") as a, _candidate(url, "b") as b:
        await a.acquire()
        server.is_down = True
        await a.hold()
        assert not a.is_held()

        server.is_down = False
        await b.acquire()
        assert b.is_held()


async def test_a_graceful_stop_lets_the_next_one_lead_at_once() -> None:
    server = LeaseServer()
    async with serving_handler(server.handle) as url, _candidate(url, "a") as a, _candidate(url, "b") as b:
        await a.acquire()
        await a.release()
        assert not a.is_held()
        assert server.lease()["spec"]["holderIdentity"] == ""

        await b.acquire()
        assert b.is_held()


async def test_a_leader_whose_lease_names_another_stops_at_once() -> None:
    server = LeaseServer()
    async with serving_handler(server.handle) as url, _candidate(url, "a") as a:
        await a.acquire()
        server.usurp("somebody-else")
        await a.hold()

        assert not a.is_held()


async def test_a_process_that_restarts_under_its_name_takes_its_lead_up_again_without_waiting() -> None:
    """A container that was killed comes back as the same Pod: nobody else led meanwhile, so nothing is handed over."""
    server = LeaseServer()
    async with (
        serving_handler(server.handle) as url,
        _candidate(url, "same") as killed,
        _candidate(url, "same") as back,
    ):
        await killed.acquire()
        before = server.lease()["spec"]
        await back.acquire()

        assert back.is_held()
        assert server.lease()["spec"]["holderIdentity"] == before["holderIdentity"] == "same"
        assert server.lease()["spec"].get("leaseTransitions") == before.get("leaseTransitions")


async def test_a_lease_that_nobody_else_wrote_is_renewed_by_one_request_and_read_again_after_one_that_failed() -> None:
    """A slow API server has half as much to do before the deadline."""
    server, asked = LeaseServer(), Counter[str]()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked[request.method] += 1
        return await server.handle(request)

    async with serving_handler(handle) as url, _candidate(url, "a") as a, asyncio.TaskGroup() as group:
        await a.acquire()
        before = asked.copy()
        holding = group.create_task(a.hold())
        while asked["PATCH"] < before["PATCH"] + 5:
            server.changed.clear()
            await server.changed.wait()
        assert asked["GET"] == before["GET"]

        server.touch()
        while asked["GET"] == before["GET"]:
            server.changed.clear()
            await server.changed.wait()
        assert a.is_held()
        holding.cancel()
