import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest

from contract.hostile import close_at_once, on_uvloop, serving, silent
from homeostat.core.probing import Reason, TcpRequest, Verdict
from homeostat.probe.address import Guard
from homeostat.probe.ending import of_error, verdict_of
from homeostat.probe.prober import Probes

LOOPBACK = Guard(allow=[ip_network("127.0.0.0/8"), ip_network("::1/128")])


@contextmanager
def probing(guard: Guard = LOOPBACK) -> Iterator[Probes]:
    probes = Probes(guard, cast("Any", None))
    try:
        yield probes
    finally:
        probes.close()


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """Listen with a full queue: the kernel drops what else wants to connect."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Allow no further file to be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)


@pytest.mark.parametrize("behaviour", [silent, close_at_once])
@on_uvloop
async def test_a_connection_that_can_be_opened_passes(behaviour: Any) -> None:
    async with serving(behaviour) as served:
        with probing() as probes:
            result = await probes.probe(TcpRequest("127.0.0.1", served.port), 5)

    assert (result.verdict, result.reason) == (Verdict.PASS, Reason.OK)


@on_uvloop
async def test_an_address_of_ipv6_is_reached() -> None:
    async with serving(silent, host="::1") as served:
        with probing() as probes:
            result = await probes.probe(TcpRequest("::1", served.port), 5)

    assert result.reason is Reason.OK


@on_uvloop
async def test_a_closed_port_is_refused() -> None:
    with closed_port() as port, probing() as probes:
        result = await probes.probe(TcpRequest("127.0.0.1", port), 5)

    assert (result.verdict, result.reason) == (Verdict.FAIL, Reason.CONNECTION_REFUSED)


@on_uvloop
async def test_a_black_hole_ends_at_the_timeout() -> None:
    """Fault 43: nobody answers the SYN."""
    with black_hole() as port, probing() as probes:
        async with asyncio.timeout(10):
            result = await probes.probe(TcpRequest("127.0.0.1", port), 0.3)

    assert (result.verdict, result.reason) == (Verdict.FAIL, Reason.TIMEOUT)


@on_uvloop
async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    """H9: neither when it is pinned nor when a host spells it oddly."""
    async with serving(silent) as served:
        with probing(Guard()) as probes:
            pinned = await probes.probe(TcpRequest("shop.test", served.port, address="127.0.0.1"), 5)
            odd = await probes.probe(TcpRequest("2130706433", served.port), 5)
            mapped = await probes.probe(TcpRequest("::ffff:127.0.0.1", served.port), 5)

    assert {result.verdict for result in (pinned, odd, mapped)} == {Verdict.INVALID}
    assert {result.reason for result in (pinned, odd, mapped)} == {Reason.ADDRESS_NOT_ALLOWED}
    assert served.connections == 0


@on_uvloop
async def test_the_next_address_of_a_name_is_tried_when_the_first_refuses() -> None:
    async with serving(silent) as served:
        probes = Probes(LOOPBACK, cast("Any", None), lookup=lambda _: ("::1", "127.0.0.1"))
        result = await probes.probe(TcpRequest("shop.test", served.port), 5)
        probes.close()

    assert result.reason is Reason.OK


@pytest.mark.parametrize("request_", [TcpRequest("", 80), TcpRequest("shop test", 80), TcpRequest("shop", 0)])
@on_uvloop
async def test_a_request_that_cannot_be_sent_is_invalid(request_: TcpRequest) -> None:
    with probing() as probes:
        result = await probes.probe(request_, 5)

    assert (result.verdict, result.reason) == (Verdict.INVALID, Reason.INVALID_REQUEST)


@on_uvloop
async def test_running_out_of_file_descriptors_is_our_own_fault() -> None:
    """Fault 23: no descriptor is left, which says nothing of the target."""
    async with serving(silent) as served:
        with probing() as probes:
            await probes.probe(TcpRequest("127.0.0.1", served.port), 5)
            with no_descriptor_left():
                result = await probes.probe(TcpRequest("127.0.0.1", served.port), 5)

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.OUT_OF_RESOURCES)


@pytest.mark.parametrize(
    ("number", "reason", "verdict"),
    [
        (errno.EADDRNOTAVAIL, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.ENOBUFS, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.EMFILE, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.ENETUNREACH, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.ETIMEDOUT, Reason.TIMEOUT, Verdict.FAIL),
        (errno.EPIPE, Reason.CONNECTION_RESET, Verdict.FAIL),
        (errno.EBADF, Reason.INTERNAL, Verdict.ERROR),
    ],
)
def test_an_error_of_the_network_is_told_from_one_of_our_own(number: int, reason: Reason, verdict: Verdict) -> None:
    """H1, fault 23: what we lack never counts against the target."""
    found = of_error(OSError(number, os.strerror(number)))

    assert (found, verdict_of(found)) == (reason, verdict)
