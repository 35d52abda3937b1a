"""RecoveryPolicy: which step is due, when it is tried again, and what holds chains that do not help."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.recovery_attempt import Outcome
from homeostat.api.recovery_limits import IneffectiveLimit
from homeostat.api.recovery_step import Retries
from homeostat.core.recovery.attempt.sequence import backoff, due
from homeostat.core.recovery.limits.ineffective import held_until, with_return
from homeostat.core.recovery.seen import Case
from scenarios.recovery.world import NOON, Killed, World, spec

OFTEN = {"cooldown": "5s", "budget": {"actions": 50, "per": "1h"}, "maxUnhealthy": "100%"}
QUICK = {"stabilise": "1s", "holdFor": "2s", "deadline": "10s"}


def world(steps: list[dict[str, Any]], **changes: Any) -> World:
    made = World(spec=spec(steps=steps, limits=OFTEN, verify=QUICK), **{"eviction_heals": False} | changes)
    made.reconcile()
    made.sick.add("checkout-1")
    return made


def case_of(made: World, **status: object) -> Case:
    return Case(made.spec, made.status, made.seen(), made.now).with_status(**status)


# --- order ----------------------------------------------------------------------------------------------


def test_steps_are_tried_in_the_order_of_the_spec_and_a_human_is_last() -> None:
    """R16: whatever stands where in the spec."""
    made = world([{"restartPods": {}}, {"rolloutRestart": {}}, {"escalate": {}}])

    assert [due(case_of(made, tried=tried)) for tried in ((), (0,), (0, 1))] == [0, 1, 2]


def test_when_all_is_tried_and_no_step_escalates_a_human_is_told_all_the_same() -> None:
    """R16."""
    made = world([{"restartPods": {}}])

    assert due(case_of(made, tried=(0,))) == 1


def test_steps_that_write_what_git_owns_come_after_those_that_do_not() -> None:
    """GitOps: a change that will be taken back is the last thing to try, but before a human."""
    made = world([{"scale": {"by": "+1"}}, {"restartPods": {}}, {"escalate": {}}], git_has=4)

    assert [due(case_of(made, tried=tried)) for tried in ((), (1,), (0, 1))] == [1, 0, 2]


def test_a_step_that_was_begun_is_retried_before_any_other() -> None:
    """R16: its retries are its own."""
    made = world([{"restartPods": {}}, {"rolloutRestart": {}, "retries": {"max": 2}}])

    assert due(case_of(made, tries=1, next_step=1)) == 1


def test_an_edited_spec_starts_over() -> None:
    """What was tried was of another spec; also when an attempt was under way as it was edited."""
    made = world([{"restartPods": {}}, {"scale": {"by": "+1"}}, {"rolloutRestart": {}}], scaling_heals=False)
    made.run("25s")
    assert made.status.tried == (0,)

    made.generation += 1
    status = made.run("1s")

    assert 0 not in status.tried


# --- retries --------------------------------------------------------------------------------------------


def test_a_step_is_tried_as_often_as_it_may_and_then_the_next_one_is() -> None:
    """R16: twice more, then the next, then a human; each attempt says which try it was."""
    made = world([{"restartPods": {}, "retries": {"max": 2, "backoff": "5s"}}, {"escalate": {}}])
    tries: list[int] = []
    for _ in range(180):
        made.run("1s")
        attempt = made.status.attempt
        if attempt and (not tries or tries[-1] != attempt.try_):
            tries.append(attempt.try_)

    assert tries == [0, 1, 2]
    assert [record.outcome for record in made.status.last] == [Outcome.ESCALATED, *[Outcome.FAILED] * 3]
    assert len(made.effects) == 3


def test_a_retry_is_never_earlier_than_the_cooldown() -> None:
    """R3: the later of both counts."""
    limits = OFTEN | {"cooldown": "2m"}
    made = world([{"restartPods": {}, "retries": {"max": 1, "backoff": "1s"}}])
    made.spec = spec(steps=[{"restartPods": {}, "retries": {"max": 1, "backoff": "1s"}}], limits=limits, verify=QUICK)

    made.run("60s")
    assert len(made.effects) == 1
    made.run("2m")

    assert len(made.effects) == 2


def test_what_is_refused_for_good_waits_its_backoff_before_it_is_tried_again() -> None:
    """A step that never got through has its retries as well."""
    step = {"restartPods": {}, "timeout": "10s", "retries": {"max": 1, "backoff": "1m"}}
    made = world([step, {"escalate": {}}], pdb_allows=False)

    made.run("15s")
    assert (made.status.tries, made.status.attempt) == (1, None)
    made.pdb_allows = True
    made.run("30s")
    assert made.effects == []
    made.run("45s")

    assert len(made.effects) == 1


@given(st.integers(1, 3600), st.integers(1, 86_400), st.integers(0, 10), st.text(max_size=20))
def test_backoff_doubles_within_a_fifth_and_stays_below_its_maximum(
    first: int, most: int, tries: int, seed: str
) -> None:
    """Total, pure, and never beyond maxBackoff."""
    retries = Retries(max=10, backoff=timedelta(seconds=first), max_backoff=timedelta(seconds=most))
    plain = min(retries.backoff * (1 << tries), retries.max_backoff)

    wait = backoff(retries, tries, seed)

    assert wait == backoff(retries, tries, seed)
    assert plain * 0.799 <= wait <= min(plain * 1.201, retries.max_backoff)


def test_backoff_differs_from_attempt_to_attempt() -> None:
    """Jitter: policies that failed together do not come back together."""
    assert len({backoff(Retries(max=1), 0, f"a{number}") for number in range(20)}) > 10


# --- R9 -------------------------------------------------------------------------------------------------


def test_what_falls_back_too_often_is_held_until_enough_returns_are_old() -> None:
    """R9: of four returns with a limit of three, two must leave the window."""
    limit = IneffectiveLimit(count=3, window=timedelta(hours=1))
    returns = tuple(NOON + timedelta(minutes=minute) for minute in (0, 10, 20, 30))
    now = NOON + timedelta(minutes=40)

    assert held_until(returns, limit, now) == NOON + timedelta(minutes=70)
    assert held_until(returns, limit, NOON + timedelta(minutes=70)) is None


@given(st.lists(st.integers(-7200, 7200), max_size=30), st.integers(1, 20))
def test_a_hold_of_returns_ends_in_time_whatever_the_clock_did(offsets: list[int], count: int) -> None:
    """R9: a clock set back cannot hold a policy for longer than a window."""
    limit = IneffectiveLimit(count=count, window=timedelta(hours=1))
    returns = tuple(NOON + timedelta(seconds=offset) for offset in offsets)

    until = held_until(returns, limit, NOON)

    assert until is None or NOON < until <= NOON + limit.window
    assert len(with_return(returns, limit, NOON)) <= 20


def test_a_revert_by_git_ends_the_attempt_and_counts_as_a_return() -> None:
    """R9: Failed, RevertedByGitOps; and it is not undone, as nothing of ours stands."""
    made = world([{"scale": {"by": "+1"}}, {"escalate": {}}], git_has=4)

    made.run("10s")

    record = made.status.last[-1]
    assert (record.outcome, record.reason, record.undone) == (Outcome.FAILED, "RevertedByGitOps", False)
    assert len(made.status.returns) == 1


@pytest.mark.parametrize("kill_in", range(14))
def test_the_memory_of_the_sequence_outlives_a_kill(kill_in: int) -> None:
    """R3, R9: killed anywhere in the first attempt, no step is tried more often than it may."""
    made = world([{"restartPods": {}, "retries": {"max": 1, "backoff": "5s"}}, {"escalate": {}}])
    made.kill_in = kill_in
    for _ in range(120):
        with suppress(Killed):
            made.run("1s")

    assert len(made.effects) == 2
    assert made.events.count("Escalated") == 1
