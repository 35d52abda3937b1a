"""How long a decision takes: a check's answer changes, and an action is issued, beside 1,000 policies, 10,000 checks.

The whole composition in one process, with a prober that answers from memory, an API server that is a dictionary, and
a cluster whose workloads do as they are told. Nothing of the outside takes time, so what is measured is the way from
the answer of a probe by its check, the policy that looks at it, all that this policy reads, its gates, its intent on
record and the lock and the token before its action. All checks run every 10 s meanwhile. A part of the run is shown
by where its time goes, with --profile.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, cast

import uvloop

from bench.fleet import Silent, cpu, nothing, ready, rss, unmarked
from bench.progress import say
from bench.report import Row, percentile, publish
from homeostat.api.meta import Kind
from homeostat.core.action import Action, Outcome, RestartRollout, Verb
from homeostat.core.cluster import Lock, Namespace, Node, Pod, Right, TokenBudget, Workload
from homeostat.core.probing.request import Request
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.ref import Ref
from homeostat.engine.clock import SystemClock
from homeostat.engine.gate import PacedGate
from homeostat.store.history import SqlHistory
from homeostat.telemetry import log
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.compose import compose
from homeostat.wiring.outside import Outside
from homeostat.wiring.settings import Settings

AIM = 0.025  # seconds, p99
INTERVAL = 10.0  # seconds, of the checks
DONE = Outcome(Verb.DONE)
PASS = Result(Verdict.PASS, Reason.OK, 0.001)
FAIL = Result(Verdict.FAIL, Reason.TIMEOUT, 0.001)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    policies: int
    checks: int
    namespaces: int

    def place(self, number: int) -> str:
        """Give the namespace of a policy or check."""
        return f"shop-{number % self.namespaces}"


# --- the world ------------------------------------------------------------------------------------------


class Signals:
    """A prober that answers from memory, and tells when it first gave a bad answer."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.told: dict[str, float] = {}

    async def probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - the port's
        name = cast("Any", request).target.lstrip("/")
        await asyncio.sleep(0)
        if name not in self.broken:
            return PASS
        self.told.setdefault(name, time.monotonic())
        return FAIL


class Memory:
    """An API server of nothing but our own kinds."""

    def __init__(self, size: Size) -> None:
        self._version = 1_000_000
        self.writes = 0
        self._bodies: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for number in range(size.checks):
            self._bodies["HealthCheck"][name_of("check", number)] = check(number, size)
        for number in range(size.policies):
            self._bodies["RecoveryPolicy"][name_of("policy", number)] = policy(number, size)

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
        self._version += 1
        await asyncio.sleep(0)
        body = self._bodies[kind.kind][ref.name]
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._version)}, "status": status}
        self._bodies[kind.kind][ref.name] = body
        return body

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return self._bodies[kind.kind][name]

    async def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        for found in list(self._bodies[kind.kind].values()):
            yield found

    def status(self, number: int) -> dict[str, Any]:
        """Give the status of a policy."""
        found: dict[str, Any] = self._bodies["RecoveryPolicy"][name_of("policy", number)].get("status") or {}
        return found


class Workloads:
    """A cluster of one Deployment for each policy, which is what the last action made it; all rights are given."""

    def __init__(self) -> None:
        self.acted: dict[str, float] = {}
        self._restarts: dict[str, str] = {}

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        await asyncio.sleep(0)
        pods = tuple(pod(namespace, f"{name}-{number}") for number in range(3))
        restart = self._restarts.get(name, "")
        return Workload(
            Ref(kind, namespace, name, f"uid-{name}"), f"1-{restart}", 1, 1, 3, 3, 3, 3, f"app={name}",
            pods=pods, restart_id=restart,
        )  # fmt: skip

    workload = named

    async def lock(self, target: Ref) -> Lock | None:
        await asyncio.sleep(0)
        return None

    async def token_budget(self, now: datetime) -> TokenBudget:
        await asyncio.sleep(0)
        return TokenBudget(0, 10_000)

    async def namespace(self, name: str) -> Namespace | None:
        await asyncio.sleep(0)
        return Namespace(name, is_terminating=False)

    async def nodes(self, names: Collection[str]) -> tuple[Node, ...]:
        return ()

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        await asyncio.sleep(0)
        return ()

    async def is_in_force(self, name: str) -> bool:
        return False

    async def act(self, action: Action, now: datetime) -> Outcome:
        if isinstance(action, RestartRollout):
            self.acted.setdefault(action.target.name, time.monotonic())
            self._restarts[action.target.name] = action.id
        await asyncio.sleep(0)
        return DONE


def pod(namespace: str, name: str) -> Pod:
    """Give a pod that is well."""
    ref = Ref("Pod", namespace, name, f"uid-{name}")
    return replace(_POD, ref=ref)


_POD = Pod(
    Ref("Pod", "", "", ""), "1", "10.0.0.1", "node", "Running", is_ready=True, is_terminating=False, restarts=0,
    created_at=datetime.fromisoformat("2026-11-01T00:00:00Z"),
)  # fmt: skip


def name_of(what: str, number: int) -> str:
    """Name the policy, check or target of a number."""
    return f"{what}-{number:05d}"


def check(number: int, size: Size) -> dict[str, Any]:
    """Give one HealthCheck as the API server would."""
    name = name_of("check", number)
    spec = {
        "interval": f"{INTERVAL:.0f}s", "timeout": "1s", "failureThreshold": 1, "successThreshold": 1,
        "probe": {"http": {"url": f"http://192.0.2.1/{name}"}},
    }  # fmt: skip
    return body("HealthCheck", name, size.place(number), spec)


def policy(number: int, size: Size) -> dict[str, Any]:
    """Give one RecoveryPolicy, of the first of its checks."""
    spec = {
        "mode": "Auto",
        "target": {"kind": "Deployment", "name": name_of("target", number)},
        "triggers": [{"healthCheck": {"name": name_of("check", number)}}],
        "steps": [{"rolloutRestart": {}}, {"escalate": {}}],
        "limits": {"cooldown": "1h", "maxUnhealthy": "100%", "budget": {"actions": 100}},
        "verify": {"stabilise": "0s", "holdFor": "1s", "deadline": "1m"},
    }
    return body("RecoveryPolicy", name_of("policy", number), size.place(number), spec)


def body(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Give an object."""
    meta = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}", "generation": 1, "resourceVersion": "1"}
    return {"apiVersion": "homeostat.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": dict(spec), "status": {}}


# --- what is measured -----------------------------------------------------------------------------------


def world(size: Size, folder: str) -> tuple[Any, Signals, Memory, Workloads, SqlHistory]:
    """Compose the operator in this world."""
    settings = settings_for(folder)
    signals, memory, workloads, clock = Signals(), Memory(size), Workloads(), SystemClock()
    history = SqlHistory(settings.store_url)
    known: dict[str, Any] = {
        "objects": memory, "cluster": workloads, "targets": workloads, "rights": workloads, "actuator": workloads,
        "admission": workloads, "recorder": Silent(), "prober": signals, "history": history, "clock": clock,
        "slices": nothing, "find_marked": unmarked,
    }  # fmt: skip
    whole: Any = {one.name: known.get(one.name) for one in fields(Outside)}
    outside = Outside(**whole)
    gate = PacedGate(clock, rate=settings.writes_per_second, refresh_rate=settings.refreshes_per_second)
    return compose(outside, settings, Metrics(), gate, lambda: True, ready), signals, memory, workloads, history


def settings_for(folder: str) -> Settings:
    """Give settings under which a thousand policies may act at once."""
    wanted: dict[str, Any] = {"store_url": f"sqlite+aiosqlite:///{folder}/history.db", "storm_policies": 1_000}
    return Settings(**{name: value for name, value in wanted.items() if name in Settings.model_fields})


async def measure(size: Size, changes: int, every: float, profile: cProfile.Profile | None) -> list[Row]:
    """Break one check after another, and wait for the action of its policy."""
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        operator, signals, memory, workloads, history = world(size, folder)
        try:
            await operator.resync.load()
            async with asyncio.TaskGroup() as tasks:
                jobs = [tasks.create_task(operator.engine.run()), tasks.create_task(operator.archive.run())]
                say("loaded; one interval passes in which each check runs for the first time")
                await asyncio.sleep(2 * INTERVAL)
                gc.collect()
                gc.freeze()  # as the operator does once it has loaded
                found = await broken_one_by_one(size, changes, every, profile, (signals, memory, workloads))
                for job in jobs:
                    job.cancel()
        finally:
            await history.close()
    return found


async def broken_one_by_one(
    size: Size, changes: int, every: float, profile: cProfile.Profile | None, world: tuple[Signals, Memory, Workloads]
) -> list[Row]:
    """Break checks; give how long it took each time, and what it cost."""
    signals, memory, workloads = world
    chosen = list(range(0, size.policies, max(1, size.policies // changes)))[:changes]
    before, began = cpu(_own()), time.monotonic()
    if profile:
        profile.enable()
    for count, number in enumerate(chosen, 1):
        signals.broken.add(name_of("check", number))
        await asyncio.sleep(every)
        if count % 50 == 0:
            say(f"{count} of {len(chosen)} checks broken, {len(workloads.acted)} actions")
    await asyncio.sleep(INTERVAL + 2)
    if profile:
        profile.disable()
    took = time.monotonic() - began
    spent = cpu(_own()) - before
    for number in chosen:
        if name_of("target", number) not in workloads.acted:
            say(f"no action of policy {number}: {shown(memory.status(number))}")
            break
    delays = [
        workloads.acted[name_of("target", number)] - signals.told[name_of("check", number)]
        for number in chosen
        if name_of("target", number) in workloads.acted
    ]
    return [
        *rows(size, delays, len(chosen), 100 * spent / took),
        Row(named(size), "homeostat", "seconds between changes", every, "s"),
        Row(named(size), "homeostat", "load of the machine", os.getloadavg()[0], f"of {os.cpu_count()} cores"),
    ]


def named(size: Size) -> str:
    """Name the case."""
    return f"{size.policies} policies, {size.checks} checks"


def shown(status: Mapping[str, Any]) -> str:
    """Say where a policy stands."""
    return f"{status.get('phase')} {status.get('blocked')} {status.get('signals')}"


def rows(size: Size, delays: Sequence[float], changes: int, share: float) -> list[Row]:
    """Give the figures."""
    case, subject = named(size), "homeostat"
    return [
        Row(case, subject, "signal to action p50", 1000 * percentile(delays, 0.5), "ms"),
        Row(case, subject, "signal to action p99", 1000 * percentile(delays, 0.99), f"ms (aim {1000 * AIM:.0f})"),
        Row(case, subject, "signal to action at most", 1000 * max(delays, default=0), "ms"),
        Row(case, subject, "changes", changes, "1"),
        Row(case, subject, "changes without an action", changes - len(delays), "1"),
        Row(case, subject, "CPU share of one core", share, "%"),
        Row(case, subject, "memory", rss(_own()), "MiB"),
    ]


def _own() -> int:
    return os.getpid()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--namespaces", type=int, default=20)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two changes")
    parser.add_argument("--profile", action="store_true", help="show where the time goes; slower by that")
    options = parser.parse_args()
    log.set_up("ERROR")
    profile = cProfile.Profile() if options.profile else None
    size = Size(options.policies, options.checks, options.namespaces)
    found = uvloop.run(measure(size, options.changes, options.every, profile))
    if profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
    publish("decide", found)


if __name__ == "__main__":
    main()
