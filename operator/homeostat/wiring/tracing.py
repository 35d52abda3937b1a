"""Traces, where they are wanted: without an endpoint nothing of OpenTelemetry is imported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from homeostat.ports import UNTRACED, Tracer
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.settings import Settings


@asynccontextmanager
async def tracing(settings: Settings, metrics: Metrics, identity: str) -> AsyncIterator[Tracer]:
    """Give the tracer, and send what it is told until the end."""
    if not settings.tracing_endpoint:
        yield UNTRACED
        return
    from homeostat.telemetry.tracing import OtlpTracer  # noqa: PLC0415 - only who traces needs its packages

    ratio = settings.tracing_ratio
    async with OtlpTracer(settings.tracing_endpoint, ratio=ratio, identity=identity, count=metrics.traced) as tracer:
        sending = asyncio.create_task(tracer.run())  # noqa: TID251 - also while we stand by, without an engine
        try:
            yield tracer
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
