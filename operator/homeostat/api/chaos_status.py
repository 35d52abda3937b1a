"""What a ChaosExperiment's status says: the record an undo needs after a crash, and the report for humans."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from homeostat.api.meta import Duration, Model, PreciseTime, Status

MOST_TARGETS = 100
MOST_OBSERVATIONS = 20
MOST_RECOMMENDATIONS = 5
MOST_RUNS = 5
MOST_FIELDS = 64

Word = Annotated[str, Field(max_length=63)]
Sentence = Annotated[str, Field(max_length=512)]
ObjectUid = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=253)]
Replicas = Annotated[int, Field(ge=0)]


def _earlier(value: object) -> object:
    """Read the number of replicas that stood here before there were other fields."""
    return {"replicas": str(value)} if isinstance(value, int) else value


Fields = Annotated[
    dict[Annotated[str, Field(max_length=384)], Annotated[str, Field(max_length=1024)]],
    Field(max_length=MOST_FIELDS, default_factory=dict),
    BeforeValidator(_earlier),
]
"""Fields of a target by name, with their values as text: replicas, unschedulable, image/<container>,
env/<container>/<NAME>, limits/<container>/<cpu|memory>, requests/<container>/<cpu|memory>."""
Counters = Annotated[dict[Word, Replicas], Field(max_length=16, default_factory=dict)]
Spent = Annotated[dict[Name, Annotated[str, Field(max_length=16)]], Field(max_length=16, default_factory=dict)]


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
    """Deployment, StatefulSet, DaemonSet or Node."""
    name: Name
    """Name of the workload."""
    uid: ObjectUid
    """Which incarnation of it."""
    namespace: Name = ""
    """Its namespace, where that is not the experiment's."""
    ready_before: Replicas
    """How many of its pods were ready before the fault."""


class TargetRecord(Model):
    """One target, written down before it is touched."""

    kind: Word
    """Pod, Deployment, StatefulSet, DaemonSet or Node."""
    name: Name
    """Name of the target."""
    uid: ObjectUid
    """Which incarnation of it."""
    namespace: Name = ""
    """Its namespace, where that is not the experiment's."""
    phase: TargetPhase = TargetPhase.PLANNED
    """Where the target is."""
    original: Fields
    """What the fields of `to` were before the fault; one that was not there is missing here."""
    to: Fields
    """What the fault sets; empty where nothing is restored."""
    agent: Annotated[str, Field(max_length=63)] = ""
    """The ephemeral container that holds the fault."""
    mechanism: Annotated[str, Field(max_length=256)] = ""
    """What the agent makes the fault of."""
    counters: Annotated[
        dict[Annotated[str, Field(max_length=63)], Replicas], Field(max_length=16, default_factory=dict)
    ]
    """What the fault has met, in the agent's own count."""
    marker: Annotated[str, Field(max_length=4096)] = ""
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


class PlanApproval(Model):
    """A plan that awaits approval, or has it."""

    hash: Word
    """What an approval names: the value of the annotation homeostat.dev/approve."""
    since: PreciseTime
    """Since when it is asked for."""
    expires_at: PreciseTime
    """Until when it, and an approval of it, holds."""
    by: Annotated[str, Field(max_length=253)] = ""
    """Who approved it, as the API server knows them."""
    refused: Sentence = ""
    """Why the approval that was given last did not count."""


class ProofState(StrEnum):
    """How far a drill came."""

    PROVED = "Proved"  # all that was asked of it happened
    NOT_PROVED = "NotProved"
    UNKNOWN = "Unknown"  # the run ended before it could be told


class ProofRecord(Model):
    """What came of one entry of spec.proves, each time counted from the injection."""

    kind: Word
    """RecoveryPolicy or ServiceLevelObjective."""
    name: Name
    """Its name."""
    state: ProofState = ProofState.UNKNOWN
    """Whether it did what it is for."""
    detected_after: Duration | None = None
    """Until its trigger fired, or its alert."""
    acted_after: Duration | None = None
    """Until it acted; never set of an objective."""
    verified_after: Duration | None = None
    """Until its own verification said Recovered, or its alert ended."""
    message: Sentence = ""
    """What is missing."""


class Stage(Model):
    """What was measured in one part of a run."""

    passed: Annotated[int, Field(ge=0)] = 0
    """Results of the hypothesis's checks that passed."""
    failed: Annotated[int, Field(ge=0)] = 0
    """Results that failed."""
    latency: Duration | None = None
    """The 95th percentile of their latency."""
    score: Annotated[int, Field(ge=0, le=100)] | None = None
    """The lowest health score of the checks."""
    restarts: Annotated[int, Field(ge=0)] = 0
    """Restarts of containers of the targets' workloads, counted from the beginning of the run."""


class Stages(Model):
    """What was measured before, during and after the fault."""

    before: Stage | None = None
    """From the beginning of the run to the injection."""
    during: Stage | None = None
    """From the injection until the fault was off."""
    after: Stage | None = None
    """From then on."""
    restarted_before: Annotated[int, Field(ge=0)] = 0
    """Restarts that the containers of the targets' workloads had had when the fault was put on record."""


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
    proofs: Annotated[tuple[ProofRecord, ...], Field(max_length=8)] = ()
    """What came of each entry of spec.proves."""
    budget_spent: Spent
    """Share of each objective's budget that went during the run."""


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
    guard: Annotated[str, Field(max_length=253)] = ""
    """The Pod, and the Lease of the same name, that undo the fault if nobody else does; in the operator's namespace."""
    approval: PlanApproval | None = None
    """The plan that awaits approval, or has it."""
    abort: Annotated[str, Field(max_length=256)] = ""
    """The value of the annotation homeostat.dev/abort that was handled last."""
    next_run_at: PreciseTime | None = None
    """When the schedule begins the next run."""
    revert: Revert | None = None
    """How the undo goes; absent before it is wanted."""
    proofs: Annotated[tuple[ProofRecord, ...], Field(max_length=8)] = ()
    """What came of each entry of spec.proves."""
    budget_spent: Spent
    """Share of each objective's budget that went during the run, as "1.25%", by its name."""
    stages: Stages | None = None
    """What was measured before, during and after the fault."""
    timings: Timings = Timings()
    """How long things took."""
    observations: Annotated[tuple[Observation, ...], Field(max_length=MOST_OBSERVATIONS)] = ()
    """What was seen during the run, the newest 20."""
    recommendations: Annotated[tuple[Sentence, ...], Field(max_length=MOST_RECOMMENDATIONS)] = ()
    """What the run suggests to do."""
    runs: Annotated[tuple[Run, ...], Field(max_length=MOST_RUNS)] = ()
    """The runs that are over, newest first, at most five."""
