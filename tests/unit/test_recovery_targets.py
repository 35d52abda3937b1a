"""Which of several targets is meant, what is remembered of each, and steps that name objects of their own."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.recovery_attempt import ActionName, Change, ObjectId, Outcome
from homeostat.api.recovery_decision import Escalation
from homeostat.api.recovery_status import (
    Phase,
    RecoveryPolicyStatus,
    Signal,
    SignalState,
    TargetMemory,
)
from homeostat.api.recovery_step import Severity
from homeostat.core.cluster import Lock, Workload
from homeostat.core.condition import condition
from homeostat.core.recovery import decide
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.targets import memory
from homeostat.core.recovery.targets.availability import at_once, members, size, unavailable, unhealthy
from homeostat.core.ref import Ref
from scenarios.recovery.fleet import Fleet, Member
from scenarios.recovery.world import NOON, OTHER, Killed

STEP_TARGETS = [{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "worker"}]
DEPENDANTS: dict[str, Any] = {
    "steps": [{"rolloutRestart": {}, "targets": STEP_TARGETS, "timeout": "5m"}, {"escalate": {}}],
}


def did(fleet: Fleet) -> list[str]:
    """Give what happened to the objects, without the ids of actions."""
    return [" ".join(effect.split()[:2]) for effect in fleet.effects]


def blocked(fleet: Fleet) -> str:
    status = fleet.status
    return status.blocked.reason if status.blocked else ""


def started(fleet: Fleet) -> Fleet:
    """Let it stand well for a moment."""
    fleet.reconcile()
    fleet.now += timedelta(seconds=1)
    return fleet


# --- which one ------------------------------------------------------------------------------------------


def test_of_several_targets_only_the_accused_one_is_treated() -> None:
    """R11: the others are not touched, nor locked."""
    fleet = started(Fleet.of("a", "b", "c"))
    fleet.hurt("b")

    status = fleet.run("30s")

    assert did(fleet) == ["restart b"]
    assert status.last[0].outcome is Outcome.RECOVERED
    assert status.target == "Deployment/b"
    assert fleet.most_locks == 1
    assert all(one.lock is None for one in fleet.members.values())


def test_several_accused_targets_are_treated_one_after_another() -> None:
    """R3, R11: each is verified before the next is touched."""
    fleet = started(Fleet.of("a", "b", "c"))
    fleet.hurt("a", "b", "c")

    status = fleet.run("2m")

    assert did(fleet) == ["restart a", "restart b", "restart c"]
    assert [record.outcome for record in status.last] == [Outcome.RECOVERED] * 3
    assert fleet.most_locks == 1


def test_a_trigger_that_accuses_nobody_treats_nobody() -> None:
    """R15: nobody is picked by chance."""
    fleet = started(Fleet.of("a", "b"))
    fleet.says_who = False
    fleet.hurt("a")

    fleet.run("30s")

    assert fleet.effects == []
    assert blocked(fleet) == BlockReason.TARGET_UNCLEAR
    assert "2 targets" in fleet.notes[-1]


def test_one_candidate_is_meant_whatever_the_trigger_says() -> None:
    fleet = started(Fleet.of("a"))
    fleet.says_who = False
    fleet.hurt("a")

    fleet.run("30s")

    assert did(fleet) == ["restart a"]


def test_a_selector_that_matches_nothing_says_so() -> None:
    """R15."""
    fleet = started(Fleet.of())
    fleet.members = {}
    fleet.was = SignalState.FIRING
    fleet.dark = True

    fleet.run("8s")

    assert blocked(fleet) == BlockReason.TARGET_NOT_FOUND
    assert fleet.status.blocked is not None
    assert "app=shop matches no Deployment" in fleet.status.blocked.message


def test_a_selector_that_matches_too_many_treats_none() -> None:
    """R15: more than can be kept in mind."""
    names = [f"d{number}" for number in range(memory.MOST_TARGETS + 1)]
    fleet = started(Fleet.of(*names))
    fleet.hurt("d3")

    fleet.run("10s")

    assert fleet.effects == []
    assert blocked(fleet) == BlockReason.TOO_MANY_TARGETS


def test_sixty_targets_that_fail_at_once_are_treated_one_at_a_time_within_the_budget() -> None:
    """R3: limits are the policy's, however many targets fail."""
    names = [f"d{number:02}" for number in range(60)]
    fleet = started(Fleet.of(*names, limits={"maxUnhealthy": "100%", "budget": {"actions": 3, "per": "1h"}}))
    fleet.hurt(*names)

    fleet.run("2m", step="2s")

    assert did(fleet) == ["restart d00", "restart d01", "restart d02"]
    assert fleet.most_locks == 1
    assert len(fleet.status.targets) == 59


def test_each_target_has_to_fail_for_as_long_as_the_trigger_asks() -> None:
    """One that began to fail later does not inherit the time of another."""
    fleet = started(Fleet.of("a", "b", triggers=[{"healthCheck": {"name": "shop"}, "for": "20s"}]))
    fleet.hurt("a")
    fleet.run("15s")
    fleet.hurt("b")
    fleet.run("10s")

    assert did(fleet) == ["restart a"]
    fleet.run("30s")
    assert did(fleet) == ["restart a", "restart b"]


def test_each_target_has_a_rest_of_its_own() -> None:
    """R3: cooldown is per target."""
    fleet = started(Fleet.of("a", "b", limits={"maxUnhealthy": "100%", "cooldown": "5m"}))
    fleet.hurt("a")
    fleet.run("30s")
    fleet.hurt("a", "b")

    fleet.run("1m")

    assert did(fleet) == ["restart a", "restart b"]
    resting = {entry.name for entry in fleet.status.targets if entry.cooldown_until}
    assert resting | {fleet.status.focus.name if fleet.status.focus else ""} == {"a", "b"}


def test_what_cannot_be_treated_does_not_hold_up_the_others() -> None:
    fleet = started(Fleet.of("a", "b"))
    fleet.members["a"].is_paused = True
    fleet.hurt("a", "b")

    fleet.run("1m")

    assert did(fleet) == ["restart b"]
    assert blocked(fleet) == BlockReason.TARGET_PAUSED


def test_a_run_by_hand_means_the_target_that_it_names() -> None:
    fleet = started(Fleet.of("a", "b"))
    fleet.hurt("a", "b")
    fleet.ask(run='{"id": "r1", "step": "rolloutRestart", "reason": "try", "target": "b"}')

    target = fleet.seen().target

    assert target is not None
    assert target.ref.name == "b"


def test_a_target_made_again_under_its_name_begins_with_a_clean_memory() -> None:
    """The uid is the target: what was known of the old one is not of the new one."""
    fleet = started(Fleet.of("a", "b", limits={"maxUnhealthy": "100%", "cooldown": "10m"}))
    fleet.hurt("a")
    fleet.run("30s")
    fleet.recreate("a")
    fleet.hurt("a")

    fleet.run("30s")

    assert did(fleet) == ["restart a", "restart a"]


def test_an_attempt_on_a_target_that_was_replaced_ends() -> None:
    fleet = started(Fleet.of("a", "b"))
    fleet.restarts_heal = False
    fleet.hurt("a")
    fleet.run("5s")
    fleet.recreate("a")

    status = fleet.run("2s")

    assert (status.last[0].outcome, status.last[0].reason) == (Outcome.UNVERIFIED, "TargetReplaced")


def test_who_still_needs_a_human_is_said_while_another_target_is_in_focus() -> None:
    """R15, R16."""
    fleet = started(Fleet.of("a", "b"))
    fleet.restarts_heal = False
    fleet.hurt("a")
    fleet.run("5m", step="2s")
    fleet.restarts_heal = True
    fleet.hurt("b")
    fleet.run("4s")

    escalated = condition(fleet.status.conditions, "Escalated")

    assert did(fleet)[-1] == "restart b"
    assert escalated is not None
    assert "Deployment a" in escalated.message


happenings = st.lists(
    st.tuples(st.sampled_from(["hurt", "heal", "recreate", "mute", "speak", "wait", "wait"]), st.sampled_from("abc")),
    max_size=25,
)


@settings(max_examples=40)
@given(happenings)
def test_whatever_happens_one_target_at_a_time_is_treated_and_only_when_accused(
    happenings: list[tuple[str, str]],
) -> None:
    """R3, R11: never two at once, never one by chance, never above the budget; and a decision is its own last word."""
    fleet = started(
        Fleet.of("a", "b", "c", limits={"maxUnhealthy": "100%", "cooldown": "5s", "budget": {"actions": 4}})
    )
    for what, name in happenings:
        happen(fleet, what, name)
        sick = {one.name for one in fleet.members.values() if one.sick}
        before = len(fleet.effects)
        fleet.reconcile()
        assert {effect.split()[1] for effect in fleet.effects[before:]} <= sick
        assert_settled(fleet)
        fleet.now += timedelta(seconds=3)

    assert fleet.most_locks <= 1
    assert len(fleet.effects) <= 4


def happen(fleet: Fleet, what: str, name: str) -> None:
    if what == "hurt":
        fleet.hurt(name)
    elif what == "heal":
        fleet.members[name].sick.clear()
    elif what == "recreate":
        fleet.recreate(name)
    elif what in {"mute", "speak"}:
        fleet.says_who = what == "speak"


def assert_settled(fleet: Fleet) -> None:
    """What was decided is decided again from its own result, of the same world with the same target in focus."""
    seen = fleet.seen()
    first = decide(fleet.spec, fleet.status, seen, fleet.now)
    if not first.actions:
        assert decide(fleet.spec, first.status, seen, fleet.now).status == first.status


# --- nodes ----------------------------------------------------------------------------------------------

OF_NODES: dict[str, Any] = {
    "target": {"kind": "Node", "selector": {"matchLabels": {"role": "worker"}}},
    "triggers": [{"healthCheck": {"name": "shop"}}],
    "steps": [{"evict": {}}, {"escalate": {}}],
    "limits": {"maxUnhealthy": 1, "cooldown": "1m"},
}


def test_a_policy_for_nodes_is_refused_where_the_administrator_does_not_allow_it() -> None:
    """R15: NodesNotAllowed."""
    fleet = started(Fleet.of("n1", "n2", "n3", kind="Node", **OF_NODES))
    fleet.are_nodes_allowed = False
    fleet.hurt("n1")

    fleet.run("10s")

    assert fleet.effects == []
    assert blocked(fleet) == BlockReason.NODES_NOT_ALLOWED


def test_with_more_nodes_unhealthy_than_allowed_none_is_touched() -> None:
    """R5: maxUnhealthy counts the Nodes of the cluster."""
    fleet = started(Fleet.of("n1", "n2", "n3", kind="Node", **OF_NODES))
    fleet.hurt("n1", "n2")

    fleet.run("10s")

    assert fleet.effects == []
    assert blocked(fleet) == BlockReason.TOO_MANY_UNHEALTHY
    assert any("2 of 3 Nodes" in note for note in fleet.notes)


@pytest.mark.parametrize(
    ("kind", "limit", "cap"),
    [
        ("Node", Decimal("0.25"), 1),
        ("Service", Decimal("0.5"), 1),
        ("Node", Decimal(0), 0),
        ("Node", 2, 2),
        ("Deployment", Decimal("0.25"), 0),
    ],
)
def test_a_share_of_few_pods_never_keeps_a_drain_from_its_end(kind: str, limit: int | Decimal, cap: int) -> None:
    """R4: a percentage rounds down, but a Node has fewer pods with each eviction, and a Service none at all."""
    assert at_once(limit, Workload(Ref(kind, "shop", "x", "x"), "1", 1, 1, 0, 0, 0, 0, "")) == cap


def test_of_a_node_the_nodes_count_and_its_pods_are_guests() -> None:
    """R4: percentages round down."""
    node = Member("n1", "Node", replicas=3).workload(NOON, (1, 10))

    assert (unhealthy(node, ()).count, unhealthy(node, ()).of, unhealthy(node, ()).noun) == (2, 10, "Nodes")
    assert (size(node), unavailable(node, ())) == (3, 0)


def test_of_a_policy_for_pods_only_those_meant_may_be_touched() -> None:
    target = Member("a", replicas=3).workload(NOON, (0, 0))
    meant = frozenset({target.pods[1].ref.uid})

    assert members(replace(target, eligible=meant)) == (target.pods[1],)
    assert members(target) == target.pods


# --- steps with targets of their own --------------------------------------------------------------------


def dependants(**changes: Any) -> Fleet:
    """Build a fleet of one sick deployment, and two that a step restarts."""
    fleet = Fleet.of("db", **{**DEPENDANTS, "target": {"kind": "Deployment", "name": "db"}, **changes})
    fleet.others = {name: Member(name) for name in ("web", "worker")}
    fleet.restarts_heal = False
    fleet.cure_by = "worker"
    started(fleet)
    fleet.hurt("db")
    return fleet


def test_the_targets_of_a_step_are_treated_in_order_each_settled_before_the_next() -> None:
    """R4, R11: the second is not touched while the first still rolls; each is locked for itself."""
    fleet = dependants()

    fleet.run("3s")
    assert did(fleet) == ["restart web"]
    status = fleet.run("40s")

    assert did(fleet) == ["restart web", "restart worker"]
    assert status.last[0].outcome is Outcome.RECOVERED
    assert status.last[0].targets == ("RestartRollout web", "RestartRollout worker")
    assert fleet.members["db"].lock is None
    assert all(one.lock is None for one in fleet.everybody())


def test_an_object_that_a_step_names_and_that_is_not_there_is_named() -> None:
    """R15."""
    fleet = dependants()
    del fleet.others["web"]

    fleet.run("10s")

    assert fleet.effects == []
    assert fleet.status.blocked is not None
    assert fleet.status.blocked.reason == BlockReason.TARGET_NOT_FOUND
    assert "Deployment web" in fleet.status.blocked.message


def test_an_object_that_another_holds_is_not_touched() -> None:
    """R11: the lock is on what is written, not on the policy's own target."""
    fleet = dependants()
    fleet.others["web"].lock = Lock(OTHER, NOON + timedelta(hours=1))

    fleet.run("10s")

    assert fleet.effects == []
    assert blocked(fleet) == BlockReason.LOCKED


def test_the_second_target_of_a_step_is_not_touched_twice_over_a_kill() -> None:
    """R2: the intent names the object that is locked for it."""
    fleet = dependants()
    for steps in range(40):
        fleet.kill_in = steps % 7
        with suppress(Killed):
            fleet.reconcile()
        fleet.now += timedelta(seconds=1)
    fleet.kill_in = None
    fleet.run("30s")

    assert did(fleet) == ["restart web", "restart worker"]


# --- memory ---------------------------------------------------------------------------------------------

times = st.integers(-200, 200).map(lambda seconds: NOON + timedelta(seconds=seconds))
targets = st.sampled_from([ObjectId(kind="Deployment", name=name, uid=f"{name}-uid") for name in "abc"])
changes = st.builds(
    lambda name: Change(
        id=name, action=ActionName.SCALE, target=ObjectId(kind="Deployment", name="a", uid="a-uid"),
        original={"replicas": 1}, desired={"replicas": 2},
    ),
    st.sampled_from(["x-0", "x-1"]),
)  # fmt: skip
remembered = st.fixed_dictionaries(
    {
        "next_step": st.integers(0, 3),
        "tried": st.lists(st.integers(0, 3), max_size=3).map(tuple),
        "tries": st.integers(0, 3),
        "signals": st.lists(
            st.builds(lambda state, at: Signal(trigger=0, state=state, since=at), st.sampled_from(SignalState), times),
            max_size=1,
        ).map(tuple),
        "retry_at": st.none() | times,
        "cooldown_until": st.none() | times,
        "returns": st.lists(times, max_size=3).map(tuple),
        "changes": st.lists(changes, max_size=1).map(tuple),
        "escalated": st.none() | times.map(lambda at: Escalation(since=at, severity=Severity.HIGH)),
    }
)
entries = st.builds(lambda target, known: TargetMemory(**target.model_dump(), **known), targets, remembered)
statuses = st.builds(
    lambda focus, known, others: RecoveryPolicyStatus(
        focus=focus, targets=tuple(one for one in others if one.uid != focus.uid), **known
    ),
    targets,
    remembered,
    st.lists(entries, max_size=2, unique_by=lambda one: one.uid),
)


def known_of(status: RecoveryPolicyStatus) -> dict[str, TargetMemory]:
    """Give what is remembered of every target, wherever it stands."""
    every = [ObjectId(kind="Deployment", name=name, uid=f"{name}-uid") for name in "abc"]
    return {one.uid: memory.memory_of(status, one) for one in every}


@given(statuses, st.lists(targets | st.none(), max_size=6))
def test_turning_from_target_to_target_loses_nothing(
    status: RecoveryPolicyStatus, turns: list[ObjectId | None]
) -> None:
    before = known_of(status)
    turned = status
    for focus in (*turns, status.focus):
        turned = memory.turned_to(turned, focus)

    assert known_of(turned) == before
    assert turned.focus == status.focus


@given(statuses, targets)
def test_what_is_remembered_of_a_target_stands_in_one_place(status: RecoveryPolicyStatus, focus: ObjectId) -> None:
    turned = memory.turned_to(status, focus)

    assert focus.uid not in {entry.uid for entry in turned.targets}
    assert len({entry.uid for entry in turned.targets}) == len(turned.targets)


def test_of_targets_beyond_the_most_those_that_rest_are_kept() -> None:
    """R3: a limit is the last thing to be forgotten."""
    resting = [memory_entry(number, cooldown_until=NOON + timedelta(minutes=1)) for number in range(40)]
    others = [memory_entry(number, tries=1) for number in range(40, 90)]

    kept = memory.kept((*others, *resting), NOON)

    assert len(kept) == memory.MOST_TARGETS
    assert {entry.uid for entry in resting} <= {entry.uid for entry in kept}


def test_a_target_that_is_gone_is_forgotten_once_it_has_rested() -> None:
    resting = memory_entry(1, cooldown_until=NOON + timedelta(minutes=1))
    gone = memory_entry(2, tries=1)

    assert memory.without_gone((resting, gone), set(), NOON) == (resting,)


def test_a_target_that_is_well_again_begins_anew_but_its_falls_are_remembered() -> None:
    """R9: returns outlive the episode."""
    entry = memory_entry(1, tries=2, tried=(0,), next_step=1, returns=(NOON,))

    well = memory.brought_up(entry, NOON, timedelta(minutes=5), is_well=True)

    assert (well.tries, well.tried, well.next_step, well.returns) == (0, (), 0, (NOON,))


def memory_entry(number: int, **known: Any) -> TargetMemory:
    return TargetMemory(kind="Deployment", name=f"d{number}", uid=f"d{number}-uid", **known)


@pytest.mark.parametrize("uid", ["a-uid", "b-uid"])
def test_a_policy_that_names_its_target_now_keeps_that_ones_memory_alone(uid: str) -> None:
    """R3: an edit of the target does not shorten a rest."""
    until = NOON + timedelta(minutes=1)
    focus = ObjectId(kind="Deployment", name="a", uid="a-uid")
    entry = TargetMemory(kind="Deployment", name="b", uid="b-uid", cooldown_until=until)
    status = RecoveryPolicyStatus(focus=focus, cooldown_until=until, targets=(entry,))

    named = memory.of_one_target(status, ObjectId(kind="Deployment", name=uid[0], uid=uid))

    assert (named.focus, named.targets, named.cooldown_until) == (None, (), until)


def test_a_policy_at_rest_keeps_what_it_remembers_of_targets_that_it_does_not_look_at() -> None:
    """Nothing is read at rest: what was not read is not gone."""
    fleet = started(Fleet.of("a", "b"))
    fleet.hurt("a")
    fleet.run("30s")
    before = fleet.status
    fleet.members = {}

    after = fleet.run("2s")

    assert before.focus == after.focus
    assert after.phase is Phase.COOLING_DOWN
    assert Ref("Deployment", "shop", "a", "a-uid-1").uid == (after.focus.uid if after.focus else "")
