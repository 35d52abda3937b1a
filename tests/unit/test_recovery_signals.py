"""RecoveryPolicy: what its triggers say, when data is too old, what flaps, what the word on an alert is worth."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from homeostat.api.recovery_limits import FlappingLimit
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState
from homeostat.api.recovery_trigger import AlertTrigger
from homeostat.core.cluster import TokenBudget
from homeostat.core.prometheus.comparing import comparison_of
from homeostat.core.recovery import RecoverySeen, SignalSeen, signals
from homeostat.core.recovery.alerting import (
    LONGEST_LABELS,
    MOST_LABELS,
    MOST_TOLD,
    Misread,
    ToldAlert,
    accused_by,
    alerts_in,
    means,
)
from homeostat.core.recovery.limits.flapping import held_until, is_flapping
from homeostat.core.recovery.seen import Case
from scenarios.recovery.world import NOON, POLICY, World, spec

FIRING, QUIET, UNKNOWN, STALE = SignalState.FIRING, SignalState.QUIET, SignalState.UNKNOWN, SignalState.STALE
AGE = timedelta(hours=5)
ALERT = {"alert": {"name": "HighErrors", "labels": {"severity": "page"}}}
CHECK = {"healthCheck": {"name": "checkout"}, "for": "2s"}


def after(**time: float) -> datetime:
    return NOON + timedelta(**time)


def case_of(
    *triggers: dict[str, Any],
    seen: tuple[SignalSeen, ...] = (),
    known: tuple[Signal, ...] = (),
    now: datetime = NOON,
    generation: int = 1,
) -> Case:
    """Put a policy with these triggers before a decision; its status was written for generation 1."""
    status = RecoveryPolicyStatus(observed_generation=1, signals=known)
    world = RecoverySeen(POLICY, generation, None, seen, "a1", TokenBudget(0, 1))
    return Case(spec(triggers=list(triggers or (ALERT,))), status, world, now)


def told(verdict: SignalState | None, at: datetime | None = NOON, index: int = 0) -> SignalSeen:
    """Make what Alertmanager told of an alert; None: nothing since this process began."""
    if verdict is None:
        return SignalSeen(index, UNKNOWN, None, AGE, is_idle=True)
    return SignalSeen(index, verdict, at, AGE)


def state(case: Case) -> SignalState:
    return signals.assess(case)[0].state


def assessed(case: Case) -> Case:
    return case.with_status(signals=signals.assess(case))


# --- alerts -------------------------------------------------------------------------------------------------


def test_an_alert_that_was_never_told_of_is_unknown_and_stands_in_nobodys_way() -> None:
    """R12: silence is no ground to act and no obstacle; other triggers go on."""
    case = assessed(case_of(seen=(told(None),)))

    assert state(case) is UNKNOWN
    assert signals.blind(case) is None
    assert signals.is_calm(case)
    assert signals.urgent(case) is None


def test_silence_proves_nothing() -> None:
    """R7: an attempt for an alert cannot be verified by an alert that nobody spoke of."""
    case = assessed(case_of(seen=(told(None),)))

    assert signals.of_attempt(case, 0).state is not QUIET
    assert signals.observed_at(case, 0) == signals.NEVER


@pytest.mark.parametrize(
    ("verdict", "age", "expected"),
    [
        (FIRING, timedelta(0), FIRING),
        (FIRING, AGE, FIRING),
        (FIRING, AGE + timedelta(seconds=1), STALE),
        (FIRING, 2 * AGE, STALE),
        (FIRING, 2 * AGE + timedelta(seconds=1), UNKNOWN),
        (QUIET, AGE, QUIET),
        (QUIET, AGE + timedelta(seconds=1), UNKNOWN),
    ],
)
def test_the_word_on_an_alert_ages(verdict: SignalState, age: timedelta, expected: SignalState) -> None:
    """R12: Alertmanager repeats what fires; what it no longer repeats is stale, then as if it had never been told."""
    case = case_of(seen=(told(verdict),), now=NOON + age)

    assert state(case) is expected


def test_an_alert_that_is_no_longer_repeated_is_told_of() -> None:
    """R15: it had fired, so that nobody speaks of it any more is an obstacle."""
    case = assessed(case_of(seen=(told(FIRING),), now=after(hours=6)))

    assert (signals.blind(case) or pytest.fail("seen")).state is STALE
    assert not signals.is_calm(case)


@pytest.mark.parametrize("verdict", [FIRING, QUIET])
def test_the_last_word_outlives_a_restart(verdict: SignalState) -> None:
    """R2: what is on record counts until Alertmanager speaks again, and is as old as it is."""
    before = signals.assess(case_of(seen=(told(verdict),)))
    later = [case_of(seen=(told(None),), known=before, now=after(hours=hours)) for hours in (1, 6, 11)]
    expected = [verdict, STALE if verdict is FIRING else UNKNOWN, UNKNOWN]

    assert [state(case) for case in later] == expected
    assert before[0].observed_at == NOON
    assert signals.assess(later[0])[0].since == before[0].since


def test_a_stale_alert_on_record_stays_stale_through_a_restart() -> None:
    """R12."""
    stale = signals.assess(case_of(seen=(told(FIRING),), now=after(hours=6)))

    assert state(case_of(seen=(told(None),), known=stale, now=after(hours=7))) is STALE


def test_what_is_on_record_of_an_edited_policy_is_not_believed() -> None:
    """R12: the trigger of this index may be about another alert by now."""
    before = signals.assess(case_of(seen=(told(FIRING),)))

    assert state(case_of(seen=(told(None),), known=before, generation=2)) is UNKNOWN


def test_a_newer_word_counts_more_than_the_record() -> None:
    before = signals.assess(case_of(seen=(told(FIRING),)))
    over = signals.assess(case_of(seen=(told(QUIET, after(minutes=1)),), known=before, now=after(minutes=1)))

    assert (over[0].state, over[0].observed_at) == (QUIET, after(minutes=1))


def test_an_alert_that_is_over_is_known_until_now() -> None:
    """R7: Alertmanager would tell if it fired again, so the hold counts while nothing comes."""
    case = assessed(case_of(seen=(told(QUIET),), now=after(minutes=2)))

    assert signals.observed_at(case, 0) == after(minutes=2)


def test_a_policy_looks_again_when_an_alert_goes_stale_and_when_it_is_forgotten() -> None:
    case = assessed(case_of(seen=(told(None),), known=signals.assess(case_of(seen=(told(FIRING),)))))
    expected = [NOON + AGE + signals.JUST_AFTER, NOON + 2 * AGE + signals.JUST_AFTER]

    assert list(signals.aging(case)) == expected


def test_an_alert_nobody_speaks_of_does_not_hide_that_a_check_has_no_data() -> None:
    """R12."""
    check = SignalSeen(1, UNKNOWN, None, timedelta(seconds=30))
    case = assessed(case_of(ALERT, CHECK, seen=(told(None), check)))

    assert (signals.blind(case) or pytest.fail("seen")).trigger == 1


def test_a_service_that_nobody_asked_is_no_obstacle_and_no_proof() -> None:
    """S5, R7: no traffic is not missing data, and not health."""
    idle = SignalSeen(0, UNKNOWN, None, timedelta(minutes=2), is_idle=True)
    case = assessed(case_of({"slo": {"name": "checkout", "burnRateAbove": "14.4"}}, seen=(idle,)))

    assert signals.is_calm(case)
    assert signals.of_attempt(case, 0).state is UNKNOWN


# --- the age of data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "expected"), [(10, FIRING), (11, STALE), (-11, STALE)])
def test_data_that_is_too_old_or_of_the_future_is_stale(seconds: int, expected: SignalState) -> None:
    """R12."""
    seen = SignalSeen(0, FIRING, NOON, timedelta(seconds=10))

    assert state(case_of(CHECK, seen=(seen,), now=after(seconds=seconds))) is expected


def test_a_gap_in_the_data_is_a_break() -> None:
    """R12: what was before a gap does not count as unbroken."""
    known = (Signal(trigger=0, state=STALE, since=after(seconds=-5)),)
    seen = SignalSeen(0, FIRING, NOON, timedelta(seconds=10), since=after(seconds=-60))

    assert signals.assess(case_of(CHECK, seen=(seen,), known=known))[0].since == NOON


# --- flapping -----------------------------------------------------------------------------------------------

LIMIT = FlappingLimit()  # 5 within 10m, steady after 5m


def minutes(*times: float) -> list[datetime]:
    return [after(minutes=time) for time in times]


@pytest.mark.parametrize(
    ("turned", "now", "until"),
    [
        ((), 0, None),
        ((0, 1, 2, 3), 3, None),
        ((0, 1, 2, 3, 4), 4, 9),
        ((0, 1, 2, 3, 4), 8.9, 9),
        ((0, 1, 2, 3, 4), 9, None),
        ((0, 3, 6, 9, 12), 12, None),  # the first is out of the window
        ((0, 1, 2, 3, 4, 8), 8, 13),  # goes on until it is steady
        ((0, 1, 2, 3, 4, 8, 12.5), 12.5, 17.5),
        ((0, 1, 2, 3, 4, 9.5), 9.5, None),  # it was steady, and starts anew
        ((0, 1, 2, 3, 4, 9.5, 10, 10.5, 11, 11.5), 11.5, 16.5),
        ((0, 1, 2, 3, 30), 4, None),  # of the future: the clock was set back
    ],
)
def test_a_trigger_that_turns_too_often_is_not_trusted_until_it_is_steady(
    turned: tuple[float, ...], now: float, until: float | None
) -> None:
    """R6."""
    found = held_until(LIMIT, minutes(*turned), after(minutes=now))

    assert found == (None if until is None else after(minutes=until))


def test_only_changes_between_firing_and_quiet_are_turns_and_the_last_twenty_are_kept() -> None:
    """R6: a gap in the data is none, lest five restarts of the operator pass for flapping."""
    order = [QUIET, FIRING, STALE, FIRING, QUIET, UNKNOWN, QUIET, FIRING]
    case, found = case_of(CHECK), tuple[Signal, ...]()
    for second, verdict in enumerate(order):
        told_at = None if verdict in {STALE, UNKNOWN} else after(seconds=second)
        seen = SignalSeen(0, verdict, told_at, timedelta(seconds=10))
        case = case_of(CHECK, seen=(seen,), known=found, now=after(seconds=second))
        found = signals.assess(case)
    many = found
    for second in range(100, 140):
        seen = SignalSeen(0, FIRING if second % 2 else QUIET, after(seconds=second), timedelta(seconds=10))
        many = signals.assess(case_of(CHECK, seen=(seen,), known=many, now=after(seconds=second)))

    assert found[0].turns == (after(seconds=1), after(seconds=4), after(seconds=7))
    assert len(many[0].turns) == 20
    assert is_flapping(case_of(CHECK, known=many, now=after(seconds=140)), many[0]) is not None


def waved(world: World, half: int, hours: float) -> int:
    """Let the target be sick and well by turns, each for `half` seconds; give how many pods were restarted."""
    before, end, second = len(world.effects), world.now + timedelta(hours=hours), 0
    while world.now < end:
        is_sick = second // half % 2 == 0
        world.verdict = FIRING if is_sick else QUIET
        if second % half == 0:
            world.sick = {next(iter(world.pods))} if is_sick else set()
        world.reconcile()
        world.now += timedelta(seconds=1)
        second += 1
    return len(world.effects) - before


def wave_policy(**trigger: str) -> Any:
    """Make a policy with the limits of the default, cooldown and all, but a budget that would allow more."""
    return spec(
        triggers=[{"healthCheck": {"name": "checkout"}} | trigger],
        limits={"budget": {"actions": 100, "per": "1h"}},
        steps=[{"restartPods": {}}],
    )


def test_a_square_wave_of_30_s_restarts_nothing_where_a_fault_must_last_as_long() -> None:
    """R6: no half of the wave lasts longer, so not even its beginning is a fault (an hour: square_wave.txt)."""
    world = World(spec=wave_policy(**{"for": "30s"}))

    assert waved(world, 30, 0.25) == 0
    assert is_flapping(Case(world.spec, world.status, world.seen(), world.now), world.status.signals[0])


def test_a_square_wave_that_is_known_restarts_nothing_however_impatient_the_policy_is() -> None:
    """R6, with `for: 0s`: the policy looked on in mode Observe, and is then let act."""
    world = World(spec=wave_policy(**{"for": "0s"}).model_copy(update={"mode": "Observe"}))
    waved(world, 30, 0.1)
    world.spec = wave_policy(**{"for": "0s"})

    assert waved(world, 30, 0.5) == 0


@pytest.mark.parametrize("patience", ["0s", "5s"])
def test_an_impatient_policy_takes_the_beginning_of_a_wave_for_a_fault_and_nothing_more(patience: str) -> None:
    """R6: what comes first cannot be told from a fault; cooldown holds until the wave is known, then the wave does."""
    world = World(spec=wave_policy(**{"for": patience}))

    assert waved(world, 30, 0.5) == 1


def test_after_it_was_steady_a_trigger_is_trusted_again() -> None:
    """R6: healthy again only after holdFor."""
    world = World(spec=wave_policy(**{"for": "30s"}))
    waved(world, 30, 0.25)
    world.verdict, world.sick = FIRING, {next(iter(world.pods))}
    world.run("4m")
    blocked, early = world.status.blocked, len(world.effects)
    world.verdict = None
    world.run("2m")

    assert (blocked and blocked.reason, early) == ("Flapping", 0)
    assert len(world.effects) == 1


def test_turns_outlive_a_kill() -> None:
    """R3, R6: they are in the status."""
    world = World(spec=wave_policy(**{"for": "30s"}))
    waved(world, 30, 0.1)
    turns = world.status.signals[0].turns
    fresh = replace(world.seen(), attempt_seed="after-the-kill")

    assert len(turns) > LIMIT.transitions
    assert signals.assess(Case(world.spec, world.status, fresh, world.now))[0].turns[: len(turns)] == turns


# --- what triggers are called -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (CHECK, "healthCheck checkout"),
        ({"slo": {"name": "checkout", "burnRateAbove": "14.4"}}, "slo checkout"),
        ({"pods": {"reason": "OOMKilled"}}, "pods OOMKilled"),
        ({"rollout": {}}, "rollout Stuck"),
        ({"promql": {"query": 'secret{token="x"}', "condition": "> 100"}}, "promql > 100"),
        (ALERT, "alert HighErrors"),
    ],
)
def test_a_trigger_is_called_so_that_a_human_knows_it_and_no_query_is_shown(
    trigger: dict[str, Any], expected: str
) -> None:
    assert signals.title(case_of(trigger), 0) == expected


def test_a_trigger_of_a_node_is_named() -> None:
    policy = spec(
        target={"kind": "Node", "name": "node-1"}, triggers=[{"node": {"condition": "NotReady"}}], steps=[{"drain": {}}]
    )

    assert signals.title(replace(case_of(), spec=policy), 0) == "node NotReady"


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ("> 100", 100.5, True),
        ("> 100", 100, False),
        (">=100", 100, True),
        ("< 0.05", 0.01, True),
        ("<= -1", -1, True),
        ("== 0", 0, True),
        ("!= 0", 0, False),
        ("> 1e-3", 0.01, True),
    ],
)
def test_a_condition_compares_as_it_says(condition: str, value: float, *, expected: bool) -> None:
    comparison = comparison_of(condition)

    assert comparison is not None
    assert comparison.holds(value) is expected


@pytest.mark.parametrize("condition", ["", "100", "> x", "=> 3"])
def test_what_is_no_condition_is_none(condition: str) -> None:
    assert comparison_of(condition) is None


# --- what Alertmanager tells --------------------------------------------------------------------------------


def message(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "receiver": "homeostat", "alerts": list(alerts)} | more


def alert(status: str = "firing", **more: Any) -> dict[str, Any]:
    labels = {"alertname": "HighErrors", "severity": "page"}
    return {"status": status, "labels": labels, "startsAt": "2026-11-21T11:58:00.5+02:00"} | more


def test_a_message_is_read() -> None:
    found = alerts_in(message(alert(), alert("resolved", annotations={"x": 1}), unknown="yes"))

    assert isinstance(found, tuple)
    assert [one.is_firing for one in found] == [True, False]
    assert dict(found[0].labels) == {"alertname": "HighErrors", "severity": "page"}
    assert found[0].started_at == datetime.fromisoformat("2026-11-21T09:58:00.500+00:00")


@pytest.mark.parametrize("started", [None, 7, "yesterday", "2026-11-21T11:58:00", "0001-01-01T00:00:00+23:00"])
def test_a_beginning_that_cannot_be_read_is_none(started: Any) -> None:
    found = alerts_in(message(alert(startsAt=started)))

    assert isinstance(found, tuple)
    assert found[0].started_at is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], ("InvalidBody", None)),
        ({"version": "4"}, ("InvalidBody", None)),
        (message(version="3"), ("UnknownVersion", None)),
        (message(version=4), ("UnknownVersion", None)),
        (message(*[alert()] * (MOST_TOLD + 1)), ("TooManyAlerts", None)),
        (message(alert(), "x"), ("InvalidAlert", 1)),
        (message(alert("silenced")), ("InvalidAlert", 0)),
        (message(alert(status={})), ("InvalidAlert", 0)),
        (message(alert(labels={})), ("InvalidAlert", 0)),
        (message(alert(labels={"severity": "page"})), ("InvalidAlert", 0)),
        (message(alert(labels={"alertname": "x", "count": 3})), ("InvalidAlert", 0)),
        (message(alert(labels={"alertname": "x" * (LONGEST_LABELS + 1)})), ("InvalidAlert", 0)),
        (message(alert(labels={"alertname": "x"} | {f"l{n}": "" for n in range(MOST_LABELS)})), ("InvalidAlert", 0)),
    ],
)
def test_a_message_that_is_none_is_refused_whole(body: Any, expected: tuple[str, int | None]) -> None:
    found = alerts_in(body)

    assert isinstance(found, Misread)
    assert (found.reason, found.index) == expected


def test_an_alert_is_meant_by_its_name_and_all_labels_of_the_trigger() -> None:
    trigger = AlertTrigger(name="HighErrors", labels={"severity": "page", "team": ""})
    labels = {"alertname": "HighErrors", "severity": "page", "pod": "checkout-1"}

    assert means(trigger, labels)
    assert not means(trigger, labels | {"severity": "ticket"})
    assert not means(trigger, labels | {"team": "shop"})
    assert not means(trigger, labels | {"alertname": "Other"})


def test_labels_accuse_whom_they_name() -> None:
    labels = {"deployment": "checkout", "pod": "checkout-1", "node": "", "service": "web", "instance": "10.0.0.1:80"}

    assert accused_by(labels) == {"checkout", "checkout-1"}
    assert ToldAlert(tuple(labels.items()), is_firing=True).name == ""
