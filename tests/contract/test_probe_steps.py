"""The multi-step probe: the order of steps, what is captured and where it is put, and that it clears away.

The order is proved with a scripted server's answers, the rest against a shop on loopback that keeps sessions.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.hostile import on_uvloop, serving
from homeostat.core.probing.request import Content, HttpRequest, StepRequest, StepsRequest
from homeostat.core.probing.result import Phases, Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.content import ContentJudge
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.http.steps import StepsProbe, fill
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.resolver import Resolver, system_lookup
from homeostat.probe.net.tls import Contexts
from homeostat.probe.processes.cel import CelProcess

JSON = ("Content-Type", "application/json")
SECONDS = 30.0


# --- the order of steps ---------------------------------------------------------------------------------


class Script:
    """Answers each path as it was told; `clock` is moved on by what a request takes."""

    def __init__(self, **answers: Ending) -> None:
        self.answers = answers
        self.asked: list[HttpRequest] = []
        self.deadlines: dict[str, float] = {}
        self.takes: dict[str, float] = {}
        self.body = b'{"id": "7"}'
        self.start = self.now = time.monotonic()

    def clock(self) -> float:
        return self.now

    async def run(self, request: HttpRequest, deadline: float) -> Ending:
        name = re.sub(r"\W", "", request.target.split("/")[1])
        self.asked.append(request)
        self.deadlines[name] = round(deadline - self.start, 6)
        self.now += self.takes.get(name, 0.0)
        return self.answers.get(name, Ending(Reason.OK, 200))

    async def fetch(self, request: HttpRequest, deadline: float) -> tuple[Ending, Answer | None]:
        return await self.run(request, deadline), Answer(200, (), self.body)

    @property
    def order(self) -> list[str]:
        return [request.target for request in self.asked]


def step(name: str, *, target: str = "", always: bool = False, **more: Any) -> StepRequest:
    captures = more.pop("captures", ())
    return StepRequest(name, HttpRequest("shop.test", 80, target=target or f"/{name}", **more), captures, always)


async def run_script(script: Script, *steps: StepRequest, seconds: float = 40.0) -> Ending:
    cel = CelProcess(time.monotonic)
    try:
        async with asyncio.timeout(60):
            return await StepsProbe(script, cel, script.clock).run(StepsRequest(steps), script.now + seconds)
    finally:
        cel.close()


def ending(reason: Reason = Reason.OK, code: int = 200, **more: Any) -> Ending:
    return Ending(reason, code, **more)


@on_uvloop
async def test_steps_are_run_in_order_and_pass_when_each_does() -> None:
    script = Script()

    found = await run_script(script, step("a"), step("b", always=True), step("c"))

    assert (found.reason, found.step, found.code) == (Reason.OK, "", 200)
    assert script.order == ["/a", "/b", "/c"]


@on_uvloop
async def test_the_first_step_that_fails_decides_and_those_that_always_run_still_do() -> None:
    """H4: worst-of, never last-of. What runs after a failure cannot make it better, nor name another step."""
    script = Script(b=ending(Reason.UNEXPECTED_STATUS, 500), d=ending(Reason.TIMEOUT, 0))

    found = await run_script(
        script, step("a"), step("b"), step("c"), step("d", always=True), step("e"), step("f", always=True)
    )

    assert (found.reason, found.code, found.step) == (Reason.UNEXPECTED_STATUS, 500, "b")
    assert script.order == ["/a", "/b", "/d", "/f"]


@on_uvloop
async def test_clearing_away_that_fails_fails_a_run_that_passed() -> None:
    script = Script(clear=ending(Reason.CONNECTION_REFUSED, 0))

    found = await run_script(script, step("a"), step("clear", always=True), step("more", always=True))

    assert (found.reason, found.step) == (Reason.CONNECTION_REFUSED, "clear")
    assert script.order == ["/a", "/clear", "/more"]


@on_uvloop
async def test_what_was_never_made_is_not_cleared_away() -> None:
    """A step that always runs is left out, in silence, when what it needs was not captured."""
    script = Script(create=ending(Reason.UNEXPECTED_STATUS, 409))
    steps = (
        step("create", captures=(("id", "json.id"),)),
        step("remove", target="/remove/{{id}}", always=True),
        step("logout", always=True),
    )

    found = await run_script(script, *steps)

    assert (found.reason, found.step) == (Reason.UNEXPECTED_STATUS, "create")
    assert script.order == ["/create", "/logout"]


@on_uvloop
async def test_what_was_made_too_slowly_is_cleared_away() -> None:
    script = Script(create=ending(phases=Phases(0.0, 0.1, 0.0, 0.5, 0.1)))
    steps = (
        step("create", captures=(("id", "json.id"),), max_latency=0.6),
        step("use", target="/use/{{id}}"),
        step("remove", target="/remove/{{id}}", always=True),
    )

    found = await run_script(script, *steps)

    assert (found.reason, found.step) == (Reason.TOO_SLOW, "create")
    assert script.order == ["/create", "/remove/7"]


@pytest.mark.parametrize(
    ("expression", "body", "reason"),
    [
        ("json.id", b"{}", Reason.NOT_CAPTURED),
        ("json.id", b'{"id": null}', Reason.NOT_CAPTURED),
        ("json.id", b"<html>", Reason.NOT_CAPTURED),
        ('headers["x-id"]', b"{}", Reason.NOT_CAPTURED),
        ("json.id", b'{"id": [1]}', Reason.NOT_CAPTURED),
        ("json.id", b'{"id": "' + b"x" * 5000 + b'"}', Reason.NOT_CAPTURED),
        ("json.id ==", b"{}", Reason.INVALID_EXPRESSION),
    ],
)
@on_uvloop
async def test_a_value_that_cannot_be_captured_fails_its_step(expression: str, body: bytes, reason: Reason) -> None:
    """What could be captured beside it is there for those that clear away."""
    script = Script()
    script.body = body
    steps = (
        step("create", captures=(("id", expression), ("code", "status"))),
        step("use", target="/use/{{id}}"),
        step("remove", target="/remove/{{code}}", always=True),
    )

    found = await run_script(script, *steps)

    assert (found.reason, found.step) == (reason, "create")
    assert script.order == ["/create", "/remove/200"]


@on_uvloop
async def test_a_step_that_uses_what_nobody_captures_cannot_be_sent() -> None:
    script = Script()

    found = await run_script(script, step("a", target="/{{nothing}}"), step("b"))

    assert (found.reason, found.step) == (Reason.INVALID_REQUEST, "a")
    assert script.order == []


@on_uvloop
async def test_a_quarter_of_the_time_is_kept_for_clearing_away() -> None:
    """Of 40 s a step has 30; what is left is shared among those that always run."""
    script = Script(hang=ending(Reason.TIMEOUT, 0))
    script.takes = {"a": 10.0, "hang": 20.0, "clear": 5.0}
    steps = (step("a"), step("hang"), step("clear", always=True), step("more", always=True))

    found = await run_script(script, *steps)

    assert (found.reason, found.step) == (Reason.TIMEOUT, "hang")
    assert script.deadlines == {"a": 30.0, "hang": 30.0, "clear": 35.0, "more": 40.0}


@on_uvloop
async def test_all_the_time_is_for_the_steps_when_there_is_nothing_to_clear_away() -> None:
    script = Script()

    await run_script(script, step("a", always=True), step("b"))

    assert script.deadlines == {"a": 40.0, "b": 40.0}


@on_uvloop
async def test_the_times_of_all_steps_are_summed_and_the_first_certificate_to_expire_is_shown() -> None:
    script = Script(
        a=ending(phases=Phases(1.0, 2.0, 3.0, 4.0, 5.0), not_after=300.0),
        b=ending(Reason.UNEXPECTED_STATUS, 503, phases=Phases(0.5, 0.5, 0.5, 0.5, 0.5), not_after=200.0),
        c=ending(phases=None),
        d=ending(phases=Phases(1.0, 0.0, 0.0, 0.0, 0.0), not_after=400.0),
    )

    found = await run_script(script, step("a"), step("b"), step("c", always=True), step("d", always=True))

    assert found == Ending(Reason.UNEXPECTED_STATUS, 503, Phases(2.5, 2.5, 3.5, 4.5, 5.5), 200.0, None, "b")


# --- where values are put -------------------------------------------------------------------------------


def request(**more: Any) -> HttpRequest:
    return HttpRequest("shop.test", 80, **more)


def test_a_request_without_placeholders_is_sent_as_it_is() -> None:
    plain = request(target="/{a}?b={{", headers=(("X-A", "}}"),), body=b"\xff{ }")

    assert fill(plain, {}) is plain


def test_a_value_is_encoded_for_the_place_where_it_is_put() -> None:
    value = 'a/b?c=1&d#"\\é'
    template = "v={{v}}"
    quoted = "a%2Fb%3Fc%3D1%26d%23%22%5C%C3%A9"

    def body(*headers: tuple[str, str]) -> bytes:
        filled = fill(request(headers=headers, body=template.encode()), {"v": value})
        assert filled is not None
        return filled.body

    in_target = fill(request(target="/x/{{v}}/y?q={{ v }}"), {"v": value})
    address = fill(request(target="/pages/{{v}}"), {"v": "https://a.example/.b"})
    in_header = fill(request(headers=(("X-A", "Bearer {{v}}"), ("X-B", "b"))), {"v": value})

    assert in_target is not None
    assert in_target.target == f"/x/{quoted}/y?q={quoted}"
    assert address is not None
    assert address.target == "/pages/https%3A%2F%2Fa.example%2F.b"
    assert in_header is not None
    assert in_header.headers == (("X-A", f"Bearer {value}"), ("X-B", "b"))
    assert body(("content-TYPE", "application/vnd.api+JSON")) == 'v=a/b?c=1&d#\\"\\\\é'.encode()
    assert body(("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")) == f"v={quoted}".encode()
    assert body(("Content-Type", "text/plain")) == f"v={value}".encode()
    assert body() == f"v={value}".encode()


@given(st.text(max_size=30))
def test_whatever_a_server_sent_a_request_stays_one_request(value: str) -> None:
    """H9: no line break, no other path, no other member of a JSON document."""
    template = request(
        target="/a/{{v}}/b?q={{v}}", headers=(JSON, ("X-A", "{{v}}")), body=b'{"a": "{{v}}", "b": "{{w}}"}'
    )

    filled = fill(template, {"v": value, "w": "{{v}}"})

    if filled is not None:
        assert re.fullmatch(r"/a/[!-~]*/b\?q=[!-~]*", filled.target)
        assert filled.target.count("/") == 3
        assert unquote(filled.target.rpartition("=")[2]) == value
        assert "/../" not in filled.target
        assert not re.search(r"[\r\n\x00]", filled.headers[1][1])
        assert json.loads(filled.body) == {"a": value, "b": "{{v}}"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (request(headers=(("X-A", "{{v}}"),)), "a\r\nX-Evil: 1"),
        (request(headers=(("X-A", "{{v}}"),)), "a\x00"),
        (request(headers=(("X-A", "{{v}}"),)), "\u20ac"),
        (request(headers=(("X-A", "{{v}}" * 3),)), "x" * 4096),
        (request(target="/users/{{v}}"), ".."),
        (request(target="/users/{{v}}/cart"), "."),
        (request(target="/users/.{{v}}"), "."),
        (request(target="/users/%2e{{v}}"), "."),
        (request(target="/users/{{v}}"), "../admin"),
        (request(target="/users/{{v}}"), "a/../../admin"),
        (request(target="/users/{{v}}"), "..\\admin"),
        (request(target="/users/{{v}}"), "..;/admin"),
        (request(target="/users/{{v}}"), ""),
        (request(target="/users/{{v}}/cart"), ""),
        (request(target="/{{v}}" * 3), "x" * 4096),
        (request(body=b"{{v}}" * 17), "x" * 4096),
        (request(body=b"{{v}}" * 12, headers=(JSON,)), '"' * 4096),
        (request(body=b"{{v}}" * 12), "\xe9" * 4096),
        (request(target="/{{other}}"), "x"),
        (request(headers=(("X-A", "{{other}}"),)), "x"),
        (request(body=b"{{other}}"), "x"),
    ],
)
def test_what_cannot_be_sent_where_it_belongs_is_not_sent(template: HttpRequest, value: str) -> None:
    assert fill(template, {"v": value}) is None


def test_what_comes_from_a_secret_is_no_template() -> None:
    secret = request(target="/{{v}}", secret_headers=(("X-Key", "{{v}}"),), secret_body=b"{{v}}")

    filled = fill(secret, {"v": "1"})

    assert filled == replace(secret, target="/1")
    assert fill(replace(secret, target="/"), {}) is not None


# --- a shop that keeps sessions -------------------------------------------------------------------------


@dataclass
class Shop:
    """Logs in, opens, shows and closes sessions; ids and tokens are as awkward as they may be."""

    ticket: str = 'to"ken+/='
    identity: str = "a/b c?d#é"
    sessions: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n"))
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path, _, query = target.partition("?")
        room = path.split("/")[1]
        self.seen.append(f"{method} /{room}")
        if room == "hang":
            await reader.read()
            return
        status, answer = self.broken.get(room, 0), {}
        if not status:
            status, answer = self.answer(method, path, query, headers.get("authorization", ""), body)
        payload = b"" if status == 204 else json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nX-Request: r-%d\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, len(self.seen), len(payload), payload)
        )
        await writer.drain()

    def answer(self, method: str, path: str, query: str, authorization: str, body: bytes) -> tuple[int, Any]:
        if path == "/login":
            return 200, {"token": self.ticket, "user": json.loads(body)["user"]}
        if authorization != f"Bearer {self.ticket}":
            return 401, {}
        if (method, path) == ("POST", "/sessions"):
            self.sessions.add(self.identity)
            return 201, {"session": {"id": self.identity, "uses": 3}, "echo": json.loads(body)}
        identity = unquote(path.removeprefix("/session/"))
        if identity not in self.sessions:
            return 404, {}
        if method == "DELETE":
            self.sessions.remove(identity)
            return 204, None
        return 200, {"id": identity, "query": unquote(query)}


@asynccontextmanager
async def probing(shop: Shop) -> AsyncIterator[Callable[..., Any]]:
    """Give what runs steps against a shop; each step is told the shop's port."""
    guard = Guard(allow=[ip_network("127.0.0.0/8")])
    resolver = Resolver(guard, system_lookup, time.monotonic)
    cel = CelProcess(time.monotonic)
    http = HttpProbe(Dialer(guard, resolver, time.monotonic), Contexts(), ContentJudge(cel))
    probe = StepsProbe(http, cel, time.monotonic)
    async with asyncio.timeout(60), serving(shop.serve) as served:

        async def run(*steps: StepRequest, seconds: float = SECONDS) -> Ending:
            told = [replace(one, request=replace(one.request, port=served.port, address="127.0.0.1")) for one in steps]
            return await probe.run(StepsRequest(tuple(told)), time.monotonic() + seconds)

        try:
            yield run
        finally:
            http.close()
            cel.close()
            resolver.close()


LOGIN = step("login", method="POST", body=b'{"user": "probe"}', headers=(JSON,), captures=(("token", "json.token"),))
BEARER = ("Authorization", "Bearer {{token}}")
CREATE = step(
    "create",
    target="/sessions",
    method="POST",
    headers=(JSON, BEARER),
    body=b'{"token": "{{token}}"}',
    expect_status=("201",),
    content=Content(json="json.session.uses == 3"),
    captures=(("id", "json.session.id"), ("uses", "json.session.uses"), ("request", 'headers["x-request"]')),
)
USE = step(
    "use",
    target="/session/{{id}}?uses={{uses}}&request={{request}}",
    headers=(BEARER,),
    content=Content(json='json.query == "uses=3&request=r-2"'),
)
REMOVE = step("remove", target="/session/{{id}}", method="DELETE", headers=(BEARER,), always=True)


@on_uvloop
async def test_a_session_is_opened_used_and_closed() -> None:
    """A token from a body goes into headers and bodies, an id into paths, a header's value into a query."""
    shop = Shop()
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, USE, REMOVE)

    assert (found.reason, found.step, found.code) == (Reason.OK, "", 204)
    assert found.phases is not None
    assert found.phases.connect > 0
    assert shop.seen == ["POST /login", "POST /sessions", "GET /session", "DELETE /session"]
    assert not shop.sessions


@on_uvloop
async def test_a_session_is_closed_although_it_could_not_be_used() -> None:
    shop = Shop()
    wrong = replace(USE, request=replace(USE.request, content=Content(contains="nothing of the kind")))
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, wrong, USE, REMOVE)

    assert (found.reason, found.step, found.code) == (Reason.UNEXPECTED_BODY, "use", 200)
    assert shop.seen == ["POST /login", "POST /sessions", "GET /session", "DELETE /session"]
    assert not shop.sessions


@on_uvloop
async def test_a_session_that_was_never_opened_is_not_closed() -> None:
    shop = Shop(broken={"sessions": 503})
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, USE, REMOVE)

    assert (found.reason, found.step, found.code) == (Reason.UNEXPECTED_STATUS, "create", 503)
    assert shop.seen == ["POST /login", "POST /sessions"]


@on_uvloop
async def test_a_session_is_closed_although_its_use_hangs() -> None:
    """The time that is kept for clearing away is enough for it."""
    shop = Shop()
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, step("hang", headers=(BEARER,)), REMOVE, seconds=2.0)

    assert (found.reason, found.step) == (Reason.TIMEOUT, "hang")
    assert not shop.sessions


@pytest.mark.parametrize("ticket", ["line\r\nX-Evil: 1", "nul\x00", "\u20ac"])
@on_uvloop
async def test_a_token_that_would_smuggle_something_is_not_sent(ticket: str) -> None:
    """H9: a captured line break never becomes a header of ours."""
    shop = Shop(ticket=ticket)
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, USE)

    assert (found.reason, found.step) == (Reason.NOT_CAPTURED, "create")
    assert shop.seen == ["POST /login"]


@pytest.mark.parametrize("identity", ["..", "", "../session/other", "..\\other"])
@on_uvloop
async def test_an_id_that_would_lead_to_another_path_is_not_asked_for(identity: str) -> None:
    """Nor to the path above it, which may be all sessions there are."""
    shop = Shop(ticket="t", identity=identity)
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, replace(REMOVE, always=False))

    assert (found.reason, found.step) == (Reason.NOT_CAPTURED, "remove")
    assert shop.seen == ["POST /login", "POST /sessions"]


@on_uvloop
async def test_runs_at_once_do_not_see_each_others_values() -> None:
    """A value lives for one run."""
    shops = [Shop(ticket=f"token-{n}", identity=f"id-{n}") for n in range(10)]

    async def one(shop: Shop) -> Ending:
        async with probing(shop) as run:
            return await run(LOGIN, CREATE, USE, REMOVE)

    found = await asyncio.gather(*(one(shop) for shop in shops))

    assert [ending.reason for ending in found] == [Reason.OK] * 10
    assert not any(shop.sessions for shop in shops)


@on_uvloop
async def test_nothing_that_was_captured_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """H9: a result holds a reason, numbers, and names the user wrote."""
    shop = Shop(ticket="s3cr3t-token", broken={"session": 500})
    async with probing(shop) as run:
        found = await run(LOGIN, CREATE, USE, REMOVE)

    shown = repr(found) + "".join(capfd.readouterr())
    assert found.step == "use"
    assert "s3cr3t" not in shown
    assert "a/b" not in shown
