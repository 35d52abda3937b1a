"""Held fields, and the guard that restores them when nobody else does."""

from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, TargetPhase, Verdict
from homeostat.core.action import DropGuard, EvictPod, HoldFields, KeepGuard, Outcome, Verb
from homeostat.core.chaos.faults.guard import GRACE, PATIENCE
from homeostat.core.chaos.faults.undo import commands
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.guarding.held import read_records
from scenarios.chaos.world import World, a_held_spec, a_scale_spec, a_spec

ENV = a_held_spec({"rolloutBreak": {"env": {"MODE": "broken", "NEW": "it's"}}})
CORDON = a_held_spec({"cordon": {}}, "Node")
DRAIN = a_held_spec({"drain": {}}, "Node")
SQUEEZE = a_spec(fault={"resourceSqueeze": {"memory": "32Mi"}})


def guarded(spec: Any, **world: Any) -> World:
    return World(spec, guards_needed=True, **world)


def on(spec: Any, **world: Any) -> World:
    made = guarded(spec, **world)
    made.run(30, until=Phase.RUNNING)
    assert made.status.phase is Phase.RUNNING, made.status
    return made


def ended(world: World) -> tuple[Any, str]:
    world.run(90, until=Phase.FINISHED)
    assert (world.status.phase, world.left) == (Phase.FINISHED, [])
    return world.status.verdict, world.status.reason


def test_the_guard_knows_what_to_restore_before_anything_is_changed() -> None:
    """C3: kept until it says that it has read the records."""
    world = on(DRAIN)
    kinds = [type(act) for act in world.acts if isinstance(act, KeepGuard | HoldFields | EvictPod)]
    assert world.guard is not None
    (record,) = read_records(world.guard.kept.records)

    assert kinds[0] is KeepGuard
    assert kinds.index(HoldFields) < kinds.index(EvictPod)
    assert (record.kind, record.namespace, record.to) == ("Node", "", {"unschedulable": "true"})
    assert record.marker == world.status.targets[0].marker
    assert world.status.guard == world.guard.kept.name


QUOTA = Outcome(Verb.REFUSED, "Forbidden", "exceeded quota: pods")


@pytest.mark.parametrize(
    ("world", "within"),
    [
        ({"guard_trouble": "Forbidden"}, 5),
        ({"answers": {KeepGuard: [QUOTA] * 99}}, 5),
        ({"answers": {KeepGuard: [Outcome(Verb.FAILED)] * 99}}, 70),
    ],
)
def test_without_a_guard_nothing_is_changed(world: Any, within: int) -> None:
    """C3: at once when it cannot start, else after a minute."""
    made = guarded(a_scale_spec(), **world)
    made.run(4 + within, until=Phase.REVERTING)

    assert (made.status.verdict, made.status.reason) == (Verdict.ABORTED, ChaosReason.GUARD_NOT_READY)
    assert not any(isinstance(act, HoldFields) for act in made.acts)


def test_who_keeps_a_guard_from_being_made_is_told_in_the_words_of_the_api_server() -> None:
    """C3: a conflict is nobody: the next look tries again."""
    made = guarded(a_scale_spec(), answers={KeepGuard: [Outcome(Verb.REFUSED, "Conflict"), QUOTA]})
    made.run(9, until=Phase.REVERTING)

    assert made.status.message == "the guard cannot be made: exceeded quota: pods"


def test_the_guard_is_renewed_while_the_fault_lasts_and_goes_when_it_is_off() -> None:
    """C3, C18: it goes last, before the finalizer."""
    world = on(a_scale_spec())
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    acts = [type(act) for act in world.acts if isinstance(act, KeepGuard | HoldFields | DropGuard)]

    assert acts.count(KeepGuard) >= 3
    assert acts[-2:] == [HoldFields, DropGuard]
    assert (world.status.guard, world.has_finalizer) == ("", False)


def test_a_guard_that_is_slow_to_start_does_not_go_off_before_the_fault_is_on() -> None:
    """C3: its first deadline is beyond all that the injection may take; once the fault is on, just after its end."""
    world = on(a_scale_spec(duration="30s"))
    revert_at = world.status.revert_at
    assert revert_at is not None
    world.run(10)
    first, *renewals = (act for act in world.acts if isinstance(act, KeepGuard))

    assert first.deadline >= revert_at + PATIENCE
    assert {renewal.deadline for renewal in renewals} == {revert_at + GRACE}


def test_a_guard_that_restored_by_itself_ends_the_run_without_a_verdict_on_the_target() -> None:
    """C5, C15: what it restored is seen, and the fault was not there for as long as it should."""
    world = on(a_scale_spec(duration="5m"))
    world.tick(20)
    assert world.guard is not None
    assert (world.guard.has_fired, world.replicas) == (True, 3)

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.GUARD_FIRED)
    assert [one.phase for one in world.status.targets] == [TargetPhase.RECOVERED]


def test_a_guard_that_cannot_be_removed_is_told_with_the_command() -> None:
    """C16: it too is something left behind."""
    world = on(a_scale_spec())
    world.answers[DropGuard] = [Outcome(Verb.REFUSED, "Forbidden")] * 3
    world.run(60, until=Phase.FINISHED)

    assert world.status.reason == ChaosReason.RECOVERY_FAILED
    assert world.status.message.startswith("The undo failed 3 times")
    assert world.left == []


def test_an_eviction_that_a_disruption_budget_refuses_fails_with_its_word() -> None:
    """R10: and is never made up for by a deletion."""
    world = World(a_spec(fault={"podEvict": {}}), answers={EvictPod: [Outcome(Verb.REFUSED, "PodDisruptionBudget")]})

    assert ended(world) == (Verdict.ABORTED, ChaosReason.INJECTION_FAILED)
    assert "PodDisruptionBudget" in world.status.message


# --- field by field -------------------------------------------------------------------------------------


def test_each_field_goes_back_by_itself_and_a_newer_value_stays() -> None:
    """C5, C6, R8: somebody else's is kept, ours is restored, what was not there goes."""
    world = on(ENV)
    world.write(3, template={"env/app/MODE": "newest"})
    world.run(90, until=Phase.FINISHED)

    assert world.template["env/app/MODE"] == "newest"
    assert "env/app/NEW" not in world.template
    assert [one.phase for one in world.status.targets] == [TargetPhase.SUPERSEDED]


def test_a_stripped_marker_does_not_keep_a_field_from_going_back() -> None:
    """C5: the record and the value are enough."""
    world = on(CORDON)
    world.node_annotations.clear()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_a_node_that_somebody_uncordoned_only_loses_the_marker() -> None:
    """C5: undone by another is undone."""
    world = on(CORDON)
    world.node.clear()

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_a_marker_whose_sizes_were_not_written_yet_is_no_injection() -> None:
    """C2: of a Pod the marker goes on first, in a write of its own."""
    world = guarded(SQUEEZE)
    world.run(30, until=Phase.INJECTING)
    world.run(1)
    (record,) = world.status.targets
    world.pod_annotations["checkout-1"] = {"homeostat.dev/chaos": record.marker}
    world.run(10, until=Phase.RUNNING)

    assert world.sizes["checkout-1"]["limits/app/memory"] == "32Mi"
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_the_sweeper_finds_nodes_and_pods_by_their_markers() -> None:
    """C3: finalizer stripped, record lost."""
    for spec in (CORDON, SQUEEZE, ENV):
        world = on(spec)
        assert world.left
        world.is_gone = True
        world.sweep()

        assert world.left == []


PATCHED = {
    "Deployment": '{"spec":{"template":{"spec":{"containers":[{"name":"app","env":'
    '[{"name":"MODE","value":"fast"},{"name":"NEW","$patch":"delete"}]}]}}}}',
    "Pod": '{"spec":{"containers":[{"name":"app","resources":{"limits":{"memory":"128Mi"},'
    '"requests":{"memory":"64Mi"}}}]}}',
}


@pytest.mark.parametrize(
    ("spec", "where", "restores"),
    [
        (CORDON, "node/n", "kubectl uncordon n"),
        (ENV, "-n shop deployment/checkout", f"kubectl patch -n shop deployment/checkout -p '{PATCHED['Deployment']}'"),
        (
            SQUEEZE,
            "-n shop pod/checkout-1",
            f"kubectl patch -n shop pod/checkout-1 --subresource resize -p '{PATCHED['Pod']}'",
        ),
    ],
    ids=["Node", "Deployment", "Pod"],
)
def test_the_commands_by_hand_restore_exactly_what_is_left(spec: Any, where: str, restores: str) -> None:
    """C16: whole commands, to be pasted."""
    world = on(spec)
    text = commands(Case(world.spec, world.status, world.seen(), world.now))
    guard = f"kubectl delete pod,lease -A --field-selector metadata.name={world.status.guard}"

    assert text == f"{restores}; kubectl annotate {where} homeostat.dev/chaos-; {guard}"
