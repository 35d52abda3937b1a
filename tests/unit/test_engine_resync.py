"""The sweep that trusts no watch: what it missed is mended and counted, what is only late is not."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from fakes import FakeClock, FakeObjects, body_of, check_body, slice_body
from homeostat.engine.directory import Directory
from homeostat.engine.objects import Change, Entry, Key, ObjectStore, entry_from
from homeostat.engine.resync import Resync
from homeostat.ports import Gone, Unavailable
from homeostat.telemetry.metrics import Metrics

KEY = Key("HealthCheck", "shop", "web")


@dataclass
class Bench:
    """A sweep over a fake API server; `taken` and `dropped` are what it told the engine."""

    store: ObjectStore = field(default_factory=ObjectStore)
    objects: FakeObjects = field(default_factory=FakeObjects)
    directory: Directory = field(default_factory=Directory)
    metrics: Metrics = field(default_factory=Metrics)
    clock: FakeClock = field(default_factory=FakeClock)
    slices: list[dict[str, Any]] = field(default_factory=list)
    taken: list[tuple[str, Change]] = field(default_factory=list)
    dropped: list[tuple[Key, str]] = field(default_factory=list)
    while_listing: Callable[[], None] | None = None
    namespaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.resync = Resync(
            self.objects, self._slices, self.store, self.directory,
            clock=self.clock, metrics=self.metrics, namespaces=self.namespaces,
            take=self._take, drop=self._drop, patience=0.0,
        )  # fmt: skip

    async def _slices(self) -> list[dict[str, Any]]:
        listed = list(self.slices)
        if self.while_listing:
            self.while_listing()
        return listed

    def _take(self, entry: Entry) -> Change:
        change = self.store.put(entry)
        self.taken.append((entry.ref.name, change))
        return change

    def _drop(self, key: Key, uid: str) -> None:
        self.store.remove(key, uid)
        self.dropped.append((key, uid))

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write an object, and have the watch show it."""
        stored = self.objects.put(body)
        self.store.put(entry_from(stored, body["kind"]))
        return stored

    def drift(self) -> float:
        return self.metrics.registry.get_sample_value("homeostat_store_drift_total", {"kind": "HealthCheck"}) or 0.0


async def test_everything_there_is_is_loaded_before_anything_begins() -> None:
    bench = Bench(slices=[slice_body("web-1", ["10.0.0.1"])])
    bench.objects.put(check_body())
    bench.objects.put(body_of("Freeze", "outage", {"stops": ["Chaos"], "reason": "why"}, namespace=""))
    await bench.resync.load()

    assert {name for name, _ in bench.taken} == {"web", "outage"}
    assert bench.directory.is_complete
    assert bench.resync.age == 0


async def test_only_the_watched_namespaces_are_loaded_but_freezes_always() -> None:
    bench = Bench(namespaces=("shop",))
    bench.objects.put(check_body())
    bench.objects.put(check_body("other", namespace="bank", uid="uid-2"))
    bench.objects.put(body_of("Freeze", "outage", {"stops": ["Chaos"], "reason": "why"}, namespace=""))
    await bench.resync.load()

    assert {name for name, _ in bench.taken} == {"web", "outage"}


async def test_a_deletion_that_the_watch_missed_is_mended_and_counted() -> None:
    """Fault 2: a watch that restarts after 410 loses deletions."""
    bench = Bench()
    bench.shown(check_body())
    bench.objects.delete(KEY)

    assert await bench.resync.sweep() == 1
    assert bench.dropped == [(KEY, "uid-1")]
    assert bench.drift() == 1


async def test_a_change_that_the_watch_missed_is_mended_and_counted() -> None:
    """Fault 3: a watch that stalls silently."""
    bench = Bench()
    bench.shown(check_body())
    bench.objects.put(check_body(generation=2))

    assert await bench.resync.sweep() == 1
    assert bench.taken == [("web", Change.SPEC)]
    assert bench.drift() == 1


async def test_an_object_that_the_watch_never_showed_is_taken_and_counted() -> None:
    bench = Bench()
    bench.objects.put(check_body())

    assert await bench.resync.sweep() == 1
    assert bench.store.get(KEY) is not None


async def test_an_object_replaced_unseen_is_taken_and_counted() -> None:
    bench = Bench()
    bench.shown(check_body())
    bench.objects.put(check_body(uid="uid-2"))

    assert await bench.resync.sweep() == 1
    assert bench.taken == [("web", Change.REPLACED)]


async def test_a_status_that_moved_is_taken_and_not_counted() -> None:
    bench = Bench()
    stored = bench.shown(check_body())
    bench.objects.put({**stored, "status": {"score": 100}})

    assert await bench.resync.sweep() == 0
    assert bench.taken == [("web", Change.STATUS)]
    assert bench.drift() == 0


async def test_when_nothing_was_missed_nothing_is_read_twice() -> None:
    bench = Bench()
    for number in range(50):
        bench.shown(check_body(f"web-{number}", uid=f"uid-{number}"))

    assert await bench.resync.sweep() == 0
    assert bench.objects.reads == 0
    assert bench.metrics.registry.get_sample_value("homeostat_objects", {"kind": "HealthCheck"}) == 50


async def test_what_the_watch_shows_a_moment_later_was_late_and_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two drifts in a row end the process: a busy cluster must not look like a broken watch."""
    bench = Bench()
    stored = bench.objects.put(check_body())
    bench.shown(check_body("gone", uid="uid-2"))
    bench.objects.delete(Key("HealthCheck", "shop", "gone"))
    sleep = asyncio.sleep

    async def the_watch_catches_up(seconds: float) -> None:
        bench.store.put(entry_from(stored, "HealthCheck"))
        bench.store.remove(Key("HealthCheck", "shop", "gone"))
        await sleep(seconds)

    monkeypatch.setattr("homeostat.engine.resync.asyncio.sleep", the_watch_catches_up)

    assert await bench.resync.sweep() == 0
    assert bench.resync.drifts_in_a_row == 0


async def test_an_object_deleted_between_listing_and_reading_is_not_counted_when_we_never_knew_it() -> None:
    bench = Bench()
    bench.objects.put(check_body())
    bench.objects.failures["get"].append(Gone("web"))

    assert await bench.resync.sweep() == 0


async def test_drifts_in_a_row_are_counted_and_forgotten_after_a_clean_sweep() -> None:
    """Fault 3: liveness asks for this."""
    bench = Bench()
    rows = []
    for generation in (1, 2, 2):
        bench.objects.put(check_body(generation=generation))
        if generation == 2 and rows[-1] == 2:
            bench.shown(check_body(generation=2))
        await bench.resync.sweep()
        rows.append(bench.resync.drifts_in_a_row)

    assert rows == [1, 2, 0]


async def test_a_sweep_that_fails_does_not_pass_for_one_that_found_nothing() -> None:
    bench = Bench()
    bench.objects.failures["list"].append(Unavailable("no answer"))
    bench.clock.advance(600)
    with pytest.raises(Unavailable):
        await bench.resync.sweep()

    assert bench.resync.age == 600
    await bench.resync.sweep()
    assert bench.resync.age == 0


async def test_a_sweep_never_puts_the_directory_back_to_what_it_was() -> None:
    """A slice that changes while the listing is read: the listing is older than what the watch showed."""
    bench = Bench(slices=[slice_body("web-1", ["10.0.0.1"])])
    bench.while_listing = lambda: bench.directory.put(slice_body("web-1", ["10.0.0.2"])) and None
    await bench.resync.sweep()
    found = bench.directory.endpoints("shop", "web", "http")

    assert found is not None
    assert [endpoint.address for endpoint in found] == ["10.0.0.2"]
