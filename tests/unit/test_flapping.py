"""Flapping: when it begins, when it ends, and that its turns are told once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import Flapping
from homeostat.core.health.evaluation import HealthSeen, decide, significance
from homeostat.core.health.flapping import MOST_KEPT, is_flapping, steady_at, with_turn
from homeostat.core.health.track import record
from homeostat.core.significance import Significance
from lives import CHECK, MOMENT, RUNS, SECOND, Life, at

RULE = Flapping(transitions=3, window=timedelta(minutes=1))


# --- the rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "now", "was", "flaps"),
    [
        ([], 0, False, False),
        ([0, 10], 10, False, False),
        ([0, 10, 20], 20, False, True),
        ([0, 10, 59], 59, False, True),
        ([0, 10, 60], 60, False, False),
        ([0, 10, 20], 79, True, True),
        ([0, 10, 20], 80, True, False),
        ([0, 10, 20], 80, False, False),
        ([0, 50, 100, 150], 150, True, True),
        ([0, 50, 100, 150], 150, False, False),
    ],
)
def test_flapping_needs_enough_turns_to_begin_and_a_whole_window_without_one_to_end(
    turns: list[int],
    now: int,
    was: bool,  # noqa: FBT001
    flaps: bool,  # noqa: FBT001
) -> None:
    assert is_flapping(RULE, [at(turn) for turn in turns], at(now), was=was) is flaps


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(3, 20), st.integers(60, 120))
def test_flapping_is_as_a_second_by_second_telling_has_it(seconds: list[int], transitions: int, window: int) -> None:
    """Whatever the history: kept turns and a memory of one bit say the same as all turns ever."""
    rule = Flapping(transitions=transitions, window=timedelta(seconds=window))
    kept: tuple[datetime, ...] = ()
    ever: list[int] = []
    was = told = False
    for second in range(420):
        for _ in range(seconds.count(second)):
            kept = with_turn(kept, at(second))
            ever.append(second)
        recent = [turn for turn in ever if second - turn < window]
        told = bool(recent) if told else len(recent) >= transitions
        was = is_flapping(rule, kept, at(second), was=was)

        assert was is told
        assert len(kept) <= MOST_KEPT


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(0, 400))
def test_it_is_flapping_until_the_time_that_is_announced_and_not_then(seconds: list[int], now: int) -> None:
    turns = tuple(map(at, sorted(seconds)))
    end = steady_at(RULE, turns, at(now))
    before = [turn for turn in turns if turn <= at(now)]

    assert (end is None) is not is_flapping(RULE, turns, at(now), was=True)
    if end is not None:
        assert end > at(now)
        assert not is_flapping(RULE, before, end, was=True)
        assert is_flapping(RULE, before, end - timedelta(microseconds=1), was=True)


def test_as_many_turns_are_kept_as_may_be_asked_for() -> None:
    rule = Flapping(transitions=20, window=timedelta(minutes=1))
    turns: tuple[datetime, ...] = ()
    for second in range(30):
        turns = with_turn(turns, at(second))

    assert len(turns) == MOST_KEPT
    assert is_flapping(rule, turns, at(30), was=False)


def test_turns_from_before_the_clock_was_set_back_do_not_count() -> None:
    """Fault 25: they lie ahead, and would make it flap for an hour."""
    ahead = (at(3600), at(3610), at(3620))

    assert not is_flapping(RULE, ahead, at(0), was=True)
    assert steady_at(RULE, ahead, at(0)) is None
    assert with_turn(ahead, at(0)) == (at(0),)


# --- a check that flaps ---------------------------------------------------------------------------------


def life_of(**spec: Any) -> Life:
    """A check that turns with each run, and flaps with the third turn within a minute."""
    flapping = {"transitions": 3, "window": "1m"}
    return Life(**{"flapping": flapping, "failureThreshold": 1, "successThreshold": 1, **spec})


def test_a_check_that_turns_to_and_fro_is_told_once_and_its_end_too() -> None:
    life = life_of().live("cfc")
    before = list(life.told)
    life.live("fcfcfcfcfcfc").live("c" * 59)
    during, is_flapping_still = list(life.told), life.why("Flapping")
    life.live("c")

    assert before == ["Unhealthy", "Recovered"]
    assert during == ["Unhealthy", "Recovered", "Flapping"]
    assert is_flapping_still == "True Flapping"
    assert life.told[3:] == ["FlappingEnded"]
    assert life.why("Flapping") == "False Steady"


def test_what_flapping_ends_in_is_told_when_it_is_bad() -> None:
    """The last turn was not told while it lasted."""
    life = life_of().live("cfcfcf").live("f" * 60)

    assert life.told[-2:] == ["FlappingEnded", "Unhealthy"]


def test_the_next_failure_after_flapping_is_told_again() -> None:
    life = life_of().live("cfcfc").live("c" * 60).live("f")

    assert life.told[-2:] == ["FlappingEnded", "Unhealthy"]


def test_degraded_and_healthy_are_on_the_same_side() -> None:
    """Turns are between Unhealthy and not."""
    life = life_of().live("crcrcrcrcrcr")

    assert life.written.transitions == ()
    assert life.why("Flapping") == "False Steady"


def test_a_slow_wave_does_not_flap() -> None:
    assert "Flapping" not in life_of().live(("f" * 30 + "c" * 30) * 10).told


@given(st.text("cf", max_size=30), st.text("cf", max_size=30))
def test_turns_and_flapping_survive_a_restart(before: str, after: str) -> None:
    """H6: killed at any moment, what is told later is the same."""
    one, two = life_of().live(before), life_of().live(before)
    one.now += MOMENT
    two.live("x")
    one.live(after), two.live(after)

    assert (two.told, two.why("Flapping")) == (one.told, one.why("Flapping"))
    assert two.written.transitions == one.written.transitions


def test_two_turns_between_two_looks_are_written_though_the_state_is_the_same() -> None:
    """H6: a restart must not lose them."""
    life = life_of().live("c")
    for run in "fc":
        life.now += SECOND
        record(life.track, life.plan, RUNS[run], life.now, life.monotonic)
    before = life.written

    assert significance(before, life.decide().status) is Significance.CHANGE
    assert life.decide().status.state is before.state


def test_a_restart_remembers_that_it_flaps() -> None:
    """H6: metrics show it without a decision."""
    life = life_of().live("cfcfx")

    assert life.track.is_flapping


def test_a_steady_check_costs_no_writes_for_being_watched() -> None:
    life = life_of().live("cfcfc" + "c" * 60)
    writes = life.writes
    life.live("c" * 500)

    assert life.writes == writes


def test_a_check_that_is_suspended_while_it_flaps_starts_anew() -> None:
    life = life_of().live("cfcfc")
    life.spec = life.spec.model_copy(update={"suspend": True})
    made = decide(life.spec, life.written, HealthSeen(CHECK, 2), life.now)

    assert made.status.transitions == ()
    assert made.events == ()
    assert [one.reason for one in made.status.conditions if one.type == "Flapping"] == ["Steady"]


@pytest.mark.parametrize("wave", ["cfcfcf", "fcfcfc", "ccfcfcfcfff"])
def test_flapping_that_begins_under_an_unhealthy_dependency_is_told_when_that_recovers(wave: str) -> None:
    """H5: the beginning of an alarm is kept back, and told while it still is so."""
    life = life_of(dependsOn=[{"name": "database"}]).live("d").live(wave)
    kept_back = list(life.told)
    life.live("u")

    assert "Flapping" not in kept_back
    assert life.told[len(kept_back) :] == ["Flapping"]
