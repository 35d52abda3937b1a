"""RecoveryPolicy: what holds for every policy, every memory and every world."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scenarios.recovery.world import NOON, OTHER, POLICY, TARGET, spec

from homeostat.api.health_check import HealthState
from homeostat.api.meta import Model
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import (
    ActionName,
    Attempt,
    AttemptPhase,
    Blocked,
    BudgetStatus,
    Escalation,
    InFlight,
    ObjectId,
    RecoveryPolicyStatus,
    Signal,
    SignalState,
    TargetPhase,
)
from homeostat.api.recovery_step import Severity
from homeostat.core.cluster import FreezeInForce, Lock, Pod, TokenBudget, Workload
from homeostat.core.decision import Action, EvictPod, Outcome, Ref, RestartRollout, Scale, Verb
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen, decide, significance
from homeostat.core.recovery.actions import MARKER
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.significance import Significance

NAMES = [f"checkout-{number}" for number in range(4)]
IDS = ["a-0", "a-1", "a-0-undo"]
times = st.integers(-200, 200).map(lambda seconds: NOON + timedelta(seconds=seconds))
maybe_times = st.none() | times
states = st.sampled_from([SignalState.FIRING] * 3 + [SignalState.QUIET, SignalState.UNKNOWN])


def of(model: type[Model], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a model by the names of its fields (hypothesis would take the aliases)."""
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


steps = st.lists(
    st.sampled_from(
        [
            {"restartPods": {}},
            {"restartPods": {"which": "All"}},
            {"rolloutRestart": {}, "timeout": "10s"},
            {"scale": {"by": "+1"}},
            {"scale": {"by": "+50%", "max": 5}},
            {"scale": {"to": 6}},
            {"cordon": {}},
            {"escalate": {}},
        ]
    ),
    min_size=1,
    max_size=3,
)
triggers = st.lists(
    st.sampled_from(
        [
            {"healthCheck": {"name": "checkout"}},
            {"healthCheck": {"name": "checkout"}, "for": "10s"},
            {"pods": {"reason": "NotReady"}},
            {"promql": {"query": "up", "condition": "< 1"}},
        ]
    ),
    min_size=1,
    max_size=2,
)
specs = st.builds(
    spec,
    mode=st.sampled_from(["Auto", "Auto", "Auto", "Observe", "Suggest"]),
    steps=steps,
    triggers=triggers,
    limits=st.fixed_dictionaries(
        {
            "maxInFlight": st.sampled_from([0, 1, 2, "50%", "100%"]),
            "maxUnhealthy": st.sampled_from([0, 1, "50%", "100%"]),
            "cooldown": st.sampled_from(["1s", "1m"]),
            "budget": st.fixed_dictionaries({"actions": st.integers(0, 3)}),
        }
    ),
    dependsOn=st.sampled_from([[], [], [{"healthCheck": {"name": "database"}}]]),
    suspend=st.sampled_from([False, False, False, True]),
)


def pod(name: str, number: int, is_ready: bool, is_terminating: bool, created_at: datetime) -> Pod:  # noqa: FBT001
    ref = Ref("Pod", "shop", name, f"uid-{number}")
    return Pod(ref, "7", "10.0.0.1", "node", "Running", is_ready, is_terminating, 0, created_at)


pods = st.lists(
    st.builds(pod, st.sampled_from(NAMES), st.integers(0, 5), st.booleans(), st.booleans(), times),
    max_size=5,
    unique_by=lambda made: made.ref.uid,
).map(tuple)
workloads = st.builds(
    Workload,
    ref=st.sampled_from([TARGET, TARGET, TARGET, replace(TARGET, uid="newer")]),
    resource_version=st.just("42"),
    generation=st.just(1),
    observed_generation=st.sampled_from([1, 1, 1, 0]),
    replicas=st.integers(0, 5),
    updated=st.just(5),
    ready=st.just(0),
    available=st.just(0),
    selector=st.just("app=checkout"),
    is_paused=st.sampled_from([False, False, True]),
    is_deleting=st.sampled_from([False, False, True]),
    annotations=st.sampled_from([(), ((MARKER, "a-0"),), ((MARKER, "other"),)]),
    pods=pods,
    restart_id=st.sampled_from(["", "a-0"]),
)
refs = st.builds(Ref, st.just("Pod"), st.just("shop"), st.sampled_from(NAMES), st.integers(0, 5).map("uid-{}".format))
signals_seen = st.builds(
    SignalSeen,
    index=st.integers(0, 2),
    verdict=states,
    observed_at=maybe_times,
    stale_after=st.sampled_from([timedelta(0), timedelta(seconds=300)]),
    since=maybe_times,
    failing=st.lists(refs, max_size=3).map(tuple),
)
answers = st.builds(
    Outcome,
    st.sampled_from(Verb),
    st.sampled_from(["", "Conflict", "PodDisruptionBudget", "Locked", "BudgetExhausted", "Invalid"]),
)
keys = st.sampled_from([f"{name}{suffix}" for name in [*IDS, "seed-0"] for suffix in ("", "-lock", "-token")] + ["a-renew"])
seens = st.builds(
    RecoverySeen,
    ref=st.just(POLICY),
    generation=st.integers(1, 2),
    target=st.none() | workloads,
    signals=st.lists(signals_seen, max_size=2, unique_by=lambda seen: seen.index).map(tuple),
    attempt_seed=st.just("seed"),
    cluster_budget=st.builds(TokenBudget, st.integers(0, 1), st.just(2)) | st.just(TokenBudget(2, 2, NOON)),
    dependencies=st.sampled_from(HealthState).map(lambda state: (DependencySeen("database", state),)),
    freeze=st.sampled_from([None, None, FreezeInForce("outage", ("Recovery",), "outage")]),
    lock=st.none() | st.builds(Lock, st.sampled_from([POLICY, OTHER]), times),
    view_age=st.sampled_from([timedelta(0), timedelta(0), timedelta(minutes=1)]),
    is_namespace_terminating=st.sampled_from([False, False, True]),
    expected_by=st.sampled_from([None, None, OTHER]),
    outcomes=st.dictionaries(keys, answers, max_size=4),
    problem=st.sampled_from([None, None, None, ("NotImplemented", "spec.windows")]),
)
attempts = of(Attempt,
    id=st.just("a"),
    step=st.integers(0, 4),
    name=st.sampled_from(["restartPods", "scale", "rolloutRestart"]),
    trigger=st.integers(0, 3),
    phase=st.sampled_from(AttemptPhase),
    workload=st.just(ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)),
    detected_at=times,
    started_at=times,
    acted_at=maybe_times,
    verify_from=maybe_times,
    deadline=times,
)
entries = st.lists(
    of(InFlight,
        id=st.sampled_from(IDS),
        target=of(ObjectId, kind=st.just("Pod"), name=st.sampled_from(NAMES), uid=st.integers(0, 5).map("uid-{}".format)
        ),
        step=st.integers(0, 4),
        action=st.sampled_from(ActionName),
        original=st.none() | st.integers(0, 5),
        desired=st.none() | st.integers(0, 5),
        started_at=times,
        deadline=times,
        phase=st.sampled_from(TargetPhase),
        has_token=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda entry: entry.id,
).map(tuple)
statuses = of(RecoveryPolicyStatus,
    observed_generation=st.sampled_from([-1, 1, 2]),
    next_step=st.integers(0, 16),
    signals=st.lists(
        of(Signal, trigger=st.integers(0, 2), state=st.sampled_from(SignalState), since=times),
        max_size=2,
        unique_by=lambda signal: signal.trigger,
    ).map(tuple),
    attempt=st.none() | attempts,
    in_flight=entries,
    blocked=st.none() | of(Blocked, reason=st.sampled_from([*BlockReason, "Odd", ""]), since=times),
    retry_at=maybe_times,
    cooldown_until=maybe_times,
    budget=of(BudgetStatus, used=st.integers(0, 3), of=st.just(3), resets_at=maybe_times),
    escalated=st.none() | of(Escalation, since=times, severity=st.sampled_from(Severity)),
)
cases = st.tuples(specs, statuses, seens)
Case = tuple[RecoveryPolicySpec, RecoveryPolicyStatus, RecoverySeen]


def disruptive(actions: Sequence[Action]) -> list[Any]:
    return [action for action in actions if isinstance(action, EvictPod | RestartRollout | Scale)]


@given(cases)
def test_every_decision_is_the_same_again_for_its_own_result(case: Case) -> None:
    """Total, idempotent at the same now; what is written is what was decided."""
    policy, status, seen = case

    once = decide(policy, status, seen, NOON)
    twice = decide(policy, once.status, seen, NOON)

    assert twice.status == once.status
    assert twice.actions == once.actions
    assert twice.events == ()
    assert significance(RecoveryPolicyStatus.model_validate(once.status.wire()), once.status) is Significance.NOTHING


@given(cases)
def test_a_decision_disturbs_at_most_once_and_looks_ahead(case: Case) -> None:
    """R4: the cap is asked again for each action."""
    decision = decide(*case, NOON)

    assert len(disruptive(decision.actions)) <= 1
    assert decision.check_again_at is None or decision.check_again_at > NOON


@given(cases)
def test_nothing_is_disturbed_against_any_gate(case: Case) -> None:
    """R1, R11, R12, R14: whatever the memory says, what is seen now forbids it."""
    policy, _, seen = case
    decision = decide(*case, NOON)
    for action in disruptive(decision.actions):
        is_undo = action.id.endswith("-undo")
        assert policy.mode == "Auto"
        assert not policy.suspend
        assert seen.problem is None
        assert seen.freeze is None
        assert seen.view_age < timedelta(seconds=31)
        assert not seen.is_namespace_terminating
        assert seen.target is not None
        assert not seen.target.is_deleting
        assert seen.lock is None or seen.lock.until <= NOON or seen.lock.holder == POLICY
        assert is_undo or not seen.target.is_paused
        assert is_undo or not seen.target.is_rolling_out
        assert is_undo or seen.expected_by is None
        assert is_undo or not policy.depends_on or seen.dependencies[0].state in {"Healthy", "Degraded"}
        assert is_undo or any(signal.state is SignalState.FIRING for signal in decision.status.signals)


@given(cases)
def test_what_is_disturbed_is_on_record_first_and_paid_for(case: Case) -> None:
    """R2, R3: the status that is written before the act names it, as intended."""
    _, status, _ = case
    decision = decide(*case, NOON)
    known = {entry.id for entry in status.in_flight} if status.attempt else set()
    for action in disruptive(decision.actions):
        entry = next(entry for entry in decision.status.in_flight if entry.id == action.id)
        assert entry.phase is TargetPhase.INTENDED
        is_new = action.id not in known and entry.action is not ActionName.UNDO_SCALE
        assert not is_new or decision.status.budget.used <= decision.status.budget.of


@given(cases)
def test_a_scale_never_lowers_and_an_undo_only_takes_back_our_own_value(case: Case) -> None:
    """R8: a newer value by another writer is never overwritten."""
    _, _, seen = case
    decision = decide(*case, NOON)
    for action in disruptive(decision.actions):
        if not isinstance(action, Scale) or seen.target is None:
            continue
        entry = next(entry for entry in decision.status.in_flight if entry.id == action.id)
        if entry.action is ActionName.UNDO_SCALE:
            assert seen.target.replicas == entry.desired
            assert dict(seen.target.annotations)[MARKER] == action.id.removesuffix("-undo")
        else:
            assert seen.target.replicas == entry.original
