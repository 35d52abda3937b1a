"""What checks and objectives show to Prometheus, read at each scrape from what is known anyway."""

from collections.abc import Iterator

from homeostat.api.health_check import HealthState
from homeostat.api.meta import format_duration
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.track import VERDICTS
from homeostat.engine.checks import Checks
from homeostat.engine.objects import ObjectStore
from homeostat.telemetry.metrics import CheckReading, ObjectiveReading


def read_checks(checks: Checks) -> Iterator[CheckReading]:
    """Read all running checks; every verdict is there from the start, at 0 (H10)."""
    for check in checks:
        track = check.track
        results = tuple((verdict.value, count) for verdict, count in zip(VERDICTS, track.counts, strict=True))
        state = HealthState.UNKNOWN if check.is_silent else track.state
        yield CheckReading(check.ref.namespace, check.ref.name, state.value, results, track.missed)


def read_objectives(store: ObjectStore) -> Iterator[ObjectiveReading]:
    """Read all objectives as their status has them."""
    for entry in store.of_kind("ServiceLevelObjective"):
        status = entry.status()
        if not isinstance(status, ServiceLevelObjectiveStatus) or status.objective is None:
            continue
        yield ObjectiveReading(
            namespace=entry.ref.namespace,
            name=entry.ref.name,
            objective=float(status.objective) / 100,
            sli=None if status.sli is None else float(status.sli) / 100,
            budget_remaining=None if status.budget is None else float(status.budget.remaining) / 100,
            burn_rates=tuple((format_duration(burn.window), float(burn.rate)) for burn in status.burn_rates),
        )
