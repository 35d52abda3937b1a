"""R13: a human agrees to one plan, and to no other; a run by hand passes what protects others; a pause is a pause."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.recovery_attempt import ObjectId, Outcome
from homeostat.api.recovery_decision import PlanState, PlanStatus, RunState
from homeostat.api.recovery_status import Phase, SignalState
from homeostat.core.cluster import Lock
from homeostat.core.recovery.consent.by_hand import OVERRIDABLE
from homeostat.core.recovery.consent.plan_hash import plan_hash
from homeostat.core.recovery.consent.whole import SHOWN, is_listed, listed
from homeostat.core.recovery.gates.chain import NEVER_OVERRIDDEN, TO_ACT, name_of
from homeostat.core.recovery.seen import Case, Requests
from homeostat.core.recovery.steps.plan import Plan, plan
from homeostat.core.recovery.targets.memory import turned_to
from scenarios.recovery.world import NOON, OTHER, Killed, World, spec

APPROVE: dict[str, Any] = {"mode": "Approve", "limits": {"cooldown": "1s", "budget": {"actions": 100, "per": "1h"}}}
ALL = [{"restartPods": {"which": "All"}}, {"scale": {"by": "+1"}}, {"escalate": {}}]


def world(**changes: Any) -> World:
    """Build a world in which checkout-1 fails, of a policy that asks before it acts."""
    made = World(spec=spec(**(APPROVE | changes)))
    made.reconcile()
    made.now += timedelta(seconds=1)
    made.sick.add("checkout-1")
    return made


def asking(**changes: Any) -> World:
    """Build a world whose policy awaits approval."""
    made = world(**changes)
    made.run("3s")
    assert made.status.phase is Phase.AWAITING_APPROVAL
    return made


def shown(made: World) -> PlanStatus:
    plan_ = made.status.plan
    assert plan_ is not None
    return plan_


def by_hand(made: World, name: str = "one", **request: Any) -> None:
    """Ask for a run by hand, and let the operator look once."""
    wanted = {"id": name, "step": "restartPods", "reason": "drill"} | request
    made.ask(run=json.dumps(wanted))
    made.reconcile()


def answer(made: World) -> tuple[RunState, str]:
    run = made.status.run
    assert run is not None
    return run.state, run.message


# --- a plan ---------------------------------------------------------------------------------------------


def test_a_plan_is_shown_and_nothing_is_touched_before_it_is_approved() -> None:
    """R1, R13: mode Approve."""
    made = asking()
    made.run("5m")

    assert made.effects == []
    assert shown(made).does == ("EvictPod checkout-1",)
    assert made.status.budget.used == 0
    assert made.events.count("AwaitingApproval") == 1


def test_an_approved_plan_is_carried_out_once_and_names_who_approved() -> None:
    """R13: in status.plan, in the attempt's record and in an event."""
    made = asking()
    made.approve("alice")
    made.run("30s")

    assert len(made.effects) == 1
    assert (shown(made).state if made.status.plan else None) in {None, PlanState.APPROVED}
    assert made.status.last[0].approved_by == "alice"
    assert made.status.last[0].outcome is Outcome.RECOVERED
    assert any(note.startswith("alice approved the plan") for note in made.notes)


def test_who_is_not_vouched_for_is_shown_as_such() -> None:
    """R13: without the admission policy anybody could have written the name; the program that did is named."""
    made = asking()
    made.approve("alice")
    made.requests = replace(made.requests, is_verified=False)
    made.run("30s")

    assert made.status.last[0].approved_by == "kubectl-annotate (not verified)"


def test_a_plan_stays_the_same_while_the_world_does() -> None:
    """R13: a resourceVersion moves with every status that is written, and makes no other plan."""
    made = asking()
    before = shown(made)
    made.version += 7
    made.run("1m")

    assert shown(made) == before


@pytest.mark.parametrize("change", ["another pod", "edited", "another incarnation"])
def test_the_approval_of_a_plan_that_changed_meanwhile_is_refused(change: str) -> None:
    """R13: edited; told once, and the new plan awaits an approval of its own."""
    made = asking()
    old = made.approve()
    if change == "another pod":
        made.sick.add("checkout-2")
    elif change == "edited":
        made.generation += 1
    else:
        made._create("checkout-1", made.now - timedelta(hours=2))
    made.run("30s")

    assert made.effects == []
    assert shown(made).hash != old
    assert (shown(made).refused, shown(made).state) == (old, PlanState.AWAITING_APPROVAL)
    assert made.events.count("ApprovalRefused") == (0 if change == "edited" else 1)


def test_an_approval_that_comes_too_late_is_refused() -> None:
    """R13: expired. While a gate blocks, the plan stands there; it is made anew once it could be carried out."""
    made = asking(approvals={"expireAfter": "10s"})
    old = shown(made).hash
    made.budget_held_by = "checkout"
    made.run("30s")
    made.ask(approve=old)
    made.run("5s")
    assert (made.effects, shown(made).why_refused) == ([], "Expired")
    made.budget_held_by = ""
    made.run("5s")

    assert made.effects == []
    assert shown(made).hash != old
    assert made.events.count("ApprovalRefused") == 1


def test_an_approval_is_not_replayed_for_the_same_plan_of_a_later_attempt() -> None:
    """R13: replayed. What is asked for anew has another hash, be it the same pod of the same incarnation."""
    made = asking()
    made.pdb_allows = False
    old = made.approve()
    made.run("3m")  # the eviction is refused until its time is over, and the next step's turn would be a human's
    made.pdb_allows = True
    made.generation += 1
    made.run("1m")

    assert shown(made).hash != old
    assert shown(made).does == ("EvictPod checkout-1",)
    assert (made.effects, shown(made).refused) == ([], old)


def test_an_approval_of_nothing_that_was_shown_is_refused_once() -> None:
    """R13: whoever guesses is told so."""
    made = asking()
    made.ask(approve="0123456789abcdef")
    made.run("1m")

    assert made.effects == []
    assert made.events.count("ApprovalRefused") == 1
    assert shown(made).why_refused == "OtherPlan"


def test_gates_are_asked_again_when_an_approved_plan_is_carried_out() -> None:
    """R13: an approval holds no gate open; it waits, until it expires."""
    made = asking()
    made.lock = Lock(OTHER, made.now + timedelta(seconds=20))
    made.approve()
    made.run("10s")
    assert (made.effects, made.status.blocked and made.status.blocked.reason) == ([], "Locked")
    made.run("30s")

    assert len(made.effects) == 1


def test_an_approved_attempt_does_what_was_approved_and_no_more() -> None:
    """R13: a pod that falls sick during the attempt was not part of the plan."""
    made = asking()
    made.approve()
    made.run("1s")
    assert len(made.effects) == 1
    made.sick.add("checkout-2")
    made.run("8s")

    assert len(made.effects) == 1
    assert [effect.split()[1] for effect in made.effects] == ["checkout-1"]


def test_one_step_can_need_a_human_in_mode_auto() -> None:
    """R13: approval: Required; the others go on by themselves."""
    made = world(mode="Auto", steps=[{"restartPods": {}}, {"scale": {"by": "+1"}, "approval": "Required"}])
    made.eviction_heals = False
    made.run("3m")

    assert [effect.split()[0] for effect in made.effects] == ["evict"]
    assert shown(made).does == ("Scale checkout from 4 to 5",)
    made.approve()
    made.run("5s")
    assert [effect.split()[0] for effect in made.effects] == ["evict", "scale"]


def test_a_rejected_plan_is_not_asked_for_again_until_all_was_quiet() -> None:
    """R13, R15: a human said no; the policy says so, and that is on record."""
    made = asking()
    made.ask("bob", reject=shown(made).hash)
    made.run("10m", "5s")

    assert made.effects == []
    assert made.status.blocked is not None
    assert (made.status.blocked.reason, made.events.count("AwaitingApproval")) == ("Rejected", 1)
    assert (made.status.last[0].outcome, made.status.last[0].reason) == (Outcome.NOT_STARTED, "Rejected")
    made.sick.clear()
    made.run("10m", "5s")
    made.sick.add("checkout-1")
    made.run("5s")
    assert made.status.phase is Phase.AWAITING_APPROVAL


def test_a_no_is_of_one_target_of_several_and_is_kept_while_another_is_looked_at() -> None:
    """R13: of a policy with a selector; the plan that is shown is always of the target in focus."""
    one, other = (ObjectId(kind="Deployment", name=name, uid=f"{name}-uid") for name in ("checkout", "cart"))
    said_no = asking().status.model_copy(update={"focus": one, "rejected": "bob rejected the plan x"})

    turned = turned_to(said_no, other)
    assert (turned.rejected, turned.plan) == ("", None)
    assert turned_to(turned, one).rejected == "bob rejected the plan x"


def test_a_no_goes_before_a_yes() -> None:
    """R13: of the same plan, at the same time."""
    made = asking()
    made.approve()
    made.ask("bob", reject=shown(made).hash)
    made.run("1m")

    assert (made.effects, shown(made).state) == ([], PlanState.REJECTED)


def test_a_suggestion_is_shown_once_and_cannot_be_approved() -> None:
    """R1: mode Suggest touches nothing, whatever stands in the annotations."""
    made = world(mode="Suggest")
    made.run("5s")
    made.approve()
    made.run("2h", step="10s")

    assert made.effects == []
    assert (shown(made).state, made.events.count("Suggested")) == (PlanState.SUGGESTED, 1)
    assert made.status.last[0].outcome is Outcome.SUGGESTED
    assert "ApprovalRefused" in made.events


@pytest.mark.parametrize("at", range(6))
def test_an_approved_plan_is_carried_out_once_however_the_operator_is_killed(at: int) -> None:
    """R2, R13: before the write, after it, and after each action."""
    made = asking()
    made.approve()
    made.kill_in = at
    for _ in range(30):
        try:
            made.reconcile()
        except Killed:
            continue
        made.now += timedelta(seconds=1)

    assert len(made.effects) == 1
    assert made.status.last[0].approved_by == "alice"


# --- properties -----------------------------------------------------------------------------------------

changes = st.sampled_from(["sick", "cure", "edit", "replace", "quiet", "old", "new", "wait", "refuse", "allow"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(changes, st.integers(0, 3)), max_size=14))
def test_an_approval_never_lets_through_another_plan(course: list[tuple[str, int]]) -> None:
    """R13: whatever is approved, edited, replayed or changes: what happens was shown, approved then, and only once."""
    made = world(approvals={"expireAfter": "10s"})
    hashes: list[str] = []
    used: dict[str, str] = {}
    for what, number in course:
        _happen(made, what, number, hashes)
        for _ in range(3):
            before = made.status
            made.reconcile()
            _check(made, before.attempt is None, used)
            if made.status.plan and made.status.plan.hash not in hashes:
                hashes.append(made.status.plan.hash)
            made.now += timedelta(seconds=1)


def _happen(made: World, what: str, number: int, hashes: list[str]) -> None:
    names = sorted(made.pods)
    if what == "sick":
        made.sick.add(names[number % len(names)])
    elif what in {"cure", "quiet"}:
        made.sick -= set(names[:2]) if what == "cure" else set(names)
    elif what == "edit":
        made.generation += 1
    elif what == "replace":
        made._create(names[number % len(names)], made.now - timedelta(hours=1))
    elif what in {"old", "new"} and hashes:
        made.ask(approve=hashes[-1] if what == "new" else hashes[number % len(hashes)])
    elif what in {"refuse", "allow"}:
        made.pdb_allows = what == "allow"
    else:
        made.now += timedelta(seconds=4 * number)


def _check(made: World, is_new: bool, used: dict[str, str]) -> None:  # noqa: FBT001 - read in one place
    attempt, plan_ = made.status.attempt, made.status.plan
    if attempt is None:
        return
    assert plan_ is not None
    assert plan_.state is PlanState.APPROVED
    assert used.setdefault(plan_.hash, attempt.id) == attempt.id
    assert plan_.hash == made.requests.approve or not is_new
    assert attempt.started_at < plan_.expires_at
    names = {title.split()[-1] for title in plan_.does}
    assert {entry.target.name for entry in made.status.in_flight} <= names


def _plans(made: World) -> tuple[Case, Plan]:
    made.run("5s")
    case = Case(made.spec, made.status, made.seen(), made.now)
    planned = plan(case, made.spec.steps[0], case.status.signals[0])
    assert isinstance(planned, Plan)
    return case, planned


def test_another_plan_has_another_hash() -> None:
    """R13: the policy, its generation, the step, what is done, to which incarnation, and which asking it is."""
    case, planned = _plans(world())
    other_target = replace(planned, target=planned.target.model_copy(update={"uid": "another"}))
    hashes = [
        plan_hash(case, 0, [planned], NOON),
        plan_hash(replace(case, seen=replace(case.seen, ref=OTHER)), 0, [planned], NOON),
        plan_hash(replace(case, seen=replace(case.seen, generation=2)), 0, [planned], NOON),
        plan_hash(case, 1, [planned], NOON),
        plan_hash(case, 0, [planned, other_target], NOON),
        plan_hash(case, 0, [other_target], NOON),
        plan_hash(case, 0, [replace(planned, original={"replicas": 1})], NOON),
        plan_hash(case, 0, [replace(planned, desired={"replicas": 1})], NOON),
        plan_hash(case, 0, [planned], NOON + timedelta(microseconds=1)),
    ]

    assert len(set(hashes)) == len(hashes)
    assert all(len(one) == 16 for one in hashes)
    assert plan_hash(case, 0, [replace(planned, resource_version="9")], NOON) == hashes[0]


def test_of_very_many_actions_the_rest_is_counted() -> None:
    """R13: a human sees how many there are; of a list that was cut, the others are part of the plan."""
    _, planned = _plans(world())
    many = [replace(planned, target=planned.target.model_copy(update={"name": f"pod-{n}"})) for n in range(40)]

    does = listed(many)

    assert (len(does), does[-1]) == (SHOWN, "and 25 more of this kind")
    assert is_listed("EvictPod pod-39", does, 39)
    assert not is_listed("EvictPod pod-40", does, 40)  # of the forty that were shown none is left
    assert not is_listed("EvictPod pod-39", listed(many[:SHOWN]), SHOWN)


# --- by hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["Suggest", "Approve", "Auto"])
def test_a_step_is_run_by_hand_in_every_mode_that_may_touch(mode: str) -> None:
    """A run needs no trigger: it rests, is verified and is on record like any other."""
    made = World(spec=spec(mode=mode, steps=ALL))
    made.reconcile()
    by_hand(made)
    assert answer(made)[0] is RunState.ACCEPTED
    made.run("1m")

    last = made.status.last[0]
    assert (last.requested_by, last.outcome, last.approved_by) == ("alice", Outcome.RECOVERED, "")
    assert len(made.effects) == 4
    assert made.status.next_step == 0


def test_observe_touches_nothing_whoever_asks() -> None:
    """R1: the run is refused, and says why."""
    made = World(spec=spec(mode="Observe", steps=ALL))
    by_hand(made)

    assert answer(made) == (
        RunState.REFUSED,
        "The mode is Observe, in which nothing is touched: set spec.mode to Suggest, Approve or Auto.",
    )
    assert (made.effects, made.events.count("RunRefused")) == ([], 1)


@pytest.mark.parametrize("at", [None, *range(6)])
def test_a_run_is_done_once_for_its_id_also_after_a_kill(at: int | None) -> None:
    """R2: it is answered in the same write as its intent."""
    made = World(spec=spec(mode="Suggest", steps=[{"scale": {"by": "+1"}}, {"escalate": {}}]))
    made.kill_in = at
    made.ask(run=json.dumps({"id": "one", "step": "scale", "reason": "sale"}))
    for _ in range(200):
        try:
            made.reconcile()
        except Killed:
            continue
        made.now += timedelta(seconds=1)

    assert made.replicas == 5
    by_hand(made, "two", step="scale")
    made.run("10s")
    assert made.replicas == 6


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"step": "rolloutRestart"}, "There is no such step; there are 0 restartPods, 1 scale, 2 escalate."),
        ({"step": "9"}, "There is no such step"),
        ({"step": "escalate"}, "escalate is no step to run by hand."),
        ({"override": ["suspended"]}, "suspended can never be overridden; these can be overridden: budget_held"),
        ({"override": ["gravity"]}, "gravity is no gate; these can"),
        ({"reason": ""}, "reason: String should have at least 1 character"),
        ({"override": ["Cooling Down"]}, "override.0: String should match pattern"),
        ({"uid": "another"}, "It was asked of another policy, of which this is a copy."),
        ({"expires": "2026-11-21T12:00:00Z"}, "It came too late: ask again."),
    ],
)
def test_a_run_that_asks_for_what_there_is_not_is_refused(request_: dict[str, Any], why: str) -> None:
    made = World(spec=spec(steps=ALL))
    by_hand(made, **request_)
    made.run("10s")

    state, message = answer(made)
    assert (state, made.effects, made.events.count("RunRefused")) == (RunState.REFUSED, [], 1)
    assert why in message


@pytest.mark.parametrize("text", ["restartPods", "{", "[]", '{"id": "x y"}', "null"])
def test_what_cannot_be_read_is_refused_once(text: str) -> None:
    made = World(spec=spec(steps=ALL))
    made.ask(run=text)
    made.run("10s")

    state, message = answer(made)
    assert (state, made.events.count("RunRefused")) == (RunState.REFUSED, 1)
    assert message.startswith("homeostat.dev/run must be JSON with id, step, reason and override")


def test_one_of_several_steps_of_a_kind_is_named_by_its_index() -> None:
    made = World(spec=spec(steps=[{"scale": {"by": "+1"}}, {"scale": {"by": "+2"}}, {"escalate": {}}]))
    by_hand(made, step="scale")
    assert "Several steps are called scale: give the index, one of 0, 1." in answer(made)[1]
    by_hand(made, "two", step="1")

    assert answer(made) == (RunState.ACCEPTED, "Scale checkout from 4 to 6")
    assert made.status.attempt is not None
    assert (made.status.attempt.step, made.status.next_step) == (1, 0)


def test_an_override_passes_over_the_gate_that_it_names_and_no_other() -> None:
    """Named, reasoned and audited: in the attempt, in its record, in status.run and in an event."""
    made = World(spec=spec(steps=ALL, limits={"cooldown": "1h", "budget": {"actions": 4, "per": "1h"}}))
    by_hand(made)
    made.run("1m")
    assert len(made.effects) == 4
    by_hand(made, "two")
    assert answer(made)[1].startswith("CoolingDown: ")
    assert "(--override cooling_down passes over it)" in answer(made)[1]
    by_hand(made, "three", override=["cooling_down"])
    assert answer(made)[1].startswith("BudgetSpent: ")
    by_hand(made, "four", override=["cooling_down", "budget_spent"], reason="the vendor asked for it")
    made.run("1m")

    last = made.status.last[0]
    assert (last.overridden, last.override_reason) == (("cooling_down", "budget_spent"), "the vendor asked for it")
    assert made.status.run is not None
    assert made.status.run.override == ("cooling_down", "budget_spent")
    assert len(made.effects) == 8
    assert any("overriding cooling_down, budget_spent" in note for note in made.notes)


def test_what_protects_others_can_never_be_overridden() -> None:
    names = {name_of(gate) for gate in NEVER_OVERRIDDEN}

    assert names >= {"suspended", "paused", "frozen", "stale_view", "locked", "namespace_terminating"}
    assert names >= {"target_not_found", "nodes_not_allowed", "nothing_to_do", "not_permitted"}
    assert not names & set(OVERRIDABLE)
    assert set(OVERRIDABLE) <= {name_of(gate) for gate in TO_ACT}


def test_a_run_waits_for_nothing_while_an_attempt_is_under_way() -> None:
    """One attempt at a time; the refusal says so."""
    made = world(mode="Auto")
    made.run("3s")
    by_hand(made, override=["in_flight"])

    assert answer(made) == (RunState.REFUSED, "An attempt is under way (restartPods): one at a time.")


def test_a_run_without_data_of_the_trigger_is_done_and_stays_unverified() -> None:
    """R7: no data proves nothing, but a human needs none to act."""
    made = World(spec=spec(steps=ALL), verdict=SignalState.UNKNOWN)
    made.reconcile()
    by_hand(made)
    made.run("3m")

    assert made.status.last[0].outcome is Outcome.UNVERIFIED


# --- pause ----------------------------------------------------------------------------------------------


def test_a_paused_policy_does_nothing_and_names_who_paused_it() -> None:
    """R15: whoever asks for something else later is not taken for them."""
    made = world(mode="Auto")
    made.ask("alice", pause="the vendor is on it")
    made.run("30s")
    made.ask("bob", approve="0123456789abcdef")
    made.run("30s")

    assert made.effects == []
    assert made.status.blocked is not None
    assert made.status.blocked.message == "Paused by alice: the vendor is on it"
    made.ask("bob", pause="")
    made.run("10s")
    assert len(made.effects) == 1


def test_an_action_on_record_is_not_asked_for_again_while_paused() -> None:
    """R2: it may have happened; if it has not, it waits."""
    made = world(mode="Auto")
    made.pdb_allows = False
    made.run("5s")
    made.pdb_allows = True
    made.ask(pause="wait")
    made.run("30s")
    assert made.effects == []
    made.ask(pause="")
    made.run("10s")

    assert len(made.effects) == 1


def test_a_look_at_annotations_that_ask_nothing_changes_nothing() -> None:
    """Deciding again for its own result is the same again."""
    made = asking()
    made.requests = Requests(approve="left over", run="", by="alice", is_verified=True)
    made.run("5s")
    before: tuple[int, datetime] = (made.writes, made.now)
    made.reconcile()
    made.reconcile()

    assert (made.writes, made.now) == before
