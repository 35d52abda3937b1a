"""What one probe costs: CPU per run on loopback, 64 at once, for HTTP, HTTPS and TCP on new connections.

Run as `PYTHONPATH=operator:tests python tests/bench/probe_cost.py [RUNS]`; the server is a process of its own,
so that only the prober's CPU time is counted. Prints rows of {case, subject, metric, value, unit}.
"""

import asyncio
import json
import multiprocessing
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import uvloop

from contract.test_probe_tls import AUTHORITY, GOOD, identity
from homeostat.core.probing import HttpRequest, Request, TcpRequest, Verdict
from homeostat.probe.address import Guard
from homeostat.probe.prober import Probes

AT_ONCE = 64
ADDRESSES = 32
ROUNDS = 5
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 224\r\nConnection: close\r\n\r\n" + b"x" * 224

Ports = tuple[int, int]


class Answering(asyncio.Protocol):
    """Answers whatever is asked, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self.transport.write(RESPONSE)
        self.transport.close()


def serve(ports: "multiprocessing.Queue[Ports]") -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory() as folder:
            context = identity(Path(folder), GOOD)
        plain = await loop.create_server(Answering, "0.0.0.0", 0, backlog=4096)
        secure = await loop.create_server(Answering, "0.0.0.0", 0, backlog=4096, ssl=context)
        ports.put((plain.sockets[0].getsockname()[1], secure.sockets[0].getsockname()[1]))
        await asyncio.Event().wait()

    uvloop.run(run())


async def measure(probes: Probes, make: Callable[[str], Request], runs: int) -> float:
    """Give microseconds of CPU per probe."""
    requests = [make(f"127.0.0.{number + 1}") for number in range(ADDRESSES)]

    async def work(first: int) -> None:
        for turn in range(runs // AT_ONCE):
            result = await probes.probe(requests[(first + turn) % ADDRESSES], 5.0)
            assert result.verdict is Verdict.PASS, result

    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        for first in range(AT_ONCE):
            group.create_task(work(first))
    return (time.process_time() - started) / runs * 1e6


async def bench(ports: Ports, runs: int) -> list[dict[str, Any]]:
    guard = Guard(allow=[ip_network("127.0.0.0/8")])
    probes = Probes(guard, cast("Any", None), tls=ssl.create_default_context(cadata=AUTHORITY))
    plain, secure = ports
    cases: dict[str, tuple[Callable[[str], Request], int]] = {
        "http": (lambda address: HttpRequest("shop.test", plain, address=address), runs),
        "https": (lambda address: HttpRequest("shop.test", secure, address=address, is_tls=True), runs // 8),
        "tcp": (lambda address: TcpRequest("shop.test", plain, address=address), runs),
    }
    rounds = [[await measure(probes, *case) for case in cases.values()] for _ in range(ROUNDS)]
    probes.close()
    return [
        {"case": case, "subject": "homeostat", "metric": "cpu per probe", "value": round(value, 1), "unit": "us"}
        for case, value in zip(cases, map(statistics.median, zip(*rounds, strict=True)), strict=True)
    ]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 12_800
    ports: multiprocessing.Queue[Ports] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    try:
        for row in uvloop.run(bench(ports.get(timeout=10), runs)):
            print(json.dumps(row))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
