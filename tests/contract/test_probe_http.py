"""The HTTP probe against servers that behave: what is sent, and what a status means."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any, cast

import pytest

from contract.hostile import answer, on_uvloop, open_files, serving, silent, until
from homeostat.core.probing import HttpRequest, Reason, Result, Verdict
from homeostat.probe.address import Guard
from homeostat.probe.http_request import write_request
from homeostat.probe.prober import Probes
from homeostat.probe.resolver import Lookup, system_lookup

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_BODY_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def probing(lookup: Lookup = system_lookup) -> Iterator[Probes]:
    probes = Probes(Guard(allow=[ip_network("127.0.0.0/8"), ip_network("::1/128")]), cast("Any", None), lookup=lookup)
    try:
        yield probes
    finally:
        probes.close()


async def ask(port: int, lookup: Lookup = system_lookup, seconds: float = 5.0, **more: Any) -> Result:
    request = HttpRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", **more})
    with probing(lookup) as probes:
        async with asyncio.timeout(10):
            return await probes.probe(request, seconds)


def status(code: int, rest: str = "Content-Length: 0\r\n") -> bytes:
    return f"HTTP/1.1 {code} Some Reason\r\n{rest}\r\n".encode()


@pytest.mark.parametrize(
    ("code", "expected", "reason"),
    [
        (200, ("2xx",), Reason.OK),
        (204, ("2xx",), Reason.OK),
        (500, ("2xx",), Reason.UNEXPECTED_STATUS),
        (404, ("200", "404"), Reason.OK),
        (250, ("200-299",), Reason.OK),
        (300, ("200-299",), Reason.REDIRECTED),
        (302, ("2xx",), Reason.REDIRECTED),
        (302, ("3xx",), Reason.OK),
        (999, ("2xx",), Reason.UNEXPECTED_STATUS),
    ],
)
@on_uvloop
async def test_the_verdict_comes_from_the_status(code: int, expected: tuple[str, ...], reason: Reason) -> None:
    """H1: a redirect is a result and passes only when it is expected."""
    async with serving(answer(status(code))) as served:
        result = await ask(served.port, expect_status=expected)

    assert (result.reason, result.code) == (reason, code)
    assert result.verdict is (Verdict.PASS if reason is Reason.OK else Verdict.FAIL)


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", {}),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", {}),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", {}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", {}),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + FINE, {}),
        (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil", {}),
        (NO_BODY_HEAD, {"method": "HEAD"}),
        (FINE + b"and more than was announced", {}),
        (b"HTTP/1.1 200 \xff\xfe\r\nX-Bytes: \xc3\x28\r\nContent-Length: 2\r\n\r\n\xff\xff", {}),
    ],
)
@on_uvloop
async def test_a_response_may_end_in_any_lawful_way(payload: bytes, more: dict[str, Any]) -> None:
    """Interim responses are skipped, a body may last until the close, and text need not be UTF-8."""
    async with serving(answer(payload)) as served:
        result = await ask(served.port, **more)

    assert (result.verdict, result.code) == (Verdict.PASS, 200)


@on_uvloop
async def test_an_answer_that_comes_later_than_allowed_is_too_slow() -> None:
    async with serving(answer(FINE)) as served:
        result = await ask(served.port, max_latency=1e-9)

    assert (result.verdict, result.reason, result.code) == (Verdict.FAIL, Reason.TOO_SLOW, 200)


@on_uvloop
async def test_a_server_on_ipv6_is_asked_by_its_bracketed_name() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(FINE)
        await reader.read()

    async with serving(listen, host="::1") as served:
        result = await ask(served.port, host="::1", address="")

    assert result.verdict is Verdict.PASS
    assert f"\r\nHost: [::1]:{served.port}\r\n".encode() in heard[0]


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (HttpRequest("a.test", 80), b"Host: a.test\r\n"),
        (HttpRequest("a.test", 8080), b"Host: a.test:8080\r\n"),
        (HttpRequest("a.test", 443, is_tls=True), b"Host: a.test\r\n"),
        (HttpRequest("a.test", 80, is_tls=True), b"Host: a.test:80\r\n"),
        (HttpRequest("fd00::1", 80), b"Host: [fd00::1]\r\n"),
        (HttpRequest("a.test", 80, headers=(("Host", "b.test"),)), b"Host: b.test\r\n"),
        (HttpRequest("a.test", 80, headers=(("X-Key", "v\xe9"),)), b"X-Key: v\xe9\r\n"),
        (HttpRequest("a.test", 80), b"User-Agent: homeostat/"),
        (HttpRequest("a.test", 80), b"Connection: close\r\n"),
        (HttpRequest("a.test", 80, target="/a?b=%20"), b"GET /a?b=%20 HTTP/1.1\r\n"),
        (HttpRequest("a.test", 80, method="POST", body=b"{}"), b"Content-Length: 2\r\n"),
    ],
)
def test_a_request_says_whom_it_is_for_and_who_asks(request_: HttpRequest, line: bytes) -> None:
    wire = write_request(request_)

    assert wire is not None
    assert line in wire
    assert wire.count(b"Host:") == 1
    assert b"Accept-Encoding" not in wire
    assert wire.endswith(b"\r\n\r\n" + request_.body)


@pytest.mark.parametrize(
    "more",
    [
        {"target": "/\r\nX-Evil: 1"},
        {"target": "/ HTTP/1.1\r\nHost: x"},
        {"target": "http://169.254.169.254/"},
        {"target": "/\x00"},
        {"target": ""},
        {"method": "GET\r\n"},
        {"method": "get"},
        {"headers": (("X-A", "b\r\nX-Evil: 1"),)},
        {"headers": (("X-A\r\n", "b"),)},
        {"headers": (("X A", "b"),)},
        {"headers": (("Content-Length", "5"),)},
        {"headers": (("transfer-encoding", "chunked"),)},
        {"headers": (("X-A", "\u20ac"),)},
        {"host": "user@shop.test"},
        {"host": "shop.test/x"},
        {"host": "shop.test\r\n"},
        {"host": ""},
        {"port": 0},
        {"port": 65536},
        {"expect_status": ("2XX",)},
        {"expect_status": ("ok",)},
    ],
)
@on_uvloop
async def test_a_request_that_could_smuggle_something_is_invalid_and_never_sent(more: dict[str, Any]) -> None:
    """Fault 40: line breaks in path, headers or method, credentials in the host, another framing."""
    async with serving(silent) as served:
        result = await ask(**{"port": served.port, **more})

    assert (result.verdict, result.reason) == (Verdict.INVALID, Reason.INVALID_REQUEST)
    assert served.connections == 0


@pytest.mark.parametrize("answers", [("127.0.0.1", "169.254.169.254"), ("10.0.0.1", "fd00:ec2::254")])
@on_uvloop
async def test_a_name_with_one_forbidden_address_is_refused(answers: tuple[str, ...]) -> None:
    """H9, fault 41: a name with public and private answers."""
    async with serving(answer(FINE)) as served:
        result = await ask(served.port, lambda _: answers, address="")

    assert (result.verdict, result.reason) == (Verdict.INVALID, Reason.ADDRESS_NOT_ALLOWED)
    assert served.connections == 0


@on_uvloop
async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """H9, fault 41: a name that changes its address between the check and the connection (rebinding)."""
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    async with serving(answer(FINE)) as served:
        first = await ask(served.port, lambda _: answers.pop(0), address="", host="rebinding.test")

    assert first.verdict is Verdict.PASS
    assert served.connections == 1
    assert answers == [("169.254.169.254",)]


@on_uvloop
async def test_a_cancelled_probe_lets_go_of_its_connection() -> None:
    """Fault 21: probes in flight end when the operator stops."""
    async with serving(silent) as served:
        with probing() as probes:
            before = open_files()
            request = HttpRequest("shop.test", served.port, address="127.0.0.1")
            tasks = [asyncio.create_task(probes.probe(request, 30)) for _ in range(50)]
            await until(lambda: served.connections == len(tasks))
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: open_files() <= before)

    assert all(isinstance(end, asyncio.CancelledError) for end in ended)


@on_uvloop
async def test_a_silence_that_we_slept_through_is_our_own_fault() -> None:
    """Fault 26: a loop that was blocked for seconds learnt nothing about the target."""
    times = iter([0.0, 0.0, 5.0])
    probes = Probes(Guard(allow=[ip_network("127.0.0.0/8")]), cast("Any", None), monotonic=lambda: next(times))
    async with serving(silent) as served:
        result = await probes.probe(HttpRequest("shop.test", served.port, address="127.0.0.1"), 0.05)
    probes.close()

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.OUT_OF_RESOURCES)
