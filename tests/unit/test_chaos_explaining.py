"""What stands against a run, explained beforehand, is what it then ends with."""

from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase
from homeostat.core.chaos.explaining import BEFORE, DURING, Answer, Explanation, explained
from homeostat.core.chaos.schedule import next_after
from homeostat.core.chaos.seen import AlertSeen, Case
from homeostat.core.cluster import DisruptionBudget
from scenarios.chaos.world import FREEZE, START, World, a_scale_spec, a_spec

SLO_STOP = {"slo": {"name": "checkout", "burnRateAbove": "14.4"}}


def told(world: World, **changes: Any) -> Explanation:
    return explained(Case(world.spec, world.status, world.seen(**changes), world.now))


def refusals(found: Explanation) -> list[Answer]:
    return [one for one in found.answers if not one.passed]


def test_where_nothing_stands_against_a_run_every_gate_passes_and_it_runs() -> None:
    world = World(a_spec())
    found = told(world)
    assert [one.name for one in found.answers] == list(BEFORE)
    assert refusals(found) == []
    assert found.draft is not None
    world.run(10, until=Phase.RUNNING)
    assert world.status.phase is Phase.RUNNING
    assert world.status.plan is not None
    assert found.draft.plan.targets == world.status.plan.targets


@pytest.mark.parametrize(
    ("gate", "spec", "changes"),
    [
        ("evaluated", {}, {"problem": ("NotPermitted", "a right is missing")}),
        ("suspended", {"suspend": True}, {}),
        ("wanted", {"start": "OnRequest"}, {}),
        ("wanted", {"schedule": {"cron": "0 3 * * *", "timeZone": "UTC"}}, {}),
        ("frozen", {}, {"freeze": FREEZE}),
        ("budget_held", {}, {"budget_held_by": "checkout"}),
        ("namespace", {}, {"labels": ()}),
        ("plan", {}, {"is_checkout_there": False}),
        ("plan", {"blastRadius": {"minAvailable": 3}}, {}),
        ("plan", {}, {"budgets": (DisruptionBudget("pdb", "app=checkout", 0),)}),
        ("steady_state", {}, {"needs": 5, "detects_in": timedelta(0)}),
        ("evaluated", {"schedule": {"cron": "0 3 31 2 *", "timeZone": "UTC"}}, {}),
    ],
)
def test_the_first_gate_that_refuses_names_the_reason_that_the_run_waits_or_ends_with(
    gate: str, spec: dict[str, Any], changes: dict[str, Any]
) -> None:
    world = World(a_spec(**spec), **changes)
    first = refusals(told(world))[0]
    world.run(5)
    assert first.name == gate
    assert world.status.reason == first.reason
    assert world.status.injected_at is None


def test_a_plan_that_waits_for_a_human_says_how_to_approve_it() -> None:
    world = World(a_spec(approval="Required"))
    before = told(world)
    world.run(3)
    waiting = told(world)
    assert world.status.phase is Phase.AWAITING_APPROVAL
    assert "a human will be asked, once the plan is drawn" in {one.message for one in before.answers}
    (refused,) = refusals(waiting)
    assert (refused.name, refused.reason) == ("approval", "AwaitingApproval")
    assert world.status.approval is not None
    assert f"--plan {world.status.approval.hash}" in refused.message


def test_what_no_run_is_wanted_for_is_planned_all_the_same() -> None:
    found = told(World(a_spec(start="OnRequest"), labels=()))
    assert [one.name for one in refusals(found)] == ["wanted", "namespace", "plan"]
    assert found.draft is None
    assert told(World(a_spec(start="OnRequest"))).draft is not None


def test_the_next_start_is_that_of_the_schedule_and_none_while_suspended() -> None:
    schedule = {"cron": "0 3 * * *", "timeZone": "UTC"}
    found = told(World(a_spec(schedule=schedule)))
    assert found.case.spec.schedule is not None
    assert found.next_start == next_after(found.case.spec.schedule, START)
    assert told(World(a_spec(schedule=schedule, suspend=True))).next_start is None
    assert told(World(a_spec())).next_start is None


def test_a_call_for_a_human_and_a_stop_condition_without_data_are_told() -> None:
    world = World(a_spec(stopConditions=[SLO_STOP]))
    alert = AlertSeen("ServiceLevelObjective", "cart", START)
    found = told(world, alerts=(alert,))
    assert [one.reason for one in refusals(found)] == ["IncidentOpen"]
    assert {one.name: one.silent for one in found.answers}["stop_conditions"].endswith("SignalMissing")


@pytest.mark.parametrize(
    ("gate", "changes"),
    [("frozen", {"freeze": FREEZE}), ("budget_held", {"budget_held_by": "checkout"})],
)
def test_under_a_fault_it_is_told_what_stops_it_and_that_is_what_does(gate: str, changes: dict[str, Any]) -> None:
    world = World(a_scale_spec(duration="1m"))
    world.run(20, until=Phase.RUNNING)
    well = told(world)
    assert [one.name for one in well.answers] == list(DURING)
    assert refusals(well) == []
    for name, value in changes.items():
        setattr(world, name, value)
    (refused,) = refusals(told(world))
    world.run(30, until=Phase.FINISHED)
    assert refused.name == gate
    assert world.status.reason == refused.reason


def test_a_run_can_be_explained_in_every_second_of_it_and_nothing_comes_of_that() -> None:
    world = World(a_scale_spec())
    phases = set()
    for _ in range(60):
        before = world.status
        found = told(world)
        assert world.status == before
        assert found.is_at_work is (found.answers[0].name == "frozen")
        phases.add(world.status.phase)
        world.run(1)
    assert {Phase.PENDING, Phase.CHECKING_STEADY_STATE, Phase.RUNNING, Phase.FINISHED} <= phases
