"""The self-connectivity guard: what may only show that we have no network is not held against a target (H8)."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fakes import FakeClock, eventually
from homeostat.core.probing.connectivity import is_doubtful, is_sign_of_life
from homeostat.core.probing.request import (
    DnsRequest,
    GrpcRequest,
    HttpRequest,
    IcmpRequest,
    JobRequest,
    PromqlRequest,
    Request,
    StepRequest,
    StepsRequest,
    TcpRequest,
    TlsRequest,
    WorkloadRequest,
)
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.engine import connectivity as module
from homeostat.engine.connectivity import HOLDS_FOR, Connectivity
from homeostat.probe.ending import verdict_of

TARGET = TcpRequest("db.example.com", 5432)
HERE = TcpRequest("db.example.com", 5432, address="127.0.0.1")
REMOTE: dict[str, Request] = {
    "http": HttpRequest("a.example.com", 80),
    "endpoint": HttpRequest("web.shop.svc", 80, address="10.0.0.1"),
    "tcp": TARGET,
    "dns": DnsRequest("a.example.com"),
    "dns server": DnsRequest("a.example.com", server="10.0.0.53"),
    "grpc": GrpcRequest("a.example.com", 443),
    "tls": TlsRequest("a.example.com", 443),
    "icmp": IcmpRequest("a.example.com"),
    "steps": StepsRequest((StepRequest("a", HttpRequest("a.example.com", 80)),)),
}
OTHERS: dict[str, Request] = {
    "loopback": HERE,
    "loopback by name": HttpRequest("localhost", 80),
    "loopback of IPv6": IcmpRequest("::1"),
    "dns of this host": DnsRequest("a.example.com", server="127.0.0.53"),
    "workload": WorkloadRequest("shop", "Deployment", "web", Decimal(1)),
    "promql": PromqlRequest("up", ">", 0.0),
    "job": JobRequest("shop", "web", "uid-1", "{}"),
    "steps": StepsRequest((StepRequest("a", HttpRequest("localhost", 80)),)),
}
DOUBTFUL = (Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NAME_NOT_RESOLVED)


def result(reason: Reason, **more: Any) -> Result:
    return Result(verdict_of(reason), reason, 0.1, **more)


TIMEOUT = result(Reason.TIMEOUT)


# --- what shows what ------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", REMOTE.values(), ids=REMOTE)
@given(st.sampled_from(Reason))
def test_only_silence_is_doubtful_and_any_answer_is_a_sign_of_life(request_: Request, reason: Reason) -> None:
    """H8: a refusal, a reset and a wrong answer came over the network; what never left us did not."""
    found = result(reason)

    assert is_doubtful(request_, found) is (reason in DOUBTFUL)
    assert is_sign_of_life(request_, found) is (
        found.verdict in {Verdict.PASS, Verdict.FAIL} and reason not in DOUBTFUL
    )


@pytest.mark.parametrize("request_", OTHERS.values(), ids=OTHERS)
@given(st.sampled_from(Reason))
def test_what_needs_no_network_of_ours_says_nothing_of_it(request_: Request, reason: Reason) -> None:
    """H8: loopback answers on a host without a network, and Prometheus and Jobs have networks of their own."""
    assert not is_doubtful(request_, result(reason))
    assert not is_sign_of_life(request_, result(reason))


def test_a_silence_after_the_connection_stood_is_the_targets() -> None:
    """H8: a server that accepts and says no more."""
    connected = result(Reason.TIMEOUT, phases=Phases(resolve=0.01, connect=0.02, first_byte=1.0))

    assert not is_doubtful(TARGET, connected)
    assert is_sign_of_life(TARGET, connected)


def test_a_silence_after_nothing_but_a_question_is_doubtful() -> None:
    """A datagram that was sent is no connection."""
    assert is_doubtful(DnsRequest("a.example.com"), result(Reason.TIMEOUT, phases=Phases(first_byte=1.0)))


# --- the canary -----------------------------------------------------------------------------------------


class Bird:
    """A canary: what it answers, how often it was asked, and how many are out at once."""

    def __init__(self, answer: Callable[[], bool] = lambda: False) -> None:
        self.answer = answer
        self.asked = self.out = self.most_out = 0
        self.door = asyncio.Event()
        self.door.set()

    async def __call__(self, seconds: float) -> bool:
        self.asked += 1
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            await self.door.wait()
            await asyncio.sleep(0)
            return self.answer()
        finally:
            self.out -= 1


async def judge(guard: Connectivity, clock: FakeClock, found: Result = TIMEOUT) -> tuple[Verdict, Reason]:
    judged = await guard.judge(TARGET, found, clock.monotonic() - 1.0)
    return judged.verdict, judged.reason


BELIEVED = (Verdict.FAIL, Reason.TIMEOUT)
NO_NETWORK = (Verdict.UNKNOWN, Reason.NO_CONNECTIVITY)


async def test_a_failure_is_unknown_when_the_canary_finds_no_network_and_believed_when_it_does() -> None:
    """H8."""
    clock = FakeClock()

    assert await judge(Connectivity(Bird(), clock), clock) == NO_NETWORK
    assert await judge(Connectivity(Bird(lambda: True), clock), clock) == BELIEVED


async def test_what_is_no_failure_is_left_as_it_is() -> None:
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)

    for reason in (Reason.OK, Reason.CONNECTION_REFUSED, Reason.INTERNAL, Reason.ADDRESS_NOT_ALLOWED):
        assert await guard.judge(TARGET, found := result(reason), 0.0) is found
    assert bird.asked == 0


async def test_while_anything_answers_no_canary_is_asked() -> None:
    """H8: a sign of life that came after the probe began shows that there was a network."""
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    began = clock.monotonic()
    clock.advance(0.5)
    await guard.judge(TARGET, result(Reason.CONNECTION_REFUSED), began)
    clock.advance(0.5)

    assert (await guard.judge(TARGET, TIMEOUT, began)).reason is Reason.TIMEOUT
    assert bird.asked == 0


async def test_a_sign_of_life_from_before_the_probe_began_shows_nothing() -> None:
    """H8."""
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    await guard.judge(TARGET, result(Reason.OK), clock.monotonic())
    clock.advance(0.5)
    began = clock.monotonic()
    clock.advance(1.0)

    assert (await guard.judge(TARGET, TIMEOUT, began)).reason is Reason.NO_CONNECTIVITY
    assert bird.asked == 1


async def test_an_answer_on_loopback_is_no_sign_of_life() -> None:
    """H8."""
    clock = FakeClock()
    guard = Connectivity(Bird(), clock)
    began = clock.monotonic()
    clock.advance(1.0)
    await guard.judge(HERE, result(Reason.OK), began)

    assert (await guard.judge(TARGET, TIMEOUT, began)).reason is Reason.NO_CONNECTIVITY


@pytest.mark.parametrize("has_network", [True, False])
async def test_one_canary_is_out_at_a_time_and_its_answer_serves_all(has_network: bool) -> None:  # noqa: FBT001
    """H8: no storm."""
    clock, bird = FakeClock(), Bird(lambda: has_network)
    guard = Connectivity(bird, clock)
    bird.door.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(judge(guard, clock)) for _ in range(1000)]
        await eventually(lambda: bird.asked)
        bird.door.set()

    assert {task.result() for task in tasks} == {BELIEVED if has_network else NO_NETWORK}
    assert (bird.asked, bird.most_out) == (1, 1)


async def test_a_sign_of_life_that_comes_while_others_wait_for_the_canary_is_enough() -> None:
    """H8: whatever the canary found a moment before."""
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    began = clock.monotonic() - 1.0
    bird.door.clear()
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(guard.judge(TARGET, TIMEOUT, began)) for _ in range(2))
        await eventually(lambda: bird.asked)
        await guard.judge(TARGET, result(Reason.CONNECTION_REFUSED), began)
        bird.door.set()

    assert (first.result().reason, second.result().reason) == (Reason.TIMEOUT, Reason.TIMEOUT)
    assert bird.asked == 1


async def test_with_a_sign_of_life_nobody_waits_for_a_canary_that_is_out() -> None:
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    began = clock.monotonic() - 1.0
    bird.door.clear()
    waiting = asyncio.create_task(guard.judge(TARGET, TIMEOUT, began))
    await eventually(lambda: bird.asked)
    await guard.judge(TARGET, result(Reason.OK), began)
    found = await asyncio.wait_for(guard.judge(TARGET, TIMEOUT, began), 5)
    is_out = not waiting.done()
    bird.door.set()
    await waiting

    assert is_out
    assert found.reason is Reason.TIMEOUT


async def test_an_answer_holds_for_a_second_and_then_the_canary_is_asked_again() -> None:
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    await judge(guard, clock)
    clock.advance(HOLDS_FOR - 0.1)
    await judge(guard, clock)
    within = bird.asked
    clock.advance(0.2)
    bird.answer = lambda: True

    assert await judge(guard, clock) == BELIEVED
    assert (within, bird.asked) == (1, 2)


async def test_a_canary_that_does_not_answer_in_time_found_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANARY_LIMIT", 0.01)
    clock, bird = FakeClock(), Bird(lambda: True)
    bird.door.clear()

    assert await judge(Connectivity(bird, clock), clock) == NO_NETWORK
    assert bird.out == 0


@pytest.mark.parametrize(("error", "shown"), [(OSError("no route"), NO_NETWORK), (ZeroDivisionError(), BELIEVED)])
async def test_a_canary_that_breaks_found_no_network_unless_it_is_our_own_bug(
    error: Exception, shown: tuple[Verdict, Reason]
) -> None:
    """A bug of ours must not hide what is wrong with targets."""

    def broken() -> bool:
        raise error

    clock = FakeClock()
    with capture_logs() as told:
        found = await judge(Connectivity(Bird(broken), clock), clock)

    assert found == shown
    assert ("bug in the canary" in [line["event"] for line in told]) is (shown == BELIEVED)


async def test_whoever_waits_for_a_canary_whose_asker_was_stopped_asks_anew() -> None:
    """Edits and deletions end probes at any moment."""
    clock, bird = FakeClock(), Bird(lambda: True)
    guard = Connectivity(bird, clock)
    bird.door.clear()
    first = asyncio.create_task(judge(guard, clock))
    await eventually(lambda: bird.asked == 1)
    second = asyncio.create_task(judge(guard, clock))
    await asyncio.sleep(0)
    first.cancel()
    bird.door.set()
    await asyncio.wait([first])

    assert await second == BELIEVED
    assert first.cancelled()


async def test_the_loss_of_the_network_and_its_return_are_logged_once_each() -> None:
    clock, bird = FakeClock(), Bird()
    guard = Connectivity(bird, clock)
    with capture_logs() as told:
        for has_network in (True, False, False, False, True, True):
            bird.answer = lambda has_network=has_network: has_network  # type: ignore[misc]
            await judge(guard, clock)
            clock.advance(2 * HOLDS_FOR)

    assert [line["event"] for line in told] == ["no network", "network back"]
