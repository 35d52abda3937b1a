"""Which experiments expect alerts of an objective, or escalations of a policy, as their statuses have it (C13)."""

from collections.abc import Iterator
from itertools import chain

from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.chaos.telling import expecting
from homeostat.core.objective.drills import Drill
from homeostat.core.ref import Ref
from homeostat.engine.objects import ObjectStore

_HAS_FAULT, _HAS_RUNS = b'"injectedAt":', b'"runs":[{'


class Drills:
    """Reads the experiments of a namespace; those that name something else cost a look at their bytes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def of_objective(self, objective: Ref) -> tuple[Drill, ...]:
        """Give the runs that account for alerts of an objective."""
        found = self._experiments(objective)
        return tuple(chain.from_iterable(expecting.drills(*one, objective.name) for one in found))

    def of_policy(self, policy: Ref) -> str:
        """Name the experiment that is a drill of a policy now; "" when none is."""
        found = self._experiments(policy)
        return next((name for name, spec, status in found if expecting.is_drill_of(spec, status, policy.name)), "")

    def _experiments(self, about: Ref) -> Iterator[tuple[str, ChaosExperimentSpec, ChaosExperimentStatus]]:
        name = f'"{about.name}"'.encode()
        for entry in self._store.of_kind(KIND.kind, about.namespace):
            if name not in entry.spec_json:
                continue
            if _HAS_FAULT not in entry.status_json and _HAS_RUNS not in entry.status_json:
                continue
            spec, status = entry.spec(), entry.status()
            if isinstance(spec, ChaosExperimentSpec) and isinstance(status, ChaosExperimentStatus):
                yield entry.ref.name, spec, status
