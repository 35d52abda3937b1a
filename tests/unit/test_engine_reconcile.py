"""The reconciler on fakes of the ports: what happens in which order, and what happens when something breaks."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from fakes import (
    NOON,
    FakeActuator,
    FakeClock,
    FakeObjects,
    FakeRecorder,
    ScriptedController,
    check_body,
)
from homeostat.api.health_check import HealthCheckStatus
from homeostat.api.meta import ConditionStatus
from homeostat.core.action import FINALIZER, HoldAgent, Outcome, TakeToken, Verb
from homeostat.core.condition import condition
from homeostat.core.decision import Decision, Event
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from homeostat.engine.controller import Subject
from homeostat.engine.gate import PacedGate
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.engine.reconcile import LAST_BACKOFF, MAX_ROUNDS, Reconciler
from homeostat.engine.world import World
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable
from homeostat.telemetry.metrics import Metrics

KEY = Key("HealthCheck", "shop", "web")
A, B, C = TakeToken("a"), TakeToken("b"), TakeToken("c")


@dataclass
class Bench:
    """A reconciler with one object, and all that it touches."""

    decides: Callable[[Subject[Any, Any], Any], Decision[Any]]
    journal: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    store: ObjectStore = field(default_factory=ObjectStore)
    metrics: Metrics = field(default_factory=Metrics)
    leads: bool = True
    refresh_rate: float = 1000.0
    kind: str = "HealthCheck"

    def __post_init__(self) -> None:
        self.objects = FakeObjects(self.journal)
        self.actuator = FakeActuator(self.journal)
        self.recorder = FakeRecorder(self.journal)
        self.controller = ScriptedController(self.decides)
        self.gate = PacedGate(self.clock, rate=1000, refresh_rate=self.refresh_rate)
        world = World(
            self.objects, self.actuator, self.recorder, self.clock, self.gate, self.metrics, lambda: self.leads
        )
        self.reconciler = Reconciler(
            self.store, {self.kind: self.controller}, world, take=self.store.put, drop=self.store.remove
        )
        self.put(check_body())

    def put(self, body: dict[str, Any]) -> None:
        self.store.put(entry_from(self.objects.put(body), "HealthCheck"))

    def user_writes(self, body: dict[str, Any]) -> None:
        """Change the object behind our back: the watch has not shown it yet."""
        self.objects.put(body)

    async def reconcile(self, key: Key = KEY) -> float | None:
        return await self.reconciler.reconcile(key)

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def status(message: str, **more: Any) -> HealthCheckStatus:
    return HealthCheckStatus(message=message, **more)


def acts_once(*actions: TakeToken) -> Callable[[Subject[Any, Any], Any], Decision[Any]]:
    """Announce actions while nothing is on record, and be content once their outcomes are seen."""

    def decide(subject: Subject[Any, Any], _: Any) -> Decision[Any]:
        if subject.status.message == "done":
            return Decision(subject.status)
        if subject.outcomes:
            return Decision(status("done"))
        return Decision(status("intent"), actions=actions)

    return decide


def writes(message: str) -> Callable[[Subject[Any, Any], Any], Decision[Any]]:
    return lambda _subject, _now: Decision(status(message))


# --- write before act -----------------------------------------------------------------------------------


async def test_the_intent_is_written_before_the_act_and_the_result_after_it() -> None:
    """R2: intent, act, result; in this order."""
    bench = Bench(acts_once(A, B))

    await bench.reconcile()

    assert bench.journal == ["status web", "act a", "act b", "status web"]
    assert bench.objects.body(KEY)["status"]["message"] == "done"


async def test_the_finalizer_stands_before_the_record_and_the_record_before_the_act() -> None:
    """C2: finalizer first, then the record, then the injection; and it goes when all is recorded."""

    def decide(subject: Subject[Any, Any], _: Any) -> Decision[Any]:
        if subject.status.message == "done" or subject.outcomes:
            return Decision(status("done"), wants_finalizer=False)
        return Decision(status("intent"), actions=(A,), wants_finalizer=True)

    bench = Bench(decide)
    await bench.reconcile()

    assert bench.journal == ["finalizer added web", "status web", "act a", "status web", "finalizer removed web"]


async def test_events_are_told_once_the_status_they_belong_to_is_on_record() -> None:
    bench = Bench(lambda _subject, _now: Decision(status("bad"), events=(Event("Unhealthy", "it fails"),)))

    await bench.reconcile()

    assert bench.journal == ["status web", "event Unhealthy"]


async def test_a_conflict_before_the_act_means_no_act_and_a_decision_on_what_is_there_now() -> None:
    """R2: an intent that could not be written is never acted on."""
    bench = Bench(acts_once(A))
    bench.objects.meanwhile = lambda: bench.user_writes(check_body(status={"message": "done"}))

    again = await bench.reconcile()
    acted_at_first = list(bench.actuator.acted)
    await bench.reconcile()

    assert again == 0
    assert acted_at_first == []
    assert bench.actuator.acted == []
    assert [subject.status.message for subject in bench.controller.asked] == ["", "done"]


async def test_an_intent_is_decided_anew_after_a_conflict_and_then_acted_on() -> None:
    bench = Bench(acts_once(A))
    bench.objects.failures["apply_status"].append(Conflict("changed"))

    await bench.reconcile()
    assert bench.journal == []
    await bench.reconcile()

    assert bench.journal == ["status web", "act a", "status web"]


@pytest.mark.parametrize("error", [Unavailable("no answer"), Forbidden("no right"), Rejected("no good")])
async def test_an_api_server_that_does_not_take_the_intent_puts_the_act_off(error: Exception) -> None:
    """R12: fail closed."""
    bench = Bench(acts_once(A))
    bench.objects.failures["apply_status"].append(error)

    again = await bench.reconcile()

    assert again == 1.0
    assert bench.journal == []
    assert bench.sample("homeostat_evaluations_put_off_total", kind="HealthCheck", reason=type(error).__name__) == 1


async def test_what_may_not_be_read_is_said_on_the_object_once_and_gone_when_it_may() -> None:
    answers: list[Exception | None] = [Forbidden("GET /api/v1/pods"), Forbidden("GET /api/v1/pods"), None]

    def decide(_subject: Subject[Any, Any], _now: Any) -> Decision[Any]:
        error = answers.pop(0)
        if error is not None:
            raise error
        return Decision(status("seen"))

    bench = Bench(decide)
    await bench.reconcile()
    await bench.reconcile()

    assert bench.journal == ["status web"]
    said = condition(bench.store.get(KEY).status().conditions, "Ready")  # type: ignore[union-attr]
    assert said is not None
    assert (said.status, said.reason) == (ConditionStatus.FALSE, "NotPermitted")
    assert said.message.startswith("The operator lacks a right that it needs for this: GET /api/v1/pods. ")
    await bench.reconcile()
    assert bench.journal == ["status web", "status web"]


async def test_a_finalizer_that_may_not_be_set_is_told_to_the_decision_which_may_do_without() -> None:
    """C2: no fault without a finalizer. Whoever insists is put off, and the object says why."""

    def decide(subject: Subject[Any, Any], _now: Any) -> Decision[Any]:
        answer = subject.outcomes.get(FINALIZER)
        if answer is None or insists:
            return Decision(status("intent"), actions=(A,), wants_finalizer=True)
        return Decision(status(f"{answer.reason}: {answer.message}"))

    insists = False
    bench = Bench(decide)
    bench.objects.failures["set_finalizer"].append(Forbidden("PATCH /apis/it"))
    await bench.reconcile()
    assert bench.journal == ["status web"]
    told = bench.store.get(KEY).status().message  # type: ignore[union-attr]
    assert told.startswith("Forbidden: The operator lacks a right that it needs for this: PATCH /apis/it. ")

    insists = True
    bench.objects.failures["set_finalizer"] += [Forbidden("PATCH /apis/it")] * 2
    await bench.reconcile()
    said = condition(bench.store.get(KEY).status().conditions, "Ready")  # type: ignore[union-attr]
    assert said is not None
    assert (said.reason, bench.journal) == ("NotPermitted", ["status web", "status web"])


async def test_a_finalizer_that_cannot_be_set_puts_the_act_off() -> None:
    """C2: no fault without a finalizer."""
    bench = Bench(lambda _subject, _now: Decision(status("intent"), actions=(A,), wants_finalizer=True))
    bench.objects.failures["set_finalizer"].append(Unavailable("no answer"))

    await bench.reconcile()

    assert bench.journal == []


async def test_an_observation_that_does_not_come_puts_the_evaluation_off() -> None:
    """R12: no guess."""

    def decide(_subject: Subject[Any, Any], _now: Any) -> Decision[Any]:
        raise Unavailable("no answer")

    bench = Bench(decide)

    assert await bench.reconcile() == 1.0
    assert bench.journal == []


async def test_nothing_is_done_once_the_lead_is_lost() -> None:
    """R11: another replica may act by now."""
    bench = Bench(acts_once(A, B), leads=False)

    again = await bench.reconcile()

    assert again == 1.0
    assert bench.actuator.acted == []


async def test_the_lead_is_asked_for_before_each_act_and_not_once() -> None:
    bench = Bench(acts_once(A, B))
    act = bench.actuator.act

    async def lose_the_lead(action: Any, now: Any) -> Outcome:
        bench.leads = False
        return await act(action, now)

    bench.actuator.act = lose_the_lead  # type: ignore[method-assign]
    await bench.reconcile()

    assert bench.actuator.acted == [A]


@pytest.mark.parametrize("verb", [Verb.REFUSED, Verb.FAILED])
async def test_acts_stop_at_the_first_that_is_not_done(verb: Verb) -> None:
    bench = Bench(acts_once(A, B, C))
    bench.actuator.outcomes["b"] = Outcome(verb, "Conflict")

    await bench.reconcile()

    assert bench.actuator.acted == [A, B]
    seen = bench.controller.asked[-1].outcomes
    assert {name: outcome.verb for name, outcome in seen.items()} == {"a": Verb.DONE, "b": verb}


async def test_a_decision_that_never_stops_acting_is_put_off_and_not_run_for_ever() -> None:
    counter = iter(range(1000))

    def decide(_subject: Subject[Any, Any], _now: Any) -> Decision[Any]:
        number = next(counter)
        return Decision(status(str(number)), actions=(TakeToken(str(number)),))

    bench = Bench(decide)

    assert await bench.reconcile() == 0.0
    assert len(bench.actuator.acted) == MAX_ROUNDS


# --- what is worth a write ------------------------------------------------------------------------------


async def test_a_decision_that_changes_nothing_writes_nothing() -> None:
    bench = Bench(lambda subject, _: Decision(subject.status))

    for _ in range(10):
        await bench.reconcile()

    assert bench.objects.writes == []


async def test_in_steady_state_there_are_no_writes_after_the_first() -> None:
    bench = Bench(writes("all is well"))

    for _ in range(10):
        await bench.reconcile()
        bench.clock.advance(3600)

    assert bench.objects.writes == ["status web"]


async def test_figures_are_refreshed_at_most_once_a_minute() -> None:
    counter = iter(range(1000))
    bench = Bench(lambda _subject, _now: Decision(status(str(next(counter)))))
    bench.controller.worth = Significance.REFRESH

    for _ in range(61):
        await bench.reconcile()
        bench.clock.advance(1)

    assert bench.objects.writes == ["status web"] * 2


async def test_refreshes_share_an_allowance_among_all_objects() -> None:
    counter = iter(range(1000))
    bench = Bench(lambda _subject, _now: Decision(status(str(next(counter)))), refresh_rate=0.1)
    for number in range(5):
        bench.put(check_body(f"web-{number}", uid=f"uid-{number}"))
    bench.controller.worth = Significance.REFRESH

    for _ in range(100):  # 1,000 seconds
        for number in range(5):
            await bench.reconcile(Key("HealthCheck", "shop", f"web-{number}"))
        bench.clock.advance(10)

    assert 5 <= len(bench.objects.writes) <= 101


async def test_a_figure_that_comes_with_an_event_is_written_at_once() -> None:
    bench = Bench(
        lambda _subject, _now: Decision(status("1"), events=(Event("Blocked", "it waits"),)), refresh_rate=0.001
    )
    bench.controller.worth = Significance.REFRESH
    while bench.gate.may_refresh():
        pass

    await bench.reconcile()

    assert bench.journal == ["status web", "event Blocked"]


# --- when to look again ---------------------------------------------------------------------------------


async def test_an_object_is_looked_at_again_when_its_decision_asks_for_it() -> None:
    bench = Bench(lambda subject, now: Decision(subject.status, check_again_at=now + timedelta(seconds=7)))

    assert await bench.reconcile() == pytest.approx(7)


async def test_an_object_is_looked_at_again_each_minute_when_its_decision_asks_for_nothing() -> None:
    bench = Bench(lambda subject, _: Decision(subject.status))

    assert await bench.reconcile() == 60


async def test_a_time_that_is_past_means_now_and_not_never() -> None:
    bench = Bench(lambda subject, _: Decision(subject.status, check_again_at=NOON - timedelta(hours=1)))

    assert await bench.reconcile() == 0


async def test_waiting_grows_while_the_api_server_is_away_and_ends_with_it() -> None:
    bench = Bench(writes("x"))
    bench.objects.failures["apply_status"].extend(Unavailable("no answer") for _ in range(9))

    waits = [await bench.reconcile() for _ in range(9)]
    await bench.reconcile()
    bench.objects.failures["apply_status"].append(Unavailable("no answer"))
    bench.controller.decides = writes("y")
    after = await bench.reconcile()

    assert waits == [1, 2, 4, 8, 16, 32, LAST_BACKOFF, LAST_BACKOFF, LAST_BACKOFF]
    assert after == 1


async def test_two_conflicts_in_a_row_are_not_a_busy_loop() -> None:
    """Fault 10: a storm of conflicts from a second writer."""
    bench = Bench(writes("x"))
    bench.objects.failures["apply_status"].extend(Conflict("changed") for _ in range(3))

    waits = [await bench.reconcile() for _ in range(3)]

    assert waits[0] == 0
    assert all(wait is not None and wait > 0 for wait in waits[1:])


async def test_an_object_that_is_gone_is_not_looked_at_again() -> None:
    bench = Bench(writes("x"))
    bench.objects.delete(KEY)

    assert await bench.reconcile() is None
    assert bench.store.get(KEY) is None
    assert await bench.reconcile() is None


async def test_what_cannot_be_read_again_after_a_conflict_is_tried_later() -> None:
    bench = Bench(writes("x"))
    bench.objects.failures["apply_status"].append(Conflict("changed"))
    bench.objects.failures["get"].append(Unavailable("no answer"))

    assert await bench.reconcile() is not None
    assert bench.store.get(KEY) is not None


async def test_a_bug_in_one_object_spares_the_others() -> None:
    def decide(subject: Subject[Any, Any], _: Any) -> Decision[Any]:
        if subject.entry.ref.name == "bad":
            raise ZeroDivisionError
        return Decision(status("fine"))

    bench = Bench(decide)
    bench.put(check_body("bad", uid="uid-2"))

    assert await bench.reconcile(Key("HealthCheck", "shop", "bad")) == 1.0
    assert await bench.reconcile() == 60
    assert bench.sample("homeostat_evaluations_put_off_total", kind="HealthCheck", reason="Bug") == 1


async def test_a_right_that_is_missing_takes_the_place_of_a_spec_that_was_bad_and_stalls_nobody() -> None:
    def decide(_subject: Subject[Any, Any], _now: Any) -> Decision[Any]:
        raise Forbidden("GET /api/v1/pods")

    bench = Bench(decide)
    bench.put(check_body(spec={"interval": "soon"}, generation=2))
    await bench.reconcile()
    assert [one["type"] for one in bench.objects.body(KEY)["status"]["conditions"]] == ["Ready", "Stalled"]
    bench.put(check_body(generation=3, status=bench.objects.body(KEY)["status"]))
    await bench.reconcile()

    (ready,) = bench.objects.body(KEY)["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "NotPermitted")


# --- specs that cannot be read --------------------------------------------------------------------------


async def test_a_spec_that_cannot_be_read_is_refused_on_the_object_and_not_decided_on() -> None:
    bench = Bench(writes("x"))
    bench.put(check_body(spec={"interval": "soon"}, generation=2, status={"message": "as before"}))

    again = await bench.reconcile()
    await bench.reconcile()

    written = HealthCheckStatus.model_validate(bench.objects.body(KEY)["status"])
    ready = condition(written.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.observed_generation) == (ConditionStatus.FALSE, "Invalid", 2)
    assert "spec.interval" in ready.message
    stalled = condition(written.conditions, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason, stalled.message) == (ConditionStatus.TRUE, "Invalid", ready.message)
    assert stalled.observed_generation == 2
    assert written.message == "as before"
    assert again is None
    assert bench.controller.asked == []
    assert bench.objects.writes == ["status web"]


# --- what our own reads and writes tell us --------------------------------------------------------------


async def test_our_own_write_is_what_the_next_decision_starts_from() -> None:
    bench = Bench(writes("x"))

    await bench.reconcile()
    entry = bench.store.get(KEY)

    assert entry is not None
    assert entry.resource_version == bench.objects.body(KEY)["metadata"]["resourceVersion"]


async def test_an_object_replaced_under_its_name_is_never_written_to_by_the_old_ones_decision() -> None:
    """Fault 37: a name reused with a new uid."""
    bench = Bench(acts_once(A))
    bench.objects.meanwhile = lambda: bench.user_writes(check_body(uid="uid-2"))

    await bench.reconcile()

    assert bench.journal == []
    assert bench.objects.body(KEY)["status"] == {}


async def test_gone_while_acting_is_not_an_error() -> None:
    bench = Bench(acts_once(A))
    bench.objects.failures["apply_status"].append(Gone("web"))

    assert await bench.reconcile() is None
    assert bench.actuator.acted == []


async def test_a_deletion_seen_while_our_write_is_answered_stays_a_deletion() -> None:
    """Fault 5: the watch may be faster than the answer to our own write."""
    bench = Bench(writes("x"))
    apply_status = bench.objects.apply_status

    async def and_then_the_watch_shows_the_deletion(*args: Any, **more: Any) -> dict[str, Any]:
        body = await apply_status(*args, **more)
        bench.store.remove(KEY)
        return body

    bench.objects.apply_status = and_then_the_watch_shows_the_deletion  # type: ignore[method-assign]
    await bench.reconcile()

    assert bench.store.get(KEY) is None


async def test_an_act_repeated_on_the_same_record_still_proves_first_that_the_record_stands() -> None:
    """R2: what we hold may be old; a decision with acts goes through the version it was decided on."""
    bench = Bench(lambda subject, _: Decision(subject.status, actions=() if subject.outcomes else (A,)))
    bench.user_writes(check_body(spec={"suspend": True}, generation=2))

    await bench.reconcile()

    assert bench.actuator.acted == []


async def test_outcomes_are_told_to_one_decision_only() -> None:
    def decide(subject: Subject[Any, Any], _: Any) -> Decision[Any]:
        if subject.outcomes:
            return Decision(status("done"), wants_finalizer=False)
        if subject.status.message == "done":
            return Decision(subject.status)
        return Decision(status("intent"), actions=(A,), wants_finalizer=True)

    bench = Bench(decide)
    await bench.reconcile()

    assert [sorted(subject.outcomes) for subject in bench.controller.asked] == [[], ["a"], []]


# --- what goes on as before -----------------------------------------------------------------------------

HOLD = HoldAgent("hold", Ref("Pod", "shop", "web-1", "uid-web-1"), "homeostat-1", 3.0)


async def test_what_only_goes_on_is_neither_written_down_nor_read_again_nor_decided_on_twice() -> None:
    """C4: a beat each second costs the API server nothing."""
    looks: list[int] = []

    def decide(subject: Subject[Any, Any], now: Any) -> Decision[Any]:
        looks.append(1)
        return Decision(subject.status, actions=(HOLD,), check_again_at=now.now() + timedelta(seconds=1))

    bench = Bench(decide)

    assert await bench.reconcile() == 1.0
    assert (bench.journal, len(looks), bench.objects.reads) == (["act hold"], 1, 0)


async def test_what_does_not_go_on_is_decided_on_at_once() -> None:
    """C4: a fault that cannot be kept up is taken off, and not at the next look."""
    bench = Bench(
        lambda s, _: Decision(status("over") if s.outcomes else s.status, actions=() if s.outcomes else (HOLD,))
    )
    bench.actuator.outcomes["hold"] = Outcome(Verb.REFUSED, "Unsupported")

    await bench.reconcile()

    assert bench.objects.body(KEY)["status"]["message"] == "over"


async def test_a_first_go_stands_on_record_before_it_is_given() -> None:
    """C2: what begins with it is written first."""
    bench = Bench(lambda s, _: Decision(status("on"), actions=() if s.status.message == "on" else (HOLD,)))

    await bench.reconcile()

    assert bench.journal == ["status web", "act hold"]


async def test_what_may_begin_a_fault_is_made_sure_of_though_nothing_is_new_to_write() -> None:
    """C2: the intent on record is the one that was decided on, else the fault does not begin."""
    go = replace(HOLD, begins=True)
    bench = Bench(lambda s, _: Decision(s.status, actions=() if s.outcomes else (go,)))

    await bench.reconcile()

    assert (bench.journal, bench.objects.reads) == (["act hold"], 1)
