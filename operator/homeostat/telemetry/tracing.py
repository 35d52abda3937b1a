"""Traces: what was done, in which order and for how long, told to a collector of OpenTelemetry (OTLP over HTTP).

Imported only where an endpoint is set: it needs the packages of `homeostat[tracing]`. What is under way costs a small
object and a number; it becomes a span of the protocol when it is sent, a few at a time, so that the loop never waits
long. Spans wait in a bounded queue: a collector that is slow or gone costs the newest of them, and nothing else.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from random import getrandbits, random
from time import time_ns
from types import TracebackType
from typing import Self

import aiohttp
import structlog
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from typing_extensions import override

from homeostat.ports import Facts, Tracer

log = structlog.get_logger("homeostat.tracing")

PATH = "/v1/traces"
MOST_WAITING = 8192
"""Spans that wait to be sent; at a kilobyte each."""
AT_ONCE = 32
"""Spans of one request: to encode them takes a millisecond or two, in which nothing else runs."""
MOST_EVENTS = 64
"""Events of one span: a check may have many endpoints."""
SEND_EVERY = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds to wait after the collector was not there; doubling in between."""
PATIENCE = 5.0
LAST_WORDS = 2.0
"""Seconds that a stop gives to spans not sent yet."""
_SCOPE = InstrumentationScope("homeostat", version("homeostat"))
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NANO = 1_000_000_000

Count = Callable[[str, int], None]
"""Told what became of spans: (`Sent` or `Dropped`, how many)."""


class _Span:
    """Something under way. One that is not kept is remembered too: what belongs to it is not kept either."""

    __slots__ = ("_before", "_tracer", "began", "ended", "error", "events", "facts", "id", "links", "name", "parent",
                 "trace")  # fmt: skip

    def __init__(self, tracer: "OtlpTracer", name: str, facts: Facts, parent: "_Span | None", trace: int) -> None:
        self._tracer = tracer
        self.name = name
        self.facts = facts
        self.parent = parent.id if parent else 0
        self.trace = trace  # 0: not kept
        self.id: int = getrandbits(64) or 1
        self.began = 0
        self.ended = 0
        self.error = ""
        self.events: list[tuple[str, int, Facts]] = []
        self.links: list[SpanContext] = []
        self._before: Token[_Span | None] | None = None

    def __enter__(self) -> None:
        self._before = _under_way.set(self)
        self.began = time_ns()

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.ended = time_ns()
        if self._before is not None:
            _under_way.reset(self._before)
        if kind is not None:
            self.error = kind.__name__  # never its text: it may quote what a target said
        if self.trace:
            self._tracer.keep(self)


_under_way: ContextVar[_Span | None] = ContextVar("homeostat_span", default=None)


class OtlpTracer(Tracer):
    """Keeps `ratio` of all traces whole, and every story; `run` sends them. Use as `async with`."""

    is_on = True

    def __init__(self, endpoint: str, *, ratio: float, identity: str, count: Count) -> None:
        self._url = endpoint.rstrip("/").removesuffix(PATH) + PATH
        self._ratio = ratio
        self._count = count
        self._resource = Resource(
            {"service.name": "homeostat", "service.version": _SCOPE.version or "", "service.instance.id": identity}
        )
        self._waiting: deque[_Span | ReadableSpan] = deque()
        self._session: aiohttp.ClientSession | None = None
        self._pause = 0.0
        self.is_reachable = True

    # --- what is told ------------------------------------------------------------------------------------

    @property
    @override
    def is_kept(self) -> bool:
        span = _under_way.get()
        return span is not None and span.trace != 0

    @override
    def span(self, name: str, facts: Facts, *, is_root: bool = False) -> _Span:
        parent = None if is_root else _parent()
        if parent is not None:
            return _Span(self, name, facts, parent, parent.trace)
        is_kept = self._ratio >= 1 or random() < self._ratio  # noqa: S311 - which traces are kept is no secret
        return _Span(self, name, facts, None, (getrandbits(128) or 1) if is_kept else 0)

    @override
    def note(self, facts: Facts) -> None:
        span = _under_way.get()
        if span is not None and span.trace:
            span.facts = {**span.facts, **facts}

    @override
    def event(self, name: str, facts: Facts, *, ago: float = 0.0) -> None:
        span = _under_way.get()
        if span is not None and span.trace and len(span.events) < MOST_EVENTS:
            span.events.append((name, time_ns() - int(ago * _NANO), facts))

    @override
    def link(self, story: str) -> None:
        span = _under_way.get()
        if span is not None and span.trace:
            span.links.append(_context_of(story))
            span.facts = {**span.facts, "homeostat.story": story}

    @override
    def story(self, name: str, story: str, began: datetime, ended: datetime, facts: Facts) -> None:
        self._put(
            ReadableSpan(
                name,
                context=_context_of(story),
                resource=self._resource,
                attributes={**facts, "homeostat.story": story},
                kind=SpanKind.INTERNAL,
                start_time=int(began.timestamp() * _NANO),
                end_time=int(ended.timestamp() * _NANO),
                instrumentation_scope=_SCOPE,
            )
        )

    def keep(self, span: _Span) -> None:
        """Have what is over sent."""
        self._put(span)

    def _put(self, span: _Span | ReadableSpan) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._count("Dropped", 1)
            return
        self._waiting.append(span)

    # --- how it is sent ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=False)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self.flush()
        except TimeoutError:
            log.warning("traces not sent", spans=len(self._waiting), reason="the collector is too slow for a stop")
        if self._session is not None:
            await self._session.close()

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            await asyncio.sleep(self._pause or SEND_EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Send what waits now, in small requests; stop at the first that does not get through."""
        for _ in range(-(-len(self._waiting) // AT_ONCE)):
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            if not await self._send_or_bring_back(batch):
                return

    async def _send_or_bring_back(self, batch: list[_Span | ReadableSpan]) -> bool:
        try:
            status = await self._post(batch)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(batch))
            raise
        except Exception:  # a bug: this batch would fail for ever, and traces are nobody's safety
            log.exception("traces given up", spans=len(batch))
            self._count("Dropped", len(batch))
            self._failed("bug")  # and not once a second
            return False
        if status is None or status == 429 or status >= 500:  # noqa: PLR2004 - too many requests, and its own faults
            self._waiting.extendleft(reversed(batch))
            self._failed("unavailable" if status is None else str(status))
            return False
        is_taken = 200 <= status < 300  # noqa: PLR2004 - 2xx
        self._count("Sent" if is_taken else "Dropped", len(batch))
        if not is_taken:  # it will not be wanted the next time either
            self._failed(str(status))
            return False
        self._recovered()
        return True

    async def _post(self, batch: Sequence[_Span | ReadableSpan]) -> int | None:
        """Post spans; give the status of the answer, None without one. What else comes back is not read."""
        if self._session is None:
            raise RuntimeError("not open: use `async with`")
        body = encode_spans([self._readable(one) for one in batch]).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                return response.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _readable(self, span: _Span | ReadableSpan) -> ReadableSpan:
        if isinstance(span, ReadableSpan):
            return span
        return ReadableSpan(
            span.name,
            context=SpanContext(span.trace, span.id, is_remote=False, trace_flags=_SAMPLED),
            parent=SpanContext(span.trace, span.parent, is_remote=False) if span.parent else None,
            resource=self._resource,
            attributes=span.facts,
            events=[Event(name, facts, at) for name, at, facts in span.events],
            links=[Link(one) for one in span.links],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=_SCOPE,
        )

    def _failed(self, reason: str) -> None:
        self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
        if self.is_reachable:
            log.warning("traces not taken", reason=reason, effect="they wait, then the newest are given up")
        self.is_reachable = False

    def _recovered(self) -> None:
        self._pause = 0.0
        if not self.is_reachable:
            log.info("traces taken again", waiting=len(self._waiting))
        self.is_reachable = True


def _parent() -> _Span | None:
    """Give what is under way here. A task that outlived what began it belongs to nothing any more."""
    span = _under_way.get()
    return None if span is None or span.ended else span


def _context_of(story: str) -> SpanContext:
    """Make the ids of a story of its name: whoever tells a part of it knows them, also after a restart."""
    digest = sha256(story.encode()).digest()
    trace, span = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    return SpanContext(trace or 1, span or 1, is_remote=False, trace_flags=_SAMPLED)
