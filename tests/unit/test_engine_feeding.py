"""What feeds an objective, and how fresh it is: pushed events, members of a composite, what rules record."""

from datetime import timedelta
from typing import Any

import pytest

from fakes import NOON, FakeClock, body_of
from homeostat.api.objective import KIND as OBJECTIVE
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.history.window import Counts
from homeostat.core.objective.calendar import period_at
from homeostat.core.objective.tally import Tally
from homeostat.engine.checks import Checks
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore, entry_from
from homeostat.ports import Prometheus

MINUTE = int(NOON.timestamp()) // 60
KIND = OBJECTIVE.kind
PUSHED = {"events": {"staleAfter": "10m"}}


class World:
    """A feeding with books of its own, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock, self.meters, self.store = FakeClock(), Meters(), ObjectStore()
        self.version = 0
        self.meters.roll(self.clock.now())
        nobody: Any = None
        prometheus: Prometheus = nobody
        collector = Collector(prometheus, self.meters, self.clock, lambda _: None)
        self.feeding = Feeding(Checks(), self.meters, collector, self.store, self.clock)

    def put(self, name: str, indicator: dict[str, Any], **more: Any) -> Entry:
        """Let there be an objective, with its history taken up."""
        spec = {"objective": "99", "window": {"rolling": "30d"}, "indicator": indicator} | more
        self.version += 1
        entry = entry_from(body_of(KIND, name, spec, uid=f"uid-{name}", version=self.version), KIND)
        self.store.put(entry)
        self.feeding.open(entry, spec_of(entry))
        for wanted in self.meters.wanted():
            self.meters.recalled(wanted)
        return entry

    def advance(self, minutes: int) -> None:
        """Let minutes pass, each booked and marked as the operator does it."""
        for _ in range(minutes):
            self.clock.advance(60)
            self.meters.roll(self.clock.now())
            self.feeding.mark(self.clock.now())

    def push(self, key: Key, bad: float, total: float) -> None:
        """Count events as a push does."""
        self.meters.add(key, "", int(self.clock.now().timestamp()) // 60, bad, total)
        self.feeding.pushed(key)

    def observed(self, key: Key, minutes: int) -> float:
        """Give the minutes of the last so many that were observed."""
        series = self.meters.series(key)
        assert series is not None
        return series.last(minutes * 60).observed_seconds / 60


def spec_of(entry: Entry) -> ServiceLevelObjectiveSpec:
    spec = entry.spec()
    assert isinstance(spec, ServiceLevelObjectiveSpec)
    return spec


def test_minutes_without_a_push_are_lived_through_until_the_push_is_stale() -> None:
    """S5: no traffic is not missing data."""
    world = World()
    web = world.put("web", PUSHED)
    world.push(web.key, 1, 10)
    world.advance(30)

    assert world.observed(web.key, 31) == 11


def test_pushing_zeros_keeps_an_objective_fresh_and_counts_nothing() -> None:
    """S5: zero traffic is not missing data."""
    world = World()
    web = world.put("web", PUSHED)
    for _ in range(4):
        world.push(web.key, 0, 0)
        world.advance(9)
    seen = world.feeding.seen(web, spec_of(web))

    assert seen is not None
    assert seen.observed_at is not None
    assert world.clock.now() - seen.observed_at <= seen.stale_after
    series = world.meters.series(web.key)
    assert series is not None
    assert (series.last(3600).total, world.observed(web.key, 36)) == (0, 36)


def test_silence_of_those_who_push_is_told_as_such() -> None:
    world = World()
    web = world.put("web", PUSHED)
    before = world.feeding.seen(web, spec_of(web))
    world.push(web.key, 0, 5)
    world.advance(11)
    after = world.feeding.seen(web, spec_of(web))

    assert before is not None
    assert after is not None
    assert (before.observed_at, before.reason) == (None, "NoEvents")
    assert after.reason == "NoEvents"
    assert "lately" in after.message


def test_an_edit_forgets_neither_counts_nor_the_last_push() -> None:
    world = World()
    web = world.put("web", PUSHED)
    world.push(web.key, 0, 5)
    world.put("web", {"events": {"staleAfter": "1h"}})
    seen = world.feeding.seen(web, spec_of(web))
    series = world.meters.series(web.key)

    assert seen is not None
    assert series is not None
    assert seen.observed_at == NOON
    assert series.last(60).total == 5


def test_a_composite_counts_its_members_and_is_as_fresh_as_the_freshest() -> None:
    """S12: weighted 3 to 7."""
    world = World()
    a, b = world.put("a", PUSHED), world.put("b", PUSHED)
    whole = world.put("whole", {"composite": {"members": [{"name": "a", "weight": 3}, {"name": "b", "weight": 7}]}})
    world.push(a.key, 1, 10)
    world.advance(20)
    world.push(b.key, 0, 10)
    series, seen = world.feeding.series(whole, spec_of(whole)), world.feeding.seen(whole, spec_of(whole))

    assert series is not None
    assert seen is not None
    counts = series.last(3600)
    assert round(counts.bad / counts.total, 9) == 0.03
    assert seen.observed_at == NOON + timedelta(minutes=20)


def test_a_member_that_is_not_there_is_named_and_the_others_are_counted() -> None:
    world = World()
    world.put("a", PUSHED)
    whole = world.put("whole", {"composite": {"members": [{"name": "a"}, {"name": "gone"}]}})
    seen = world.feeding.seen(whole, spec_of(whole))

    assert seen is not None
    assert seen.reason == "MemberMissing"
    assert "gone" in seen.message


def test_a_cycle_is_a_problem_of_all_that_lead_into_it_until_an_edit_ends_it() -> None:
    world = World()
    a = world.put("a", {"composite": {"members": [{"name": "b"}]}})
    world.put("b", {"composite": {"members": [{"name": "a"}]}})
    outside = world.put("outside", {"composite": {"members": [{"name": "a"}]}})
    found = [world.feeding.problem(entry.key) for entry in (a, outside)]
    world.put("b", PUSHED)

    assert [one and one[0] for one in found] == ["CompositeCycle", "CompositeCycle"]
    assert [world.feeding.problem(entry.key) for entry in (a, outside)] == [None, None]


def test_what_is_gone_is_no_member_any_more() -> None:
    world = World()
    a = world.put("a", PUSHED)
    whole = world.put("whole", {"composite": {"members": [{"name": "a"}]}})
    world.store.remove(a.key)
    world.feeding.close(a.key)
    seen = world.feeding.seen(whole, spec_of(whole))

    assert seen is not None
    assert seen.reason == "MemberMissing"
    assert world.meters.series(a.key) is None


@pytest.mark.parametrize("mode", ["Weighted", "Sum"])
@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("exclusion", ["Remove", "CountAsGood"])
def test_what_a_composite_excludes_is_taken_out_of_each_member(mode: str, exclusion: str, *, is_nested: bool) -> None:
    """S9, S12: a load test of one member, taken out of the whole, must not hide that it was down ever after."""
    world, until = World(), NOON + timedelta(minutes=30)
    loaded, other = world.put("loaded", PUSHED), world.put("other", PUSHED)
    composite = {"composite": {"mode": mode, "members": [{"name": "loaded"}, {"name": "other"}]}}
    excluded = [{"from": NOON.isoformat(), "to": until.isoformat(), "mode": exclusion}]
    for minute in range(60):
        world.push(loaded.key, 1, 1 if minute >= 30 else 1000)
        world.push(other.key, 0, 10)
        world.advance(1)

    if is_nested:
        world.put("inner", composite)
        composite = {"composite": {"members": [{"name": "inner"}]}}
    whole = world.put("whole", composite, exclusions=excluded)
    found = counted_by(world, whole)
    for name in ("loaded", "other"):
        world.put(name, PUSHED, exclusions=excluded)
    assert found == counted_by(world, world.put("whole", composite))
    if exclusion == "Remove":
        assert found.bad / found.total == pytest.approx(0.5 if mode == "Weighted" else 1 / 11)


def counted_by(world: World, entry: Entry) -> Counts:
    """Give what an objective is decided by."""
    now, spec = world.clock.now(), spec_of(entry)
    series = world.feeding.series(entry, spec)
    return Tally(spec, series, timedelta(minutes=1), period_at(spec.window, now), now).last(timedelta(hours=2))
