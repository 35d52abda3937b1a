"""Replaying the past: it says what the live evaluation said, and of a changed object what that would have said."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import CompositeMode, WhenMissing
from homeostat.api.objective_status import AlertType, ServiceLevelObjectiveStatus
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.core.history.ledger import Ledger, LedgerSeries
from homeostat.core.history.window import HOUR, MINUTE, MONTH_TIERS, Bucket
from homeostat.core.objective.alerts import identity
from homeostat.core.objective.composite import Composite, Part
from homeostat.core.objective.evaluation import decide
from homeostat.core.objective.seen import ObjectiveSeen, SourceSeen
from homeostat.core.ref import Ref
from homeostat.core.simulation import objective, policy
from homeostat.core.simulation.composed import Composed, Member
from homeostat.core.simulation.recorded import Recorded
from homeostat.core.simulation.slicing import sliced
from homeostat.engine.meters import Meters
from homeostat.engine.objective.counting import Counting, Slicing
from homeostat.engine.objects import Key

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
    came = policy.replay(spec, {0: policy.Checked(recorded(minutes))}, START, START + timedelta(minutes=150))
    assert len(came.triggered) == 1
    first = [act.at for act in came.acts if act.at < came.acts[0].at + timedelta(hours=1)]
    assert len(first) == 3
    assert all(later - sooner >= timedelta(minutes=5) for sooner, later in itertools.pairwise(first))
    assert {"CoolingDown", "BudgetSpent"} <= {one.reason for one in came.held}


def test_a_trigger_that_fires_for_less_than_for_makes_nothing_happen() -> None:
    minutes = [(0, 6)] * 30 + [(6, 6)] + [(0, 6)] * 30
    spec = rp(triggers=[{"healthCheck": {"name": "checkout"}, "for": "5m"}])
    came = policy.replay(spec, {0: policy.Checked(recorded(minutes))}, START, START + timedelta(hours=1))
    assert len(came.triggered) == 1
    assert came.acts == []


def test_a_trigger_that_history_knows_nothing_of_is_named() -> None:
    spec = rp(triggers=[{"healthCheck": {"name": "checkout"}}, {"pods": {"reason": "OOMKilled"}}])
    came = policy.replay(spec, {0: policy.Checked(recorded([(0, 6)] * 5))}, START, START + timedelta(minutes=5))
    assert came.silent == (1,)


def test_a_policy_may_be_triggered_by_an_objective() -> None:
    minutes = [(0, 10)] * 60 + [(10, 10)] * 30 + [(0, 10)] * 60
    spec = rp(triggers=[{"slo": {"name": "checkout", "burnRateAbove": "14.4"}}])
    told = policy.Burning(recorded(minutes), slo(), Decimal("14.4"))
    came = policy.replay(spec, {0: told}, START, START + timedelta(minutes=150))
    assert len(came.acts) >= 1
    assert START + timedelta(minutes=60) < came.triggered[0].since < START + timedelta(minutes=90)


def test_mode_and_suspension_of_the_policy_do_not_change_a_replay() -> None:
    pasts = {0: policy.Checked(recorded([(6, 6)] * 20))}
    until = START + timedelta(minutes=20)
    observed = policy.replay(rp(mode="Observe"), pasts, START, until)
    suspended = policy.replay(rp(suspend=True), pasts, START, until)
    assert observed.acts
    assert [replace(one) for one in suspended.acts] == observed.acts


# --- composites -----------------------------------------------------------------------------------------


def whole(mode: str = "Weighted", when_missing: str = "Ignore", **changes: Any) -> ServiceLevelObjectiveSpec:
    members = [{"name": "api", "weight": 3}, {"name": "web"}]
    composite = {"mode": mode, "whenMissing": when_missing, "members": members}
    return slo(indicator={"composite": composite}, **changes)


def composed(spec: ServiceLevelObjectiveSpec, api: Minutes, web: Minutes) -> Composed:
    return Composed(spec, {"api": Member(slo(), recorded(api)), "web": Member(slo(), recorded(web))})


def live_whole(spec: ServiceLevelObjectiveSpec, api: Minutes, web: Minutes) -> dict[int, ServiceLevelObjectiveStatus]:
    """Count two members as the operator does, and decide on their composite at the end of each minute with events."""
    ledger, composite = Ledger(MONTH_TIERS), spec.indicator.composite
    assert composite is not None
    slots = [ledger.open(name) for name in ("slo/api", "slo/web")]
    series = [LedgerSeries(ledger, slot) for slot in slots]
    status, found, previous = ServiceLevelObjectiveStatus(), {}, BEGIN
    for number in range(len(api)):
        ledger.roll(BEGIN // MINUTE + number)
        both = api[number], web[number]
        for slot, (bad, total) in zip(slots, both, strict=True):
            if total:
                ledger.add(slot, bad, total)
        if not any(total for _, total in both):
            continue
        end = BEGIN + (number + 1) * MINUTE
        at = datetime.fromtimestamp(end - 1, UTC)
        parts = [Part("api", 3, series[0]), Part("web", 1, series[1])]
        source = SourceSeen(MINUTE_LONG, at, max(objective.STALE_AFTER, timedelta(seconds=2 * (end - previous))))
        made = Composite(composite.mode, composite.when_missing, parts, at)
        status = decide(spec, status, ObjectiveSeen(REF, 1, series=made, source=source), at).status
        found[end], previous = status, end
    return found


MINUTE_LONG = timedelta(minutes=1)


@settings(max_examples=20, deadline=None)
@given(
    stretches=st.lists(st.tuples(a_minute, a_minute, st.integers(1, 20)), min_size=1, max_size=6),
    mode=st.sampled_from(list(CompositeMode)),
    when_missing=st.sampled_from(list(WhenMissing)),
)
def test_a_replayed_composite_says_what_the_live_evaluation_of_its_members_said(
    stretches: list[tuple[tuple[int, int], tuple[int, int], int]], mode: CompositeMode, when_missing: WhenMissing
) -> None:
    api, web = ([stretch[which] for stretch in stretches for _ in range(stretch[2])] for which in (0, 1))
    spec = whole(mode.value, when_missing.value)
    told = live_whole(spec, api, web)
    past = objective.Past(composed(spec, api, web), interval=MINUTE_LONG)

    replayed = {int(one.at.timestamp()): one.status for one in objective.moments(spec, past, START)}

    assert list(replayed) == list(told)
    for end, status in told.items():
        assert {identity(one) for one in replayed[end].alerts} == {identity(one) for one in status.alerts}
        assert replayed[end].state is status.state
    if told:
        assert replayed[max(told)].budget == told[max(told)].budget


def test_of_a_composite_old_time_is_looked_at_in_hours_as_the_operator_keeps_it() -> None:
    """Eight days of minutes: what came of them is the same, in a few hundred buckets instead of eleven thousand."""
    days = 8 * 24 * 60
    api, web = [(0, 10)] * days, [(1, 10)] * days
    series = composed(whole("All"), api, web).at(START + timedelta(days=8) - timedelta(seconds=1))
    counts = series.between(BEGIN, BEGIN + 8 * 24 * HOUR)
    assert (round(counts.bad, 6), counts.total) == (days / 10, days)
    assert len(list(series.buckets(BEGIN, BEGIN + 8 * 24 * HOUR))) < 2000


def test_a_member_that_nobody_knows_is_missing_and_bad_where_that_is_asked_for() -> None:
    minutes = [(0, 10)] * 120
    spec = whole("Weighted", "Bad")
    past = Composed(spec, {"api": Member(slo(), recorded(minutes))})
    counts = past.at(START + timedelta(hours=2) - timedelta(seconds=1)).last(HOUR)
    assert counts.bad / counts.total == 1 / 4
    assert past.next_bad(START) == START


def test_a_composite_of_composites_is_made_of_the_leaves() -> None:
    minutes, bad = [(0, 10)] * 60, [(10, 10)] * 60
    inner = slo(indicator={"composite": {"mode": "Sum", "members": [{"name": "db"}]}})
    known = {"api": Member(inner), "db": Member(slo(), recorded(bad)), "web": Member(slo(), recorded(minutes))}
    counts = Composed(whole("Sum"), known).at(START + timedelta(hours=1) - timedelta(seconds=1)).last(HOUR)
    assert (counts.bad, counts.total) == (600, 1200)


# --- slices and missing data ----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    stretches=stretches, length=st.sampled_from([1, 2, 5]), method=st.sampled_from(["Timeslices", "RatioTimeslices"])
)
def test_slices_of_the_past_are_those_that_the_operator_books(
    stretches: list[tuple[tuple[int, int], int]], length: int, method: str
) -> None:
    minutes = [minute for minute, count in stretches for _ in range(count)]
    share = {"sliceObjective": "90"} if method == "Timeslices" else {}
    spec = slo(budgeting={"method": method, "slice": f"{length}m", **share})
    meters, key = Meters(), Key("ServiceLevelObjective", "shop", "checkout")
    slicing = Slicing(spec.budgeting.method, length * MINUTE, Decimal("0.9") if share else None)
    meters.open_objective(key, "uid", Counting(timedelta(days=30), slicing=slicing))
    for number, (bad, total) in enumerate([*minutes, (0, 0)]):
        meters.roll(START + number * MINUTE_LONG)
        if total:
            meters.add(key, "", BEGIN // MINUTE + number, bad, total)
    kept, end = meters.slices(key, ""), BEGIN + len(minutes) * MINUTE
    assert kept is not None

    found = sliced(recorded(minutes), spec, end).at(START + len(minutes) * MINUTE_LONG)

    booked = BEGIN, end // (length * MINUTE) * length * MINUTE
    replayed, counted = found.between(*booked), kept.between(*booked)
    assert replayed.bad == pytest.approx(counted.bad)
    assert (replayed.total, replayed.observed_seconds) == (counted.total, counted.observed_seconds)


def test_while_data_is_missing_that_is_an_alert_and_no_good_time() -> None:
    minutes = [(1, 100)] * 120 + [(0, 0)] * 180 + [(1, 100)] * 60
    past = objective.Past(recorded(minutes), interval=MINUTE_LONG, stale_after=timedelta(minutes=4))
    came = objective.replay(slo(), past, START)
    silent = [one for one in came.fired if one.alert.type is AlertType.NO_DATA]
    assert len(silent) == 1
    assert silent[0].since - START < timedelta(minutes=130)
    assert silent[0].until == START + timedelta(minutes=301)
    assert came.end.bad == 180
    assert past.series.gaps(BEGIN, BEGIN + len(minutes) * MINUTE) == [(BEGIN + 120 * MINUTE, BEGIN + 300 * MINUTE)]


def test_data_that_ended_before_now_is_missing_until_now() -> None:
    past = objective.Past(
        recorded([(0, 10)] * 60),
        interval=MINUTE_LONG,
        stale_after=timedelta(minutes=4),
        until=START + timedelta(hours=2),
    )
    came = objective.replay(slo(noData="Bad"), past, START)
    assert [one.alert.type for one in came.fired] == [AlertType.NO_DATA]
    assert came.fired[0].until is None
