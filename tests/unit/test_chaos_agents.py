"""Faults that an agent holds: how they go on, stay on and go off, and what comes in between."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, TargetPhase, Verdict
from homeostat.api.health_check import HealthState
from homeostat.core.action import HoldAgent, Outcome, StartAgent, StopAgent, TakeLock, Verb
from homeostat.core.chaos.faults import hold, injection
from homeostat.core.chaos.faults.settings import order_of, peer_selectors
from homeostat.core.chaos.faults.undo import AGENT_PATIENCE, commands, has_failed, needed
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.injecting import injecting
from homeostat.core.chaos.seen import AgentSeen, Case, CheckSeen
from homeostat.core.cluster import AgentContainer, Container
from homeostat.core.orders import AgentState, OffReason, RefusalReason, Said
from scenarios.chaos.holders import Agent
from scenarios.chaos.world import World, an_agent_spec

NETWORK = an_agent_spec({"network": {"loss": "20%"}}, duration="20s")
NETWORK_LOSS = {"network": {"loss": "20%"}}
KILL = {"containerKill": {"container": "app"}}
TWO = an_agent_spec(
    {"network": {"loss": "20%"}},
    target={"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": 2},
)


def let_in(spec: Any = NETWORK, **world: Any) -> World:
    """Give a world in which the agents were just asked for."""
    made = World(spec, **world)
    made.reconcile()
    made.run(30, until=Phase.INJECTING)
    made.run(1)
    assert made.status.phase is Phase.INJECTING
    return made


def on(spec: Any = NETWORK, **world: Any) -> World:
    made = let_in(spec, **world)
    made.run(10, until=Phase.RUNNING)
    assert made.status.phase is Phase.RUNNING, made.status
    return made


def agent_of(world: World, pod: str = "checkout-1") -> Agent:
    (agent,) = world.agents[pod]
    return agent


def case_of(world: World, **seen: Any) -> Case:
    return Case(world.spec, world.status, world.seen(**seen), world.now)


def ended(world: World) -> tuple[Any, str]:
    world.run(90, until=Phase.FINISHED)
    assert (world.status.phase, world.left) == (Phase.FINISHED, [])
    return world.status.verdict, world.status.reason


# --- on -------------------------------------------------------------------------------------------------


def test_no_agent_begins_before_all_of_them_say_that_they_can() -> None:
    """C2: nothing is touched where one of them refuses."""
    world = let_in(TWO)
    assert [type(act) for act in world.acts if isinstance(act, StartAgent | HoldAgent)] == [StartAgent] * 2
    world.agents["checkout-2"][0].refuses = RefusalReason.FOREIGN_RULES

    assert ended(world) == (Verdict.ABORTED, ChaosReason.AGENT_REFUSED)
    assert agent_of(world).on_since is None


@pytest.mark.parametrize(
    ("reason", "said"),
    [("Forbidden", ChaosReason.AGENT_FORBIDDEN), ("Invalid", ChaosReason.AGENT_NOT_STARTED)],
)
def test_an_agent_that_is_not_let_in_is_told_in_the_words_of_the_api_server(reason: str, said: ChaosReason) -> None:
    """C6: Pod Security, or RBAC."""
    world = World(NETWORK, answers={StartAgent: [Outcome(Verb.REFUSED, reason, "violates PodSecurity")]})

    assert ended(world) == (Verdict.ABORTED, said)
    assert "violates PodSecurity" in world.status.message


def test_a_refusal_is_told_with_its_own_word() -> None:
    """C6: a foreign chain on the interface stays untouched."""
    world = World(NETWORK, refuses=RefusalReason.FOREIGN_RULES)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.AGENT_REFUSED)
    assert "ForeignRules" in world.status.message


@pytest.mark.parametrize(("stuck", "within"), [("ErrImagePull", 2), ("ContainerCreating", 40)])
def test_an_agent_that_does_not_start_is_given_up_and_has_left_nothing_to_undo(stuck: str, within: int) -> None:
    """C2: at once when its image cannot be pulled, else when the checks before it are too old."""
    world = World(NETWORK, stuck=stuck)
    world.run(30, until=Phase.INJECTING)
    world.run(within, until=Phase.FINISHED)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.AGENT_NOT_STARTED)


def test_a_pod_that_goes_before_its_fault_is_on_shows_nothing() -> None:
    """C15: nothing was broken by us."""
    world = let_in()
    world.pods.pop("checkout-1")

    assert ended(world) == (Verdict.INCONCLUSIVE, ChaosReason.TARGET_GONE)


def test_a_pod_that_changed_just_now_is_asked_again() -> None:
    """R2: a fresh look."""
    world = World(NETWORK, answers={StartAgent: [Outcome(Verb.REFUSED, "Conflict")]})

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_what_is_there_already_is_waited_for_and_not_asked_for_again() -> None:
    """R11: one lock and one container an attempt, however long its image takes."""
    world = let_in(TWO, stuck="ContainerCreating")
    world.run(10)

    assert world.status.phase is Phase.INJECTING
    assert [type(act) for act in world.acts] == [TakeLock, StartAgent, StartAgent]


# --- held -----------------------------------------------------------------------------------------------


def test_while_the_fault_lasts_each_agent_is_held_for_a_moment_at_a_time() -> None:
    """C4: who stops deciding stops the fault."""
    world = on(TWO)
    held = [act for act in hold.keep(case_of(world)) if isinstance(act, HoldAgent)]

    assert [act.pod.name for act in held] == ["checkout-1", "checkout-2"]
    assert {act.seconds for act in held} == {3.0}


def test_an_agent_whose_fault_is_on_is_held_while_others_are_still_to_begin() -> None:
    """C18: the operator was killed between two of them."""
    world = on(TWO)
    first, second = world.status.targets
    planned = second.model_copy(update={"phase": TargetPhase.PLANNED})
    world.status = world.status.model_copy(update={"phase": Phase.INJECTING, "targets": (first, planned)})
    agents = {**world.seen().agents, second.uid: AgentSeen(None)}
    acts = injection.actions(case_of(world, agents=agents))

    assert [act.pod.name for act in acts if isinstance(act, HoldAgent)] == ["checkout-1"]
    assert [act.pod.name for act in acts if isinstance(act, StartAgent)] == ["checkout-2"]


def test_mechanism_and_counters_go_on_record() -> None:
    """C17: what the fault was made of, and what it met."""
    world = on()
    world.run(2)
    (record,) = world.status.targets

    assert (record.mechanism, record.counters) == ("a mechanism", {"packets": 1})


@pytest.mark.parametrize(
    ("word", "is_lost"),
    [
        (Said(AgentState.OFF, reason=OffReason.LEASE), True),
        (Said(AgentState.OFF, reason=OffReason.HOLDER_DIED), True),
        (Said(AgentState.OFF, reason=OffReason.DEADLINE), True),
        (Said(AgentState.OFF, reason=OffReason.DONE), False),
        (Said(AgentState.ON), False),
    ],
)
def test_an_agent_that_ends_before_its_time_is_lost(word: Said, is_lost: bool) -> None:  # noqa: FBT001
    """C15: the fault was not there for as long as it should: nothing is shown."""
    world = on()
    agent_of(world).word = word

    assert (hold.lost(case_of(world)) is not None) is is_lost


@pytest.mark.parametrize(
    ("spec", "is_lost"), [(an_agent_spec({"processPause": {"name": "app"}}), False), (NETWORK, True)]
)
def test_an_agent_that_ends_with_the_container_it_is_in_is_not_lost(spec: Any, is_lost: bool) -> None:  # noqa: FBT001
    """C5: a hung process that the kubelet restarts is what such a fault is to bring about."""
    world = on(spec)
    agent_of(world).exit_code = 137

    assert (hold.lost(case_of(world)) is not None) is is_lost


def test_an_agent_that_falls_silent_is_lost() -> None:
    """C4: after so long its lease is over."""
    world = on()
    case = case_of(world)
    uid = world.status.targets[0].uid
    silent = replace(case.seen.agents[uid], heard_at=world.now - timedelta(seconds=5))

    assert hold.lost(case) is None
    found = hold.lost(case_of(world, agents={uid: silent}))
    assert found is not None
    assert (found.reason, found.verdict) == (ChaosReason.AGENT_LOST, Verdict.INCONCLUSIVE)


def test_an_agent_whose_pod_is_gone_is_not_lost_although_it_is_silent() -> None:
    """C5: the fault went with the pod, as a recovery may mean it to."""
    world = on()
    uid = world.status.targets[0].uid
    last = replace(world.seen().agents[uid], container=None, heard_at=world.now - timedelta(seconds=5))
    world.pods.pop("checkout-1")

    assert hold.lost(case_of(world, agents={uid: last})) is None


def test_an_agent_that_is_not_heard_yet_after_a_restart_is_not_lost() -> None:
    """C5: the link is made anew."""
    world = on()
    world.lose_links()

    assert hold.lost(case_of(world)) is None
    world.run(2)
    assert world.status.phase is Phase.RUNNING


def test_an_operator_that_was_away_finds_the_fault_off() -> None:
    """C4: within four beats, and the run shows nothing."""
    world = on()
    world.lose_links()
    world.tick(4)
    assert world.left == []

    assert ended(world)[0] is Verdict.INCONCLUSIVE


# --- off ------------------------------------------------------------------------------------------------


def test_an_agent_is_told_until_it_says_that_it_is_off() -> None:
    """C5: observed, not assumed."""
    world = on()
    world.run(60, until=Phase.RECOVERING)

    assert [type(act) for act in world.acts if isinstance(act, StopAgent)] == [StopAgent]
    assert [one.phase for one in world.status.targets] == [TargetPhase.REVERTED]


def test_an_agent_that_a_new_operator_has_not_heard_yet_is_told_all_the_same() -> None:
    """C5: a container that runs may hold the fault."""
    world = on()
    world.lose_links()

    assert [type(act) for act in needed(case_of(world))] == [StopAgent]


def test_an_agent_that_cannot_be_told_is_off_when_its_container_is_over() -> None:
    """C18: its lease ends it, and the API server shows that."""
    world = on()
    agent_of(world).is_deaf = True
    world.run(60, until=Phase.RECOVERING)

    assert (world.status.revert and world.status.revert.attempts, world.left) == (0, [])


def test_an_agent_of_which_nothing_is_seen_is_a_failed_undo_with_the_last_resort() -> None:
    """C16: the pod's end is the fault's end."""
    world = on()
    agents = world.seen().agents  # as if it went on and on
    world.run(60, until=Phase.REVERTING)
    started = world.status.revert.started_at if world.status.revert else world.now
    stuck = Case(world.spec, world.status, world.seen(agents=agents), started + AGENT_PATIENCE - timedelta(seconds=1))
    late = replace(stuck, now=started + AGENT_PATIENCE)

    assert (has_failed(stuck), has_failed(late)) == (False, True)
    assert commands(late) == "kubectl delete -n shop pod/checkout-1"


def test_an_agent_that_was_let_in_but_never_began_is_stopped_too() -> None:
    """C5: whatever the record says."""
    world = let_in()
    world.run(1)
    world.is_deleting = True
    world.run(5)

    assert (world.is_gone, world.left) == (True, [])
    assert any(isinstance(act, StopAgent) for act in world.acts) or agent_of(world).exit_code is not None


def test_a_look_that_follows_an_act_at_once_asks_for_beats_too() -> None:
    """C4: what the last look permitted may have run out by the time of the next."""
    world = on(an_agent_spec(NETWORK_LOSS))
    [first] = [act for act in hold.keep(case_of(world)) if isinstance(act, HoldAgent)]
    case = case_of(world)
    again = replace(case, seen=replace(case.seen, outcomes={first.id: Outcome(Verb.DONE)}))

    assert first in hold.keep(again)


def test_between_the_go_and_the_word_of_the_agent_each_look_asks_for_beats() -> None:
    """C4: going on is no intent of its own, so it is neither written first nor left out of the look after it."""
    world = on(an_agent_spec(NETWORK_LOSS))
    planned = world.status.targets[0].model_copy(update={"phase": TargetPhase.PLANNED})
    status = world.status.model_copy(update={"phase": Phase.INJECTING, "targets": (planned,)})
    told = AgentSeen(
        AgentContainer(planned.agent, "Running"), Said(AgentState.READY, "a mechanism"), world.now, was_told=True
    )
    case = Case(world.spec, status, replace(world.seen(agents={planned.uid: told}), outcomes={}), world.now)
    [beat] = [act for act in injecting(case).actions if isinstance(act, HoldAgent)]
    again = replace(case, seen=replace(case.seen, outcomes={beat.id: Outcome(Verb.DONE)}))

    assert not beat.begins
    assert beat in injecting(again).actions


@pytest.mark.parametrize("fault", [{"processKill": {"name": "app"}}, {"containerKill": {"container": "app"}}])
def test_a_blow_is_dealt_once_and_leaves_nothing_to_hold(fault: Any) -> None:
    """C2: done once."""
    world = on(an_agent_spec(fault))

    assert hold.lost(case_of(world)) is None
    assert not any(isinstance(act, HoldAgent) for act in hold.keep(case_of(world)))
    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert sum(isinstance(act, HoldAgent) for act in world.acts) == 1


@pytest.mark.parametrize(
    ("fault", "was_told", "came_later", "goes_on"),
    [
        (KILL, True, False, True),
        (KILL, False, False, False),
        (KILL, False, True, True),
        (NETWORK_LOSS, True, False, True),
        (NETWORK_LOSS, False, True, False),
    ],
)
def test_what_users_notice_before_the_agent_tells_is_no_broken_steady_state(
    fault: Any, *, was_told: bool, came_later: bool, goes_on: bool
) -> None:
    """C7: an agent that was told to begin may have its fault on, one of a blow may be gone with what it killed.

    An operator that came later does not know whom the one before told: a blow may have been dealt.
    """
    world = let_in(an_agent_spec(fault))
    world.run(5, until=Phase.RUNNING)
    planned = world.status.targets[0].model_copy(update={"phase": TargetPhase.PLANNED})
    status = world.status.model_copy(update={"phase": Phase.INJECTING, "targets": (planned,)})
    said = AgentSeen(
        AgentContainer(planned.agent, "Running"), Said(AgentState.READY, "a mechanism"), world.now, was_told
    )
    sick = CheckSeen(HealthState.UNHEALTHY, world.now, world.now, timedelta(hours=1))
    seen = replace(world.seen(agents={planned.uid: said}), checks={"checkout": sick}, outcomes={})
    seen = replace(seen, watched_since=world.now if came_later else None)

    assert (injecting(Case(world.spec, status, seen, world.now)).status.phase is Phase.INJECTING) is goes_on


# --- orders ---------------------------------------------------------------------------------------------


def test_an_order_names_pods_by_their_addresses_and_never_the_target_itself() -> None:
    """C14: what the agent gets is what the manifest says."""
    to = {"selector": {"matchLabels": {"tier": "back", "app": "db"}}, "cidrs": ["10.1.0.0/16"]}
    spec = an_agent_spec({"network": {"partition": {"to": to}}})
    world = on(spec, peers={"app=db,tier=back": ("10.0.0.9", "10.0.0.1")})
    order = order_of(case_of(world), world.status.targets[0])

    assert peer_selectors(spec) == ("app=db,tier=back",)
    assert order.settings["partition"]["to"] == {"addresses": ["10.0.0.9"], "cidrs": ["10.1.0.0/16"], "hosts": []}
    assert (order.fault, order.container, order.seconds) == ("network", "", 15.0)


@pytest.mark.parametrize(
    ("limits", "bounds"),
    [
        ([("memory", "128Mi"), ("cpu", "500m")], {"memory": "256Mi", "cpu": "1"}),
        ([("memory", "128Mi")], {"memory": "256Mi"}),
        ([], None),
    ],
)
def test_stress_is_bounded_by_the_sum_of_the_limits_of_a_pod(limits: Any, bounds: Any) -> None:
    """C10: what a container may use without a limit is the Node's."""
    world = on(an_agent_spec({"memory": {"bytes": "64Mi"}}))
    record = world.status.targets[0]
    case = case_of(world)
    containers = tuple(Container(name, limits=tuple(limits)) for name in "ab")
    pod = replace(case.seen.victims[record.uid], containers=containers)
    order = order_of(case_of(world, victims={record.uid: pod}), record)

    assert order.settings.get("bounds") == bounds


@pytest.mark.parametrize("fault", [{"processPause": {"name": "x"}}, {"containerKill": {"container": "app"}}])
def test_faults_of_processes_name_the_container_whose_processes_they_mean(fault: Any) -> None:
    """C14: the first, where there is no choice."""
    world = let_in(an_agent_spec(fault))

    assert agent_of(world).order.container == "app"
