"""A whole fleet in one operator: N HealthChecks every 10 s against a server on this machine, after a restart.

Each case is a process of its own: the whole composition with the real prober, the real history on disk, a month of
counts in memory, a scrape of the metrics every 30 s, and an API server that answers from memory and counts writes.
The checks have the status that they were left with. The server probed is another process, and so are those that send
probes in the cases that say so; CPU and memory are those of the operator and its processes together. First comes the
restart, as the operator does it, and one interval in which each check starts once; then a minute is measured, in which
one minute of history is written. The part without checks is what the figures "above idle" are above.

Cases that say so have an objective of 30 days on each check. Then all fails for three minutes, and it is measured
how long after its burn rates crossed the factor (looked at every half second) each objective has the page in its
status. Writes wait at the operator's own gate, as they do before an API server.

Bytes on disk: two hours of 512 checks are written to a database of its own, with the latencies that the case measured.
By what the second hour made it grow a day is reckoned, of all that is written; raw runs and minutes go before that.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import uvloop
from sqlalchemy import Engine, event
from typing_extensions import override

import homeostat.wiring.process  # noqa: F401 - what the operator has in memory
from bench.progress import say
from bench.report import Row, percentile, publish
from homeostat.api.meta import Kind
from homeostat.core.decision import Event
from homeostat.core.health.run import Run
from homeostat.core.history.ledger import Closed
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.core.objective.survey import burn_rates
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref
from homeostat.engine.clock import SystemClock
from homeostat.engine.gate import PacedGate
from homeostat.engine.meters import Meters, minute_of
from homeostat.engine.minutes import LAG_EVERY, book_minutes, keep_unfinished, measure_lag, survey_often
from homeostat.kube.apiserver.gate import Urgency
from homeostat.probe.net.address import Guard
from homeostat.probe.prober import Probes
from homeostat.probe.promql import PromqlProbe
from homeostat.store.history import SqlHistory
from homeostat.telemetry import log
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.compose import Operator, compose
from homeostat.wiring.outside import Outside, network_of
from homeostat.wiring.settings import Settings

FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + b"x" * 128
LOOPBACK = ip_network("127.0.0.0/8")
ADDRESSES = 32
SERVICES = 500
SCRAPE_EVERY = 30.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
CASES = "0,1000,10000,30000,30000/2,10000+slo"
OUTAGE = 180.0  # seconds
PAGE = (HOUR, 300, 14.4)
BAD_SHARE = 0.001
PEAK_AIM = 1.5
UNITS = {
    "probes per second": "1/s", "CPU share of one core": "%", "CPU per probe": "us", "of it in probe processes": "%",
    "lateness p99": "ms", "loop lag p99": "ms", "memory": "MiB", "memory above idle": "MiB", "restart took": "s",
    "peak second / mean second": f"x (aim {PEAK_AIM})", "API writes per check at start": "1",
    "API writes": "1/s", "history rows written": "1/s", "history transactions": "1/s", "bytes on disk": "B/(check d)",
    "metrics page took at most": "ms", "failed or missed runs": "1", "server's share of one core": "%",
}  # fmt: skip
OUTAGE_UNITS = {
    "outage: CPU share of one core": "%", "outage: loop lag p99": "ms", "outage: lateness p99": "ms",
    "outage: memory": "MiB", "outage: API writes": "1/s", "outage: API writes of objectives": "1/s",
    "outage: page after crossing p50": "s", "outage: page after crossing p99": "s",
    "outage: page after crossing at most": "s", "outage: crossed and no page": "1",
}  # fmt: skip
OF_IDLE = ("CPU share of one core", "loop lag p99", "memory")


@dataclass(frozen=True, slots=True)
class Case:
    """How many checks, sent by how many processes (0: the operator's own)."""

    checks: int
    processes: int
    interval: int
    seconds: float
    port: int
    server: int
    status: dict[str, Any] = field(default_factory=dict)
    has_objectives: bool = False

    @property
    def name(self) -> str:
        """Name the case in tables."""
        processes = f", {self.processes} probe processes" if self.processes else ""
        return f"{self.checks} checks{processes}" + (", an objective on each" if self.has_objectives else "")


# --- the world around the operator ----------------------------------------------------------------------


class Server(asyncio.Protocol):
    """Answers any request at once: all is well, or nothing is."""

    answer = ANSWER

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @override
    def data_received(self, _: bytes) -> None:
        self._transport.write(self.answer)
        self._transport.close()


def serve(port: "multiprocessing.Queue[int]") -> None:
    """Run the server to be probed; tell its port. All fails from a SIGUSR1 on, and no longer from a SIGUSR2 on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, setattr, Server, "answer", FAILURE)
        loop.add_signal_handler(signal.SIGUSR2, setattr, Server, "answer", ANSWER)
        server = await asyncio.get_running_loop().create_server(Server, "0.0.0.0", 0, backlog=4096)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


class InMemoryObjects:
    """An API server of nothing but our checks and objectives; counts the writes it gets, and notes who has a page."""

    def __init__(self, case: Case, gate: PacedGate) -> None:
        self._case = case
        self._gate = gate
        self._version = 1_000_000
        self.writes = self.writes_of_objectives = 0
        self.paged_at: dict[str, float] = {}
        self.last: dict[str, Any] = {}

    async def apply_status(
        self,
        kind: Kind,
        ref: Ref,
        status: dict[str, Any],
        *,
        resource_version: str | None = None,
        is_urgent: bool = False,
    ) -> dict[str, Any]:
        await self._gate.pass_(Urgency.STATUS)
        self.writes += 1
        self._version += 1
        self.last = status
        if kind.kind == "HealthCheck":
            body = check(int(ref.name[-5:]), self._case)
        else:
            body = objective(int(ref.name[-5:]))
            self.writes_of_objectives += 1
            if any(alert["severity"] == "Page" and alert["type"] == "BurnRate" for alert in status.get("alerts", ())):
                self.paged_at.setdefault(ref.uid, time.monotonic())
        body["metadata"]["resourceVersion"] = str(self._version)
        return {**body, "status": status}

    async def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        is_check = kind.kind == "HealthCheck"
        is_listed = is_check or (kind.kind == "ServiceLevelObjective" and self._case.has_objectives)
        for number in range(self._case.checks if is_listed else 0):
            if number % 500 == 0:  # a page of the answer
                await asyncio.sleep(0)
            yield check(number, self._case) if is_check else objective(number)


def check(number: int, case: Case) -> dict[str, Any]:
    """Give one HealthCheck as the API server would, defaults filled in."""
    url = f"http://127.0.0.{number % ADDRESSES + 1}:{case.port}/healthz/{number}"
    spec = {
        "service": f"service-{number % SERVICES}", "interval": f"{case.interval}s", "timeout": "2s",
        "failureThreshold": 3, "successThreshold": 2, "retries": {"max": 0, "backoff": "200ms"}, "minPassing": "100%",
        "criticality": "Medium", "dependsOn": [], "suspend": False,
        "probe": {"http": {"url": url, "method": "GET", "headers": {}, "expect": {"status": ["2xx"]}}},
    }  # fmt: skip
    uid = f"00000000-0000-4000-8000-{number:012d}"
    meta = {"name": f"check-{number:05d}", "namespace": "bench", "uid": uid, "generation": 1}
    return {"metadata": {**meta, "resourceVersion": str(number + 1)}, "spec": spec, "status": case.status}


def objective(number: int) -> dict[str, Any]:
    """Give one ServiceLevelObjective on a check as the API server would."""
    uid = f"00000000-0000-4000-9000-{number:012d}"
    spec = {
        "objective": "99.9", "indicator": {"healthCheck": {"name": f"check-{number:05d}", "good": "Passed"}},
        "window": {"rolling": "30d"},
    }  # fmt: skip
    meta = {"name": f"objective-{number:05d}", "namespace": "bench", "uid": uid, "generation": 1}
    return {"metadata": {**meta, "resourceVersion": str(number + 1)}, "spec": spec, "status": {}}


class Silent:
    """Takes events and forgets them."""

    async def record(self, about: Ref, event: Event, now: object) -> None:
        return


async def nothing() -> list[dict[str, Any]]:
    """List no EndpointSlices."""
    return []


async def ready() -> None:
    """Need nothing."""


async def unmarked() -> tuple[Ref, ...]:
    """Find no marks."""
    return ()


# --- what is measured -----------------------------------------------------------------------------------


class Measured(Metrics):
    """Metrics that also keep when each run started, how late, how long probes took, and every lag."""

    def __init__(self) -> None:
        super().__init__()
        self.starts, self.late, self.lags, self.took = (array("d") for _ in range(4))

    @override
    def started_late(self, seconds: float) -> None:
        super().started_late(seconds)
        self.starts.append(time.monotonic())
        self.late.append(seconds)

    @override
    def lagged(self, seconds: float) -> None:
        super().lagged(seconds)
        self.lags.append(seconds)

    @override
    def probed(self, kind: str, result: str, seconds: float) -> None:
        super().probed(kind, result, seconds)
        self.took.append(seconds)

    def forget(self) -> None:
        """Begin anew."""
        for kept in (self.starts, self.late, self.lags, self.took):
            del kept[:]


class Written:
    """Rows and transactions that the database was given, by any connection of this process."""

    def __init__(self) -> None:
        self.rows = self.transactions = 0
        event.listen(Engine, "after_cursor_execute", self._executed)
        event.listen(Engine, "commit", self._committed)

    def _executed(self, _connection: Any, cursor: Any, *_: object) -> None:
        self.rows += max(0, cursor.rowcount)

    def _committed(self, _connection: Any) -> None:
        self.transactions += 1


def cpu(pid: int) -> float:
    """Give the user and system time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> float:
    """Give the resident set of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def children() -> list[int]:
    """Give our child processes."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


def total_runs(operator: Operator) -> int:
    """Count all runs so far."""
    return sum(sum(check.track.counts) for check in operator.checks)


# --- one case -------------------------------------------------------------------------------------------


class Fleet:
    """The operator of one case, and what it is measured with."""

    def __init__(self, case: Case, folder: str) -> None:
        settings = Settings(store_url=f"sqlite+aiosqlite:///{folder}/history.db")
        nobody = cast("Any", None)
        self.case = case
        self.clock, self.metrics, self.objects, self.written = (
            SystemClock(),
            Measured(),
            InMemoryObjects(case, PacedGate(SystemClock(), rate=settings.writes_per_second, refresh_rate=1)),
            Written(),
        )
        self.network = network_of(Guard(allow=[LOOPBACK]), case.processes)
        self.history = SqlHistory(settings.store_url)
        prober = Probes(self.network, cluster=nobody, secrets=nobody, jobs=nobody, promql=PromqlProbe(None))
        outside = Outside(
            cast("Any", self.objects), nobody, nobody, cast("Any", Silent()), prober, self.history, self.clock, nothing,
            unmarked, nobody, nobody, nobody, nobody, nobody, nobody,
        )  # fmt: skip
        gate = PacedGate(self.clock, rate=settings.writes_per_second, refresh_rate=settings.refreshes_per_second)
        self.operator = compose(outside, settings, self.metrics, gate, lambda: True, ready)
        self.slowest_page = 0.0

    async def run(self, measure: Callable[["Fleet"], Any]) -> dict[str, float]:
        """Start as `wiring.process.lead` does, measure, and end."""
        began, operator = time.monotonic(), self.operator
        try:
            await operator.resync.load()
            recall(operator.meters, self.clock.now(), self.case.interval)
            operator.archive.keep(*operator.meters.roll(self.clock.now()))
            gc.freeze()
            async with asyncio.TaskGroup() as tasks:
                jobs = [
                    tasks.create_task(operator.engine.run()),
                    tasks.create_task(operator.archive.run()),
                    tasks.create_task(book_minutes(operator.end_minute, self.clock)),
                    tasks.create_task(survey_often(operator.survey)),
                    tasks.create_task(keep_unfinished(operator.meters, operator.archive)),
                    tasks.create_task(measure_lag(self.metrics, self.clock, LAG_EVERY / 10)),
                    tasks.create_task(self._scrape()),
                ]
                found = await measure(self)
                for job in jobs:
                    job.cancel()
        finally:
            self.network.close()
            await self.history.close()
        return {"restart took": self.opened_at - began, **found}

    async def _scrape(self) -> None:
        self.opened_at = time.monotonic()
        while True:
            await asyncio.sleep(SCRAPE_EVERY)
            began = time.monotonic()
            await self.metrics.page()
            self.slowest_page = max(self.slowest_page, time.monotonic() - began)


def recall(meters: Meters, now: datetime, interval: int) -> None:
    """Fill the windows of all checks and objectives, as a month of history would."""
    for book in meters.books:
        book.roll(minute_of(now))
        names = book.series
        for tier in book.tiers if names else ():
            newest = book.minute * MINUTE // tier.seconds
            counts = [[0], [tier.seconds // interval], [tier.seconds // MINUTE]]
            counted = np.repeat(np.array(counts, dtype=np.float64), len(names), axis=1)
            for number in range(newest - tier.count + 1, newest):
                book.load(Closed(number * tier.seconds, tier.seconds, names, counted))
    for wanted in meters.wanted():
        meters.recalled(wanted)


async def steady(fleet: Fleet) -> dict[str, float]:
    """Give the figures of the first interval, and of the time after it."""
    case, operator, metrics, objects, written = fleet.case, fleet.operator, fleet.metrics, fleet.objects, fleet.written
    await asyncio.sleep(case.interval)
    peak = max(Counter(int(at - fleet.opened_at) for at in metrics.starts).values(), default=0)
    first_writes = objects.writes
    pids = children()
    await settled(operator, case.interval)
    await quiet(objects)
    metrics.forget()
    writes, rows, transactions, probes = objects.writes, written.rows, written.transactions, total_runs(operator)
    before = {pid: cpu(pid) for pid in (os.getpid(), *pids, case.server)}
    began = time.monotonic()
    await asyncio.sleep(case.seconds)
    took = time.monotonic() - began
    spent = {pid: cpu(pid) - before[pid] for pid in before}
    served = spent.pop(case.server)
    probes = total_runs(operator) - probes
    lateness, lag = percentile(metrics.late, 0.99), percentile(metrics.lags, 0.99)
    failed = sum(sum(one.track.counts[1:]) + one.track.missed for one in operator.checks)
    return {
        "peak second / mean second": peak * case.interval / max(1, case.checks),
        "API writes per check at start": first_writes / max(1, case.checks),
        "probes per second": probes / took,
        "CPU share of one core": 100 * sum(spent.values()) / took,
        "CPU per probe": 1e6 * sum(spent.values()) / probes if probes else 0.0,
        "of it in probe processes": 100 * sum(spent[pid] for pid in pids) / max(sum(spent.values()), 1 / TICKS),
        "lateness p99": 1000 * lateness,
        "loop lag p99": 1000 * lag,
        "memory": sum(map(rss, spent)),
        "API writes": (objects.writes - writes) / took,
        "history rows written": (written.rows - rows) / took,
        "history transactions": (written.transactions - transactions) / took,
        "bytes on disk": await bytes_a_day(metrics.took, case.interval) if case.checks else 0.0,
        "metrics page took at most": 1000 * fleet.slowest_page,
        "failed or missed runs": failed,
        "server's share of one core": 100 * served / took,
        **(await outage(fleet) if case.has_objectives else {}),
    }


async def outage(fleet: Fleet) -> dict[str, float]:
    """Let all fail; give what that costs, and how long after its burn rates crossed an objective has its page."""
    operator, metrics, objects = fleet.operator, fleet.metrics, fleet.objects
    metrics.forget()
    writes, of_objectives, pids = objects.writes, objects.writes_of_objectives, (os.getpid(), *children())
    before, began = sum(map(cpu, pids)), time.monotonic()
    os.kill(fleet.case.server, signal.SIGUSR1)
    crossed_at: dict[str, float] = {}
    while time.monotonic() - began < OUTAGE:
        await asyncio.sleep(0.5)
        for name in crossed(operator.meters):
            crossed_at.setdefault(name.partition("/")[2], time.monotonic())
    os.kill(fleet.case.server, signal.SIGUSR2)
    took = time.monotonic() - began
    lags = array("d", (objects.paged_at[uid] - at for uid, at in crossed_at.items() if uid in objects.paged_at))
    return {
        "outage: CPU share of one core": 100 * (sum(map(cpu, pids)) - before) / took,
        "outage: loop lag p99": 1000 * percentile(metrics.lags, 0.99),
        "outage: lateness p99": 1000 * percentile(metrics.late, 0.99),
        "outage: memory": sum(map(rss, pids)),
        "outage: API writes": (objects.writes - writes) / took,
        "outage: API writes of objectives": (objects.writes_of_objectives - of_objectives) / took,
        "outage: page after crossing p50": percentile(lags, 0.5),
        "outage: page after crossing p99": percentile(lags, 0.99),
        "outage: page after crossing at most": max(lags, default=0.0),
        "outage: crossed and no page": len(crossed_at.keys() - objects.paged_at.keys()),
    }


def crossed(meters: Meters) -> list[str]:
    """Name the series of objectives that burn fast enough for a page."""
    book = meters.books[1]
    (long, short), _ = burn_rates(book, PAGE[:2], np.full(book.width, BAD_SHARE))
    names = book.series
    return [names[slot] for slot in np.flatnonzero((long >= PAGE[2]) & (short >= PAGE[2])).tolist()]


async def quiet(objects: InMemoryObjects) -> None:
    """Wait, for at most three minutes, until what was written at the start is written."""
    for _ in range(36):
        writes = objects.writes
        await asyncio.sleep(5)
        if objects.writes - writes <= 100:
            return


async def settled(operator: Operator, interval: int) -> None:
    """Wait half an interval, and for at most three more until no check that was started waits for its turn."""
    crew = operator.engine._probing.crew
    for _ in range(7):
        await asyncio.sleep(interval / 2)
        if not crew.backlog:
            return


async def learn(fleet: Fleet) -> dict[str, Any]:
    """Give the status of a check that has passed for a while."""
    for _ in range(100):
        await asyncio.sleep(0.1)
        if fleet.objects.last.get("state") == "Healthy":
            return fleet.objects.last
    raise SystemExit("a check that passes did not become healthy")


async def bytes_a_day(seconds: Sequence[float], interval: int) -> float:
    """Write two hours of 512 checks; give the bytes a day and check, by the second."""
    checks, start = 512, datetime(2030, 1, 1, tzinfo=UTC)
    meters, latencies = Meters(), cycle(seconds)
    keys = [Ref("HealthCheck", "bench", f"check-{number:05d}", f"{number:032x}") for number in range(checks)]
    slots = [cast("Any", SimpleNamespace(slot=meters.open_check(ref), key=ref)) for ref in keys]
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.db")
        history = SqlHistory(f"sqlite+aiosqlite:///{path}")
        for minute in range(2 * HOUR // MINUTE + 1):
            now = start + timedelta(minutes=minute)
            await history.add(meters.roll(now))
            if now.minute == 0 and minute:
                sizes.append(_size(path))
            for number, one in enumerate(slots):
                for at in range(0, MINUTE, interval):
                    run = Run(Verdict.PASS, Reason.OK, next(latencies), 1, 1)
                    meters.count(one, run, now + timedelta(seconds=at + number * interval / checks))
        await history.close()
    return (sizes[1] - sizes[0]) * 24 / checks


def _size(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.stat().st_size


# --- all cases ------------------------------------------------------------------------------------------


def run_here(case: Case, measure: Callable[[Fleet], Any]) -> None:
    """Run one case in this process, and print what it found."""

    async def main() -> Any:
        with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
            return await Fleet(case, folder).run(measure)

    log.set_up("WARNING")
    print(json.dumps(uvloop.run(main())))


def run_apart(case: Case, *, is_lesson: bool = False) -> dict[str, Any]:
    """Run one case in a process of its own; give what it found."""
    command = [sys.executable, "-m", "bench.fleet", "--lesson" if is_lesson else "--one"]
    told = json.dumps({name: getattr(case, name) for name in case.__slots__})
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(options: argparse.Namespace, port: int, server: int) -> list[Row]:
    """Run the cases and give their figures; memory also above the case without checks."""
    status = run_apart(Case(1, 0, 1, 0.0, port, server), is_lesson=True)
    status.pop("restart took")
    found: list[Row] = []
    idle = 0.0
    for text in options.cases.split(","):
        size, _, with_objectives = text.partition("+")
        checks, _, processes = size.partition("/")
        case = Case(int(checks), int(processes or 0), options.interval, options.seconds, port, server, status,
                    has_objectives=bool(with_objectives))  # fmt: skip
        say(f"{case.name} every {case.interval} s: about {1.5 * case.interval + case.seconds:.0f} s")
        figures = run_apart(case)
        idle = figures["memory"] if case.checks == 0 else idle
        figures["memory above idle"] = figures["memory"] - idle
        say(", ".join(f"{name} {figures[name]:.3g} {UNITS[name]}" for name in OF_IDLE))
        units = UNITS | OUTAGE_UNITS if case.has_objectives else UNITS
        shown = units if case.checks else {name: UNITS[name] for name in OF_IDLE}
        found += [Row(case.name, "homeostat", name, figures[name], unit) for name, unit in shown.items()]
    return found


def main() -> None:
    """Run all cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=CASES, help="numbers of checks, /N: N probe processes, +slo: objectives")
    parser.add_argument("--interval", type=int, default=10, help="seconds")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured per case")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--lesson", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one or options.lesson:
        run_here(Case(**json.load(sys.stdin)), learn if options.lesson else steady)
        return
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[int] = context.Queue()
    server = context.Process(target=serve, args=(queue,), daemon=True)
    server.start()
    port = queue.get(timeout=60)
    try:
        publish("fleet", rows(options, port, server.pid or 0))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
