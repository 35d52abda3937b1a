"""What is told of a check through anything that may happen to it: no alarm is lost, and no end of one."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthState
from lives import Life, at

STATES = {"Unhealthy", "Degraded", "Stale"}
words = st.text("crfedusx", max_size=40)
windows = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 8)), max_size=2)
specs = st.fixed_dictionaries(
    {"failureThreshold": st.integers(1, 2), "successThreshold": st.integers(1, 2), "maintenance": windows}
)


def life_of(failureThreshold: int, successThreshold: int, maintenance: list[tuple[int, int]]) -> Life:  # noqa: N803
    spans = [{"start": at(start), "end": at(start + length)} for start, length in maintenance]
    return Life(
        failureThreshold=failureThreshold,
        successThreshold=successThreshold,
        maintenance=spans,
        flapping={"transitions": 3, "window": "1m"},
        dependsOn=[{"name": "database"}],
    )


def is_flapping(life: Life) -> bool:
    return life.why("Flapping") == "True Flapping"


@given(words, specs)
def test_no_alarm_is_told_while_a_dependency_is_unhealthy(word: str, spec: dict[str, Any]) -> None:
    """H5."""
    assert life_of(**spec).live(word).alarms_under_suppression == []


@given(words, specs)
def test_what_is_wrong_and_kept_back_by_nothing_has_been_told(word: str, spec: dict[str, Any]) -> None:
    """H5, S13: whatever happened, silence, flapping, maintenance and restarts included."""
    life = life_of(**spec).live(word).live("u")
    last = life.told[-1:]

    if is_flapping(life):
        assert last in (["Flapping"], ["Stale"])
    elif life.written.state is HealthState.UNHEALTHY:
        assert "Unhealthy" in life.told
        assert last in (["Unhealthy"], ["Stale"])
    elif life.written.state is HealthState.DEGRADED:
        assert last in (["Degraded"], ["Recovered"])


@given(words, specs)
def test_what_is_over_is_told_to_be_over(word: str, spec: dict[str, Any]) -> None:
    """H5: a resolution is never kept back."""
    life = life_of(**spec).live(word)

    if life.written.state is HealthState.HEALTHY and not is_flapping(life):
        assert life.told[-1:] in ([], ["Recovered"], ["FlappingEnded"])


@given(st.text("crfedux", max_size=40), specs)
def test_no_state_is_told_twice_in_a_row(word: str, spec: dict[str, Any]) -> None:
    """Unless a silence or maintenance lies in between."""
    life = life_of(**{**spec, "maintenance": []}).live(word)

    assert not any(one == two for one, two in pairwise(life.told) if one in STATES)


@given(words, specs)
def test_whatever_happens_a_decision_repeats_itself(word: str, spec: dict[str, Any]) -> None:
    life = life_of(**spec).live(word)
    once = life.decide()
    life.written = once.status
    twice = life.decide()

    assert (twice.status, twice.events) == (once.status, ())


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("cs", ["Stale"]),
        ("csc", ["Stale", "Recovered"]),
        ("fsf", ["Unhealthy", "Stale", "Unhealthy"]),
        ("fsc", ["Unhealthy", "Stale", "Recovered"]),
        ("fcfs", ["Unhealthy", "Recovered", "Flapping", "Stale"]),
        ("fcfdsu", ["Unhealthy", "Recovered", "Flapping", "Stale"]),
    ],
)
def test_a_silence_is_told_whatever_was_before(word: str, told: list[str]) -> None:
    """S13."""
    assert life_of(1, 1, []).live(word).told == told


def test_what_was_told_before_a_silence_and_maintenance_is_told_to_be_over() -> None:
    """H5: through both, for the state itself was lost to the silence."""
    life = life_of(1, 1, [(10, 5)]).live("f")
    life.now = at(9)
    life.live("cc")
    was_lost = life.track.state
    life.now = at(15)
    life.live("c")

    assert was_lost is HealthState.UNKNOWN
    assert life.told == ["Unhealthy", "Recovered"]


def test_a_silence_that_a_run_ends_before_anybody_saw_it_is_told_too() -> None:
    """The state was lost: what comes after it is not in a row with what was before."""
    life = life_of(2, 2, []).live("ff")
    life.now += life.plan.stale_after
    life.live("ccc")

    assert life.told == ["Unhealthy", "Stale", "Recovered"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("ccccssc", ["Stale", "Recovered"]),  # nothing ran in maintenance
        ("ccccsccccc", ["Stale", "Recovered"]),
        ("ffffsccccc", ["Unhealthy", "Stale", "Recovered"]),
        ("ccccscxcccc", ["Stale", "Recovered"]),  # a restart in maintenance
        ("ccccscccff", ["Stale", "Unhealthy"]),
    ],
)
def test_a_silence_that_was_told_before_maintenance_is_told_to_be_over_after_it(word: str, told: list[str]) -> None:
    """H5: rest is no end of a silence, only a run is. Maintenance holds from the second after the silence."""
    assert life_of(1, 1, [(8, 3)]).live(word).told == told


def test_a_silence_that_was_told_stays_the_reason_in_maintenance() -> None:
    life = life_of(1, 1, [(8, 3)]).live("ccccsc")

    assert (life.written.state, life.why("Healthy")) == (HealthState.SUSPENDED, "Unknown Stale")
