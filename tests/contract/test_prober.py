"""The prober as the engine sees it: one result within its time, whatever a probe of ours does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from homeostat.core.cluster import Secret
from homeostat.core.probing.request import HttpRequest, Request, SecretKey, TcpRequest
from homeostat.core.probing.result import Phases, Reason, Verdict
from homeostat.probe.ending import Ending
from homeostat.probe.prober import Probes
from homeostat.probe.promql import PromqlProbe

KEY = SecretKey("shop", "token", "value")


class Scripted:
    """A network that ends every request as told."""

    def __init__(self, run: Callable[[Request, float], Awaitable[Ending]]) -> None:
        self._run = run
        self.is_closed = False
        self.asked: list[Request] = []

    async def run(self, request: Request, deadline: float) -> Ending:
        self.asked.append(request)
        return await self._run(request, deadline)

    def close(self) -> None:
        self.is_closed = True


class OneSecret:
    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    async def read(self, namespace: str, name: str) -> Secret | None:
        await asyncio.sleep(self._seconds)
        return Secret("Opaque", {"value": b"s3cret"}) if name == "token" else None


def prober(
    run: Callable[[Request, float], Awaitable[Ending]], secret_seconds: float = 0.0, **options: Any
) -> tuple[Probes, Scripted]:
    network, nobody, secrets = Scripted(run), cast("Any", None), OneSecret(secret_seconds)
    probes = Probes(network, cluster=nobody, secrets=secrets, jobs=nobody, promql=PromqlProbe(None), **options)
    return probes, network


async def answers(_request: Request, _deadline: float) -> Ending:
    return Ending(Reason.OK, 200, Phases(connect=0.25, first_byte=0.05), 1e9, (1, 2), "buy")


async def test_what_a_probe_found_is_the_result() -> None:
    probes, network = prober(answers)

    result = await probes.probe(TcpRequest("a", 1), 1.0)
    probes.close()

    assert (result.verdict, result.reason, result.code) == (Verdict.PASS, Reason.OK, 200)
    assert (result.phases, result.not_after, result.share, result.step) == (
        Phases(connect=0.25, first_byte=0.05),
        1e9,
        (1, 2),
        "buy",
    )
    assert network.is_closed


async def test_a_bug_in_a_probe_is_our_own_error_and_its_text_is_not_told() -> None:
    """H1, H9: an error's text may quote what a target sent."""

    async def breaks(_request: Request, _deadline: float) -> Ending:
        raise ValueError("what the target said")

    probes, _ = prober(breaks)
    with capture_logs() as logs:
        result = await probes.probe(TcpRequest("a", 1), 1.0)
    probes.close()

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.INTERNAL)
    assert "what the target said" not in str(logs)
    assert [line["where"].split(":")[0] for line in logs] == ["breaks"]


async def test_a_cancellation_that_nobody_asked_for_is_our_own_error() -> None:
    """It would end the engine's worker for good, and nobody would learn of it."""

    async def breaks(_request: Request, _deadline: float) -> Ending:
        raise asyncio.CancelledError

    probes, _ = prober(breaks)
    result = await probes.probe(TcpRequest("a", 1), 1.0)
    probes.close()

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.INTERNAL)


async def test_an_answer_later_than_allowed_is_too_slow() -> None:
    probes, _ = prober(answers)

    result = await probes.probe(HttpRequest("a", 1, max_latency=0.2), 1.0)
    probes.close()

    assert (result.verdict, result.reason, result.seconds) == (Verdict.FAIL, Reason.TOO_SLOW, pytest.approx(0.3))


async def test_a_silence_that_we_slept_through_says_nothing_of_the_target() -> None:
    """Faults 24 and 25: throttled or suspended, we must not call the target dead."""

    async def times_out(_request: Request, _deadline: float) -> Ending:
        return Ending(Reason.TIMEOUT)

    ticks = iter([0.0, 60.0])
    probes, _ = prober(times_out, monotonic=lambda: next(ticks))

    result = await probes.probe(TcpRequest("a", 1), 1.0)
    probes.close()

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.OUT_OF_RESOURCES)


@pytest.mark.parametrize(
    ("seconds", "verdict", "reason"),
    [(0.0, Verdict.FAIL, Reason.TIMEOUT), (0.2, Verdict.UNKNOWN, Reason.API_UNAVAILABLE)],
)
async def test_a_target_is_not_blamed_for_the_time_that_its_secret_took(
    seconds: float, verdict: Verdict, reason: Reason
) -> None:
    """H1: a slow API server leaves a target too little time to answer."""

    async def times_out(_request: Request, deadline: float) -> Ending:
        await asyncio.sleep(deadline - time.monotonic())
        return Ending(Reason.TIMEOUT)

    probes, _ = prober(times_out, seconds)

    result = await probes.probe(HttpRequest("a", 1, headers_from=(("X-Key", KEY),)), 0.5)
    probes.close()

    assert (result.verdict, result.reason) == (verdict, reason)


async def test_secrets_are_read_before_a_request_is_sent() -> None:
    """H9."""
    probes, network = prober(answers)

    result = await probes.probe(HttpRequest("a", 1, headers_from=(("Authorization", KEY),)), 1.0)
    probes.close()

    (sent,) = network.asked
    assert isinstance(sent, HttpRequest)
    assert sent.secret_headers == (("Authorization", "s3cret"),)
    assert "s3cret" not in repr((sent, result))


async def test_without_its_secret_nothing_is_sent() -> None:
    probes, network = prober(answers)

    result = await probes.probe(HttpRequest("a", 1, body_from=SecretKey("shop", "missing", "value")), 1.0)
    probes.close()

    assert (result.verdict, result.reason, network.asked) == (Verdict.INVALID, Reason.SECRET_NOT_FOUND, [])


async def test_cancelling_a_probe_cancels_what_it_waits_for() -> None:
    is_over = asyncio.Event()

    async def hangs(_request: Request, _deadline: float) -> Ending:
        try:
            await asyncio.Event().wait()
        finally:
            is_over.set()
        raise AssertionError

    probes, _ = prober(hangs)
    task = asyncio.ensure_future(probes.probe(TcpRequest("a", 1), 60.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    probes.close()

    assert task.cancelled()
    assert is_over.is_set()
