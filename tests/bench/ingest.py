"""Events pushed through the API, with durable storage: requests and events a second, and how long one waits.

The server is a process of its own, the clients are in this one, on loopback with kept connections; every request has a
key of its own. Subjects, in the same run: `bare` (an aiohttp handler that reads the JSON and answers: no store, nobody
is let in), `each` (ours, with a transaction for each request), and ours on SQLite and, if HOMEOSTAT_BENCH_POSTGRES is
a URL, on PostgreSQL. Rows: {case: "64 clients x 100", subject, metric, value, unit}.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, product
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import mkdtemp
from typing import Any, cast

import uvloop
from aiohttp import web

from bench.progress import say
from bench.report import FOLDER, Row, percentile, publish
from homeostat.core.history.records import Retention
from homeostat.engine.archive import Archive
from homeostat.engine.clock import SystemClock
from homeostat.engine.meters import Meters
from homeostat.engine.minutes import keep_unfinished, recall
from homeostat.engine.objective import ingest as ingest_module
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.counting import Counting
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.kube.authorization.access import ApiAccess
from homeostat.rest.server import serving_api
from homeostat.store.history import SqlHistory
from homeostat.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
PATH = "/api/v1/slo/shop/web/events"
OBJECTIVE = {
    "apiVersion": "homeostat.dev/v1alpha1",
    "kind": "ServiceLevelObjective",
    "metadata": {"namespace": "shop", "name": "web", "uid": "u", "resourceVersion": "1", "generation": 1},
    "spec": {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"events": {}}},
}
_DAYS_30 = timedelta(days=30)
_ids = count()


# --- the server -------------------------------------------------------------------------------------------------


class _YesMan:
    """An API server that knows everybody and allows everything."""

    async def request(self, _method: str, _path: str, **_: object) -> dict[str, Any]:
        return {"status": {"authenticated": True, "user": {"username": "bench"}, "allowed": True}}


@asynccontextmanager
async def ours(store_url: str) -> AsyncIterator[int]:
    """Serve our API as the operator does: books, their snapshots every two seconds, and history."""
    clock, metrics, meters, objects = SystemClock(), Metrics(), Meters(), ObjectStore()
    history = SqlHistory(store_url, Retention())
    archive = Archive(history, clock, metrics)
    objects.put(entry_from(OBJECTIVE, "ServiceLevelObjective"))
    key = Key("ServiceLevelObjective", "shop", "web")
    meters.open_objective(key, "u", Counting(reach=_DAYS_30))
    await recall(meters, archive, clock)

    def end_minute() -> None:
        archive.keep(*meters.roll(clock.now()))

    end_minute()
    ingest = Ingest(objects, meters, history, clock, metrics, end_minute, lambda _: None)
    inbox = AlertInbox(objects, clock, lambda _: None)
    desk = desk_of(objects, ingest, AlertBook(objects), ApiAccess(cast("Any", _YesMan())), clock, inbox)
    async with asyncio.TaskGroup() as tasks:
        works = ingest.run(), archive.run(), keep_unfinished(meters, archive)
        running = [tasks.create_task(work) for work in works]
        async with serving_api("127.0.0.1", 0, lambda: desk) as port:
            yield port
        for task in running:
            task.cancel()
    await history.close()


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """Serve a handler that reads the JSON and answers."""

    async def take(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        return web.json_response({"accepted": len(body["events"]), "duplicate": False})

    app = web.Application()
    app.router.add_post(PATH, take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def serve(subject: str, store_url: str) -> None:
    """Serve a subject until standard input ends; say on which port."""
    if subject == "each":
        ingest_module.MOST_ROWS, ingest_module.GATHER_FOR = 1, 0.0
    async with bare() if subject == "bare" else ours(store_url) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def server(subject: str, store_url: str) -> Iterator[tuple[int, int]]:
    """Run a subject as a process; give its port and process id."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "bench.ingest", "--serve", subject, "--store", store_url]
    with Popen(command, env=env, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.stdin.close()
            process.wait(30)


# --- the clients --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """How long each request took (s), and what the server used (CPU s) in so many seconds."""

    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0


async def client(port: int, body: bytes, until: float, found: Found) -> None:
    """Send one request after the other, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bench\r\nContent-Length: {len(body)}\r\n"
    while (began := time.perf_counter()) < until:
        writer.write(f"{head}Idempotency-Key: {os.getpid()}-{next(_ids)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        found.waits.append(time.perf_counter() - began)
    writer.close()


async def load(port: int, pid: int, clients: int, batch: int, seconds: float) -> Found:
    """Have so many clients push at once."""
    body = json.dumps({"events": [{"good": 1, "bad": 0}] * batch}).encode()
    await all_of(port, body, clients, 0.3, Found())  # warm
    found = Found()
    began, cpu = time.perf_counter(), cpu_of(pid)
    await all_of(port, body, clients, seconds, found)
    found.seconds, found.cpu = time.perf_counter() - began, cpu_of(pid) - cpu
    return found


async def all_of(port: int, body: bytes, clients: int, seconds: float, found: Found) -> None:
    """Run the clients."""
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client(port, body, until, found))


def cpu_of(pid: int) -> float:
    """Give the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows_of(case: str, subject: str, batch: int, found: Found) -> Iterator[Row]:
    """Give the figures of one case."""
    rate = len(found.waits) / found.seconds
    yield Row(case, subject, "requests_per_s", rate, "1/s")
    yield Row(case, subject, "events_per_s", rate * batch, "1/s")
    yield Row(case, subject, "latency_p50", percentile(found.waits, 0.5) * 1e3, "ms")
    yield Row(case, subject, "latency_p99", percentile(found.waits, 0.99) * 1e3, "ms")
    yield Row(case, subject, "cpu_per_request", found.cpu / max(len(found.waits), 1) * 1e6, "us")


async def measure(seconds: float, folder: Path) -> list[Row]:
    """Measure all subjects, case by case."""
    subjects = {name: f"sqlite+aiosqlite:///{folder}/{name}.db" for name in ("bare", "each", "sqlite")}
    told = os.environ.get("HOMEOSTAT_BENCH_POSTGRES")
    if told:
        subjects["postgresql"] = told
    rows: list[Row] = []
    for subject, url in subjects.items():
        with server(subject, url) as (port, pid):
            for clients, batch in product((1, 16, 64), (1, 100)):
                found = await load(port, pid, clients, batch, seconds)
                new = list(rows_of(f"{clients} clients x {batch}", subject, batch, found))
                say(f"{subject}, {clients} clients, batches of {batch}: {new[0].value:,.0f} requests/s")
                rows += new
    return rows


def main() -> None:
    """Measure, or serve for who measures."""
    parser = argparse.ArgumentParser(prog="bench ingest")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each case is measured")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    parser.add_argument("--store", default="", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.serve:
        uvloop.run(serve(told.serve, told.store))
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="ingest-", dir=FOLDER))  # on a real disk, which has to be waited for
    try:
        publish("ingest", uvloop.run(measure(told.seconds, folder)))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
