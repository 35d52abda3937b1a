"""ServiceLevelObjective: has what it measures counted, its rules looked after, and asks what the counts amount to."""

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.decision import Decision
from homeostat.core.objective import ObjectiveSeen, decide, significance
from homeostat.core.objective_rules import Loaded
from homeostat.core.objective_watch import watched
from homeostat.core.significance import Significance
from homeostat.engine.controller import Subject
from homeostat.engine.feeding import Feeding
from homeostat.engine.meters import Meters
from homeostat.engine.objects import Entry, Problem
from homeostat.engine.rules_watch import RulesWatch
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock

Objective = Subject[ServiceLevelObjectiveSpec, ServiceLevelObjectiveStatus]


class ObjectiveController:
    """The controller of ServiceLevelObjective."""

    def __init__(self, feeding: Feeding, meters: Meters, rules: RulesWatch, wakes: Wakes) -> None:
        self._feeding = feeding
        self._meters = meters
        self._rules = rules
        self._wakes = wakes

    def changed(self, entry: Entry, spec: ServiceLevelObjectiveSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Have counted what the spec asks for, and be woken by what it looks at; what was counted stays."""
        if spec is None:
            return
        self._wakes.watch(entry.key, self._feeding.open(entry, spec))
        self._rules.open(entry.key, entry.ref, spec)

    def removed(self, entry: Entry) -> None:
        """Forget what was counted."""
        self._feeding.close(entry.key)
        self._rules.close(entry.key)

    async def decide(self, subject: Objective, clock: Clock) -> Decision[ServiceLevelObjectiveStatus]:
        """Decide where the objective stands, and have it woken when that may have moved."""
        entry, spec = subject.entry, subject.spec
        for outcome in subject.outcomes.values():
            self._rules.acted(entry.key, outcome)
        now, rules = clock.now(), self._rules.seen(entry.key)
        survey = watched(spec, now)
        self._meters.watch(entry.key, survey)
        self._feeding.read_recorded(entry, spec, is_recorded=rules is not None and rules.loaded is Loaded.LOADED)
        seen = ObjectiveSeen(
            entry.ref,
            entry.generation,
            series=self._feeding.series(entry, spec),
            groups=self._feeding.groups(entry, spec),
            source=self._feeding.seen(entry, spec),
            rules=rules,
            outcomes=subject.outcomes,
            problem=subject.problem or self._feeding.problem(entry.key),
            is_surveyed=survey is not None and rules is None,
        )
        return decide(spec, subject.status, seen, now)

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)
