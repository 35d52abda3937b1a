"""ServiceLevelObjective: has its check's runs counted, and asks what they amount to."""

from datetime import timedelta

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import Good, HealthCheckIndicator
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.decision import Decision
from homeostat.core.objective import CheckSeen, ObjectiveSeen, decide, significance, windows
from homeostat.core.significance import Significance
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.meters import Meters
from homeostat.engine.objects import Entry, Key, Problem
from homeostat.engine.observing import read_check
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock

Objective = Subject[ServiceLevelObjectiveSpec, ServiceLevelObjectiveStatus]


class ObjectiveController:
    """The controller of ServiceLevelObjective."""

    def __init__(self, checks: Checks, meters: Meters, wakes: Wakes) -> None:
        self._checks = checks
        self._meters = meters
        self._wakes = wakes

    def changed(self, entry: Entry, spec: ServiceLevelObjectiveSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Have the check's runs counted, and be woken by it. What was counted stays through edits."""
        indicator = spec.indicator.health_check if spec else None
        if indicator is None:
            return
        check = Key("HealthCheck", entry.ref.namespace, indicator.name)
        self._wakes.watch(entry.key, [check])
        self._meters.open_objective(entry.key, entry.ref.uid, check, _limit(indicator))

    def removed(self, entry: Entry) -> None:
        """Forget what was counted."""
        self._meters.close_objective(entry.key)

    async def decide(self, subject: Objective, clock: Clock) -> Decision[ServiceLevelObjectiveStatus]:
        """Decide where the objective stands."""
        entry, spec = subject.entry, subject.spec
        seen = ObjectiveSeen(
            entry.ref,
            entry.generation,
            counts=self._meters.counts(entry.key, windows(spec)),
            check=self._check(entry, spec, clock),
            problem=subject.problem,
        )
        return decide(spec, subject.status, seen, clock.now())

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _check(self, entry: Entry, spec: ServiceLevelObjectiveSpec, clock: Clock) -> CheckSeen | None:
        indicator = spec.indicator.health_check
        reading = read_check(self._checks, entry.ref.namespace, indicator.name, clock) if indicator else None
        return None if reading is None else CheckSeen(reading.interval, reading.fresh_at, reading.stale_after)


def _limit(indicator: HealthCheckIndicator) -> float | None:
    """Give the latency (s) within which a pass is good; None where every pass is."""
    if indicator.good is not Good.FASTER_THAN or indicator.threshold is None:
        return None
    limit: timedelta = indicator.threshold
    return limit.total_seconds()
