"""What a Git repository owns: which steps would write it, and whether a change was taken back."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_attempt import ActionName, InFlight, ObjectId, TargetPhase
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import GitOwner
from homeostat.core.condition import condition
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.targets.gitops import is_reverted, warning, writes_git
from scenarios.recovery.fleet import Fleet, Member
from scenarios.recovery.world import NOON, World, spec

ARGO = GitOwner("Argo CD", "shop", ("spec.replicas", "spec.template", "metadata.labels.app"))
TEMPLATE_ONLY = GitOwner("Flux", "shop", ("spec.template",))


def step(**member: Any) -> Step:
    return Step.model_validate(member)


@pytest.mark.parametrize(
    ("member", "owner", "fields"),
    [
        ({"scale": {"by": "+1"}}, ARGO, ("spec.replicas",)),
        ({"scale": {"by": "+1"}}, TEMPLATE_ONLY, ()),
        ({"rolloutUndo": {}}, ARGO, ("spec.template",)),
        ({"rolloutRestart": {}}, ARGO, ()),
        ({"restartPods": {}}, ARGO, ()),
        ({"patch": {"patch": {"spec": {"paused": True}}}}, ARGO, ()),
        ({"patch": {"patch": {"spec": {"replicas": 3}}}}, ARGO, ("spec.replicas",)),
        ({"patch": {"patch": {"spec": {"template": {"metadata": {}}}}}}, ARGO, ("spec.template.metadata",)),
        ({"patch": {"patch": {"metadata": {"labels": {"app": "b"}}}}}, ARGO, ("metadata.labels.app",)),
        ({"patch": {"patch": {"metadata": {"labels": {"app.kubernetes.io/name": "b"}}}}}, ARGO, ()),
    ],
)  # fmt: skip
def test_a_step_writes_what_git_owns_where_the_fields_meet(
    member: dict[str, Any], owner: GitOwner, fields: tuple[str, ...]
) -> None:
    target = replace(Member("shop").workload(NOON, (0, 0)), git=owner)

    assert writes_git(step(**member), target) == fields


def test_without_an_owner_nothing_is_owned() -> None:
    assert writes_git(step(scale={"by": "+1"}), Member("shop").workload(NOON, (0, 0))) == ()
    assert writes_git(step(scale={"by": "+1"}), None) == ()


def scaled(**changes: Any) -> InFlight:
    """Put a scale from 4 to 5 on record."""
    known = InFlight(
        id="a-0", target=ObjectId(kind="Deployment", name="checkout", uid="checkout-uid"), step=0,
        action=ActionName.SCALE, original={"replicas": 4}, desired={"replicas": 5}, started_at=NOON, deadline=NOON,
        phase=TargetPhase.DONE,
    )  # fmt: skip
    return known.model_copy(update=changes)


def case(replicas: int, git: GitOwner | None = ARGO) -> Case:
    world = World(spec=spec(steps=[{"scale": {"by": "+1"}}]), replicas=replicas)
    seen = world.seen()
    assert seen.target is not None
    return Case(world.spec, world.status, replace(seen, target=replace(seen.target, git=git)), NOON)


def test_a_change_that_is_gone_from_an_object_of_git_was_taken_back() -> None:
    """R9: a revert counts as a return."""
    assert is_reverted(case(4), scaled())


@pytest.mark.parametrize(
    ("now", "entry"),
    [
        (case(5), scaled()),  # it stands
        (case(7), scaled()),  # somebody put something else there
        (case(4, git=None), scaled()),  # nobody reconciles it
        (case(4), scaled(phase=TargetPhase.INTENDED)),  # it was never done
        (case(4), scaled(undoes="a-0")),  # it was ours to take back
        (case(4), scaled(action=ActionName.RESTART_ROLLOUT)),  # there is nothing to go back to
        (case(4), scaled(desired={"replicas": 4})),  # it changed nothing: what stands is what it put there
    ],
)
def test_what_is_not_the_repositorys_doing_is_no_revert(now: Case, entry: InFlight) -> None:
    assert not is_reverted(now, entry)


def test_the_warning_names_the_tool_the_application_the_step_and_the_fields() -> None:
    told = warning(case(4))

    assert told == "scale writes spec.replicas of Deployment checkout, which Argo CD shop will take back."


def test_a_policy_whose_steps_write_what_git_owns_says_so_as_a_condition() -> None:
    """R15: said before it happens."""
    fleet = Fleet.of("a", "b", steps=[{"scale": {"by": "+1"}}, {"rolloutRestart": {}}])
    fleet.members["a"].git = ARGO
    fleet.reconcile()
    fleet.hurt("a")
    fleet.run("1s")

    owned = condition(fleet.status.conditions, "GitOwned")

    assert owned is not None
    assert (owned.status, owned.reason) == (ConditionStatus.TRUE, "WillBeReverted")
    assert "Argo CD shop" in owned.message


def test_a_step_that_git_takes_back_is_not_tried_while_another_is_left() -> None:
    fleet = Fleet.of("a", "b", steps=[{"scale": {"by": "+1"}}, {"rolloutRestart": {}}])
    fleet.members["a"].git = ARGO
    fleet.reconcile()
    fleet.hurt("a")

    fleet.run("20s")

    assert [effect.split()[0] for effect in fleet.effects] == ["restart"]
