"""Fakes of the ports, for tests of the engine: an API server, an actuator, a prober, a store of history, in memory.

Each keeps a `journal` of what was asked of it, in order; several may share one list, so that the order between
them can be asserted. Failures are queued: the next call of that name raises the next of them.
"""

import asyncio
import copy
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from homeostat.api.meta import API_VERSION, Kind
from homeostat.core.action import Action, Outcome, Verb
from homeostat.core.cluster import Job, Pod, Secret
from homeostat.core.decision import Decision, Event
from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import Grid, Step
from homeostat.core.history.records import Known, PastRun, Runs
from homeostat.core.history.ring import TOTAL
from homeostat.core.probing.request import JobRequest, Request
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from homeostat.engine.controller import Problem, Subject
from homeostat.engine.objects import Entry, Key
from homeostat.kube.objects import FINALIZER
from homeostat.ports import (
    Clock,
    Conflict,
    Delivery,
    Gone,
    HistoryUnavailable,
    Pruned,
    Record,
    StoredAttempt,
    StoredDecision,
)

R = TypeVar("R")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

PASS = Result(Verdict.PASS, Reason.OK, 0.01)
FAIL = Result(Verdict.FAIL, Reason.TIMEOUT, 1.0)


class FakeClock:
    """Stands still until advanced; wall and monotonic time go together."""

    def __init__(self, now: datetime = NOON, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self._now += timedelta(seconds=seconds)


def body_of(  # noqa: PLR0913 - what an object may have
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    namespace: str = "shop",
    uid: str = "uid-1",
    version: int = 1,
    generation: int = 1,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """Make an object as the API server gives it."""
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": str(version),
        "generation": generation,
        **metadata,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {name: value for name, value in meta.items() if value != ""},
        "spec": dict(spec),
        "status": dict(status or {}),
    }


def check_body(name: str = "web", spec: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Make a HealthCheck of a TCP port that fails at its first bad run; `spec` overrides."""
    full = {"interval": "10s", "timeout": "1s", "probe": {"tcp": {"address": "db.example.com:5432"}}, **(spec or {})}
    return body_of("HealthCheck", name, full, **more)


def slice_body(  # noqa: PLR0913 - what a slice may have
    name: str,
    addresses: Iterable[str] = (),
    *,
    service: str = "web",
    not_ready: Iterable[str] = (),
    ports: Iterable[tuple[str, int]] = (("http", 8080),),
    version: int = 1,
    namespace: str = "shop",
) -> dict[str, Any]:
    """Make an EndpointSlice; each address has a pod `pod-ADDRESS`."""
    labels = {"kubernetes.io/service-name": service} if service else {}
    rows = [(address, True) for address in addresses] + [(address, False) for address in not_ready]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": str(version)},
        "ports": [{"name": port, "port": number} for port, number in ports],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": is_ready},
                "targetRef": {"kind": "Pod", "name": f"pod-{address}", "uid": f"uid-{address}"},
            }
            for address, is_ready in rows
        ],
    }


class FakeObjects:
    """An API server for our own kinds: versions, uids, finalizers, conflicts. `meanwhile` runs before each write."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.meanwhile: Callable[[], None] | None = None
        self.reads = 0
        self._bodies: dict[Key, dict[str, Any]] = {}
        self._version = 100

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take an object as a user would write it; give it as it stands then."""
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self._bodies[_key_of(stored)] = stored
        return copy.deepcopy(stored)

    def delete(self, key: Key) -> None:
        del self._bodies[key]

    def body(self, key: Key) -> dict[str, Any]:
        return copy.deepcopy(self._bodies[key])

    @property
    def writes(self) -> list[str]:
        return [line for line in self.journal if line.startswith(("status", "finalizer"))]

    async def apply_status(
        self,
        kind: Kind,
        ref: Ref,
        status: dict[str, Any],
        *,
        resource_version: str | None = None,
        is_urgent: bool = False,
    ) -> dict[str, Any]:
        await self._happen()
        self._raise("apply_status")
        stored = self._stored(kind, ref, resource_version)
        self.journal.append(f"status {ref.name}")
        return self.put({**stored, "status": status})

    async def set_finalizer(self, kind: Kind, ref: Ref, resource_version: str, *, present: bool) -> dict[str, Any]:
        await self._happen()
        self._raise("set_finalizer")
        stored = self._stored(kind, ref, None)
        finalizers = [one for one in stored["metadata"].get("finalizers", ()) if one != FINALIZER]
        if (FINALIZER in stored["metadata"].get("finalizers", ())) is present:
            return copy.deepcopy(stored)
        stored = self._stored(kind, ref, resource_version)
        self.journal.append(f"finalizer {'added' if present else 'removed'} {ref.name}")
        metadata = {**stored["metadata"], "finalizers": [*finalizers, FINALIZER] if present else finalizers}
        return self.put({**stored, "metadata": metadata})

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        self.reads += 1
        self._raise("get")
        return copy.deepcopy(self._there(Key(kind.kind, namespace, name)))

    async def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        self._raise("list")
        for key, body in list(self._bodies.items()):
            if key.kind == kind.kind and (not namespaces or key.namespace in namespaces):
                yield copy.deepcopy(body)

    async def list_versions(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[tuple[Ref, str]]:
        async for body in self.list(kind, namespaces):
            meta = body["metadata"]
            ref = Ref(kind.kind, meta.get("namespace", ""), meta["name"], meta["uid"])
            yield ref, meta["resourceVersion"]

    async def _happen(self) -> None:
        await asyncio.sleep(0)
        happening, self.meanwhile = self.meanwhile, None
        if happening:
            happening()

    def _raise(self, call: str) -> None:
        if self.failures[call]:
            raise self.failures[call].popleft()

    def _there(self, key: Key) -> dict[str, Any]:
        if key not in self._bodies:
            raise Gone(f"{key.kind} {key.name}")
        return self._bodies[key]

    def _stored(self, kind: Kind, ref: Ref, version: str | None) -> dict[str, Any]:
        stored = self._there(Key(kind.kind, ref.namespace, ref.name))
        metadata = stored["metadata"]
        if metadata["uid"] != ref.uid or (version is not None and metadata["resourceVersion"] != version):
            raise Conflict(f"{ref.kind} {ref.name} changed")
        return stored


def _key_of(body: dict[str, Any]) -> Key:
    return Key(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


class FakeActuator:
    """Does nothing and says so: each action ends as `outcomes` has it, else Done."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.outcomes: dict[str, Outcome] = {}
        self.acted: list[Action] = []

    async def act(self, action: Action, now: datetime) -> Outcome:
        self.journal.append(f"act {action.id}")
        self.acted.append(action)
        await asyncio.sleep(0)
        return self.outcomes.get(action.id, Outcome(Verb.DONE))


class FakeRecorder:
    """Keeps the events it is told."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.told: list[tuple[Ref, Event]] = []

    async def record(self, about: Ref, event: Event, now: datetime) -> None:
        self.journal.append(f"event {event.reason}")
        self.told.append((about, event))


class FakeProber:
    """Answers what was queued, else `answer`. With `hold`, an answer waits until `release` is called."""

    def __init__(self, answer: Result = PASS) -> None:
        self.answer = answer
        self.queued: deque[Result] = deque()
        self.asked: list[Request] = []
        self.answer_for: Callable[[Request], Result] | None = None
        self._open = asyncio.Event()
        self._open.set()
        self.running = 0
        self.most_running = 0

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - the port's
        self.asked.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._open.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self.queued:
            return self.queued.popleft()
        return self.answer_for(request) if self.answer_for else self.answer


class FakeSecrets:
    """Secrets by namespace and name; while `failure` is set, reading raises it; while the door is shut, it waits."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Secret] = {}
        self.failure: Exception | None = None
        self.read_names: list[str] = []
        self.door = asyncio.Event()
        self.door.set()

    def put(self, name: str, type_: str = "Opaque", **data: bytes) -> None:
        """Keep a Secret of the namespace `shop`; in keys, `_` stands for a dot."""
        self.kept["shop", name] = Secret(type_, {key.replace("_", "."): value for key, value in data.items()})

    async def read(self, namespace: str, name: str) -> Secret | None:
        self.read_names.append(name)
        await asyncio.sleep(0)
        await self.door.wait()
        if self.failure is not None:
            raise self.failure
        return self.kept.get((namespace, name))


class FakeJobs:
    """A cluster that runs one Job at a time: it ends as `end` has it after so many looks, or never.

    `failures` are raised by the next calls of that name. `left` is the Job that stands there now.
    """

    def __init__(self, end: Callable[[Job], Job | None] | None = None, looks: int = 1) -> None:
        self.end = end
        self.looks = looks
        self.journal: list[str] = []
        self.left: Job | None = None
        self.shown_pods: tuple[Pod, ...] = ()
        self.failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.stays_deleting = 0  # so many looks a deleted Job stays
        self.seconds = 0.0

    async def create(self, request: JobRequest, seconds: float) -> Job:
        await self._call("create")
        if self.left is not None:
            self._fade()
            raise Conflict("there is one")
        self.seconds = seconds
        ref = Ref("Job", request.namespace, "homeostat-probe", f"job-{len(self.journal)}")
        self.left = Job(ref, (request.uid,), is_started=True, is_complete=False)
        return self.left

    async def read(self, request: JobRequest) -> Job | None:
        await self._call("read")
        if self.left is not None and self.end is not None:
            self.looks -= 1
            self.left = self.end(self.left) if self.looks <= 0 else self.left
        return self.left

    async def pods(self, job: Ref) -> tuple[Pod, ...]:
        await self._call("pods")
        return self.shown_pods

    async def delete(self, job: Ref) -> None:
        await self._call("delete")
        if self.left is None or self.left.ref.uid != job.uid:
            return
        self.left = replace(self.left, is_deleting=True) if self.stays_deleting > 0 else None

    def _fade(self) -> None:
        self.stays_deleting -= 1
        if self.left is not None and self.left.is_deleting and self.stays_deleting <= 0:
            self.left = None

    async def _call(self, name: str) -> None:
        self.journal.append(name)
        await asyncio.sleep(0)
        if self.failures[name]:
            raise self.failures[name].popleft()


class FakeHistory:
    """A store that can fail: wholly while `is_down`, or in single calls named in `broken`."""

    def __init__(self) -> None:
        self.is_down = False
        self.broken: set[str] = set()
        self.kept: list[Record] = []
        self.batches: list[tuple[Record, ...]] = []
        self.pruned: list[datetime] = []
        self.delivered: list[Delivery] = []
        self.deliveries: list[tuple[Delivery, ...]] = []
        self.size = 4096
        self.is_cut = False
        self.tries = 0
        self.door = asyncio.Event()
        self.door.set()

    def kept_of(self, kind: type[R]) -> list[R]:
        return [record for record in self.kept if isinstance(record, kind)]

    async def add(self, records: Sequence[Record]) -> None:
        self.tries += 1
        await self._enter("add")
        self.batches.append(tuple(records))
        self.kept += [record for record in records if record not in self.kept]

    async def deliver(self, deliveries: Sequence[Delivery], now: datetime) -> Sequence[bool]:
        self.tries += 1
        await self._enter("deliver")
        self.deliveries.append(tuple(deliveries))
        return [self._take(delivery) for delivery in deliveries]

    def _take(self, delivery: Delivery) -> bool:
        """Keep a delivery, unless its key was delivered before."""
        taken = {(one.objective, one.key) for one in self.delivered if one.key}
        if (delivery.objective, delivery.key) in taken:
            return False
        self.delivered.append(delivery)
        return True

    async def recorded_until(self) -> int:
        await self._enter("recorded_until")
        return max((closed.start + closed.seconds for closed in self.kept_of(Closed)), default=0)

    async def periods(self, seconds: int, since: int, series: Sequence[str]) -> AsyncIterator[Closed]:
        await self._enter("periods")
        found: dict[int, dict[str, list[float]]] = {}
        for closed in self.kept_of(Closed):
            if closed.seconds != seconds or closed.start < since:
                continue
            there = found.setdefault(closed.start, {})
            for name, counts in zip(closed.series, closed.counted.T.tolist(), strict=True):
                if name in series and counts[TOTAL] >= there.get(name, counts)[TOTAL]:
                    there[name] = counts
        for start in sorted(found):
            if found[start]:
                yield Closed(start, seconds, tuple(found[start]), np.array(list(found[start].values())).T)

    async def runs(self, start: int, series: Sequence[str]) -> Runs | None:
        await self._enter("runs")
        found = [runs for runs in self.kept_of(Runs) if runs.start == start and set(runs.series) & set(series)]
        return found[-1] if found else None

    async def span(self, series: str, grid: Grid) -> Sequence[Step]:
        raise NotImplementedError

    async def past_runs(self, series: str, since: int, until: int) -> Sequence[PastRun]:
        raise NotImplementedError

    async def known(self, namespace: str = "", name: str = "") -> Sequence[Known]:
        return [one for one in self.kept_of(Known) if namespace in {"", one.namespace} and name in {"", one.name}]

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        return [one for one in self.kept_of(StoredAttempt) if one.owner == owner][:limit]

    async def decisions(self, owner: str, limit: int = 100) -> Sequence[StoredDecision]:
        return [one for one in self.kept_of(StoredDecision) if one.owner == owner][:limit]

    async def prune(self, now: datetime) -> Pruned:
        await self._enter("prune")
        self.pruned.append(now)
        return Pruned(self.size, self.is_cut)

    async def _enter(self, call: str) -> None:
        await self.door.wait()
        if self.is_down or call in self.broken:
            raise HistoryUnavailable("OperationalError")


Decide = Callable[[Subject[Any, Any], datetime], Decision[Any]]


@dataclass
class ScriptedController:
    """A kind's part of the loop as a test writes it: `decides` is the decision, `worth` the significance."""

    decides: Decide
    worth: Significance = Significance.CHANGE
    before: Callable[[], Awaitable[None]] | None = None
    asked: list[Subject[Any, Any]] = field(default_factory=list)
    noticed: list[tuple[str, str, bool]] = field(default_factory=list)

    def changed(self, entry: Entry, spec: Any, problem: Problem | None) -> None:
        self.noticed.append(("changed", entry.ref.uid, spec is not None))

    def removed(self, entry: Entry) -> None:
        self.noticed.append(("removed", entry.ref.uid, True))

    def stand_in(self) -> None:
        return None

    async def decide(self, subject: Subject[Any, Any], clock: Clock) -> Decision[Any]:
        self.asked.append(subject)
        if self.before:
            await self.before()
        return self.decides(subject, clock.now())

    def significance(self, old: Any, new: Any) -> Significance:
        return Significance.NOTHING if old == new else self.worth


async def eventually(holds: Callable[[], object], *, within: float = 5.0) -> None:
    """Wait until a condition holds, at most `within` seconds: the loop turns, nothing sleeps for a guess."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - any condition at all, so there is no event to wait for
            await asyncio.sleep(0.001)
