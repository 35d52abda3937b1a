"""Wherever the operator is killed: no step runs twice, none is lost, and nothing runs on after the day."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homeostat.api.chaos import RUN
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.gameday_status import DayPhase
from homeostat.core.action import Outcome, Verb
from homeostat.core.gameday import decide
from scenarios.gameday.world import FREEZE, NAMES, World, a_day

STEPS = 45  # more than a day of three steps has calls to the API server


def assert_nothing_runs(world: World) -> None:
    assert all(one.status.phase is not Phase.RUNNING for one in world.experiments.values())
    assert all(one.annotations.get(RUN, "") in {"", one.status.run} for one in world.experiments.values())


@pytest.mark.parametrize("loses_answers", [False, True])
@pytest.mark.parametrize("step", range(STEPS))
def test_killed_at_any_call_each_step_runs_exactly_once(step: int, *, loses_answers: bool) -> None:
    """R2: the wish is on record before it is written, and names the step."""
    world = World(steps_to_live=step, loses_answers=loses_answers)
    world.run(120)

    assert world.status.phase is DayPhase.FINISHED
    assert world.verdicts() == [(name, Verdict.PASSED, "HypothesisHeld") for name in NAMES]
    assert [len(one.begun) for one in world.experiments.values()] == [1, 1, 1]
    assert (world.status.verdict, world.has_finalizer) == (Verdict.PASSED, False)


@pytest.mark.parametrize("wait", range(1, 25, 3))
@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_call_and_deleted_meanwhile_it_aborts_what_runs_before_it_goes(step: int, wait: int) -> None:
    """C2: the finalizer holds the day until the experiment under way has ended."""
    world = World()
    world.run(wait)
    world.steps_to_live = step
    world.run(4)
    world.is_deleting = True
    world.is_gone = not world.has_finalizer
    world.run(20)

    assert world.is_gone
    assert_nothing_runs(world)
    assert all(len(one.begun) <= 1 for one in world.experiments.values())


@pytest.mark.parametrize("how", ["suspend", "abort", "freeze", "timeout"])
@pytest.mark.parametrize("wait", range(1, 22))
def test_a_day_that_is_ended_early_leaves_nothing_running(wait: int, how: str) -> None:
    """C9: and begins nothing more, also when what ended it is over."""
    world = World(spec=a_day(timeout="1m"))
    world.experiments["latency-spike"].lasts = 100
    world.run(wait)
    if how == "suspend":
        world.spec, world.generation = world.spec.model_copy(update={"suspend": True}), 2
    elif how == "abort":
        world.abort_requested = "now"
    elif how == "freeze":
        world.freeze = FREEZE
    world.run(5 if how != "timeout" else 70)
    begun = len(world.begun)
    world.freeze = None
    world.run(30)

    assert world.status.phase is DayPhase.FINISHED
    assert world.status.verdict is Verdict.ABORTED
    assert len(world.begun) == begun
    assert_nothing_runs(world)


@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_call_a_wish_that_nobody_took_up_is_taken_back(step: int) -> None:
    """R2, C9: what waits for its budget does not begin when the day is over."""
    world = World()
    world.experiments["pod-loss"].is_slow = True
    world.run(3)
    world.abort_requested, world.steps_to_live = "now", step
    world.run(6)

    assert world.status.phase is DayPhase.FINISHED
    assert_nothing_runs(world)


class AnyDay(RuleBasedStateMachine):
    """Everything that may happen to a game day, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.foreign: set[str] = set()

    @rule(seconds=st.integers(1, 9))
    def time_passes(self, seconds: int) -> None:
        self.world.run(seconds)

    @rule(step=st.integers(0, 6), seconds=st.integers(1, 4))
    def the_operator_is_killed(self, step: int, seconds: int) -> None:
        self.world.steps_to_live = step
        self.world.run(seconds)

    @rule(reason=st.sampled_from(["Conflict", "Forbidden", "NotFound"]))
    def the_api_server_refuses(self, reason: str) -> None:
        self.world.refuses.append(Outcome(Verb.REFUSED, reason))

    @rule(is_lost=st.booleans())
    def answers_are_lost(self, is_lost: bool) -> None:  # noqa: FBT001
        self.world.loses_answers = is_lost

    @rule(is_frozen=st.booleans())
    def a_freeze_comes_or_goes(self, is_frozen: bool) -> None:  # noqa: FBT001
        self.world.freeze = FREEZE if is_frozen else None

    @rule(name=st.sampled_from(NAMES), is_slow=st.booleans())
    def a_budget_holds_an_experiment_or_not(self, name: str, is_slow: bool) -> None:  # noqa: FBT001
        if name in self.world.experiments:
            self.world.experiments[name].is_slow = is_slow

    @rule(name=st.sampled_from(NAMES), verdict=st.sampled_from(list(Verdict)))
    def an_experiment_will_end_otherwise(self, name: str, verdict: Verdict) -> None:
        if name in self.world.experiments:
            self.world.experiments[name].verdict = verdict

    @rule(name=st.sampled_from(NAMES))
    def somebody_else_asks_for_a_run(self, name: str) -> None:
        if name in self.world.experiments:
            self.foreign.add(wish := f"by hand {len(self.foreign)}")
            self.world.experiments[name].write([(RUN, wish)])

    @rule(name=st.sampled_from(NAMES))
    def an_experiment_is_deleted(self, name: str) -> None:
        self.world.experiments.pop(name, None)

    @rule()
    def it_is_aborted(self) -> None:
        self.world.abort_requested += "!"

    @precondition(lambda self: self.world.status.phase is DayPhase.FINISHED)
    @rule()
    def a_new_day_is_asked_for(self) -> None:
        self.world.run_requested += "+"
        self.world.run(1)

    @rule(is_suspended=st.booleans())
    def the_spec_is_edited(self, is_suspended: bool) -> None:  # noqa: FBT001
        self.world.spec = self.world.spec.model_copy(update={"suspend": is_suspended})
        self.world.generation += 1

    @rule()
    def it_is_deleted(self) -> None:
        self.world.is_deleting = True
        self.world.is_gone = self.world.is_gone or not self.world.has_finalizer

    @invariant()
    def deciding_twice_is_deciding_once(self) -> None:
        world = self.world
        seen = world.seen()
        first = decide(world.spec, world.status, seen, world.now)
        second = decide(world.spec, first.status, seen, world.now)

        assert (second.status, second.actions, second.wants_finalizer) == (
            first.status, first.actions, first.wants_finalizer,
        )  # fmt: skip
        assert second.events == ()
        assert first.check_again_at is None or first.check_again_at > world.now

    @invariant()
    def no_wish_is_taken_up_twice(self) -> None:
        assert len(set(self.world.begun)) == len(self.world.begun)

    @invariant()
    def at_most_one_experiment_runs_by_our_wish_and_under_the_finalizer(self) -> None:
        ours = [
            one for one in self.world.experiments.values()
            if one.status.phase is Phase.RUNNING and one.status.run not in self.foreign
        ]  # fmt: skip
        assert len(ours) <= 1
        assert self.world.has_finalizer or not ours

    @invariant()
    def a_day_that_is_over_leaves_no_wish_behind(self) -> None:
        if self.world.status.phase is DayPhase.FINISHED:
            wishes = {(one.annotations.get(RUN, ""), one.status.run) for one in self.world.experiments.values()}
            assert all(wish in self.foreign | {"", taken} for wish, taken in wishes)

    def teardown(self) -> None:
        """Let calm return: the day ends, and nothing of it runs on."""
        world = self.world
        world.refuses, world.loses_answers, world.steps_to_live = [], False, None
        world.spec, world.generation = world.spec.model_copy(update={"suspend": True}), world.generation + 1
        for one in world.experiments.values():
            one.is_slow = False
        world.run(60)

        assert world.is_gone or world.status.phase in {DayPhase.FINISHED, DayPhase.PENDING}
        assert not world.has_finalizer
        assert_nothing_runs(world)


TestAnyDay: Any = AnyDay.TestCase
TestAnyDay.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
