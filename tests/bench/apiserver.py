"""3,000 HealthChecks on a real API server: how fast each gets its status, and what that costs; beside plain Kopf.

Each turn has a namespace of its own: objects that are there already when the operator starts, then as many that
are created while it runs. Both operators write the same kind of status to the same CRD; requests are counted by
the API server itself. The order alternates between rounds; figures are medians, failures sums, over the rounds.
"""

import argparse
import asyncio
import contextlib
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import uuid4

from bench.cluster_api import Api, Sample, complete, connected
from bench.progress import say
from bench.report import Row, percentile, publish
from bench.subject import HOMEOSTAT, KOPF, Subject, Usage

OURS = "/apis/homeostat.dev/v1alpha1"
AT_ONCE = 16
INTERVAL = 60  # seconds between two runs of a check: probing is not what is measured
PATIENCE = 300.0  # seconds for all objects of a case; those without status then are counted
WRITES = frozenset({"APPLY", "PATCH", "PUT", "UPDATE"})
IDLE, STARTED, CREATED = "no objects", "present at the start", "created while it runs"
PROBED, ALONE = "until each was probed", "created one by one"
ALONE_COUNT = 100
SUMMED = frozenset({"failed or timed-out requests", "refused writes", "without status"})

Found = dict[tuple[str, str, str], list[float]]
"""Values by (case, subject, metric), one a round."""

UNITS = {
    "time until all have status": "s", "create to status p50": "s", "create to status p99": "s",
    "PATCHes per object": "1", "event writes per object": "1", "refused writes": "1", "without status": "1",
    "failed or timed-out requests": "1", "peak memory": "MiB", "memory above idle": "MiB", "CPU": "s",
    "CPU of the API server": "s",
}  # fmt: skip


@dataclass
class Seen:
    """Which objects were created when, and seen with a status when (monotonic seconds)."""

    created: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)

    def see(self, body: dict[str, Any]) -> None:
        """Take a version of an object."""
        status = body.get("status") or {}
        is_told = status.get("observedGeneration", 0) >= 1
        if is_told and any(one["type"] == "Ready" for one in status.get("conditions", ())):
            self.told.setdefault(body["metadata"]["name"], time.monotonic())


@dataclass(frozen=True, slots=True)
class Counts:
    """What the API server and the operator have spent so far."""

    patches: float
    refused: float
    events: float
    server_cpu: float
    failures: float
    usage: Usage


async def count(api: Api, subject: Subject | None) -> Counts:
    """Read all counters; without an operator its own are 0."""
    samples = await api.metrics()
    failures = await asyncio.to_thread(subject.failures) if subject else 0.0
    return Counts(
        patches=sum(value for _, value in writes_of(samples, "healthchecks")),
        refused=sum(value for code, value in writes_of(samples, "healthchecks") if not code.startswith("2")),
        events=sum(value for _, value in writes_of(samples, "events")),
        server_cpu=sum(value for name, _, value in samples if name == "process_cpu_seconds_total"),
        failures=failures,
        usage=subject.usage() if subject else Usage(0.0, 0.0),
    )


def writes_of(samples: Iterable[Sample], resource: str) -> list[tuple[str, float]]:
    """Give (code, count) of the writes to a resource; making an event is one, making a HealthCheck is ours."""
    verbs = WRITES | {"POST"} if resource == "events" else WRITES
    return [
        (labels["code"], value)
        for name, labels, value in samples
        if name == "apiserver_request_total" and labels["resource"] == resource and labels["verb"] in verbs
    ]


def check(name: str, port: int) -> dict[str, Any]:
    """Give a HealthCheck that costs next to nothing to run: whether a local port takes connections, once a minute."""
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": name},
        "spec": {
            "interval": f"{INTERVAL}s", "timeout": "1s", "successThreshold": 1,
            "probe": {"tcp": {"address": f"127.0.0.1:{port}"}},
        },
    }  # fmt: skip


async def create(api: Api, path: str, names: list[str], port: int, seen: Seen) -> None:
    """Create so many, a few at once, and note when each was there."""
    waiting = iter(names)

    async def work() -> None:
        for name in waiting:
            await api.call("POST", path, check(name, port))
            seen.created[name] = time.monotonic()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


async def until_told(seen: Seen, names: list[str], subject: Subject) -> None:
    """Wait until each has a status, or patience ends."""
    give_up_at, tell_at = time.monotonic() + PATIENCE, time.monotonic() + 5
    while (missing := len(names) - sum(name in seen.told for name in names)) and time.monotonic() < give_up_at:
        subject.demand_life()
        if time.monotonic() >= tell_at:
            say(f"  {missing} of {len(names)} still without status")
            tell_at += 5
        await asyncio.sleep(0.1)


class Turn:
    """One operator, one round."""

    def __init__(self, api: Api, name: str, found: Found) -> None:
        self.name = name
        self._api = api
        self._found = found
        self._namespace = f"bench-{name.rpartition(' ')[2].lower()}-{uuid4().hex[:6]}"
        self._path = f"{OURS}/namespaces/{self._namespace}/healthchecks"
        self._seen = Seen()
        self._idle_peak = 0.0

    async def run(self, many: int, port: int) -> None:
        """Measure all cases, and remove what was created."""
        old, new = ([f"{word}-{number:05d}" for number in range(many)] for word in ("old", "new"))
        await self._api.call("POST", "/api/v1/namespaces", {"metadata": {"name": self._namespace}})
        try:
            await self._idle()
            say(f"{self.name}: creating {many} objects in {self._namespace}")
            await create(self._api, self._path, old, port, self._seen)
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._api.follow(self._path, self._seen.see))
                await self._measure(old, new, port)
                watching.cancel()
        finally:
            await self._remove()

    async def _idle(self) -> None:
        """See what the operator needs before there is anything to do."""
        say(f"{self.name}: starting the operator with nothing to do")
        subject = Subject(self.name, self._namespace)
        try:
            await asyncio.sleep(8)
            subject.demand_life()
            self._idle_peak = subject.usage().peak
            self._put(IDLE, "peak memory", self._idle_peak)
            self._put(IDLE, "CPU", subject.usage().cpu)
        finally:
            subject.stop()

    async def _measure(self, old: list[str], new: list[str], port: int) -> None:
        before, began = await count(self._api, None), time.monotonic()
        say(f"{self.name}: starting the operator")
        subject = Subject(self.name, self._namespace)
        try:
            await until_told(self._seen, old, subject)
            after = await self._note(STARTED, subject, old, before)
            self._put(STARTED, "time until all have status", max(self._seen.told.values(), default=began) - began)
            say(f"{self.name}: creating {len(new)} more")
            await self._grow(new, port, subject, after)
            if self.name == HOMEOSTAT:
                await self._settle(subject, old + new, before)
            await self._trickle(port, subject)
        finally:
            subject.stop()

    async def _trickle(self, port: int, subject: Subject) -> None:
        """Create some with pauses, so that what is measured is the reaction and not a queue."""
        say(f"{self.name}: creating {ALONE_COUNT} one by one")
        names = [f"alone-{number:05d}" for number in range(ALONE_COUNT)]
        for name in names:
            await create(self._api, self._path, [name], port, self._seen)
            await asyncio.sleep(0.1)
        await until_told(self._seen, names, subject)
        self._put_waits(ALONE, names)

    async def _grow(self, names: list[str], port: int, subject: Subject, before: Counts) -> None:
        began = time.monotonic()
        await create(self._api, self._path, names, port, self._seen)
        await until_told(self._seen, names, subject)
        await self._note(CREATED, subject, names, before)
        last = max((self._seen.told.get(name, began) for name in names), default=began)
        self._put(CREATED, "time until all have status", last - began)
        self._put_waits(CREATED, names)

    def _put_waits(self, case: str, names: list[str]) -> None:
        told, created = self._seen.told, self._seen.created
        waits = [max(0.0, told[name] - created[name]) for name in names if name in told]
        self._put(case, "create to status p50", percentile(waits, 0.5))
        self._put(case, "create to status p99", percentile(waits, 0.99))

    async def _settle(self, subject: Subject, names: list[str], before: Counts) -> None:
        """Let each check run once, after which its state is known."""
        say(f"{self.name}: letting each check run once")
        await asyncio.sleep(INTERVAL + 5)
        await self._note(PROBED, subject, names, before)

    async def _note(self, case: str, subject: Subject, names: list[str], before: Counts) -> Counts:
        after = await count(self._api, subject)
        self._put(case, "without status", sum(name not in self._seen.told for name in names))
        self._put(case, "PATCHes per object", (after.patches - before.patches) / len(names))
        self._put(case, "event writes per object", (after.events - before.events) / len(names))
        self._put(case, "refused writes", after.refused - before.refused)
        self._put(case, "failed or timed-out requests", after.failures - before.failures)
        self._put(case, "peak memory", after.usage.peak)
        self._put(case, "memory above idle", after.usage.peak - self._idle_peak)
        self._put(case, "CPU", after.usage.cpu - before.usage.cpu)
        self._put(case, "CPU of the API server", after.server_cpu - before.server_cpu)
        return after

    def _put(self, case: str, metric: str, value: float) -> None:
        say(f"    {case}: {metric} {value:.3f} {UNITS[metric]}")
        self._found[case, self.name, metric].append(value)

    async def _remove(self) -> None:
        say(f"{self.name}: removing the objects")
        await self._api.call("DELETE", self._path)
        await self._api.call("DELETE", f"/api/v1/namespaces/{self._namespace}")


@contextlib.asynccontextmanager
async def taking_port() -> AsyncIterator[int]:
    """Take connections on a free local port."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield server.sockets[0].getsockname()[1]


def rows(found: Found) -> list[Row]:
    """Join the rounds, and put plain Kopf in proportion to us where both have a figure."""
    joined = {key: sum(values) if key[2] in SUMMED else median(values) for key, values in found.items()}
    made = [Row(case, who, metric, value, UNITS[metric]) for (case, who, metric), value in joined.items()]
    for (case, who, metric), ours in joined.items():
        theirs = joined.get((case, KOPF, metric), 0.0)
        if who == HOMEOSTAT and ours and theirs:
            made.append(Row(case, f"{KOPF} / {HOMEOSTAT}", metric, theirs / ours, "x"))
    return sorted(made, key=lambda row: (row.case, row.metric, row.subject))


async def bench(many: int, rounds: int) -> list[Row]:
    """Run all turns."""
    found: Found = defaultdict(list)
    async with connected() as api, taking_port() as port:
        for number in range(rounds):
            order = (HOMEOSTAT, KOPF) if number % 2 == 0 else (KOPF, HOMEOSTAT)
            for name in order:
                say(f"round {number + 1} of {rounds}: {name}")
                await Turn(api, name, found).run(many, port)
    return rows(found)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="objects a case")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    publish("apiserver", complete(bench(options.count, options.rounds)))


if __name__ == "__main__":
    main()
