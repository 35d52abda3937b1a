"""What holds of `decide` for every memory and every world, also such as no run could have led to."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.chaos import ALLOWED_LABEL, MARKER
from homeostat.api.chaos_status import (
    ChaosExperimentStatus,
    Phase,
    PlanApproval,
    Revert,
    TargetPhase,
    TargetRecord,
    Verdict,
    WorkloadRecord,
)
from homeostat.api.health_check import HealthState
from homeostat.core.action import DeletePod, HoldFields, Outcome, StartAgent, Verb
from homeostat.core.chaos import CheckSeen, ReactionSeen, decide, draw
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.marker import marker_text
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AgentSeen, AlertSeen, ApprovalSeen, Case
from homeostat.core.cluster import AgentContainer, DisruptionBudget, Lock
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.orders import AgentState, OffReason, RefusalReason, Said
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.ref import Ref
from scenarios.chaos.watched import Objective, Watched
from scenarios.chaos.world import CHECKOUT, FREEZE, ME, START, a_held_spec, a_scale_spec, a_spec, an_agent_spec

FAULT_MAY_BE_ON = {Phase.INJECTING, Phase.RUNNING, Phase.REVERTING, Phase.RECOVERING}
OTHER = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")
SPECS = [
    a_spec(),
    a_spec(reaction="Observe", dryRun=True),
    a_spec(target={"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": "67%"}),
    a_scale_spec(),
    a_scale_spec(suspend=True, reaction="Observe"),
    a_held_spec({"drain": {}}, "Node"),
    a_held_spec({"rolloutBreak": {"env": {"NEW": "1"}}}),
    a_held_spec({"resourceSqueeze": {"memory": "1Mi"}}),
    an_agent_spec({"network": {"loss": "1%"}}),
    an_agent_spec({"containerKill": {"container": "app"}}),
    a_spec(hypothesis=[{"promql": {"query": "up", "condition": "> 0"}}]),
    a_spec(
        approval="Required",
        schedule={"cron": "*/5 * * * *"},
        proves=[{"recoveryPolicy": "restart-checkout"}, {"slo": "checkout"}],
        stopConditions=[{"budget": {"slo": "checkout", "remainingBelow": "10%"}}],
        hypothesis=[{"slo": {"name": "checkout", "burnRateBelow": "6"}, "duringFault": "MayBreak"}],
    ),
]

times = st.none() | st.integers(-200, 200).map(lambda seconds: START + timedelta(seconds=seconds))
some = times.filter(bool)
ages = st.sampled_from([timedelta(0), timedelta(minutes=5)])
outcomes = st.builds(
    Outcome, st.sampled_from(list(Verb)), st.sampled_from(["", "Conflict", "NotFound", "Locked", "Forbidden"])
)
ids = st.sampled_from(
    [
        f"{ME.uid}-1-{word}"
        for word in ("lock-0-0", "inject-0-0", "undo-0-0", "unlock-0", "keep-0", "hold-0", "guard", "unguard-0")
    ]
)
markers = st.sampled_from(
    [None, "", "{}", marker_text(ME.uid, 1, {"replicas": "3"}, {"replicas": "1"}),
     marker_text("other", 1, {"replicas": "3"}, {"replicas": "1"})]
)  # fmt: skip
workload = WorkloadRecord(kind="Deployment", name="checkout", uid=CHECKOUT.uid, ready_before=3)
fields = st.dictionaries(
    st.sampled_from(["replicas", "image/app", "limits/app/cpu", "odd", "env/app/"]),
    st.sampled_from(["", "1", "3", "x"]),
)
records = st.builds(
    TargetRecord,
    kind=st.sampled_from(["Pod", "Deployment", "StatefulSet", "Node"]),
    name=st.sampled_from(["checkout", "checkout-1"]),
    uid=st.sampled_from([CHECKOUT.uid, "checkout-1-uid", "gone"]),
    phase=st.sampled_from(list(TargetPhase)),
    original=fields,
    to=fields,
    agent=st.sampled_from(["", "homeostat-1"]),
    workload=st.sampled_from([workload, workload.model_copy(update={"uid": "gone"})]),
)
statuses = st.builds(
    ChaosExperimentStatus,
    phase=st.sampled_from(list(Phase)),
    verdict=st.none() | st.sampled_from(list(Verdict)),
    reason=st.sampled_from(["", "Odd one", *list(ChaosReason)]),
    run=st.sampled_from(["", "1"]),
    run_number=st.integers(0, 3),
    run_generation=st.integers(0, 2),
    abort=st.sampled_from(["", "stop"]),
    next_run_at=times,
    approval=st.none() | st.builds(PlanApproval, hash=st.just("0123456789abcdef"), since=some, expiresAt=some),
    started_at=times,
    steady_since=times,
    injected_at=times,
    revert_at=times,
    injection_attempts=st.integers(0, 4),
    targets=st.lists(records, max_size=3).map(tuple),
    guard=st.sampled_from(["", "homeostat-undo-1"]),
    revert=st.none()
    | st.builds(
        Revert,
        startedAt=times.filter(bool),
        attempts=st.integers(0, 40),
        next_at=times,
        done_at=times,
    ),
)
agents = st.builds(
    AgentSeen,
    st.none()
    | st.builds(
        AgentContainer,
        st.just("homeostat-1"),
        st.sampled_from(["Waiting", "Running", "Ended"]),
        st.sampled_from(["", "ErrImagePull"]),
        st.sampled_from([None, 0, 1, 137]),
    ),
    st.none()
    | st.builds(
        Said,
        st.sampled_from(list(AgentState)),
        reason=st.sampled_from(["", *OffReason, *RefusalReason]),
        counters=st.sampled_from([{}, {"packets": 3}, {"x" * 99: -1}]),
    ),
    times,
)
guards = st.none() | st.builds(GuardSeen, st.just(""), st.booleans(), st.sampled_from(["", "Forbidden"]), times)
checks = st.none() | st.builds(CheckSeen, st.sampled_from(list(HealthState)), times, times, ages)


@st.composite
def cases(draw_: Any) -> Case:
    """Give an experiment, a memory, and a world that do not have to fit each other."""
    world = Watched(draw_(st.sampled_from(SPECS)), status=draw_(statuses), replicas=draw_(st.integers(0, 4)))
    marker = draw_(markers)
    world.annotations = {} if marker is None else {MARKER: marker}
    world.check = draw_(checks)
    world.is_checkout_there = draw_(st.booleans())
    world.labels = draw_(st.sampled_from([(ALLOWED_LABEL,), ()]))
    world.budgets = draw_(st.sampled_from([(), (DisruptionBudget("floor", "app=checkout", 0),)]))
    world.freeze = draw_(st.sampled_from([None, FREEZE]))
    world.lock = draw_(st.none() | st.builds(Lock, st.sampled_from([ME, OTHER]), times.filter(bool)))
    world.objectives = draw_(st.sampled_from([{}, {"checkout": Objective()}, {"checkout": Objective("9", "0.01")}]))
    world.alerts = draw_(st.sampled_from([(), (AlertSeen("ServiceLevelObjective", "checkout", START),)]))
    world.approvals = draw_(st.sampled_from([(), (ApprovalSeen("0123456789abcdef", "jane", None),)]))
    world.abort_requested = draw_(st.sampled_from(["", "stop"]))
    world.trouble = draw_(st.sampled_from([None, Trouble.TIMEOUT]))
    world.reactions = draw_(st.sampled_from([(), (ReactionSeen("restart-checkout", START),)]))
    seen = replace(
        world.seen(draw_(st.dictionaries(ids, outcomes, max_size=4))),
        is_deleting=draw_(st.booleans()),
        has_finalizer=draw_(st.booleans()),
        run_requested=draw_(st.sampled_from(["", "1", "2"])),
        generation=draw_(st.integers(0, 2)),
        view_age=draw_(ages),
        namespace=draw_(st.sampled_from([None, world.seen().namespace])),
        choice=draw_(st.floats(0, 1, exclude_max=True)),
        guard=draw_(guards),
        guards_needed=draw_(st.booleans()),
        agents=draw_(st.dictionaries(st.just("checkout-1-uid"), agents)),
        problem=draw_(st.sampled_from([None, ("NotImplemented", "spec.schedule"), ("what?", "")])),
    )
    return Case(world.spec, world.status, seen, world.now)


def injections(case: Case) -> list[DeletePod | HoldFields | StartAgent]:
    acts = decide(case.spec, case.status, case.seen, case.now).actions
    return [
        act
        for act in acts
        if isinstance(act, DeletePod | StartAgent) or (isinstance(act, HoldFields) and act.annotations[MARKER])
    ]


@settings(max_examples=150, deadline=None)
@given(cases())
def test_decide_is_total_idempotent_and_what_it_writes_can_be_read_back(case: Case) -> None:
    first = decide(case.spec, case.status, case.seen, case.now)
    read_back = ChaosExperimentStatus.model_validate(first.status.wire())
    second = decide(case.spec, read_back, case.seen, case.now)

    assert read_back == first.status
    assert second == replace(first, events=())
    assert first.check_again_at is None or first.check_again_at > case.now
    assert len({act.id for act in first.actions}) == len(first.actions)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_nothing_is_injected_when_any_gate_refuses(case: Case) -> None:
    """C2, C4, C8, C9, C10, C12: whatever the memory says."""
    acts = injections(case)
    if not acts:
        return
    seen = case.seen

    assert seen.has_finalizer
    assert not seen.is_deleting
    assert seen.freeze is None
    assert seen.problem is None
    assert seen.view_age == timedelta(0)
    assert not case.spec.suspend
    assert not case.spec.dry_run
    is_begun = any(one.phase is not TargetPhase.PLANNED for one in case.status.targets)
    assert is_begun or not isinstance(draw(case), Refusal)
    assert all(act.id.startswith(f"{ME.uid}-") for act in acts)


def _is_held(record: TargetRecord) -> bool:
    """Whether fields of checkout are on record as held."""
    return bool(record.to) and not record.agent and record.uid == CHECKOUT.uid and record.kind != "Pod"


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_finalizer_is_not_let_go_while_our_fault_is_on_a_target_of_record(case: Case) -> None:
    """C2, C16: unless the undo of a deleted one failed three times; then the marker leads the sweeper."""
    status = case.status
    decision = decide(case.spec, status, case.seen, case.now)
    ours = marker_text(ME.uid, 1, {"replicas": "3"}, {"replicas": "1"})
    afflicted = [one for one in case.seen.afflicted if dict(one.annotations).get(MARKER) == ours]
    is_on = any(_is_held(one) for one in status.targets) and bool(afflicted)
    is_given_up = case.seen.is_deleting and status.revert is not None and status.revert.attempts >= 2

    if is_on and status.phase in FAULT_MAY_BE_ON and not is_given_up:
        assert decision.wants_finalizer is not False
    if decision.wants_finalizer is False:
        assert decision.actions == ()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_plan_is_a_pure_function_of_what_is_seen(case: Case) -> None:
    """C14: the same targets for a dry run and for a real one."""
    dry = replace(case, spec=case.spec.model_copy(update={"dry_run": True}))
    real = replace(case, spec=case.spec.model_copy(update={"dry_run": False}))
    first, second = draw(dry), draw(real)

    assert first == second
    if isinstance(first, Draft):
        assert 1 <= len(first.targets) == len(first.plan.targets) == len(first.plan.changes) == len(first.plan.undo)


# --- whole runs -----------------------------------------------------------------------------------------

HARMS = ("", "check", "objective", "query", "answered", "burns", "alert", "freeze", "abort", "away", "dead")
BLINDING = {"objective", "query", "answered", "alert", "freeze", "away", "dead"}
"""Those of which one look ends a run: a check is stale only after a while, and an abort may be an old one."""


def harm(world: Watched, what: str) -> None:
    """Let one thing go wrong, or all be well again."""
    world.is_check_silent = what == "check"
    world.trouble = Trouble.UNREACHABLE if what == "query" else None
    world.value = None if what == "answered" else 0.0
    objective = Objective(rate="9" if what == "burns" else "0")
    objective.silent_since = START - timedelta(minutes=5) if what == "objective" else None
    world.objectives = {} if what == "dead" else {"checkout": objective}
    world.alerts = (AlertSeen("RecoveryPolicy", "other", world.now),) if what == "alert" else ()
    world.freeze = FREEZE if what == "freeze" else None
    world.abort_requested = str(world.now) if what == "abort" else ""
    world.view_age = timedelta(minutes=5) if what == "away" else timedelta(0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(HARMS), st.integers(1, 12)), max_size=8), st.booleans())
def test_no_run_passes_in_which_data_was_missing_while_the_fault_was_on(
    story: list[tuple[str, int]],
    may_break: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """C7, C8, C9, C15: whatever happens in whichever order; and at its end nothing of the fault is left."""
    during = "MayBreak" if may_break else "MustHold"
    parts = ({"slo": {"name": "checkout", "burnRateBelow": "6"}}, {"promql": {"query": "up", "condition": "< 1"}})
    hypothesis = [{"healthCheck": {"name": "checkout"}}, *parts]
    world = Watched(a_scale_spec(hypothesis=[part | {"duringFault": during} for part in hypothesis]))
    was_blind = False
    for what, seconds in (*story, ("", 120)):
        harm(world, what)
        for _ in range(seconds):
            world.reconcile()
            world.tick()
            is_on = world.status.phase is Phase.RUNNING
            was_blind = was_blind or (is_on and what in BLINDING)
    status = world.status

    assert status.phase is Phase.FINISHED
    assert (world.replicas, world.marker) == (3, None)
    assert not (was_blind and status.verdict is Verdict.PASSED), status
    if status.verdict is Verdict.PASSED:
        assert status.timings.recovered_after is not None
