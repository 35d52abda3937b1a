"""The engine as a whole on fakes of the ports: one key at a time, changes on the way, ends and replacements."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from fakes import (
    FakeActuator,
    FakeObjects,
    FakeProber,
    FakeRecorder,
    ScriptedController,
    body_of,
    check_body,
    eventually,
    slice_body,
)
from homeostat.api.freeze import FreezeStatus
from homeostat.api.health_check import HealthCheckStatus, HealthState
from homeostat.core.decision import Decision
from homeostat.engine.checks import Checks
from homeostat.engine.clock import SystemClock
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.directory import Directory
from homeostat.engine.engine import Engine
from homeostat.engine.gate import PacedGate
from homeostat.engine.meters import Meters
from homeostat.engine.objects import Change, Entry, Key, ObjectStore, entry_from
from homeostat.engine.probing import Instruments, Probing
from homeostat.engine.reconcile import Reconciler
from homeostat.engine.wakes import Wakes
from homeostat.engine.world import World
from homeostat.ports import Conflict, Gone
from homeostat.telemetry.metrics import Metrics

CHECK = Key("HealthCheck", "shop", "web")
FREEZE = Key("Freeze", "", "outage")
FAST = {"interval": "1s", "timeout": "1s", "failureThreshold": 1, "successThreshold": 1}


def freeze_body(name: str = "outage", reason: str = "why", **more: Any) -> dict[str, Any]:
    return body_of("Freeze", name, {"stops": ["Chaos"], "reason": reason}, namespace="", **more)


@dataclass
class Bench:
    """An engine with real checks and scripted freezes."""

    store: ObjectStore = field(default_factory=ObjectStore)
    objects: FakeObjects = field(default_factory=FakeObjects)
    prober: FakeProber = field(default_factory=FakeProber)
    wakes: Wakes = field(default_factory=Wakes)
    workers: int = 4

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.checks = Checks()
        self.directory = Directory()
        self.meters = Meters()
        self.meters.roll(self.clock.now())
        self.engine = Engine(self.clock, self.store, self.directory, self.wakes, self.workers)
        self.freezes = ScriptedController(lambda subject, _: Decision(subject.status))
        controllers = {
            "HealthCheck": HealthController(self.checks, self.meters, self.clock, self.engine.timetable, self.wakes),
            "Freeze": self.freezes,
        }
        gate = PacedGate(self.clock, rate=1000, refresh_rate=1000)
        world = World(self.objects, FakeActuator(), FakeRecorder(), self.clock, gate, self.metrics, lambda: True)
        probing = Probing(
            Instruments(self.prober, self.directory, self.meters, self.metrics, self.clock),
            8,
            plan_next=self.engine.timetable.add,
            wake=lambda check: self.engine.wake(check.key),
        )
        reconciler = Reconciler(self.store, controllers, world, take=self.engine.take, drop=self.engine.drop)
        self.engine.equip(controllers, reconciler, probing)

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write as a user does, and have the watch show it."""
        stored = self.objects.put(body)
        self.engine.see(body["kind"], "MODIFIED", stored)
        return stored

    def status(self, key: Key = CHECK) -> HealthCheckStatus:
        return HealthCheckStatus.model_validate(self.objects.body(key)["status"])

    def evaluated(self) -> int:
        return len(self.freezes.asked)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.engine.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.wait([task])


# --- one key at a time ----------------------------------------------------------------------------------


@dataclass
class Turnstile:
    """Holds decisions until opened; counts how many are inside."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0
    most: int = 0

    async def __call__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.is_open.wait()
        self.inside -= 1


async def test_one_object_is_never_evaluated_twice_at_once_and_is_evaluated_again_when_it_changed_meanwhile() -> None:
    bench = Bench()
    bench.freezes.before = gate = Turnstile()
    async with running(bench):
        bench.apply(freeze_body())
        await eventually(lambda: gate.inside == 1)
        for generation in range(2, 6):
            bench.apply(freeze_body(reason=f"why {generation}", generation=generation))
        await eventually(lambda: bench.engine._changed_meanwhile)
        gate.is_open.set()
        await eventually(lambda: bench.evaluated() == 2)

    assert gate.most == 1
    assert [subject.spec.reason for subject in bench.freezes.asked] == ["why", "why 5"]


async def test_different_objects_are_evaluated_side_by_side_up_to_the_number_of_workers() -> None:
    bench = Bench(workers=3)
    bench.freezes.before = gate = Turnstile()
    async with running(bench):
        for number in range(10):
            bench.apply(freeze_body(f"f-{number}", uid=f"uid-{number}"))
        await eventually(lambda: gate.inside == 3)
        gate.is_open.set()
        await eventually(lambda: bench.evaluated() == 10)

    assert gate.most == 3


async def test_what_looks_at_an_object_is_evaluated_when_that_changes() -> None:
    bench = Bench()
    bench.wakes.watch(FREEZE, [CHECK])
    bench.apply(freeze_body())
    async with running(bench):
        await eventually(lambda: bench.evaluated() == 1)
        bench.apply(check_body())
        await eventually(lambda: bench.evaluated() == 2)
        bench.engine.see("HealthCheck", "DELETED", bench.objects.body(CHECK))
        await eventually(lambda: bench.evaluated() == 3)


async def test_a_status_that_moved_asks_for_no_evaluation() -> None:
    bench = Bench()
    first = bench.objects.put(freeze_body())

    assert bench.engine.take(entry_from(first, "Freeze")) is Change.SPEC
    assert bench.engine.take(entry_from(bench.objects.put({**first, "status": {"engaged": True}}), "Freeze")) is (
        Change.STATUS
    )
    assert [what for what, _, _ in bench.freezes.noticed] == ["changed"]


async def test_a_replaced_object_ends_before_the_new_one_begins() -> None:
    """Fault 37: a name reused with a new uid."""
    bench = Bench()
    bench.apply(freeze_body())
    bench.apply(freeze_body(uid="uid-2"))

    assert bench.freezes.noticed == [("changed", "uid-1", True), ("removed", "uid-1", True), ("changed", "uid-2", True)]


async def test_the_late_deletion_of_an_older_incarnation_leaves_the_new_one_alone() -> None:
    """Fault 5: reordered events."""
    bench = Bench()
    old = bench.apply(freeze_body())
    bench.apply(freeze_body(uid="uid-2"))
    bench.engine.see("Freeze", "DELETED", old)

    entry = bench.store.get(FREEZE)
    assert entry is not None
    assert entry.ref.uid == "uid-2"
    assert bench.freezes.noticed[-1] == ("changed", "uid-2", True)


async def test_slices_of_the_watch_go_to_the_directory() -> None:
    bench = Bench()
    bench.engine.see("EndpointSlice", "ADDED", slice_body("web-1", ["10.0.0.1"]))
    found = bench.directory.endpoints("shop", "web", "http")
    bench.engine.see("EndpointSlice", "DELETED", slice_body("web-1"))

    assert found is not None
    assert [endpoint.address for endpoint in found] == ["10.0.0.1"]
    assert bench.directory.endpoints("shop", "web", "http") == ()


async def test_a_bug_on_sight_of_one_object_spares_the_others() -> None:
    """At start all objects are taken in a row: one must not keep the process from starting."""
    bench = Bench()
    noticed = bench.freezes.changed

    def changed(entry: Entry, spec: Any, problem: Any) -> None:
        if entry.ref.name == "bad":
            raise ZeroDivisionError
        noticed(entry, spec, problem)

    bench.freezes.changed = changed  # type: ignore[method-assign]
    with capture_logs() as told:
        bench.apply(freeze_body("bad", uid="uid-2"))
        bench.apply(freeze_body())

    assert [line["event"] for line in told] == ["bug"]
    assert bench.freezes.noticed == [("changed", "uid-1", True)]


# --- checks, from spec to status ------------------------------------------------------------------------


async def test_a_check_is_probed_and_its_state_shown() -> None:
    bench = Bench()
    async with running(bench):
        bench.apply(check_body(spec=FAST))
        await eventually(lambda: bench.status().state is HealthState.HEALTHY)


async def test_a_spec_that_cannot_be_read_leaves_the_last_accepted_check_running() -> None:
    """Everywhere: bad input is told, and the last good configuration keeps working."""
    bench = Bench()
    async with running(bench):
        bench.apply(check_body(spec=FAST))
        await eventually(lambda: bench.prober.asked)
        bench.apply(check_body(spec={"interval": "soon"}, generation=2))
        await eventually(lambda: any(one.reason == "Invalid" for one in bench.status().conditions))
        asked = len(bench.prober.asked)
        await eventually(lambda: len(bench.prober.asked) > asked)


async def test_one_check_runs_through_any_number_of_edits() -> None:
    """H3: one runner per check through any number of edits."""
    bench = Bench()
    for generation in range(1, 20):
        bench.apply(check_body(spec={**FAST, "failureThreshold": generation}, generation=generation))

    assert len(bench.checks) == 1
    assert sum(1 for key in bench.engine.timetable._schedule._due if key not in {CHECK, FREEZE}) == 1


async def test_a_deleted_check_is_not_probed_again() -> None:
    bench = Bench()
    stored = bench.apply(check_body(spec=FAST))
    bench.engine.see("HealthCheck", "DELETED", stored)

    assert len(bench.checks) == 0
    assert list(bench.engine.timetable._schedule._due) == [CHECK]


# --- what the reconciler learns, the engine must learn too -----------------------------------------------


async def test_an_edit_that_the_reconciler_reads_before_the_watch_shows_it_reaches_the_check() -> None:
    """A Conflict makes the reconciler read the object again; the watch shows that same version a moment later."""
    bench = Bench()
    bench.prober.hold()
    bench.apply(check_body(spec={"interval": "1s"}))

    def edit_unseen() -> None:
        bench.objects.put(check_body(spec={"interval": "30s"}, generation=2))

    bench.objects.meanwhile = edit_unseen
    await bench.engine._reconciler.reconcile(CHECK)
    bench.engine.see("HealthCheck", "MODIFIED", bench.objects.body(CHECK))

    check = bench.checks.get(CHECK)
    assert check is not None
    assert check.plan.interval == 30


async def test_an_edit_that_a_refusal_overtakes_reaches_the_check() -> None:
    """The answer to our own write may already hold the user's next edit."""
    bench = Bench()
    bench.apply(check_body(spec={"interval": "soon"}))
    bench.objects.meanwhile = lambda: _drop(bench.objects.put(check_body(spec={"interval": "30s"}, generation=2)))
    await bench.engine._reconciler.reconcile(CHECK)
    bench.engine.see("HealthCheck", "MODIFIED", bench.objects.body(CHECK))

    assert bench.checks.get(CHECK) is not None


async def test_a_check_that_the_reconciler_finds_gone_stops() -> None:
    bench = Bench()
    stored = bench.apply(check_body())
    bench.objects.delete(CHECK)
    await bench.engine._reconciler.reconcile(CHECK)
    bench.engine.see("HealthCheck", "DELETED", stored)

    assert len(bench.checks) == 0


async def test_a_check_that_is_gone_when_read_again_after_a_conflict_stops() -> None:
    bench = Bench()
    stored = bench.apply(check_body())
    bench.objects.failures["apply_status"].append(Conflict("changed"))
    bench.objects.failures["get"].append(Gone("web"))
    await bench.engine._reconciler.reconcile(CHECK)
    bench.engine.see("HealthCheck", "DELETED", stored)

    assert len(bench.checks) == 0


# --- stopping -------------------------------------------------------------------------------------------


async def test_a_graceful_stop_waits_for_what_is_being_evaluated_and_starts_nothing_more() -> None:
    """Fault 21."""
    bench = Bench()
    bench.freezes.before = gate = Turnstile()
    async with running(bench):
        bench.apply(freeze_body())
        await eventually(lambda: gate.inside == 1)
        draining = asyncio.create_task(bench.engine.drain())
        bench.apply(freeze_body("later", uid="uid-2"))
        await asyncio.sleep(0)
        is_waiting = not draining.done()
        gate.is_open.set()
        await asyncio.wait_for(draining, 5)

    assert is_waiting
    assert bench.evaluated() == 1


async def test_a_bug_in_a_worker_ends_the_engine_and_is_not_swallowed() -> None:
    bench = Bench()

    async def broken(_key: Key) -> float | None:
        raise ZeroDivisionError

    bench.engine._reconciler.reconcile = broken  # type: ignore[method-assign]
    bench.apply(freeze_body())
    try:
        async with asyncio.timeout(5):
            await bench.engine.run()
    except* ZeroDivisionError:
        pass
    else:
        raise AssertionError("the engine went on")


async def test_an_engine_evaluates_what_it_knew_before_it_ran() -> None:
    bench = Bench()
    bench.apply(freeze_body(status=FreezeStatus(engaged=True).wire()))
    async with running(bench):
        await eventually(lambda: bench.evaluated() == 1)


def _drop(_: object) -> None:
    """Let a lambda that gives something count as one that gives nothing."""
