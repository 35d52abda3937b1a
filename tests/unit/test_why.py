"""Why: the answer comes first, then what stands against it and since when, then what would change it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from homeostat.cli.reasons import why_report
from homeostat.cli.reasons.why_findings import BLOCKED, PASSED, UNKNOWN
from homeostat.cli.reasons.why_report import Why, as_data, lines

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
SINCE = "2026-11-22T00:24:00.123Z"


def body(name: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "generation": 2}
    return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": 2} | status}


def why(kind: str, short: str, read: dict[str, Any]) -> Why:
    return why_report.why(kind, short, read, NOW)


def states(told: Why) -> dict[str, str]:
    return {gate.name: gate.state for gate in told.gates}


def test_a_policy_that_is_paused_says_so_first_and_how_to_resume_it() -> None:
    paused = {"reason": "Paused", "since": SINCE, "message": "Paused by alice: maintenance"}
    status = {
        "phase": "Blocked",
        "signals": [{"trigger": 0, "state": "Firing", "since": SINCE}],
        "blocked": paused,
        "decision": {"at": SINCE, "verdict": "Refuse", "gate": "paused", "reason": "Paused"},
    }
    told = why("RecoveryPolicy", "rp", body("cart", status, mode="Auto"))

    text = list(lines(told))
    assert text[0].startswith("rp/cart in shop: it does not act: Paused since 2026-11-22T00:24:00Z: Paused by alice")
    assert states(told) == {"evaluated": PASSED, "suspend": PASSED, "trigger 0": PASSED, "paused": BLOCKED}
    assert told.changes == (("end the pause", "homeostat resume rp/cart -n shop"),)
    assert told.past == (("2026-11-22T00:24:00Z", "decided: Refuse by paused: Paused"),)
    assert told.is_blocked


def test_a_quiet_policy_does_nothing_because_no_trigger_fires() -> None:
    status = {"phase": "Idle", "signals": [{"trigger": 0, "state": "Quiet", "since": SINCE}]}
    told = why("RecoveryPolicy", "rp", body("cart", status, mode="Auto"))
    assert told.answer == "it does nothing because no trigger fires."


@pytest.mark.parametrize(
    ("mode", "is_told"), [("Auto", True), ("Approve", True), ("Suggest", False), ("Observe", False)]
)
def test_a_policy_that_could_not_act_says_so_before_it_has_to(mode: str, is_told: bool) -> None:  # noqa: FBT001
    """Whoever forgot to ask for recovery hears it at rest; a policy that only tells needs no right."""
    status = {
        "phase": "Idle",
        "signals": [{"trigger": 0, "state": "Quiet", "since": SINCE}],
        "conditions": [
            {"type": "Permitted", "status": "False", "reason": "RightsMissing", "message": "The operator lacks rights."}
        ],
    }
    told = why("RecoveryPolicy", "rp", body("cart", status, mode=mode))

    assert told.answer.startswith("it does nothing because no trigger fires.")
    assert ("It could not act: RightsMissing: The operator lacks rights." in told.answer) is is_told
    assert any("recovery.enabled" in what and "dist/rights" in what for what, _ in told.changes) is is_told


def test_a_policy_that_acts_says_which_step() -> None:
    status = {"phase": "Acting", "attempt": {"name": "restartPods"}}
    assert "it acts: Acting, step restartPods" in why("RecoveryPolicy", "rp", body("cart", status)).answer


@pytest.mark.parametrize(("kind", "short"), [("RecoveryPolicy", "rp"), ("ChaosExperiment", "chaos"), ("GameDay", "gd")])
def test_an_object_that_no_operator_has_seen_says_that_and_sends_to_the_doctor(kind: str, short: str) -> None:
    told = why(kind, short, body("cart", {"observedGeneration": -1}))
    assert "NeverEvaluated" in told.answer
    assert ("see that the operator runs and watches this namespace", "homeostat doctor") in told.changes


def test_an_experiment_that_was_aborted_says_why_and_what_lets_it_in() -> None:
    status = {
        "phase": "Finished", "verdict": "Aborted", "runNumber": 1, "endedAt": SINCE,
        "reason": "NamespaceNotAllowed", "message": "namespace shop lacks the label",
    }  # fmt: skip
    told = why("ChaosExperiment", "chaos", body("kill", status))
    assert told.answer.startswith("its run 1 ended as Aborted: NamespaceNotAllowed.")
    assert told.changes[0][1] == "kubectl label namespace shop homeostat.dev/chaos=allowed"


def test_a_burning_objective_names_its_check_its_alerts_and_its_worst_group_first() -> None:
    status = {
        "state": "Burning", "good": 90, "bad": 10, "budget": {"remaining": "12.5"},
        "alerts": [{"type": "BurnRate", "severity": "Page", "long": "1h", "short": "5m", "since": SINCE}],
        "groups": [
            {"name": "region=eu", "state": "Burning", "bad": 1},
            {"name": "region=us", "state": "Exhausted", "bad": 9, "remaining": "-3"},
            {"name": "region=ap", "state": "Met", "bad": 0},
        ],
        "burnRates": [{"window": "1h", "rate": "14.5"}, {"window": "6h", "rate": "2"}, {"window": "3d", "rate": "0.5"}],
    }  # fmt: skip
    told = why("ServiceLevelObjective", "slo", body("cart", status, indicator={"healthCheck": {"name": "cart"}}))
    assert (
        told.answer
        == "it burns: HealthCheck cart counted 10 bad of 100 events in the window; 12.5 % of the budget is left."
    )
    found = states(told)
    assert found["alert BurnRate 1h/5m"] == BLOCKED
    assert (found["burn 1h"], found["burn 6h"], found["burn 3d"]) == (BLOCKED, PASSED, PASSED)
    groups = [name for name in found if name.startswith("group")]
    assert groups == ["group region=us", "group region=eu"]


def test_of_an_objective_that_is_met_no_burn_rate_is_a_reason() -> None:
    status = {
        "state": "Met", "good": 9_999, "bad": 1, "budget": {"remaining": "90"},
        "alerts": [{"type": "BurnRate", "severity": "Page", "long": "3d", "short": "6h", "group": "region=eu"}],
        "burnRates": [{"window": "1h", "rate": "1.2"}, {"window": "3d", "rate": "1.3"}],
    }  # fmt: skip
    found = {gate.name: (gate.state, gate.message) for gate in of_objective(status).gates}
    assert found["burn 1h"] == (PASSED, "burns 1.2 times as fast as it may; no alert of this window fires")
    assert found["burn 3d"][0] == PASSED  # the alert is of one group, the rate of the whole
    assert not of_objective({**status, "alerts": []}).is_blocked


@pytest.mark.parametrize(("left", "state"), [("12.5", PASSED), ("0", BLOCKED), ("-3", BLOCKED)])
def test_a_budget_that_is_gone_stands_against_an_objective_without_any_alert(left: str, state: str) -> None:
    told = of_objective({"state": "Exhausted", "budget": {"remaining": left}})
    assert states(told)["budget"] == state
    assert told.is_blocked is (state == BLOCKED)


def of_objective(status: dict[str, Any]) -> Why:
    return why("ServiceLevelObjective", "slo", body("cart", status, indicator={"healthCheck": {"name": "cart"}}))


def test_a_failing_check_says_in_which_phase_and_how_far_from_its_threshold() -> None:
    status = {
        "state": "Unhealthy", "since": SINCE, "passing": "1/2", "message": "refused",
        "failing": [{"name": "cart-1", "phase": "Connect", "message": "refused"}],
        "streak": {"result": "Fail", "count": 4},
    }  # fmt: skip
    told = why("HealthCheck", "hc", body("cart", status, failureThreshold=3, successThreshold=2))
    assert told.answer == "it is Unhealthy since 2026-11-22T00:24:00Z (1/2 endpoints pass): refused"
    assert states(told)["endpoint cart-1"] == BLOCKED
    assert any("thresholds: 3 failures, 2 successes" in gate.message for gate in told.gates)


def test_what_is_not_known_is_neither_passed_nor_blocked() -> None:
    status = {"signals": [{"trigger": 0, "state": "Unknown", "since": SINCE}]}
    assert states(why("RecoveryPolicy", "rp", body("cart", status, mode="Auto")))["trigger 0"] == UNKNOWN


def test_programs_are_told_the_same() -> None:
    told = as_data(why("RecoveryPolicy", "rp", body("cart", {}, suspend=True)))
    assert set(told) == {"object", "namespace", "answer", "gates", "toChange", "past", "docs"}
    assert told["toChange"] == [{"what": "set spec.suspend: false", "command": None}]


def test_the_gate_is_that_of_the_block_and_not_of_an_earlier_decision() -> None:
    status = {
        "signals": [{"trigger": 0, "state": "Firing", "since": SINCE}],
        "blocked": {"reason": "Frozen", "since": SINCE, "message": "outage: hands off"},
        "decision": {"at": SINCE, "verdict": "Refuse", "gate": "cooling_down", "reason": "CoolingDown"},
    }
    found = states(why("RecoveryPolicy", "rp", body("cart", status, mode="Auto")))
    assert found["gates"] == BLOCKED
    assert "cooling_down" not in found


def test_a_quiet_trigger_stands_against_nothing_while_another_fires() -> None:
    signals = [{"trigger": 0, "state": "Quiet", "since": SINCE}, {"trigger": 1, "state": "Firing", "since": SINCE}]
    told = why("RecoveryPolicy", "rp", body("cart", {"signals": signals, "phase": "Pending"}, mode="Auto"))
    assert states(told)["trigger 0"] == PASSED
    assert not told.is_blocked


def test_triggers_of_which_nothing_is_known_are_no_leave_to_act() -> None:
    status = {"phase": "Idle", "signals": [{"trigger": 0, "state": "Unknown", "since": SINCE}]}
    told = why("RecoveryPolicy", "rp", body("cart", status, mode="Auto"))
    assert told.answer == "it is not known whether a trigger fires; its phase is Idle."


@pytest.mark.parametrize(("until", "is_against"), [("2026-11-22T03:00:01Z", True), ("2026-11-22T03:00:00Z", False)])
def test_a_rest_stands_against_acting_until_it_is_over(until: str, is_against: bool) -> None:  # noqa: FBT001
    status = {"signals": [{"trigger": 0, "state": "Firing", "since": SINCE}], "cooldownUntil": until}
    assert ("cooldown" in states(why("RecoveryPolicy", "rp", body("cart", status, mode="Auto")))) is is_against


def test_a_message_of_several_lines_is_one_and_commands_no_terminal() -> None:
    status = {"state": "Unhealthy", "message": "refused\n  passed   evaluated\x1b[2J"}
    told = list(lines(why("HealthCheck", "hc", body("cart", status))))
    assert told[0] == "hc/cart in shop: it is Unhealthy: refused   passed   evaluated [2J"
    assert not any("\n" in line or "\x1b" in line for line in told)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (
            "ServiceLevelObjective",
            {"burnRates": [{"window": "1h", "rate": "fast"}], "bad": 3, "groups": [{"state": "X"}]},
        ),
        ("HealthCheck", {"failing": [{}], "streak": {"count": 1}}),
        ("RecoveryPolicy", {"signals": [{}], "blocked": {"reason": "New"}, "plan": {}, "decision": {}, "last": [{}]}),
        ("ChaosExperiment", {"phase": "Later", "conditions": [{"type": "Permitted"}], "runs": [{}]}),
        ("GameDay", {"verdict": "Odd"}),
    ],
)
def test_what_a_newer_release_wrote_is_told_as_far_as_it_can_be_read(kind: str, status: dict[str, Any]) -> None:
    assert list(lines(why(kind, "x", body("cart", status))))
