"""Maintenance: nothing is probed and nothing counted, and the check goes on where it left."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckStatus, HealthState
from homeostat.core.health.evaluation import significance
from homeostat.core.health.maintenance import rests_until
from homeostat.core.probing.result import Verdict
from homeostat.core.significance import Significance
from lives import Life, at

HEALTHY, UNKNOWN, SUSPENDED = HealthState.HEALTHY, HealthState.UNKNOWN, HealthState.SUSPENDED


# --- windows --------------------------------------------------------------------------------------------

spans = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=6)


@given(spans, st.integers(0, 45))
def test_a_rest_lasts_until_the_first_second_that_no_window_holds(spans_: list[tuple[int, int]], now: int) -> None:
    """Windows that meet or overlap are one."""
    windows = [(at(start), at(start + length)) for start, length in spans_]
    held = {second for start, length in spans_ for second in range(start, start + length)}
    end = next(second for second in range(now, 100) if second not in held)

    assert rests_until(windows, at(now)) == (at(end) if end > now else None)


# --- the life of a check --------------------------------------------------------------------------------


def life_of(opens: float = 1000, closes: float = 1100, **spec: Any) -> Life:
    """A check that runs every second; `opens` and `closes` are when its maintenance holds."""
    return Life(**{"maintenance": [{"start": at(opens), "end": at(closes), "reason": "new disks"}], **spec})


def test_a_check_in_maintenance_is_suspended_and_ready_and_says_until_when() -> None:
    life = life_of(opens=4, closes=104).live("ccccc")

    assert life.written.state is SUSPENDED
    assert life.written.message == "in maintenance until 2026-01-01T00:01:44Z: new disks"
    assert life.why("Ready") == "True Maintenance"
    assert life.why("Healthy") == "Unknown PassingBefore"
    assert (life.written.score, life.written.since) == (None, at(4))


def test_maintenance_without_a_reason_says_when_it_ends_and_no_more() -> None:
    life = life_of(maintenance=[{"start": at(0), "end": at(60)}]).live("c")

    assert life.written.message == "in maintenance until 2026-01-01T00:01:00Z"


def test_what_is_skipped_is_counted_as_such_and_moves_nothing() -> None:
    """H1."""
    life = life_of(opens=3, closes=9).live("ccffffffff")
    counts = dict(zip(Verdict, life.track.counts, strict=True))

    assert (counts[Verdict.SKIPPED], counts[Verdict.PASS], counts[Verdict.FAIL]) == (6, 2, 2)
    assert (life.track.state, life.track.streak, life.track.turns) == (HEALTHY, 2, ())


@pytest.mark.parametrize("length", [1, 60, 3600])
def test_maintenance_is_no_silence_however_long(length: int) -> None:
    """What was known before is known again with the first run after it."""
    life = life_of(opens=3, closes=3 + length).live("cc" + "c" * length)
    is_at_rest = life.written.state
    life.live("c")

    assert (is_at_rest, life.written.state) == (SUSPENDED, HEALTHY)
    assert "Stale" not in life.told


def test_until_the_first_run_after_it_nothing_is_claimed() -> None:
    life = life_of(opens=3, closes=10).live("ccccccccc")
    life.now = at(12)
    before = life.decide().status
    after = life.live("x").decide().status

    for status in (before, after):
        assert (status.state, status.message) == (SUSPENDED, "maintenance is over, and the next run is still to come")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("cc", "cc", []),
        ("fff", "cc", ["Unhealthy", "Recovered"]),
        ("fff", "f", ["Unhealthy", "Unhealthy"]),
        ("cc", "fff", ["Unhealthy"]),
        ("fff", "cff", ["Unhealthy"]),
        ("ccr", "cc", ["Degraded", "Recovered"]),
        ("ccr", "r", ["Degraded", "Degraded"]),
    ],
)
@pytest.mark.parametrize("restart", ["", "x"])
def test_what_was_wrong_before_is_told_as_over_or_told_again(
    before: str, after: str, told: list[str], restart: str
) -> None:
    """H5: a resolution is never lost, and neither is an alarm, also through a restart in maintenance (H6)."""
    opens = len(before) + 1
    life = life_of(opens=opens, closes=opens + 10).live(before + "ccccc" + restart + "ccccc").live(after)

    assert life.told == told


@given(st.text("crf", min_size=3, max_size=12), st.text("crf", max_size=8))
def test_streaks_and_states_survive_a_restart_in_maintenance(before: str, after: str) -> None:
    """H6: killed in maintenance, all later states are the same."""
    opens = len(before) + 1
    one = life_of(opens=opens, closes=opens + 4).live(before + "cccc")
    two = life_of(opens=opens, closes=opens + 4).live(before + "ccxcc")
    assume(one.track.state is not UNKNOWN)  # passes that first make a state known cost no write, and are lost
    states = [(one.live(letter).track.state, two.live(letter).track.state) for letter in after]

    assert [first for first, _ in states] == [second for _, second in states]
    assert one.told == two.told


def test_a_silence_before_maintenance_stays_one() -> None:
    """What was in a row before it is not in a row with what comes after."""
    life = life_of(opens=100, closes=110).live("cc")
    life.now = at(99)
    life.live("cc")

    assert life.track.state is UNKNOWN


def test_a_restart_in_maintenance_writes_nothing_and_tells_nothing() -> None:
    life = life_of(opens=4, closes=104).live("cccc")
    before, told = life.written, list(life.told)
    life.live("x")

    assert significance(before, life.decide().status) is not Significance.CHANGE
    assert life.told == told


def test_flapping_ends_in_maintenance_too() -> None:
    """A whole window without a turn has passed, whyever."""
    flaps = {"flapping": {"transitions": 3, "window": "1m"}, "failureThreshold": 1, "successThreshold": 1}
    life = life_of(opens=6, closes=200, **flaps).live("cfcfc" + "c" * 70)
    life.look()

    assert life.told == ["Unhealthy", "Recovered", "Flapping", "FlappingEnded"]


@given(st.text("crfx", max_size=30), st.integers(1, 30), st.integers(1, 20), st.integers(0, 100))
def test_a_decision_round_maintenance_is_total_and_repeats_itself(
    word: str, opens: int, length: int, later: int
) -> None:
    life = life_of(opens=opens, closes=opens + length).live(word)
    life.now += timedelta(seconds=later)
    once = life.decide()
    life.written = once.status
    twice = life.decide()

    assert (twice.status, twice.events) == (once.status, ())
    assert once.check_again_at is None or once.check_again_at > life.now
    assert HealthCheckStatus.model_validate(once.status.wire()).wire() == once.status.wire()
