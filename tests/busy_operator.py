"""The metrics of an operator in which a little of everything happens: no metric of ours is without a sample."""

from homeostat.api.chaos_status import Verdict
from homeostat.api.health_check import Criticality, HealthState
from homeostat.api.objective_status import AlertType, Hold, ObjectiveState, Severity
from homeostat.core.action import Verb
from homeostat.core.probing.result import Phases
from homeostat.telemetry.breaking import Experiment
from homeostat.telemetry.healing import Policy
from homeostat.telemetry.metrics import Metrics
from homeostat.telemetry.page import (
    AlertReading,
    CheckReading,
    ExperimentReading,
    GroupReading,
    ObjectiveReading,
    PolicyReading,
)

COUNTS = [0, 0, 0, 0, 0, 0]


def checks() -> list[CheckReading]:
    sick = CheckReading(
        "shop", "web", "http", "shop-front", Criticality.CRITICAL, HealthState.UNHEALTHY, COUNTS, COUNTS[0] // 9, 1, 2,
        is_flapping=True, not_after=1.9e9,
    )  # fmt: skip
    well = CheckReading("shop", "db", "tcp", "db", Criticality.MEDIUM, HealthState.HEALTHY, COUNTS, 0, 2, 2)
    return [sick, well]


def objectives() -> list[ObjectiveReading]:
    burning = ObjectiveReading(
        "shop", "web", 0.999, 0.99, -0.5, (("1h", 15.0), ("5m", 20.0)), ObjectiveState.EXHAUSTED, 0.8, 990, 10,
        (AlertReading(AlertType.BURN_RATE, Severity.PAGE, "1h", "5m", ""),),
        ((Hold.CHAOS, True), (Hold.ROLLOUTS, False)),
        (GroupReading("eu", 0.98, 0.1),),
    )  # fmt: skip
    return [burning, ObjectiveReading("shop", "new", 0.99, None, None, ())]


def move(metrics: Metrics) -> None:
    """Have a little of everything happen."""
    COUNTS[0] += 9
    COUNTS[1] += 1
    metrics.leads(is_leader=True)
    metrics.lacks([("homeostat-core", "pods", "list")])
    metrics.serves("HealthCheck", is_outdated=True)
    metrics.knows("HealthCheck", 2)
    metrics.decided("HealthCheck")
    metrics.refused("Cooldown")
    for verb in Verb:
        metrics.acted("RecoveryPolicy", "EvictPod", verb)
    metrics.put_off("HealthCheck", "Conflict")
    metrics.requested("GET", "2xx")
    metrics.probed("http", "Pass", 0.02)
    metrics.phased("http", Phases(0.001, 0.002, 0.003, 0.01, 0.004))
    metrics.started_late(0.002)
    metrics.lagged(0.001)
    move_what_it_writes(metrics)


def move_what_it_writes(metrics: Metrics) -> None:
    metrics.history_failed()
    metrics.history_dropped(3)
    metrics.history_takes(1 << 20)
    metrics.history_may_take(1 << 29)
    metrics.drifted("HealthCheck")
    metrics.served("events", "2xx")
    metrics.pushed("Accepted")
    metrics.pushed_events(7)
    metrics.alerts_posted("Taken")
    metrics.traced("Sent", 5)
    for outcome in ("Recovered", "Failed", "Escalated"):
        metrics.healing.ended(
            Policy("shop", "heal"), step="evict", cause="healthCheck web", outcome=outcome,
            seconds={"detect": 1.0, "decide": 0.1, "act": 2.0, "recover": 9.0},
        )  # fmt: skip
    metrics.breaking.ended(Experiment("shop", "pod-loss"), Verdict.PASSED, {"detect": 3.0, "recover": 8.0})


def busy_metrics() -> Metrics:
    """Make them, with a check, an objective, a policy and an experiment of each colour."""
    metrics = Metrics()
    metrics.read_from(
        checks, objectives, lambda: [PolicyReading("shop", "heal", "Cooldown", 1.7e9)],
        lambda: [ExperimentReading("shop", "pod-loss", "podKill", 1)],
    )  # fmt: skip
    move(metrics)
    return metrics
