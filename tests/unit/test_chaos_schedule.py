"""When runs begin by themselves: cron in a zone's own time, over changes to summer time and back; nothing piles up."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.chaos import Schedule
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.core.action import DeletePod
from homeostat.core.chaos import is_at_rest
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.schedule import LATEST_START, is_due_time, next_after, schedule_problem
from scenarios.chaos.world import FREEZE, START, World, a_spec

PARIS = "Europe/Paris"
EVERY_QUARTER = {"cron": "*/15 * * * *"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(cron: str, after: str, zone: str = PARIS, count: int = 3) -> list[str]:
    """Give the next times, in UTC."""
    found, moment = [], at(after)
    for _ in range(count):
        following = next_after(Schedule(cron=cron, time_zone=zone), moment)
        assert following is not None
        moment = following
        found.append(f"{moment:%m-%d %H:%M}")
    return found


# --- times ----------------------------------------------------------------------------------------------


def test_a_time_is_meant_in_the_zones_own_time() -> None:
    """10:00 in Paris is 09:00 UTC in winter and 08:00 in summer."""
    assert due("0 10 * * 2", "2026-03-23T00:00") == ["03-24 09:00", "03-31 08:00", "04-07 08:00"]


def test_a_time_that_does_not_exist_is_due_when_the_clock_goes_on() -> None:
    """On 2026-03-29 Paris goes from 02:00 to 03:00, which is 01:00 UTC."""
    assert due("30 2 * * *", "2026-03-28T00:00") == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_time_that_exists_twice_is_due_the_first_time_only() -> None:
    """On 2026-10-25 Paris has 02:00 to 03:00 twice, from 00:00 and from 01:00 UTC."""
    assert due("30 2 * * *", "2026-10-24T12:00") == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]
    assert due("30 2 * * *", "2026-10-25T01:05", count=1) == ["10-26 01:30"]  # asked within the second of the two


def test_every_quarter_of_an_hour_goes_by_real_time() -> None:
    """The hour that is repeated has its own quarters."""
    times = due("*/15 * * * *", "2026-10-25T00:30", count=5)

    assert times == ["10-25 00:45", "10-25 01:00", "10-25 01:15", "10-25 01:30", "10-25 01:45"]


crons = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(["0", "30", "*/15", "5,50", "*"]),
        st.sampled_from(["*", "1", "2", "3", "*/6", "1-3"]),
        st.sampled_from(["*", "29", "25", "1-7", "L"]),
        st.sampled_from(["*", "3", "10", "3,10"]),
        st.sampled_from(["*", "SUN", "1-5", "0#4"]),
    ),
)
zones = st.sampled_from(
    ["UTC", PARIS, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@settings(max_examples=150, deadline=None)
@given(crons, zones, moments)
def test_times_only_go_on_and_name_the_minute_that_the_zone_shows(cron: str, zone: str, moment: datetime) -> None:
    """Whatever clocks do: later than asked, whole minutes, the same from any moment in between, and named by the cron.

    Only a time that does not exist is due at another minute than its own: the first that does.
    """
    schedule = Schedule(cron=cron, time_zone=zone)
    following = next_after(schedule, moment)
    if following is None:
        return
    middle = next_after(schedule, moment + (following - moment) / 2)
    wall, minute = following.astimezone(ZoneInfo(zone)), cron.split(maxsplit=1)[0]
    minutes = {"0": {0}, "30": {30}, "*/15": {0, 15, 30, 45}, "5,50": {5, 50}, "*": set(range(60))}[minute]
    before = (following - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
    is_after_gap = wall.utcoffset() != before.utcoffset()

    assert following > moment
    assert following.tzinfo is UTC
    assert (following.second, following.microsecond) == (0, 0)
    assert middle == following
    assert is_due_time(schedule, following)
    assert wall.minute in minutes or is_after_gap


@pytest.mark.parametrize(
    ("cron", "zone", "word"),
    [
        ("0 10 * * 2", "Europe/Pariss", "timeZone"),
        ("0 10 * * 2", "Europe", "timeZone"),
        ("0 10 31 2 *", "UTC", "cannot be read"),
        ("0 25 * * *", "UTC", "cannot be read"),
        ("0 0 */3 2 MON#5", "UTC", "never due"),
        ("0 0 10 * * 2", "UTC", "five fields"),
        ("0 10 1-7 *", "UTC", "five fields"),
    ],
)
def test_a_schedule_that_is_none_says_so_and_begins_nothing(cron: str, zone: str, word: str) -> None:
    """Bad input gets a clear condition: Ready=False, InvalidSchedule."""
    world = World(a_spec(schedule={"cron": cron, "timeZone": zone}))
    world.run_requested = "by-hand"
    world.reconcile()
    (ready,) = (one for one in world.status.conditions if one.type == "Ready")

    assert (ready.status, ready.reason) == ("False", ChaosReason.INVALID_SCHEDULE)
    assert word in ready.message
    assert (world.status.phase, world.status.next_run_at) == (Phase.PENDING, None)


def test_a_good_schedule_has_no_problem() -> None:
    assert schedule_problem(Schedule(cron="0 10 * * 2", time_zone=PARIS), START) is None
    assert schedule_problem(None, START) is None


# --- runs -----------------------------------------------------------------------------------------------


def scheduled(**changes: Any) -> World:
    """Give a world whose experiment runs each quarter of an hour, just applied, at 12:01."""
    world = World(a_spec(schedule=EVERY_QUARTER, **changes))
    world.tick(60)
    world.reconcile()
    return world


def runs(world: World) -> list[int]:
    return [run.number for run in world.status.runs]


def sleep_until(world: World, moment: datetime) -> None:
    """Let the operator be idle until a time, as its own `check_again_at` would have it."""
    world.tick((moment - world.now).total_seconds())
    world.reconcile()


def test_the_first_run_is_at_the_first_due_time_and_not_at_once() -> None:
    world = scheduled()
    assert (world.status.phase, world.status.reason) == (Phase.PENDING, ChaosReason.NOT_DUE)
    assert world.status.next_run_at == at("2026-12-01T12:15")
    assert world.decide().check_again_at == at("2026-12-01T12:15")
    sleep_until(world, at("2026-12-01T12:15"))

    assert world.status.phase is Phase.CHECKING_STEADY_STATE
    assert world.status.next_run_at == at("2026-12-01T12:30")


def test_each_due_time_begins_one_run() -> None:
    world = scheduled()
    for minute in (15, 30, 45):
        sleep_until(world, at(f"2026-12-01T12:{minute}"))
        world.run(60, until=Phase.FINISHED)

    assert runs(world) == [3, 2, 1]
    assert all(run.verdict is Verdict.PASSED for run in world.status.runs)


def test_a_run_by_hand_needs_no_due_time_and_takes_none() -> None:
    world = scheduled()
    world.run_requested = "now"
    world.reconcile()
    world.run(60, until=Phase.FINISHED)

    assert runs(world) == [1]
    assert world.status.next_run_at == at("2026-12-01T12:15")


def test_what_was_missed_while_the_operator_was_away_is_skipped_and_told() -> None:
    """An hour away is not four runs at once."""
    world = scheduled()
    sleep_until(world, at("2026-12-01T13:01"))

    assert (runs(world), world.status.phase) == ([], Phase.PENDING)
    assert world.status.next_run_at == at("2026-12-01T13:15")
    assert [one.reason for one in world.events] == ["RunSkipped"]


@pytest.mark.parametrize(("late", "is_begun"), [(LATEST_START, True), (LATEST_START + timedelta(seconds=1), False)])
def test_a_short_absence_costs_no_run(late: timedelta, *, is_begun: bool) -> None:
    world = scheduled()
    sleep_until(world, at("2026-12-01T12:15") + late)

    assert (world.status.run_number == 1) is is_begun


@pytest.mark.parametrize("what", ["suspended", "frozen", "held"])
def test_what_is_due_while_something_stands_against_it_is_skipped(what: str) -> None:
    """C8, C9: and when that is over, the next time counts."""
    world = scheduled(suspend=what == "suspended")
    world.freeze = FREEZE if what == "frozen" else None
    world.budget_held_by = "checkout" if what == "held" else ""
    sleep_until(world, at("2026-12-01T12:15"))
    world.freeze, world.budget_held_by = None, ""
    world.spec = world.spec.model_copy(update={"suspend": False})
    world.reconcile()

    assert (runs(world), world.status.phase) == ([], Phase.PENDING)
    assert world.status.next_run_at == at("2026-12-01T12:30")


def test_what_is_due_while_a_run_is_under_way_is_skipped() -> None:
    """One run at a time, and no queue of them."""
    world = scheduled(duration="20m")
    sleep_until(world, at("2026-12-01T12:15"))
    world.run(60 * 22, until=Phase.FINISHED)

    assert world.status.phase is Phase.FINISHED
    assert runs(world) == [1]
    assert world.status.next_run_at == at("2026-12-01T12:45")
    assert "RunSkipped" in [one.reason for one in world.events]


def test_an_edited_schedule_counts_from_now() -> None:
    world = scheduled()
    world.spec = a_spec(schedule={"cron": "20 * * * *"})
    world.generation += 1
    world.reconcile()
    assert world.status.next_run_at == at("2026-12-01T12:20")
    world.spec = a_spec()
    world.reconcile()

    assert world.status.next_run_at is None


def test_between_its_runs_an_experiment_needs_nothing_of_the_cluster() -> None:
    world = scheduled()
    moment = at("2026-12-01T12:15")

    assert is_at_rest(world.spec, world.status, "", moment - timedelta(seconds=1))
    assert not is_at_rest(world.spec, world.status, "", moment)
    assert not is_at_rest(world.spec, world.status, "by-hand", moment - timedelta(seconds=1))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1500), st.sampled_from(["", "freeze", "thaw", "hand"])), max_size=12))
def test_no_time_ever_begins_two_runs(pauses: list[tuple[int, str]]) -> None:
    """Whenever the operator looks, and whatever stands against a run: at most one for each time and wish."""
    world, wishes = scheduled(), 0
    for seconds, what in pauses:
        world.freeze = {"freeze": FREEZE, "thaw": None}.get(what, world.freeze)
        if what == "hand" and world.status.phase in {Phase.PENDING, Phase.FINISHED}:
            wishes += 1
            world.run_requested = str(wishes)
        world.tick(seconds)
        world.reconcile()
    passed = int((world.now - START) / timedelta(minutes=15))

    assert world.status.run_number <= passed + wishes
    assert sum(isinstance(act, DeletePod) for act in world.acts) <= world.status.run_number
    assert world.status.next_run_at is not None
    assert world.status.next_run_at > world.now
