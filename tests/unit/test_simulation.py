"""Replaying the past: it says what the live evaluation said, and of a changed object what that would have said."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import AlertType, ServiceLevelObjectiveStatus
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.core.ledger import Ledger, LedgerSeries
from homeostat.core.objective.alerts import identity
from homeostat.core.objective.evaluation import decide
from homeostat.core.objective.seen import ObjectiveSeen, SourceSeen
from homeostat.core.ref import Ref
from homeostat.core.simulation import objective, policy
from homeostat.core.simulation.recorded import Recorded
from homeostat.core.window import HOUR, MINUTE, MONTH_TIERS, Bucket

BEGIN = 1_795_305_600 // HOUR * HOUR
START = datetime.fromtimestamp(BEGIN, UTC)
REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid")

Minutes = list[tuple[int, int]]


def slo(**changes: Any) -> ServiceLevelObjectiveSpec:
    spec = {
        "service": "checkout",
        "objective": "99",
        "window": {"rolling": "30d"},
        "indicator": {"healthCheck": {"name": "checkout"}},
    }
    return ServiceLevelObjectiveSpec.model_validate(spec | changes)


def rp(**changes: Any) -> RecoveryPolicySpec:
    spec = {
        "target": {"kind": "Deployment", "name": "checkout"},
        "mode": "Auto",
        "triggers": [{"healthCheck": {"name": "checkout"}, "for": "2m"}],
        "steps": [{"restartPods": {}}],
    }
    return RecoveryPolicySpec.model_validate(spec | changes)


def recorded(minutes: Minutes) -> Recorded:
    return Recorded(
        Bucket("", BEGIN + number * MINUTE, MINUTE, total - bad, total, 1)
        for number, (bad, total) in enumerate(minutes)
        if total
    )


def live(spec: ServiceLevelObjectiveSpec, minutes: Minutes) -> dict[int, ServiceLevelObjectiveStatus]:
    """Count as the operator does, and decide at the end of each minute with events; give the statuses by their time."""
    ledger = Ledger(MONTH_TIERS)
    slot = ledger.open("slo/uid")
    status, found = ServiceLevelObjectiveStatus(), {}
    previous = BEGIN
    for number, (bad, total) in enumerate(minutes):
        ledger.roll(BEGIN // MINUTE + number)
        if not total:
            continue
        ledger.add(slot, bad, total)
        end = BEGIN + (number + 1) * MINUTE
        at = datetime.fromtimestamp(end - 1, UTC)
        stale_after = max(objective.STALE_AFTER, timedelta(seconds=2 * (end - previous)))
        seen = ObjectiveSeen(
            REF, 1, series=LedgerSeries(ledger, slot), source=SourceSeen(timedelta(0), at, stale_after)
        )
        status = decide(spec, status, seen, at).status
        found[end] = status
        previous = end
    return found


a_minute = st.integers(0, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
stretches = st.lists(st.tuples(a_minute, st.integers(1, 25)), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(stretches=stretches, target=st.sampled_from(["50", "90", "99", "99.9"]))
def test_a_replay_of_the_unchanged_objective_says_what_the_live_evaluation_said(
    stretches: list[tuple[tuple[int, int], int]], target: str
) -> None:
    minutes = [minute for minute, count in stretches for _ in range(count)]
    spec = slo(objective=target)
    told = live(spec, minutes)

    replayed = {
        int(moment.at.timestamp()): moment.status
        for moment in objective.moments(spec, objective.Past(recorded(minutes)), START)
    }

    assert list(replayed) == list(told)
    for end, status in told.items():
        assert {identity(one) for one in replayed[end].alerts} == {identity(one) for one in status.alerts}
        assert replayed[end].state is status.state
    if told:
        last = max(told)
        assert replayed[last].budget == told[last].budget
        assert (replayed[last].good, replayed[last].bad) == (told[last].good, told[last].bad)


def test_an_outage_fires_with_its_time_and_ends() -> None:
    minutes = [(0, 10)] * 120 + [(10, 10)] * 20 + [(0, 10)] * 120
    came = objective.replay(slo(), objective.Past(recorded(minutes)), START)
    pages = [one for one in came.fired if one.alert.type is AlertType.BURN_RATE and one.alert.pair == "1h/5m"]
    assert len(pages) == 1
    assert START + timedelta(minutes=120) < pages[0].since < START + timedelta(minutes=140)
    assert pages[0].until is not None
    assert pages[0].until > START + timedelta(minutes=140)


def test_a_looser_objective_would_have_fired_less_and_kept_more_budget() -> None:
    minutes = [(0, 10)] * 120 + [(4, 10)] * 20 + [(0, 10)] * 60
    strict, loose = (
        objective.replay(slo(objective=one), objective.Past(recorded(minutes)), START) for one in ("99.9", "50")
    )
    assert len(strict.fired) > len(loose.fired)
    assert strict.remaining is not None
    assert loose.remaining is not None
    assert strict.remaining < loose.remaining


def test_what_comes_later_is_not_known_before() -> None:
    minutes = [(0, 10)] * 60 + [(10, 10)] * 60
    series = recorded(minutes)
    assert series.at(START + timedelta(minutes=59, seconds=59)).last(HOUR).bad == 0
    assert series.at(START + timedelta(minutes=119, seconds=59)).last(HOUR).bad == 600


def test_a_policy_acts_as_often_as_its_cooldown_and_budget_let_it() -> None:
    minutes = [(0, 6)] * 30 + [(6, 6)] * 90 + [(0, 6)] * 30
    spec = rp(limits={"cooldown": "5m", "budget": {"actions": 3, "per": "1h"}})
    came = policy.replay(spec, {0: policy.Told(recorded(minutes))}, START, START + timedelta(minutes=150))
    assert len(came.triggered) == 1
    first = [act.at for act in came.acts if act.at < came.acts[0].at + timedelta(hours=1)]
    assert len(first) == 3
    assert all(later - sooner >= timedelta(minutes=5) for sooner, later in itertools.pairwise(first))
    assert {"CoolingDown", "BudgetSpent"} <= {one.reason for one in came.held}


def test_a_trigger_that_fires_for_less_than_for_makes_nothing_happen() -> None:
    minutes = [(0, 6)] * 30 + [(6, 6)] + [(0, 6)] * 30
    spec = rp(triggers=[{"healthCheck": {"name": "checkout"}, "for": "5m"}])
    came = policy.replay(spec, {0: policy.Told(recorded(minutes))}, START, START + timedelta(hours=1))
    assert len(came.triggered) == 1
    assert came.acts == []


def test_a_trigger_that_history_knows_nothing_of_is_named() -> None:
    spec = rp(triggers=[{"healthCheck": {"name": "checkout"}}, {"pods": {"reason": "OOMKilled"}}])
    came = policy.replay(spec, {0: policy.Told(recorded([(0, 6)] * 5))}, START, START + timedelta(minutes=5))
    assert came.silent == (1,)


def test_a_policy_may_be_triggered_by_an_objective() -> None:
    minutes = [(0, 10)] * 60 + [(10, 10)] * 30 + [(0, 10)] * 60
    spec = rp(triggers=[{"slo": {"name": "checkout", "burnRateAbove": "14.4"}}])
    told = policy.Told(recorded(minutes), slo())
    came = policy.replay(spec, {0: told}, START, START + timedelta(minutes=150))
    assert len(came.acts) >= 1
    assert START + timedelta(minutes=60) < came.triggered[0].since < START + timedelta(minutes=90)


def test_mode_and_suspension_of_the_policy_do_not_change_a_replay() -> None:
    pasts = {0: policy.Told(recorded([(6, 6)] * 20))}
    until = START + timedelta(minutes=20)
    observed = policy.replay(rp(mode="Observe"), pasts, START, until)
    suspended = policy.replay(rp(suspend=True), pasts, START, until)
    assert observed.acts
    assert [replace(one) for one in suspended.acts] == observed.acts
