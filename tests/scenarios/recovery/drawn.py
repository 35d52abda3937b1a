"""Policies, memories and worlds as Hypothesis draws them: what the properties of recovery are asked of."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from homeostat.api.health_check import HealthState
from homeostat.api.meta import Model
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import (
    ActionName,
    Attempt,
    AttemptPhase,
    AttemptRecord,
    Change,
    InFlight,
    ObjectId,
    TargetPhase,
)
from homeostat.api.recovery_attempt import Outcome as Ending
from homeostat.api.recovery_decision import (
    Delivery,
    Escalation,
    EscalationReason,
    ManualRun,
    PlanState,
    PlanStatus,
    RunState,
)
from homeostat.api.recovery_status import (
    Blocked,
    BudgetStatus,
    RecoveryPolicyStatus,
    Signal,
    SignalState,
    TargetMemory,
)
from homeostat.api.recovery_step import Severity
from homeostat.core.action import Outcome, Verb
from homeostat.core.cluster import (
    Container,
    FreezeInForce,
    GitOwner,
    Job,
    Lock,
    PatchEffect,
    Pod,
    Revision,
    Right,
    TokenBudget,
    Workload,
)
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen
from homeostat.core.recovery.attempt.progress import MOST_ACTIONS
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case as Given
from homeostat.core.recovery.seen import Requests, Storm
from homeostat.core.recovery.steps.actions import MARKER
from homeostat.core.recovery.steps.patching import on_record
from homeostat.core.recovery.targets.selection import chosen
from homeostat.core.ref import Ref
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


SECOND = replace(TARGET, name="second", uid="second-uid")
THIRD = replace(TARGET, name="third", uid="third-uid")
LONG = replace(TARGET, name="long" * 60, uid="long-uid")
ROUTE = Ref("Service", "shop", "front", "front-uid")
STEPS: list[dict[str, Any]] = [
    {"restartPods": {}},
    {"restartPods": {"which": "All"}},
    {"rolloutRestart": {}, "timeout": "10s"},
    {"rolloutRestart": {}, "targets": [{"kind": "Deployment", "name": name} for name in ("second", "third")]},
    {"scale": {"by": "+1"}},
    {"scale": {"by": "+50%", "max": 5}},
    {"scale": {"to": 6}, "retries": {"max": 2, "backoff": "10s"}},
    {"rolloutUndo": {}},
    {"rolloutUndo": {"changedWithin": "5m"}, "approval": "Required"},
    {"evict": {}},
    {"evict": {"which": "All", "forceTerminating": True}},
    {"cordon": {}},
    {"drain": {}},
    {"patch": {"patch": {"spec": {"minReadySeconds": 3}}}},
    {"patch": {"patch": {"spec": {"selector": {"app": "standby"}}}}, "targets": [{"kind": "Service", "name": "front"}]},
    {"resize": {"which": "All", "memory": "+50%"}},
    {"restore": {}},
    {"job": {"template": {"spec": {}}}},
    {"webhook": {"url": "https://runbooks.example/checkout"}},
]
HUMANS: list[dict[str, Any]] = [{"escalate": {}}, {"escalate": {"webhook": {"url": "https://pager.example/"}}}]
steps = st.tuples(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=3), st.lists(st.sampled_from(HUMANS), max_size=1)
).map(lambda drawn: [*drawn[0], *drawn[1]])
triggers = st.lists(
    st.sampled_from(
        [
            {"healthCheck": {"name": "checkout"}},
            {"healthCheck": {"name": "checkout"}, "for": "10s"},
            {"pods": {"reason": "NotReady"}},
            {"promql": {"query": "up", "condition": "< 1"}},
            {"alert": {"name": "CheckoutDown"}},
            {"rollout": {"state": "Stuck"}},
        ]
    ),
    min_size=1,
    max_size=2,
)
ONE = {"kind": "Deployment", "name": "checkout"}
ALL = {"kind": "Deployment", "selector": {"matchLabels": {"app": "checkout"}}}
specs = st.builds(
    spec,
    mode=mostly(st.just("Auto"), st.sampled_from(["Observe", "Suggest", "Approve"])),
    target=mostly(st.just(ONE), st.just(ALL)),
    steps=steps,
    triggers=triggers,
    limits=st.fixed_dictionaries(
        {
            "maxInFlight": mostly(st.just("100%"), st.sampled_from([0, 1, 2, "50%"])),
            "maxUnhealthy": mostly(st.just("100%"), st.sampled_from([0, 1, "50%"])),
            "cooldown": st.sampled_from(["1s", "1m"]),
            "budget": mostly(st.just({"actions": 3}), st.just({"actions": 0})),
            "flapping": st.just({"transitions": 3}),
            "ineffective": st.just({"count": 2}),
        }
    ),
    verify=st.fixed_dictionaries(
        {"holdFor": st.sampled_from(["0s", "30s"]), "onFailure": st.sampled_from(["Undo", "NextStep"])}
    ),
    dependsOn=mostly(st.just([]), st.just([{"healthCheck": {"name": "database"}}])),
    windows=mostly(st.just([]), st.just([{"from": "20:00", "to": "21:00"}])),
    suspend=mostly(st.just(False), st.just(True)),
)


def pod(name: str, number: int, is_ready: bool, is_terminating: bool, created_at: datetime) -> Pod:  # noqa: FBT001
    ref = Ref("Pod", "shop", name, f"uid-{number}")
    size = (Container("app", requests=(("memory", "64Mi"),), limits=(("memory", "64Mi"),)),)
    since = created_at if is_terminating else None
    made = Pod(ref, "7", "10.0.0.1", "node", "Running", is_ready, is_terminating, 0, created_at)
    return replace(made, containers=size, terminating_since=since)


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
    is_stuck=st.booleans(),
    git=mostly(st.none(), st.just(GitOwner("Argo CD", "shop", ("spec.replicas",)))),
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
        accused=st.sampled_from([frozenset(), frozenset({"checkout"}), frozenset({"second"})]),
        began_at=st.none() | times,
        is_idle=st.booleans(),
    )


REVISIONS = tuple(
    Revision(f"checkout-{number}", number, NOON - timedelta(seconds=900 - 300 * number), number == 2)
    for number in range(3)
)
EFFECT = PatchEffect({"spec": {"minReadySeconds": 3}}, {"spec": {"minReadySeconds": 0}})
REFUSED = PatchEffect({}, {}, ("Invalid", "no such field"))
EFFECTS = {(index, ref.uid): REFUSED if index == 2 else EFFECT for index in range(4) for ref in (TARGET, ROUTE)}
JOBS = [
    Job(Ref("Job", "shop", "homeostat-a-0", "job-uid"), (POLICY.uid,), True, is_complete, failure)
    for is_complete, failure in ((False, ""), (True, ""), (False, "BackoffLimitExceeded"))
]
RUNS = [
    json.dumps({"id": "run-2", "step": "0", "reason": "it hangs"}),
    json.dumps({"id": "run-2", "step": "scale", "reason": "it hangs", "override": ["cooling_down", "storm"]}),
    json.dumps({"id": "run-2", "step": "1", "reason": "it hangs", "target": "second"}),
    json.dumps({"id": "run-2", "step": "größer", "reason": "it hangs"}),
    json.dumps({"id": "run-2", "step": "nothing", "reason": "it hangs", "target": "second", "override": ["Odd"]}),
    "no JSON",
    "[" * 100_000,
]
asked = st.builds(
    Requests,
    approve=st.sampled_from(["", "00ff", "0" * 200]),
    reject=st.sampled_from(["", "00ff"]),
    run=mostly(st.just(""), st.sampled_from(RUNS)),
    pause=mostly(st.just(""), st.just("for: " + "long " * 300)),
    by=st.sampled_from(["", "ada", "é" * 400]),
    is_verified=st.booleans(),
    manager=st.sampled_from(["", "kubectl-annotate"]),
)
answers = st.builds(
    Outcome,
    st.sampled_from(Verb),
    st.sampled_from(["", "Conflict", "PodDisruptionBudget", "Locked", "BudgetExhausted", "Invalid", "NameTaken"]),
    st.sampled_from(["", "no " * 1000]),
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
    others=mostly(
        st.tuples(*(workloads.map(lambda one, ref=ref: replace(one, ref=ref)) for ref in (SECOND, ROUTE))), st.just(())
    ),
    locks=mostly(st.just({}), st.just({SECOND.uid: Lock(OTHER, NOON + timedelta(seconds=9))})),
    revisions=st.sampled_from([{}, {TARGET.uid: REVISIONS}]),
    effects=mostly(st.just(EFFECTS), st.just({})),
    fields=st.dictionaries(
        st.sampled_from(["a-0", "b-0"]), st.integers(0, 5).map(lambda value: {"spec": {"minReadySeconds": value}})
    ),
    job=st.none() | st.sampled_from(JOBS),
    requests=mostly(st.just(Requests()), asked),
    storm=mostly(st.just(Storm(1, 5)), st.builds(Storm, st.just(6), st.just(5), st.booleans())),
    missing_rights=mostly(st.just(()), st.none(), st.just((Right("patch", "apps", "deployments", why="patch it"),))),
    rivals=mostly(st.just(()), st.just(("another",))),
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
    name=st.sampled_from(["restartPods", "scale", "rolloutRestart", "patch", "job", "drain", "restore"]),
    trigger=mostly(st.just(0), st.integers(0, 3)),
    phase=st.sampled_from(AttemptPhase),
    workload=st.just(ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)),
    detected_at=past,
    started_at=past,
    acted_at=st.none() | past,
    verify_from=st.none() | past,
    deadline=times,
    approved_by=mostly(st.just(""), st.just("ada")),
    requested_by=mostly(st.just(""), st.just("bob")),
    overridden=st.sampled_from([(), ("cooling_down", "ineffective")]),
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


def worded(value: int) -> dict[str, Any]:
    return on_record({"spec": {"minReadySeconds": value}})


def revision(number: int) -> dict[str, str]:
    return {"revision": f"checkout-{number}"}


def cordoned(number: int) -> dict[str, bool]:
    return {"unschedulable": number > 2}


def change_of(name: str, action: ActionName, value: Any, undoes: str = "") -> st.SearchStrategy[InFlight]:
    """Draw a write of the target itself."""
    return entries_of(name, action, undoes).map(
        lambda entry: entry.model_copy(
            update={
                "target": ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid),
                "original": value((entry.original or {})["replicas"]),
                "desired": value((entry.desired or {})["replicas"]),
            }
        )
    )


def many(entry: InFlight) -> tuple[InFlight, ...]:
    """Give as many actions as a status can hold."""
    return tuple(entry.model_copy(update={"id": f"a-{number}"}) for number in range(MOST_ACTIONS))


EVICT, RESTART, SCALE = ActionName.EVICT_POD, ActionName.RESTART_ROLLOUT, ActionName.SCALE
VALUES: dict[ActionName, Any] = {
    SCALE: replicas,
    ActionName.PATCH: worded,
    ActionName.UNDO_ROLLOUT: revision,
    ActionName.CORDON: cordoned,
}
OTHERS = (ActionName.RUN_JOB, ActionName.CALL_WEBHOOK)
entries = st.one_of(
    st.just(()),
    st.tuples(entries_of("a-0", EVICT)),
    st.tuples(entries_of("a-0", EVICT), entries_of("a-1", EVICT)),
    st.tuples(entries_of("a-0", RESTART)),
    *(st.tuples(change_of("a-0", action, value)) for action, value in VALUES.items()),
    *(
        st.tuples(change_of("a-0", action, value), change_of("a-0-undo", action, value, undoes="a-0"))
        for action, value in VALUES.items()
    ),
    *(st.tuples(entries_of("a-0", action)) for action in OTHERS),
    entries_of("a-0", EVICT).map(lambda one: one.model_copy(update={"phase": TargetPhase.DONE})).map(many),
)
changes = st.lists(
    st.sampled_from(tuple(VALUES)).flatmap(
        lambda action: of(
            Change,
            id=st.sampled_from(["a-0", "b-0", "c-0"]),
            action=st.just(action),
            target=st.just(ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)),
            original=st.integers(0, 5).map(VALUES[action]),
            desired=st.integers(0, 5).map(VALUES[action]),
        )
    ),
    max_size=3,
    unique_by=lambda change: change.id,
).map(tuple)
MANY_CHANGES = tuple(
    Change(
        id=f"z-{number}",
        action=SCALE,
        target=ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid),
        original=replicas(1),
        desired=replicas(2),
    )
    for number in range(16)
)
turns = st.lists(past, max_size=20).map(sorted).map(tuple)
signals_known = st.lists(
    of(
        Signal,
        trigger=st.integers(0, 2),
        state=st.sampled_from(SignalState),
        since=times,
        observed_at=st.none() | times,
        turns=mostly(st.just(()), turns),
    ),
    max_size=2,
    unique_by=lambda signal: signal.trigger,
).map(tuple)
reasons = st.lists(st.sampled_from([reason.value for reason in EscalationReason]), min_size=1, max_size=5, unique=True)
escalations = reasons.flatmap(
    lambda drawn: of(
        Escalation,
        id=st.just("incident-1"),
        since=times,
        severity=st.sampled_from(Severity),
        reason=st.sampled_from(drawn),
        reasons=st.just(tuple(drawn)),
        webhook=st.none() | st.sampled_from(Delivery),
        deliveries=st.integers(0, 40),
    )
)
EPISODE: dict[str, st.SearchStrategy[Any]] = {
    "next_step": mostly(st.just(0), st.integers(0, 16)),
    "tried": mostly(st.just(()), st.lists(st.integers(0, 4), max_size=4, unique=True).map(tuple)),
    "tries": mostly(st.just(0), st.integers(0, 10)),
    "signals": mostly(st.just(()), signals_known),
    "returns": mostly(st.just(()), st.lists(times, max_size=20).map(tuple)),
    "changes": mostly(changes, st.just(MANY_CHANGES)),
    "retry_at": mostly(st.none(), times),
    "cooldown_until": mostly(st.none(), times),
    "escalated": mostly(st.none(), escalations),
    "rejected": mostly(st.just(""), st.just("ada rejected the plan 00ff")),
}
plans = of(
    PlanStatus,
    hash=st.just("00ff"),
    step=st.integers(0, 2),
    name=st.just("restartPods"),
    trigger=st.integers(0, 1),
    target=st.just(ObjectId(kind="Deployment", name="checkout", uid=TARGET.uid)),
    does=st.lists(st.sampled_from([f"EvictPod {name}" for name in NAMES]), max_size=3).map(tuple),
    state=st.sampled_from(PlanState),
    created_at=past,
    expires_at=times,
)
records = of(
    AttemptRecord,
    id=st.just("older"),
    step=st.integers(0, 3),
    name=st.sampled_from(["restartPods", "escalate"]),
    trigger=st.integers(0, 3),
    detected_at=past,
    started_at=past,
    ended_at=past,
    outcome=st.sampled_from(Ending),
)
IDS_OF_TARGETS = [ObjectId(kind=one.kind, name=one.name, uid=one.uid) for one in (TARGET, SECOND, THIRD, LONG)]
statuses = of(
    RecoveryPolicyStatus,
    observed_generation=st.sampled_from([-1, 1, 2]),
    attempt=st.none() | attempts,
    in_flight=entries,
    blocked=st.none() | of(Blocked, reason=st.sampled_from([*BlockReason, "Odd", ""]), since=times),
    budget=mostly(
        st.just(BudgetStatus()), of(BudgetStatus, used=st.integers(0, 3), of=st.just(3), resets_at=st.none() | times)
    ),
    storm_until=mostly(st.none(), times),
    plan=mostly(st.none(), plans),
    run=mostly(
        st.none(), of(ManualRun, id=st.just("run-1"), step=st.just(""), state=st.just(RunState.REFUSED), at=past)
    ),
    last=mostly(st.just(()), st.lists(records, max_size=10).map(tuple)),
    **EPISODE,
)
memories = st.sampled_from(IDS_OF_TARGETS).flatmap(
    lambda one: of(TargetMemory, kind=st.just(one.kind), name=st.just(one.name), uid=st.just(one.uid), **EPISODE)
)
CROWD = tuple(
    TargetMemory(
        kind="Deployment", name=f"crowd-{one}", uid=f"crowd-{one}", cooldown_until=NOON + timedelta(seconds=30)
    )
    for one in range(64)
)


def remembering(status: RecoveryPolicyStatus, draw: st.DrawFn) -> RecoveryPolicyStatus:
    """Add what a policy with a selector remembers."""
    focus = draw(st.none() | st.sampled_from(IDS_OF_TARGETS))
    known = draw(mostly(st.lists(memories, max_size=3, unique_by=lambda one: one.uid).map(tuple), st.just(CROWD)))
    others = tuple(one for one in known if focus is None or one.uid != focus.uid)
    return status.model_copy(update={"focus": focus, "targets": others})


@st.composite
def drawn_cases(draw: st.DrawFn) -> tuple[RecoveryPolicySpec, RecoveryPolicyStatus, RecoverySeen]:
    """Draw a policy, its memory and its world; of a selector's targets the one is meant that the shell would choose."""
    policy, status, seen = draw(specs), draw(statuses), draw(seens)
    if policy.target.selector is None or seen.target is None:
        return policy, status, seen
    status = remembering(status, draw)
    first = replace(seen.target, ref=draw(st.sampled_from([TARGET, LONG])))
    found = (first, *(replace(seen.target, ref=ref, pods=()) for ref in draw(st.sampled_from([(), (SECOND, THIRD)]))))
    seen = replace(seen, candidates=found, target=None)
    if status.attempt:  # what is treated is in focus
        here = ObjectId(kind=first.ref.kind, name=first.ref.name, uid=first.ref.uid)
        others = tuple(one for one in status.targets if one.uid != here.uid)
        attempt = status.attempt.model_copy(update={"workload": here})
        status = status.model_copy(update={"attempt": attempt, "focus": here, "targets": others})
    return policy, status, replace(seen, target=chosen(Given(policy, status, seen, NOON), found))


cases = drawn_cases()
Case = tuple[RecoveryPolicySpec, RecoveryPolicyStatus, RecoverySeen]


def in_keeping(case: Case) -> Case:
    """Give the case in a world that shows and answers nothing of the open attempt but what is on its record (R2).

    A name is of one action alone: what goes on record now was never asked for, and cannot have happened.
    """
    policy, status, seen = case
    if status.attempt is None:
        return case
    known = {entry.id for entry in status.in_flight}
    named = {f"{name}{suffix}": name for name in IDS for suffix in ("", "-lock", "-token")}
    outcomes = {key: outcome for key, outcome in seen.outcomes.items() if named.get(key, key) in {*known, "a-renew"}}

    def shown(one: Workload) -> Workload:
        marks = tuple(mark for mark in one.annotations if mark[1] not in set(IDS) - known)
        return replace(one, annotations=marks, restart_id=one.restart_id if one.restart_id in known else "")

    target, others, candidates = seen.target and shown(seen.target), seen.others, seen.candidates
    told = replace(seen, outcomes=outcomes, target=target, others=tuple(map(shown, others)))
    return policy, status, replace(told, candidates=tuple(map(shown, candidates)))
