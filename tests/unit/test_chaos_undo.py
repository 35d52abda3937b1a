"""How a fault goes on and off when the world does not play along."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, TargetRecord, Verdict, WorkloadRecord
from homeostat.core.action import DeletePod, HoldFields, Outcome, Verb
from homeostat.core.chaos import decide, orphans, planned_fault, recorded
from homeostat.core.chaos.faults.injection import MOST_ATTEMPTS
from homeostat.core.chaos.faults.undo import commands
from homeostat.core.chaos.marker import held, marker_text
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import DisruptionBudget
from homeostat.core.guarding.held import mark_on
from homeostat.core.ref import Ref
from homeostat.engine.controllers.chaos import STAND_IN
from scenarios.chaos.world import CHECKOUT, ME, World, a_scale_spec, a_spec

CONFLICT = Outcome(Verb.REFUSED, "Conflict")
FORBIDDEN = Outcome(Verb.REFUSED, "Forbidden")
BROKEN_WIRE = Outcome(Verb.FAILED, "Unavailable")


def about_to_inject(spec: Any, **world: Any) -> World:
    made = World(spec, **world)
    made.reconcile()
    made.run(3)
    assert (made.status.phase, made.acts) == (Phase.INJECTING, [])
    return made


def broken_open(spec: Any = None, **world: Any) -> World:
    made = about_to_inject(spec or a_scale_spec(), **world)
    made.run(1)
    assert made.status.phase is Phase.RUNNING, made.status
    return made


THREE, ONE = {"replicas": "3"}, {"replicas": "1"}


def scales(world: World) -> list[tuple[dict[str, str | None], str | None]]:
    return [(dict(act.fields), act.annotations[MARKER]) for act in world.acts if isinstance(act, HoldFields)]


def targets(world: World) -> list[TargetPhase]:
    return [record.phase for record in world.status.targets]


# --- on -------------------------------------------------------------------------------------------------


def test_fault_and_marker_are_one_write_and_so_is_their_undo() -> None:
    """C3: what the sweeper looks for is there as long as the fault, and no longer."""
    world = broken_open()
    marker = world.status.targets[0].marker
    world.run(30, until=Phase.FINISHED)

    assert scales(world) == [(ONE, marker), (THREE, None)]
    assert marker == marker_text(ME.uid, 1, THREE, ONE)


def test_a_target_written_in_between_is_looked_at_again() -> None:
    """R2: preconditions, and a fresh look."""
    world = about_to_inject(a_scale_spec())
    world.answers[HoldFields] = [CONFLICT, CONFLICT]
    world.run(1)

    assert (world.status.phase, world.status.injection_attempts, world.replicas) == (Phase.RUNNING, 2, 1)


def test_a_target_that_is_written_all_the_time_is_given_up() -> None:
    """C12: never fight another writer."""
    world = about_to_inject(a_scale_spec())
    world.answers[HoldFields] = [CONFLICT] * MOST_ATTEMPTS
    world.run(30, until=Phase.FINISHED)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.INJECTION_FAILED)
    assert (world.replicas, world.marker, targets(world)) == (3, None, [TargetPhase.PLANNED])


@pytest.mark.parametrize("answer", [FORBIDDEN, BROKEN_WIRE])
@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_an_injection_that_fails_is_undone_and_over(answer: Outcome, spec: Any) -> None:
    """C2, C5: whether it happened is read from the target."""
    world = about_to_inject(spec)
    world.answers[HoldFields] = [answer]
    world.answers[DeletePod] = [answer]
    world.run(30, until=Phase.FINISHED)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.INJECTION_FAILED)
    assert (world.replicas, world.marker, world.has_finalizer) == (3, None, False)


def test_an_injection_that_happened_although_the_answer_was_lost_counts_and_is_undone() -> None:
    """C5: by what stands on the target, not by what was answered."""
    world = about_to_inject(a_scale_spec())
    world.loses_answers_to = HoldFields
    world.run(1)
    assert (world.status.phase, targets(world), world.replicas) == (Phase.RUNNING, [TargetPhase.INJECTED], 1)
    world.loses_answers_to = None
    world.run(30, until=Phase.FINISHED)

    assert (world.replicas, world.marker, len(scales(world))) == (3, None, 2)


def test_of_several_targets_only_those_are_hit_that_are_not_known_to_be() -> None:
    """C2: an injection taken up half-way."""
    world = after_a_crash_at_the_record(a_spec())
    (record,) = world.status.targets
    hit = record.model_copy(update={"uid": "other", "phase": TargetPhase.INJECTED})
    world.status = world.status.model_copy(update={"targets": (hit, record)})

    assert [act.pod.uid for act in world.decide().actions if isinstance(act, DeletePod)] == [record.uid]


@pytest.mark.parametrize("answer", [Outcome(Verb.REFUSED, "NotFound"), CONFLICT])
def test_a_pod_that_is_gone_or_replaced_counts_as_killed(answer: Outcome) -> None:
    """C5: after a crash the pod may be dead already."""
    world = about_to_inject(a_spec())
    world.answers[DeletePod] = [answer]
    world.run(1)

    assert (world.status.phase, targets(world)) == (Phase.RUNNING, [TargetPhase.INJECTED])


def test_several_targets_are_each_hit_once() -> None:
    """C2: what is done is not done again."""
    target = {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": 2}
    world = about_to_inject(a_spec(target=target))
    world.run(1)

    assert [act.pod.name for act in world.acts if isinstance(act, DeletePod)] == ["checkout-1", "checkout-2"]
    assert targets(world) == [TargetPhase.INJECTED] * 2


def after_a_crash_at_the_record(spec: Any) -> World:
    """Give a world in which the record is written, and nothing has been done."""
    world = about_to_inject(spec)
    world.tick()
    world.steps_to_live = 1
    world.reconcile()
    assert (targets(world), world.acts) == ([TargetPhase.PLANNED], [])
    return world


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["podKill", "scale"])
def test_after_a_crash_the_same_injection_is_taken_up(spec: Any) -> None:
    """C2: by the same ids."""
    world = after_a_crash_at_the_record(spec)
    first = world.decide().actions
    world.tick()

    assert [act.id for act in world.decide().actions] == [act.id for act in first]
    world.reconcile()
    assert world.status.phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("labels", (), ChaosReason.NAMESPACE_NOT_ALLOWED),
        ("budgets", (DisruptionBudget("floor", "", 0),), ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET),
        ("check", None, ChaosReason.SIGNAL_MISSING),
    ],
)
def test_an_injection_is_not_taken_up_when_a_gate_refuses_by_now(name: str, value: Any, reason: ChaosReason) -> None:
    """C8, C10: all that is asked before the record is asked again after a crash."""
    world = after_a_crash_at_the_record(a_scale_spec())
    setattr(world, name, value)
    world.reconcile()

    assert (world.status.verdict, world.status.reason, world.acts) == (Verdict.ABORTED, reason, [])


def test_a_target_that_another_changed_since_the_record_is_left_alone() -> None:
    """C6, R8: originals that are no longer true restore nothing."""
    world = after_a_crash_at_the_record(a_scale_spec())
    world.write(5)
    world.run(30, until=Phase.FINISHED)

    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.TARGET_CHANGED)
    assert (world.replicas, scales(world)) == (5, [])


def test_a_target_that_is_gone_since_the_record_is_no_target() -> None:
    """C5: nothing to break, nothing to show."""
    world = after_a_crash_at_the_record(a_scale_spec())
    world.is_checkout_there = False
    world.run(30, until=Phase.FINISHED)

    assert (world.status.verdict, world.status.reason) == (Verdict.INCONCLUSIVE, ChaosReason.TARGET_GONE)


def test_an_injection_is_not_taken_up_long_after_its_record() -> None:
    """C7: the steady state was checked too long ago."""
    world = after_a_crash_at_the_record(a_spec(duration="10m"))
    world.tick(70)
    world.run(30, until=Phase.FINISHED)

    assert (world.status.verdict, world.status.reason) == (Verdict.INCONCLUSIVE, ChaosReason.INTERRUPTED)
    assert world.acts == []


# --- off ------------------------------------------------------------------------------------------------


def test_a_newer_value_of_another_writer_is_kept() -> None:
    """R8, C6: only what is still ours is restored; the marker goes."""
    world = broken_open()
    world.write(7)
    world.run(60, until=Phase.FINISHED)

    assert (world.replicas, world.marker, targets(world)) == (7, None, [TargetPhase.SUPERSEDED])
    assert (world.status.verdict, world.ready) == (Verdict.PASSED, 7)
    assert any("value was kept" in one for one in world.status.recommendations)


def test_a_newer_value_of_another_writer_must_become_ready_too() -> None:
    """C5: recovered by observed state."""
    world = broken_open(starts_in=timedelta(hours=1))
    world.write(2)
    world.run(120, until=Phase.FINISHED)

    assert world.status.reason == ChaosReason.TARGETS_NOT_RECOVERED


def test_an_original_that_another_restored_only_loses_its_marker() -> None:
    """C5: undone is undone, whoever did it."""
    world = broken_open()
    world.write(3)
    world.run(60, until=Phase.FINISHED)

    assert (world.marker, targets(world)) == (None, [TargetPhase.RECOVERED])
    assert world.status.verdict is Verdict.PASSED


def test_that_another_changed_what_the_fault_held_is_in_the_report() -> None:
    """C17: a controller that heals may be what is tried out; but how long the fault lasted must be seen."""
    world, alone = broken_open(), broken_open()
    world.run(3)
    world.write(3)
    at = world.now + timedelta(seconds=1)
    world.run(60, until=Phase.FINISHED)
    alone.run(60, until=Phase.FINISHED)
    told = "Deployment/checkout no longer is as the fault made it: replicas"

    assert [one.at for one in world.status.observations if one.what == told] == [at]
    assert told not in [one.what for one in alone.status.observations]


def test_a_fault_whose_marker_was_stripped_is_restored_by_the_record() -> None:
    """C3: the paths are independent."""
    world = broken_open()
    world.write(1, {MARKER: None})
    world.run(60, until=Phase.FINISHED)

    assert (world.replicas, targets(world)) == (3, [TargetPhase.RECOVERED])


def test_a_fault_whose_marker_was_spoiled_is_restored_by_the_record() -> None:
    """C3, C5: what nobody can read is no other experiment's, and would bar the target for good."""
    world = broken_open()
    world.write(1, {MARKER: "{not json"})
    world.run(60, until=Phase.FINISHED)

    assert (world.replicas, world.annotations, targets(world)) == (3, {}, [TargetPhase.RECOVERED])


def test_the_marker_of_another_experiment_is_not_ours_to_remove() -> None:
    """C12: never two hands on one fault."""
    world = broken_open()
    world.write(1, {MARKER: marker_text("other", 1, {"replicas": "2"}, ONE)})
    world.run(60, until=Phase.FINISHED)

    assert world.marker is not None
    assert world.marker["experiment"] == "other"
    assert targets(world) == [TargetPhase.SUPERSEDED]


def test_an_undo_that_meets_another_writer_looks_again_and_is_no_failure() -> None:
    """R2: preconditions."""
    world = broken_open()
    world.answers[HoldFields] = [CONFLICT] * 9
    world.run(10)
    assert len(scales(world)) == 2, "one attempt a look: the loop must not spin"
    world.run(60, until=Phase.FINISHED)

    assert (world.replicas, world.marker) == (3, None)
    assert world.status.revert is not None
    assert world.status.revert.attempts == 0


def test_an_undo_that_fails_is_tried_again_with_growing_pauses() -> None:
    """C16: bounded noise, unbounded patience."""
    world = broken_open()
    world.answers[HoldFields] = [BROKEN_WIRE] * 8
    world.run(11)
    tries = len(scales(world))
    world.run(40)

    assert tries == 2
    assert len(scales(world)) == 6


def test_three_failed_undos_are_loud_and_give_the_exact_commands() -> None:
    """C16: RecoveryFailed."""
    world = broken_open(a_scale_spec(reaction="Observe"))
    world.answers[HoldFields] = [FORBIDDEN] * 6
    world.run(25)
    by_hand = (
        "kubectl scale -n shop deployment/checkout --current-replicas=1 --replicas=3; "
        "kubectl annotate -n shop deployment/checkout homeostat.dev/chaos-"
    )

    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, ChaosReason.RECOVERY_FAILED)
    assert world.status.message == f"The undo fails; by hand: {by_hand}"
    assert [event.reason for event in world.events].count("RecoveryFailed") == 1
    assert world.has_finalizer
    assert {c.type: c.status.value for c in world.status.conditions}["Reverted"] == "False"
    assert planned_fault(world.spec, world.status) == frozenset()

    world.run(300, until=Phase.FINISHED)
    assert (world.replicas, world.marker, world.has_finalizer) == (3, None, False)
    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, ChaosReason.RECOVERY_FAILED)
    assert world.status.message == "The undo failed 6 times before it worked."


def test_what_a_human_undid_by_hand_is_seen() -> None:
    """C5, C16: by observed state."""
    world = broken_open()
    world.answers[HoldFields] = [FORBIDDEN] * 1000
    world.run(25)
    world.write(3, {MARKER: None})
    world.run(120, until=Phase.FINISHED)

    assert (world.status.phase, world.has_finalizer) == (Phase.FINISHED, False)


def test_a_deleted_experiment_whose_undo_fails_lets_go_and_the_sweeper_finds_the_fault() -> None:
    """C3: the third path; a namespace must not hang on a fault for ever."""
    world = broken_open()
    world.answers[HoldFields] = [FORBIDDEN] * 1000
    world.is_deleting = True
    for _ in range(20):
        world.tick()
        world.reconcile()
    assert (world.is_gone, world.replicas) == (True, 1)
    world.sweep()

    assert (world.replicas, world.marker) == (3, None)


def test_a_deleted_experiment_does_not_let_go_of_a_fault_that_nobody_else_could_find() -> None:
    """C2, C3: somebody stripped the marker, so the record is all there is."""
    world = broken_open()
    world.write(1, {MARKER: None})
    world.answers[HoldFields] = [FORBIDDEN] * 5
    world.is_deleting = True
    world.run(20)
    assert (world.is_gone, world.status.reason) == (False, ChaosReason.RECOVERY_FAILED)
    world.run(120)

    assert (world.is_gone, world.replicas) == (True, 3)


def test_one_target_that_cannot_be_undone_does_not_keep_the_others_from_it() -> None:
    """C5: each target by itself."""
    world = broken_open()
    (record,) = world.status.targets
    twin = replace(CHECKOUT, name="twin", uid="twin-uid")
    other = record.model_copy(update={"name": "twin", "uid": "twin-uid"})
    world.status = world.status.model_copy(update={"targets": (record, other), "verdict": Verdict.ABORTED})
    checkout = world.checkout()
    assert checkout is not None
    both = (checkout, replace(checkout, ref=twin))
    seen = world.seen(afflicted=both)

    first = decide(world.spec, world.status, seen, world.now)
    failed = replace(seen, outcomes={first.actions[0].id: BROKEN_WIRE})
    pausing = decide(world.spec, first.status, failed, world.now)
    second = decide(world.spec, pausing.status, seen, world.now + timedelta(minutes=1))

    assert [act.target.name for act in first.actions if isinstance(act, HoldFields)] == ["checkout", "twin"]
    assert pausing.actions == ()
    assert [act.target.name for act in second.actions if isinstance(act, HoldFields)] == ["twin", "checkout"]


def test_commands_are_whole_or_not_there() -> None:
    """C16: a command cut in half is worse than none."""
    world = broken_open()
    (record,) = world.status.targets
    names = [f"{'n' * 240}-{i}" for i in range(5)]
    many = tuple(record.model_copy(update={"kind": "StatefulSet", "name": name, "uid": name}) for name in names)
    gone = record.model_copy(update={"uid": "gone"})
    checkout = world.checkout()
    assert checkout is not None
    afflicted = tuple(replace(checkout, ref=Ref("StatefulSet", "shop", name, name)) for name in names)
    status = world.status.model_copy(update={"targets": (gone, *many)})
    text = commands(Case(world.spec, status, world.seen(afflicted=afflicted), world.now))

    assert text.endswith("homeostat.dev/chaos-; and so on for each of status.targets")
    assert text.count("kubectl scale -n shop statefulset/") == 1
    assert len(text) < 950


def test_a_stale_view_undoes_nothing_until_it_is_current() -> None:
    """C4: what is not seen cannot be called undone."""
    world = broken_open()
    world.view_age = timedelta(minutes=1)
    world.run(30)
    assert (world.status.phase, world.replicas) == (Phase.REVERTING, 1)
    world.view_age = timedelta(0)
    world.run(1)

    assert (world.replicas, world.marker) == (3, None)


def test_a_workload_on_its_way_out_has_nothing_to_restore() -> None:
    """C5: nothing is written to what is being deleted."""
    world = broken_open()
    checkout = world.checkout()
    assert checkout is not None
    leaving = (replace(checkout, is_deleting=True),)

    decision = decide(world.spec, world.status, world.seen(afflicted=leaving, is_deleting=True), world.now)

    assert [record.phase for record in decision.status.targets] == [TargetPhase.GONE]
    assert not any(isinstance(act, HoldFields) for act in decision.actions)


@pytest.mark.parametrize("is_deleting", [False, True])
def test_a_fault_that_lands_after_its_undo_is_undone_again(is_deleting: bool) -> None:  # noqa: FBT001
    """C5: the API server may commit a write long after its answer was given up."""
    world = broken_open(starts_in=timedelta(seconds=30))
    world.run(20, until=Phase.RECOVERING)
    world.write(1, {MARKER: world.status.targets[0].marker})
    world.is_deleting = is_deleting
    world.run(120)

    assert (world.replicas, world.marker, world.is_gone) == (3, None, is_deleting)


# --- the sweeper ----------------------------------------------------------------------------------------


def marked(world: World, text: str | None = None, **changes: Any) -> Any:
    found = world.checkout()
    assert found is not None
    marker = marker_text(ME.uid, 2, THREE, ONE) if text is None else text
    fields = (("replicas", str(changes.get("replicas", 1))),)
    return replace(found, **({"replicas": 1, "annotations": ((MARKER, marker),), "fields": fields} | changes))


def at(phase: Phase, run: int = 2) -> dict[str, ChaosExperimentStatus]:
    return {ME.uid: ChaosExperimentStatus(phase=phase, run_number=run)}


@pytest.mark.parametrize(
    ("experiments", "is_swept"),
    [
        ({}, True),
        ({"other": ChaosExperimentStatus(phase=Phase.RUNNING, run_number=2)}, True),
        (at(Phase.FINISHED), True),
        (at(Phase.RUNNING, run=3), True),
        (at(Phase.CHECKING_STEADY_STATE, run=3), True),
        (at(Phase.FINISHED, run=1), False),
        (at(Phase.INJECTING), False),
        (at(Phase.RUNNING), False),
        (at(Phase.REVERTING), False),
    ],
)
def test_a_fault_is_swept_when_nobody_holds_it_up_any_more(experiments: Any, is_swept: bool) -> None:  # noqa: FBT001
    """C3: by the marker on the target, not by record; a view that is behind sweeps nothing."""
    found = orphans((marked(World(a_scale_spec())),), experiments)

    assert [(act.fields, act.annotations) for act in found] == ([(THREE, {MARKER: None})] if is_swept else [])


def test_the_sweeper_keeps_a_newer_value_and_leaves_alone_what_it_cannot_read() -> None:
    """C3, R8: and what is on its way out."""
    world = World(a_scale_spec())
    newer = marked(world, replicas=5)
    odd = [marked(world, text) for text in ("", "{", "[]", '{"experiment":"x"}', '{"original":true}', "é" * 9)]
    leaving = marked(world, is_deleting=True)
    clean = marked(world, annotations=())

    assert [act.fields for act in orphans((newer, *odd, leaving, clean), {})] == [{}]


@pytest.mark.parametrize(
    ("text", "original"),
    [
        ('{"experiment":"experiment-uid","run":2,"original":3,"to":1}', THREE),
        ('{"experiment":"experiment-uid","run":2,"original":{"replicas":"3"},"to":{"replicas":"1"}}', THREE),
        ('{"experiment":"experiment-uid","run":2,"original":"3","to":1}', None),
        ('{"experiment":"experiment-uid","run":2,"original":-3,"to":1}', None),
        ('{"experiment":"experiment-uid","run":2,"original":3,"to":true}', None),
        ('{"experiment":"","run":2,"original":3,"to":1}', None),
    ],
)
def test_a_marker_of_this_release_or_an_earlier_one_is_read_and_nothing_else(text: str, original: Any) -> None:
    """C3, C5: an operator is updated while a fault is on."""
    mark = mark_on(held(marked(World(a_scale_spec()), text)))

    assert (mark.original if mark else None) == original


def test_a_record_of_an_earlier_release_is_read() -> None:
    """C5: the status of a run under way when the operator is updated."""
    wire = {"kind": "Deployment", "name": "checkout", "uid": "u", "original": 3, "to": 1}
    workload = {"kind": "Deployment", "name": "checkout", "uid": "u", "readyBefore": 3}
    record = TargetRecord.model_validate(wire | {"workload": workload})

    assert (record.original, record.to) == (THREE, ONE)


def test_what_is_on_record_is_named_for_observation() -> None:
    """C5: whatever the spec says by now."""
    workload = WorkloadRecord(kind="Deployment", name="checkout", uid="u", ready_before=3)
    pods = tuple(TargetRecord(kind="Pod", name=name, uid=name, workload=workload) for name in "ab")

    assert recorded("shop", ChaosExperimentStatus(targets=pods)) == (Ref("Deployment", "shop", "checkout", "u"),)


def test_a_spec_edited_to_another_target_still_undoes_what_is_on_record() -> None:
    """C5: the record names the target, not the spec."""
    world = broken_open()
    world.spec, world.generation = a_scale_spec(target={"kind": "Deployment", "name": "cart"}), 2
    world.run(60, until=Phase.FINISHED)

    assert (world.replicas, world.marker) == (3, None)
    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.SPEC_CHANGED)


def test_a_fault_is_undone_although_its_spec_can_no_longer_be_read() -> None:
    """C2, C5: the record and the target are enough; what the spec says by now is not needed."""
    world = broken_open()
    world.spec = STAND_IN
    world.problem = ("Invalid", "spec.duration: Field required")
    world.run(30, until=Phase.FINISHED)
    world.run(2)

    assert (world.status.verdict, world.replicas, world.marker) == (Verdict.ABORTED, 3, None)
    assert not world.has_finalizer
