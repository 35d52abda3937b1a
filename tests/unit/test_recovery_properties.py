"""RecoveryPolicy: what holds for every policy, every memory and every world."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthState
from homeostat.api.meta import Model
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, InFlight, ObjectId, TargetPhase
from homeostat.api.recovery_decision import Escalation
from homeostat.api.recovery_status import Blocked, BudgetStatus, RecoveryPolicyStatus, Signal, SignalState
from homeostat.api.recovery_step import Severity
from homeostat.core.cluster import FreezeInForce, Lock, Pod, TokenBudget, Workload
from homeostat.core.decision import Action, EvictPod, Outcome, Ref, RestartRollout, Scale, Verb
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen, decide, significance
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.steps.actions import MARKER
from homeostat.core.significance import Significance
from scenarios.recovery.world import NOON, OTHER, POLICY, TARGET, spec

NAMES = [f"checkout-{number}" for number in range(4)]
IDS = ["a-0", "a-1", "a-0-undo"]
times = st.integers(-200, 200).map(lambda seconds: NOON + timedelta(seconds=seconds))
future = st.integers(1, 200).map(lambda seconds: NOON + timedelta(seconds=seconds))
past = st.integers(-200, 0).map(lambda seconds: NOON + timedelta(seconds=seconds))
states = st.sampled_from([SignalState.FIRING] * 4 + [SignalState.QUIET, SignalState.UNKNOWN])


def mostly(usual: st.SearchStrategy[Any], *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw the usual four times out of five: a world in which everything is forbidden shows nothing."""
    return st.integers(0, 4).flatmap(lambda number: st.one_of(*others) if number == 0 else usual)


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
    mode=mostly(st.just("Auto"), st.sampled_from(["Observe", "Suggest"])),
    steps=steps,
    triggers=triggers,
    limits=st.fixed_dictionaries(
        {
            "maxInFlight": mostly(st.just("100%"), st.sampled_from([0, 1, 2, "50%"])),
            "maxUnhealthy": mostly(st.just("100%"), st.sampled_from([0, 1, "50%"])),
            "cooldown": st.sampled_from(["1s", "1m"]),
            "budget": mostly(st.just({"actions": 3}), st.just({"actions": 0})),
        }
    ),
    dependsOn=mostly(st.just([]), st.just([{"healthCheck": {"name": "database"}}])),
    suspend=mostly(st.just(False), st.just(True)),
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
    ref=st.just(TARGET),
    resource_version=st.just("42"),
    generation=st.just(1),
    observed_generation=st.just(1),
    replicas=st.integers(0, 5),
    updated=st.just(5),
    ready=st.just(0),
    available=st.just(0),
    selector=st.just("app=checkout"),
    annotations=st.sampled_from([(), (), ((MARKER, "a-0"),), ((MARKER, "other"),)]),
    pods=pods,
    restart_id=mostly(st.just(""), st.just("a-0")),
)
refs = st.builds(Ref, st.just("Pod"), st.just("shop"), st.sampled_from(NAMES), st.integers(0, 5).map("uid-{}".format))


def signals_seen(index: int) -> st.SearchStrategy[SignalSeen]:
    return st.builds(
        SignalSeen,
        index=st.just(index),
        verdict=states,
        observed_at=mostly(past, times, st.none()),
        stale_after=mostly(st.just(timedelta(seconds=300)), st.just(timedelta(0))),
        since=st.none() | past,
        failing=st.lists(refs, max_size=4).map(tuple),
    )


answers = st.builds(
    Outcome,
    st.sampled_from(Verb),
    st.sampled_from(["", "Conflict", "PodDisruptionBudget", "Locked", "BudgetExhausted", "Invalid"]),
)
keys = st.sampled_from([f"{name}{suffix}" for name in IDS for suffix in ("", "-lock", "-token")] + ["a-renew"])
OBSTACLES: list[dict[str, Any]] = [
    {"target": None},
    {"freeze": FreezeInForce("outage", ("Recovery",), "outage")},
    {"lock": Lock(OTHER, NOON + timedelta(seconds=9))},
    {"view_age": timedelta(minutes=1)},
    {"is_namespace_terminating": True},
    {"expected_by": OTHER},
    {"cluster_budget": TokenBudget(2, 2)},
    {"problem": ("NotImplemented", "spec.windows")},
    {"dependencies": (DependencySeen("database", HealthState.UNHEALTHY),)},
    {"dependencies": ()},
]
TARGET_OBSTACLES: list[dict[str, Any]] = [
    {"ref": replace(TARGET, uid="newer")},
    {"is_paused": True},
    {"is_deleting": True},
    {"observed_generation": 0},
]
plain_seens = st.builds(
    RecoverySeen,
    ref=st.just(POLICY),
    generation=st.integers(1, 2),
    target=st.builds(
        lambda made, changes: replace(made, **changes),
        workloads,
        mostly(st.just({}), st.sampled_from(TARGET_OBSTACLES)),
    ),
    signals=st.tuples(signals_seen(0), signals_seen(1)),
    attempt_seed=st.just("seed"),
    cluster_budget=st.just(TokenBudget(1, 2, NOON)),
    dependencies=st.just((DependencySeen("database", HealthState.HEALTHY),)),
    lock=st.none() | st.builds(Lock, st.just(POLICY), times) | st.builds(Lock, st.just(OTHER), past),
    outcomes=st.just({}) | st.dictionaries(keys, answers, max_size=4),
)
seens = st.builds(
    lambda seen, changes: replace(seen, **changes),
    plain_seens,
    mostly(st.just({}), st.sampled_from(OBSTACLES)),
)
attempts = of(
    Attempt,
    id=st.just("a"),
    step=mostly(st.just(0), st.integers(0, 4)),
    name=st.sampled_from(["restartPods", "scale", "rolloutRestart"]),
    trigger=mostly(st.just(0), st.integers(0, 3)),
    phase=st.sampled_from(AttemptPhase),
    workload=st.just(ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)),
    detected_at=past,
    started_at=past,
    acted_at=st.none() | past,
    verify_from=st.none() | past,
    deadline=times,
)


def replicas(count: int) -> dict[str, int]:
    return {"replicas": count}


def entries_of(name: str, action: ActionName, undoes: str = "") -> st.SearchStrategy[InFlight]:
    return of(
        InFlight,
        id=st.just(name),
        target=of(
            ObjectId,
            kind=st.just("Pod"),
            name=st.sampled_from(NAMES),
            uid=st.integers(0, 5).map("uid-{}".format),
        ),
        step=st.integers(0, 4),
        action=st.just(action),
        original=st.integers(0, 5).map(replicas),
        desired=st.integers(0, 5).map(replicas),
        undoes=st.just(undoes),
        started_at=past,
        deadline=mostly(future, past),
        phase=st.sampled_from(TargetPhase),
        has_token=st.booleans(),
    )


EVICT, RESTART, SCALE = ActionName.EVICT_POD, ActionName.RESTART_ROLLOUT, ActionName.SCALE
entries = st.one_of(
    st.just(()),
    st.tuples(entries_of("a-0", EVICT)),
    st.tuples(entries_of("a-0", EVICT), entries_of("a-1", EVICT)),
    st.tuples(entries_of("a-0", RESTART)),
    st.tuples(entries_of("a-0", SCALE)),
    st.tuples(entries_of("a-0", SCALE), entries_of("a-0-undo", SCALE, undoes="a-0")),
)
statuses = of(
    RecoveryPolicyStatus,
    observed_generation=st.sampled_from([-1, 1, 2]),
    next_step=mostly(st.just(0), st.integers(0, 16)),
    signals=mostly(
        st.just(()),
        st.lists(
            of(Signal, trigger=st.integers(0, 2), state=st.sampled_from(SignalState), since=times),
            max_size=2,
            unique_by=lambda signal: signal.trigger,
        ).map(tuple),
    ),
    attempt=st.none() | attempts,
    in_flight=entries,
    blocked=st.none() | of(Blocked, reason=st.sampled_from([*BlockReason, "Odd", ""]), since=times),
    retry_at=mostly(st.none(), times),
    cooldown_until=mostly(st.none(), times),
    budget=mostly(
        st.just(BudgetStatus()), of(BudgetStatus, used=st.integers(0, 3), of=st.just(3), resets_at=st.none() | times)
    ),
    escalated=mostly(st.none(), of(Escalation, since=times, severity=st.sampled_from(Severity))),
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
        is_new = action.id not in known and not entry.undoes
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
        if entry.undoes:
            assert replicas(seen.target.replicas) == entry.original
            assert dict(seen.target.annotations)[MARKER] == action.id.removesuffix("-undo")
        else:
            assert replicas(seen.target.replicas) == entry.original
