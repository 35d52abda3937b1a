"""What experiments look at, gathered: objectives, queries, who was called, what humans ask, and figures by stages."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fakes import NOON, FakeClock, body_of, check_body
from homeostat.api.chaos import ABORT, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Revert
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.chaos.hypothesis.judging import ANSWERS_STALE_AFTER
from homeostat.core.chaos.seen import AlertSeen, AnswerSeen, ObjectiveSeen
from homeostat.core.health.run import Run
from homeostat.core.health.track import record
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.prometheus.answer import Failure, Sample, Trouble, Vector
from homeostat.engine.chaos.reactions import reactions
from homeostat.engine.chaos.signals import Signals
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.objects import Entry, Key, entry_from
from homeostat.engine.timetable import Timetable
from homeostat.engine.wakes import Wakes
from homeostat.ports import Unavailable
from scenarios.chaos.world import a_spec
from told import Policies, policy_body

EXPERIMENT = Key("ChaosExperiment", "shop", "break-checkout")
PASS = Run(Verdict.PASS, Reason.OK, 0.003, 1, 1)
SLOW = Run(Verdict.PASS, Reason.OK, 0.9, 1, 1)
FAIL = Run(Verdict.FAIL, Reason.TIMEOUT, 1.0, 0, 1)
SPEC = a_spec(
    hypothesis=[
        {"healthCheck": {"name": "checkout"}},
        {"slo": {"name": "orders", "burnRateBelow": "6"}},
        {"promql": {"query": "errors", "condition": "< 0.05"}},
    ],
    proves=[{"recoveryPolicy": "restart"}],
)
RUNNING = ChaosExperimentStatus(phase=Phase.RUNNING, run_number=1, started_at=NOON, injected_at=NOON)


class Prometheus:
    """Answers every query with what it is told to."""

    def __init__(self) -> None:
        self.answer: Vector | Failure = Vector((Sample(0.01),))
        self.asked: list[str] = []

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        self.asked.append(query)
        return self.answer


class Guarded:
    """Says whether the admission policy is in force, or nothing."""

    def __init__(self, answer: bool | None) -> None:  # noqa: FBT001
        self.answer = answer

    async def is_in_force(self, name: str) -> bool:
        if self.answer is None:
            raise Unavailable("away")
        return self.answer


class Bench(Policies):
    """Objectives, policies and checks on a clock that stands still, as an experiment sees them."""

    def begin(self) -> None:
        """Begin a process."""
        self.prometheus = self.prometheus or Prometheus()
        super().begin()
        self.wakes = Wakes()
        self.admission = Guarded(True)
        self.seen_by = Signals(self.checks, self.store, self.feeding, self.queries, self.wakes, self.admission)  # type: ignore[arg-type]

    def tick(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)
        self.meters.roll(self.clock.now())

    def experiment(self, spec: ChaosExperimentSpec = SPEC, **annotations: str) -> Entry:
        body = body_of("ChaosExperiment", "break-checkout", spec.wire())
        body["metadata"]["annotations"] = {name.replace("_", "/", 1): value for name, value in annotations.items()}
        return entry_from(body, "ChaosExperiment")

    async def look(
        self, entry: Entry | None = None, status: ChaosExperimentStatus = RUNNING, spec: ChaosExperimentSpec = SPEC
    ) -> dict[str, Any]:
        return await self.seen_by.seen(entry or self.experiment(spec), spec, status, self.clock)

    def objective(self, status: dict[str, Any] | None = None) -> Entry:
        """Let there be an objective of 99 % that events are pushed to."""
        self.version += 1
        full = {"objective": "99", "window": {"rolling": "30d"}, "indicator": {"events": {}}}
        body = body_of("ServiceLevelObjective", "orders", full, uid="uid-orders", version=self.version)
        entry = entry_from(body | {"status": status or {}}, "ServiceLevelObjective")
        self.store.put(entry)
        wanted = entry.spec()
        assert isinstance(wanted, ServiceLevelObjectiveSpec), wanted
        self.feeding.open(entry, wanted)
        for one in self.meters.wanted():
            self.meters.recalled(one)
        return entry

    def push(self, entry: Entry, bad: float, total: float) -> None:
        self.meters.add(entry.key, "", int(self.clock.now().timestamp()) // 60, bad, total)
        self.feeding.pushed(entry.key)

    def check(self) -> None:
        timetable: Any = Timetable(self.clock, lambda _key, _due: None)
        health = HealthController(self.checks, self.meters, self.clock, timetable, Wakes())
        entry = entry_from(check_body("checkout", {"failureThreshold": 2}), "HealthCheck")
        wanted = entry.spec()
        assert isinstance(wanted, HealthCheckSpec)
        health.changed(entry, wanted, None)

    def run(self, *runs: Run) -> None:
        check = self.checks.get(Key("HealthCheck", "shop", "checkout"))
        assert check is not None
        for run in runs:
            self.tick(10)
            record(check.track, check.plan, run, self.clock.now(), self.clock.monotonic())


# --- objectives -----------------------------------------------------------------------------------------


async def test_an_objective_is_read_as_it_is_counted_at_this_moment() -> None:
    """C8: 100 of 1,000 bad with 1 % allowed burns ten times too fast; so much of a month's budget is gone."""
    bench = Bench()
    entry = bench.objective()
    bench.push(entry, 100, 1000)
    seen = (await bench.look())["objectives"]["orders"]

    assert isinstance(seen, ObjectiveSeen)
    assert seen.observed_at == bench.clock.now()
    assert seen.rate is not None
    assert seen.remaining is not None
    assert seen.spent_since is not None
    assert 0 < seen.rate <= 10
    assert seen.remaining < 1
    assert Decimal(0) < seen.spent_since <= 10 * Decimal(60) / Decimal(30 * 86400)


async def test_an_objective_that_is_not_there_or_has_no_data_says_so() -> None:
    """C7, C15: missing is None, and never quiet."""
    bench = Bench()
    assert (await bench.look())["objectives"] == {}
    bench.objective()
    seen = (await bench.look())["objectives"]["orders"]

    assert (seen.rate, seen.remaining, seen.observed_at) == (None, None, None)


async def test_who_is_called_now_is_told_pages_and_escalations_alone() -> None:
    """C8: tickets wake nobody, and a policy that only observes has called nobody."""
    bench, since = Bench(), "2026-11-01T12:00:00.000000Z"
    alert = {"type": "BurnRate", "since": since}
    bench.objective({"alerts": [alert | {"severity": "Ticket"}]})
    escalated = {"escalated": {"since": since, "severity": "Critical"}}
    bench.put(policy_body("watching", version=200) | {"status": escalated})
    assert (await bench.look())["alerts"] == ()
    bench.objective({"alerts": [alert | {"severity": "Page"}]})
    body = policy_body("acting", version=201)
    body["spec"]["mode"] = "Auto"
    bench.put(body | {"status": escalated})
    moment = datetime.fromisoformat(since)

    assert (await bench.look())["alerts"] == (
        AlertSeen("ServiceLevelObjective", "orders", moment),
        AlertSeen("RecoveryPolicy", "acting", moment),
    )


# --- queries --------------------------------------------------------------------------------------------


async def asked(bench: Bench) -> AnswerSeen:
    """Let Prometheus be asked once more, and give what is known then."""
    [query] = bench.queries._asked.values()
    await bench.queries._ask(query)
    answer = (await bench.look())["answers"]["errors"]
    assert isinstance(answer, AnswerSeen)
    return answer


async def test_a_query_is_asked_while_there_is_an_experiment_that_asks_it() -> None:
    """C7: often enough for an answer that counts for half a minute."""
    bench = Bench()
    bench.seen_by.open(EXPERIMENT, SPEC)
    assert (await bench.look())["answers"] == {"errors": AnswerSeen(None, None, "Prometheus was not asked yet")}
    answer = await asked(bench)
    assert (answer.value, answer.trouble) == (0.01, None)
    bench.seen_by.close(EXPERIMENT)

    assert (await bench.look())["answers"]["errors"].value is None
    assert bench.queries._asked == {}


@pytest.mark.parametrize("trouble", [Trouble.TIMEOUT, Trouble.UNAVAILABLE])
async def test_a_question_that_failed_is_known_beside_the_answer_before_it(trouble: Trouble) -> None:
    """C7: the fault goes off within one interval, not only when the last answer is stale."""
    bench = Bench()
    bench.seen_by.open(EXPERIMENT, SPEC)
    await asked(bench)
    bench.prometheus.answer = Failure(trouble)
    answer = await asked(bench)

    assert answer.trouble is trouble
    assert answer.value == 0.01
    bench.prometheus.answer = Vector((Sample(0.02),))
    assert (await asked(bench)).trouble is None


async def test_an_answer_with_nothing_in_it_is_told_from_one_that_did_not_come() -> None:
    """C7, C15."""
    bench = Bench()
    bench.seen_by.open(EXPERIMENT, SPEC)
    bench.prometheus.answer = Vector(())
    answer = await asked(bench)

    assert (answer.value, answer.trouble) == (None, None)
    assert answer.at is not None


def test_what_an_experiment_looks_at_wakes_it() -> None:
    bench = Bench()
    bench.seen_by.open(EXPERIMENT, SPEC)
    for kind, name in (("HealthCheck", "checkout"), ("ServiceLevelObjective", "orders"), ("RecoveryPolicy", "restart")):
        assert bench.wakes.of(Key(kind, "shop", name)) == (EXPERIMENT,)
    bench.seen_by.close(EXPERIMENT)

    assert bench.wakes.of(Key("HealthCheck", "shop", "checkout")) == ()
    assert timedelta(0) < ANSWERS_STALE_AFTER


# --- humans ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_guarded", "name", "is_vouched"),
    [(True, "jane", True), (False, "somebody (not verified)", False), (None, "somebody (not verified)", False)],
)
async def test_what_humans_ask_is_read_with_a_name_that_is_vouched_for_or_not(
    is_guarded: bool | None,  # noqa: FBT001
    name: str,
    is_vouched: bool,  # noqa: FBT001
) -> None:
    """R13: fail closed; a no before a yes."""
    bench = Bench()
    bench.admission.answer = is_guarded
    entry = bench.experiment(
        **{"homeostat.dev_approve": "ab", "homeostat.dev_reject": "cd", "homeostat.dev_by": "jane", ABORT: "stop"}
    )
    seen = await bench.look(entry)

    assert [(one.hash, one.by, one.is_no) for one in seen["approvals"]] == [("cd", name, True), ("ab", name, False)]
    assert seen["is_name_vouched"] is is_vouched
    assert seen["abort_requested"] == "stop"


async def test_without_annotations_nobody_asks_anything() -> None:
    seen = await Bench().look()

    assert (seen["approvals"], seen["abort_requested"], seen["is_name_vouched"]) == ((), "", False)


# --- figures --------------------------------------------------------------------------------------------


async def test_runs_are_counted_by_the_stage_they_fall_into() -> None:
    """C17: before, during, after; of each the 95th percentile of what passed, and the lowest score."""
    bench = Bench()
    bench.check()
    bench.run(FAIL)
    before = RUNNING.model_copy(update={"injected_at": None})
    await bench.look(status=before)
    bench.run(PASS, PASS)
    await bench.look(status=before)
    await bench.look()
    bench.run(FAIL, FAIL)
    await bench.look()
    bench.run(SLOW)
    await bench.look()
    after = RUNNING.model_copy(update={"revert": Revert(startedAt=NOON, done_at=NOON)})
    await bench.look(status=after)
    bench.run(PASS, PASS, PASS)
    measures = (await bench.look(status=after))["measures"]

    assert {name: (one.passed, one.failed) for name, one in measures.items()} == {
        "before": (2, 0), "during": (1, 2), "after": (3, 0),
    }  # fmt: skip
    assert [measures[name].score for name in ("before", "during", "after")] == [100, 0, 0]
    assert measures["during"].latency is not None
    assert abs(measures["during"].latency - timedelta(seconds=0.9)) < timedelta(milliseconds=1)


async def test_another_run_counts_from_nothing() -> None:
    bench = Bench()
    bench.check()
    await bench.look()
    bench.run(PASS)
    await bench.look()
    following = RUNNING.model_copy(update={"run_number": 2})

    assert (await bench.look(status=following))["measures"]["during"].passed == 0


# --- what policies did ----------------------------------------------------------------------------------


def test_attempts_since_the_injection_are_told_with_when_they_fired_and_ended() -> None:
    """C17: of policies of the targets, and of those that are to be proved whatever they are for."""
    bench, moment = Bench(), "2026-11-01T12:00:0{}.000000Z"
    attempt = {
        "id": "a", "step": 0, "name": "restart", "trigger": 0, "detectedAt": moment.format(1),
        "startedAt": moment.format(2), "actedAt": moment.format(3), "endedAt": moment.format(9), "outcome": "Recovered",
    }  # fmt: skip
    for name in ("restart", "unrelated"):
        body = policy_body(name, target={"kind": "Deployment", "name": "other"}, version=300)
        bench.put(body | {"status": {"last": [attempt]}})
    status = RUNNING.model_copy(update={"injected_at": datetime.fromisoformat(moment.format(0))})
    late = RUNNING.model_copy(update={"injected_at": datetime.fromisoformat(moment.format(5))})
    (found,) = reactions(bench.store, "shop", SPEC, status)

    assert (found.policy, found.outcome) == ("restart", "Recovered")
    assert (found.fired_at, found.ended_at) == tuple(datetime.fromisoformat(moment.format(one)) for one in (1, 9))
    assert tuple(reactions(bench.store, "shop", SPEC, late)) == ()
