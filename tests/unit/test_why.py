"""Why: the answer comes first, then what stands against it and since when, then what would change it."""

from typing import Any

import pytest

from homeostat.cli.reasons.why_report import BLOCKED, PASSED, UNKNOWN, Why, as_data, lines, why

SINCE = "2026-11-22T00:24:00.123Z"


def body(name: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "generation": 2}
    return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": 2} | status}


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
        "burnRates": [{"window": "1h", "rate": "14.5"}, {"window": "3d", "rate": "0.5"}],
    }  # fmt: skip
    told = why("ServiceLevelObjective", "slo", body("cart", status, indicator={"healthCheck": {"name": "cart"}}))
    assert (
        told.answer
        == "it burns: HealthCheck cart counted 10 bad of 100 events in the window; 12.5 % of the budget is left."
    )
    found = states(told)
    assert found["alert BurnRate 1h/5m"] == BLOCKED
    assert (found["burn 1h"], found["burn 3d"]) == (BLOCKED, PASSED)
    groups = [name for name in found if name.startswith("group")]
    assert groups == ["group region=us", "group region=eu"]


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
