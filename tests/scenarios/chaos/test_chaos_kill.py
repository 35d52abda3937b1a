"""Whatever happens, and wherever the operator is killed: what was broken is whole again afterwards."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from homeostat.api.chaos import ALLOWED_LABEL, MARKER
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.core.action import (
    Action,
    DeletePod,
    DropGuard,
    EvictPod,
    HoldAgent,
    HoldFields,
    KeepGuard,
    Outcome,
    StartAgent,
    StopAgent,
    Verb,
)
from homeostat.core.chaos import recorded
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.cluster import DisruptionBudget, Lock
from homeostat.core.orders import RefusalReason
from homeostat.core.ref import Ref
from scenarios.chaos.world import FREEZE, ME, SHOP, World, a_held_spec, a_scale_spec, a_spec, an_agent_spec

POD = {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}}
SPECS = {
    "podKill": a_spec(),
    "podKill, observed": a_spec(reaction="Observe"),
    "podEvict": a_spec(fault={"podEvict": {}}),
    "scale": a_scale_spec(),
    "scale, observed": a_scale_spec(reaction="Observe"),
    "scale to zero": a_scale_spec(fault={"scale": {"to": 0}}, blastRadius={"minAvailable": 0}),
    "cordon": a_held_spec({"cordon": {}}, "Node"),
    "drain": a_held_spec({"drain": {}}, "Node"),
    "rolloutBreak image": a_held_spec({"rolloutBreak": {"image": "shop:none"}}),
    "rolloutBreak env": a_held_spec({"rolloutBreak": {"env": {"MODE": "broken", "NEW": "1"}}}),
    "resourceSqueeze of a Deployment": a_held_spec({"resourceSqueeze": {"memory": "32Mi", "cpu": "100m"}}),
    "resourceSqueeze of a Pod": a_spec(fault={"resourceSqueeze": {"memory": "32Mi"}}),
    "network": an_agent_spec({"network": {"loss": "20%"}}),
    "network, two pods": an_agent_spec({"network": {"delay": "100ms"}}, target={**POD, "count": 2}),
    "cpu, observed": an_agent_spec({"cpu": {"load": "80%"}}, reaction="Observe"),
    "processPause": an_agent_spec({"processPause": {"name": "app"}}),
    "processKill": an_agent_spec({"processKill": {"name": "app"}}),
    "containerKill": an_agent_spec({"containerKill": {"container": "app"}}),
}
BREAKING = [HoldFields, DeletePod, EvictPod, StartAgent]
SPECS = {name: spec.model_copy(update={"duration": timedelta(seconds=4)}) for name, spec in SPECS.items()}
AGENTS_BLOWS = {"processKill", "containerKill"}
REFUSALS = st.sampled_from([RefusalReason.FOREIGN_RULES, RefusalReason.FAILED])
FAR = [Phase.INJECTING, Phase.RUNNING, Phase.RUNNING, Phase.REVERTING, Phase.RECOVERING]


class WatchedWorld(World):
    """A world that refuses to be broken by an operator that may not."""

    def _serve(self, action: Action) -> Outcome:
        puts_on = isinstance(action, HoldFields) and action.annotations[MARKER] is not None
        if isinstance(action, DeletePod | EvictPod | StartAgent) or puts_on:
            assert self.has_finalizer, "C2: finalizer first"
            assert self.freeze is None, "C9: frozen"
            assert not self.budget_held_by, "C8: held by a budget"
            assert not self.is_deleting
            assert self.labels, "C10: the namespace has not opted in"
            for afflicted in recorded(SHOP, self.status):
                lock = self._locks()[afflicted.uid]
                assert lock is not None, "R11: no lock"
                assert lock.holder == ME, "R11: somebody else's lock"
            assert self.view_age < timedelta(minutes=1), "C4: stale view"
            assert self.status.phase is Phase.INJECTING, "C2: not on record"
            target = action.target if isinstance(action, HoldFields) else action.pod
            assert target.uid in {one.uid for one in self.status.targets}, "C2: not on record"
            fault = self.spec.fault
            # an eviction asks by itself; a cordon, and the rollout of a workload as small as this one, take no pod away
            takes_none = any(one is not None for one in (fault.pod_evict, fault.cordon, fault.rollout_break))
            takes_none |= self.ready == 0  # nor is there one to take
            assert takes_none or not any(one.disruptions_allowed == 0 for one in self.budgets), "C10: PDB"
        if puts_on:
            assert self.guard is not None, "C3: nobody would restore it"
            assert self.guard.is_ready(self.now), "C3: the guard is not ready"
        outcome = super()._serve(action)
        if isinstance(action, HoldAgent):
            agents = self.agents.get(action.pod.name, [])
            assert sum(one.is_on for one in agents) <= 1, "C12: two faults on a target"
        return outcome


def a_world(spec: Any, **changes: Any) -> WatchedWorld:
    """Give a world in which held fields are guarded."""
    return WatchedWorld(spec, guards_needed=True, **changes)


def calls_of(spec: Any) -> int:
    """Count the calls to the API server of a run that nobody disturbs."""
    world = a_world(spec)
    world.reconcile()
    world.run(60, until=Phase.FINISHED)
    world.run(2)
    return world.steps


EACH_CALL = pytest.mark.parametrize(
    ("name", "step"), [(name, step) for name, spec in SPECS.items() for step in range(calls_of(spec))]
)


def killed_at(spec: Any, step: int) -> WatchedWorld:
    """Give a world whose operator was killed at that call, or came to the end of the run before."""
    world = a_world(spec, steps_to_live=step)
    world.reconcile()
    while world.steps_to_live is not None and world.status.phase is not Phase.FINISHED:
        world.run(1)
    return world


@EACH_CALL
def test_killed_at_any_call_the_run_ends_with_the_target_as_it_was(name: str, step: int) -> None:
    """C2, R2: kill at each point; exactly one fault, and nothing left of it."""
    world = a_world(SPECS[name], steps_to_live=step)
    world.reconcile()
    world.run(120, until=Phase.FINISHED)
    world.run(2)

    assert world.status.phase is Phase.FINISHED
    assert (world.replicas, world.left, world.has_finalizer) == (3, [], False)
    assert (world.lock, world.node_lock) == (None, None)
    assert len({act.id for act in world.acts if isinstance(act, DeletePod)}) <= 1
    assert all(len(agents) <= 1 for agents in world.agents.values())
    assert world.born <= 3 + 3
    is_unheard = name in AGENTS_BLOWS and world.status.reason == ChaosReason.INTERRUPTED
    assert world.status.verdict is Verdict.PASSED or is_unheard


@EACH_CALL
def test_killed_at_any_call_and_deleted_while_it_was_dead_it_undoes_first(name: str, step: int) -> None:
    """C2: the finalizer holds the object until the target is as it was."""
    world = killed_at(SPECS[name], step)
    world.is_deleting = True
    world.is_gone = not world.has_finalizer
    world.run(8)

    assert world.is_gone
    assert (world.replicas, world.left) == (3, [])


@EACH_CALL
def test_killed_at_any_call_for_good_the_sweeper_finds_what_is_left(name: str, step: int) -> None:
    """C3: finalizer stripped, record lost; agents end by themselves."""
    world = killed_at(SPECS[name], step)
    world.is_gone = True
    world.sweep()
    world.tick(5)

    assert (world.replicas, world.left) == (3, [])


@EACH_CALL
def test_killed_at_any_call_for_good_guard_and_lease_undo_without_anybody(name: str, step: int) -> None:
    """C3, C4, C18: no operator and no sweeper; only the guard itself is still listed."""
    world = killed_at(SPECS[name], step)
    world.tick(4)
    assert not any("agent" in one for one in world.left)
    for _ in range(20):
        world.tick()

    assert (world.replicas, [one for one in world.left if one != "guard"]) == (3, [])


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.target.kind == "Pod"])
def test_a_target_pod_that_is_replaced_during_the_fault_takes_the_fault_with_it(name: str) -> None:
    """C5: nothing is left to undo, and the run goes on to its verdict."""
    world = a_world(SPECS[name])
    world.run(30, until=Phase.RUNNING)
    world.run(2)
    for record in world.status.targets:
        world.pods.pop(record.name, None)
    world.run(60)

    assert (world.status.phase, world.status.verdict, world.left) == (Phase.FINISHED, Verdict.PASSED, [])


class AnyDay(RuleBasedStateMachine):
    """Everything that may happen to a run, in any order; at the end of the day nothing is left of the fault."""

    world: WatchedWorld
    wanted: int

    @initialize(
        spec=st.sampled_from(list(SPECS.values())),
        starts_in=st.sampled_from([2, 40]),
        phase=st.sampled_from(FAR),
        step=st.integers(0, 8),
    )
    def a_run_comes_far_and_the_operator_is_killed(self, spec: Any, starts_in: int, phase: Phase, step: int) -> None:
        """Without this most days would end before the fault is on."""
        self.world = a_world(spec, starts_in=timedelta(seconds=starts_in))
        self.wanted = 3
        self.world.reconcile()
        self.world.run(60, until=phase)
        self.world.steps_to_live = step

    @precondition(lambda self: self.world.status.phase is Phase.FINISHED and not self.world.is_deleting)
    @rule(phase=st.sampled_from(FAR))
    def a_new_run_comes_far(self, phase: Phase) -> None:
        world = self.world
        world.answers, world.loses_answers_to, world.view_age, world.freeze = {}, None, timedelta(0), None
        world.budget_held_by = ""
        world.is_check_silent, world.needs, world.budgets, world.labels = False, 0, (), (ALLOWED_LABEL,)
        world.spec, world.generation = world.spec.model_copy(update={"suspend": False}), world.generation + 1
        world.tick(60)
        world.run_requested = f"{world.run_requested}+"
        world.run(1)
        world.run(60, until=phase)

    @rule(seconds=st.integers(1, 15))
    def time_passes(self, seconds: int) -> None:
        self.world.run(seconds)

    @rule(seconds=st.integers(1, 100))
    def the_operator_is_away(self, seconds: int) -> None:
        self.world.tick(seconds)

    @rule(step=st.integers(0, 12), seconds=st.integers(1, 4))
    def the_operator_is_killed(self, step: int, seconds: int) -> None:
        self.world.steps_to_live = step
        self.world.run(seconds)

    @rule(kind=st.sampled_from(BREAKING), reason=st.sampled_from(["Conflict", "Forbidden", "NotFound"]))
    def the_api_server_refuses(self, kind: type, reason: str) -> None:
        self.world.answers.setdefault(kind, []).append(Outcome(Verb.REFUSED, reason))

    @rule(times=st.integers(1, 5), kind=st.sampled_from([HoldFields, KeepGuard, DropGuard, HoldAgent, StopAgent]))
    def the_wire_breaks(self, times: int, kind: type) -> None:
        self.world.answers.setdefault(kind, []).extend([Outcome(Verb.FAILED, "Unavailable")] * times)

    @rule(kind=st.sampled_from([*BREAKING, None]))
    def answers_are_lost(self, kind: type | None) -> None:
        self.world.loses_answers_to = kind

    @rule(is_frozen=st.booleans())
    def a_freeze_comes_or_goes(self, is_frozen: bool) -> None:  # noqa: FBT001
        self.world.freeze = FREEZE if is_frozen else None

    @rule(is_low=st.booleans())
    def a_budget_runs_low_or_recovers(self, is_low: bool) -> None:  # noqa: FBT001
        self.world.budget_held_by = "checkout" if is_low else ""

    @rule(is_allowed=st.booleans())
    def the_namespace_opts_in_or_out(self, is_allowed: bool) -> None:  # noqa: FBT001
        self.world.labels = (ALLOWED_LABEL,) if is_allowed else ()

    @rule(is_strict=st.booleans())
    def a_disruption_budget_comes_or_goes(self, is_strict: bool) -> None:  # noqa: FBT001
        self.world.budgets = (DisruptionBudget("floor", "app=checkout", 0),) if is_strict else ()

    @rule(age=st.sampled_from([0, 120]))
    def the_view_ages_or_is_refreshed(self, age: int) -> None:
        self.world.view_age = timedelta(seconds=age)

    @rule(is_silent=st.booleans(), needs=st.integers(0, 4))
    def the_check_changes_its_mind(self, is_silent: bool, needs: int) -> None:  # noqa: FBT001
        self.world.is_check_silent, self.world.needs = is_silent, needs

    @rule(is_suspended=st.booleans())
    def the_spec_is_edited(self, is_suspended: bool) -> None:  # noqa: FBT001
        self.world.spec = self.world.spec.model_copy(update={"suspend": is_suspended})
        self.world.generation += 1

    @rule(replicas=st.integers(4, 6))
    def somebody_scales_checkout(self, replicas: int) -> None:
        """With another value than any fault's: one that is the fault's own cannot be told from it."""
        self.world.write(replicas)
        self.wanted = replicas

    @rule(seconds=st.integers(1, 50))
    def a_policy_takes_the_lock(self, seconds: int) -> None:
        if self.world.lock is None:
            policy = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")
            self.world.lock = Lock(policy, self.world.now + timedelta(seconds=seconds))

    @precondition(lambda self: self.world.status.phase is Phase.RUNNING)
    @rule()
    def somebody_strips_the_marker(self) -> None:
        self.world.write(self.world.replicas, {MARKER: None})

    @rule()
    def a_pod_is_replaced(self) -> None:
        self.world.pods.pop(next(iter(self.world.pods), ""), None)

    @rule(is_deaf=st.booleans())
    def agents_can_no_longer_be_told_or_can_again(self, is_deaf: bool) -> None:  # noqa: FBT001
        for agents in self.world.agents.values():
            for agent in agents:
                agent.is_deaf = is_deaf

    @rule(stuck=st.sampled_from(["", "ErrImagePull", "ContainerCreating"]), refuses=st.none() | REFUSALS)
    def agents_do_not_start_or_refuse(self, stuck: str, refuses: RefusalReason | None) -> None:
        self.world.stuck, self.world.refuses = stuck, refuses

    @rule(trouble=st.sampled_from(["", "ErrImagePull"]))
    def guards_do_not_start(self, trouble: str) -> None:
        self.world.guard_trouble = trouble

    @rule()
    def it_is_deleted(self) -> None:
        self.world.is_deleting = True
        self.world.is_gone = self.world.is_gone or not self.world.has_finalizer

    @invariant()
    def deciding_twice_is_deciding_once(self) -> None:
        first = self.world.decide()
        self.world.status, before = first.status, self.world.status
        second = self.world.decide()
        self.world.status = before

        assert (second.status, second.actions, second.wants_finalizer) == (
            first.status, first.actions, first.wants_finalizer,
        )  # fmt: skip
        assert (second.events, second.check_again_at) == ((), first.check_again_at)
        assert first.check_again_at is None or first.check_again_at > self.world.now

    @invariant()
    def a_fault_is_always_on_record_and_held_by_the_finalizer(self) -> None:
        """C2: as long as the object is there at all."""
        if self.world.marker is not None and not self.world.is_gone:
            assert self.world.has_finalizer or self.world.status.phase is Phase.FINISHED
            assert self.world.status.targets[0].original == self.world.marker["original"]

    @invariant()
    def there_are_never_two_faults_on_a_target(self) -> None:
        """C12: of all agents that were ever let into a pod, one holds a fault."""
        for agents in self.world.agents.values():
            assert sum(agent.is_on for agent in agents) <= 1

    def teardown(self) -> None:
        """Let calm return: the fault goes, by the controller or, where it may not, by the sweeper."""
        world = self.world
        world.answers, world.loses_answers_to, world.view_age = {}, None, timedelta(0)
        world.spec, world.steps_to_live, world.is_check_silent = (
            world.spec.model_copy(update={"suspend": True}),
            None,
            False,
        )
        world.generation += 1
        world.run(200)
        world.sweep()

        assert world.status.phase in {Phase.FINISHED, Phase.PENDING} or world.is_gone
        assert (world.replicas, world.left) == (self.wanted, [])
        assert not world.has_finalizer
        assert world.lock is None or world.lock.until < world.now


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
