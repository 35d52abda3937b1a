"""Stalled: beside Ready=False where only an edit of the object's own spec helps, and nowhere else.

Whoever waits by kstatus (Helm, Flux) gives up at Stalled, and goes on waiting at Ready=False.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.gameday_status import GameDayStatus
from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus
from homeostat.api.meta import Condition, ConditionStatus, Status
from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core import chaos, gameday, recovery
from homeostat.core.chaos import reasons as chaos_reasons
from homeostat.core.condition import STALLED, condition
from homeostat.core.gameday import reasons as day_reasons
from homeostat.core.health import evaluation as health
from homeostat.core.health import reasons as health_reasons
from homeostat.core.health.plan import compile as compiled
from homeostat.core.health.reasons import HealthReason
from homeostat.core.health.run import Run
from homeostat.core.objective import conditions as objective_conditions
from homeostat.core.objective import evaluation
from homeostat.core.objective.conditions import ObjectiveReason
from homeostat.core.probing.asking import Invalid, Refusal
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.prometheus.collecting import Problem, explain
from homeostat.core.recovery import reasons as recovery_reasons
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.significance import Significance
from homeostat.probe.ending import verdict_of
from scenarios.chaos.world import World as ChaosWorld
from scenarios.chaos.world import a_spec
from scenarios.gameday.world import World as DayWorld
from scenarios.recovery.world import World as PolicyWorld
from scenarios.recovery.world import spec as policy_spec
from unit import test_health, test_objective

NOON = test_objective.NOW
SECOND = timedelta(seconds=1)
Why = tuple[str, str] | None


@dataclass(frozen=True)
class Kind:
    """How a kind is decided on, and what of its status is worth a write."""

    blank: Status
    decide: Callable[[Any, Why, int, datetime], Status]
    significance: Callable[[Any, Any], Significance]
    stalling: frozenset[str]


def a_check(status: HealthCheckStatus, why: Why, generation: int, now: datetime) -> Status:
    seen = health.HealthSeen(test_health.CHECK, generation, problem=why)
    return health.decide(test_health.SPEC, status, seen, now).status


def an_objective(status: ServiceLevelObjectiveStatus, why: Why, generation: int, now: datetime) -> Status:
    source = replace(test_objective.FRESH, observed_at=now)
    seen = replace(test_objective.seen_of(source=source), generation=generation, problem=why)
    return evaluation.decide(test_objective.SPEC, status, seen, now).status


def a_policy(status: RecoveryPolicyStatus, why: Why, generation: int, now: datetime) -> Status:
    seen = replace(PolicyWorld().seen(), generation=generation, problem=why)
    return recovery.decide(policy_spec(), status, seen, now).status


def an_experiment(status: ChaosExperimentStatus, why: Why, generation: int, now: datetime) -> Status:
    world = ChaosWorld(a_spec(start="OnRequest"))
    return chaos.decide(world.spec, status, world.seen(generation=generation, problem=why), now).status


def a_day(status: GameDayStatus, why: Why, generation: int, now: datetime) -> Status:
    world = DayWorld()
    return gameday.decide(world.spec, status, replace(world.seen(), generation=generation, problem=why), now).status


KINDS = {
    "HealthCheck": Kind(HealthCheckStatus(), a_check, health.significance, health_reasons.STALLING),
    "ServiceLevelObjective": Kind(
        ServiceLevelObjectiveStatus(), an_objective, evaluation.significance, objective_conditions.STALLING
    ),
    "RecoveryPolicy": Kind(RecoveryPolicyStatus(), a_policy, recovery.significance, recovery_reasons.STALLING),
    "ChaosExperiment": Kind(ChaosExperimentStatus(), an_experiment, chaos.significance, chaos_reasons.STALLING),
    "GameDay": Kind(GameDayStatus(), a_day, gameday.significance, day_reasons.STALLING),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))

REASONS = sorted(
    {"NotPermitted"}.union(*(kind.stalling for kind in KINDS.values()))
    | {*HealthReason, *ObjectiveReason, *BlockReason, *chaos_reasons.ChaosReason, *day_reasons.DayReason}
    | {*Reason, *Refusal, *Trouble}
)
whys = st.none() | st.tuples(st.sampled_from(REASONS), st.sampled_from(["", "spec.probe is odd"]))


def found(status: Status, type_: str) -> Condition | None:
    return condition(status.conditions, type_)


def is_stalled(status: Status) -> bool:
    """Whether it is, and then in the words of Ready and of the same generation."""
    ready, stalled = found(status, "Ready"), found(status, STALLED)
    if stalled is None:
        return False
    assert ready is not None
    assert ready.status is ConditionStatus.FALSE
    assert stalled.status is ConditionStatus.TRUE
    assert (stalled.reason, stalled.message, stalled.observed_generation) == (
        ready.reason, ready.message, ready.observed_generation
    )  # fmt: skip
    return True


# --- of every kind --------------------------------------------------------------------------------------


@each_kind
@given(history=st.lists(whys.filter(lambda why: why is None or " " not in why[0]), max_size=6))
def test_whatever_happened_an_object_is_stalled_exactly_while_an_edit_must_end_it(
    kind: Kind, history: list[Why]
) -> None:
    """Never beside a Ready that is not False, never for a reason outside the kind's list, and gone afterwards."""
    status, now, since = kind.blank, NOON.replace(microsecond=0), None
    for generation, why in enumerate(history, start=1):
        now += SECOND
        before, status = status, kind.decide(status, why, generation, now)
        ready, stalled = found(status, "Ready"), found(status, STALLED)

        assert ready is not None
        assert is_stalled(status) is (ready.status is ConditionStatus.FALSE and ready.reason in kind.stalling)
        assert is_stalled(status) is (why is not None and why[0] in kind.stalling)
        since = (since or now) if stalled else None
        assert (stalled.last_transition_time if stalled else None) == since
        assert (found(before, STALLED) is None) is (stalled is None) or (
            kind.significance(before, status) is Significance.CHANGE
        )


@each_kind
def test_that_it_is_stalled_is_written_at_once_and_then_not_again(kind: Kind) -> None:
    """A second look finds the same: nothing to write, and it began when it began."""
    well = kind.decide(kind.blank, None, 1, NOON)
    refused = kind.decide(well, ("Invalid", "spec.odd"), 1, NOON + SECOND)
    again = kind.decide(refused, ("Invalid", "spec.odd"), 1, NOON + 2 * SECOND)
    mended = kind.decide(again, None, 1, NOON + 3 * SECOND)

    assert [is_stalled(one) for one in (well, refused, again, mended)] == [False, True, True, False]
    assert kind.significance(well, refused) is Significance.CHANGE
    assert again.conditions == refused.conditions
    assert kind.significance(refused, again) is not Significance.CHANGE
    assert kind.significance(again, mended) is Significance.CHANGE


@each_kind
@pytest.mark.parametrize("reason", ["Invalid", "NotImplemented"])
def test_a_spec_that_cannot_be_read_or_is_of_a_later_release_stalls_any_kind(kind: Kind, reason: str) -> None:
    assert is_stalled(kind.decide(kind.blank, (reason, "spec"), 1, NOON))


@each_kind
def test_a_right_that_is_missing_stalls_no_kind(kind: Kind) -> None:
    """Somebody else gives it."""
    assert "NotPermitted" not in kind.stalling


# --- HealthCheck ----------------------------------------------------------------------------------------

OF_THE_SPEC = {Reason.INVALID_REQUEST, Reason.INVALID_EXPRESSION, Reason.INVALID_QUERY}
OF_OTHERS = {
    Reason.ADDRESS_NOT_ALLOWED, Reason.UNKNOWN_PORT, Reason.INVALID_JOB, Reason.NO_PROMETHEUS,
    Reason.SECRET_NOT_FOUND, Reason.SECRET_UNUSABLE,
}  # fmt: skip


def test_of_each_reason_for_which_a_probe_cannot_run_it_is_decided_who_ends_it() -> None:
    assert {reason for reason in Reason if verdict_of(reason) is Verdict.INVALID} == OF_THE_SPEC | OF_OTHERS


@pytest.mark.parametrize("reason", sorted(OF_THE_SPEC | OF_OTHERS))
def test_a_probe_that_cannot_run_stalls_its_check_only_if_its_own_words_are_why(reason: Reason) -> None:
    """Also when that is so for long: no data is not why."""
    life = test_health.Life()
    life.now += SECOND
    test_health.note(life, Run(Verdict.INVALID, reason, 0.0, 0, 1))
    first = life.look().status
    life.now += timedelta(hours=1)
    later = life.look().status

    assert [found(one, "Ready").reason for one in (first, later)] == [reason, reason]  # type: ignore[union-attr]
    assert [is_stalled(one) for one in (first, later)] == [reason in OF_THE_SPEC] * 2


@pytest.mark.parametrize("reason", Refusal)
def test_a_probe_that_can_never_be_asked_stalls_its_check(reason: Refusal) -> None:
    assert is_stalled(a_check(HealthCheckStatus(), (reason, "spec.probe"), 1, NOON))


def test_a_journey_with_an_unknown_name_stalls_its_check_before_it_ever_ran() -> None:
    """The schema lets it through; so no run is needed to say so."""
    steps = [{"name": "buy", "http": {"url": "http://shop/", "headers": {"X-Token": "{{token}}"}}}]
    plan = compiled(HealthCheckSpec.model_validate({"probe": {"steps": steps}}), test_health.CHECK)

    assert isinstance(plan, Invalid)
    status = a_check(HealthCheckStatus(), (plan.reason, plan.message), 1, NOON)
    assert is_stalled(status)
    assert "no earlier step captures token" in found(status, STALLED).message  # type: ignore[union-attr]


def test_a_circle_of_dependencies_stalls_nobody_as_any_in_it_may_let_go() -> None:
    """Two edits that are applied one after the other pass through one."""
    seen = health.HealthSeen(test_health.CHECK, 1, cycle=("checkout", "database", "checkout"))
    status = health.decide(test_health.SPEC, HealthCheckStatus(), seen, NOON).status

    assert found(status, "Ready").reason == "DependencyCycle"  # type: ignore[union-attr]
    assert not is_stalled(status)


def test_a_check_without_results_is_not_stalled() -> None:
    life = test_health.Life().live("cc")
    life.now += timedelta(hours=1)
    stale = life.look().status

    assert found(stale, "Ready").reason == "Stale"  # type: ignore[union-attr]
    assert not is_stalled(stale)


# --- ServiceLevelObjective ------------------------------------------------------------------------------

INDICATOR = PrometheusIndicator.model_validate({"total": {"query": "sum(rate(a[{{window}}]))"}, "bad": {"query": "b"}})
PROBLEMS: tuple[Problem, ...] = tuple(one for union in get_args(Problem) for one in union)


def objective_with(**source: Any) -> Status:
    seen = test_objective.seen_of(source=replace(test_objective.FRESH, **source))
    return evaluation.decide(test_objective.SPEC, test_objective.BLANK, seen, NOON).status


def test_of_all_troubles_with_prometheus_only_a_bad_query_stalls_an_objective() -> None:
    """Others may set a Prometheus, roll out the histogram's bucket or cut the number of series."""
    refused, stalls = set(), set()
    for problem in PROBLEMS:
        reason, message, is_valid = explain(problem, INDICATOR)
        status = objective_with(reason=reason, message=message, is_valid=is_valid)
        refused |= {reason} if found(status, "Ready").status is ConditionStatus.FALSE else set()  # type: ignore[union-attr]
        stalls |= {reason} if is_stalled(status) else set()

    assert stalls == {"InvalidQuery"}
    assert refused - stalls == {"PrometheusNotConfigured", "AnswerTooLarge", "BucketMissing"}


def test_an_objective_whose_check_is_not_there_yet_is_not_stalled() -> None:
    status = evaluation.decide(
        test_objective.SPEC, test_objective.BLANK, test_objective.seen_of(source=None), NOON
    ).status

    assert found(status, "Ready").reason == "HealthCheckNotRunning"  # type: ignore[union-attr]
    assert not is_stalled(status)


def test_an_alert_that_the_spec_lists_and_that_is_too_short_stalls_its_objective() -> None:
    burn_rates = [{"budget": "2%", "long": "1h", "short": "1m", "severity": "Page"}]
    spec = test_objective.spec_of(alerting={"burnRates": burn_rates})
    source = replace(test_objective.FRESH, interval=timedelta(minutes=1))
    status = evaluation.decide(spec, test_objective.BLANK, test_objective.seen_of(source=source), NOON).status

    assert is_stalled(status)
    assert found(status, STALLED).reason == "ShortWindowTooShort"  # type: ignore[union-attr]


@pytest.mark.parametrize("problem", ["CompositeCycle", "CompositeTooLarge"])
def test_members_that_are_made_wrongly_stall_nobody_as_each_of_them_may_be_edited(problem: str) -> None:
    assert not is_stalled(an_objective(ServiceLevelObjectiveStatus(), (problem, "a -> b -> a"), 1, NOON))


# --- those that act -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"windows": [{"from": "00:00", "to": "00:00", "timeZone": "Mars/Olympus"}]}, "InvalidTimeZone"),
        ({"steps": [{"patch": {"patch": {"status": {"replicas": 3}}}}]}, "PatchRefused"),
    ],
)
def test_a_policy_that_asks_for_what_cannot_be_is_stalled_until_it_is_edited(
    changes: dict[str, Any], reason: str
) -> None:
    world = PolicyWorld(spec=policy_spec(**changes), sick={"checkout-1"})
    refused = world.run("10s")
    world.spec, world.generation = policy_spec(), 2
    mended = world.run("2s")

    assert found(refused, STALLED).reason == reason  # type: ignore[union-attr]
    assert is_stalled(refused)
    assert not is_stalled(mended)


def test_a_policy_that_is_blocked_is_not_stalled() -> None:
    world = PolicyWorld(spec=policy_spec(suspend=True), sick={"checkout-1"})
    status = world.run("10s")

    assert status.blocked is not None
    assert found(status, "Ready").status is ConditionStatus.TRUE  # type: ignore[union-attr]
    assert not is_stalled(status)


def test_an_experiment_with_an_impossible_schedule_is_stalled_and_one_without_targets_has_a_verdict() -> None:
    never = ChaosWorld(a_spec(schedule={"cron": "0 0 30 2 *"}))
    never.run(3)
    gone = ChaosWorld(a_spec(target={"kind": "Pod", "selector": {"matchLabels": {"app": "nobody"}}}), pods={})
    gone.run(60)

    assert found(never.status, STALLED).reason == "InvalidSchedule"  # type: ignore[union-attr]
    assert is_stalled(never.status)
    assert not is_stalled(gone.status)
    assert found(gone.status, "Ready").status is ConditionStatus.TRUE  # type: ignore[union-attr]
