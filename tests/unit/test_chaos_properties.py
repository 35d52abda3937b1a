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
    Revert,
    TargetPhase,
    TargetRecord,
    Verdict,
    WorkloadRecord,
)
from homeostat.api.health_check import HealthState
from homeostat.core.chaos import CheckSeen, ReactionSeen, decide, draw
from homeostat.core.chaos.gates import Refusal
from homeostat.core.chaos.marker import Marker
from homeostat.core.chaos.plan import Draft
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import DisruptionBudget, Lock
from homeostat.core.decision import DeletePod, Outcome, Ref, Scale, Verb
from scenarios.chaos.world import CHECKOUT, FREEZE, ME, START, World, a_scale_spec, a_spec

FAULT_MAY_BE_ON = {Phase.INJECTING, Phase.RUNNING, Phase.REVERTING, Phase.RECOVERING}
OTHER = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")
SPECS = [
    a_spec(),
    a_spec(reaction="Observe", dryRun=True),
    a_spec(target={"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": "67%"}),
    a_scale_spec(),
    a_scale_spec(suspend=True, reaction="Observe"),
    a_spec(fault={"cordon": {}}),
    a_spec(hypothesis=[{"promql": {"query": "up", "condition": "> 0"}}]),
]

times = st.none() | st.integers(-200, 200).map(lambda seconds: START + timedelta(seconds=seconds))
ages = st.sampled_from([timedelta(0), timedelta(minutes=5)])
outcomes = st.builds(
    Outcome, st.sampled_from(list(Verb)), st.sampled_from(["", "Conflict", "NotFound", "Locked", "Forbidden"])
)
ids = st.sampled_from([f"{ME.uid}-1-{word}" for word in ("lock-0-0", "inject-0-0", "undo-0-0", "unlock-0", "keep-0")])
markers = st.sampled_from(
    [None, "", "{}", Marker(experiment=ME.uid, run=1, original=3, to=1).text(),
     Marker(experiment="other", run=1, original=3, to=1).text()]
)  # fmt: skip
workload = WorkloadRecord(kind="Deployment", name="checkout", uid=CHECKOUT.uid, ready_before=3)
records = st.builds(
    TargetRecord,
    kind=st.sampled_from(["Pod", "Deployment", "StatefulSet"]),
    name=st.sampled_from(["checkout", "checkout-1"]),
    uid=st.sampled_from([CHECKOUT.uid, "checkout-1-uid", "gone"]),
    phase=st.sampled_from(list(TargetPhase)),
    original=st.none() | st.integers(0, 4),
    to=st.none() | st.integers(0, 4),
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
    started_at=times,
    steady_since=times,
    injected_at=times,
    revert_at=times,
    injection_attempts=st.integers(0, 4),
    targets=st.lists(records, max_size=3).map(tuple),
    revert=st.none()
    | st.builds(
        Revert,
        startedAt=times.filter(bool),
        attempts=st.integers(0, 40),
        next_at=times,
        done_at=times,
    ),
)
checks = st.none() | st.builds(CheckSeen, st.sampled_from(list(HealthState)), times, times, ages)


@st.composite
def cases(draw_: Any) -> Case:
    """Give an experiment, a memory, and a world that do not have to fit each other."""
    world = World(draw_(st.sampled_from(SPECS)), status=draw_(statuses), replicas=draw_(st.integers(0, 4)))
    marker = draw_(markers)
    world.annotations = {} if marker is None else {MARKER: marker}
    world.check = draw_(checks)
    world.is_checkout_there = draw_(st.booleans())
    world.labels = draw_(st.sampled_from([(ALLOWED_LABEL,), ()]))
    world.budgets = draw_(st.sampled_from([(), (DisruptionBudget("floor", "app=checkout", 0),)]))
    world.freeze = draw_(st.sampled_from([None, FREEZE]))
    world.lock = draw_(st.none() | st.builds(Lock, st.sampled_from([ME, OTHER]), times.filter(bool)))
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
        problem=draw_(st.sampled_from([None, ("NotImplemented", "spec.schedule"), ("what?", "")])),
    )
    return Case(world.spec, world.status, seen, world.now)


def injections(case: Case) -> list[DeletePod | Scale]:
    acts = decide(case.spec, case.status, case.seen, case.now).actions
    return [
        act
        for act in acts
        if isinstance(act, DeletePod) or (isinstance(act, Scale) and act.annotations[MARKER] is not None)
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


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_finalizer_is_not_let_go_while_our_fault_is_on_a_target_of_record(case: Case) -> None:
    """C2, C16: unless the undo of a deleted one failed three times; then the marker leads the sweeper."""
    status = case.status
    decision = decide(case.spec, status, case.seen, case.now)
    ours = Marker(experiment=ME.uid, run=1, original=3, to=1).text()
    afflicted = [one for one in case.seen.afflicted if dict(one.annotations).get(MARKER) == ours]
    is_on = any(one.to is not None and one.uid == CHECKOUT.uid for one in status.targets) and bool(afflicted)
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
