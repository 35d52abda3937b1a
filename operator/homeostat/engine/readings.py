"""What checks and objectives show to Prometheus, read at each scrape from what is known anyway."""

from collections.abc import Iterator

from homeostat.api.meta import format_duration
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.plan import Plan
from homeostat.core.score import service_of
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import ObjectStore
from homeostat.telemetry.page import CheckReading, ObjectiveReading


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
            sli=None if status.sli is None else float(status.sli / 100),
            budget_remaining=None if status.budget is None else float(status.budget.remaining / 100),
            burn_rates=tuple((format_duration(burn.window), float(burn.rate)) for burn in status.burn_rates),
        )
