"""What steps change is done once, is on record, and is put back only while it stands (R2, R8, R12)."""

from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.recovery_attempt import ActionName
from homeostat.core.recovery.steps.handling import MARKER
from scenarios.recovery.changing import ChangingWorld
from scenarios.recovery.world import NOON, Killed, spec

VERIFY = {"stabilise": "1s", "holdFor": "3s", "deadline": "20s"}
LIMITS = {"cooldown": "5s", "maxUnhealthy": "75%", "budget": {"actions": 100, "per": "1h"}}
PATCH = {"patch": {"patch": {"metadata": {"labels": {"mode": "slow"}}, "spec": {"template": {"args": ["--slow"]}}}}}
UNDO = {"rolloutUndo": {"changedWithin": "1h"}}
SCALE = {"scale": {"by": "+1"}}
RESIZE = {"resize": {"memory": "+50%", "maxMemory": "128Mi"}}
ESCALATE = {"escalate": {}}
STEPS = {"patch": PATCH, "rolloutUndo": UNDO, "scale": SCALE, "resize": RESIZE}


def _world(*steps: dict[str, Any], verify: dict[str, Any] | None = None, **changes: Any) -> ChangingWorld:
    policy = spec(steps=[*steps, ESCALATE], limits=LIMITS, verify=VERIFY | (verify or {}))
    world = ChangingWorld(spec=policy, eviction_heals=False, scaling_heals=False, **changes)
    world.sick.add("checkout-0")
    return world


def _state(world: ChangingWorld) -> tuple[Any, ...]:
    return (
        deepcopy(world.document),
        world.current,
        world.replicas,
        {k: v for k, v in world.sizes.items() if v != "64Mi"},
    )


# --- each step ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_what_did_not_help_is_put_back(step: dict[str, Any]) -> None:
    """R8."""
    world = _world(step)
    before = _state(world)

    world.run("20s")
    assert _state(world) != before
    assert len(world.status.changes) == 1

    world.run("30s")
    assert _state(world) == before
    assert len(world.effects) == 2
    assert world.status.changes == ()
    assert MARKER not in world.annotations
    assert [record.undone for record in world.status.last if record.acted_at] == [True]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_what_helped_stays_and_is_forgotten(step: dict[str, Any]) -> None:
    """R8: a change is only kept in mind for as long as the trigger fires."""
    world = _world(step)
    before = _state(world)
    world.run("5s")
    world.sick.clear()

    world.run("60s")

    assert _state(world) != before
    assert world.status.last_outcome == "Recovered"
    assert world.status.changes == ()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_what_did_not_help_stays_when_the_policy_says_next_step(step: dict[str, Any]) -> None:
    """R8: and can still be put back by a later step."""
    world = _world(step, verify={"onFailure": "NextStep"})
    before = _state(world)

    world.run("60s")

    assert _state(world) != before
    assert len(world.effects) == 1
    assert len(world.status.changes) == 1


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("kill_in", [*range(18), *range(50, 72)])  # around the act, and around its undo
def test_a_kill_at_any_point_neither_doubles_nor_loses_a_change(step: dict[str, Any], kill_in: int) -> None:
    """R2, R8: killed before or after the intent, the act, its undo: one change, one undo, and all as it was."""
    world = _world(step, kill_in=kill_in)
    before = _state(world)

    for _ in range(60):
        with suppress(Killed):
            world.reconcile()
        world.now += timedelta(seconds=1)

    assert len(world.effects) == len(set(world.effects)) == 2
    assert _state(world) == before
    assert world.status.changes == ()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_lost_answer_neither_doubles_nor_loses_a_change(step: dict[str, Any]) -> None:
    """R2: nobody knows whether it happened until it is seen."""
    world = _world(step)
    before = _state(world)
    for second in range(90):
        world.wire_breaks = second % 4 < 2
        world.run("1s")

    assert len(world.effects) == len(set(world.effects)) == 2
    assert _state(world) == before


# --- other writers --------------------------------------------------------------------------------------


def test_an_autoscalers_newer_number_stays() -> None:
    """R8."""
    world = _world(SCALE)
    world.run("10s")
    world.resize(9)

    world.run("40s")

    assert world.replicas == 9
    assert "ChangeLeft" in world.events
    assert world.status.last[1].reason == "ChangedByAnother"
    assert world.status.changes == ()


def test_another_writers_newer_field_stays_with_all_that_the_patch_changed() -> None:
    """R8: half of a patch is nobody's intention."""
    world = _world(PATCH)
    world.run("10s")
    world.edit({"spec": {"template": {"args": ["--theirs"]}}})

    world.run("40s")

    assert world.document["spec"]["template"]["args"] == ["--theirs"]
    assert world.document["metadata"]["labels"]["mode"] == "slow"
    assert "ChangeLeft" in world.events


def test_another_writers_other_fields_do_not_hinder_an_undo_and_survive_it() -> None:
    """R8."""
    world = _world(PATCH)
    world.run("10s")
    world.edit({"spec": {"strategy": {"type": "Recreate"}}})

    world.run("40s")

    assert world.document["spec"] == {
        "strategy": {"type": "Recreate"},
        "template": {"image": "checkout:2", "args": ["--fast"]},
    }
    assert "mode" not in world.document["metadata"]["labels"]


def test_a_newer_rollout_of_another_writer_stays() -> None:
    """R8."""
    world = _world(UNDO)
    world.run("10s")
    assert world.current == "checkout-1"
    world.version += 1
    world.current, world.numbers["checkout-3"], world.made["checkout-3"] = "checkout-3", 9, world.now

    world.run("40s")

    assert world.current == "checkout-3"
    assert "ChangeLeft" in world.events


def test_an_object_replaced_as_a_whole_is_left_alone() -> None:
    """R8: a marker that is gone says that somebody has written all of it anew."""
    world = _world(SCALE)
    world.run("10s")
    world.annotations.clear()
    world.version += 1

    world.run("40s")

    assert world.replicas == 5
    assert "ChangeLeft" in world.events


def test_a_field_changed_between_the_dry_run_and_the_act_withdraws_the_act() -> None:
    """R2: what would be recorded as the original is no longer there."""
    world = _world(PATCH, wire_breaks=True)
    world.run("4s")
    world.edit({"metadata": {"labels": {"mode": "theirs"}}})
    world.wire_breaks = False

    world.reconcile()
    assert world.effects == []

    world.run("10s")
    changed = world.status.changes[0]
    assert '"mode":"theirs"' in changed.original["patch"]


# --- restore --------------------------------------------------------------------------------------------


def test_restore_puts_back_all_that_was_changed_newest_first() -> None:
    """R8."""
    world = _world(SCALE, PATCH, UNDO, {"restore": {}}, verify={"onFailure": "NextStep"})
    before = _state(world)

    world.run("150s")

    done = [effect.split()[0] for effect in world.effects]
    assert done == ["scale", "patch", "rollback", "rollback", "patch", "scale"]
    assert _state(world) == before
    assert world.status.changes == ()
    assert MARKER not in world.annotations
    assert len(world.tokens) == 3  # what only restores is not paid for


@pytest.mark.parametrize("kill_in", [*range(70, 80), *range(126, 150)])  # around the second change, and both undos
def test_a_kill_at_any_point_of_a_restore_puts_each_change_back_once(kill_in: int) -> None:
    """R2, R8."""
    world = _world(SCALE, PATCH, {"restore": {}}, verify={"onFailure": "NextStep"}, kill_in=kill_in)
    before = _state(world)

    for _ in range(150):
        with suppress(Killed):
            world.reconcile()
        world.now += timedelta(seconds=1)

    assert len(world.effects) == len(set(world.effects)) == 4
    assert _state(world) == before


def test_restore_leaves_what_another_writer_changed_and_says_so() -> None:
    """R8."""
    world = _world(SCALE, PATCH, {"restore": {}}, verify={"onFailure": "NextStep"})
    world.run("45s")
    assert len(world.status.changes) == 2
    world.edit({"spec": {"template": {"args": ["--theirs"]}}})

    world.run("60s")

    assert world.replicas == 4
    assert world.document["spec"]["template"]["args"] == ["--theirs"]
    assert world.events.count("ChangeLeft") == 1
    assert world.status.changes == ()


def test_restore_without_any_change_gives_way_to_the_next_step() -> None:
    """R16: there is nothing to put back."""
    world = _world({"restore": {}, "timeout": "5s"})

    world.run("4s")
    assert world.status.blocked is not None
    assert world.status.blocked.reason == "NothingToRestore"

    world.run("20s")
    assert "Escalated" in world.events


# --- rolloutUndo ----------------------------------------------------------------------------------------


def _blocked(world: ChangingWorld) -> str:
    world.run("4s")
    assert world.effects == []
    assert world.status.blocked is not None
    return world.status.blocked.reason


@pytest.mark.parametrize("age", [timedelta(hours=2), timedelta(seconds=-3)], ids=["long-before", "after"])
def test_a_revision_that_cannot_be_the_cause_is_not_undone(age: timedelta) -> None:
    """What did not change shortly before the trigger fired is not the cause; nor is what changed after that."""
    world = _world(UNDO)
    world.made["checkout-2"] = NOON - age

    assert _blocked(world) == "NotTheCause"


def test_without_an_earlier_revision_nothing_is_undone() -> None:
    """There is nowhere to go."""
    world = _world(UNDO)
    del world.numbers["checkout-1"]

    assert _blocked(world) == "NoEarlierRevision"


def test_going_back_twice_never_leads_forward_to_the_revision_that_was_left() -> None:
    """A revision that is come back to gets a new number; by numbers alone it would be left for the bad one again."""
    world = _world({"rolloutUndo": {}}, verify={"onFailure": "NextStep"})
    world.made["checkout-2"] = NOON - timedelta(days=1)
    world.numbers |= {"checkout-1": 3}
    world.current = "checkout-1"

    assert _blocked(world) == "NoEarlierRevision"


def test_a_bad_rollout_under_way_is_undone() -> None:
    """R12: the trigger began to fire after the rollout did: the rollout is what is to be undone."""
    world = _world(UNDO, rolling_until=NOON + timedelta(minutes=10))

    world.run("5s")

    assert world.effects == ["rollback checkout-1 " + world.status.changes[0].id]


def test_a_rollout_that_began_after_the_trigger_is_waited_for() -> None:
    """R12: it may be somebody's remedy."""
    world = _world({"rolloutUndo": {}}, rolling_until=NOON + timedelta(minutes=10))
    world.made["checkout-2"] = NOON + timedelta(seconds=1)

    assert _blocked(world) == "RolloutInProgress"


def test_a_stuck_rollout_is_undone_whenever_it_began() -> None:
    """R12: nothing else will end it."""
    world = _world({"rolloutUndo": {}}, rolling_until=NOON + timedelta(minutes=10), stuck=True)
    world.made["checkout-2"] = NOON + timedelta(seconds=1)

    world.run("5s")

    assert len(world.effects) == 1


def test_a_paused_deployment_stays_as_somebody_left_it() -> None:
    """R12."""
    assert _blocked(_world(UNDO, paused=True, stuck=True)) == "TargetPaused"


# --- patch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "patch",
    [
        {"status": {"replicas": 0}},
        {"metadata": {"finalizers": []}},
        {"metadata": {"name": "other"}},
        {"metadata": {"annotations": None}},
        {"metadata": {"annotations": {"homeostat.dev/attempt": "x"}}},
        {"metadata": {"labels": {"$patch": "replace"}}},
        {"spec": None},
        {"$patch": "delete"},
    ],
)
def test_a_patch_touches_labels_annotations_and_spec_alone(patch: dict[str, Any]) -> None:
    """Whatever stands in the manifest."""
    assert _blocked(_world({"patch": {"patch": patch}})) == "PatchRefused"


def test_a_patch_that_does_not_apply_is_refused_with_the_answer_of_the_api_server() -> None:
    """Found by a dry run, before anything is touched."""
    world = _world(PATCH, refusal=("Invalid", "spec.template: wrong"))

    assert _blocked(world) == "PatchRefused"
    assert world.status.blocked is not None
    assert world.status.blocked.message == "Invalid: spec.template: wrong"


def test_a_patch_that_changes_nothing_is_nothing_to_do() -> None:
    """And costs no action."""
    world = _world({"patch": {"patch": {"metadata": {"labels": {"app": "checkout"}}}}})

    assert _blocked(world) == "NothingToChange"
    assert world.tokens == set()


def test_a_patch_too_large_to_be_put_back_is_refused() -> None:
    """R8: what cannot be recorded is not done."""
    assert _blocked(_world({"patch": {"patch": {"spec": {"text": "x" * 17_000}}}})) == "TooLarge"


def test_what_a_patch_removes_survives_the_status_and_comes_back() -> None:
    """A merge patch says with null that a field goes; the status would drop a null."""
    world = _world({"patch": {"patch": {"spec": {"strategy": None}}}})
    before = _state(world)
    world.run("10s")
    assert "strategy" not in world.document["spec"]

    world.run("40s")

    assert _state(world) == before


# --- resize ---------------------------------------------------------------------------------------------


def test_pods_are_resized_one_after_another_each_once_it_has_its_size() -> None:
    """R4."""
    world = _world(RESIZE)
    world.sick.add("checkout-1")
    world.resizing.add("checkout-0")

    world.run("10s")
    assert [effect.split()[1] for effect in world.effects] == ["checkout-0"]

    world.resizing.clear()
    world.run("3s")
    assert [effect.split()[1] for effect in world.effects] == ["checkout-0", "checkout-1"]
    assert world.sizes == {"checkout-0": "96Mi", "checkout-1": "96Mi"}

    world.run("40s")
    assert set(world.sizes.values()) == {"64Mi"}


def test_no_container_gets_more_than_the_maximum() -> None:
    """Neither by one step nor by many."""
    world = _world(RESIZE)
    world.sizes["checkout-0"] = "120Mi"
    world.run("5s")
    assert world.sizes["checkout-0"] == "128Mi"

    again = _world(RESIZE)
    again.sizes["checkout-0"] = "128Mi"
    assert _blocked(again) == "AtMaximum"


def test_pods_without_sizes_have_nothing_to_raise() -> None:
    """There is no limit that could be the cause."""
    assert _blocked(_world({"resize": {"memory": "+50%", "container": "other"}})) == "NothingToRaise"


def test_a_cluster_that_cannot_resize_gives_way_to_the_next_step() -> None:
    """R16: refused, and told so."""
    world = _world({**RESIZE, "timeout": "10s"}, SCALE, resizes=False)

    world.run("25s")

    assert [effect.split()[0] for effect in world.effects] == ["scale"]
    assert world.status.last[0].outcome == "NotStarted"


def test_a_change_is_named_in_events_without_its_values() -> None:
    """No text of the object in events: only which fields."""
    world = _world(PATCH)
    world.run("5s")

    note = next(note for event, note in zip(world.events, world.notes, strict=True) if event == "Acting")
    assert "Patch checkout at metadata.labels.mode, spec.template.args" in note
    assert "--slow" not in note
    assert world.status.changes[0].action is ActionName.PATCH
