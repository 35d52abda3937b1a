"""The hypothesis by objectives and queries, what stops a run, and incidents: before, during and after the fault."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.health_check import HealthState
from homeostat.core.action import DeletePod
from homeostat.core.chaos import CheckSeen
from homeostat.core.chaos.hypothesis.named import objective_names, policies, queries
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AlertSeen
from homeostat.core.prometheus.answer import Trouble
from scenarios.chaos.watched import Objective, Watched
from scenarios.chaos.world import START, a_spec

SECOND, LONG_AGO = timedelta(seconds=1), START - timedelta(minutes=1)
SLO = {"slo": {"name": "checkout", "burnRateBelow": "6"}}
PROMQL = {"promql": {"query": "errors", "condition": "< 0.05"}}
BURNS = {"slo": {"name": "checkout", "burnRateAbove": "14.4"}}
EMPTIES = {"budget": {"slo": "checkout", "remainingBelow": "10%"}}


def watched(**changes: Any) -> Watched:
    """Give a world of one objective and one query, with a spec in the API's own words."""
    world = {name: changes.pop(name) for name in list(changes) if name in Watched.__dataclass_fields__}
    return Watched(a_spec(**changes), objectives={"checkout": Objective()}, **world)


def broken(world: Watched) -> Watched:
    """Let the fault go on."""
    world.reconcile()
    world.run(20, until=Phase.RUNNING)
    assert world.status.phase is Phase.RUNNING, world.status
    return world


def ended(world: Watched, seconds: int = 120) -> tuple[Verdict | None, str]:
    """Let the run end, and give what it says."""
    world.reconcile()
    world.run(seconds, until=Phase.FINISHED)
    assert world.status.phase is Phase.FINISHED, world.status
    return world.status.verdict, world.status.reason


def acts(world: Watched) -> int:
    """Count the injections."""
    return sum(isinstance(act, DeletePod) for act in world.acts)


def told(world: Watched) -> list[str]:
    """Give what was noted."""
    return [one.what for one in world.status.observations]


def at_once(world: Watched) -> tuple[Phase, str]:
    """Look once, a second later: what is found is acted on within that look."""
    world.tick(1)
    world.reconcile()
    return world.status.phase, world.status.reason


# --- objectives and queries -----------------------------------------------------------------------------


@pytest.mark.parametrize("part", [SLO, PROMQL])
def test_a_hypothesis_of_any_kind_that_holds_throughout_passes(part: dict[str, Any]) -> None:
    """C7, C15: there was data, and the data said yes."""
    assert ended(watched(hypothesis=[part])) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


@pytest.mark.parametrize(
    ("part", "harm"), [(SLO, {"objectives": {"checkout": Objective(rate="6")}}), (PROMQL, {"value": 0.05})]
)
def test_a_burn_rate_or_value_at_the_limit_breaks_the_steady_state(part: dict[str, Any], harm: dict[str, Any]) -> None:
    """C7: nothing is touched when it does not hold before; a limit itself is not below the limit."""
    world = watched(hypothesis=[part])
    vars(world).update(harm)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.STEADY_STATE_BROKEN)
    assert acts(world) == 0


@pytest.mark.parametrize(
    ("part", "harm"), [(SLO, {"objectives": {"checkout": Objective(rate="7")}}), (PROMQL, {"value": 0.2})]
)
def test_what_must_hold_and_breaks_during_the_fault_fails_within_one_look(
    part: dict[str, Any], harm: dict[str, Any]
) -> None:
    """C7: checked throughout, and the fault is off at once."""
    world = broken(watched(hypothesis=[part]))
    vars(world).update(harm)

    assert at_once(world)[0] in {Phase.REVERTING, Phase.RECOVERING}
    assert (world.status.verdict, world.status.reason) == (Verdict.FAILED, ChaosReason.HYPOTHESIS_BROKEN)


@pytest.mark.parametrize(
    ("part", "harm", "cure"),
    [
        (SLO, {"objectives": {"checkout": Objective(rate="7")}}, {"objectives": {"checkout": Objective()}}),
        (PROMQL, {"value": 0.2}, {"value": 0.0}),
    ],
)
def test_what_may_break_must_return_within_recovery_timeout(
    part: dict[str, Any], harm: dict[str, Any], cure: dict[str, Any]
) -> None:
    """C7: MayBreak is about the fault's own time alone; C17: it was noticed when it was seen to break."""
    world = broken(watched(hypothesis=[part | {"duringFault": "MayBreak"}]))
    vars(world).update(harm)
    world.run(30, until=Phase.RECOVERING)
    world.run(10)
    assert world.status.phase is Phase.RECOVERING
    vars(world).update(cure)

    assert ended(world) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)
    assert world.status.timings.detected_after == SECOND
    assert world.status.timings.recovered_after == 20 * SECOND


LACKS = [
    ("answer", {"trouble": Trouble.UNAVAILABLE}, ChaosReason.SIGNAL_ERROR),
    ("answer", {"trouble": Trouble.TIMEOUT}, ChaosReason.SIGNAL_TIMEOUT),
    ("answer", {"value": None}, ChaosReason.SIGNAL_EMPTY),
    ("answer", {"answered_at": LONG_AGO}, ChaosReason.SIGNAL_STALE),
    ("answer", {"was_never_asked": True}, ChaosReason.SIGNAL_MISSING),
    ("slo", {"objectives": {}}, ChaosReason.SIGNAL_MISSING),
    (
        "slo",
        {"objectives": {"checkout": Objective(silent_since=LONG_AGO)}},
        ChaosReason.SIGNAL_STALE,
    ),
    ("slo", {"objectives": {"checkout": Objective(rate=None)}}, ChaosReason.SIGNAL_EMPTY),
]


@pytest.mark.parametrize(("what", "lack", "reason"), LACKS)
def test_no_data_during_the_fault_aborts_within_one_look_each_lack_with_its_own_reason(
    what: str, lack: dict[str, Any], reason: ChaosReason
) -> None:
    """C7: an error, a timeout, an empty answer and the others are told apart; the fault goes off with each."""
    world = broken(watched(hypothesis=[PROMQL if what == "answer" else SLO]))
    vars(world).update(lack)

    assert at_once(world)[1] == reason
    assert world.status.phase in {Phase.REVERTING, Phase.RECOVERING}
    assert world.status.verdict is Verdict.ABORTED


@pytest.mark.parametrize(("what", "lack", "reason"), LACKS)
def test_no_data_all_along_is_inconclusive_and_nothing_is_touched(
    what: str, lack: dict[str, Any], reason: ChaosReason
) -> None:
    """C15: Prometheus down all along: Inconclusive."""
    world = watched(hypothesis=[PROMQL if what == "answer" else SLO])
    vars(world).update(lack)

    assert ended(world) == (Verdict.INCONCLUSIVE, reason)
    assert acts(world) == 0


@pytest.mark.parametrize("part", [SLO, PROMQL])
def test_data_that_falls_silent_after_the_fault_is_no_pass(part: dict[str, Any]) -> None:
    """C15: missing data never passes."""
    world = broken(watched(hypothesis=[part | {"duringFault": "MayBreak"}]))
    world.run(30, until=Phase.RECOVERING)
    world.trouble = Trouble.UNREACHABLE
    world.objectives["checkout"].silent_since = START
    verdict, reason = ended(world)

    assert verdict is Verdict.INCONCLUSIVE
    assert reason in {ChaosReason.SIGNAL_ERROR, ChaosReason.SIGNAL_STALE}


def test_a_check_says_why_it_is_unhealthy() -> None:
    """C7: a probe that gets a 500 and one that times out are told apart."""
    for why in ("UnexpectedStatus", "Timeout"):
        world = broken(watched())
        world.is_check_silent = True
        world.check = CheckSeen(HealthState.UNHEALTHY, world.now, world.now, 5 * SECOND, reason=why)
        world.reconcile()

        assert f"is Unhealthy ({why})" in world.status.message


def test_a_check_that_passed_too_slowly_gives_no_reason() -> None:
    """C7: "Degraded (Ok)" would say two things at once."""
    world = watched()
    world.check = CheckSeen(HealthState.DEGRADED, world.now, world.now, 5 * SECOND, reason="Ok")
    world.reconcile()

    assert world.status.message == "HealthCheck checkout is Degraded before the fault"


def test_what_an_experiment_looks_at_is_named_once_each() -> None:
    spec = a_spec(
        hypothesis=[SLO, PROMQL],
        stopConditions=[BURNS, EMPTIES],
        proves=[{"slo": "orders"}, {"recoveryPolicy": "restart"}],
    )

    assert objective_names(spec) == ("checkout", "orders")
    assert queries(spec) == (("errors", "< 0.05"),)
    assert policies(spec) == ("restart",)


# --- stop conditions ------------------------------------------------------------------------------------

STOPS = [
    (BURNS, Objective(rate="14.5"), ChaosReason.BURN_RATE_ABOVE),
    (EMPTIES, Objective(remaining="0.0999"), ChaosReason.BUDGET_BELOW),
]


@pytest.mark.parametrize(("stop", "objective", "reason"), STOPS)
def test_a_stop_condition_that_is_met_lets_no_run_start(
    stop: dict[str, Any], objective: Objective, reason: ChaosReason
) -> None:
    """C8: also checked before injection."""
    world = watched(stopConditions=[stop])
    world.objectives["checkout"] = objective

    assert ended(world) == (Verdict.ABORTED, reason)
    assert acts(world) == 0


@pytest.mark.parametrize(("stop", "objective", "reason"), STOPS)
def test_a_stop_condition_that_comes_true_between_plan_and_fault_stops_it(
    stop: dict[str, Any], objective: Objective, reason: ChaosReason
) -> None:
    """C8: level-triggered at every look before the fault too."""
    world = watched(stopConditions=[stop])
    world.reconcile()
    world.tick(1)
    world.objectives["checkout"] = objective

    assert ended(world) == (Verdict.ABORTED, reason)
    assert acts(world) == 0


@pytest.mark.parametrize(("stop", "objective", "reason"), STOPS)
def test_a_stop_condition_ends_the_fault_within_one_look(
    stop: dict[str, Any], objective: Objective, reason: ChaosReason
) -> None:
    """C8: and the run stays ended when the condition passes."""
    world = broken(watched(stopConditions=[stop]))
    world.objectives["checkout"] = objective
    assert at_once(world) == (Phase.RECOVERING, reason)
    world.objectives["checkout"] = Objective()

    assert ended(world) == (Verdict.ABORTED, reason)


def test_at_its_limit_a_stop_condition_is_not_met() -> None:
    """C8: above and below mean just that; an hour without traffic burns nothing."""
    world = watched(stopConditions=[BURNS, EMPTIES])
    world.objectives["checkout"] = Objective(rate="14.4", remaining="0.1")
    idle = watched(stopConditions=[BURNS])
    idle.objectives["checkout"] = Objective(rate=None)

    assert ended(world)[0] is Verdict.PASSED
    assert ended(idle)[0] is Verdict.PASSED


@pytest.mark.parametrize("stop", [BURNS, EMPTIES])
def test_a_stop_condition_that_nobody_can_judge_lets_nothing_go_on(stop: dict[str, Any]) -> None:
    """C7, C8: nobody watches, so nothing is broken."""
    blind = watched(stopConditions=[stop])
    blind.objectives.clear()
    blinded = broken(watched(stopConditions=[stop]))
    blinded.objectives["checkout"].silent_since = LONG_AGO

    assert ended(blind) == (Verdict.INCONCLUSIVE, ChaosReason.SIGNAL_MISSING)
    assert at_once(blinded)[1] == ChaosReason.SIGNAL_STALE
    assert blinded.status.verdict is Verdict.ABORTED


# --- incidents ------------------------------------------------------------------------------------------

PAGE = AlertSeen("ServiceLevelObjective", "orders", START)
ESCALATION = AlertSeen("RecoveryPolicy", "restart-orders", START)


@pytest.mark.parametrize("alert", [PAGE, ESCALATION])
def test_no_run_starts_while_an_incident_is_open(alert: AlertSeen) -> None:
    """C8: an incident opened by anything else; be it of what the run is to prove."""
    world = watched(proves=[{"slo": "orders"}, {"recoveryPolicy": "restart-orders"}], alerts=(alert,))

    assert ended(world) == (Verdict.ABORTED, ChaosReason.INCIDENT_OPEN)
    assert acts(world) == 0


def test_an_incident_that_opens_before_the_fault_stops_the_run() -> None:
    """C8: at every look."""
    world = watched()
    world.reconcile()
    world.tick(1)
    world.alerts = (replace(PAGE, since=world.now),)

    assert ended(world) == (Verdict.ABORTED, ChaosReason.INCIDENT_OPEN)
    assert acts(world) == 0


def test_an_incident_that_is_over_stands_in_nobodys_way() -> None:
    """C8: what counts is now."""
    assert ended(watched(alerts=(replace(PAGE, ended_at=START),)))[0] is Verdict.PASSED


def test_what_an_earlier_drill_left_ringing_is_no_incident() -> None:
    """C8, C13: tagged as expected, so nobody is called; only where that very page is to be proved it must end first."""
    echo = replace(PAGE, is_of_drill=True)

    assert ended(watched(alerts=(echo,)))[0] is Verdict.PASSED
    proving = watched(alerts=(echo,), proves=[{"slo": "orders"}])
    assert ended(proving) == (Verdict.ABORTED, ChaosReason.INCIDENT_OPEN)
    assert acts(proving) == 0


@pytest.mark.parametrize("alert", [PAGE, ESCALATION])
def test_an_unexpected_alert_ends_the_fault_within_one_look(alert: AlertSeen) -> None:
    """C13: an unexpected alert elsewhere pages and aborts."""
    world = broken(watched())
    world.alerts = (replace(alert, since=world.now),)

    assert at_once(world) == (Phase.RECOVERING, ChaosReason.UNEXPECTED_ALERT)
    assert ended(world)[0] is Verdict.ABORTED
    assert f"{alert.kind} {alert.name} calls for a human: not expected" in [
        one.what for one in world.status.observations
    ]


@pytest.mark.parametrize(
    ("alert", "changes"),
    [
        (PAGE, {"proves": [{"slo": "orders"}]}),
        (ESCALATION, {"proves": [{"recoveryPolicy": "restart-orders"}]}),
        (
            PAGE,
            {
                "hypothesis": [
                    {"healthCheck": {"name": "checkout"}},
                    {"slo": {"name": "orders", "burnRateBelow": "6"}, "duringFault": "MayBreak"},
                ]
            },
        ),
    ],
)
def test_an_expected_alert_is_marked_and_the_fault_goes_on(alert: AlertSeen, changes: dict[str, Any]) -> None:
    """C13: expected alerts are tagged."""
    world = watched(**changes)
    world.objectives["orders"] = Objective()
    broken(world)
    world.alerts = (replace(alert, since=world.now),)

    assert at_once(world)[0] is Phase.RUNNING
    assert f"{alert.kind} {alert.name} calls for a human: expected" in told(world)
