"""The watch over rules: what it finds out about the objects and about Prometheus, and how much it asks for that."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fakes import FakeClock
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.action import InstallRules, Outcome, Verb
from homeostat.core.prometheus.answer import Failure, LoadedGroup, Matrix, Sample, Trouble, Vector
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import Holder, RuleSelector, Standing, standing
from homeostat.core.rules.installation import Found, Loaded, RulesSeen, decide_rules
from homeostat.engine.objective.rules_watch import RulesWatch
from homeostat.engine.objects import Key
from homeostat.ports import Forbidden, Unavailable
from rule_cases import spec_of

REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
KEY = Key("ServiceLevelObjective", "shop", "checkout")
SPEC = spec_of()
NAMES = tuple(emit(SPEC, "shop", "checkout").names)


@dataclass(slots=True)
class FakeRules:
    """Objects with rules, in memory."""

    kind: Holder = Holder.PROMETHEUS_RULE
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    found: tuple[RuleSelector, ...] = ()
    fault: Exception | None = None
    faulty: str = ""
    journal: list[str] = field(default_factory=list)

    async def holder(self) -> Holder:
        self.journal.append("holder")
        return self.kind

    async def look(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Standing]:
        self.journal.append("look")
        if self.fault is not None and (not self.faulty or self.faulty in namespaces):
            raise self.fault
        for body in self.objects.values():
            yield standing(body)

    async def bodies(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Mapping[str, Any]]:
        self.journal.append("bodies")
        for body in self.objects.values():
            yield body

    async def body(self, holder: Holder, namespace: str, name: str) -> Mapping[str, Any] | None:
        self.journal.append("body")
        return self.objects.get((namespace, name))

    async def selectors(self) -> tuple[RuleSelector, ...]:
        self.journal.append("selectors")
        return self.found

    def write(self, ref: Ref = REF, **changes: Any) -> None:
        """Put there what the operator writes for SPEC, with these changes."""
        seen = RulesSeen(self.kind, Found.ABSENT)
        (action,) = decide_rules(SPEC, ServiceLevelObjectiveStatus(), seen, ref, {}).actions
        assert isinstance(action, InstallRules)
        body = dict(action.body) | changes
        version = str(len(self.journal) + 100)
        body["metadata"] = dict(action.body["metadata"]) | {"resourceVersion": version}
        self.objects[ref.namespace, body["metadata"]["name"]] = body


@dataclass(slots=True)
class FakePrometheus:
    """Knows its groups of rules, by URL."""

    answer: tuple[LoadedGroup, ...] | Failure = ()
    recorded: Vector | Failure = field(default_factory=lambda: Vector(()))
    asked: list[str] = field(default_factory=list)
    stalls: str = ""
    is_told: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether another than the one that stalls was asked."""

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        return self.recorded

    async def query_range(self, url: str, query: str, start: float, end: float, step: float) -> Matrix | Failure:
        return Matrix(())

    async def groups(self, url: str) -> tuple[LoadedGroup, ...] | Failure:
        self.asked.append(url)
        if self.stalls and url == self.stalls:
            await self.is_told.wait()
        else:
            self.is_told.set()
        return self.answer

    def load(self, *, is_healthy: bool = True) -> None:
        """Have loaded the rules of SPEC."""
        self.answer = tuple(LoadedGroup(name, "rules.yaml", (), is_healthy=is_healthy) for name in NAMES)


@dataclass(slots=True)
class Scene:
    rules: FakeRules = field(default_factory=FakeRules)
    prometheus: FakePrometheus = field(default_factory=FakePrometheus)
    clock: FakeClock = field(default_factory=FakeClock)
    watch: RulesWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = RulesWatch(self.prometheus, self.rules, self.clock)
        self.watch.open(KEY, REF, SPEC)

    async def look(self, seconds: float = 60) -> RulesSeen:
        self.clock.advance(seconds)
        await self.watch.look()
        seen = self.watch.seen(KEY)
        assert seen is not None
        return seen


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_an_object_that_is_not_there_is_found_absent(scene: Scene) -> None:
    assert scene.watch.seen(KEY) == RulesSeen()
    assert (await scene.look()).found is Found.ABSENT


async def test_what_was_written_is_as_wanted_and_loaded_once_prometheus_says_so(scene: Scene) -> None:
    """S13."""
    scene.rules.write()
    first = await scene.look()
    scene.prometheus.load()
    second = await scene.look()

    assert (first.found, first.loaded) == (Found.AS_WANTED, Loaded.WAITING)
    assert (second.found, second.loaded) == (Found.AS_WANTED, Loaded.LOADED)


async def test_another_version_that_is_loaded_does_not_count(scene: Scene) -> None:
    """S13: a Prometheus that cannot reload goes on with the old rules."""
    scene.rules.write()
    scene.prometheus.load()
    old = tuple(LoadedGroup(group.name[:-8] + "00000000", "", ()) for group in scene.prometheus.answer)  # type: ignore[union-attr]
    scene.prometheus.answer = old
    await scene.look()

    assert (await scene.look(200)).loaded is Loaded.MISSING


async def test_not_loaded_after_three_minutes_names_the_label_that_is_missing(scene: Scene) -> None:
    """S13: the first-day failure of every such tool."""
    scene.rules.write()
    scene.rules.found = (RuleSelector("monitoring/k8s", {"release": "kps"}),)
    await scene.look()
    assert (await scene.look(120)).loaded is Loaded.WAITING
    seen = await scene.look(120)

    assert seen.loaded is Loaded.MISSING
    assert "monitoring/k8s" in seen.hint
    assert "release: kps" in seen.hint


@pytest.mark.parametrize(
    ("selectors", "told"),
    [
        ((), "often release"),
        ((RuleSelector("m/k", None),), "selects no rules at all"),
        ((RuleSelector("m/k", {}, selects_namespaces=True),), "ruleNamespaceSelector"),
    ],
)
async def test_why_rules_are_not_loaded_is_told_as_far_as_it_can_be_read(
    scene: Scene, selectors: tuple[RuleSelector, ...], told: str
) -> None:
    scene.rules.write()
    scene.rules.found = selectors
    await scene.look()

    assert told in (await scene.look(200)).hint


async def test_an_unhealthy_rule_is_found(scene: Scene) -> None:
    scene.rules.write()
    scene.prometheus.load(is_healthy=False)

    assert (await scene.look()).loaded is Loaded.UNHEALTHY


async def test_a_prometheus_that_does_not_answer_is_believed_for_three_minutes_and_then_unknown(scene: Scene) -> None:
    scene.rules.write()
    scene.prometheus.load()
    await scene.look()
    scene.prometheus.answer = Failure(Trouble.TIMEOUT)

    assert (await scene.look()).loaded is Loaded.LOADED
    assert (await scene.look(200)).loaded is Loaded.UNKNOWN


async def test_where_all_rules_are_too_many_to_be_listed_their_recordings_say_which_are_loaded(scene: Scene) -> None:
    """10,000 objectives have 250,000 rules; the series that says their version is one each."""
    version = emit(SPEC, "shop", "checkout").version
    scene.rules.write()
    scene.prometheus.answer = Failure(Trouble.TOO_LARGE)
    labels = {"homeostat_namespace": "shop", "homeostat_slo": "checkout", "homeostat_rules": version}
    scene.prometheus.recorded = Vector((Sample(1.0, labels),))
    assert (await scene.look()).loaded is Loaded.LOADED
    scene.prometheus.recorded = Vector((Sample(1.0, labels | {"homeostat_rules": "00000000"}),))
    assert (await scene.look(200)).loaded is Loaded.MISSING


async def test_an_edit_by_others_is_found_although_the_annotation_stays(scene: Scene) -> None:
    """Drift: somebody edits a rule, or deletes the object."""
    scene.rules.write()
    assert (await scene.look()).found is Found.AS_WANTED
    scene.rules.write(spec={"groups": []})
    assert (await scene.look()).found is Found.DIFFERENT
    scene.rules.objects.clear()
    assert (await scene.look()).found is Found.ABSENT


async def test_an_edited_objective_wants_another_object(scene: Scene) -> None:
    scene.rules.write()
    await scene.look()
    scene.watch.open(KEY, REF, spec_of(objective="99.5"))

    assert (await scene.look()).found is Found.DIFFERENT


async def test_opening_what_did_not_change_forgets_nothing(scene: Scene) -> None:
    scene.rules.write()
    await scene.look()
    scene.watch.open(KEY, REF, SPEC)
    seen = scene.watch.seen(KEY)

    assert seen is not None
    assert seen.found is Found.AS_WANTED


async def test_the_object_of_another_objective_is_foreign(scene: Scene) -> None:
    scene.rules.write(Ref("ServiceLevelObjective", "shop", "checkout", "uid-0"))

    assert (await scene.look()).found is Found.FOREIGN


async def test_bodies_are_read_once_for_each_version(scene: Scene) -> None:
    scene.rules.write()
    for _ in range(5):
        await scene.look()

    assert (scene.rules.journal.count("look"), scene.rules.journal.count("body")) == (5, 1)


async def test_ten_thousand_objectives_cost_one_listing_and_one_question_a_round(scene: Scene) -> None:
    for number in range(200):
        ref = Ref("ServiceLevelObjective", "shop", f"c{number}", f"uid-{number}")
        scene.watch.open(Key("ServiceLevelObjective", "shop", ref.name), ref, SPEC)
        scene.rules.write(ref)
    await scene.look()
    await scene.look()

    assert scene.rules.journal.count("look") == 2
    assert scene.rules.journal.count("bodies") == 1
    assert scene.rules.journal.count("body") == 0
    assert scene.prometheus.asked == ["", ""]


async def test_each_prometheus_is_asked_for_its_own_objectives(scene: Scene) -> None:
    other = {"url": "http://other:9090", "ratioQuery": "x"}
    scene.watch.open(
        Key("ServiceLevelObjective", "shop", "x"), Ref("ServiceLevelObjective", "shop", "x", "u"), spec_of(other)
    )
    await scene.look()

    assert scene.prometheus.asked == ["", "http://other:9090"]


async def test_a_prometheus_that_stalls_holds_up_no_other(scene: Scene) -> None:
    """A round of many that stall took longer than an answer counts: all rules were unknown again and again."""
    for name in ("a", "b"):
        ref = Ref("ServiceLevelObjective", "shop", name, f"uid-{name}")
        scene.watch.open(Key(ref.kind, "shop", name), ref, spec_of({"url": f"http://{name}:9090", "ratioQuery": "x"}))
    scene.watch.close(KEY)
    scene.prometheus.stalls = "http://a:9090"
    async with asyncio.timeout(5):
        await scene.watch.look()

    assert scene.prometheus.asked == ["http://a:9090", "http://b:9090"]


async def test_after_a_write_nothing_is_known_until_the_next_look(scene: Scene) -> None:
    await scene.look()
    scene.watch.acted(KEY, Outcome(Verb.DONE))
    seen = scene.watch.seen(KEY)
    scene.rules.write()

    assert seen is not None
    assert seen.found is Found.UNKNOWN
    assert (await scene.look()).found is Found.AS_WANTED


async def test_what_was_refused_is_not_tried_again_for_ten_minutes(scene: Scene) -> None:
    scene.watch.acted(KEY, Outcome(Verb.REFUSED, "NotOurs"))

    assert (await scene.look()).found is Found.UNKNOWN
    assert (await scene.look(600)).found is Found.ABSENT


async def test_what_may_not_be_listed_is_forbidden_until_it_may(scene: Scene) -> None:
    scene.rules.fault = Forbidden("no")
    forbidden = await scene.look()
    scene.rules.fault = None

    assert forbidden.found is Found.FORBIDDEN
    assert (await scene.look()).found is Found.ABSENT


async def test_configmaps_are_looked_for_only_where_there_are_objectives_and_where_that_is_allowed(
    scene: Scene,
) -> None:
    """ConfigMaps are everybody's: the right to list them is given namespace by namespace."""
    bank = Key(KEY.kind, "bank", "pay")
    scene.watch.open(bank, Ref(KEY.kind, "bank", "pay", "uid-2"), SPEC)
    scene.rules.kind = Holder.CONFIG_MAP
    scene.rules.fault, scene.rules.faulty = Forbidden("no"), "bank"
    found = (await scene.look()).found
    other = scene.watch.seen(bank)

    assert other is not None
    assert (found, other.found) == (Found.ABSENT, Found.FORBIDDEN)
    assert scene.rules.journal.count("look") == 2


async def test_an_api_server_that_does_not_answer_changes_nothing(scene: Scene) -> None:
    scene.rules.write()
    scene.prometheus.load()
    await scene.look()
    scene.rules.fault = Unavailable("no")

    assert (await scene.look()).loaded is Loaded.LOADED


async def test_a_kind_that_appears_is_noticed_within_ten_minutes(scene: Scene) -> None:
    scene.rules.kind = Holder.CONFIG_MAP
    assert (await scene.look()).holder is Holder.CONFIG_MAP
    scene.rules.kind = Holder.PROMETHEUS_RULE

    assert (await scene.look()).holder is Holder.CONFIG_MAP
    assert (await scene.look(600)).holder is Holder.PROMETHEUS_RULE


async def test_who_asks_for_no_rules_is_not_followed_and_costs_nothing(scene: Scene) -> None:
    scene.watch.open(KEY, REF, spec_of(rules={"emit": False}))
    scene.clock.advance(60)
    await scene.watch.look()

    assert scene.watch.seen(KEY) is None
    assert (scene.rules.journal, scene.prometheus.asked) == ([], [])


async def test_what_has_no_rules_says_why(scene: Scene) -> None:
    scene.watch.open(KEY, REF, spec_of(indicator={"events": {}}))

    assert "type prometheus" in (await scene.look()).problem
