"""Which experiments expect alerts of an objective, or escalations of a policy, as their statuses have it (C13)."""

from collections.abc import Iterator

from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.chaos.telling import expecting
from homeostat.core.decision import Ref
from homeostat.core.objective.drills import Drill
from homeostat.engine.objects import ObjectStore

_HAD_FAULT = b'"injectedAt":'


class Drills:
    """Reads the experiments of a namespace; those that never had a fault on cost a look at their bytes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def of_objective(self, objective: Ref) -> tuple[Drill, ...]:
        """Give the runs that account for alerts of an objective."""
        found = self._experiments(objective.namespace)
        return tuple(
            drill for name, spec, status in found for drill in expecting.drills(name, spec, status, objective.name)
        )

    def of_policy(self, policy: Ref) -> str:
        """Name the experiment that is a drill of a policy now; "" when none is."""
        found = self._experiments(policy.namespace)
        return next((name for name, spec, status in found if expecting.is_drill_of(spec, status, policy.name)), "")

    def _experiments(self, namespace: str) -> Iterator[tuple[str, ChaosExperimentSpec, ChaosExperimentStatus]]:
        for entry in self._store.of_kind(KIND.kind, namespace):
            if _HAD_FAULT not in entry.status_json:
                continue
            spec, status = entry.spec(), entry.status()
            if isinstance(spec, ChaosExperimentSpec) and isinstance(status, ChaosExperimentStatus):
                yield entry.ref.name, spec, status
