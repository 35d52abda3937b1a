"""What checks and objectives show to Prometheus, read at each scrape from what is known anyway."""

from collections.abc import Iterator
from decimal import Decimal

from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.meta import format_duration
from homeostat.api.objective_status import Alert, ServiceLevelObjectiveStatus
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.chaos.telling.standing import AT_WORK, faults_left
from homeostat.core.health.plan import Plan
from homeostat.core.health.score import service_of
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objective.holds import named_holds
from homeostat.engine.objects import ObjectStore
from homeostat.telemetry.page import (
    AlertReading,
    CheckReading,
    ExperimentReading,
    GroupReading,
    ObjectiveReading,
    PolicyReading,
)


def read_checks(checks: Checks) -> Iterator[CheckReading]:
    """Read all running checks; every verdict is there from the start, at 0 (H10)."""
    return map(_read, checks)


def _read(check: Check) -> CheckReading:
    ref, plan, track = check.ref, check.plan, check.track
    return CheckReading(
        namespace=ref.namespace,
        name=ref.name,
        type=_type_of(plan),
        service=service_of(plan.serves, ref.name),
        criticality=plan.criticality,
        state=check.state,
        counts=track.counts,
        missed=track.missed,
        passing=track.passing,
        total=track.total,
        is_flapping=track.is_flapping,
        not_after=track.not_after,
    )


def _type_of(plan: Plan) -> str:
    return plan.fixed[0].type if plan.service is None else plan.service.template.type


def read_objectives(store: ObjectStore) -> Iterator[ObjectiveReading]:
    """Read all objectives as their status has them."""
    for entry in store.of_kind("ServiceLevelObjective"):
        status = entry.status()
        if not isinstance(status, ServiceLevelObjectiveStatus) or status.objective is None:
            continue
        yield ObjectiveReading(
            namespace=entry.ref.namespace,
            name=entry.ref.name,
            objective=float(status.objective / 100),
            sli=_ratio(status.sli),
            budget_remaining=_ratio(status.budget.remaining if status.budget else None),
            burn_rates=tuple((format_duration(burn.window), float(burn.rate)) for burn in status.burn_rates),
            state=status.state,
            coverage=_ratio(status.window.coverage if status.window else None),
            good=status.good,
            bad=status.bad,
            alerts=tuple(map(_alert, status.alerts)),
            holds=tuple((hold, hold in status.holds) for hold in named_holds(entry)),
            groups=tuple(GroupReading(one.name, _ratio(one.sli), _ratio(one.remaining)) for one in status.groups),
        )


def read_policies(store: ObjectStore) -> Iterator[PolicyReading]:
    """Read the policies that want to act and do not, as their status has it (R15)."""
    for entry in store.of_kind("RecoveryPolicy"):
        if b'"blocked":' not in entry.status_json:  # most are not, and a scrape parses none of those
            continue
        status = entry.status()
        if isinstance(status, RecoveryPolicyStatus) and status.blocked:
            blocked = status.blocked
            yield PolicyReading(entry.ref.namespace, entry.ref.name, blocked.reason, blocked.since.timestamp())


def read_experiments(store: ObjectStore) -> Iterator[ExperimentReading]:
    """Read the experiments that are at work, and say where a fault is left although its undo was tried (C16)."""
    for entry in store.of_kind("ChaosExperiment"):
        if b'"injectedAt":' not in entry.status_json:
            continue
        status = entry.status()
        if isinstance(status, ChaosExperimentStatus) and status.phase in AT_WORK:
            left = faults_left(status)
            yield ExperimentReading(entry.ref.namespace, entry.ref.name, status.fault, left)


def _ratio(percent: Decimal | None) -> float | None:
    return None if percent is None else float(percent / 100)


def _alert(alert: Alert) -> AlertReading:
    long, short = ("" if window is None else format_duration(window) for window in (alert.long, alert.short))
    return AlertReading(alert.type, alert.severity, long, short, alert.group)
