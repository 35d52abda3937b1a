"""RecoveryPolicy: what would stop a policy for ever, or lead it round a rule, by size, by clock or by an edit."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.recovery import KIND
from homeostat.api.recovery_attempt import (
    ActionName,
    Attempt,
    AttemptPhase,
    Change,
    InFlight,
    ObjectId,
    Outcome,
    TargetPhase,
)
from homeostat.api.recovery_decision import RunState
from homeostat.api.recovery_status import Blocked, RecoveryPolicyStatus, Signal, SignalState
from homeostat.core.action import EvictPod, RunJob
from homeostat.core.cluster import Pod, Workload
from homeostat.core.recovery import RecoverySeen, SignalSeen, decide
from homeostat.core.recovery.attempt.progress import MOST_ACTIONS
from homeostat.core.recovery.policy import significance
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case, Requests, Storm
from homeostat.core.recovery.steps import undo
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.steps.wording import described
from homeostat.core.recovery.targets.selection import chosen
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from homeostat.interchange.schema import root_schema
from homeostat.interchange.structural import violations
from scenarios.recovery.world import NOON, TARGET, World, spec

SCHEMA = root_schema(KIND)["properties"]["status"]
HERE = ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)
GREAT = {"maxInFlight": "100%", "maxUnhealthy": "100%", "budget": {"actions": 1000}}
ALL = {"kind": "Deployment", "selector": {"matchLabels": {"app": "checkout"}}}


def is_taken(status: RecoveryPolicyStatus) -> bool:
    """Whether the API server would take a status."""
    return not list(violations(status.wire(), SCHEMA, "status"))


def workload(count: int = 4, **changes: Any) -> Workload:
    pods = tuple(
        Pod(Ref("Pod", "shop", f"checkout-{n}", f"uid-{n}"), "1", "", "node", "Running", True, False, 0, NOON)
        for n in range(count)
    )
    made = Workload(TARGET, "42", 1, 1, count, count, count, count, "app=checkout", pods=pods)
    return replace(made, **changes)


def seen(target: Workload | None = None, **changes: Any) -> RecoverySeen:
    """Give a world in which the trigger fires."""
    firing = SignalSeen(0, SignalState.FIRING, NOON, timedelta(hours=1), NOON - timedelta(minutes=1))
    made = World().seen()
    return replace(made, **({"target": target or workload(), "signals": (firing,)} | changes))


def attempt(name: str, **changes: Any) -> Attempt:
    return Attempt.model_validate(
        {
            "id": "a", "step": 0, "name": name, "trigger": 0, "phase": AttemptPhase.ACTING, "workload": HERE,
            "detectedAt": NOON, "startedAt": NOON, "deadline": NOON + timedelta(minutes=2),
        }
        | changes
    )  # fmt: skip


def entry(number: int, action: ActionName = ActionName.EVICT_POD, **changes: Any) -> InFlight:
    target = ObjectId(kind="Pod", name=f"gone-{number}", uid=f"gone-{number}")
    made = InFlight(
        id=f"a-{number}", target=target, step=0, action=action, started_at=NOON, deadline=NOON + timedelta(minutes=2),
        phase=TargetPhase.DONE,
    )  # fmt: skip
    return made.model_copy(update=changes)


def test_an_attempt_never_has_more_actions_than_its_status_can_hold() -> None:
    """R2: what cannot be written can never be done; the rest is for the next attempt."""
    policy = spec(steps=[{"restartPods": {"which": "All"}}], limits=GREAT, triggers=[{"healthCheck": {"name": "a"}}])
    target = workload(count=MOST_ACTIONS * 2)
    older = tuple(replace(pod, created_at=NOON - timedelta(hours=1)) for pod in target.pods)

    def after(count: int) -> list[Any]:
        status = RecoveryPolicyStatus(
            observed_generation=1,
            attempt=attempt("restartPods", actedAt=NOON),
            in_flight=tuple(entry(number) for number in range(count)),
        )
        decision = decide(policy, status, seen(replace(target, pods=older), generation=1), NOON)
        assert is_taken(decision.status)
        return [one for one in decision.actions if isinstance(one, EvictPod)]

    assert len(after(MOST_ACTIONS - 1)) == 1
    assert after(MOST_ACTIONS) == []


def test_changes_on_record_have_a_size_that_the_api_server_takes() -> None:
    """R8: a change that could not be kept on record, beside those of all other targets, is not begun."""
    large = {"patch": "x" * 60_000}
    plan = Plan(ActionName.PATCH, workload(), HERE, "1", large, large)
    change = Change(id="a", action=ActionName.PATCH, target=HERE, original=large, desired=large)
    case = Case(spec(), RecoveryPolicyStatus(), seen(), NOON)

    assert not undo.is_full(case, plan)
    assert undo.is_full(case.with_status(changes=(change,)), plan)


def test_names_of_any_length_fit_into_a_record() -> None:
    """R17: what an attempt did can be written, however its objects are called."""
    name = "n" * 253
    assert len(described(ActionName.UNDO_ROLLOUT, name, {"revision": name}, {"revision": name})) <= 512


@pytest.mark.parametrize("run", ["größer", "[" * 100_000, '{"id": "\\ud800"}', '{"id": "a", "step": "1", "target": 5}'])
def test_a_run_of_any_text_is_answered_once_and_stops_nothing(run: str) -> None:
    """R13: who may annotate a policy cannot stop it for ever by an annotation."""
    text = json.dumps({"id": "run-1", "step": run, "reason": "it hangs"}) if run == "größer" else run
    policy = spec(target=ALL)
    world = seen(candidates=(workload(),), requests=Requests(run=text))
    status = RecoveryPolicyStatus(observed_generation=1)

    assert chosen(Case(policy, status, world, NOON), world.candidates) is not None
    once = decide(policy, status, world, NOON).status

    assert is_taken(once)
    assert once.run is not None
    assert once.run.state is RunState.REFUSED
    assert decide(policy, once, world, NOON).events == ()


def test_a_run_for_a_target_that_is_not_there_is_never_of_another() -> None:
    """R11: who names a target means that one."""
    policy = spec(mode="Suggest", target=ALL, steps=[{"rolloutRestart": {}}])
    run = json.dumps({"id": "run-1", "step": "0", "reason": "it hangs", "target": "chekcout"})
    world = seen(candidates=(workload(),), requests=Requests(run=run))

    decided = decide(policy, RecoveryPolicyStatus(observed_generation=1), world, NOON)

    assert decided.status.run is not None
    assert (decided.status.run.state, decided.status.attempt) == (RunState.REFUSED, None)


def test_a_policy_that_is_not_evaluated_is_not_written_again_and_again() -> None:
    """Everywhere: the transition time of Ready moves when Ready does."""
    world = seen(problem=("InvalidSpec", "spec.steps: odd"))
    first = decide(spec(), RecoveryPolicyStatus(), world, NOON).status
    later = decide(spec(), first, world, NOON + timedelta(minutes=1)).status

    assert significance(first, later) is Significance.NOTHING


def test_a_clock_set_back_neither_puts_off_nor_stretches() -> None:
    """R3, R7: a trigger that fired before fires still, and an attempt ends within its own time."""
    back = NOON - timedelta(days=1)
    policy = spec(triggers=[{"healthCheck": {"name": "a"}, "for": "0s"}])
    known = (Signal(trigger=0, state=SignalState.FIRING, since=NOON),)
    firing = SignalSeen(0, SignalState.FIRING, back, timedelta(hours=1))
    status = RecoveryPolicyStatus(observed_generation=1, signals=known)
    decided = decide(policy, status, seen(signals=(firing,), generation=1), back).status
    assert decided.signals[0].since == back

    verifying = attempt("restartPods", phase="Verifying", verifyFrom=NOON, deadline=NOON + timedelta(minutes=1))
    status = RecoveryPolicyStatus(observed_generation=1, attempt=verifying, in_flight=(entry(0),), signals=known)
    under_way = decide(policy, status, seen(signals=(firing,), generation=1), back).status.attempt
    assert under_way is not None
    assert under_way.deadline <= back + policy.verify.deadline


@pytest.mark.parametrize("reason", [BlockReason.FROZEN, BlockReason.SUSPENDED, BlockReason.DEPENDENCY_UNHEALTHY])
def test_what_is_let_go_in_the_middle_of_a_storm_does_not_begin(reason: BlockReason) -> None:
    """R5: whatever held a policy until now, it wants to act at once with the others."""
    held = Blocked(reason=reason, since=NOON - timedelta(minutes=1))
    status = RecoveryPolicyStatus(observed_generation=1, blocked=held)
    policy = spec(steps=[{"rolloutRestart": {}}], limits=GREAT)

    decided = decide(policy, status, seen(generation=1, storm=Storm(wanting=8, limit=5)), NOON).status

    assert decided.attempt is None
    assert decided.blocked is not None
    assert decided.blocked.reason == BlockReason.STORM


@pytest.mark.parametrize(
    ("step", "target"),
    [
        ({"rolloutRestart": {}}, {"updated": 1, "is_stuck": True}),
        ({"rolloutRestart": {}, "targets": [{"kind": "Deployment", "name": "gone"}]}, {}),
    ],
)
def test_a_step_that_nothing_will_ever_let_begin_gives_way_after_its_time(
    step: dict[str, Any], target: dict[str, Any]
) -> None:
    """R16: a stuck rollout ends by itself as little as an object that is not there comes back: the next step is due."""
    policy = spec(steps=[step | {"timeout": "1m"}, {"escalate": {}}], limits=GREAT)
    status = RecoveryPolicyStatus(observed_generation=1)
    world = seen(workload(**target), generation=1)

    first = decide(policy, status, world, NOON).status
    assert (first.blocked is not None, first.escalated) == (True, None)
    after = decide(policy, first, world, NOON + timedelta(minutes=1)).status

    assert after.escalated is not None


def test_a_runbook_is_run_as_it_was_decided_or_not_at_all() -> None:
    """R13: who edits the template after the yes has another Job run under no one's approval."""
    first, second = ({"job": {"template": {"spec": {"nodeName": name}}}} for name in ("one", "two"))
    begun = decide(
        spec(steps=[first], limits=GREAT), RecoveryPolicyStatus(observed_generation=1), seen(generation=1), NOON
    )
    assert any(isinstance(one, RunJob) for one in begun.actions)

    again = decide(spec(steps=[first], limits=GREAT), begun.status, seen(generation=1), NOON)
    edited = decide(spec(steps=[second], limits=GREAT), begun.status, seen(generation=2), NOON)

    assert any(isinstance(one, RunJob) for one in again.actions)
    assert not any(isinstance(one, RunJob) for one in edited.actions)


def test_pods_that_do_not_come_back_are_not_taken_for_healed() -> None:
    """R7: a pod that is missing fails nowhere: what was evicted must be replaced before quiet counts."""
    world = World(spec=spec(triggers=[{"pods": {"reason": "NotReady"}}], verify={"holdFor": "2s", "deadline": "20s"}))
    world.run("1s")
    world.sick = {"checkout-1"}
    world.cure_takes = timedelta(hours=1)  # a quota lets no new pod be made
    world.run("10s")
    world.verdict = SignalState.QUIET
    world.run("3m")

    (record,) = [one for one in world.status.last if one.acted_at]
    assert (record.outcome, record.reason) == (Outcome.UNVERIFIED, "ReplacementMissing")


def test_the_rest_after_what_was_only_observed_ends_with_that_mode() -> None:
    """R1: Observe holds a cooldown of its own; who then trusts the policy need not wait for nothing."""
    world = World(spec=spec(mode="Observe"))
    world.run("1s")
    world.sick = {"checkout-1"}
    world.run("10s")
    assert world.status.last_outcome == "WouldDo"
    assert world.status.cooldown_until is not None

    world.spec, world.generation = spec(mode="Auto"), 2
    world.run("2s")
    assert world.status.attempt is not None


def test_a_policy_that_was_just_made_and_has_no_data_yet_alarms_nobody() -> None:
    """R15: the same refusal is a Warning, on the target too, when it comes later."""
    world = seen(workload(), generation=1)
    dark = replace(world, signals=(SignalSeen(0, SignalState.UNKNOWN, None, timedelta(hours=1)),))

    at_first = decide(spec(), RecoveryPolicyStatus(), dark, NOON).events
    later = decide(spec(), RecoveryPolicyStatus(observed_generation=1), dark, NOON).events

    assert [(one.reason, one.type.value) for one in at_first] == [("Blocked", "Normal")]
    assert [(one.reason, one.type.value) for one in later] == [("Blocked", "Warning"), ("RecoveryBlocked", "Warning")]
