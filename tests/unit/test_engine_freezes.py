"""Freezes where the operator may see none, and where another operator tells how they stand."""

from typing import Any

from fakes import FakeClock, FakeObjects, body_of
from homeostat.api.freeze import Activity, FreezeSpec, FreezeStatus
from homeostat.api.kinds import KINDS
from homeostat.core.significance import Significance
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import FreezeController, Freezes
from homeostat.engine.directory import Directory
from homeostat.engine.objects import ObjectStore, entry_from
from homeostat.engine.resync import Resync
from homeostat.ports import Forbidden
from homeostat.telemetry.metrics import Metrics

SPEC: dict[str, Any] = {"stops": ["Chaos"], "reason": "outage"}


class Closed(FakeObjects):
    """An API server that does not let us list Freezes."""

    async def list(self, kind: Any, namespaces: Any = ()) -> Any:
        if kind.kind == "Freeze":
            raise Forbidden("list freezes")
        async for body in super().list(kind, namespaces):
            yield body


async def test_where_freezes_cannot_be_seen_they_are_not_asked_for() -> None:
    store = ObjectStore()
    freezes = Freezes(store, Closed(), store.put, lambda _key, _uid: None, are_heeded=False)
    await freezes.refresh()
    assert freezes.in_force("shop", Activity.CHAOS, FakeClock().now()) is None


async def test_before_an_act_a_freeze_that_the_watch_missed_is_heeded_and_one_that_is_gone_is_not() -> None:
    """R12: nothing says how old the store is, so it is not asked."""
    store, objects, now = ObjectStore(), FakeObjects(), FakeClock().now()
    store.put(entry_from(body_of("Freeze", "lifted", {**SPEC, "stops": ["Recovery"]}, namespace=""), "Freeze"))
    objects.put(body_of("Freeze", "outage", SPEC, namespace=""))
    freezes = Freezes(store, objects, store.put, store.remove)

    assert freezes.in_force("shop", Activity.RECOVERY, now) is not None
    await freezes.refresh()
    assert freezes.in_force("shop", Activity.RECOVERY, now) is None
    assert freezes.in_force("shop", Activity.CHAOS, now) is not None


async def test_kinds_that_cannot_be_seen_are_not_loaded() -> None:
    objects, store, clock = Closed(), ObjectStore(), FakeClock()
    objects.put(body_of("HealthCheck", "web", {"probe": {"workload": {"kind": "Deployment", "name": "web"}}}))

    async def no_slices() -> list[dict[str, Any]]:
        return []

    resync = Resync(
        objects, no_slices, store, Directory(), clock=clock, metrics=Metrics(), namespaces=("shop",),
        kinds=[kind for kind in KINDS if kind.is_namespaced], take=store.put, drop=store.remove,
    )  # fmt: skip
    await resync.load()
    assert len(store) == 1


async def test_an_operator_for_some_namespaces_heeds_a_freeze_and_writes_nothing_on_it() -> None:
    store, objects = ObjectStore(), FakeObjects()
    entry = entry_from(objects.put(body_of("Freeze", "outage", SPEC, namespace="")), "Freeze")
    freezes = Freezes(store, objects, store.put, lambda _key, _uid: None)
    await freezes.refresh()
    controller = FreezeController(store, lambda _key: None, tells=False)
    spec = FreezeSpec.model_validate(SPEC)
    decision = await controller.decide(Subject(entry, spec, FreezeStatus(), None, {}), FakeClock())

    assert freezes.in_force("shop", Activity.CHAOS, FakeClock().now()) is not None
    assert controller.significance(FreezeStatus(), decision.status) is Significance.NOTHING
    assert decision.events == ()
