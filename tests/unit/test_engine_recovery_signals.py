"""What a policy looks at, gathered: checks, objectives, queries, alerts, and what is read of its targets."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes import NOON, FakeClock, body_of, check_body, eventually
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery_status import SignalState
from homeostat.core.cluster import Pod, Workload
from homeostat.core.health.run import Run
from homeostat.core.health.track import record
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.prometheus.answer import Failure, LoadedGroup, Matrix, Sample, Trouble, Vector
from homeostat.core.recovery import SignalSeen
from homeostat.core.recovery.alerting import ToldAlert
from homeostat.core.ref import Ref
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.objects import Entry, Key, entry_from
from homeostat.engine.recovery import alert_inbox
from homeostat.engine.recovery.queries import LATEST, SOONEST, Queries
from homeostat.engine.timetable import Timetable
from homeostat.engine.wakes import Wakes
from told import HIGH_ERRORS, Policies, policy_body, spec_of

FIRING, QUIET, UNKNOWN, STALE = SignalState.FIRING, SignalState.QUIET, SignalState.UNKNOWN, SignalState.STALE
POD = Ref("Pod", "shop", "checkout-1", "uid-pod-1")
PASS = Run(Verdict.PASS, Reason.OK, 0.003, 1, 1)
FAIL = Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1, failing=((POD, "10.0.0.1", Reason.TIMEOUT),))
CHECK = {"healthCheck": {"name": "checkout"}}
SLO = {"slo": {"name": "orders", "burnRateAbove": "14.4"}}
PROMQL = {"promql": {"query": "errors", "condition": "> 5"}}


class FakePrometheus:
    """Answers every query with what it is told to, or not at all."""

    def __init__(self, *values: float) -> None:
        self.answer: Vector | Failure = Vector(tuple(map(Sample, values)))
        self.asked: list[tuple[str, str]] = []

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        self.asked.append((url, query))
        await asyncio.sleep(0)
        return self.answer

    async def query_range(self, *_: Any) -> Matrix | Failure:
        raise AssertionError("nobody asks")

    async def groups(self, url: str) -> tuple[LoadedGroup, ...] | Failure:
        raise AssertionError(url)


class Bench(Policies):
    """Policies on a clock that stands still, with checks and objectives beside them."""

    def look(self, *triggers: dict[str, Any], targets: tuple[Workload, ...] = (), **more: Any) -> SignalSeen:
        """Give what the first trigger of a policy says now."""
        self.version += 1
        key = self.put(policy_body("policy", *triggers, version=self.version, generation=self.version, **more))
        return self.signals.seen(spec_of(self._entry(key)), "shop", targets, self.clock)[0]

    def check(self, **spec: Any) -> None:
        """Let a check run that needs two fails to be Unhealthy."""
        timetable: Any = Timetable(self.clock, lambda _key, _due: None)
        health = HealthController(self.checks, self.meters, self.clock, timetable, Wakes())
        entry = entry_from(check_body("checkout", {"failureThreshold": 2, **spec}), "HealthCheck")
        self.store.put(entry)
        wanted = entry.spec()
        assert isinstance(wanted, HealthCheckSpec)
        health.changed(entry, wanted, None)

    def run(self, *runs: Run) -> None:
        check = self.checks.get(Key("HealthCheck", "shop", "checkout"))
        assert check is not None
        for run in runs:
            self.tick(10)
            self.meters.count(check, run, self.clock.now())
            record(check.track, check.plan, run, self.clock.now(), self.clock.monotonic())

    def tick(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)
        self.meters.roll(self.clock.now())

    def objective(self, indicator: dict[str, Any] | None = None, **spec: Any) -> Entry:
        """Let there be an objective of 99 % that events are pushed to."""
        self.version += 1
        full = {"objective": "99", "window": {"rolling": "30d"}, "indicator": indicator or {"events": {}}} | spec
        body = body_of("ServiceLevelObjective", "orders", full, uid="uid-orders", version=self.version)
        entry = entry_from(body, "ServiceLevelObjective")
        self.store.put(entry)
        wanted = entry.spec()
        if isinstance(wanted, ServiceLevelObjectiveSpec):
            self.feeding.open(entry, wanted)
            for one in self.meters.wanted():
                self.meters.recalled(one)
        return entry

    def push(self, entry: Entry, bad: float, total: float, ago: int = 0) -> None:
        minute = int(self.clock.now().timestamp()) // 60 - ago
        self.meters.add(entry.key, "", minute, bad, total)
        self.feeding.pushed(entry.key)


def pod(name: str, *reasons: str) -> Pod:
    ref = Ref("Pod", "shop", name, f"uid-{name}")
    return Pod(ref, "1", "10.0.0.1", "node-1", "Running", not reasons, False, 0, NOON, reasons=reasons)


def workload(name: str, *pods: Pod, kind: str = "Deployment", **more: Any) -> Workload:
    return Workload(Ref(kind, "shop", name, f"uid-{name}"), "1", 1, 1, 3, 3, 3, 3, f"app={name}", pods=pods, **more)


# --- checks -------------------------------------------------------------------------------------------------


def test_a_check_tells_since_when_it_fails_and_when_the_first_sign_was() -> None:
    """R17: time to detect is counted from the first failed probe."""
    bench = Bench()
    bench.check()
    bench.run(PASS, PASS, FAIL)
    first = bench.clock.now()
    early = bench.look(CHECK)
    bench.run(FAIL)
    seen = bench.look(CHECK)
    bench.run(PASS, PASS)

    assert (early.verdict, early.began_at) == (QUIET, first)
    assert (seen.verdict, seen.began_at, seen.since) == (FIRING, first, first + timedelta(seconds=10))
    assert seen.failing == (POD,)
    assert bench.look(CHECK).began_at == first  # for the record of what has just been healed


def test_what_degrades_began_with_the_first_blemish_and_not_with_an_old_failure() -> None:
    """R17."""
    bench = Bench()
    bench.check(successThreshold=1)
    bench.run(FAIL, FAIL, PASS, PASS)
    bench.run(PASS._replace(is_retried=True))
    seen = bench.look({"healthCheck": {"name": "checkout", "state": "Degraded"}})

    assert (seen.verdict, seen.began_at) == (FIRING, bench.clock.now())


def test_a_check_that_is_not_there_or_not_run_yet_is_unknown() -> None:
    """R12."""
    bench = Bench()
    missing = bench.look(CHECK)
    bench.check()

    assert (missing.verdict, missing.observed_at, missing.is_idle) == (UNKNOWN, None, False)
    assert bench.look(CHECK).observed_at is None


def test_max_data_age_overrides_what_a_check_is_good_for() -> None:
    """R12."""
    bench = Bench()
    bench.check()
    bench.run(PASS)

    assert bench.look(CHECK).stale_after > timedelta(seconds=30)
    assert bench.look(CHECK | {"maxDataAge": "7s"}).stale_after == timedelta(seconds=7)


# --- objectives ---------------------------------------------------------------------------------------------


def test_an_objective_fires_while_both_windows_of_its_shortest_alert_burn_faster() -> None:
    """S2, S4: 1 h and 5 m; from what is counted now, not from a status."""
    bench = Bench()
    entry = bench.objective()
    for minute in range(59, 4, -1):
        bench.push(entry, 0, 10, ago=minute)
    quiet = bench.look(SLO).verdict
    bench.push(entry, 1000, 1000, ago=10)  # an hour of it, but not the last five minutes
    bench.push(entry, 0, 10)
    only_long = bench.look(SLO).verdict
    bench.push(entry, 100, 100)
    seen = bench.look(SLO)

    assert (quiet, only_long, seen.verdict) == (UNKNOWN, QUIET, FIRING)
    assert seen.detail == "ServiceLevelObjective orders burns faster than 14.4"
    assert seen.stale_after == timedelta(minutes=3)


def test_the_first_bad_event_of_a_young_objective_is_no_fire() -> None:
    """S6: what the long window has not seen counts as good."""
    bench = Bench()
    entry = bench.objective()
    bench.push(entry, 1, 2)

    assert bench.look(SLO).verdict is QUIET


def test_an_objective_without_data_is_unknown_and_says_why() -> None:
    """R12, S13."""
    bench = Bench()
    missing = bench.look(SLO)
    entry = bench.objective()
    nothing = bench.look(SLO)
    bench.push(entry, 0, 0)
    idle = bench.look(SLO)
    bench.objective(objective="lots")
    broken = bench.look(SLO)

    assert [one.verdict for one in (missing, nothing, idle, broken)] == [UNKNOWN] * 4
    assert missing.detail == broken.detail == "ServiceLevelObjective orders is not there, or not evaluated"
    assert nothing.detail == "ServiceLevelObjective orders has no data"
    assert [one.is_idle for one in (missing, nothing, idle, broken)] == [False, False, True, False]


def test_an_objective_that_nothing_is_pushed_to_any_more_goes_stale() -> None:
    """R12: the figures are as old as the last push, whatever they say."""
    bench = Bench()
    entry = bench.objective({"events": {"staleAfter": "1h"}})
    bench.push(entry, 100, 100)
    at = bench.clock.now()
    bench.tick(240)
    bench.feeding.mark(bench.clock.now())
    seen = bench.look({"slo": {"name": "orders", "burnRateAbove": "1"}})

    assert (seen.verdict, seen.observed_at) == (FIRING, at)
    assert bench.clock.now() - at > seen.stale_after


def test_an_objective_of_a_check_names_the_pods_that_fail_and_wakes_with_it() -> None:
    bench = Bench()
    bench.check()
    bench.objective({"healthCheck": {"name": "checkout"}})
    bench.run(*[FAIL] * 60)
    seen = bench.look(SLO)
    spec = spec_of(entry_from(policy_body("policy", SLO), "RecoveryPolicy"))

    assert (seen.verdict, seen.failing) == (FIRING, (POD,))
    assert {key.name for key in bench.signals.looked_at(spec, "shop")} == {"orders", "checkout"}


# --- pods, Nodes and rollouts -------------------------------------------------------------------------------


def test_pods_of_all_targets_are_looked_at_and_named() -> None:
    web, api = workload("web", pod("web-1"), pod("web-2", "OOMKilled")), workload("api", pod("api-1", "OOMKilled"))
    seen = Bench().look({"pods": {"reason": "OOMKilled"}}, targets=(web, api))

    assert seen.verdict is FIRING
    assert [ref.name for ref in seen.failing] == ["web-2", "api-1"]
    assert seen.detail == "2 pods of 2 targets are OOMKilled"


def test_of_pods_as_targets_only_those_that_are_meant_count() -> None:
    both = workload("web", pod("web-1", "NotReady"), pod("web-2", "NotReady"), eligible=frozenset({"uid-web-2"}))
    seen = Bench().look({"pods": {"reason": "NotReady"}}, targets=(both,))

    assert [ref.name for ref in seen.failing] == ["web-2"]


@pytest.mark.parametrize("trigger", [{"pods": {"reason": "NotReady"}}, {"rollout": {}}])
def test_without_a_target_nothing_is_known(trigger: dict[str, Any]) -> None:
    """R12."""
    assert Bench().look(trigger).observed_at is None


def test_healthy_pods_are_quiet_as_of_now() -> None:
    bench = Bench()
    seen = bench.look({"pods": {"reason": "NotReady"}}, targets=(workload("web", pod("web-1")),))

    assert (seen.verdict, seen.observed_at, seen.stale_after) == (QUIET, bench.clock.now(), timedelta(seconds=30))


def test_a_node_in_a_condition_is_accused() -> None:
    nodes = tuple(workload(name, kind="Node", conditions=found) for name, found in (("a", ()), ("b", ("NotReady",))))
    target = {"kind": "Node", "selector": {"matchLabels": {"pool": "x"}}}
    seen = Bench().look({"node": {"condition": "NotReady"}}, targets=nodes, target=target)
    quiet = Bench().look({"node": {"condition": "Cordoned"}}, targets=nodes, target=target)

    assert (seen.verdict, seen.accused, seen.detail) == (FIRING, frozenset({"b"}), "Node b is NotReady")
    assert (quiet.verdict, quiet.detail) == (QUIET, "2 targets are not Cordoned")


def test_a_stuck_rollout_fires() -> None:
    stuck = workload("web", is_stuck=True)
    seen = Bench().look({"rollout": {"state": "Stuck"}}, targets=(stuck,))

    assert (seen.verdict, seen.accused) == (FIRING, frozenset({"web"}))
    assert seen.detail == "Deployment web is stuck in a rollout"
    assert Bench().look({"rollout": {}}, targets=(replace(stuck, is_stuck=False),)).verdict is QUIET


# --- queries ------------------------------------------------------------------------------------------------


async def asked(bench: Bench, *triggers: dict[str, Any]) -> SignalSeen:
    """Let everything be asked that a policy asks, once, and give what its first trigger says."""
    bench.look(*triggers)
    await ask(bench.queries)
    return bench.look(*triggers)


async def ask(queries: Queries) -> None:
    for one in queries._asked.values():
        await queries._ask(one)


async def test_a_query_fires_by_its_condition() -> None:
    prometheus = FakePrometheus(7)
    bench = Bench(prometheus=prometheus)
    seen = await asked(bench, PROMQL)
    prometheus.answer = Vector((Sample(5),))
    quiet = await asked(bench, PROMQL)

    assert (seen.verdict, seen.observed_at, seen.stale_after) == (FIRING, bench.clock.now(), timedelta(seconds=90))
    assert (quiet.verdict, quiet.detail) == (QUIET, "the value of the query is not > 5")
    assert set(prometheus.asked) == {("", "errors")}


async def test_a_query_that_was_not_asked_yet_is_unknown() -> None:
    """R12."""
    seen = Bench(prometheus=FakePrometheus(7)).look(PROMQL)

    assert (seen.verdict, seen.observed_at, seen.detail) == (UNKNOWN, None, "Prometheus was not asked yet")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Vector(()), "the query gives no value"),
        (Vector((Sample(7), Sample(8))), "the query gives more than one value"),
        (Vector((Sample(float("nan")),)), "the query gives no number"),
        (Vector((Sample(float("inf")),)), "the query gives no number"),
        (Vector((Sample(7),), is_partial=True), "Prometheus says that its answer is not whole"),
        (Failure(Trouble.NOT_CONFIGURED), "no Prometheus is configured (setting prometheus_url)"),
        (Failure(Trouble.INVALID_QUERY), "Prometheus cannot work the query out"),
        (Failure(Trouble.TOO_LARGE), "the query gives more than one value"),
        (Failure(Trouble.UNREACHABLE), "Prometheus does not answer"),
        (Failure(Trouble.NOT_PERMITTED), "Prometheus does not let the operator ask"),
    ],
)
async def test_what_is_no_value_is_unknown_and_says_why(answer: Vector | Failure, why: str) -> None:
    """R12, S5: never quiet, never NaN."""
    prometheus = FakePrometheus()
    prometheus.answer = answer
    seen = await asked(Bench(prometheus=prometheus), PROMQL)

    assert (seen.verdict, seen.detail, seen.is_idle) == (UNKNOWN, why, False)


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.UNAVAILABLE])
async def test_while_prometheus_is_away_the_last_answer_grows_old(trouble: Trouble) -> None:
    """R12: Prometheus down 10 m is SignalStale."""
    prometheus = FakePrometheus(7)
    bench = Bench(prometheus=prometheus)
    at = (await asked(bench, PROMQL)).observed_at
    prometheus.answer = Failure(trouble)
    bench.tick(600)
    seen = await asked(bench, PROMQL)
    key = Key("RecoveryPolicy", "shop", "policy")

    assert (seen.verdict, seen.observed_at) == (FIRING, at)
    assert [signal.state for signal in bench.states(key)] == [STALE]


async def test_a_policy_is_woken_when_the_meaning_of_a_value_changes_and_not_by_every_value() -> None:
    prometheus = FakePrometheus(7)
    bench = Bench(prometheus=prometheus)
    bench.look(PROMQL, {"promql": {"query": "errors", "condition": "> 9"}})
    woken = []
    for value in (7, 8, 9.5, 9.6, 3, 2):
        prometheus.answer = Vector((Sample(value),))
        await ask(bench.queries)
        woken.append(len(bench.woken))
        bench.woken.clear()

    assert woken == [1, 0, 1, 0, 1, 0]


async def test_a_query_is_asked_once_for_all_in_its_own_time_and_no_longer_than_it_is_wanted() -> None:
    prometheus = FakePrometheus(7)
    bench = Bench(prometheus=prometheus)
    keys = [bench.put(policy_body(name, PROMQL)) for name in ("one", "two")]
    hurried = bench.put(policy_body("hurried", PROMQL | {"maxDataAge": "10s"}))
    [one] = bench.queries._asked.values()
    fastest = one.every
    bench.signals.close(hurried)
    usual = one.every
    for key in keys:
        bench.signals.close(key)

    assert (fastest, usual) == (SOONEST, LATEST)
    assert len(bench.queries._asked) == len(bench.queries.timetable) == 0


async def test_queries_are_asked_in_the_background() -> None:
    prometheus = FakePrometheus(7)
    bench = Bench(prometheus=prometheus)
    bench.look(PROMQL)
    running = asyncio.create_task(bench.queries.run())
    await asyncio.sleep(0)
    bench.tick(2)
    bench.queries.timetable._tick()
    await eventually(lambda: bench.look(PROMQL).verdict is FIRING)
    running.cancel()

    assert prometheus.asked == [("", "errors")]


async def test_labels_of_the_one_value_accuse() -> None:
    prometheus = FakePrometheus()
    prometheus.answer = Vector((Sample(7, {"pod": "web-2", "job": "web"}),))
    bench = Bench(prometheus=prometheus)
    await asked(bench, PROMQL)
    seen = bench.look(PROMQL, targets=(workload("web", pod("web-1"), pod("web-2")),))

    assert seen.accused == {"web-2"}
    assert [ref.name for ref in seen.failing] == ["web-2"]


# --- alerts -------------------------------------------------------------------------------------------------


def told(*, is_firing: bool = True, started_at: datetime | None = None, **labels: str) -> ToldAlert:
    all_labels = {"alertname": "HighErrors", "severity": "page"} | labels
    return ToldAlert(tuple(sorted(all_labels.items())), is_firing, started_at)


def test_an_alert_fires_until_all_of_those_that_are_meant_are_over() -> None:
    bench = Bench()
    silent = bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="a", started_at=NOON), told(pod="b")), bench.clock.now())
    both = bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="a", is_firing=False),), bench.clock.now())
    one = bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="b", is_firing=False),), bench.clock.now())

    assert (silent.verdict, silent.observed_at, silent.is_idle) == (UNKNOWN, None, True)
    assert (both.verdict, both.accused, both.began_at) == (FIRING, {"a", "b"}, NOON)
    assert (one.verdict, one.accused) == (FIRING, {"b"})
    assert bench.look(HIGH_ERRORS).verdict is QUIET


def test_an_alert_names_the_pods_of_the_target_that_it_accuses() -> None:
    bench = Bench()
    bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="web-2"), told(pod="elsewhere")), bench.clock.now())
    seen = bench.look(HIGH_ERRORS, targets=(workload("web", pod("web-1"), pod("web-2")),))

    assert [ref.name for ref in seen.failing] == ["web-2"]


def test_the_freshest_of_those_that_fire_counts_and_what_is_too_old_is_forgotten() -> None:
    """R12."""
    bench = Bench()
    bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="lost"),), bench.clock.now())
    bench.tick(4 * 3600)
    bench.inbox.put("shop", (told(pod="b"),), bench.clock.now())
    fresh = bench.look(HIGH_ERRORS)
    bench.inbox.put("shop", (told(pod="b", is_firing=False),), bench.clock.now())
    bench.tick(3 * 3600)
    missed = bench.look(HIGH_ERRORS)
    bench.tick(3 * 3600 + 1)
    over = bench.look(HIGH_ERRORS)

    assert fresh.observed_at == NOON + timedelta(hours=4)
    assert (missed.verdict, missed.observed_at) == (FIRING, NOON)  # seven hours old: stale, not over
    assert (over.verdict, over.observed_at) == (QUIET, NOON + timedelta(hours=4))


async def test_the_end_of_one_alert_is_on_record_while_another_fires() -> None:
    """R2: Alertmanager must not be told to come again for what changes nothing."""
    bench = Bench()
    bench.put(policy_body("errors"))
    assert await bench.inbox.tell("shop", (told(pod="a"), told(pod="b"))) == 1
    bench.tick(60)

    assert await bench.inbox.tell("shop", (told(pod="a", is_firing=False),)) == 1


async def test_a_policy_that_is_not_evaluated_keeps_no_message_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_inbox, "LOOKS", 3)
    bench = Bench(is_away=True)
    key = bench.put(policy_body("errors"))
    waits = await bench.inbox.tell("shop", (told(),))
    bench.store.remove(key)

    assert waits is None
    assert await bench.inbox.tell("shop", (told(),)) == 1


def test_what_is_kept_is_bounded_and_only_where_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_inbox, "MOST_KEPT", 10)
    bench = Bench()
    bench.inbox.put("shop", (told(),), bench.clock.now())
    key = bench.put(policy_body("errors"))
    before = bench.look(HIGH_ERRORS).verdict
    bench.inbox.put("shop", tuple(told(pod=str(number)) for number in range(30)), bench.clock.now())
    kept = [dict(labels)["pod"] for labels in bench.inbox._kept["shop"]]
    bench.signals.close(key)
    bench.signals.close(Key("RecoveryPolicy", "shop", "policy"))

    assert before is UNKNOWN
    assert kept == [str(number) for number in range(20, 30)]
    assert not bench.inbox._kept


def test_a_policy_created_later_hears_what_others_of_its_namespace_were_told() -> None:
    bench = Bench()
    bench.put(policy_body("errors"))
    bench.inbox.put("shop", (told(),), bench.clock.now())

    assert bench.look(HIGH_ERRORS).verdict is FIRING
