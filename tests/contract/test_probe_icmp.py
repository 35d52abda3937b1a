import asyncio
import ctypes
import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

import pytest
import uvloop

from contract.hostile import on_uvloop, open_files
from homeostat.core.probing.request import IcmpRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.icmp import IcmpProbe
from homeostat.probe.net.address import Guard
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")
IGNORES_ECHO = Path("/proc/sys/net/ipv4/icmp_echo_ignore_all")
EVERYWHERE = Guard(allow=[ip_network("0.0.0.0/0"), ip_network("::/0")])

Scenario = Callable[[], Coroutine[None, None, None]]


@contextmanager
def probing(guard: Guard = EVERYWHERE, lookup: Lookup = system_lookup, **settings: Any) -> Iterator[IcmpProbe]:
    resolver = Resolver(guard, lookup, time.monotonic)
    try:
        yield IcmpProbe(resolver, time.monotonic, **settings)
    finally:
        resolver.close()


async def ping(host: str, seconds: float = 5, **settings: Any) -> Ending:
    with probing(**settings) as probe:
        return await probe.run(IcmpRequest(host), time.monotonic() + seconds)


Forge = Callable[[bytes], bytes]


@contextmanager
def echoing(*forgeries: Forge) -> Iterator[Callable[..., socket.socket]]:
    """Stand in for the kernel and a host: give what makes sockets whose echo requests are answered as told."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:

        class PingSocket(socket.socket):
            def connect(self, _address: Any) -> None:
                super().connect(host.getsockname())

        def answer() -> None:
            request, client = host.recvfrom(4096)
            for forge in forgeries:
                host.sendto(forge(request), client)

        host.bind(("127.0.0.1", 0))
        loop.add_reader(host, answer)
        try:
            yield lambda _family, kind, _protocol: PingSocket(socket.AF_INET, kind)
        finally:
            loop.remove_reader(host)


def in_a_network_of_its_own(scenario: Scenario) -> None:
    """Run a scenario where ping sockets are allowed: in a network namespace that ends with the thread it is for.

    Only loopback is there. Skips when the kernel does not let us have one.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(enter_namespace).result()
        except OSError:
            pytest.skip("needs a network namespace with ping sockets, which the kernel does not allow here")
        thread.submit(lambda: uvloop.run(scenario())).result()


def enter_namespace() -> None:
    """Move this thread to a new network namespace, set loopback up and allow ping sockets to all groups."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    set_kernel(PING_GROUPS, "0 2147483647")


def set_kernel(setting: Path, value: str) -> None:
    """Change a setting of the network namespace that this thread is in."""
    setting.write_text(value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost"])
def test_a_host_that_echoes_passes(host: str) -> None:
    async def scenario() -> None:
        ending = await ping(host)

        assert ending.reason is Reason.OK
        assert ending.phases is not None
        assert ending.phases.first_byte > 0

    in_a_network_of_its_own(scenario)


def test_many_probes_at_once_each_get_their_own_reply() -> None:
    async def scenario() -> None:
        before = open_files()
        with probing() as probe:
            runs = [probe.run(IcmpRequest("127.0.0.1"), time.monotonic() + 10) for _ in range(100)]
            endings = await asyncio.gather(*runs)

        assert {ending.reason for ending in endings} == {Reason.OK}
        assert open_files() <= before

    in_a_network_of_its_own(scenario)


def test_a_host_without_a_route_is_unreachable() -> None:
    async def scenario() -> None:
        ending = await ping("192.0.2.1")

        assert (ending.reason, verdict_of(ending.reason)) == (Reason.UNREACHABLE, Verdict.FAIL)

    in_a_network_of_its_own(scenario)


def test_the_next_address_is_asked_when_the_first_is_unreachable() -> None:
    async def scenario() -> None:
        ending = await ping("shop.test", lookup=lambda _: ("2001:db8::1", "192.0.2.1", "127.0.0.1"))

        assert ending.reason is Reason.OK

    in_a_network_of_its_own(scenario)


def test_a_silent_host_ends_at_the_timeout() -> None:
    async def scenario() -> None:
        set_kernel(IGNORES_ECHO, "1")
        ending = await ping("127.0.0.1", 0.2)

        assert ending.reason is Reason.TIMEOUT

    in_a_network_of_its_own(scenario)


def test_a_kernel_that_allows_no_ping_sockets_is_no_failure_of_the_host() -> None:
    async def scenario() -> None:
        set_kernel(PING_GROUPS, "1 0")  # nobody
        ending = await ping("127.0.0.1")

        assert (ending.reason, verdict_of(ending.reason)) == (Reason.NOT_PERMITTED, Verdict.ERROR)

    in_a_network_of_its_own(scenario)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EPERM, Reason.NOT_PERMITTED),
        (errno.EACCES, Reason.NOT_PERMITTED),
        (errno.EMFILE, Reason.OUT_OF_RESOURCES),
        (errno.EAFNOSUPPORT, Reason.UNREACHABLE),
    ],
)
@on_uvloop
async def test_a_socket_that_cannot_be_had_is_told_by_its_reason(number: int, reason: Reason) -> None:
    """EAFNOSUPPORT: a kernel without IPv6."""

    def refuse(*_: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    ending = await ping("127.0.0.1", make_socket=refuse)

    assert ending.reason is reason


def reply(request: bytes) -> bytes:
    return b"\x00" + request[1:]


FORGERIES: list[Forge] = [
    lambda request: request,  # our own request
    lambda request: b"\x03" + request[1:],  # unreachable
    lambda request: b"\x00\x01" + request[2:],
    lambda request: reply(request)[:6] + b"\xff\xff" + request[8:],  # another sequence
    lambda request: reply(request)[:-1] + bytes([request[-1] ^ 1]),  # another token
    lambda request: reply(request)[:-1],
    lambda request: reply(request) + b"\x00",
    lambda _: b"",
]


@on_uvloop
async def test_a_reply_to_something_else_is_ignored() -> None:
    with echoing(*FORGERIES) as make_socket:
        forged = await ping("127.0.0.1", 0.2, make_socket=make_socket)
    with echoing(*FORGERIES, reply) as make_socket:
        answered = await ping("127.0.0.1", make_socket=make_socket)

    assert forged.reason is Reason.TIMEOUT
    assert answered.reason is Reason.OK


@on_uvloop
async def test_an_address_that_is_not_allowed_is_not_asked() -> None:
    """H9: metadata service, loopback, and a name that resolves to it."""

    def no_socket(*_: Any) -> NoReturn:
        raise AssertionError("asked")

    hosts = ("169.254.169.254", "127.0.0.1", "2130706433", "shop.test")
    endings = [
        await ping(host, guard=Guard(), lookup=lambda _: ("127.0.0.1",), make_socket=no_socket) for host in hosts
    ]

    assert {ending.reason for ending in endings} == {Reason.ADDRESS_NOT_ALLOWED}


@on_uvloop
async def test_a_name_that_does_not_resolve_is_told() -> None:
    def unknown(_: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    ending = await ping("shop.test", lookup=unknown)

    assert ending.reason is Reason.NAME_NOT_RESOLVED


@pytest.mark.parametrize("host", ["", "shop test"])
@on_uvloop
async def test_a_host_that_is_none_is_invalid(host: str) -> None:
    ending = await ping(host)

    assert ending.reason is Reason.INVALID_REQUEST
