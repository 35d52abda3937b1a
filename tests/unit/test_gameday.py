"""GameDay: experiments in order, with gates between them, one verdict (issue 7)."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from homeostat.api.chaos import RUN
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Plan, Verdict
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import DayPhase, GameDayStatus, StepPhase
from homeostat.api.health_check import HealthState
from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery import BY
from homeostat.core.action import FINALIZER, AskExperiment, Outcome, Verb
from homeostat.core.chaos import is_run_wanted
from homeostat.core.condition import condition
from homeostat.core.gameday import Rehearsal, WordSeen, checks_of, decide, experiments_of, is_dry_run_due, significance
from homeostat.core.gameday.missing import PATIENCE
from homeostat.core.significance import Significance
from homeostat.engine.controllers.gameday import STAND_IN
from scenarios.gameday.world import FREEZE, ME, START, Experiment, World, a_day, an_experiment, edited

ROOT = Path(__file__).resolve().parents[2]
TWO = ({"experiment": "pod-loss", "gate": {"wait": "2s"}}, {"experiment": "dns-outage"})


def two(**first: Any) -> World:
    """Give a day of two steps, the first of them as told."""
    gate = {"wait": "2s"} | first.pop("gate", {})
    return World(a_day({"experiment": "pod-loss", "gate": gate} | first, {"experiment": "dns-outage"}))


# --- the way of a day -----------------------------------------------------------------------------------


def test_steps_run_in_order_and_the_next_begins_after_the_pause() -> None:
    """One experiment at a time, each asked for by a wish of its own."""
    world = World(a_day(*TWO))
    world.run(60)
    first, second = world.status.steps

    assert world.begun == ["friday-gameday--1-1", "friday-gameday--1-2"]
    assert first.ended_at is not None
    assert second.started_at is not None
    assert second.started_at - first.ended_at >= timedelta(seconds=2)
    assert (world.status.verdict, world.status.reason) == (Verdict.PASSED, "AllPassed")
    assert (world.status.progress, world.status.step) == ("2/2", 2)
    assert world.status.recommendations == ("about pod-loss", "about dns-outage")


def test_the_wish_is_on_record_before_it_is_written() -> None:
    """R2: intent, then act, on the version that was looked at."""
    world = World()
    world.has_finalizer = True
    decision = world.decide()

    [action] = decision.actions
    assert isinstance(action, AskExperiment)
    assert decision.status.steps[0].phase is StepPhase.ASKED
    assert dict(action.annotations) == {RUN: decision.status.steps[0].asked, BY: None}
    assert (action.experiment.name, action.resource_version) == ("pod-loss", "1")


def test_nothing_is_asked_for_before_the_finalizer_is_set() -> None:
    """C2: finalizer first."""
    decision = World().decide()

    assert (decision.wants_finalizer, decision.actions) == (True, ())
    assert decision.status.steps[0].phase is StepPhase.ADMITTED


def test_a_day_recreated_under_its_name_does_not_take_an_earlier_run_for_its_own() -> None:
    """R2: the wish names the incarnation of the day, its number and the step."""
    wish = World()
    wish.run(3)
    another = wish.status.steps[0].asked

    assert another == f"friday-{ME.uid[:8]}-1-1"


def test_a_new_value_of_the_annotation_begins_a_new_day() -> None:
    world = World(a_day(*TWO))
    world.run(60)
    world.run_requested = "again"
    world.run(60)

    assert [day.number for day in world.status.runs] == [2, 1]
    assert [len(one.begun) for one in world.experiments.values()] == [2, 0, 2]
    assert world.status.run == "again"


def test_five_days_are_remembered_newest_first() -> None:
    world = World(a_day({"experiment": "pod-loss"}))
    for number in range(7):
        world.run_requested = f"{number}"
        world.run(10)

    assert [day.number for day in world.status.runs] == [7, 6, 5, 4, 3]
    assert world.status.runs[0].steps[0].verdict is Verdict.PASSED


# --- gates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.ABORTED, Verdict.INCONCLUSIVE])
def test_a_step_that_does_not_pass_ends_the_day(verdict: Verdict) -> None:
    """C15: what showed nothing has not passed."""
    world = two()
    world.experiments["pod-loss"].verdict = verdict
    world.run(60)

    assert (world.status.phase, world.status.verdict, world.status.reason) == (
        DayPhase.FINISHED, verdict, "StepNotPassed",
    )  # fmt: skip
    assert [step.phase for step in world.status.steps] == [StepPhase.FINISHED, StepPhase.SKIPPED]
    assert len(world.begun) == 1


@pytest.mark.parametrize("lenient", [{"gate": {"verdict": "Any"}}, {"onFailure": "Continue"}])
def test_a_lenient_gate_lets_the_next_step_begin_and_the_worst_step_is_the_verdict(lenient: dict[str, Any]) -> None:
    world = two(**lenient)
    world.experiments["pod-loss"].verdict = Verdict.FAILED
    world.run(60)

    assert len(world.begun) == 2
    assert world.status.verdict is Verdict.FAILED
    assert "pod-loss" in world.status.message


@pytest.mark.parametrize("lenient", [{}, {"gate": {"verdict": "Any"}}, {"onFailure": "Continue"}])
def test_no_step_follows_one_whose_undo_failed_whatever_the_gate_says(lenient: dict[str, Any]) -> None:
    """C16: an unclean end is loud, and nothing more is broken."""
    world = two(**lenient)
    world.experiments["pod-loss"].verdict, world.experiments["pod-loss"].reason = Verdict.FAILED, "RecoveryFailed"
    world.run(60)

    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, "RecoveryFailed")
    assert len(world.begun) == 1


def test_the_gate_waits_for_its_health_checks() -> None:
    world = two(gate={"healthChecks": [{"name": "checkout"}]})
    world.checks = {"checkout": HealthState.DEGRADED}
    world.run(30)
    waiting = world.status
    world.checks = {"checkout": HealthState.HEALTHY}
    world.run(30)

    assert (waiting.phase, waiting.reason) == (DayPhase.WAITING, "WaitingForHealth")
    assert "checkout is Degraded" in waiting.message
    assert world.status.verdict is Verdict.PASSED


def test_a_gate_that_accepts_degraded_opens_for_it() -> None:
    world = two(gate={"healthChecks": [{"name": "checkout", "state": "Degraded"}]})
    world.checks = {"checkout": HealthState.DEGRADED}
    world.run(30)

    assert world.status.verdict is Verdict.PASSED


@pytest.mark.parametrize(("on_failure", "begun"), [("Stop", 1), ("Continue", 2)])
def test_a_check_that_stays_away_shuts_the_gate_after_its_time(on_failure: str, begun: int) -> None:
    """C15: a HealthCheck that is not there is not Healthy."""
    world = two(onFailure=on_failure, gate={"healthChecks": [{"name": "checkout"}], "within": "10s"})
    world.run(60)

    assert world.status.phase is DayPhase.FINISHED
    assert len(world.begun) == begun
    assert (world.status.reason == "GateNotMet") is (on_failure == "Stop")


# --- approval -------------------------------------------------------------------------------------------


def awaiting() -> World:
    """Give a day that stands at a gate which needs a human."""
    world = two(gate={"approval": "Required"})
    world.run(30)
    return world


def test_a_step_awaits_the_approval_of_its_hash() -> None:
    """R13: by the name of what is meant."""
    world = awaiting()
    assert world.status.approval is not None
    world.approvals = (WordSeen("0" * 16, "ada"),)
    world.run(5)
    waiting = world.status
    world.approvals = (WordSeen(world.status.approval.hash, "ada"),)
    world.run(30)

    assert (waiting.phase, waiting.reason) == (DayPhase.AWAITING_APPROVAL, "AwaitingApproval")
    assert world.status.verdict is Verdict.PASSED
    assert "approved by ada" in " ".join(event.note for event in world.events)


def test_a_rejected_step_ends_the_day() -> None:
    """R13: a no is a no."""
    world = awaiting()
    assert world.status.approval is not None
    world.approvals = (WordSeen(world.status.approval.hash, "ada", is_no=True),)
    world.run(5)

    assert (world.status.verdict, world.status.reason, len(world.begun)) == (Verdict.ABORTED, "Rejected", 1)


def test_an_approval_does_not_hold_for_an_experiment_that_was_edited_since() -> None:
    """R13: bound to what was approved."""
    world = awaiting()
    assert world.status.approval is not None
    old = world.status.approval.hash
    world.experiments["dns-outage"].generation += 1
    world.approvals = (WordSeen(old, "ada"),)
    world.run(30)

    assert world.status.phase is DayPhase.AWAITING_APPROVAL
    assert world.status.approval.hash != old


def test_an_approval_that_waited_for_a_busy_experiment_is_asked_for_again_once_that_was_edited() -> None:
    """R13: also between the approval and the act."""
    world = awaiting()
    assert world.status.approval is not None
    other = world.experiments["dns-outage"]
    other.lasts = 20
    other.write([(RUN, "by hand")])
    other.tick(world.now)
    world.approvals = (WordSeen(world.status.approval.hash, "ada"),)
    world.run(5)
    busy = world.status
    other.generation += 1
    world.run(20)

    assert busy.reason == "ExperimentBusy"
    assert world.status.phase is DayPhase.AWAITING_APPROVAL
    assert other.begun == ["by hand"]


def test_nobody_answers_and_the_asking_runs_out() -> None:
    """R13: approvals expire."""
    world = World(a_day({"experiment": "pod-loss"}, approval="Required", timeout="24h"))
    world.run(3)
    assert world.status.approval is not None
    world.now = world.status.approval.expires_at - timedelta(seconds=2)
    world.spec = world.spec.model_copy(update={"timeout": timedelta(hours=48)})
    world.status = world.status.model_copy(update={"deadline": world.now + timedelta(hours=1)})
    world.run(5)

    assert (world.status.verdict, world.status.reason, world.begun) == (Verdict.ABORTED, "ApprovalExpired", [])


# --- experiments that cannot be asked -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schedule": {"cron": "0 10 * * 2"}}, "ExperimentScheduled"),
        ({"suspend": True}, "ExperimentSuspended"),
        ({"dryRun": True}, "ExperimentDryRun"),
    ],
)
def test_an_experiment_that_takes_no_wishes_ends_its_step_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    world = World(a_day(*TWO))
    world.experiments["pod-loss"] = edited(world.experiments["pod-loss"], **changes)
    world.run(10)

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, reason)
    assert world.begun == []


def test_an_experiment_that_is_not_there_is_waited_for_a_little() -> None:
    """Whoever applies files may apply the game day first."""
    world = World(a_day(*TWO))
    missing = world.experiments.pop("pod-loss")
    world.run(10)
    waiting = world.status
    world.experiments["pod-loss"] = missing
    world.run(30)

    assert (waiting.phase, waiting.reason) == (DayPhase.WAITING, "ExperimentMissing")
    assert world.status.verdict is Verdict.PASSED


def test_an_experiment_that_never_comes_shows_nothing() -> None:
    """C15: Inconclusive."""
    world = World(a_day(*TWO))
    del world.experiments["pod-loss"]
    world.run(int(PATIENCE.total_seconds()) + 5)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "ExperimentMissing")


def test_a_busy_experiment_is_waited_for_and_then_asked() -> None:
    """It runs by somebody else's wish: that run is not the day's."""
    world = World(a_day(*TWO))
    other = world.experiments["pod-loss"]
    other.lasts = 10
    other.write([(RUN, "by hand")])
    other.tick(START)
    world.run(5)
    waiting = world.status
    world.run(60)

    assert (waiting.phase, waiting.reason) == (DayPhase.WAITING, "ExperimentBusy")
    assert other.begun[0] == "by hand"
    assert world.status.steps[0].run_number == 2
    assert world.status.verdict is Verdict.PASSED


def test_an_experiment_that_is_about_to_run_by_itself_is_waited_for() -> None:
    world = World(a_day(*TWO))
    world.experiments["pod-loss"] = edited(world.experiments["pod-loss"], start="AtOnce")
    world.run(5)

    assert (world.status.reason, world.acts) == ("ExperimentBusy", [])


def test_somebody_else_asks_before_the_wish_is_taken_up() -> None:
    """The other run is not the day's, and is left alone."""
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].is_slow = True
    world.run(5)
    world.experiments["pod-loss"].write([(RUN, "by hand")])
    world.experiments["pod-loss"].is_slow = False
    world.run(5)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "Displaced")
    assert world.begun == ["by hand"]


def test_an_experiment_that_moved_is_looked_at_again_before_it_is_asked() -> None:
    """R2: on the version that was looked at, and once."""
    world = World(a_day(*TWO))
    world.refuses = [Outcome(Verb.REFUSED, "Conflict"), Outcome(Verb.FAILED, "ApiUnavailable")]
    world.run(60)

    assert world.status.verdict is Verdict.PASSED
    assert len(world.begun) == 2


def test_the_operator_is_not_permitted_to_ask() -> None:
    world = World(a_day(*TWO))
    world.refuses = [Outcome(Verb.REFUSED, "Forbidden")]
    world.run(3)

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "NotPermitted")


def test_a_day_without_the_right_to_a_finalizer_asks_for_nothing_and_ends() -> None:
    """C2: and does not begin hours later, when it is given."""
    world = World(a_day(*TWO))
    while not (decision := world.decide()).wants_finalizer:
        world.status, world.now = decision.status, world.now + timedelta(seconds=1)
    told = world.decide({FINALIZER: Outcome(Verb.REFUSED, "Forbidden", "PATCH gamedays")})

    assert (told.wants_finalizer, told.actions, told.status.phase) == (None, (), DayPhase.FINISHED)
    first = told.status.steps[0]
    assert (first.verdict, first.reason, first.message) == (Verdict.ABORTED, "NotPermitted", "PATCH gamedays")


def test_an_experiment_deleted_during_its_run_shows_nothing() -> None:
    """C15: its report went with it."""
    world = World(a_day(*TWO))
    world.run(3)
    assert world.status.steps[0].phase is StepPhase.RUNNING
    del world.experiments["pod-loss"]
    world.run(3)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "ExperimentGone")


def test_an_experiment_replaced_during_its_run_is_not_the_one_that_was_asked() -> None:
    """R2: by uid."""
    world = World(a_day(*TWO))
    world.run(3)
    world.experiments["pod-loss"] = Experiment("pod-loss", uid="another")
    world.run(3)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "ExperimentGone")


def test_what_came_of_a_run_is_found_among_earlier_ones() -> None:
    """The operator was away, and somebody asked for another run meanwhile."""
    world = World(a_day(*TWO))
    world.run(3)
    one = world.experiments["pod-loss"]
    one.end(world.now, Verdict.FAILED, "HypothesisBroken")
    one.write([(RUN, "by hand")])
    one.tick(world.now)
    world.run(2)

    assert world.verdicts()[0] == ("pod-loss", Verdict.FAILED, "HypothesisBroken")


def test_a_run_that_is_no_longer_on_record_shows_nothing() -> None:
    """C15: lost is not passed."""
    world = World(a_day(*TWO))
    world.run(3)
    one = world.experiments["pod-loss"]
    one.end(world.now, Verdict.PASSED, "HypothesisHeld")
    one.status = one.status.model_copy(update={"runs": ()})
    one.write([(RUN, "by hand")])
    one.tick(world.now)
    world.run(2)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "RunLost")


# --- stop all -------------------------------------------------------------------------------------------


def test_suspending_aborts_the_experiment_under_way_and_then_ends_the_day() -> None:
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].lasts = 100
    world.run(4)
    world.spec, world.generation = world.spec.model_copy(update={"suspend": True}), 2
    world.run(4)

    assert world.verdicts() == [("pod-loss", Verdict.ABORTED, "Aborted"), ("dns-outage", None, "")]
    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, "Suspended")


def test_a_wish_that_was_not_taken_up_is_taken_back() -> None:
    """What waits for a budget does not begin when the day is over."""
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].is_slow = True
    world.run(4)
    world.abort_requested = "stop"
    world.run(4)
    world.experiments["pod-loss"].is_slow = False
    world.run(9)

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "NotBegun")
    assert (world.begun, RUN in world.experiments["pod-loss"].annotations) == ([], False)


UNKNOWN = Outcome(Verb.FAILED, "ApiUnavailable")


def stopped_while_asking(*refused: Outcome) -> tuple[World, AskExperiment]:
    """Give a day that was stopped while its wish was still under way, and that wish."""
    world = World(a_day(*TWO), refuses=[UNKNOWN])
    world.run(9, until=DayPhase.RUNNING)
    [wish] = world.acts
    assert isinstance(wish, AskExperiment)
    world.refuses += refused
    world.abort_requested = "stop"
    world.run(4)
    return world, wish


@pytest.mark.parametrize("refused", [(), (UNKNOWN,), (Outcome(Verb.REFUSED, "Conflict"),)])
def test_a_wish_that_arrives_after_the_day_begins_nothing(refused: tuple[Outcome, ...]) -> None:
    """C5: a write whose fate is not known may come late, pinned to a version that is no more by then."""
    world, wish = stopped_while_asking(*refused)
    late = world._perform(wish)
    world.run(9)

    assert late.reason == "Conflict"
    assert world.begun == []
    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "NotBegun")


def test_a_wish_that_arrives_while_it_is_taken_back_is_taken_back_then() -> None:
    """C5: by a second look."""
    world = World(a_day(*TWO), refuses=[UNKNOWN])
    world.experiments["pod-loss"].is_slow = True
    world.run(9, until=DayPhase.RUNNING)
    [wish] = world.acts
    world.abort_requested, world.refuses = "stop", [UNKNOWN]
    world.reconcile()
    assert world._perform(wish) == Outcome(Verb.DONE)
    world.run(4)
    world.experiments["pod-loss"].is_slow = False
    world.run(9)

    assert world.begun == []
    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "NotBegun")


@pytest.mark.parametrize("reason", ["Forbidden", "Invalid"])
def test_a_day_that_may_no_longer_write_to_its_experiment_ends_all_the_same(reason: str) -> None:
    world, _ = stopped_while_asking(Outcome(Verb.REFUSED, reason))

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "NotBegun")


def test_what_was_asked_of_an_experiment_before_a_day_was_stopped_does_not_end_its_next_run() -> None:
    """C9: what takes the wish back names that wish only."""
    world, _ = stopped_while_asking()
    world.abort_requested, world.run_requested = "", "again"
    world.run(30)

    assert world.verdicts()[0] == ("pod-loss", Verdict.PASSED, "HypothesisHeld")


def test_a_freeze_ends_the_day_and_it_does_not_resume() -> None:
    """C9: the experiment stops itself, and says so itself."""
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].lasts = 100
    world.run(4)
    world.freeze = FREEZE
    world.run(3)
    world.freeze = None
    world.run(30)

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "Frozen")
    assert (world.status.reason, world.status.message) == ("Frozen", "Freeze outage: provider outage")
    assert len(world.begun) == 1


def test_a_freeze_that_went_before_the_experiment_saw_it_does_not_leave_it_running() -> None:
    """C9: the day was stopped, so what it began is."""
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].lasts = 100
    world.run(4)
    world.freeze = FREEZE
    world.reconcile()
    world.freeze = None
    world.run(4)

    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "Aborted")
    assert world.status.reason == "Frozen"


def test_a_day_asked_for_during_a_freeze_is_refused() -> None:
    """C9: and does not begin when it ends."""
    world = World(freeze=FREEZE)
    world.run(2)
    world.freeze = None
    world.run(5)

    assert (world.status.verdict, world.status.reason, world.begun) == (Verdict.ABORTED, "Frozen", [])


def test_the_day_ends_at_its_timeout() -> None:
    """C1: bounded."""
    world = World(a_day(*TWO, timeout="1m"))
    world.experiments["pod-loss"].lasts = 1000
    world.run(65)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, "TimedOut")
    assert world.verdicts()[0] == ("pod-loss", Verdict.ABORTED, "Aborted")


def test_an_edited_spec_ends_the_day() -> None:
    """The day was about another spec."""
    world = World(a_day(*TWO))
    world.run(4)
    world.generation = 2
    world.run(9)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, "SpecChanged")


def test_an_old_abort_does_not_end_a_new_day() -> None:
    world = World(a_day(*TWO), abort_requested="yesterday")
    world.run(60)

    assert world.status.verdict is Verdict.PASSED


# --- dry run --------------------------------------------------------------------------------------------


def test_a_dry_run_gives_the_plan_of_each_step_and_asks_for_nothing() -> None:
    """C14: one plan of all, and nothing touched."""
    plan = Plan(targets=("Pod/a",), changes=("kill Pod/a",), undo=("nothing",))
    world = World(a_day(*TWO, dryRun=True))
    world.run(2)
    waiting = world.status.phase
    world.rehearsals = {
        "pod-loss": Rehearsal(plan, "DryRun", ""),
        "dns-outage": Rehearsal(None, "NoTargets", "no object matches the target"),
    }
    world.run(2)

    assert waiting is DayPhase.PENDING
    assert (world.status.phase, world.status.verdict, world.status.reason) == (DayPhase.FINISHED, None, "DryRun")
    assert [(step.plan, step.reason) for step in world.status.steps] == [(plan, "DryRun"), (None, "NoTargets")]
    assert (world.acts, world.has_finalizer) == ([], False)


def test_the_end_of_dry_run_begins_the_day() -> None:
    """A dry run was none."""
    drawn = {name: Rehearsal(None, "DryRun", "") for name in ("pod-loss", "dns-outage")}
    world = World(a_day(*TWO, dryRun=True), rehearsals=drawn)
    world.run(2)
    world.spec, world.generation = a_day(*TWO), 2
    world.run(60)

    assert (world.status.verdict, len(world.begun)) == (Verdict.PASSED, 2)


# --- standing -------------------------------------------------------------------------------------------


def test_conditions_say_whether_it_is_evaluated_and_what_it_has_shown() -> None:
    world = World(a_day(*TWO))
    world.run(3)
    before = condition(world.status.conditions, "Succeeded")
    world.run(60)
    ready, after = (condition(world.status.conditions, name) for name in ("Ready", "Succeeded"))

    assert (before and before.status, after and after.status) == (ConditionStatus.UNKNOWN, ConditionStatus.TRUE)
    assert ready is not None
    assert ready.status is ConditionStatus.TRUE


def test_only_the_experiments_that_matter_now_are_read() -> None:
    """The current step, and the one that may follow in the same decision."""
    world = World()
    assert experiments_of(world.spec, world.status) == ("pod-loss", "latency-spike")
    world.run(10)

    assert world.status.step == 2
    assert experiments_of(world.spec, world.status) == ("latency-spike", "dns-outage")


def test_an_experiment_that_was_not_read_is_not_taken_for_missing() -> None:
    """C15: what was not looked for says nothing."""
    world = World()
    world.run(3)
    seen = world.seen()
    blind = type(seen)(ref=seen.ref, generation=1, has_finalizer=True)
    decision = decide(world.spec, world.status, blind, world.now)

    assert (decision.status.steps, decision.actions) == (world.status.steps, ())


def test_the_checks_of_all_gates_wake_the_day() -> None:
    gate = {"healthChecks": [{"name": "checkout"}, {"name": "cart"}]}
    spec = a_day({"experiment": "a", "gate": gate}, {"experiment": "b", "gate": gate})

    assert checks_of(spec) == ("checkout", "cart")


def test_a_spec_that_cannot_be_acted_on_begins_no_day_and_ends_one_under_way() -> None:
    """Its experiment is aborted first."""
    world = World(a_day(*TWO))
    idle = decide(world.spec, world.status, replace(world.seen(), problem=("Invalid", "no steps")), world.now)
    world.run(4)
    ended = decide(STAND_IN, world.status, replace(world.seen(), problem=("Invalid", "no steps")), world.now)
    ready = condition(idle.status.conditions, "Ready")

    assert (idle.status.phase, idle.status.reason, idle.status.message) == (DayPhase.PENDING, "Invalid", "no steps")
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "Invalid")
    assert (ended.status.verdict, ended.status.reason) == (Verdict.ABORTED, "SpecChanged")
    assert [type(action) for action in ended.actions] == [AskExperiment]


def test_a_suspended_day_does_not_begin() -> None:
    world = World(a_day(*TWO, suspend=True))
    world.run(5)

    assert (world.status.phase, world.status.reason, world.begun) == (DayPhase.PENDING, "Suspended", [])


def test_a_day_that_is_deleted_before_it_began_just_goes() -> None:
    world = World(a_day(*TWO, suspend=True), has_finalizer=True, is_deleting=True)
    world.run(1)

    assert world.is_gone


@pytest.mark.parametrize(
    ("changes", "status", "asked", "is_due"),
    [
        ({"dryRun": True}, {}, "", True),
        ({}, {}, "", False),
        ({"dryRun": True, "suspend": True}, {}, "", False),
        ({"dryRun": True}, {"phase": DayPhase.FINISHED, "run": "1"}, "1", False),
        ({"dryRun": True}, {"phase": DayPhase.FINISHED, "run": "1"}, "2", True),
        ({"dryRun": True}, {"phase": DayPhase.RUNNING}, "2", False),
    ],
)
def test_plans_are_drawn_only_when_a_dry_run_begins(
    changes: dict[str, Any], status: dict[str, Any], asked: str, *, is_due: bool
) -> None:
    """C14: each drawing reads the cluster."""
    assert is_dry_run_due(a_day(*TWO, **changes), GameDayStatus(**status), asked) is is_due


@pytest.mark.parametrize(
    ("changes", "says"), [({"is_deleting": True}, "ExperimentGone"), ({"spec": None}, "ExperimentInvalid")]
)
def test_an_experiment_that_goes_or_cannot_be_read_is_not_asked(changes: dict[str, Any], says: str) -> None:
    world = World(has_finalizer=True)
    seen = world.seen()
    one = seen.experiments["pod-loss"]
    assert one is not None
    found = replace(one, **changes, problem="no fault" if says == "ExperimentInvalid" else "")
    decision = decide(world.spec, world.status, replace(seen, experiments={"pod-loss": found}), world.now)

    assert (decision.status.steps[0].reason, decision.actions) == (says, ())


def test_what_a_step_showed_after_the_day_was_stopped_is_still_taken_over() -> None:
    """The run ended by itself just before it could be aborted, and another began."""
    world = World(a_day(*TWO))
    world.run(4)
    one = world.experiments["pod-loss"]
    one.end(world.now, Verdict.PASSED, "HypothesisHeld")
    one.write([(RUN, "by hand")])
    one.tick(world.now)
    world.abort_requested = "now"
    world.reconcile()

    assert world.verdicts()[0] == ("pod-loss", Verdict.PASSED, "HypothesisHeld")
    assert (world.status.verdict, world.status.phase) == (Verdict.ABORTED, DayPhase.FINISHED)


def test_an_experiment_that_vanishes_while_it_is_being_stopped_shows_nothing() -> None:
    """C15."""
    world = World(a_day(*TWO))
    world.run(4)
    world.abort_requested = "now"
    del world.experiments["pod-loss"]
    world.reconcile()

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "ExperimentGone")


def test_an_experiment_replaced_before_it_took_the_wish_up_is_not_asked() -> None:
    """R2: by uid."""
    world = World(a_day(*TWO))
    world.experiments["pod-loss"].is_slow = True
    world.run(3)
    world.experiments["pod-loss"] = Experiment("pod-loss", uid="another")
    world.run(1)

    assert world.verdicts()[0] == ("pod-loss", Verdict.INCONCLUSIVE, "ExperimentGone")


def test_a_day_awaits_approval_of_an_experiment_that_is_there() -> None:
    """R13: nothing is approved that nobody has seen."""
    world = World(a_day({"experiment": "nowhere"}, approval="Required"))
    world.run(2)

    assert (world.status.reason, world.status.approval) == ("ExperimentMissing", None)


def test_every_difference_is_worth_a_write() -> None:
    status = GameDayStatus()

    assert significance(status, status) is Significance.NOTHING
    assert significance(status, GameDayStatus(reason="Pausing")) is Significance.CHANGE


def test_a_day_has_steps() -> None:
    with pytest.raises(ValidationError):
        GameDaySpec.model_validate({"steps": []})


def test_the_phases_of_an_experiment_under_way_are_told() -> None:
    world = World(a_day(*TWO))
    world.run(4)

    assert (world.status.reason, world.status.message) == ("StepRunning", f"Step pod-loss is {Phase.RUNNING}.")


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "gameday").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_name_experiments_that_are_there(path: Path) -> None:
    """Each step is one of the library, in the same namespace, without a schedule."""
    [example] = yaml.safe_load_all(path.read_text())
    known = {}
    for file in (ROOT / "examples" / "experiments").glob("*.yaml"):
        known |= {one["metadata"]["name"]: one for one in yaml.safe_load_all(file.read_text()) if one}

    for step in GameDaySpec.model_validate(example["spec"]).steps:
        experiment = known[step.experiment]
        assert experiment["kind"] == "ChaosExperiment"
        assert experiment["metadata"]["namespace"] == example["metadata"]["namespace"]
        assert "schedule" not in experiment["spec"]


@pytest.mark.parametrize(
    ("start", "asked", "is_wanted"),
    [("AtOnce", "", True), ("OnRequest", "", False), ("OnRequest", "friday-1-1", True)],
)
def test_an_experiment_on_request_begins_no_run_by_itself(start: str, asked: str, *, is_wanted: bool) -> None:
    """A step's experiment is applied with the others, and runs when its turn comes."""
    assert is_run_wanted(an_experiment(start=start), ChaosExperimentStatus(), asked, START) is is_wanted


def test_a_run_on_request_that_begins_anew_is_still_wanted() -> None:
    """An edit before anything was touched takes a run back to Pending: its wish stands."""
    status = ChaosExperimentStatus(phase=Phase.PENDING, run="friday-1-1")

    assert is_run_wanted(an_experiment(), status, "friday-1-1", START)
