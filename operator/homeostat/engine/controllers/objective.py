"""ServiceLevelObjective: has what it measures counted, its rules looked after, and asks what the counts amount to."""

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.decision import Decision
from homeostat.core.objective.evaluation import ObjectiveSeen, decide, significance
from homeostat.core.objective.watch import WELL, is_troubled, look_again_in, watched
from homeostat.core.rules.installation import Loaded
from homeostat.core.significance import Significance
from homeostat.engine.chaos.drills import Drills
from homeostat.engine.controller import Subject
from homeostat.engine.meters import Meters
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objective.rules_watch import RulesWatch
from homeostat.engine.objects import Entry, Key, Problem
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock

Objective = Subject[ServiceLevelObjectiveSpec, ServiceLevelObjectiveStatus]


class ObjectiveController:
    """The controller of ServiceLevelObjective."""

    def __init__(self, feeding: Feeding, meters: Meters, rules: RulesWatch, wakes: Wakes, drills: Drills) -> None:
        self._feeding = feeding
        self._meters = meters
        self._rules = rules
        self._wakes = wakes
        self._drills = drills
        self._known: set[Key] = set()
        self._troubled: set[Key] = set()

    def changed(self, entry: Entry, spec: ServiceLevelObjectiveSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Have counted what the spec asks for, and be woken by what it looks at; what was counted stays."""
        if spec is None:
            return
        self._known.add(entry.key)
        self._wakes.watch(entry.key, self._feeding.open(entry, spec))
        self._rules.open(entry.key, entry.ref, spec)

    def removed(self, entry: Entry) -> None:
        """Forget what was counted."""
        self._feeding.close(entry.key)
        self._rules.close(entry.key)
        self._known.discard(entry.key)
        self._troubled.discard(entry.key)

    def is_troubled(self, key: Key) -> bool:
        """Whether an objective had bad events lately: it is looked at again soon, whatever moves."""
        return key in self._troubled

    async def decide(self, subject: Objective, clock: Clock) -> Decision[ServiceLevelObjectiveStatus]:
        """Decide where the objective stands, and have it woken when that may have moved."""
        entry, spec = subject.entry, subject.spec
        for outcome in subject.outcomes.values():
            self._rules.acted(entry.key, outcome)
        now, rules = clock.now(), self._rules.seen(entry.key)
        self._feeding.read_recorded(entry, spec, is_recorded=rules is not None and rules.loaded is Loaded.LOADED)
        problem = subject.problem or self._feeding.problem(entry.key)
        is_counted = problem is None  # the members of a composite may lead back to it: there is no way down then
        source = self._feeding.seen(entry, spec) if is_counted else None
        survey = watched(spec, now, source.interval) if source else watched(spec, now)
        self._meters.watch(entry.key, survey)
        seen = ObjectiveSeen(
            entry.ref,
            entry.generation,
            series=self._feeding.series(entry, spec) if is_counted else None,
            groups=self._feeding.groups(entry, spec) if is_counted else {},
            source=source,
            rules=rules,
            outcomes=subject.outcomes,
            problem=problem,
            is_surveyed=survey is not None and rules is None,
            trouble_again_in=look_again_in(len(self._troubled)),
            well_again_in=look_again_in(len(self._known), WELL),
            drills=self._drills.of_objective(entry.ref),
        )
        decision = decide(spec, subject.status, seen, now)
        (self._troubled.add if is_troubled(decision.status) else self._troubled.discard)(entry.key)
        return decision

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)
