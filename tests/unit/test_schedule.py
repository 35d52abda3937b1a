"""The one delay queue: order, the earlier request wins, no key is lost, and starts are spread."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from homeostat.core.schedule import Schedule, early_run_in, first_run_in, next_run, phase, until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYS = st.sampled_from("abcdefgh")
TIMES = st.integers(0, 50).map(float)


def uids(count: int) -> list[str]:
    return [str(UUID(int=number * 0x9E3779B97F4A7C15 % 2**128)) for number in range(count)]


class ScheduleAgainstModel(RuleBasedStateMachine):
    """A plain dictionary of due times must never differ from the schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: Schedule[str] = Schedule()
        self.model: dict[str, float] = {}

    @rule(key=KEYS, at=TIMES)
    def add(self, key: str, at: float) -> None:
        self.schedule.add(key, at)
        self.model[key] = min(at, self.model.get(key, math.inf))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.schedule.forget(key)
        self.model.pop(key, None)

    @rule(now=TIMES)
    def pop(self, now: float) -> None:
        popped = list(self.schedule.pop_due(now))

        assert [at for _, at in popped] == sorted(at for _, at in popped)
        assert dict(popped) == {key: at for key, at in self.model.items() if at <= now}
        assert len(popped) == len({key for key, _ in popped})
        self.model = {key: at for key, at in self.model.items() if at > now}

    @invariant()
    def agrees(self) -> None:
        assert len(self.schedule) == len(self.model)
        assert self.schedule.next_at() == min(self.model.values(), default=math.inf)


ScheduleAgainstModel.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
test_the_schedule_never_loses_repeats_or_misorders_a_key = ScheduleAgainstModel.TestCase


def test_the_earlier_of_two_requests_wins() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 5)
    schedule.add("a", 3)
    schedule.add("a", 4)

    assert list(schedule.pop_due(10)) == [("a", 3)]
    assert schedule.next_at() == math.inf


def test_keys_due_at_the_same_time_come_in_the_order_they_were_asked_for() -> None:
    schedule: Schedule[str] = Schedule()
    for key in "cab":
        schedule.add(key, 1)

    assert [key for key, _ in schedule.pop_due(1)] == ["c", "a", "b"]


def test_a_key_asked_for_while_the_due_ones_are_taken_is_not_lost() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 1)
    popped = []
    for key, at in schedule.pop_due(1):
        popped.append(key)
        if len(popped) < 3:
            schedule.add(key, at)
        else:
            schedule.add(key, 9)

    assert popped == ["a", "a", "a"]
    assert schedule.next_at() == 9


def test_superseded_entries_do_not_pile_up() -> None:
    times = 3000
    schedule: Schedule[int] = Schedule()
    for at in range(times, 0, -1):
        schedule.add(1, at)
        schedule.add(2, at)
        schedule.forget(2)

    assert len(schedule._heap) <= 1024
    assert list(schedule.pop_due(times)) == [(1, 1)]


# --- when a check runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [10, 30, 60])
def test_a_restart_fires_no_two_thirds_of_all_checks_at_once(interval: int) -> None:
    """H3: spread by hash(uid): the peak second has less than 1.5 times the mean of the seconds."""
    count = 600 * interval
    starts = Counter(int(first_run_in(uid, interval, NOON)) for uid in uids(count))

    assert len(starts) == interval
    assert max(starts.values()) < 1.5 * count / interval


@given(uid=st.uuids().map(str), interval=st.floats(1, 86_400), restart=st.floats(0, 1e6))
def test_a_check_keeps_its_points_in_time_over_restarts(uid: str, interval: float, restart: float) -> None:
    """H3: stable, whenever the process starts."""
    later = NOON + timedelta(seconds=restart)
    first = NOON.timestamp() + first_run_in(uid, interval, NOON)
    second = later.timestamp() + first_run_in(uid, interval, later)
    apart = (second - first) / interval

    assert abs(apart - round(apart)) * interval < 1e-3


@given(uid=st.text(), interval=st.floats(0.001, 86_400), offset=st.floats(-1e9, 1e9))
def test_the_first_run_comes_within_one_interval(uid: str, interval: float, offset: float) -> None:
    now = NOON + timedelta(seconds=offset)

    assert 0 <= first_run_in(uid, interval, now) <= interval
    assert 0 <= phase(uid, interval) <= interval


@given(due=st.floats(0, 1e9), interval=st.floats(1, 86_400), late=st.floats(0, 1e6))
def test_the_next_run_is_the_next_point_after_now_and_every_point_between_was_missed(
    due: float, interval: float, late: float
) -> None:
    """H3: start-to-start; a missed run is counted, not silently skipped."""
    now = due + late
    following, missed = next_run(due, interval, now)

    assert following > now - 1e-3
    assert following - now <= interval + 1e-3
    assert following == pytest.approx(due + (missed + 1) * interval)


def test_a_run_in_time_misses_none() -> None:
    assert next_run(100, 10, 100) == (110, 0)
    assert next_run(100, 10, 109.9) == (110, 0)
    assert next_run(100, 10, 110) == (120, 1)
    assert next_run(100, 10, 135) == (140, 3)


def test_a_clock_behind_the_due_time_misses_none() -> None:
    assert next_run(100, 10, 99) == (110, 0)


@given(st.timedeltas(timedelta(days=-9), timedelta(days=9)))
def test_a_wait_is_never_negative(ahead: timedelta) -> None:
    assert until(NOON + ahead, NOON) == max(0.0, ahead.total_seconds())


@pytest.mark.parametrize("interval", [10.0, 3600.0, 21_600.0])
def test_the_first_run_ever_is_within_half_a_minute_and_spread_all_the_same(interval: float) -> None:
    """H3: who creates a check that runs four times a day need not wait for hours to see it run."""
    found = {uid: early_run_in(uid, interval, NOON) for uid in uids(1000)}
    starts = [early for early, _ in found.values()]

    assert all(regular in {None, first_run_in(uid, interval, NOON)} for uid, (_, regular) in found.items())
    assert all(regular is None or early < regular for early, regular in found.values())
    assert min(starts) >= 0
    assert max(starts) <= min(interval, 30)
    assert len({int(start) for start in starts}) == min(interval, 30)
