"""What a GameDay's status says: which step it is at, what was asked of which experiment, and what came of it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.chaos_status import (
    MOST_RECOMMENDATIONS,
    Name,
    ObjectUid,
    Plan,
    PlanApproval,
    ProofRecord,
    Sentence,
    Timings,
    Verdict,
    Word,
)
from homeostat.api.meta import Model, PreciseTime, Status

MOST_STEPS = 20
MOST_DAYS = 5
MOST_ADVICE = 20

Message = Annotated[str, Field(max_length=1024)]
Wish = Annotated[str, Field(max_length=256)]
Count = Annotated[int, Field(ge=0)]


class DayPhase(StrEnum):
    """Where a game day is."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"  # of the first step, or at a gate
    RUNNING = "Running"  # a step is under way
    WAITING = "Waiting"  # at a gate, or for an experiment that is busy
    FINISHED = "Finished"


class StepPhase(StrEnum):
    """Where one step is."""

    PENDING = "Pending"
    ADMITTED = "Admitted"  # the gate before it has opened
    ASKED = "Asked"  # on record, and perhaps already asked of the experiment: its annotation knows
    RUNNING = "Running"  # the experiment has taken it up
    FINISHED = "Finished"
    SKIPPED = "Skipped"  # the day ended before it


class StepRecord(Model):
    """One step: what was asked of its experiment, written down before it is asked, and what came of it."""

    name: Word
    """Name of the step."""
    experiment: Name
    """Name of the ChaosExperiment."""
    phase: StepPhase = StepPhase.PENDING
    """Where the step is."""
    uid: ObjectUid = ""
    """Which incarnation of the experiment."""
    asked: Wish = ""
    """The value of the experiment's annotation homeostat.dev/run that asks for this step and for no other."""
    before: Wish = ""
    """The value that was there before."""
    runs_before: Count = 0
    """How many runs the experiment had begun before."""
    run_number: Count = 0
    """Which run of the experiment the step is; 0 until the experiment has taken it up."""
    started_at: PreciseTime | None = None
    """When the step began."""
    ended_at: PreciseTime | None = None
    """When it was over."""
    verdict: Verdict | None = None
    """What the run has shown."""
    reason: Word = ""
    """A CamelCase word that says why: that of the experiment, or of the game day where it never came to a run."""
    message: Message = ""
    """The same in a sentence."""
    timings: Timings = Timings()
    """How long things took."""
    proofs: Annotated[tuple[ProofRecord, ...], Field(max_length=8)] = ()
    """What came of each entry of the experiment's spec.proves."""
    recommendations: Annotated[tuple[Sentence, ...], Field(max_length=MOST_RECOMMENDATIONS)] = ()
    """What the run suggests to do."""
    plan: Plan | None = None
    """Of a dry run: what the step would do, exactly."""


class StepResult(Model):
    """What came of one step of a day that is over."""

    name: Word
    """Name of the step."""
    experiment: Name
    """Name of the ChaosExperiment."""
    run_number: Count = 0
    """Which run of the experiment it was; 0 when it came to none."""
    verdict: Verdict | None = None
    """What it has shown; absent when it was skipped."""
    reason: Word = ""
    """A CamelCase word that says why."""


class Day(Model):
    """A game day that is over."""

    number: Annotated[int, Field(ge=1)]
    """Which one it was, counted from 1."""
    started_at: PreciseTime
    """When it began."""
    ended_at: PreciseTime
    """When it was over."""
    verdict: Verdict | None = None
    """What it has shown; absent for a dry run."""
    reason: Word
    """A CamelCase word that says why."""
    steps: Annotated[tuple[StepResult, ...], Field(max_length=MOST_STEPS)] = ()
    """What came of each step."""


class GameDayStatus(Status):
    """Where the day is, what it asked for, and what it has shown."""

    phase: DayPhase = DayPhase.PENDING
    """Where the day is."""
    verdict: Verdict | None = None
    """What the day has shown, the worst of its steps; set as soon as it is certain."""
    reason: Word = ""
    """A CamelCase word that says why the phase or the verdict is what it is."""
    message: Message = ""
    """The same in a sentence."""
    run: Wish = ""
    """The value of the annotation homeostat.dev/run that was handled last."""
    abort: Wish = ""
    """The value of the annotation homeostat.dev/abort that was handled last."""
    run_number: Count = 0
    """Which day this is, counted from 1."""
    run_generation: Count = 0
    """The generation of the spec that this day is about."""
    started_at: PreciseTime | None = None
    """When the day began."""
    deadline: PreciseTime | None = None
    """When it must be over."""
    ended_at: PreciseTime | None = None
    """When it was over."""
    step: Count = 0
    """How many steps have begun."""
    progress: Word = ""
    """The same as "2/5"."""
    steps: Annotated[tuple[StepRecord, ...], Field(max_length=MOST_STEPS)] = ()
    """The steps, each on record before it is asked for."""
    waiting_since: PreciseTime | None = None
    """Since when the gate that the day stands at is asked, or the next step's experiment is waited for."""
    approval: PlanApproval | None = None
    """What awaits approval, or has it."""
    recommendations: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ADVICE)] = ()
    """What the steps suggest to do, each thing once."""
    runs: Annotated[tuple[Day, ...], Field(max_length=MOST_DAYS)] = ()
    """The days that are over, newest first, at most five."""
