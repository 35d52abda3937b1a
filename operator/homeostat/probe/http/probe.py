"""The HTTP probe: one request, a verdict from the status, and from headers and body where they are asked for.

A redirect is a result, unless the request says that some are to be followed. Nothing is decompressed: who looks into
a body asks for one that is not encoded, and takes no other.
"""

import re
import ssl
from functools import lru_cache
from typing import Protocol

from homeostat.core.probing.request import Content, HttpRequest
from homeostat.core.probing.result import Phases, Reason, total
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.exchange import Exchange, KeepingExchange
from homeostat.probe.http.redirect import next_hop
from homeostat.probe.http.request import is_sendable, write_request
from homeostat.probe.http2.request import Http2Exchange
from homeostat.probe.net.connection import Dialer, Peer
from homeostat.probe.net.tls import Contexts

_EXPECTED = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?")
_REDIRECTS = range(300, 400)
# May be sent twice, which may happen on a connection that was kept.
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_PLAIN = {"content-encoding": frozenset({"", "identity"}), "transfer-encoding": frozenset({"", "chunked"})}

Outcome = tuple[Ending, Answer | None]


class Judge(Protocol):
    """Says whether an answer has the content that was expected."""

    async def judge(self, content: Content, answer: Answer, deadline: float) -> Reason:
        """Give OK or why not, before `deadline` (monotonic seconds)."""
        ...


class HttpProbe:
    """Asks servers. `judge` looks into what they answer, where a request wants that. Call `close` once at the end."""

    def __init__(self, dialer: Dialer, contexts: Contexts, judge: Judge) -> None:
        self._dialer = dialer
        self._contexts = contexts
        self._judge = judge

    async def run(self, request: HttpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        ending, _ = await self._ask(request, deadline, is_examined=request.content is not None)
        return ending

    async def fetch(self, request: HttpRequest, deadline: float) -> Outcome:
        """Give the ending, as `run` does, and the answer if all of it came and it is not encoded.

        The answer is kept also when it is not as expected.
        """
        return await self._ask(request, deadline, is_examined=True)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._dialer.close()

    async def _ask(self, request: HttpRequest, deadline: float, *, is_examined: bool) -> Outcome:
        expected = _expected(request.expect_status)
        if expected is None:
            return Ending(Reason.INVALID_REQUEST), None
        ask = self._follow if request.follow_redirects else self._exchange
        ending, answer = await ask(request, deadline, is_examined=is_examined)
        if not _is_answered(ending):
            return ending, None
        reason, answer = _of_body(ending, answer) if is_examined else (Reason.OK, None)
        if ending.code not in expected:
            reason = Reason.REDIRECTED if ending.code in _REDIRECTS else Reason.UNEXPECTED_STATUS
        if reason is Reason.OK and answer is not None and request.content is not None:
            reason = await self._judge.judge(request.content, answer, deadline)
        return ending if reason is ending.reason else ending._replace(reason=reason), answer

    async def _follow(self, request: HttpRequest, deadline: float, *, is_examined: bool) -> Outcome:
        """Give the last answer, with the phases of all."""
        left = request.follow_redirects
        ending, answer = await self._exchange(request, deadline, is_examined=is_examined)
        while answer is not None and _is_answered(ending):
            following = next_hop(request, answer.status, _location(answer))
            if isinstance(following, Reason):
                break
            if not left:
                return ending._replace(reason=Reason.TOO_MANY_REDIRECTS), None
            left -= 1
            request, before = following, ending
            ending, answer = await self._exchange(request, deadline, is_examined=is_examined)
            ending = _after(before, ending)
        return ending, answer

    async def _exchange(self, request: HttpRequest, deadline: float, *, is_examined: bool) -> Outcome:
        context = self._context(request)
        if isinstance(context, Reason):
            return Ending(context), None
        is_kept = request.keeps_connection and not request.is_http2 and _is_repeatable(request)
        name = request.tls.server_name if request.tls is not None else ""
        peer = Peer(request.host, request.port, request.address, context, name, is_kept)
        exchange = _conversation(request, is_examined=is_examined, is_kept=is_kept)
        if exchange is None:
            return Ending(Reason.INVALID_REQUEST), None
        ending = await self._dialer.hold(exchange, peer, deadline)
        if is_kept and exchange.was_stale():
            exchange = _conversation(request, is_examined=is_examined, is_kept=is_kept) or exchange
            ending = await self._dialer.hold(exchange, peer, deadline, is_fresh=True)
        return ending, exchange.answer()

    def _context(self, request: HttpRequest) -> ssl.SSLContext | Reason | None:
        if not request.is_tls:
            return None
        return self._contexts.context(request.tls, ("h2",) if request.is_http2 else ())


def is_too_slow(request: HttpRequest, seconds: float) -> bool:
    """Say whether an answer after `seconds` came later than the request allows."""
    return request.max_latency is not None and seconds > request.max_latency


def _conversation(request: HttpRequest, *, is_examined: bool, is_kept: bool) -> Exchange | Http2Exchange | None:
    """Give the conversation for a request; None when it cannot be sent as written."""
    keeps_answer = is_examined or request.follow_redirects > 0
    if request.is_http2:
        return Http2Exchange(request, keeps_body=keeps_answer) if is_sendable(request) else None
    wire = write_request(request, is_examined=is_examined, is_kept=is_kept)
    if wire is None:
        return None
    is_head_only = request.method == "HEAD"
    if keeps_answer:
        return KeepingExchange(wire, is_head_only=is_head_only, most_body=request.most_body)
    return Exchange(wire, is_head_only=is_head_only)


def _is_repeatable(request: HttpRequest) -> bool:
    """Say whether a request may be sent twice. One with a body may leave it behind.

    A server that expects none takes it for the next request, and its answer for that of another check.
    """
    return request.method in _REPEATABLE and not request.body and not request.secret_body


def _is_answered(ending: Ending) -> bool:
    return ending.reason is Reason.OK or (ending.reason is Reason.BODY_TOO_LARGE and ending.code > 0)


def _of_body(ending: Ending, answer: Answer | None) -> tuple[Reason, Answer | None]:
    """Say whether an answer can be looked into; give it if it can."""
    if answer is None:
        return Reason.INTERNAL, None
    if any(name in _PLAIN and value.strip().lower() not in _PLAIN[name] for name, value in answer.headers):
        return Reason.UNEXPECTED_ENCODING, None
    return ending.reason, answer if ending.reason is Reason.OK else None


def _location(answer: Answer) -> str:
    """Give where a redirect leads; "" when that is not said, or said twice."""
    locations = [value for name, value in answer.headers if name == "location"]
    return locations[0] if len(locations) == 1 else ""


def _after(before: Ending, ending: Ending) -> Ending:
    """Give the ending of a hop with what was spent on those before it."""
    phases = total(one.phases or Phases() for one in (before, ending))
    return ending._replace(phases=phases, not_after=ending.not_after or before.not_after)


@lru_cache(maxsize=256)
def _expected(patterns: tuple[str, ...]) -> frozenset[int] | None:
    """Give the codes that `2xx`, `204` and `200-299` mean; None when one is written otherwise."""
    codes: set[int] = set()
    for pattern in patterns:
        match = _EXPECTED.fullmatch(pattern)
        if match is None:
            return None
        hundred, low, high = match.groups()
        codes |= set(
            range(int(hundred) * 100, int(hundred) * 100 + 100) if hundred else range(int(low), int(high or low) + 1)
        )
    return frozenset(codes)
