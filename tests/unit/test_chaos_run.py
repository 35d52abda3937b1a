"""The way of a run: what it needs before each phase, and what ends it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, Verdict
from homeostat.api.health_check import HealthState
from homeostat.core.action import FINALIZER, DeletePod, HoldFields, Outcome, ReleaseLock, TakeLock, Verb
from homeostat.core.chaos import CheckSeen, ReactionSeen, decide, planned_fault, significance, watches
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.cluster import FreezeInForce, Lock
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from scenarios.chaos.world import FREEZE, ME, START, World, a_scale_spec, a_spec

SECOND = timedelta(seconds=1)
MAY_BREAK = [{"healthCheck": {"name": "checkout"}, "duringFault": "MayBreak"}]
POLICY = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")


def started(spec: Any = None, **world: Any) -> World:
    """Give a world whose run has just begun."""
    made = World(spec or a_spec(), **world)
    made.reconcile()
    return made


def broken_open(spec: Any = None, **world: Any) -> World:
    """Give a world whose fault is on."""
    made = started(spec, **world)
    made.run(20, until=Phase.RUNNING)
    assert made.status.phase is Phase.RUNNING, made.status
    return made


def ended(world: World, seconds: int = 120) -> tuple[Verdict | None, str]:
    """Let the run end, and give what it says."""
    world.run(seconds, until=Phase.FINISHED)
    assert world.status.phase is Phase.FINISHED, world.status
    return world.status.verdict, world.status.reason


def conditions(world: World) -> dict[str, str]:
    return {entry.type: entry.status.value for entry in world.status.conditions}


def a_check(world: World, state: HealthState, /, **changes: Any) -> CheckSeen:
    seen = {"state": state, "since": world.now, "observed_at": world.now, "stale_after": timedelta(seconds=5)}
    return CheckSeen(**(seen | changes))


# --- before ---------------------------------------------------------------------------------------------


def test_the_hypothesis_must_hold_for_a_while_before_anything_is_touched() -> None:
    """C7: a window before."""
    world = started()
    world.run(2)

    assert (world.status.phase, world.acts) == (Phase.CHECKING_STEADY_STATE, [])


def test_a_hypothesis_that_does_not_hold_aborts_before_anything_is_touched() -> None:
    """C7: a broken steady state."""
    world = World(a_spec(), needs=9)
    world.tick(3)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.STEADY_STATE_BROKEN)
    assert world.acts == []
    assert conditions(world)["SteadyState"] == "False"


def test_a_hypothesis_that_breaks_while_it_is_checked_aborts() -> None:
    """C7: the whole window counts."""
    world = started()
    world.needs = 9

    assert ended(world) == (Verdict.ABORTED, ChaosReason.STEADY_STATE_BROKEN)


def test_a_check_that_changed_between_two_looks_starts_the_window_anew() -> None:
    """C7: what we did not see counts too."""
    world = started()
    world.tick(2)
    assert world.check is not None
    world.check = replace(world.check, since=world.now - SECOND)
    world.reconcile()

    assert world.status.steady_since == world.now


def test_without_a_result_in_the_window_nothing_begins() -> None:
    """C7, C15: an old result proves nothing about the window."""
    world = started()
    world.check = a_check(world, HealthState.HEALTHY, stale_after=timedelta(minutes=5))
    world.is_check_silent = True
    world.run(60)

    assert world.status.phase is Phase.CHECKING_STEADY_STATE


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (None, ChaosReason.SIGNAL_MISSING),
        ({"observed_at": None}, ChaosReason.SIGNAL_MISSING),
        ({"observed_at": START - timedelta(minutes=1)}, ChaosReason.SIGNAL_STALE),
        ({"state": HealthState.UNKNOWN, "stale_after": timedelta(hours=1)}, ChaosReason.SIGNAL_UNKNOWN),
        ({"state": HealthState.SUSPENDED, "stale_after": timedelta(hours=1)}, ChaosReason.SIGNAL_UNKNOWN),
    ],
)
def test_without_any_data_all_along_a_run_is_inconclusive(check: Any, reason: ChaosReason) -> None:
    """C15: missing data never passes; C7: each lack has its own reason."""
    world = World(a_spec(), is_check_silent=True)
    world.check = None if check is None else a_check(world, HealthState.HEALTHY, **check)
    world.reconcile()

    assert world.status.reason == ChaosReason.WAITING_FOR_DATA
    assert ended(world) == (Verdict.INCONCLUSIVE, reason)
    assert world.acts == []


def test_data_that_falls_silent_before_the_fault_aborts() -> None:
    """C7: no data aborts."""
    world = started(a_spec(steadyFor="1m"))
    world.is_check_silent = True

    assert ended(world) == (Verdict.ABORTED, ChaosReason.SIGNAL_STALE)


def test_a_check_that_speaks_late_is_waited_for() -> None:
    """An experiment applied together with its HealthCheck must not fail for that."""
    world = World(a_spec(), is_check_silent=True)
    world.check = None
    world.reconcile()
    world.run(5)
    world.is_check_silent = False

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_degraded_holds_only_where_it_is_accepted() -> None:
    """C7: the state that the hypothesis names is the worst that holds."""
    for state, phase in (("Degraded", Phase.CHECKING_STEADY_STATE), ("Healthy", Phase.FINISHED)):
        world = World(a_spec(hypothesis=[{"healthCheck": {"name": "checkout", "state": state}}]))
        world.check = a_check(world, HealthState.DEGRADED)
        world.reconcile()

        assert world.status.phase is phase


def test_a_hypothesis_that_nobody_can_check_is_inconclusive() -> None:
    """C15: nothing checked is nothing shown, even if the shell lets it through."""
    world = started(a_spec(hypothesis=[{"promql": {"query": "up", "condition": "> 0"}}]))

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.SIGNAL_MISSING)


def test_an_experiment_that_starts_on_request_waits_for_one() -> None:
    """A step of a GameDay is not to begin when it is applied."""
    world = started(a_spec(start="OnRequest"))
    assert (world.status.phase, world.status.reason) == (Phase.PENDING, ChaosReason.NOT_REQUESTED)
    world.run_requested = "now"
    world.reconcile()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_the_finalizer_comes_in_a_decision_of_its_own_before_the_record() -> None:
    """C2: finalizer first."""
    world = started()
    world.tick(3.5)
    decision = world.decide()

    assert (decision.wants_finalizer, decision.actions) == (True, ())
    assert decision.status.phase is Phase.INJECTING
    assert decision.status.targets == ()


def test_a_run_without_the_right_to_a_finalizer_ends_and_does_not_begin_when_it_is_given() -> None:
    """C2, C9: nothing that waited for a right is broken long after it was asked for."""
    world = started(a_scale_spec())
    world.tick(3.5)
    told = world.decide({FINALIZER: Outcome(Verb.REFUSED, "Forbidden", "PATCH chaosexperiments")})
    assert (told.status.phase, told.wants_finalizer, told.actions) == (Phase.FINISHED, None, ())
    assert (told.status.verdict, told.status.reason) == (Verdict.ABORTED, ChaosReason.NOT_PERMITTED)
    assert (told.status.message, told.status.runs[0].reason) == ("PATCH chaosexperiments", "NotPermitted")

    world.status = told.status
    world.run(60)
    assert (world.status.phase, world.acts, world.has_finalizer) == (Phase.FINISHED, [], False)


def test_the_record_is_written_with_the_originals_before_the_locks_and_the_fault() -> None:
    """C2: a write-ahead record, then the injection."""
    world = started(a_scale_spec())
    world.tick(3.5)
    world.reconcile()
    decision = world.decide()
    (record,) = decision.status.targets
    lock, fault = decision.actions

    assert (record.phase, record.original, record.to) == (TargetPhase.PLANNED, {"replicas": "3"}, {"replicas": "1"})
    assert decision.status.revert_at == world.now + timedelta(seconds=10)
    assert isinstance(lock, TakeLock)
    assert isinstance(fault, HoldFields)
    assert fault.annotations == {"homeostat.dev/chaos": record.marker}


def test_gates_are_asked_again_at_the_last_moment() -> None:
    """C8, C10: what has changed since the plan counts."""
    for change, reason in (
        ({"labels": ()}, ChaosReason.NAMESPACE_NOT_ALLOWED),
        ({"lock": Lock(POLICY, START + timedelta(hours=1))}, ChaosReason.TARGET_LOCKED),
        (
            {"check": CheckSeen(HealthState.UNHEALTHY, START, START, timedelta(hours=1))},
            ChaosReason.STEADY_STATE_BROKEN,
        ),
        ({"check": None}, ChaosReason.SIGNAL_MISSING),
    ):
        world = started()
        world.run(3)
        assert (world.status.phase, world.status.targets) == (Phase.INJECTING, ())
        for name, value in change.items():
            setattr(world, name, value)
        world.reconcile()

        assert (world.status.verdict, world.status.reason, world.acts) == (Verdict.ABORTED, reason, [])
        assert not world.has_finalizer


# --- during ---------------------------------------------------------------------------------------------


def test_losing_a_pod_that_nobody_notices_passes() -> None:
    """C7, C15: held before, during and after."""
    world = broken_open()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert [type(act) for act in world.acts] == [TakeLock, DeletePod, ReleaseLock]
    assert conditions(world) == {
        "Ready": "True", "SteadyState": "True", "Injected": "False", "Reverted": "True", "Succeeded": "True"
    }  # fmt: skip


def test_a_hypothesis_that_must_hold_and_breaks_fails_and_the_fault_is_off_at_once() -> None:
    """C7: checked throughout."""
    must_hold = [{"healthCheck": {"name": "checkout"}}]
    world = broken_open(a_scale_spec(hypothesis=must_hold, duration="10m"), needs=2)
    world.run(3)

    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, ChaosReason.HYPOTHESIS_BROKEN)
    assert (world.replicas, world.marker) == (3, None)
    assert ended(world) == (Verdict.FAILED, ChaosReason.HYPOTHESIS_BROKEN)
    assert world.status.timings.recovered_after is not None


def test_a_hypothesis_that_may_break_only_has_to_return() -> None:
    """C7: duringFault MayBreak."""
    world = broken_open(a_scale_spec(), needs=2)

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert world.status.timings.detected_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (None, ChaosReason.SIGNAL_MISSING),
        ({"observed_at": START - timedelta(minutes=1)}, ChaosReason.SIGNAL_STALE),
        ({"state": HealthState.UNKNOWN}, ChaosReason.SIGNAL_UNKNOWN),
    ],
)
@pytest.mark.parametrize("during", ["MustHold", "MayBreak"])
def test_lost_data_aborts_and_the_fault_is_off_at_once(check: Any, reason: ChaosReason, during: str) -> None:
    """C7: three different reasons, fault off within one interval."""
    hypothesis = [{"healthCheck": {"name": "checkout"}, "duringFault": during}]
    world = broken_open(a_scale_spec(hypothesis=hypothesis))
    world.is_check_silent = True
    world.check = None if check is None else a_check(world, HealthState.HEALTHY, **check)
    world.reconcile()

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, reason)
    assert (world.replicas, world.marker) == (3, None)


def test_without_a_result_during_the_fault_nothing_is_shown() -> None:
    """C15: too little data is Inconclusive."""
    world = broken_open(a_scale_spec(hypothesis=[{"healthCheck": {"name": "checkout"}}]))
    assert world.status.injected_at is not None
    world.is_check_silent = True
    world.check = a_check(
        world, HealthState.HEALTHY, observed_at=world.status.injected_at, stale_after=timedelta(hours=1)
    )

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.TOO_FEW_OBSERVATIONS)
    assert world.replicas == 3


def test_a_fault_that_outlived_its_end_unwatched_shows_nothing() -> None:
    """C15: the operator was away."""
    world = broken_open(a_scale_spec())
    world.tick(30)
    world.reconcile()

    assert (world.replicas, world.marker) == (3, None)
    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.INTERRUPTED)


def test_data_that_is_old_because_nobody_was_there_is_not_the_checks_silence() -> None:
    """C15: a restarted operator finds the results of its predecessor; the verdict says that it was away."""
    world = broken_open(a_scale_spec())
    world.is_check_silent = True
    world.tick(30)
    world.reconcile()
    world.is_check_silent = False

    assert (world.replicas, world.marker) == (3, None)
    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.INTERRUPTED)


@pytest.mark.parametrize("spec", [a_spec(duration="10m"), a_scale_spec(duration="10m")], ids=["podKill", "scale"])
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("freeze", FREEZE, ChaosReason.FROZEN),
        ("budget_held_by", "checkout", ChaosReason.BUDGET_HELD),
        ("view_age", timedelta(minutes=1), ChaosReason.VIEW_STALE),
        ("generation", 2, ChaosReason.SPEC_CHANGED),
    ],
)
def test_what_stops_a_running_fault_also_undoes_it(spec: Any, name: str, value: Any, reason: ChaosReason) -> None:
    """C4, C9: revert, then Aborted with the reason."""
    world = broken_open(spec)
    setattr(world, name, value)
    world.reconcile()
    world.view_age = timedelta(0)
    world.reconcile()

    assert (world.replicas, world.marker) == (3, None)
    assert ended(world) == (Verdict.ABORTED, reason)


def test_suspend_stops_and_undoes() -> None:
    """C9: suspend is a stop, too."""
    world = broken_open(a_scale_spec())
    world.spec, world.generation = a_scale_spec(suspend=True), 2
    world.reconcile()

    assert (world.replicas, world.marker) == (3, None)
    assert ended(world) == (Verdict.ABORTED, ChaosReason.SUSPENDED)


def test_a_stopped_run_never_resumes_by_itself() -> None:
    """C9: the freeze is over, the run stays over."""
    world = broken_open(a_scale_spec())
    world.freeze = FREEZE
    world.reconcile()
    world.freeze = None
    world.run(300)

    assert (world.status.run_number, world.status.verdict) == (1, Verdict.ABORTED)
    assert sum(isinstance(act, HoldFields) for act in world.acts) == 2


def test_a_freeze_refuses_a_new_run_and_it_does_not_start_later() -> None:
    """C8, C9: none starts."""
    world = started(freeze=FREEZE)
    world.freeze = None
    world.run(60)

    assert (world.status.verdict, world.status.reason, world.acts) == (Verdict.ABORTED, ChaosReason.FROZEN, [])


def test_a_freeze_of_recovery_alone_stops_no_experiment() -> None:
    """C9: only what it names."""
    assert ended(started(freeze=FreezeInForce("f", ("Recovery",), "calm"))) == (
        Verdict.PASSED,
        ChaosReason.HYPOTHESIS_HELD,
    )


def test_a_freeze_while_steadiness_is_checked_ends_the_run() -> None:
    """C9: a run is stopped in any phase."""
    world = started()
    world.freeze = FREEZE

    assert ended(world) == (Verdict.ABORTED, ChaosReason.FROZEN)


def test_a_freeze_while_recovery_is_awaited_aborts_the_verdict() -> None:
    """C9: what policies may no longer do is not held against the target."""
    world = broken_open(a_scale_spec(), starts_in=timedelta(seconds=20))
    world.run(20, until=Phase.RECOVERING)
    world.freeze = FREEZE
    world.reconcile()

    assert (world.status.verdict, world.status.phase) == (Verdict.ABORTED, Phase.RECOVERING)


def test_a_run_waits_until_no_budget_policy_holds_chaos() -> None:
    """C8: none starts while the budget is too low; it says which objective holds it, and goes on by itself."""
    world = started(budget_held_by="checkout")
    world.run(60)

    assert (world.status.phase, world.status.reason, world.acts) == (Phase.PENDING, ChaosReason.BUDGET_HELD, [])
    assert world.status.message == "the budget policy of ServiceLevelObjective checkout holds chaos"
    world.budget_held_by = ""
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_a_new_run_waits_too_and_is_the_one_that_was_asked_for() -> None:
    """C8."""
    world = started()
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    world.run_requested, world.budget_held_by = "again", "checkout"
    world.run(10)
    assert (world.status.phase, world.status.run_number) == (Phase.PENDING, 1)
    world.budget_held_by = ""
    world.run(120)

    assert (world.status.run, world.status.run_number, world.status.verdict) == ("again", 2, Verdict.PASSED)


def test_a_run_that_a_low_budget_ended_never_resumes_by_itself() -> None:
    """C9: what was stopped stays stopped, also before anything was touched."""
    world = started()
    world.budget_held_by = "checkout"
    world.reconcile()
    world.budget_held_by = ""
    world.run(60)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.BUDGET_HELD)
    assert world.acts == []


def test_what_a_freeze_refuses_does_not_wait_for_a_budget() -> None:
    """C9: a Freeze is the stronger word."""
    world = started(freeze=FREEZE, budget_held_by="checkout")

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.FROZEN)


def test_a_budget_that_runs_low_while_recovery_is_awaited_leaves_the_verdict_alone() -> None:
    """C8: the fault is off, there is nothing left to stop."""
    world = broken_open(a_scale_spec(), starts_in=timedelta(seconds=20))
    world.run(20, until=Phase.RECOVERING)
    world.budget_held_by = "checkout"

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_an_edit_before_the_fault_starts_the_run_anew() -> None:
    """A typo corrected in time costs nothing."""
    world = started()
    world.tick()
    world.spec, world.generation = a_spec(steadyFor="5s"), 2
    world.reconcile()

    assert (world.status.phase, world.status.run_number) == (Phase.CHECKING_STEADY_STATE, 1)
    assert world.status.started_at == world.now
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


# --- waiting and running again --------------------------------------------------------------------------


def test_a_suspended_experiment_waits_and_holds_nothing() -> None:
    world = started(a_spec(suspend=True), has_finalizer=True)

    assert (world.status.phase, world.status.reason, world.has_finalizer) == (Phase.PENDING, "Suspended", False)
    assert world.decide().check_again_at is None
    world.spec, world.generation = a_spec(), 2
    world.reconcile()
    assert world.status.phase is Phase.CHECKING_STEADY_STATE


def test_a_stale_view_lets_nothing_begin() -> None:
    """C4, R12: fail closed."""
    world = started(view_age=timedelta(minutes=1))

    assert (world.status.phase, world.status.reason) == (Phase.PENDING, ChaosReason.VIEW_STALE)
    again = world.decide().check_again_at
    assert again is not None
    assert again > world.now


@pytest.mark.parametrize(("word", "shown"), [("NotImplemented", "NotImplemented"), ("not a word", "NotEvaluated")])
def test_what_cannot_be_evaluated_says_so_and_does_nothing(word: str, shown: str) -> None:
    world = World(a_spec())
    seen = world.seen(problem=(word, "spec.schedule"))

    decision = decide(world.spec, world.status, seen, world.now)
    ready = next(entry for entry in decision.status.conditions if entry.type == "Ready")

    assert (ready.status, ready.reason, ready.message) == ("False", shown, "spec.schedule")
    assert (decision.status.phase, decision.actions) == (Phase.PENDING, ())


def test_a_new_value_of_the_annotation_is_a_new_run_and_an_old_one_is_none() -> None:
    world = started(run_requested="1")
    ended(world)
    world.run(30)
    assert world.status.run_number == 1
    world.run_requested = "2"
    world.run(1)
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    world.run_requested = ""
    world.run(30)

    assert (world.status.run, [run.number for run in world.status.runs]) == ("2", [2, 1])


def test_only_the_newest_five_runs_are_kept() -> None:
    world = started()
    for number in range(7):
        world.run_requested = str(number)
        world.run(1)
        ended(world)

    assert [run.number for run in world.status.runs] == [8, 7, 6, 5, 4]


# --- the end --------------------------------------------------------------------------------------------


def test_pods_that_do_not_come_back_fail_the_run() -> None:
    """C5, C7: recovered by observed state, within recoveryTimeout."""
    world = broken_open(starts_in=timedelta(hours=1))

    assert ended(world) == (Verdict.FAILED, ChaosReason.TARGETS_NOT_RECOVERED)


def test_a_hypothesis_that_does_not_return_fails_the_run() -> None:
    """C7: must return within recoveryTimeout."""
    world = broken_open(a_scale_spec(), needs=2)
    world.needs = 4

    assert ended(world) == (Verdict.FAILED, ChaosReason.HYPOTHESIS_NOT_RESTORED)


def test_data_that_is_missing_after_the_fault_is_inconclusive() -> None:
    """C15: missing data never passes."""
    world = broken_open(a_scale_spec())
    world.run(20, until=Phase.RECOVERING)
    world.is_check_silent = True

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.SIGNAL_STALE)


def test_a_result_from_before_the_end_of_the_fault_proves_no_recovery() -> None:
    """C15: too little data."""
    world = broken_open(a_scale_spec())
    world.run(20, until=Phase.RECOVERING)
    world.is_check_silent = True
    world.check = a_check(world, HealthState.HEALTHY, stale_after=timedelta(hours=1))

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.TOO_FEW_OBSERVATIONS)


def test_a_recovery_after_its_time_is_late_even_if_nobody_watched() -> None:
    """C7: within recoveryTimeout."""
    world = broken_open(a_scale_spec(), starts_in=timedelta(seconds=90))
    world.run(20, until=Phase.RECOVERING)
    world.tick(89)
    world.tick(5)
    world.reconcile()

    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, ChaosReason.HYPOTHESIS_NOT_RESTORED)


def test_a_recovery_in_time_counts_even_if_nobody_watched() -> None:
    """C5: by observed state."""
    world = broken_open(a_scale_spec())
    world.run(20, until=Phase.RECOVERING)
    for _ in range(90):
        world.tick()
    world.reconcile()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert world.status.timings.recovered_after == timedelta(seconds=13)  # pods tell whole seconds, cut: one more


def test_a_workload_deleted_meanwhile_leaves_nothing_to_show() -> None:
    """C5: a target that is gone has not recovered."""
    for spec in (a_spec(), a_scale_spec()):
        world = broken_open(spec)
        world.is_checkout_there = False

        assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.TARGET_GONE)


def test_a_stale_view_judges_no_recovery() -> None:
    """C4: wait rather than guess."""
    world = broken_open(a_scale_spec())
    world.run(20, until=Phase.RECOVERING)
    world.view_age = timedelta(minutes=1)
    world.run(200)

    assert world.status.phase is Phase.RECOVERING


# --- deletion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", range(22))
@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_deleted_at_any_moment_it_undoes_first_and_then_lets_go(spec: Any, seconds: int) -> None:
    """C2: delete at each point."""
    world = started(spec)
    world.run(seconds)
    world.is_deleting = True
    for _ in range(3):
        world.reconcile()
        world.tick()

    assert world.is_gone
    assert (world.replicas, world.marker) == (3, None)


def test_deleted_before_it_began_it_begins_nothing() -> None:
    world = World(a_spec(), is_deleting=True, has_finalizer=True)
    world.reconcile()

    assert (world.is_gone, world.status.run_number, world.acts) == (True, 0, [])


# --- locks, and who must keep off -----------------------------------------------------------------------


def test_with_reaction_act_the_lock_is_given_up_as_soon_as_the_fault_is_on() -> None:
    """C12: recovery may act on what the fault did."""
    world = broken_open(a_scale_spec(reaction="Act"))

    assert world.lock is None
    assert planned_fault(world.spec, world.status) == frozenset()


def test_with_reaction_observe_lock_and_plan_hold_until_the_fault_is_off() -> None:
    """C12: recovery knows that the fault is planned."""
    world = broken_open(a_scale_spec(reaction="Observe", duration="10m"))
    world.run(200)
    assert world.lock is not None
    assert (world.lock.holder, world.lock.until > world.now) == (ME, True)
    assert planned_fault(world.spec, world.status) == {"checkout-uid"}
    ended(world, 900)

    assert world.lock is None
    assert planned_fault(world.spec, world.status) == frozenset()


def test_a_lock_that_another_took_is_not_fought_over() -> None:
    """R11: one writer."""
    world = broken_open(a_scale_spec(reaction="Observe"))
    world.lock = Lock(POLICY, world.now + timedelta(hours=1))
    before = len(world.acts)
    world.run(3)

    assert len(world.acts) == before


def test_a_lock_refused_at_the_last_moment_aborts_untouched() -> None:
    """C12, R11: the lock is taken before the fault, or there is none."""
    world = started(a_scale_spec())
    world.answers[TakeLock] = [Outcome(Verb.REFUSED, "Locked")]

    assert ended(world) == (Verdict.ABORTED, ChaosReason.TARGET_LOCKED)
    assert not any(isinstance(act, HoldFields) for act in world.acts)
    assert world.status.timings.reverted_after is None


@pytest.mark.parametrize("answer", [Outcome(Verb.REFUSED, "Forbidden"), Outcome(Verb.FAILED, "ApiUnavailable")])
def test_a_lock_that_nobody_holds_and_that_is_not_given_is_no_other_writer(answer: Outcome) -> None:
    """C16: a reason is told only where it is so; without a right, or an answer, the run ends untouched."""
    world = started(a_scale_spec())
    world.answers[TakeLock] = [answer]

    assert ended(world) == (Verdict.ABORTED, ChaosReason.INJECTION_FAILED)
    assert world.status.message == f"Deployment/checkout could not be locked: {answer.reason}"
    assert not any(isinstance(act, HoldFields) for act in world.acts)


def test_a_lock_that_cannot_be_given_up_is_tried_once_a_look() -> None:
    """What fails expires by itself; the loop must not spin."""
    world = started(a_scale_spec())
    world.answers[ReleaseLock] = [Outcome(Verb.FAILED)] * 1000
    world.run(10)

    assert sum(isinstance(act, ReleaseLock) for act in world.acts) < 12


# --- what others ask ------------------------------------------------------------------------------------


def test_the_checks_of_the_hypothesis_wake_the_experiment() -> None:
    names = [{"healthCheck": {"name": name}} for name in ("b", "a", "b")]

    assert watches(a_spec(hypothesis=[*names, {"slo": {"name": "s", "burnRateBelow": "6"}}])) == ("b", "a")


def test_only_what_was_merely_observed_can_wait_to_be_written() -> None:
    old = broken_open().status
    seen = old.model_copy(update={"observations": ()})

    assert significance(old, old) is Significance.NOTHING
    assert significance(old, seen) is Significance.REFRESH
    assert significance(old, old.model_copy(update={"phase": Phase.REVERTING})) is Significance.CHANGE


def test_what_agents_count_can_wait_to_be_written() -> None:
    """A fault on a busy pod meets something each second: that is no reason for a write each second."""
    old = broken_open().status
    (record, *others) = old.targets
    counted = record.model_copy(update={"counters": {"packets": 12}})
    ended = record.model_copy(update={"phase": TargetPhase.REVERTED})

    assert significance(old, old.model_copy(update={"targets": (counted, *others)})) is Significance.REFRESH
    assert significance(old, old.model_copy(update={"targets": (ended, *others)})) is Significance.CHANGE


def test_the_report_times_detection_action_and_recovery() -> None:
    """C17: counted from the injection."""
    world = broken_open(a_scale_spec(proves=[{"recoveryPolicy": "restart-checkout"}]), needs=2)
    assert world.status.injected_at is not None
    world.reactions = (
        ReactionSeen(
            "restart-checkout",
            world.status.injected_at + 5 * SECOND,
            "Recovered",
            fired_at=world.status.injected_at + 4 * SECOND,
            ended_at=world.status.injected_at + 11 * SECOND,
        ),
        ReactionSeen("earlier", world.status.injected_at - SECOND),
    )
    ended(world)
    timings = world.status.timings

    assert (timings.detected_after, timings.acted_after) == (3 * SECOND, 5 * SECOND)
    assert (timings.recovered_after, timings.reverted_after) == (12 * SECOND, timedelta(0))
    (proof,) = world.status.runs[0].proofs
    assert (proof.detected_after, proof.acted_after, proof.verified_after) == (4 * SECOND, 5 * SECOND, 11 * SECOND)
    assert world.status.runs[0].proved == ("restart-checkout",)
    assert [one.what for one in world.status.observations] == [
        "Injected: scale Deployment/checkout from 3 to 1",
        "HealthCheck checkout is Healthy",
        "RecoveryPolicy restart-checkout acted",
        "RecoveryPolicy earlier acted",
        "HealthCheck checkout is Unhealthy",
        "The fault is off.",
        "HealthCheck checkout is Healthy",
        "All is well again.",
    ]


def test_no_check_that_notices_is_worth_a_recommendation() -> None:
    """C17: honest advice only."""
    world = broken_open(a_spec(hypothesis=MAY_BREAK))
    ended(world)

    assert world.status.recommendations[0].startswith("No HealthCheck noticed the fault")


def test_that_nothing_is_noticed_where_nothing_should_be_is_no_flaw() -> None:
    """C17: an experiment of which a part must hold is about users who notice nothing."""
    world = broken_open(a_spec(hypothesis=[*a_spec().wire()["hypothesis"], *MAY_BREAK]))
    ended(world)

    assert world.status.verdict == "Passed"
    assert not any("noticed" in advice for advice in world.status.recommendations)


@pytest.mark.parametrize(("reaction", "why"), [("Act", "nothing triggered it"), ("Observe", "reaction is Observe")])
def test_a_policy_that_did_not_act_is_not_proved(reaction: str, why: str) -> None:
    """C17: which RecoveryPolicy it proved, or why not."""
    world = broken_open(a_spec(reaction=reaction, proves=[{"recoveryPolicy": "restart-checkout"}]))
    ended(world)

    assert world.status.runs[0].proved == ()
    assert why in world.status.recommendations[0]


def test_a_failed_run_says_what_to_look_at() -> None:
    """C17: one recommendation for each way to fail."""
    noticed = broken_open(a_scale_spec(hypothesis=[{"healthCheck": {"name": "checkout"}}]), needs=2)
    slow = broken_open(starts_in=timedelta(hours=1))
    ended(noticed)
    ended(slow)

    assert "Users noticed" in noticed.status.recommendations[0]
    assert "longer than recoveryTimeout" in slow.status.recommendations[0]


def test_a_status_from_another_age_is_undone_rather_than_believed() -> None:
    """Any status may come back from the API server: none makes `decide` raise or inject."""
    for phase in Phase:
        for verdict in (None, Verdict.PASSED):
            world = World(a_spec(), status=ChaosExperimentStatus(phase=phase, verdict=verdict, reason="Odd"))
            decision = world.decide()

            assert not any(isinstance(act, DeletePod | HoldFields) for act in decision.actions)


def test_a_way_longer_than_the_bound_goes_on_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug must not become an endless loop."""
    monkeypatch.setattr("homeostat.core.chaos.run.phases.MOST_STEPS", 1)
    world = started()
    first = world.status
    world.reconcile()

    assert first.steady_since is None
    assert world.status.steady_since == world.now
