"""What a run proves, measures and suggests (C17)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, ProofState, TargetPhase, Verdict
from homeostat.core.chaos import ReactionSeen
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AlertSeen, MeasuresSeen
from homeostat.core.chaos.telling.advice import SLOW_DETECTION
from homeostat.core.chaos.telling.stages import percent
from homeostat.core.cluster import DisruptionBudget
from scenarios.chaos.watched import Objective, Watched
from scenarios.chaos.world import a_spec

SECOND = timedelta(seconds=1)
HEALS = {"recoveryPolicy": "restart"}
PAGES = {"slo": "orders"}


def on(**changes: Any) -> Watched:
    """Give a world whose fault is on."""
    world = {name: changes.pop(name) for name in list(changes) if name in Watched.__dataclass_fields__}
    made = Watched(a_spec(**changes), objectives={"orders": Objective(spent="0.0001")}, **world)
    made.reconcile()
    made.run(20, until=Phase.RUNNING)
    assert made.status.phase is Phase.RUNNING, made.status
    return made


def ended(world: Watched, seconds: int = 120) -> tuple[Verdict | None, str]:
    world.run(seconds, until=Phase.FINISHED)
    assert world.status.phase is Phase.FINISHED, world.status
    return world.status.verdict, world.status.reason


def acted(world: Watched, **more: Any) -> ReactionSeen:
    """Let the policy have acted two seconds after the fault, a second after it fired."""
    start = world.status.injected_at
    assert start is not None
    return ReactionSeen("restart", start + 2 * SECOND, fired_at=start + SECOND, **more)


# --- proofs ---------------------------------------------------------------------------------------------


def test_a_policy_is_proved_when_it_fired_acted_and_verified_each_with_its_time() -> None:
    """C17: inject, detect, act, verify."""
    world = on(proves=[HEALS])
    start = world.status.injected_at
    assert start is not None
    world.reactions = (acted(world, outcome="Recovered", ended_at=start + 9 * SECOND),)

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    (proof,) = world.status.proofs
    assert (proof.kind, proof.name, proof.state) == ("RecoveryPolicy", "restart", ProofState.PROVED)
    assert (proof.detected_after, proof.acted_after, proof.verified_after) == (SECOND, 2 * SECOND, 9 * SECOND)
    assert world.status.runs[0].proofs == (proof,)
    assert world.status.runs[0].proved == ("restart",)


def test_a_run_waits_for_the_verification_of_the_policy_it_proves() -> None:
    """C17: all is well before the policy says so; the time to recover is of the former."""
    world = on(proves=[HEALS])
    world.reactions = (acted(world),)
    world.run(30)
    assert (world.status.phase, world.status.reason) == (Phase.RECOVERING, ChaosReason.WAITING_FOR_PROOF)
    well_after = world.status.timings.recovered_after
    world.reactions = (acted(world, outcome="Recovered", ended_at=world.now),)

    assert ended(world)[0] is Verdict.PASSED
    assert world.status.timings.recovered_after == well_after
    assert well_after is not None
    assert well_after < 15 * SECOND


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("", "verification has not said"), ("Unverified", "verification has not said"), (None, "it did not act")],
)
def test_a_policy_that_did_not_do_what_it_is_for_fails_the_run(outcome: str | None, word: str) -> None:
    """C17: Failed(NotProved), with what is missing; nothing is proved by half."""
    world = on(proves=[HEALS])
    if outcome is not None:
        world.reactions = (acted(world, outcome=outcome, ended_at=world.now),)

    assert ended(world) == (Verdict.FAILED, ChaosReason.NOT_PROVED)
    assert world.status.proofs[0].state is ProofState.NOT_PROVED
    assert word in world.status.message
    assert world.status.runs[0].proved == ()
    assert any("RecoveryPolicy restart is not proved" in one for one in world.status.recommendations)


def test_with_reaction_observe_no_policy_is_asked_to_act() -> None:
    """C12, C17: it may not, so that says nothing against it, nor for it."""
    world = on(proves=[HEALS], reaction="Observe")

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert world.status.proofs[0].state is ProofState.UNKNOWN
    assert world.status.runs[0].proved == ()


def test_an_objective_is_proved_when_it_pages_and_the_page_ends() -> None:
    """C17: when its alert began and ended."""
    world = on(proves=[PAGES])
    start = world.status.injected_at
    assert start is not None
    world.alerts = (AlertSeen("ServiceLevelObjective", "orders", start + 3 * SECOND),)
    world.run(25)
    assert world.status.reason == ChaosReason.WAITING_FOR_PROOF
    assert "its page has not ended" in world.status.proofs[0].message
    world.alerts = ()

    assert ended(world)[0] is Verdict.PASSED
    (proof,) = world.status.proofs
    assert (proof.detected_after, proof.acted_after) == (3 * SECOND, None)
    assert proof.verified_after == world.now - start


def test_an_objective_that_does_not_page_or_whose_data_is_gone_is_not_proved() -> None:
    """C15, C17: silence is no end of a page."""
    quiet, gone = on(proves=[PAGES]), on(proves=[PAGES])
    assert gone.status.injected_at is not None
    gone.alerts = (AlertSeen("ServiceLevelObjective", "orders", gone.status.injected_at),)
    gone.run(5)
    gone.alerts, gone.objectives = (), {}

    for world, word in ((quiet, "it did not page"), (gone, "its page has not ended")):
        assert ended(world) == (Verdict.FAILED, ChaosReason.NOT_PROVED)
        assert word in world.status.message


def test_a_page_from_before_the_fault_proves_nothing() -> None:
    """C13, C17: only what the fault can have caused counts."""
    world = on(proves=[PAGES])
    assert world.status.injected_at is not None
    world.alerts = (AlertSeen("ServiceLevelObjective", "orders", world.status.injected_at - SECOND),)
    world.reconcile()

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.UNEXPECTED_ALERT)
    assert world.status.proofs[0].state is ProofState.UNKNOWN


def test_a_run_that_is_cut_short_waits_for_no_proof_and_judges_none() -> None:
    """C17: Unknown, not NotProved."""
    world = on(proves=[HEALS])
    world.abort_requested = "stop"
    world.run(20, until=Phase.FINISHED)

    assert world.status.verdict is Verdict.ABORTED
    assert world.status.proofs[0].state is ProofState.UNKNOWN


def test_what_was_proved_stays_proved_when_those_that_said_so_forget_it() -> None:
    """A policy keeps ten attempts, and a restart forgets alerts: the record is the run's own."""
    world = on(proves=[HEALS])
    world.reactions = (acted(world, outcome="Recovered", ended_at=world.now),)
    world.run(2)
    world.reactions = ()

    assert ended(world)[0] is Verdict.PASSED


# --- figures --------------------------------------------------------------------------------------------


def test_what_was_measured_is_kept_by_stages_and_what_is_more_counts() -> None:
    """C17: before, during, after; a restart of the operator loses nothing that is on record."""
    world = on()
    world.measures = {
        "before": MeasuresSeen(9, 0, 2 * SECOND, 100),
        "during": MeasuresSeen(5, 3, timedelta(milliseconds=250), 40),
    }
    world.run(3)
    world.measures = {"during": MeasuresSeen(1, 0, SECOND, 100)}  # another process, which began to count anew
    world.run(30, until=Phase.RECOVERING)
    world.measures = {"after": MeasuresSeen(7, 0, None, 100)}
    world.reconcile()
    stages = world.status.stages

    assert stages is not None
    assert stages.during is not None
    assert stages.after is not None
    assert (stages.during.passed, stages.during.failed, stages.during.score) == (5, 3, 40)
    assert stages.during.latency == timedelta(milliseconds=250)
    assert (stages.after.passed, stages.after.failed) == (7, 0)


def test_the_budget_that_a_run_spent_is_on_record_for_each_objective() -> None:
    """C17: of those of the hypothesis, of stop conditions and of proves."""
    world = on(proves=[PAGES])
    world.objectives["orders"].spent = "0.012345"
    world.abort_requested = "stop"
    world.run(20, until=Phase.FINISHED)

    assert world.status.budget_spent == {"orders": "1.24%"}
    assert world.status.runs[0].budget_spent == {"orders": "1.24%"}


@pytest.mark.parametrize(("share", "text"), [("0", "0%"), ("-0.1", "0%"), ("0.00001", "0.01%"), ("1.5", "150%")])
def test_a_share_of_a_budget_is_never_rounded_down(share: str, text: str) -> None:
    """C17: never better than the truth."""
    assert percent(Decimal(share)) == text


# --- advice ---------------------------------------------------------------------------------------------


def test_what_is_weak_in_how_targets_are_run_is_told() -> None:
    """C17: one replica, no budget for disruptions, no readiness probe; seen before the fault."""
    single = on(replicas=1, blastRadius={"minAvailable": 0})
    three = on()
    covered = on(budgets=(DisruptionBudget("checkout", "app=checkout", 2),))
    for world in (single, three, covered):
        ended(world)

    assert any("Deployment/checkout has one replica" in one for one in single.status.recommendations)
    assert any("Deployment/checkout has no PodDisruptionBudget" in one for one in three.status.recommendations)
    assert covered.status.recommendations == ()


def test_a_missing_readiness_probe_is_told() -> None:
    """C17."""

    class Unready(Watched):
        def _pod(self, name: str) -> Any:
            return replace(super()._pod(name), has_readiness_probe=False)

    world = Unready(a_spec())
    world.reconcile()
    world.run(120, until=Phase.FINISHED)

    assert any("has no readiness probe" in one for one in world.status.recommendations)


def test_slow_detection_is_told_with_its_time() -> None:
    """C17."""
    hypothesis = [{"healthCheck": {"name": "checkout"}, "duringFault": "MayBreak"}]
    world = on(hypothesis=hypothesis, duration="1m", needs=3, detects_in=SLOW_DETECTION, starts_in=50 * SECOND)
    ended(world, 300)

    assert any("It took 3" in one and "until the fault was noticed" in one for one in world.status.recommendations)


@pytest.mark.parametrize(
    ("counters", "verdict"),
    [
        ({"packets": 0, "dropped": 0}, Verdict.INCONCLUSIVE),
        ({"packets": 12, "dropped": 0}, Verdict.INCONCLUSIVE),
        ({"packets": 12, "dropped": 4}, Verdict.PASSED),
        ({"processes": 1}, Verdict.PASSED),
        ({}, Verdict.PASSED),
    ],
)
def test_a_fault_that_met_nothing_shows_nothing(counters: dict[str, int], verdict: Verdict) -> None:
    """C15: NothingMet is Inconclusive, and no proof is waited for."""
    world = on()
    record = world.status.targets[0].model_copy(update={"counters": counters, "phase": TargetPhase.INJECTED})
    world.status = world.status.model_copy(update={"targets": (record,)})

    assert ended(world)[0] is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert world.status.reason == ChaosReason.NOTHING_MET
        assert world.status.recommendations[0].startswith("The fault met nothing")
