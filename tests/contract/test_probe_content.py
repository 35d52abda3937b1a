"""What an HTTP answer must contain: text, RE2, CEL and headers, over bodies that may hold any bytes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.hostile import answer as answering
from contract.hostile import on_uvloop, serving
from homeostat.core.probing.request import Content, HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.content import ContentJudge
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.resolver import Resolver, system_lookup
from homeostat.probe.net.tls import Contexts
from homeostat.probe.processes.cel import CelProcess

BODY = '{"status": "up", "name": "café"}'.encode()
HEADERS = (("content-type", "application/json"), ("x-role", "replica"), ("x-role", "leader"), ("x-raw", "caf\xe9"))
LARGE = b"ab" * 524_288  # more than a probe keeps: ten seconds of matching on any machine
SLOW_PATTERN = "(((a?b?){30}){30})z"


@asynccontextmanager
async def judging() -> AsyncIterator[ContentJudge]:
    cel = CelProcess(time.monotonic)
    try:
        async with asyncio.timeout(60):
            yield ContentJudge(cel)
    finally:
        cel.close()


async def judge(content: Content, body: bytes = BODY, seconds: float = 30.0) -> Reason:
    async with judging() as judge:
        return await judge.judge(content, Answer(200, HEADERS, body), time.monotonic() + seconds)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Content(), Reason.OK),
        (Content(contains='"up"'), Reason.OK),
        (Content(contains="café"), Reason.OK),
        (Content(contains="down"), Reason.UNEXPECTED_BODY),
        (Content(matches='"status":\\s*"(up|ok)"'), Reason.OK),
        (Content(matches="^{.*}$"), Reason.OK),
        (Content(matches='caf."'), Reason.OK),
        (Content(matches="(?i)CAFÉ"), Reason.OK),
        (Content(matches="down|dead"), Reason.UNEXPECTED_BODY),
        (Content(matches="("), Reason.INVALID_EXPRESSION),
        (Content(matches="(?=lookahead)"), Reason.INVALID_EXPRESSION),
        (Content(matches=r"(a)\1"), Reason.INVALID_EXPRESSION),
        (Content(matches="(a{1000}){1000}"), Reason.INVALID_EXPRESSION),
        (Content(contains="down", matches="("), Reason.INVALID_EXPRESSION),
        (Content(json='json.status == "up"'), Reason.OK),
        (Content(json='json.status == "up" && status == 200 && headers["x-role"] == "replica"'), Reason.OK),
        (Content(json='json.status == "down"'), Reason.UNEXPECTED_BODY),
        (Content(json="json.nothing"), Reason.UNEXPECTED_BODY),
        (Content(json="json.status"), Reason.UNEXPECTED_BODY),
        (Content(json="size(json)"), Reason.UNEXPECTED_BODY),
        (Content(json="json."), Reason.INVALID_EXPRESSION),
        (Content(headers=(("Content-Type", "^application/json"),)), Reason.OK),
        (Content(headers=(("x-role", "^leader$"), ("X-Raw", "^caf.$"))), Reason.OK),
        (Content(headers=(("x-raw", "^café$"),)), Reason.OK),
        (Content(headers=(("x-role", ""),)), Reason.OK),
        (Content(headers=(("x-role", "^lead$"),)), Reason.UNEXPECTED_HEADER),
        (Content(headers=(("x-none", ""),)), Reason.UNEXPECTED_HEADER),
        (Content(headers=(("x-role", "("),)), Reason.INVALID_EXPRESSION),
        (Content(headers=(("x-none", ""),), contains="down"), Reason.UNEXPECTED_BODY),
        (Content(contains="up", matches="up", json="status == 200", headers=(("x-role", "l"),)), Reason.OK),
    ],
    ids=str,
)
@on_uvloop
async def test_an_answer_is_as_expected_or_it_is_said_why_not(content: Content, reason: Reason) -> None:
    assert await judge(content) is reason


@pytest.mark.parametrize(
    ("body", "content", "reason"),
    [
        (b"", Content(matches="^$"), Reason.OK),
        (b"", Content(json="true"), Reason.OK),
        (b"", Content(json="json == null"), Reason.UNEXPECTED_BODY),
        (b"\xff\xfe up \xe9", Content(contains="up"), Reason.OK),
        (b"\xff\xfe up \xe9", Content(matches="^..\\sup\\s.$"), Reason.OK),
        (b"caf\xe9", Content(matches="café"), Reason.OK),
        (b"caf\xe9", Content(contains="café"), Reason.UNEXPECTED_BODY),
        (b"a\x00b", Content(matches="a\\x00b"), Reason.OK),
        (b"a\x00b", Content(contains="a\x00b"), Reason.OK),
        (b"\xf0\x9f\x92\x9a", Content(matches="^.$"), Reason.OK),
        (b"line\r\nup\r\n", Content(matches="(?m)^up"), Reason.OK),
        (b'{"a": "\xe9"}', Content(json='json.a == "x"'), Reason.UNEXPECTED_BODY),
        (b"[" * 65_536, Content(json="json == []"), Reason.UNEXPECTED_BODY),
    ],
    ids=str,
)
@on_uvloop
async def test_a_body_may_hold_any_bytes(body: bytes, content: Content, reason: Reason) -> None:
    """Text that is no UTF-8 is taken for latin-1 where it is matched."""
    assert await judge(content, body) is reason


@on_uvloop
async def test_a_pattern_that_other_engines_never_finish_costs_the_loop_nothing() -> None:
    """H9, fault 26: RE2 is linear, and what is large is matched in another process."""
    for pattern in ("(a*)*c", "(a|aa)+$", "(x+x+)+y", "([a-z]+)*\\d"):
        assert await judge(Content(matches=f"{pattern}never"), b"a" * 65_536) is Reason.UNEXPECTED_BODY
    turns = 0
    task = asyncio.ensure_future(judge(Content(matches=SLOW_PATTERN), LARGE))
    while not task.done():
        turns += 1
        await asyncio.sleep(0.01)

    assert await task is Reason.INVALID_EXPRESSION
    assert turns > 10


@on_uvloop
async def test_no_time_left_is_our_lack_and_not_the_answers() -> None:
    assert await judge(Content(json="json.size() == 2"), seconds=0.0) is Reason.OUT_OF_RESOURCES
    assert await judge(Content(matches=SLOW_PATTERN), LARGE, seconds=0.0) is Reason.OUT_OF_RESOURCES


@on_uvloop
async def test_a_header_that_comes_ten_thousand_times_is_not_looked_at_so_often() -> None:
    flood = Answer(200, (("x-a", "b"),) * 10_000 + (("x-a", "needle"),), b"")
    async with judging() as judge:
        started = time.monotonic()
        content = Content(headers=tuple(("x-a", f"needle|{n}") for n in range(16)))

        assert await judge.judge(content, flood, started + 30) is Reason.UNEXPECTED_HEADER
        assert time.monotonic() - started < 2


def test_any_content_over_any_body_gives_a_reason() -> None:
    reasons = {Reason.OK, Reason.UNEXPECTED_BODY, Reason.UNEXPECTED_HEADER, Reason.INVALID_EXPRESSION}
    text = st.text(max_size=20)
    contents = st.builds(
        Content,
        contains=text,
        matches=text,
        headers=st.lists(st.tuples(st.just("x-role"), text), max_size=2).map(tuple),
    )
    with asyncio.Runner() as runner:
        cel = CelProcess(time.monotonic)

        @settings(deadline=None)
        @given(contents, st.binary(max_size=100))
        def check(content: Content, body: bytes) -> None:
            found = runner.run(ContentJudge(cel).judge(content, Answer(200, HEADERS, body), time.monotonic() + 30))

            assert found in reasons

        check()
        cel.close()


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"json": 'json.status == "up"', "headers": (("X-Role", "lead"),), "contains": "up"}, Reason.OK),
        ({"json": 'json.status == "down"'}, Reason.UNEXPECTED_BODY),
        ({"headers": (("X-Role", "replica"),)}, Reason.UNEXPECTED_HEADER),
        ({"matches": "["}, Reason.INVALID_EXPRESSION),
    ],
    ids=str,
)
@on_uvloop
async def test_an_http_probe_looks_into_what_a_server_answers(expected: dict[str, Any], reason: Reason) -> None:
    payload = b"HTTP/1.1 200 OK\r\nX-ROLE: leader\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    resolver = Resolver(Guard(allow=[ip_network("127.0.0.0/8")]), system_lookup, time.monotonic)
    dialer = Dialer(Guard(allow=[ip_network("127.0.0.0/8")]), resolver, time.monotonic)
    async with judging() as judge, serving(answering(payload)) as served:
        probe = HttpProbe(dialer, Contexts(), judge)
        request = HttpRequest("shop.test", served.port, address="127.0.0.1", content=Content(**expected))
        ending = await probe.run(request, time.monotonic() + 30)
        probe.close()
        resolver.close()

    assert (ending.reason, ending.code) == (reason, 200)
