"""What a decision on a game day may look at: all of it is in a `Case`, nothing comes from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Plan
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import GameDayStatus, StepPhase, StepRecord
from homeostat.api.health_check import HealthState
from homeostat.core.action import Action, Outcome
from homeostat.core.cluster import FreezeInForce
from homeostat.core.decision import Event
from homeostat.core.ref import Ref

LONGEST = 1000
_OVER = frozenset({StepPhase.FINISHED, StepPhase.SKIPPED})


@dataclass(frozen=True, slots=True)
class ExperimentSeen:
    """A ChaosExperiment as the API server has it now.

    `problem`: why it can run nothing, as one sentence; then `spec` may be None. `run_requested`, `abort_requested`:
    values of its annotations, "" when absent.
    """

    ref: Ref
    resource_version: str
    generation: int
    spec: ChaosExperimentSpec | None
    status: ChaosExperimentStatus
    run_requested: str = ""
    abort_requested: str = ""
    is_deleting: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WordSeen:
    """Somebody agrees (or, with `is_no`, does not) to what that hash names; `by` is "" when nobody vouches for it."""

    hash: str
    by: str = ""
    is_no: bool = False


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an experiment would do if it ran now; `plan` is None when it would be refused."""

    plan: Plan | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GameDaySeen:
    """What is known of the world now.

    `experiments`: those of `experiments_of`, by name; None says that there is none of that name, and a name that is
    missing was not read. `checks`: states of those of `checks_of` that run. `rehearsals`: by name, for a dry run.
    `approvals`: annotations of humans on this game day. `problem`: why no day may begin, as (reason, message).
    """

    ref: Ref
    generation: int
    is_deleting: bool = False
    has_finalizer: bool = False
    run_requested: str = ""
    abort_requested: str = ""
    freeze: FreezeInForce | None = None
    experiments: Mapping[str, ExperimentSeen | None] = field(default_factory=dict)
    rehearsals: Mapping[str, Rehearsal] = field(default_factory=dict)
    checks: Mapping[str, HealthState] = field(default_factory=dict)
    approvals: tuple[WordSeen, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The game day, its memory, the world and the time: the input of every rule."""

    spec: GameDaySpec
    status: GameDayStatus
    seen: GameDaySeen
    now: datetime

    def with_status(self, **changes: object) -> "Case":
        """Give the same case with some of the day's memory changed."""
        return replace(self, status=self.status.model_copy(update=changes))

    def with_step(self, index: int, **changes: object) -> "Case":
        """Give the same case with some of what is known of a step changed."""
        steps = list(self.status.steps)
        steps[index] = steps[index].model_copy(update=changes)
        return self.with_status(steps=tuple(steps))

    def noted(self, reason: str, message: str) -> "Case":
        """Say why the phase is what it is."""
        return self.with_status(reason=reason[:63], message=message[:LONGEST])


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a decision. One that changes the memory is followed by the next one; one that acts is not."""

    status: GameDayStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wants_finalizer: bool | None = None
    check_again_at: datetime | None = None


def current(status: GameDayStatus) -> int | None:
    """Give the place of the first step that is not over; None when all are."""
    return next((place for place, step in enumerate(status.steps) if step.phase not in _OVER), None)


def same_experiment(case: Case, record: StepRecord) -> ExperimentSeen | None:
    """Give the experiment that a step was asked of, if it still is the same one."""
    found = case.seen.experiments.get(record.experiment)
    return found if found is not None and found.ref.uid == record.uid else None


def is_read(case: Case, record: StepRecord) -> bool:
    """Whether the step's experiment was looked for at all in this decision."""
    return record.experiment in case.seen.experiments
