"""A plan and a human; and the other ways in which humans stop a run."""

from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, Verdict
from homeostat.core.action import DeletePod, HoldFields
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AlertSeen, ApprovalSeen
from scenarios.chaos.watched import Objective, Watched
from scenarios.chaos.world import FREEZE, START, a_scale_spec, a_spec

JANE = "jane@example.com"
SECOND = timedelta(seconds=1)


def asked(**changes: Any) -> Watched:
    """Give a world whose plan awaits approval."""
    world = Watched(a_spec(approval="Required", **changes), objectives={"checkout": Objective()})
    world.reconcile()
    assert world.status.phase is Phase.AWAITING_APPROVAL, world.status
    return world


def hash_of(world: Watched) -> str:
    assert world.status.approval is not None
    return world.status.approval.hash


def approve(world: Watched, named: str = "", *, is_no: bool = False) -> None:
    """Let Jane say yes, or no, to the plan of a hash: of the one that is shown, without one."""
    world.approvals = (ApprovalSeen(named or hash_of(world), JANE, None, is_no),)
    world.reconcile()


def replace_pod(world: Watched) -> None:
    """Let the pod that the plan names be another incarnation, ready as long as it was."""
    world.pods["checkout-9"], world.homes["checkout-9"] = world.pods.pop("checkout-1"), "n"


def ended(world: Watched, seconds: int = 120) -> tuple[Verdict | None, str]:
    world.run(seconds, until=Phase.FINISHED)
    assert world.status.phase is Phase.FINISHED, world.status
    return world.status.verdict, world.status.reason


def acts(world: Watched) -> int:
    return sum(isinstance(act, DeletePod | HoldFields) for act in world.acts)


def test_without_approval_nothing_is_touched_and_the_plan_is_shown() -> None:
    """R13: the hash, since when and until when it is asked for; and the exact plan."""
    world = asked()
    world.run(300)
    approval = world.status.approval

    assert acts(world) == 0
    assert approval is not None
    assert (approval.since, approval.expires_at, approval.by) == (START, START + timedelta(hours=1), "")
    assert world.status.plan is not None
    assert world.status.plan.changes == ("delete Pod/checkout-1, grace period 0s",)
    assert [one.reason for one in world.events] == ["AwaitingApproval"]
    assert approval.hash in world.events[0].note


def test_an_approved_plan_is_carried_out_and_names_who_approved_it() -> None:
    """R13: who it was, as the API server knows them."""
    world = asked()
    approve(world)

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert world.status.approval is not None
    assert world.status.approval.by == JANE
    assert acts(world) == 1


def test_a_name_that_nobody_vouches_for_is_marked() -> None:
    """R13: a name in an annotation is a claim, unless admission guards it (ADR 0031)."""
    world = asked()
    world.is_name_vouched = False
    approve(world)

    assert world.status.approval is not None
    assert world.status.approval.by == f"{JANE} (not verified)"


def test_an_approval_of_another_plan_is_refused_once_and_told() -> None:
    """R13: nothing is approved beforehand."""
    world = asked()
    approve(world, "0123456789abcdef")
    world.run(30)

    assert (world.status.phase, acts(world)) == (Phase.AWAITING_APPROVAL, 0)
    assert world.status.approval is not None
    assert "0123456789abcdef, which is not the plan" in world.status.approval.refused
    assert [one.reason for one in world.events].count("ApprovalRefused") == 1


def test_a_plan_that_changed_is_asked_for_under_another_hash() -> None:
    """R13: an approval is bound to what is done, to which incarnation."""
    world = asked()
    before = hash_of(world)
    replace_pod(world)
    world.tick()
    approve(world, before)

    assert hash_of(world) != before
    assert (world.status.phase, acts(world)) == (Phase.AWAITING_APPROVAL, 0)
    approve(world)
    assert ended(world)[0] is Verdict.PASSED


def test_a_plan_that_changes_after_the_approval_is_asked_for_anew() -> None:
    """R13, C14: drawn again just before the fault."""
    world = asked()
    approve(world)
    approved = hash_of(world)
    world.tick()
    world.reconcile()
    replace_pod(world)
    world.run(10)

    assert (world.status.phase, acts(world)) == (Phase.AWAITING_APPROVAL, 0)
    assert hash_of(world) != approved


def test_each_run_is_asked_for_by_itself() -> None:
    """R13: an approval that still stands there is of the run before."""
    world = asked()
    approve(world)
    first = hash_of(world)
    ended(world)
    world.run_requested = "again"
    world.reconcile()
    world.run(30)

    assert (world.status.phase, acts(world)) == (Phase.AWAITING_APPROVAL, 1)
    assert hash_of(world) != first


def test_a_no_ends_the_run_even_after_a_yes() -> None:
    """R13: until something is touched."""
    at_once, later = asked(), asked()
    approve(at_once, is_no=True)
    approve(later)
    approve(later, is_no=True)

    for world in (at_once, later):
        assert ended(world) == (Verdict.ABORTED, ChaosReason.REJECTED)
        assert JANE in world.status.message
        assert acts(world) == 0


def test_a_plan_that_nobody_approved_in_time_ends_the_run() -> None:
    """R13: approvals expire."""
    world = asked()
    world.tick(3600)
    approve(world)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.APPROVAL_EXPIRED)
    assert acts(world) == 0


def test_a_target_that_is_not_ready_for_it_only_delays_the_question() -> None:
    """A rollout while a human thinks is no reason to give up."""
    world = asked()
    world.is_checkout_there = False
    world.run(10)
    waited = world.status.phase
    world.is_checkout_there = True
    world.tick()
    approve(world)

    assert waited is Phase.AWAITING_APPROVAL
    assert ended(world)[0] is Verdict.PASSED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"freeze": FREEZE}, ChaosReason.FROZEN),
        ({"objectives": {"checkout": Objective(rate="20")}}, ChaosReason.BURN_RATE_ABOVE),
        ({"alerts": (AlertSeen("ServiceLevelObjective", "orders", START),)}, ChaosReason.INCIDENT_OPEN),
        ({"budget_held_by": "checkout"}, ChaosReason.BUDGET_HELD),
        ({"is_deleting": True}, ChaosReason.DELETED),
        ({"abort_requested": "1"}, ChaosReason.ABORT_REQUESTED),
    ],
)
def test_what_stops_a_run_stops_it_while_it_awaits_approval_too(change: dict[str, Any], reason: ChaosReason) -> None:
    """C8, C9: level-triggered, and before anything else."""
    world = asked(stopConditions=[{"slo": {"name": "checkout", "burnRateAbove": "14.4"}}])
    vars(world).update(change)
    approve(world)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, reason)
    assert acts(world) == 0


def test_a_dry_run_needs_no_approval() -> None:
    """C14: it touches nothing."""
    world = Watched(a_spec(approval="Required", dryRun=True))
    world.reconcile()

    assert (world.status.phase, world.status.reason) == (Phase.FINISHED, ChaosReason.DRY_RUN)


# --- abort ----------------------------------------------------------------------------------------------


def on(**world: Any) -> Watched:
    """Give a world whose fault is on."""
    made = Watched(a_scale_spec(), **world)
    made.reconcile()
    made.run(20, until=Phase.RUNNING)
    return made


def test_the_annotation_ends_the_run_under_way_and_no_later_one() -> None:
    """C8: the fault is off within one look; a value counts once."""
    world = on()
    world.abort_requested = "stop"
    world.tick()
    world.reconcile()
    assert (world.status.phase, world.replicas) == (Phase.RECOVERING, 3)
    assert ended(world) == (Verdict.ABORTED, ChaosReason.ABORT_REQUESTED)
    assert world.status.abort == "stop"
    world.run_requested = "again"
    world.reconcile()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_an_old_abort_does_not_end_a_new_run() -> None:
    """It was meant for a run that was over, or never began."""
    world = on(abort_requested="long-ago")

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_an_abort_while_all_recovers_ends_the_run_without_touching_the_targets() -> None:
    """The fault is off already: the verdict is what changes."""
    world = on(starts_in=timedelta(seconds=30))
    world.run(60, until=Phase.RECOVERING)
    before = len(world.acts)
    world.abort_requested = "stop"
    world.run(60, until=Phase.FINISHED)

    assert world.status.verdict is Verdict.ABORTED
    assert not any(isinstance(act, HoldFields) for act in world.acts[before:])
