"""What a ChaosExperiment's status says: the record an undo needs after a crash, and the report for humans."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Duration, Model, PreciseTime, Status

MOST_TARGETS = 100
MOST_OBSERVATIONS = 20
MOST_RECOMMENDATIONS = 5
MOST_RUNS = 5

Word = Annotated[str, Field(max_length=63)]
Sentence = Annotated[str, Field(max_length=512)]
ObjectUid = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=253)]
Replicas = Annotated[int, Field(ge=0)]


class Phase(StrEnum):
    """Where a run is."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    CHECKING_STEADY_STATE = "CheckingSteadyState"
    INJECTING = "Injecting"
    RUNNING = "Running"
    REVERTING = "Reverting"
    RECOVERING = "Recovering"
    FINISHED = "Finished"


class Verdict(StrEnum):
    """What a run has shown (C15)."""

    PASSED = "Passed"  # the hypothesis held, or came back in time, and so did the targets
    FAILED = "Failed"  # it did not; or there was nothing to break; or the undo failed
    ABORTED = "Aborted"  # something stopped the run, or refused it
    INCONCLUSIVE = "Inconclusive"  # there was no data, or too little


class TargetPhase(StrEnum):
    """Where one target is."""

    PLANNED = "Planned"  # on record, and perhaps already hit: the cluster knows
    INJECTED = "Injected"
    REVERTED = "Reverted"  # the fault is off
    SUPERSEDED = "Superseded"  # another writer changed it meanwhile: that newer value was kept
    GONE = "Gone"  # the object is no longer there
    RECOVERED = "Recovered"


class WorkloadRecord(Model):
    """The workload that a target is, or that a target pod belongs to."""

    kind: Word
    """Deployment, StatefulSet or DaemonSet."""
    name: Name
    """Name of the workload."""
    uid: ObjectUid
    """Which incarnation of it."""
    ready_before: Replicas
    """How many of its pods were ready before the fault."""


class TargetRecord(Model):
    """One target, written down before it is touched."""

    kind: Word
    """Pod, Deployment or StatefulSet."""
    name: Name
    """Name of the target."""
    uid: ObjectUid
    """Which incarnation of it."""
    phase: TargetPhase = TargetPhase.PLANNED
    """Where the target is."""
    original: Replicas | None = None
    """Its replicas before the fault; absent where nothing is restored."""
    to: Replicas | None = None
    """Its replicas while the fault lasts."""
    marker: Annotated[str, Field(max_length=256)] = ""
    """The value of the annotation homeostat.dev/chaos on the target while the fault lasts."""
    workload: WorkloadRecord
    """The workload that the target is or belongs to; it is what gets locked and must recover."""


class Plan(Model):
    """What a run does, exactly; a dry run ends with it."""

    targets: Annotated[tuple[Sentence, ...], Field(max_length=MOST_TARGETS)] = ()
    """The targets, as Kind/name."""
    changes: Annotated[tuple[Sentence, ...], Field(max_length=MOST_TARGETS)] = ()
    """What is done to them."""
    undo: Annotated[tuple[Sentence, ...], Field(max_length=MOST_TARGETS)] = ()
    """How it is undone."""


class Timings(Model):
    """How long things took. All but revertedAfter count from the injection."""

    detected_after: Duration | None = None
    """Until a HealthCheck of the hypothesis was Degraded or Unhealthy."""
    acted_after: Duration | None = None
    """Until a RecoveryPolicy acted on a target."""
    recovered_after: Duration | None = None
    """Until the targets were back and the hypothesis held again."""
    reverted_after: Duration | None = None
    """How long the undo took; absent where there was nothing to undo."""


class Observation(Model):
    """Something that was seen during a run."""

    at: PreciseTime
    """When it was seen."""
    what: Sentence
    """What was seen."""


class Revert(Model):
    """How the undo goes."""

    started_at: PreciseTime
    """When it was first wanted."""
    attempts: Annotated[int, Field(ge=0)] = 0
    """How many attempts have failed."""
    next_at: PreciseTime | None = None
    """Not tried again before this."""
    done_at: PreciseTime | None = None
    """When nothing of the fault was left."""


class Run(Model):
    """A run that is over."""

    number: Annotated[int, Field(ge=1)]
    """Which run it was, counted from 1."""
    started_at: PreciseTime
    """When it began."""
    ended_at: PreciseTime
    """When it was over."""
    verdict: Verdict | None = None
    """What it showed; absent for a dry run."""
    reason: Word
    """A CamelCase word that says why."""
    timings: Timings = Timings()
    """How long things took."""
    proved: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    """The RecoveryPolicies of spec.proves that acted, when the run passed."""


class ChaosExperimentStatus(Status):
    """Where the experiment is, what it holds, and what it has shown."""

    fault: Word = ""
    """The member of spec.fault that is set."""
    target: Annotated[str, Field(max_length=512)] = ""
    """What is targeted, in short."""
    phase: Phase = Phase.PENDING
    """Where the run is."""
    verdict: Verdict | None = None
    """What the run has shown; set as soon as it is certain."""
    reason: Word = ""
    """A CamelCase word that says why the phase or the verdict is what it is."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """The same in a sentence; after a failed undo, the commands that undo it by hand."""
    run: Annotated[str, Field(max_length=256)] = ""
    """The value of the annotation homeostat.dev/run that was handled last."""
    run_number: Annotated[int, Field(ge=0)] = 0
    """Which run this is, counted from 1."""
    run_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this run is about."""
    started_at: PreciseTime | None = None
    """When the run began."""
    steady_since: PreciseTime | None = None
    """Since when the hypothesis held before the fault."""
    injected_at: PreciseTime | None = None
    """When the fault went on: written just before it did."""
    revert_at: PreciseTime | None = None
    """When the fault must be off."""
    injection_attempts: Annotated[int, Field(ge=0)] = 0
    """How often the injection met a target that had just changed."""
    ended_at: PreciseTime | None = None
    """When the run was over."""
    plan: Plan | None = None
    """What the run does, exactly."""
    targets: Annotated[tuple[TargetRecord, ...], Field(max_length=MOST_TARGETS)] = ()
    """The targets with what is needed to restore them, written before they are touched."""
    revert: Revert | None = None
    """How the undo goes; absent before it is wanted."""
    timings: Timings = Timings()
    """How long things took."""
    observations: Annotated[tuple[Observation, ...], Field(max_length=MOST_OBSERVATIONS)] = ()
    """What was seen during the run, the newest 20."""
    recommendations: Annotated[tuple[Sentence, ...], Field(max_length=MOST_RECOMMENDATIONS)] = ()
    """What the run suggests to do."""
    runs: Annotated[tuple[Run, ...], Field(max_length=MOST_RUNS)] = ()
    """The runs that are over, newest first, at most five."""
