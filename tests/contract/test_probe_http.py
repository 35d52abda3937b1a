"""The HTTP probe against servers that behave: what is sent, and what a status, headers and a body mean."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.asking import ask, network, run
from contract.hostile import CHUNKED, answer, hearing, on_uvloop, open_files, serving, silent, until
from homeostat.core.probing.request import Content, HttpRequest
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.exchange import BODY_BYTES, MOST_HEADERS
from homeostat.probe.http.request import write_request
from homeostat.probe.network import NetworkProbes
from homeostat.probe.prober import Probes

OK = b"HTTP/1.1 200 OK\r\n"
FINE = OK + b"Content-Length: 2\r\n\r\nok"
NO_BODY_HEAD = OK + b"Content-Length: 1000\r\n\r\n"


def to(port: int, **more: Any) -> HttpRequest:
    return HttpRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", **more})


def status(code: int, rest: str = "Content-Length: 0\r\n") -> bytes:
    return f"HTTP/1.1 {code} Some Reason\r\n{rest}\r\n".encode()


def sized(body: bytes, *, is_chunked: bool = False) -> bytes:
    if is_chunked:
        return CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def probe(network_: NetworkProbes, request: HttpRequest, seconds: float, **more: Any) -> Result:
    """Run the whole prober, of which only the network is asked."""
    nothing = cast("Any", SimpleNamespace(run=None))
    prober = Probes(network_, cluster=nothing, secrets=nothing, jobs=nothing, promql=nothing, **more)
    return await prober.probe(request, seconds)


async def fetch(request: HttpRequest, seconds: float = 5.0) -> tuple[Ending, Answer | None]:
    with network() as probes:
        async with asyncio.timeout(seconds + 5):
            return await probes.http.fetch(request, time.monotonic() + seconds)


# --- Status -------------------------------------------------------------------------------------------------------


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
        ending = await ask(to(served.port, expect_status=expected))

    assert (ending.reason, ending.code) == (reason, code)
    assert verdict_of(ending.reason) is (Verdict.PASS if reason is Reason.OK else Verdict.FAIL)


@pytest.mark.parametrize("content", [None, Content(contains="")])
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
async def test_a_response_may_end_in_any_lawful_way(
    payload: bytes, more: dict[str, Any], content: Content | None
) -> None:
    """Interim responses are skipped, a body may last until the close, and text need not be UTF-8 (fault 44)."""
    async with serving(answer(payload)) as served:
        ending = await ask(to(served.port, content=content, **more))

    assert (ending.reason, ending.code) == (Reason.OK, 200)


@on_uvloop
async def test_an_answer_that_comes_later_than_allowed_is_too_slow() -> None:
    async with serving(answer(FINE)) as served:
        with network() as probes:
            result = await probe(probes, to(served.port, max_latency=1e-9), 5)

    assert (result.verdict, result.reason, result.code) == (Verdict.FAIL, Reason.TOO_SLOW, 200)


# --- Content ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "payload", "reason"),
    [
        (Content(contains="ready"), sized(b"all is ready"), Reason.OK),
        (Content(contains="ready"), sized(b"all is ready", is_chunked=True), Reason.OK),
        (Content(contains="ready"), OK + b"\r\nall is ready", Reason.OK),
        (Content(contains="ready"), sized(b"not yet"), Reason.UNEXPECTED_BODY),
        (Content(contains="ready"), status(500), Reason.UNEXPECTED_STATUS),
        (Content(contains="ready"), status(302), Reason.REDIRECTED),
        (Content(headers=(("x-state", "^up$"),)), OK + b"X-State: up\r\nContent-Length: 0\r\n\r\n", Reason.OK),
        (
            Content(headers=(("x-state", "up"),)),
            CHUNKED[:-2] + b"X-State: down\r\n\r\n0\r\nX-State: up\r\n\r\n",
            Reason.UNEXPECTED_HEADER,
        ),
        (
            Content(headers=(("x-state", "up"),)),
            b"HTTP/1.1 103 Early Hints\r\nX-State: up\r\n\r\n" + FINE,
            Reason.UNEXPECTED_HEADER,
        ),
    ],
)
@on_uvloop
async def test_headers_and_body_are_judged_when_that_is_asked_for(
    content: Content, payload: bytes, reason: Reason
) -> None:
    """Neither a trailer nor an interim response counts as a header of the answer; the status is judged first."""
    async with serving(answer(payload)) as served:
        ending = await ask(to(served.port, content=content))

    assert ending.reason is reason


@pytest.mark.parametrize(
    ("size", "is_chunked", "reason"),
    [
        (BODY_BYTES, False, Reason.OK),
        (BODY_BYTES, True, Reason.OK),
        (BODY_BYTES + 1, False, Reason.BODY_TOO_LARGE),
        (BODY_BYTES + 1, True, Reason.BODY_TOO_LARGE),
    ],
)
@on_uvloop
async def test_a_body_that_is_judged_has_its_limit(size: int, *, is_chunked: bool, reason: Reason) -> None:
    """H9: 64 KiB are looked into, framing aside; the same body passes when nobody looks."""
    payload = sized(b"." * (size - 2) + b"ok", is_chunked=is_chunked)
    async with serving(answer(payload)) as served:
        judged = await ask(to(served.port, content=Content(contains="ok")))
        unjudged = await ask(to(served.port))

    assert (judged.reason, judged.code) == (reason, 200)
    assert unjudged.reason is Reason.OK


@pytest.mark.parametrize(
    "encoding",
    [b"Content-Encoding: gzip", b"Content-Encoding: br", b"Content-Encoding: identity, zstd", b"CONTENT-ENCODING: x"],
)
@on_uvloop
async def test_an_encoded_body_is_never_decoded_and_fails_where_it_is_judged(encoding: bytes) -> None:
    """H9, fault 44: nothing is decompressed, so a bomb is a small body."""
    payload = OK + encoding + b"\r\nContent-Length: 2\r\n\r\nok"
    async with serving(answer(payload)) as served:
        judged = await ask(to(served.port, content=Content(contains="ok")))
        unjudged = await ask(to(served.port))
        ending, found = await fetch(to(served.port))

    assert (judged.reason, judged.code) == (Reason.UNEXPECTED_ENCODING, 200)
    assert unjudged.reason is Reason.OK
    assert (ending.reason, found) == (Reason.UNEXPECTED_ENCODING, None)


@on_uvloop
async def test_a_plain_answer_is_asked_for_only_when_it_is_looked_into() -> None:
    async with serving(hearing(FINE)) as served:
        await ask(to(served.port, content=Content(contains="ok")))
        await ask(to(served.port))

    assert b"\r\nAccept-Encoding: identity\r\n" in served.heard[0]
    assert b"Accept-Encoding" not in served.heard[1]


@on_uvloop
async def test_too_many_headers_to_keep_are_too_large() -> None:
    """H9: what is kept of an answer is bounded in number, too."""
    payload = OK + b"a:\r\n" * (MOST_HEADERS + 1) + b"Content-Length: 0\r\n\r\n"
    async with serving(answer(payload)) as served:
        kept = await ask(to(served.port, content=Content(contains="")))
        ignored = await ask(to(served.port))

    assert (kept.reason, ignored.reason) == (Reason.HEADERS_TOO_LARGE, Reason.OK)


@pytest.mark.parametrize(
    ("payload", "reason", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\nX-One: \xe9\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nok",
            Reason.OK,
            Answer(200, (("x-one", "\xe9"), ("x-two", "2"), ("content-length", "2")), b"ok"),
        ),
        (status(503), Reason.UNEXPECTED_STATUS, Answer(503, (("content-length", "0"),), b"")),
        (sized(bytes(BODY_BYTES + 1)), Reason.BODY_TOO_LARGE, None),
        (OK + b"Content-Length: 10\r\n\r\nhalf", Reason.CONNECTION_CLOSED, None),
    ],
)
@on_uvloop
async def test_an_answer_that_is_fetched_is_kept_when_all_of_it_came(
    payload: bytes, reason: Reason, expected: Answer | None
) -> None:
    async with serving(answer(payload)) as served:
        ending, found = await fetch(to(served.port))

    assert (ending.reason, found) == (reason, expected)


# --- Requests -----------------------------------------------------------------------------------------------------


@on_uvloop
async def test_a_server_on_ipv6_is_asked_by_its_bracketed_name() -> None:
    async with serving(hearing(FINE), host="::1") as served:
        ending = await ask(HttpRequest("::1", served.port))

    assert ending.reason is Reason.OK
    assert f"\r\nHost: [::1]:{served.port}\r\n".encode() in served.heard[0]


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
        (HttpRequest("a.test", 80, secret_headers=(("X-Key", "hidden"),)), b"X-Key: hidden\r\n"),
        (HttpRequest("a.test", 80), b"User-Agent: homeostat/"),
        (HttpRequest("a.test", 80), b"Connection: close\r\n"),
        (HttpRequest("a.test", 80, target="/a?b=%20"), b"GET /a?b=%20 HTTP/1.1\r\n"),
        (HttpRequest("a.test", 80, method="POST", body=b"{}"), b"Content-Length: 2\r\n"),
        (HttpRequest("a.test", 80, method="POST", secret_body=b"{}"), b"Content-Length: 2\r\n"),
    ],
)
def test_a_request_says_whom_it_is_for_and_who_asks(request_: HttpRequest, line: bytes) -> None:
    wire = write_request(request_)

    assert wire is not None
    assert line in wire
    assert wire.count(b"Host:") == 1
    assert b"Accept-Encoding" not in wire
    assert wire.endswith(b"\r\n\r\n" + request_.body + request_.secret_body)


def test_a_request_on_a_connection_that_is_kept_does_not_ask_to_close_it() -> None:
    assert b"Connection" not in (write_request(HttpRequest("a.test", 80), is_kept=True) or b"Connection")


@pytest.mark.parametrize("version", [{}, {"is_http2": True}])
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
        {"secret_headers": (("X-A", "b\r\nX-Evil: 1"),)},
        {"secret_headers": (("X-A", "b\n"),)},
        {"secret_headers": (("X-A\r\n", "b"),)},
        {"secret_headers": (("Connection", "close"),)},
        {"secret_headers": (("X-A", "b"), ("x-a", "c"))},
        {"secret_headers": (("X-A", "b"),), "headers": (("x-a", "c"),)},
        {"secret_body": b"b", "body": b"c"},
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
async def test_a_request_that_could_smuggle_something_is_invalid_and_never_sent(
    more: dict[str, Any], version: dict[str, Any]
) -> None:
    """Fault 40: line breaks in path, headers, Secrets or method, credentials in the host, another framing."""
    async with serving(silent) as served:
        ending = await ask(to(**{"port": served.port, **more, **version}))

    assert ending == Ending(Reason.INVALID_REQUEST)
    assert verdict_of(ending.reason) is Verdict.INVALID
    assert served.connections == 0


# --- Phases -------------------------------------------------------------------------------------------------------


@on_uvloop
async def test_the_phases_tell_where_the_time_went() -> None:
    """Each phase of a run is measured by itself; together they are the run."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(NO_BODY_HEAD)
        await asyncio.sleep(0.1)
        writer.write(bytes(1000))
        await reader.read()

    def slow_lookup(_host: str) -> tuple[str, ...]:
        time.sleep(0.1)
        return ("127.0.0.1",)

    started = time.monotonic()
    async with serving(behave) as served:
        ending = await ask(to(served.port, address=""), lookup=slow_lookup)
    seconds = time.monotonic() - started

    assert ending.phases is not None
    assert ending.phases.resolve >= 0.09
    assert 0 < ending.phases.connect < 5
    assert ending.phases.tls == 0
    assert ending.phases.first_byte >= 0.19
    assert ending.phases.transfer >= 0.09
    assert sum(ending.phases) <= seconds


@on_uvloop
async def test_a_phase_that_was_not_over_at_the_deadline_has_the_rest_of_the_time() -> None:
    async with serving(silent) as served:
        ending = await ask(to(served.port), seconds=0.2)

    assert ending.reason is Reason.TIMEOUT
    assert ending.phases is not None
    assert ending.phases.first_byte >= 0.15
    assert ending.phases.transfer == 0


@on_uvloop
async def test_there_are_no_phases_when_nothing_was_connected() -> None:
    ending = await ask(HttpRequest("shop.test", 80, "169.254.169.254"))

    assert ending == Ending(Reason.ADDRESS_NOT_ALLOWED)


# --- Addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [("127.0.0.1", "169.254.169.254"), ("10.0.0.1", "fd00:ec2::254")])
@on_uvloop
async def test_a_name_with_one_forbidden_address_is_refused(answers: tuple[str, ...]) -> None:
    """H9, fault 41: a name with public and private answers."""
    async with serving(answer(FINE)) as served:
        ending = await ask(to(served.port, address=""), lookup=lambda _: answers)

    assert ending.reason is Reason.ADDRESS_NOT_ALLOWED
    assert served.connections == 0


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "::ffff:a9fe:a9fe", "fe80::1", "0.0.0.0"],
)
@on_uvloop
async def test_no_spelling_of_a_forbidden_address_is_asked(host: str) -> None:
    """H9, fault 40: decimal, octal, hexadecimal and mapped spellings of what must not be reached."""
    ending = await ask(HttpRequest(host, 80))

    assert ending == Ending(Reason.ADDRESS_NOT_ALLOWED)


@on_uvloop
async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """H9, fault 41: a name that changes its address between the check and the connection (rebinding)."""
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    async with serving(answer(FINE)) as served:
        first = await ask(to(served.port, address="", host="rebinding.test"), lookup=lambda _: answers.pop(0))

    assert first.reason is Reason.OK
    assert served.connections == 1
    assert answers == [("169.254.169.254",)]


# --- Ends ---------------------------------------------------------------------------------------------------------


@on_uvloop
async def test_a_cancelled_probe_lets_go_of_its_connection() -> None:
    """Fault 21: probes in flight end when the operator stops."""
    async with serving(silent) as served:
        with network() as probes:
            before = open_files()
            tasks = [asyncio.create_task(run(probes, to(served.port), 30)) for _ in range(50)]
            await until(lambda: served.connections == len(tasks))
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: open_files() <= before)

    assert all(isinstance(end, asyncio.CancelledError) for end in ended)


@on_uvloop
async def test_a_silence_that_we_slept_through_is_our_own_fault() -> None:
    """Fault 26: a loop that was blocked for seconds learnt nothing about the target."""
    times = iter([0.0, 5.0])
    async with serving(silent) as served:
        with network() as probes:
            late = SimpleNamespace(run=lambda request, _: run(probes, request, 0.05))
            result = await probe(cast("Any", late), to(served.port), 0.05, monotonic=lambda: next(times))

    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.OUT_OF_RESOURCES)
