"""The controllers round dependencies: who is evaluated when, what a policy is shown, and when flapping is looked at."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes import NOON, FakeClock, FakeHistory, FakeObjects, body_of, check_body
from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.cluster import Namespace, TokenBudget
from homeostat.core.condition import condition
from homeostat.core.decision import Decision
from homeostat.core.health.run import RESTING, Run
from homeostat.core.health.track import record
from homeostat.core.probing.result import Reason, Verdict
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Check, Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.controllers.recovery import RecoveryController
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore, entry_from
from homeostat.engine.observing import read_check
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.engine.recovery.queries import Queries
from homeostat.engine.recovery.reading import TargetReader
from homeostat.engine.recovery.signals import Signals
from homeostat.engine.timetable import Timetable
from homeostat.engine.wakes import Wakes
from homeostat.telemetry.metrics import Metrics

PASS = Run(Verdict.PASS, Reason.OK, 0.003, 1, 1)
FAIL = Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1, failing=((None, "a", Reason.TIMEOUT),))
AT_ONCE = {"failureThreshold": 1, "successThreshold": 1, "flapping": {"transitions": 3, "window": "10m"}}


class FakeCluster:
    """A cluster in which there is nothing but the namespace."""

    async def namespace(self, name: str) -> Namespace:
        return Namespace(name=name, is_terminating=False)

    async def named(self, *_: str) -> None:
        return None

    async def token_budget(self, _now: datetime) -> TokenBudget:
        return TokenBudget(used=0, of=10)


@dataclass
class Bench:
    """The two controllers, as the engine drives them."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: ObjectStore = field(default_factory=ObjectStore)
    checks: Checks = field(default_factory=Checks)
    wakes: Wakes = field(default_factory=Wakes)
    generation: int = 0

    def __post_init__(self) -> None:
        meters = Meters()
        meters.roll(self.clock.now())
        self.timetable: Timetable[Check | Key] = Timetable(self.clock, lambda _key, _due: None)
        self.health = HealthController(self.checks, meters, self.clock, self.timetable, self.wakes)
        freezes = Freezes(self.store, FakeObjects(), self.store.put, lambda _key, _uid: None)
        archive = Archive(FakeHistory(), self.clock, Metrics())
        cluster: Any = FakeCluster()
        told = Queries(cluster, self.clock, lambda _: None), AlertInbox(self.store, self.clock, lambda _: None)
        collector = Collector(cluster, meters, self.clock, lambda _: None)
        feeding = Feeding(self.checks, meters, collector, self.store, self.clock)
        signals = Signals(self.checks, self.store, feeding, *told)
        targets = TargetReader(cluster, cluster)
        self.recovery = RecoveryController(
            cluster, self.store, signals, freezes, self.wakes, archive, targets=targets, healing=Metrics().healing
        )

    def apply(self, name: str, *depends_on: str, **spec: Any) -> Entry:
        """Create or edit a check, as the engine takes it; what is asked for by that is forgotten first."""
        self.generation += 1
        full = {**AT_ONCE, "dependsOn": [{"name": one} for one in depends_on], **spec}
        body = check_body(name, full, uid=f"uid-{name}", version=self.generation, generation=self.generation)
        return self._take(entry_from(body, "HealthCheck"), self.health)

    def apply_policy(self, check: str, *depends_on: str) -> Entry:
        """Create a policy that restarts a workload when the check is Unhealthy."""
        self.generation += 1
        spec = {
            "mode": "Auto",
            "target": {"kind": "Deployment", "name": "checkout"},
            "triggers": [{"healthCheck": {"name": check}}],
            "steps": [{"rolloutRestart": {}}],
            "dependsOn": [{"healthCheck": {"name": one}} for one in depends_on],
        }
        body = body_of("RecoveryPolicy", "restart", spec, version=self.generation)
        return self._take(entry_from(body, "RecoveryPolicy"), self.recovery)

    def _take(self, entry: Entry, controller: HealthController | RecoveryController) -> Entry:
        self.timetable._schedule._due.clear()
        self.store.put(entry)
        spec = entry.spec()
        assert not isinstance(spec, str), spec
        controller.changed(entry, spec, entry.problem())  # type: ignore[arg-type]
        return entry

    def drop(self, entry: Entry) -> None:
        self.timetable._schedule._due.clear()
        self.store.remove(entry.key)
        self.health.removed(entry)
        self.wakes.forget(entry.key)

    def asked_for(self) -> set[str]:
        """Name the objects whose evaluation is asked for."""
        return {key.name for key in self.timetable._schedule._due if isinstance(key, Key)}

    def woken_by(self, name: str) -> set[str]:
        return {key.name for key in self.wakes.of(key_of(name))}

    def run(self, name: str, *runs: Run) -> None:
        check = self.checks.get(key_of(name))
        assert check is not None
        for run in runs:
            self.clock.advance(10)
            record(check.track, check.plan, run, self.clock.now(), self.clock.monotonic())

    async def decide(self, entry: Entry, status: HealthCheckStatus | None = None) -> Decision[HealthCheckStatus]:
        spec = entry.spec()
        assert isinstance(spec, HealthCheckSpec)
        subject = Subject(entry, spec, status or HealthCheckStatus(), None, {})
        return await self.health.decide(subject, self.clock)

    async def decide_policy(
        self, entry: Entry, status: RecoveryPolicyStatus | None = None
    ) -> Decision[RecoveryPolicyStatus]:
        spec = entry.spec()
        assert isinstance(spec, RecoveryPolicySpec)
        subject = Subject(entry, spec, status or RecoveryPolicyStatus(), None, {})
        return await self.recovery.decide(subject, self.clock)


def key_of(name: str) -> Key:
    return Key("HealthCheck", "shop", name)


def why(status: HealthCheckStatus, type_: str) -> str:
    found = condition(status.conditions, type_)
    return f"{found.status.value} {found.reason}" if found else ""


# --- dependencies of a check ----------------------------------------------------------------------------


async def test_a_check_is_told_how_what_it_depends_on_fares() -> None:
    """H5."""
    bench = Bench()
    child = bench.apply("checkout", "database", "queue")
    bench.apply("database")
    bench.run("database", FAIL)
    status = (await bench.decide(child)).status

    assert status.suppressed_by == ("database",)
    assert why(status, "DependenciesHealthy") == "False DependencyUnhealthy"


async def test_a_check_is_woken_by_what_it_depends_on_and_no_longer_once_it_does_not() -> None:
    """H5."""
    bench = Bench()
    bench.apply("checkout", "database")
    before = bench.woken_by("database")
    child = bench.apply("checkout", "queue")
    after = bench.woken_by("database"), bench.woken_by("queue")
    bench.drop(child)

    assert (before, after) == ({"checkout"}, (set(), {"checkout"}))
    assert bench.woken_by("queue") == set()


async def test_probing_goes_on_while_a_check_is_suppressed() -> None:
    """H5: never its probing."""
    bench = Bench()
    bench.apply("database")
    bench.run("database", FAIL)
    bench.apply("checkout", "database")
    running = {check.key.name for check in bench.checks}

    assert running == {"checkout", "database"}
    assert {check.key.name for check in bench.timetable._schedule._due if isinstance(check, Check)} >= {"checkout"}


async def test_a_dependency_in_another_namespace_is_none() -> None:
    bench = Bench()
    child = bench.apply("checkout", "database")
    other = check_body("database", AT_ONCE, namespace="other", uid="uid-9")
    bench._take(entry_from(other, "HealthCheck"), bench.health)

    assert why((await bench.decide(child)).status, "DependenciesHealthy") == "Unknown DependencyUnknown"


async def test_a_cycle_is_refused_on_every_member_and_suppresses_nobody() -> None:
    """H5, fault 38: the edit that closes it wakes all of them, and so does the one that opens it."""
    bench = Bench()
    entries = [bench.apply("a", "b"), bench.apply("b", "c"), bench.apply("c"), bench.apply("outside", "a")]
    bench.run("c", FAIL)
    entries[2] = bench.apply("c", "a")
    closed_wakes = bench.asked_for()
    refused = [(await bench.decide(entry)).status for entry in entries]
    bench.apply("c")
    opened_wakes = bench.asked_for()
    mended = (await bench.decide(entries[1])).status

    assert closed_wakes == opened_wakes == {"a", "b", "c"}
    assert [why(status, "Ready").endswith("DependencyCycle") for status in refused] == [True, True, True, False]
    assert refused[1].suppressed_by == ()
    assert mended.suppressed_by == ("c",)
    assert len(bench.checks) == 4


async def test_a_check_that_depends_on_itself_is_refused_and_woken_by_nobody() -> None:
    """H5."""
    bench = Bench()
    entry = bench.apply("a", "a")

    assert why((await bench.decide(entry)).status, "Ready") == "False DependencyCycle"
    assert bench.woken_by("a") == set()


async def test_the_deletion_of_a_member_ends_the_cycle() -> None:
    bench = Bench()
    first, second = bench.apply("a", "b"), bench.apply("b", "a")
    bench.drop(second)

    assert "a" in bench.asked_for()
    assert why((await bench.decide(first)).status, "Ready") != "False DependencyCycle"


async def test_checks_that_depend_on_nothing_leave_nothing_in_the_graph() -> None:
    """Ten thousand of them live at once."""
    bench = Bench()
    for name in "abc":
        bench.apply(name)
    bench.apply("a", "b")
    bench.apply("a")

    assert bench.wakes._looks_at == {}
    assert not bench.checks.dependencies._graphs


async def test_a_suspended_member_is_refused_too_and_is_no_longer_probed() -> None:
    """H5: every member is told."""
    bench = Bench()
    bench.apply("a", "b")
    entry = bench.apply("b", "a", suspend=True)
    status = (await bench.decide(entry)).status

    assert (status.state, why(status, "Ready")) == (HealthState.SUSPENDED, "False DependencyCycle")
    assert {check.key.name for check in bench.checks} == {"a"}


async def test_the_end_of_one_check_leaves_what_others_depend_on() -> None:
    bench = Bench()
    bench.apply("a", "database")
    bench.apply("b", "database")
    bench.apply("a")

    assert bench.woken_by("database") == {"b"}
    assert bench.checks.dependencies.of(key_of("b")) == ("database",)


async def test_an_edit_keeps_the_streak_and_forgets_the_certificate() -> None:
    """H3: one check through any number of edits; another target has another certificate."""
    bench = Bench()
    bench.apply("checkout")
    bench.run("checkout", PASS._replace(not_after=1.9e9))
    bench.apply("checkout", interval="20s")
    check = bench.checks.get(key_of("checkout"))

    assert check is not None
    assert (check.track.streak, check.track.not_after, check.plan.interval) == (1, 0.0, 20)


# --- dependencies of a policy's trigger -----------------------------------------------------------------


async def test_a_policy_is_held_by_what_its_triggers_check_depends_on() -> None:
    """H5, R14: and woken when that changes."""
    bench = Bench()
    bench.apply("checkout", "database")
    bench.apply("database")
    bench.run("database", FAIL)
    bench.run("checkout", FAIL)
    policy = bench.apply_policy("checkout")
    status = (await bench.decide_policy(policy)).status

    assert status.blocked is not None
    assert status.blocked.reason == "DependencyUnhealthy"
    assert "database" in status.blocked.message
    assert "restart" in bench.woken_by("database")


async def test_a_policy_learns_of_dependencies_that_its_triggers_check_gets_later() -> None:
    """An edit of the check wakes the policy, which then looks at the new dependency too."""
    bench = Bench()
    bench.apply("checkout")
    bench.apply("database")
    bench.run("database", FAIL)
    bench.run("checkout", FAIL)
    policy = bench.apply_policy("checkout")
    bench.apply("checkout", "database")
    woken_by_the_edit = bench.woken_by("checkout")
    status = (await bench.decide_policy(policy)).status

    assert woken_by_the_edit == {"restart"}
    assert status.blocked is not None
    assert status.blocked.reason == "DependencyUnhealthy"
    assert "restart" in bench.woken_by("database")


async def test_a_policy_that_is_gone_is_not_left_among_those_to_wake() -> None:
    bench = Bench()
    bench.apply("checkout")
    policy = bench.apply_policy("checkout")
    bench.store.remove(policy.key)
    bench.wakes.forget(policy.key)
    await bench.decide_policy(policy)

    assert bench.wakes._looks_at == {}


async def test_a_cycle_holds_no_policy() -> None:
    """H5: dependsOn of its members has no effect."""
    bench = Bench()
    bench.apply("checkout", "database")
    bench.apply("database", "checkout")
    bench.run("database", FAIL)
    bench.run("checkout", FAIL)
    status = (await bench.decide_policy(bench.apply_policy("checkout"))).status

    assert status.blocked is not None
    assert status.blocked.reason == "TargetNotFound"


async def test_a_policy_is_held_by_the_low_budget_of_an_objective() -> None:
    """R15: of its own namespace; and it names it."""
    bench = Bench()
    bench.apply("checkout")
    bench.run("checkout", FAIL)
    for namespace, name in (("bank", "card"), ("shop", "answers")):
        status = {"holds": ["Recovery"]}
        body = body_of("ServiceLevelObjective", name, {}, namespace=namespace, status=status, uid=f"uid-{name}")
        bench.store.put(entry_from(body, "ServiceLevelObjective"))
    found = (await bench.decide_policy(bench.apply_policy("checkout"))).status

    assert found.blocked is not None
    assert found.blocked.reason == "BudgetHeld"
    assert "ServiceLevelObjective answers " in found.blocked.message


def drill(ended_at: datetime) -> Entry:
    """Give an experiment whose last run was a drill of the policy."""
    proof = {"kind": "RecoveryPolicy", "name": "restart", "state": "Proved", "verifiedAfter": "38s"}
    moment = f"{ended_at:%Y-%m-%dT%H:%M:%SZ}"
    run = {"number": 1, "startedAt": moment, "endedAt": moment, "verdict": "Passed", "reason": "HypothesisHeld"}
    spec = {
        "fault": {"podKill": {}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
        "duration": "10s",
        "hypothesis": [{"healthCheck": {"name": "checkout"}}],
        "proves": [{"recoveryPolicy": "restart"}],
    }
    runs = [{**run, "proved": ["restart"], "proofs": [proof]}]
    return entry_from(body_of("ChaosExperiment", "kill-checkout", spec, status={"runs": runs}), "ChaosExperiment")


async def test_a_policy_is_proven_for_thirty_days_and_then_wakes_to_say_that_it_no_longer_is() -> None:
    """C17: nothing else may happen to it for a month; its experiment may be gone by then."""
    bench = Bench()
    bench.apply("checkout")
    bench.run("checkout", PASS)
    policy = bench.apply_policy("checkout")
    ended_at = bench.clock.now().replace(microsecond=0)
    experiment = drill(ended_at)
    bench.store.put(experiment)
    proven = await bench.decide_policy(policy)
    bench.store.remove(experiment.key)
    bench.clock.advance(timedelta(days=29).total_seconds())
    still = await bench.decide_policy(policy, proven.status)
    bench.clock.advance((ended_at + timedelta(days=30) - bench.clock.now()).total_seconds())
    stale = await bench.decide_policy(policy, still.status)

    said = [condition(one.status.conditions, "Proven") for one in (proven, still, stale)]
    assert [(one.status, one.reason) for one in said if one] == [
        ("True", "DrillPassed"), ("True", "DrillPassed"), ("False", "Stale"),
    ]  # fmt: skip
    assert proven.status.proof is not None
    assert proven.status.proof.time_to_recover == timedelta(seconds=38)
    assert still.check_again_at is not None
    assert still.check_again_at <= ended_at + timedelta(days=30)


async def test_a_check_in_maintenance_fires_nothing_and_proves_nothing() -> None:
    """R7, R12: no data is no quiet."""
    bench = Bench()
    window = {"start": NOON.isoformat(), "end": (NOON + timedelta(hours=1)).isoformat()}
    bench.apply("checkout", maintenance=[window])
    bench.run("checkout", FAIL)
    policy = bench.apply_policy("checkout")
    status = (await bench.decide_policy(policy)).status

    assert [signal.state.value for signal in status.signals] == ["Unknown"]
    assert status.blocked is not None
    assert status.blocked.reason == "SignalMissing"


@pytest.mark.parametrize(
    ("minutes", "state"), [(-1, HealthState.HEALTHY), (0, HealthState.SUSPENDED), (59, HealthState.SUSPENDED)]
)
async def test_whoever_reads_a_check_sees_maintenance_from_its_first_second(minutes: int, state: HealthState) -> None:
    """R12: also before the next run is due."""
    bench = Bench()
    start = NOON + timedelta(minutes=10)
    bench.apply("checkout", maintenance=[{"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}])
    bench.run("checkout", PASS)
    bench.clock.advance((start - bench.clock.now()).total_seconds() + 60 * minutes)
    reading = read_check(bench.checks, "shop", "checkout", bench.clock)

    assert reading is not None
    assert reading.state is state


async def test_after_maintenance_a_check_stays_suspended_until_its_next_run() -> None:
    bench = Bench()
    window = {"start": NOON.isoformat(), "end": (NOON + timedelta(seconds=15)).isoformat()}
    bench.apply("checkout", maintenance=[window])
    bench.run("checkout", RESTING)
    bench.clock.advance(30)
    before = read_check(bench.checks, "shop", "checkout", bench.clock)
    bench.run("checkout", PASS)
    after = read_check(bench.checks, "shop", "checkout", bench.clock)

    assert before is not None
    assert after is not None
    assert (before.state, after.state) == (HealthState.SUSPENDED, HealthState.HEALTHY)


# --- flapping -------------------------------------------------------------------------------------------


async def test_only_a_check_that_flaps_is_looked_at_again_by_itself() -> None:
    """Silence is noticed by probing, and costs no timer."""
    bench = Bench()
    entry = bench.apply("checkout")
    bench.run("checkout", PASS, FAIL)
    steady = await bench.decide(entry)
    bench.run("checkout", PASS, FAIL)
    flapping = await bench.decide(entry, steady.status)
    check = bench.checks.get(entry.key)

    assert check is not None
    assert steady.check_again_at is None
    assert flapping.check_again_at == bench.clock.now() + timedelta(minutes=10)
    assert check.track.is_flapping

    bench.clock.advance(600)
    ended = await bench.decide(entry, flapping.status)

    assert [event.reason for event in ended.events][:1] == ["FlappingEnded"]
    assert ended.check_again_at is None
    assert not check.track.is_flapping
