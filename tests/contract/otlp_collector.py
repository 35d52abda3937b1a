"""A collector of OpenTelemetry on loopback: it reads what it is sent, as protobuf, and answers by script."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """What arrived. `code` is what it answers; while `is_stalled` it answers nothing."""

    url: str = ""
    code: int = 200
    is_stalled: bool = False
    asked: int = 0
    bodies: list[bytes] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = await request.read()
        assert request.path == "/v1/traces"
        assert request.content_type == "application/x-protobuf"
        if self.is_stalled:
            await asyncio.Event().wait()
        if self.code == 200:
            self.bodies.append(body)
            self.requests.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=self.code)

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


def facts_of(span: Any) -> dict[str, Any]:
    """Give the attributes of a span or an event."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def strings_in(collector: Collector) -> Iterator[str]:
    """Give every text that was sent."""
    for span in collector.spans:
        yield span.name
        yield span.status.message
        for said in (span, *span.events, *span.links):
            yield from map(str, facts_of(said).values())


@asynccontextmanager
async def collecting(port: int = 0) -> AsyncIterator[Collector]:
    """Run a collector; on leaving, it dies with all its connections."""
    collector = Collector()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", collector.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    listening = runner.addresses[0][1]
    collector.url = f"http://127.0.0.1:{listening}"
    try:
        yield collector
    finally:
        await runner.cleanup()
