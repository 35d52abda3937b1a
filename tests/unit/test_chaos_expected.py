"""Alerts that an experiment accounts for: marked while it does, and handed to who is on call when it no longer does."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes import NOON, FakeClock, body_of
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Alert, AlertType, ServiceLevelObjectiveStatus, Severity
from homeostat.core.chaos.telling import expecting
from homeostat.core.decision import EventType
from homeostat.core.objective.alerts import events
from homeostat.core.objective.drills import Drill, expected_by
from homeostat.core.objective.evaluation import ObjectiveSeen, decide
from homeostat.core.objective.firing import alerts_of
from homeostat.core.ref import Ref
from homeostat.engine.chaos.drills import Drills
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.alert_post import AlertPost
from homeostat.engine.objects import ObjectStore, entry_from
from homeostat.notify.alertmanager import Fate, Posting
from homeostat.telemetry.metrics import Metrics
from pushed import KIND, objective_body

MINUTE = timedelta(minutes=1)
ON = Drill("kill-web", NOON)
OVER = Drill("kill-web", NOON - MINUTE, over_at=NOON + 5 * MINUTE)
REF = Ref("ServiceLevelObjective", "shop", "web", "uid-web")
EXPERIMENT: dict[str, Any] = {
    "fault": {"podKill": {}},
    "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "web"}}},
    "duration": "1m",
    "hypothesis": [{"slo": {"name": "web", "burnRateBelow": "6"}, "duringFault": "MayBreak"}],
    "proves": [{"recoveryPolicy": "heal-web"}],
}
PASSED = {
    "number": 1,
    "startedAt": "2026-11-21T11:00:00Z",
    "endedAt": "2026-11-21T11:10:00Z",
    "verdict": "Passed",
    "reason": "HypothesisHeld",
}


def page(since: datetime = NOON, by: str | None = None, short: timedelta | None = 5 * MINUTE, **more: Any) -> Alert:
    long = timedelta(hours=1) if short else None
    return Alert(severity=Severity.PAGE, long=long, short=short, since=since, expected_by=by, **more)


@pytest.mark.parametrize(
    ("alert", "drills", "now", "who"),
    [
        (page(), (), NOON, None),
        (page(), (ON,), NOON, "kill-web"),  # it began with the fault
        (page(NOON - MINUTE), (ON,), NOON + MINUTE, None),  # it was there before, and goes on
        (page(by="kill-web"), (), NOON + MINUTE, None),  # the experiment is gone, or its run did not pass
        (page(by="kill-web"), (OVER,), NOON + 11 * MINUTE, "kill-web"),  # it still sees the fault in its short window
        (page(by="kill-web"), (OVER,), NOON + 12 * MINUTE, None),  # the fault is out of its sight
        (page(by="kill-web", short=120 * MINUTE), (OVER,), NOON + 36 * MINUTE, "kill-web"),
        (page(by="kill-web", short=120 * MINUTE), (OVER,), NOON + 37 * MINUTE, None),  # however far it looks back
        (page(by="kill-web", short=None), (OVER,), NOON + 6 * MINUTE, "kill-web"),
        (page(by="kill-web", short=None), (OVER,), NOON + 7 * MINUTE, None),
        (page(NOON + 6 * MINUTE), (OVER,), NOON + 6 * MINUTE, None),  # it began when the run was over
        (page(by="kill-api"), (OVER,), NOON + 6 * MINUTE, None),  # another's alert is not taken over
        (page(by="kill-api"), (OVER, ON), NOON + MINUTE, "kill-web"),
    ],
)
def test_an_alert_is_expected_only_while_the_fault_accounts_for_it(
    alert: Alert, drills: Sequence[Drill], now: datetime, who: str | None
) -> None:
    """C13: neither paged for what is planned, nor silenced for what is not."""
    assert expected_by(alert, drills, now) == who


# --- what experiments expect ----------------------------------------------------------------------------


def drills(status: dict[str, Any], objective: str = "web", **spec: Any) -> tuple[Drill, ...]:
    full = ChaosExperimentSpec.model_validate(EXPERIMENT | spec)
    return tuple(expecting.drills("kill-web", full, ChaosExperimentStatus.model_validate(status), objective))


def at_work(phase: str = "Running", **more: Any) -> dict[str, Any]:
    return {"phase": phase, "injectedAt": "2026-11-21T12:00:00Z", **more}


@pytest.mark.parametrize("phase", ["Injecting", "Running", "Reverting", "Recovering"])
def test_alerts_are_expected_from_the_fault_until_the_run_is_over(phase: str) -> None:
    """C13."""
    assert drills(at_work(phase)) == (ON,)
    assert drills({"phase": phase}) == ()  # nothing was touched yet
    assert drills(at_work("Finished")) == ()


def test_only_alerts_of_what_the_experiment_names_are_expected() -> None:
    """C13: an alert elsewhere is nobody's plan; nor is one of what must hold."""
    must_hold = [{"slo": {"name": "web", "burnRateBelow": "6"}}]

    assert drills(at_work(), "api") == ()
    assert drills(at_work(), hypothesis=must_hold) == ()
    assert drills(at_work(), hypothesis=must_hold, proves=[{"slo": "web"}]) == (ON,)


def test_a_fault_that_cannot_be_taken_off_is_no_longer_expected() -> None:
    """C16: RecoveryFailed is an incident like any other."""
    assert drills(at_work("Reverting", reason="RecoveryFailed")) == ()


def test_only_a_run_that_passed_accounts_for_alerts_that_outlast_it() -> None:
    """C13."""
    failed = {**PASSED, "number": 2, "verdict": "Failed"}
    hour_ago = NOON - timedelta(hours=1)
    last = Drill("kill-web", hour_ago, over_at=hour_ago + 10 * MINUTE)

    assert drills({"phase": "Finished", "runs": [PASSED]}) == (last,)
    assert drills({"phase": "Finished", "runs": [failed, PASSED]}) == ()
    assert drills(at_work(runs=[PASSED])) == (ON, last)


def store_of(*bodies: dict[str, Any]) -> ObjectStore:
    store = ObjectStore()
    for body in bodies:
        store.put(entry_from(body, "ChaosExperiment"))
    return store


def experiment(name: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return body_of("ChaosExperiment", name, EXPERIMENT | spec, status=status, uid=f"uid-{name}")


def test_experiments_are_found_by_namespace_and_name() -> None:
    """C13."""
    drilled = Drills(store_of(experiment("kill-web", at_work()), experiment("kill-api", {"phase": "Pending"})))
    policy = Ref("RecoveryPolicy", "shop", "heal-web", "uid-heal")

    assert drilled.of_objective(REF) == (ON,)
    assert drilled.of_objective(replace(REF, namespace="bank")) == ()
    assert drilled.of_policy(policy) == "kill-web"
    assert drilled.of_policy(replace(policy, name="heal-api")) == ""
    assert Drills(store_of(experiment("broken", at_work(), duration="no"))).of_objective(REF) == ()


# --- what objectives tell -------------------------------------------------------------------------------


def test_an_expected_alert_is_no_warning_and_says_whose_it_is() -> None:
    """C13."""
    [begun] = events((), (page(by="kill-web"),))
    [alert] = alerts_of("shop", "web", "", ServiceLevelObjectiveStatus(alerts=(page(by="kill-web"),)))

    assert (begun.reason, begun.type) == ("BurnRateHigh", EventType.NORMAL)
    assert begun.note.endswith(", as ChaosExperiment kill-web expects.")
    assert dict(alert.labels)["expected_by"] == "kill-web"
    assert "as ChaosExperiment kill-web expects" in dict(alert.annotations)["summary"]


def test_an_alert_that_is_handed_over_is_told_once_as_a_warning() -> None:
    """C13: nobody was told but the owner."""
    expected, handed = page(by="kill-web"), page()
    [told] = events((expected,), (handed,))

    assert (told.reason, told.type) == ("AlertNotExpected", EventType.WARNING)
    assert events((handed,), (handed,)) == ()
    assert events((expected,), (expected,)) == ()
    assert [one.reason for one in events((expected,), ())] == ["BurnRateNormal"]


def test_an_alert_is_judged_anew_also_when_the_objective_cannot_be_evaluated() -> None:
    """C13: what fires goes on firing, and does not stay expected for that."""
    spec = ServiceLevelObjectiveSpec.model_validate(
        {"objective": "99", "window": {"rolling": "30d"}, "indicator": {"healthCheck": {"name": "web"}}}
    )
    status = ServiceLevelObjectiveStatus(alerts=(page(by="kill-web", short=None, type=AlertType.TOTAL_OUTAGE),))
    seen = ObjectiveSeen(REF, 1, problem=("Invalid", "it makes no sense"))

    assert decide(spec, status, replace(seen, drills=(ON,)), NOON).status.alerts[0].expected_by == "kill-web"
    assert decide(spec, status, seen, NOON).status.alerts[0].expected_by is None


# --- what Alertmanager is told --------------------------------------------------------------------------


class FakeSink:
    """Notes each post, as (expected_by, seconds until its end) of each alert in it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.posts: list[list[tuple[str, float]]] = []

    async def post(self, postings: Sequence[Posting]) -> Fate:
        now = self.clock.now()
        found = [(dict(one.alert.labels).get("expected_by", ""), one.ends_at - now) for one in postings]
        self.posts.append([(who, left.total_seconds()) for who, left in found])
        return Fate.TAKEN


async def test_the_expected_alert_ends_in_the_same_post_in_which_the_other_begins() -> None:
    """C13: labels are identity; at no time do two fire."""
    clock, store = FakeClock(), ObjectStore()
    sink = FakeSink(clock)
    post = AlertPost(AlertBook(store), sink, clock, Metrics())
    for version, alert in enumerate((page(by="kill-web"), page()), start=1):
        status = ServiceLevelObjectiveStatus(alerts=(alert,)).wire()
        store.put(entry_from(objective_body("web", version=version, status=status), KIND))
        clock.advance(1)
        await post.post_due()

    assert sink.posts == [[("kill-web", 240)], [("kill-web", 0), ("", 240)]]
