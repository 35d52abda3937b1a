"""How a check fares: thresholds, streaks, blemishes and silence, updated one run at a time."""

import sys
from array import array
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.core.health import plan as plans
from homeostat.core.health.plan import Plan
from homeostat.core.health.run import RESTING, Run
from homeostat.core.health.track import (
    RING,
    VERDICTS,
    Blemish,
    Track,
    blemish_of,
    percentiles,
    record,
    restore,
    snapshot,
    watch_anew,
)
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref

START = datetime(2026, 1, 1, tzinfo=UTC)
POD = Ref("Pod", "shop", "a-1", "uid-2")

CLEAN = Run(Verdict.PASS, Reason.OK, 0.003, 3, 3)
RETRIED = CLEAN._replace(is_retried=True)
SLOW = CLEAN._replace(seconds=0.6)
PARTIAL = CLEAN._replace(passing=2, failing=((POD, "a-1", Reason.TIMEOUT),))
FAILED = Run(Verdict.FAIL, Reason.TIMEOUT, 2.0, 2, 3, failing=((POD, "a-1", Reason.TIMEOUT),))
ERROR = Run(Verdict.ERROR, Reason.INTERNAL, 0.0, 0, 3)
INVALID = Run(Verdict.INVALID, Reason.UNKNOWN_PORT, 0.0, 0, 1)
RUNS = {"c": CLEAN, "r": RETRIED, "s": SLOW, "p": PARTIAL, "f": FAILED, "e": ERROR, "i": INVALID}

HEALTHY, DEGRADED = HealthState.HEALTHY, HealthState.DEGRADED
UNHEALTHY, UNKNOWN = HealthState.UNHEALTHY, HealthState.UNKNOWN


def plan(**fields: Any) -> Plan:
    spec = {"probe": {"tcp": {"address": "a:1"}}, "degraded": {"latency": "500ms"}, "minPassing": "50%", **fields}
    made = plans.compile(HealthCheckSpec.model_validate(spec), Ref("HealthCheck", "shop", "a", "uid-1"))
    assert isinstance(made, Plan)
    return made


PLAN = plan()


def monotonic(at: datetime) -> float:
    """A clock that never jumps, as long as `at` does not either."""
    return (at - START).total_seconds()


def watched() -> Track:
    return restore(HealthCheckStatus(), 1, START, 0.0)


def note(track: Track, compiled: Plan, run: Run, at: datetime) -> bool:
    return record(track, compiled, run, at, monotonic(at))


def run_all(track: Track, word: str, compiled: Plan = PLAN, every: float = 1.0) -> list[HealthState]:
    """Record the runs a word spells, `every` seconds; give the state after each."""
    states = []
    for letter in word:
        note(track, compiled, RUNS[letter], track_time(track, every))
        states.append(track.state)
    return states


def track_time(track: Track, every: float) -> datetime:
    return START + timedelta(seconds=every) * (sum(track.counts) + 1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("", UNKNOWN),
        ("c", UNKNOWN),
        ("cc", HEALTHY),
        ("ff", UNKNOWN),
        ("fff", UNHEALTHY),
        ("ccff", HEALTHY),
        ("ccffc", HEALTHY),
        ("ccffcff", HEALTHY),
        ("ccfff", UNHEALTHY),
        ("cccfffc", UNHEALTHY),
        ("cccfffcfcf", UNHEALTHY),
        ("cccfffcc", HEALTHY),
    ],
)
def test_only_as_many_results_in_a_row_as_the_threshold_move_the_state(word: str, state: HealthState) -> None:
    """H2."""
    track = watched()
    run_all(track, word)

    assert track.state is state


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("ccr", DEGRADED),
        ("ccs", DEGRADED),
        ("ccp", DEGRADED),
        ("cr", DEGRADED),
        ("rc", DEGRADED),
        ("rcc", HEALTHY),
        ("ccrc", DEGRADED),
        ("ccrcrc", DEGRADED),
        ("ccrcc", HEALTHY),
        ("ccrff", DEGRADED),
        ("ccrfff", UNHEALTHY),
        ("fffcr", DEGRADED),
    ],
)
def test_a_blemished_pass_is_never_painted_as_clean(word: str, state: HealthState) -> None:
    """H2: a retry, a slow pass or a partial one is Degraded at once, and Healthy only after clean passes."""
    track = watched()
    run_all(track, word)

    assert track.state is state


@pytest.mark.parametrize(
    ("run", "blemish"),
    [
        (CLEAN, None),
        (RETRIED, Blemish.RETRIED),
        (SLOW, Blemish.SLOW),
        (PARTIAL, Blemish.PARTIAL),
        (PARTIAL._replace(is_retried=True, seconds=9.0), Blemish.PARTIAL),
        (CLEAN._replace(seconds=0.5), None),
    ],
    ids=["clean", "retried", "slow", "partial", "gravest", "at the bound"],
)
def test_a_pass_is_blemished_by_a_retry_by_latency_or_in_part(run: Run, blemish: Blemish | None) -> None:
    """H2."""
    assert blemish_of(run, PLAN) is blemish


def test_latency_degrades_nothing_unless_it_is_asked_to() -> None:
    assert blemish_of(SLOW, plan(degraded=None)) is None


def in_words(history: str, failures: int, successes: int) -> HealthState:
    """H2 as one would tell it, from the whole history each time."""
    state = UNKNOWN
    for end in range(1, len(history) + 1):
        seen = history[:end]
        passes = len(seen) - len(seen.rstrip("crsp"))
        clean = len(seen) - len(seen.rstrip("c"))
        if seen.endswith("f" * failures):
            state = UNHEALTHY
        elif state is HEALTHY and passes and not clean:
            state = DEGRADED
        elif state is DEGRADED and clean >= successes:
            state = HEALTHY
        elif state in {UNKNOWN, UNHEALTHY} and passes >= successes:
            state = HEALTHY if clean >= successes else DEGRADED
    return state


words = st.text("crspf", max_size=40)
thresholds = st.integers(1, 4)


@given(words, thresholds, thresholds)
def test_states_follow_the_thresholds_through_any_history(word: str, failures: int, successes: int) -> None:
    """H2: as an independent telling of the rules has it."""
    track = watched()
    run_all(track, word, plan(failureThreshold=failures, successThreshold=successes))

    assert track.state is in_words(word, failures, successes)


@given(st.text("crspfei", max_size=40))
def test_a_run_that_neither_passed_nor_failed_moves_nothing(word: str) -> None:
    """H1."""
    with_them, without = watched(), watched()
    run_all(with_them, word, every=0.001)
    run_all(without, "".join(letter for letter in word if letter not in "ei"), every=0.001)

    assert (with_them.state, with_them.streak, with_them.clean) == (without.state, without.streak, without.clean)
    assert (with_them.passing, with_them.failing) == (without.passing, without.failing)


def test_every_result_is_counted_by_its_verdict_from_zero() -> None:
    """H1, H10: counters exist before the first result."""
    track = watched()

    assert list(track.counts) == [0] * len(VERDICTS)

    run_all(track, "ccfei")

    assert dict(zip(VERDICTS, track.counts, strict=True)) == {
        Verdict.PASS: 2,
        Verdict.FAIL: 1,
        Verdict.ERROR: 1,
        Verdict.INVALID: 1,
        Verdict.SKIPPED: 0,
        Verdict.UNKNOWN: 0,
    }


@pytest.mark.parametrize(
    ("before", "run", "matters"),
    [
        ("cc", "c", False),
        ("ccc", "e", True),
        ("ccce", "e", False),
        ("ccce", "c", True),
        ("cc", "f", True),
        ("ccf", "f", True),
        ("ccff", "f", True),
        ("ccfff", "f", False),
        ("fff", "c", True),
        ("cc", "r", True),
        ("ccr", "r", False),
        ("ccr", "c", True),
        ("ccr", "p", True),
    ],
)
def test_only_what_changes_something_asks_for_a_decision(before: str, run: str, matters: bool) -> None:  # noqa: FBT001
    """A pass in a steady state is worth nothing; a verdict, a streak, a share or a state is."""
    track = watched()
    run_all(track, before)

    assert note(track, PLAN, RUNS[run], track_time(track, 1.0)) is matters


def test_another_failing_pod_asks_for_a_decision() -> None:
    track = watched()
    run_all(track, "fff")
    other = FAILED._replace(failing=((None, "a-2", Reason.TIMEOUT),))

    assert note(track, PLAN, other, track_time(track, 1.0))


def test_the_state_begins_with_the_run_that_moved_it() -> None:
    track = watched()
    run_all(track, "ccccfffff")

    assert track.since == START + timedelta(seconds=7)


def test_after_a_silence_the_count_starts_anew() -> None:
    """H2: what came before a silence is not in a row with what comes after."""
    track = watched()
    run_all(track, "ccff")
    late = track_time(track, 1.0) + PLAN.stale_after
    note(track, PLAN, FAILED, late)

    assert (track.state, track.streak, track.since) == (UNKNOWN, 1, late)


def test_a_silence_before_anything_was_known_changes_no_state() -> None:
    track = watched()
    note(track, PLAN, CLEAN, START + timedelta(days=1))

    assert (track.state, track.streak, track.since) == (UNKNOWN, 1, START)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_wall_clock_that_jumps_is_no_silence_and_hides_none(jump: timedelta) -> None:
    """Fault 25."""
    track = watched()
    run_all(track, "cc")
    record(track, PLAN, FAILED, START + jump, 3.0)
    after_the_jump = track.state, track.streak
    record(track, PLAN, FAILED, START, 3.0 + PLAN.stale_after.total_seconds())

    assert after_the_jump == (HEALTHY, 1)
    assert (track.state, track.streak) == (UNKNOWN, 1)


@pytest.mark.parametrize(
    ("word", "turns"),
    [("ccc", []), ("fff", [3]), ("cccfff", [6]), ("cccfffcc", [6, 8]), ("cccrrr", []), ("fffcr", [3, 5])],
)
def test_turns_are_between_unhealthy_and_not(word: str, turns: list[int]) -> None:
    """With the time of the run that moved it; how it turns between Healthy and Degraded is not among them."""
    track = watched()
    run_all(track, word)

    assert track.turns == tuple(START + timedelta(seconds=second) for second in turns)


def test_maintenance_keeps_what_was_known_however_rarely_a_run_is_skipped() -> None:
    track = watched()
    run_all(track, "ccc")
    at = START + timedelta(seconds=3)
    for _ in range(3):
        record(track, PLAN, RESTING, at, monotonic(at))
        at += 2 * PLAN.stale_after

    assert (track.state, track.streak, track.verdict) == (HEALTHY, 3, Verdict.SKIPPED)


def test_errors_alone_do_not_keep_a_result_fresh() -> None:
    """H1, R12."""
    track = watched()
    run_all(track, "cc" + "e" * 40)

    assert track.fresh == 2


def test_an_edit_keeps_state_and_streak_and_restarts_the_clock_of_silence() -> None:
    """H3: one track through any number of edits."""
    track = watched()
    run_all(track, "ccf")
    watch_anew(track, 2, 3600.0)

    assert (track.state, track.streak, track.generation, track.fresh) == (HEALTHY, 1, 2, 3600.0)


def test_percentiles_look_at_the_last_hundred_passes() -> None:
    track = watched()
    for milliseconds in range(1, RING + 51):
        note(track, PLAN, CLEAN._replace(seconds=milliseconds / 1000), track_time(track, 0.001))
        note(track, PLAN, FAILED, track_time(track, 0.001))

    assert percentiles(track) == pytest.approx((0.1, 0.145, 0.149))


def test_there_are_no_percentiles_before_the_first_pass() -> None:
    track = watched()
    run_all(track, "fff")

    assert percentiles(track) is None


@given(st.lists(st.floats(0.0, 300.0, width=32), min_size=1, max_size=RING))
def test_percentiles_are_latencies_that_happened_in_order(latencies: list[float]) -> None:
    track = watched()
    for seconds in latencies:
        note(track, PLAN, CLEAN._replace(seconds=seconds), START)
    found = percentiles(track)

    assert found is not None
    assert set(found) <= set(latencies)
    assert list(found) == sorted(found)


def test_a_suspended_check_starts_anew_when_it_goes_on() -> None:
    status = HealthCheckStatus.model_validate(
        {"state": "Suspended", "since": "2025-01-01T00:00:00Z", "streak": {"result": "Fail", "count": 2}, "missed": 7}
    )
    track = restore(status, 3, START, 0.0)

    assert (track.state, track.since, track.streak, track.missed) == (UNKNOWN, START, 0, 7)


def test_a_snapshot_does_not_move_with_its_track() -> None:
    track = watched()
    run_all(track, "cc")
    frozen = snapshot(track, 0.0)
    run_all(track, "fff")

    assert (frozen.state, frozen.streak, frozen.passing, frozen.failing) == (HEALTHY, 2, 3, ())


def test_a_track_takes_less_than_a_kibibyte() -> None:
    """Ten thousand of them live at once."""
    track = watched()
    run_all(track, "ccf")
    own = [getattr(track, name) for name in Track.__slots__ if name != "failing"]
    held = {id(value): value for value in own if isinstance(value, datetime | float | array)}
    size = sys.getsizeof(track) + sum(sys.getsizeof(value) for value in held.values())

    assert size <= 1024
