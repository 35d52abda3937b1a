"""RecoveryPolicy: what holds for every policy, every memory and every world."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings

from homeostat.api.recovery import KIND
from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, InFlight, ObjectId, TargetPhase
from homeostat.api.recovery_decision import PlanState
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState
from homeostat.core.action import (
    Action,
    CallWebhook,
    EvictPod,
    PatchObject,
    ResizePod,
    RestartRollout,
    RunJob,
    Scale,
    SetUnschedulable,
    UndoRollout,
)
from homeostat.core.cluster import GitOwner
from homeostat.core.recovery import decide, significance
from homeostat.core.recovery.seen import RecoverySeen, Requests
from homeostat.core.recovery.steps.actions import MARKER
from homeostat.core.recovery.steps.wording import patch_of
from homeostat.core.significance import Significance
from homeostat.interchange.schema import root_schema
from homeostat.interchange.structural import violations
from scenarios.recovery.drawn import SECOND, Case, cases, in_keeping, replicas, worded
from scenarios.recovery.world import DONE, NOON, POLICY, TARGET, World, spec

SCHEMA = root_schema(KIND)["properties"]["status"]
ACTS = EvictPod | RestartRollout | Scale | UndoRollout | PatchObject | SetUnschedulable | ResizePod | RunJob
SOON = timedelta(milliseconds=1)
some = settings(max_examples=max(25, settings().max_examples // 4))
"""A case takes long to draw, and there are many promises: a quarter of what the profile says is asked of each."""


def acts(actions: Sequence[Action], status: RecoveryPolicyStatus) -> list[Any]:
    """Give what touches the world for an attempt; the call of an escalation is no attempt's."""
    told = status.escalated.id if status.escalated else ""
    return [one for one in actions if isinstance(one, ACTS) or (isinstance(one, CallWebhook) and one.id != told)]


def patched(was: int, now: int) -> Case:
    """Give a patch that is done, on an object of a Git repository, just when its time to act is over."""
    here = ObjectId(kind=TARGET.kind, name=TARGET.name, uid=TARGET.uid)
    attempt = Attempt(
        id="a", step=0, name="patch", trigger=0, phase=AttemptPhase.ACTING, workload=here, detected_at=NOON,
        started_at=NOON, deadline=NOON,
    )  # fmt: skip
    entry = InFlight(
        id="a-0", target=here, step=0, action=ActionName.PATCH, original=worded(was), desired=worded(now),
        started_at=NOON, deadline=NOON, phase=TargetPhase.DONE,
    )  # fmt: skip
    world = World(spec=spec(steps=[{"patch": {"patch": {"spec": {"minReadySeconds": now}}}}]))
    seen = world.seen()
    assert seen.target is not None
    owned = replace(seen.target, git=GitOwner("Argo CD", "shop", ("spec",)))
    return world.spec, RecoveryPolicyStatus(attempt=attempt, in_flight=(entry,)), replace(seen, target=owned)


def foretold() -> Case:
    """Give an attempt with nothing on record yet, in a world that knows the first action that it will have."""
    policy, status, seen = patched(0, 3)
    changes = {"name": "rolloutRestart", "requested_by": "bob", "deadline": NOON + timedelta(minutes=1)}
    attempt = status.attempt and status.attempt.model_copy(update=changes)
    status = status.model_copy(update={"attempt": attempt, "in_flight": ()})
    steps = spec(steps=[{"rolloutRestart": {}, "targets": [{"kind": "Deployment", "name": "second"}]}]).steps
    assert seen.target is not None
    second = replace(seen.target, ref=SECOND, git=None, restart_id="a-0")
    return policy.model_copy(update={"steps": steps}), status, replace(seen, others=(second,), outcomes={"a-0": DONE})


@some
@given(cases)
@example(patched(0, 0))
@example(patched(0, 3))
@example(foretold())
def test_every_decision_is_the_same_again_for_its_own_result(case: Case) -> None:
    """Total, idempotent at the same now; what is written is what was decided, and the API server takes it."""
    policy, status, seen = in_keeping(case)

    once = decide(policy, status, seen, NOON)
    twice = decide(policy, once.status, as_read(seen, status, once.status), NOON)

    assert twice.status == once.status
    assert acts(twice.actions, twice.status) == acts(once.actions, once.status)
    assert twice.events == ()
    written = once.status.wire()
    assert list(violations(written, SCHEMA, "status")) == []
    assert significance(RecoveryPolicyStatus.model_validate(written), once.status) is Significance.NOTHING


def as_read(seen: RecoverySeen, before: RecoveryPolicyStatus, after: RecoveryPolicyStatus) -> RecoverySeen:
    """Give what the engine reads by the new record: the fields of a patch that is about to be made, as they are.

    Those of a patch that was on record before were read for the first decision already: the world is the same.
    """
    known = {*seen.fields, *(entry.id for entry in before.in_flight)}
    begun = {
        entry.id: patch_of(entry.original)
        for entry in after.in_flight
        if entry.action is ActionName.PATCH and not entry.undoes and entry.id not in known
    }
    return replace(seen, fields={**seen.fields, **begun})


@some
@given(cases)
def test_time_alone_writes_nothing(case: Case) -> None:
    """Everywhere: what was decided a moment ago is not written anew when nothing became due since."""
    policy, status, seen = case
    first = decide(policy, status, seen, NOON)

    second = decide(policy, first.status, replace(seen, outcomes={}), NOON + SOON)

    is_due = first.check_again_at is not None and first.check_again_at <= NOON + SOON * 60
    assert is_due or significance(first.status, second.status) is not Significance.CHANGE


@some
@given(cases)
def test_a_decision_acts_at_most_once_and_looks_ahead(case: Case) -> None:
    """R4: the cap is asked again for each action."""
    decision = decide(*case, NOON)

    assert len(acts(decision.actions, decision.status)) <= 1
    assert decision.check_again_at is None or decision.check_again_at > NOON


@some
@given(cases)
def test_nothing_is_touched_against_what_was_decided_or_is_not_known(case: Case) -> None:
    """R1, R12, R13: whatever the memory says, what is seen now forbids it, be it only to put something back."""
    policy, _, seen = case
    decision = decide(*case, NOON)
    for _ in acts(decision.actions, decision.status):
        attempt = decision.status.attempt
        assert attempt is not None
        assert policy.mode == "Auto" or attempt.requested_by or (attempt.approved_by and policy.mode == "Approve")
        assert policy.mode != "Observe"
        assert not any((policy.suspend, seen.requests.pause, seen.problem, seen.freeze))
        assert seen.view_age < timedelta(seconds=31)
        assert not seen.is_namespace_terminating
        assert seen.target is not None


@some
@given(cases)
def test_nothing_is_touched_that_others_hold_or_that_is_not_at_fault(case: Case) -> None:
    """R11, R12, R14: one writer, no rollout, no drill, no cause elsewhere; and a trigger that fires, or a human."""
    policy, _, seen = case
    decision = decide(*case, NOON)
    for action in acts(decision.actions, decision.status):
        entry = next(entry for entry in decision.status.in_flight if entry.id == action.id)
        attempt, subjects = decision.status.attempt, [one for one in (seen.target, *seen.others) if one]
        where = next(one for one in subjects if entry.workload is None or one.ref.uid == entry.workload.uid)
        lock = seen.locks.get(where.ref.uid) if entry.workload else seen.lock
        assert attempt is not None
        assert not where.is_deleting
        assert lock is None or lock.until <= NOON or lock.holder == POLICY
        if entry.undoes:
            continue
        assert not where.is_paused
        assert not where.is_rolling_out or entry.action == "UndoRollout"
        assert seen.expected_by is None
        assert not policy.depends_on or seen.dependencies[0].state == "Healthy"
        assert not policy.windows
        assert attempt.requested_by or any(one.state is SignalState.FIRING for one in decision.status.signals)


@some
@given(cases)
def test_what_is_told_to_rest_never_begins(case: Case) -> None:
    """R1, R12: suspended, paused, frozen, looking on or waiting for a yes: no attempt is begun."""
    policy, status, seen = case
    begun = decide(*case, NOON).status.attempt
    if begun is None or (status.attempt and status.attempt.id == begun.id):
        return
    assert not any((policy.suspend, seen.requests.pause, seen.freeze, policy.windows))
    assert policy.mode == "Auto" or (policy.mode != "Observe" and (begun.requested_by or begun.approved_by))
    assert policy.steps[begun.step].approval == "NotRequired" or begun.requested_by or begun.approved_by


@some
@given(cases)
def test_what_is_done_is_on_record_first_and_paid_for(case: Case) -> None:
    """R2, R3: the status that is written before the act names it, as intended."""
    _, status, _ = case
    decision = decide(*case, NOON)
    known = {entry.id for entry in status.in_flight} if status.attempt else set()
    for action in acts(decision.actions, decision.status):
        entry = next(entry for entry in decision.status.in_flight if entry.id == action.id)
        assert entry.phase is TargetPhase.INTENDED
        assert decision.status.attempt is not None
        is_new = action.id not in known and not entry.undoes
        assert not is_new or decision.status.budget.used <= decision.status.budget.of


@some
@given(cases)
def test_a_plan_is_carried_out_under_its_own_name_alone(case: Case) -> None:
    """R13: the plan that is shown is carried out once it is approved, and under no other name."""
    policy, status, seen = case
    shown = decide(policy, status, seen, NOON).status.plan
    if shown is None or shown.state is not PlanState.AWAITING_APPROVAL or status.attempt:
        return
    before = decide(policy, status, seen, NOON).status
    for name in (shown.hash, "0123456789abcdef"):
        asking = replace(seen, requests=Requests(approve=name, by="ada"), attempt_seed="next")
        after = decide(policy, before, asking, NOON + SOON).status
        begun = after.attempt and after.attempt.id == "next"
        assert not begun or (name == shown.hash and list(after.plan.does if after.plan else ()) == list(shown.does))


@some
@given(cases)
def test_a_scale_never_lowers_and_an_undo_only_takes_back_our_own_value(case: Case) -> None:
    """R8: a newer value by another writer is never overwritten."""
    _, _, seen = case
    decision = decide(*case, NOON)
    for action in acts(decision.actions, decision.status):
        if not isinstance(action, Scale) or seen.target is None:
            continue
        entry = next(entry for entry in decision.status.in_flight if entry.id == action.id)
        assert replicas(seen.target.replicas) == entry.original
        if entry.undoes:
            assert dict(seen.target.annotations)[MARKER]
