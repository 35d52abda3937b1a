"""The engine under load: N HealthChecks every 10 s against a local server, for growing N.

Each case is a process of its own: the whole composition with the real prober, the real history store on disk and
an API server that answers from memory and counts writes. The server probed is another process. CPU is user and
system time of the engine's process in steady state, memory its resident set above that of the case without checks.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import uvloop

from bench.report import Row, percentile, publish
from homeostat.api.meta import Kind
from homeostat.core.decision import Event, Ref
from homeostat.engine.clock import SystemClock
from homeostat.engine.gate import PacedGate
from homeostat.engine.minutes import book_minutes, measure_lag
from homeostat.probe.address import Guard
from homeostat.probe.prober import Probes
from homeostat.store.history import SqlHistory
from homeostat.telemetry import log
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.compose import Operator, Outside, compose
from homeostat.wiring.settings import Settings

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + b"x" * 128
LOOPBACK = ip_network("127.0.0.0/8")


class Server(asyncio.Protocol):
    """Answers any request at once."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(ANSWER)
        self._transport.close()


def serve(port: "multiprocessing.Queue[int]") -> None:
    """Run the server to be probed; tell its port."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


class InMemoryObjects:
    """An API server of nothing but our objects; counts the writes it gets."""

    def __init__(self, port: int, interval: int) -> None:
        self.port = port
        self.interval = interval
        self.writes = 0
        self.version = 1_000_000

    async def apply_status(
        self,
        kind: Kind,
        ref: Ref,
        status: dict[str, Any],
        *,
        resource_version: str | None = None,
        is_urgent: bool = False,
    ) -> dict[str, Any]:
        self.writes += 1
        self.version += 1
        body = check(int(ref.name[-5:]), self.port, self.interval)
        body["metadata"]["resourceVersion"] = str(self.version)
        return {**body, "status": status}

    async def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        return
        yield {}


class Silent:
    """Takes events and forgets them."""

    async def record(self, about: Ref, event: Event, now: object) -> None:
        return


class Measured(Metrics):
    """Metrics that also keep every lateness and lag, for exact percentiles."""

    def __init__(self) -> None:
        super().__init__()
        self.late = array("d")
        self.lags = array("d")

    def started_late(self, seconds: float) -> None:
        super().started_late(seconds)
        self.late.append(seconds)

    def lagged(self, seconds: float) -> None:
        super().lagged(seconds)
        self.lags.append(seconds)


def check(number: int, port: int, interval: int) -> dict[str, Any]:
    """Give one HealthCheck as the API server would, defaults filled in."""
    name = f"check-{number:05d}"
    spec = {
        "service": f"service-{number % 500}", "interval": f"{interval}s", "timeout": "2s", "failureThreshold": 3,
        "successThreshold": 2, "retries": {"max": 0, "backoff": "200ms"}, "minPassing": "100%",
        "criticality": "Medium", "dependsOn": [], "suspend": False,
        "probe": {
            "http": {
                "url": f"http://127.0.0.1:{port}/healthz/{number}", "method": "GET", "headers": {},
                "expect": {"status": ["2xx"]},
            }
        },
    }  # fmt: skip
    meta = {"name": name, "namespace": "bench", "uid": f"00000000-0000-4000-8000-{number:012d}", "generation": 1}
    return {
        "metadata": {**meta, "resourceVersion": str(number + 1)},
        "spec": spec,
        "status": {"observedGeneration": -1},
    }


def rss() -> float:
    """Give our resident set in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu() -> float:
    """Give our user and system time in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def nothing() -> list[dict[str, Any]]:
    """List no EndpointSlices."""
    return []


async def ready() -> None:
    """Need nothing."""


async def unmarked() -> tuple[Ref, ...]:
    """Find no marks."""
    return ()


async def measure(count: int, port: int, interval: int, seconds: float) -> dict[str, float]:
    """Run one case in this process."""
    clock, metrics, objects = SystemClock(), Measured(), InMemoryObjects(port, interval)
    guard = Guard(allow=[LOOPBACK])
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(store_url=f"sqlite+aiosqlite:///{folder}/history.db", allow_networks=(LOOPBACK,))
        prober, history = Probes(guard, None), SqlHistory(settings.store_url)  # type: ignore[arg-type]
        outside = Outside(
            objects, None, None, Silent(), prober, history, clock, nothing, unmarked,  # type: ignore[arg-type]
        )  # fmt: skip
        gate = PacedGate(clock, rate=settings.writes_per_second, refresh_rate=settings.refreshes_per_second)
        operator = compose(outside, settings, metrics, gate, lambda: True, ready)
        found: dict[str, float] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                jobs = [
                    tasks.create_task(operator.engine.run()),
                    tasks.create_task(operator.archive.run()),
                    tasks.create_task(book_minutes(operator.meters, operator.archive, clock)),
                    tasks.create_task(measure_lag(metrics, clock, every=0.1)),
                ]
                await operator.resync.load()
                operator.meters.roll(clock.now())
                for number in range(count):
                    operator.engine.see("HealthCheck", "", check(number, port, interval))
                    if number % 100 == 0:
                        await asyncio.sleep(0)
                found = await observe(operator, objects, metrics, interval, seconds)
                for job in jobs:
                    job.cancel()
        finally:
            prober.close()
            await history.close()
    return found


async def observe(
    operator: Operator, objects: InMemoryObjects, metrics: Measured, interval: int, seconds: float
) -> dict[str, float]:
    """Let it settle for three intervals, then measure; a minute's end is always within."""
    await asyncio.sleep(3 * interval)
    del metrics.late[:], metrics.lags[:]
    writes, cpu_before, began = objects.writes, cpu(), time.monotonic()
    probes_before = total_runs(operator)
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    used = cpu() - cpu_before
    probes = total_runs(operator) - probes_before
    return {
        "probes per second": probes / took,
        "share of one core": 100 * used / took,
        "CPU per probe": 1e6 * used / probes if probes else 0.0,
        "lateness p99": 1000 * percentile(metrics.late, 0.99),
        "loop lag p99": 1000 * percentile(metrics.lags, 0.99),
        "memory": rss(),
        "writes at start per object": writes / max(1, len(operator.store)),
        "writes in steady state": (objects.writes - writes) / took,
        "failed runs": float(sum(check.track.counts[1] for check in operator.checks)),
    }


def total_runs(operator: Operator) -> int:
    """Count all runs so far."""
    return sum(sum(check.track.counts) for check in operator.checks)


UNITS = {
    "probes per second": "1/s", "share of one core": "%", "CPU per probe": "us", "lateness p99": "ms",
    "loop lag p99": "ms", "memory": "MiB", "memory above idle": "MiB", "writes at start per object": "1",
    "writes in steady state": "1/s", "failed runs": "1",
}  # fmt: skip


def main() -> None:
    """Run all cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default="0,1000,3000,10000")
    parser.add_argument("--interval", type=int, default=10, help="seconds")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured per case")
    parser.add_argument("--one", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one >= 0:
        log.set_up("WARNING")
        print(json.dumps(uvloop.run(measure(options.one, options.port, options.interval, options.seconds))))
        return
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[int] = context.Queue()
    server = context.Process(target=serve, args=(queue,), daemon=True)
    server.start()
    port = queue.get(timeout=30)
    try:
        publish("engine", rows(options, port))
    finally:
        server.terminate()
        server.join()


def rows(options: argparse.Namespace, port: int) -> list[Row]:
    """Run the cases and give their figures; memory also above the case without checks."""
    found: list[Row] = []
    idle = 0.0
    for count in (int(text) for text in options.counts.split(",")):
        print(
            f"{count} checks every {options.interval} s: about {3 * options.interval + options.seconds:.0f} s",
            flush=True,
        )
        command = [sys.executable, "-m", "bench.engine", "--one", str(count), "--port", str(port)]
        command += ["--interval", str(options.interval), "--seconds", str(options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        idle = figures["memory"] if count == 0 else idle
        figures["memory above idle"] = figures["memory"] - idle
        found += [Row(f"{count} checks", "homeostat", name, value, UNITS[name]) for name, value in figures.items()]
    return found


if __name__ == "__main__":
    main()
