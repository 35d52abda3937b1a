"""Fakes of the ports, for tests of the engine: an API server, an actuator, a prober, a store of history, in memory.

Each keeps a `journal` of what was asked of it, in order; several may share one list, so that the order between
them can be asserted. Failures are queued: the next call of that name raises the next of them.
"""

import asyncio
import copy
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.meta import API_VERSION, Kind
from homeostat.core.decision import Action, Decision, Event, Outcome, Ref, Verb
from homeostat.core.probing import Reason, Request, Result, Verdict
from homeostat.core.significance import Significance
from homeostat.core.window import Bucket
from homeostat.engine.controller import Problem, Subject
from homeostat.engine.objects import Entry, Key
from homeostat.kube.objects import FINALIZER
from homeostat.ports import Clock, Conflict, Gone, HistoryUnavailable, StoredAttempt, StoredResult

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


class FakeHistory:
    """A store that can fail: wholly while `is_down`, or in single calls named in `broken`."""

    def __init__(self) -> None:
        self.is_down = False
        self.broken: set[str] = set()
        self.kept_buckets: list[Bucket] = []
        self.kept_results: list[StoredResult] = []
        self.kept_attempts: list[StoredAttempt] = []
        self.pruned: list[datetime] = []
        self.tries = 0
        self.door = asyncio.Event()
        self.door.set()

    @property
    def kept(self) -> int:
        return len(self.kept_buckets) + len(self.kept_results) + len(self.kept_attempts)

    async def add_buckets(self, buckets: Iterable[Bucket]) -> None:
        self.tries += 1
        await self._enter("add_buckets")
        self.kept_buckets += buckets

    async def buckets(self, seconds: int, since: int, series: Sequence[str] = ()) -> Sequence[Bucket]:
        await self._enter("buckets")
        return [
            one
            for one in self.kept_buckets
            if one.seconds == seconds and one.start >= since and (not series or one.series in series)
        ]

    async def add_results(self, results: Iterable[StoredResult]) -> None:
        await self._enter("add_results")
        self.kept_results += results

    async def add_attempt(self, attempt: StoredAttempt) -> None:
        await self._enter("add_attempt")
        self.kept_attempts = [one for one in self.kept_attempts if one.id != attempt.id] + [attempt]

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        return [one for one in self.kept_attempts if one.owner == owner][:limit]

    async def prune(self, now: datetime) -> int:
        await self._enter("prune")
        self.pruned.append(now)
        return 0

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
