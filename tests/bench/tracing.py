"""What tracing costs: a probe and an evaluation without it, with it at several ratios, and what sending takes.

`PYTHONPATH=operator:tests .venv/bin/python -m bench.tracing`. Everything round it is faked: what is measured is the
engine's own way round a probe and an evaluation, in microseconds, the best of several rounds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from bench.report import Row, publish
from contract.otlp_collector import collecting
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.engine.objects import Key
from homeostat.engine.telling import facts_of, trace_result
from homeostat.ports import UNTRACED, Tracer
from homeostat.telemetry.tracing import AT_ONCE, OtlpTracer

ROUNDS, TIMES = 7, 4000
KEY = Key("HealthCheck", "shop", "web")
RESULT = Result(Verdict.PASS, Reason.OK, 0.02, 200, Phases(0.001, 0.002, 0.003, 0.01, 0.004))


async def probe(tracer: Tracer) -> None:
    """Do what `Probing` does for traces in one run of a check with one endpoint."""
    with tracer.span("probe", facts_of(KEY) if tracer.is_on else {}, is_root=True):
        if tracer.is_kept:
            trace_result(tracer, "http", RESULT)
        tracer.note({"homeostat.probe.result": "Pass", "homeostat.probe.reason": "Ok"})


async def evaluate(tracer: Tracer) -> None:
    """Do what the reconciler does for traces in one evaluation with one write."""
    with tracer.span("evaluate", facts_of(KEY) if tracer.is_on else {}, is_root=True):
        if tracer.is_on:
            with tracer.span("api request", {"homeostat.resource": "healthchecks/status"}):
                tracer.event("answered", {"http.response.status_code": 200})
        tracer.note({"homeostat.outcome": "Done"})


async def nothing(_tracer: Tracer) -> None:
    """Do nothing: what the measuring itself costs."""


@asynccontextmanager
async def tracer_of(ratio: float | None) -> AsyncIterator[Tracer]:
    """Give a tracer that keeps some, all or nothing; None is the one that is off."""
    if ratio is None:
        yield UNTRACED
        return
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(collecting())
        tracer = OtlpTracer(collector.url, ratio=ratio, identity="bench", count=lambda _outcome, _count: None)
        yield await stack.enter_async_context(tracer)


async def cost(do: Callable[[Tracer], Awaitable[None]], tracer: Tracer) -> float:
    """Give microseconds of one, the best of several rounds; what was told is thrown away in between."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            await do(tracer)
        best = min(best, (time.perf_counter() - began) / TIMES)
        if isinstance(tracer, OtlpTracer):
            tracer._waiting.clear()
    return best * 1e6


async def encoding() -> float:
    """Give milliseconds to make one request of as many spans as go at once: so long the loop does nothing else."""
    tracer = OtlpTracer("http://nobody", ratio=1, identity="bench", count=lambda _outcome, _count: None)
    for _ in range(AT_ONCE):
        await probe(tracer)
    best = float("inf")
    for _ in range(ROUNDS * 20):
        began = time.perf_counter()
        encode_spans([tracer._readable(one) for one in tracer._waiting]).SerializeToString()
        best = min(best, time.perf_counter() - began)
    return best * 1e3


async def main() -> list[Row]:
    """Measure all, and print."""
    rows: list[Row] = []
    for name, do in (("nothing", nothing), ("probe", probe), ("evaluation", evaluate)):
        for ratio in (None, 0.0, 0.1, 1.0):
            async with tracer_of(ratio) as tracer:
                told = "off" if ratio is None else f"ratio {ratio:g}"
                rows.append(Row(name, told, "time", await cost(do, tracer), "µs"))
    took = await encoding()
    rows += [
        Row("sending", f"{AT_ONCE} spans", "hold of the loop", took, "ms"),
        Row("sending", "1 span", "time", 1e3 * took / AT_ONCE, "µs"),
    ]
    return rows


if __name__ == "__main__":
    publish("tracing", asyncio.run(main()))
