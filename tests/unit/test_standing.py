"""How all stands, by service: what counts as wrong, and that it comes first."""

from datetime import UTC, datetime
from typing import Any

import pytest

from homeostat.cli.status.objects import finding_of, freeze_of
from homeostat.core.standing import GOOD, Finding, Level, by_service, worst

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def body(name: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
    given = {} if status is None else {"observedGeneration": 1, **status}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec, "status": given}


def level(kind: str, spec: dict[str, Any], status: dict[str, Any] | None) -> Level:
    return finding_of(kind, body("it", spec, status)).level


CHECK_ON = {"triggers": [{"healthCheck": {"name": "front"}}]}
NO_RIGHT = {"type": "Permitted", "status": "False", "reason": "RightsMissing"}
ALERT = {"type": "BurnRate", "severity": "Page", "long": "1h", "short": "5m", "since": "2026-11-22T02:50:00Z"}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"),
    [
        ("hc", {}, {"state": "Healthy"}, Level.WELL),
        ("hc", {}, {"state": "Degraded"}, Level.ATTENTION),
        ("hc", {}, {"state": "Unhealthy"}, Level.WRONG),
        ("hc", {"criticality": "Low"}, {"state": "Unhealthy"}, Level.ATTENTION),
        ("hc", {}, {"state": "Unhealthy", "suppressedBy": ["db"]}, Level.ATTENTION),
        ("hc", {}, {"state": "Suspended"}, Level.NOTE),
        ("hc", {}, {"state": "AWordOfTomorrow"}, Level.UNKNOWN),
        ("hc", {}, None, Level.UNKNOWN),
        ("slo", {}, {"state": "Met"}, Level.WELL),
        ("slo", {}, {"state": "Burning"}, Level.ATTENTION),
        ("slo", {}, {"state": "Exhausted"}, Level.WRONG),
        ("slo", {}, {"state": "Burning", "alerts": [ALERT]}, Level.WRONG),
        ("slo", {}, {"state": "Met", "alerts": [ALERT | {"severity": "Ticket"}]}, Level.ATTENTION),
        ("slo", {}, {"state": "Met", "alerts": [ALERT | {"expectedBy": "drill"}]}, Level.NOTE),
        ("slo", {}, {"state": "Met", "holds": ["Rollouts"]}, Level.NOTE),
        ("rp", {}, {"phase": "Idle"}, Level.WELL),
        ("rp", {}, {"phase": "AwaitingApproval"}, Level.WRONG),
        ("rp", {}, {"phase": "Escalated"}, Level.WRONG),
        ("rp", {}, {"phase": "Blocked", "blocked": {"reason": "NoFailingPods"}}, Level.WRONG),
        ("rp", {}, {"phase": "Blocked", "blocked": {"reason": "Frozen"}}, Level.ATTENTION),
        ("rp", {}, {"phase": "CoolingDown", "lastOutcome": "Recovered"}, Level.NOTE),
        ("rp", {}, {"phase": "CoolingDown", "lastOutcome": "Failed"}, Level.ATTENTION),
        ("rp", {"suspend": True}, {"phase": "Idle"}, Level.NOTE),
        ("rp", {"mode": "Auto"}, {"phase": "Idle", "conditions": [NO_RIGHT]}, Level.ATTENTION),
        ("rp", {"mode": "Observe"}, {"phase": "Idle", "conditions": [NO_RIGHT]}, Level.WELL),
        ("chaos", {}, {"phase": "Running"}, Level.NOTE),
        ("chaos", {}, {"phase": "Finished", "verdict": "Passed"}, Level.WELL),
        ("chaos", {}, {"phase": "Finished", "verdict": "Failed"}, Level.ATTENTION),
        ("chaos", {}, {"phase": "Recovering", "verdict": "Failed", "reason": "RecoveryFailed"}, Level.WRONG),
        ("chaos", {}, {"phase": "Pending", "reason": "NotDue"}, Level.WELL),
        ("gd", {}, {"phase": "AwaitingApproval"}, Level.ATTENTION),
        ("hc", {}, {"state": "Healthy", "conditions": [{"type": "Stalled", "status": "True"}]}, Level.WRONG),
        ("hc", {}, {"state": "Healthy", "conditions": [{"type": "Ready", "status": "False"}]}, Level.ATTENTION),
    ],
)
def test_what_a_status_says_is_weighed(
    kind: str, spec: dict[str, Any], status: dict[str, Any] | None, expected: Level
) -> None:
    assert level(kind, spec, status) is expected


def test_what_is_wrong_is_said_in_words_and_what_is_well_is_not() -> None:
    assert finding_of("hc", body("front", {}, {"state": "Unhealthy", "message": "2 of 3 fail"})).why == "2 of 3 fail"
    assert not finding_of("hc", body("front", {}, {"state": "Healthy", "message": "3 of 3 pass"})).why


def test_a_plan_that_waits_is_shown_with_the_command_that_approves_it() -> None:
    plan = {"hash": "abc", "does": ["EvictPod a"]}
    told = finding_of("rp", body("careful", {}, {"phase": "AwaitingApproval", "plan": plan})).why
    assert told == "wants to EvictPod a: `homeostat approve rp/careful -n shop --plan abc`"


def test_the_worst_service_comes_first_and_among_equals_the_lower_score() -> None:
    findings = [
        finding_of("hc", body("well", {"service": "a"}, {"state": "Healthy"})),
        finding_of("hc", body("bad", {"service": "b"}, {"state": "Unhealthy"})),
        finding_of("hc", body("worse", {"service": "c"}, {"state": "Unhealthy"})),
        finding_of("hc", body("who knows", {"service": "d"}, {"state": "Unknown"})),
    ]
    services = by_service(findings, {("shop", "b"): 40, ("shop", "c"): 10})
    assert [one.name for one in services] == ["c", "b", "d", "a"]
    assert [one.score for one in services] == [10, 40, None, None]


def test_policies_and_drills_stand_with_the_service_that_they_are_about() -> None:
    findings = [
        finding_of("hc", body("front", {"service": "checkout"}, {"state": "Healthy"})),
        finding_of("rp", body("restart", CHECK_ON, {"phase": "Idle"})),
        finding_of("chaos", body("kill", {"hypothesis": [{"healthCheck": {"name": "front"}}]}, {"phase": "Running"})),
        finding_of("gd", body("day", {"steps": [{"experiment": "kill"}]}, {"phase": "Running"})),
        finding_of("rp", body("of a stranger", {"triggers": [{"alert": {"name": "x"}}]}, {"phase": "Idle"})),
    ]
    services = {one.name: {of.name for of in one.findings} for one in by_service(findings, {})}
    assert services == {"checkout": {"front", "restart", "kill", "day"}, "": {"of a stranger"}}


def test_a_service_is_as_bad_as_its_worst_object_and_that_comes_first() -> None:
    findings = [
        finding_of("hc", body("a", {"service": "s"}, {"state": "Healthy"})),
        finding_of("rp", body("b", {"triggers": [{"healthCheck": {"name": "a"}}]}, {"phase": "Escalated"})),
    ]
    (service,) = by_service(findings, {})
    assert service.level is Level.WRONG
    assert [one.name for one in service.findings] == ["b", "a"]


def test_of_nothing_all_is_well() -> None:
    assert worst([]) is Level.WELL
    assert worst([]) in GOOD


@pytest.mark.parametrize("status", [{"state": 3, "alerts": "x", "conditions": [7]}, {"state": None, "budget": []}])
@pytest.mark.parametrize("kind", ["hc", "slo", "rp", "chaos", "gd"])
def test_a_status_that_makes_no_sense_is_shown_and_breaks_nothing(kind: str, status: dict[str, Any]) -> None:
    odd = body("odd", {"triggers": 1, "steps": "x", "hypothesis": [None]}, status)
    assert isinstance(finding_of(kind, odd), Finding)


def test_a_freeze_that_is_over_is_not_told() -> None:
    freeze = {"metadata": {"name": "f"}, "spec": {"stops": ["Chaos"], "reason": "r", "until": "2026-11-22T02:59:59Z"}}
    assert freeze_of(freeze, NOW) is None
    freeze["spec"]["until"] = "2026-11-22T03:00:01Z"
    assert (freeze_of(freeze, NOW) or {})["until"] == "2026-11-22T03:00:01Z"
