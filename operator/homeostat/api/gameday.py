"""GameDay: several ChaosExperiments in order, with gates between them, and one verdict."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.chaos import Approval, CheckHypothesis
from homeostat.api.gameday_status import MOST_STEPS, GameDayStatus
from homeostat.api.meta import Column, GoDuration, Kind, Model, ObjectName, Rule, between

StepName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class GateVerdict(StrEnum):
    """The verdicts of a step that open its gate."""

    PASSED = "Passed"
    ANY = "Any"


class OnFailure(StrEnum):
    """What becomes of the day when the gate after a step does not open."""

    STOP = "Stop"
    CONTINUE = "Continue"


class Gate(Model):
    """What must be so after a step, before the next one begins. Of the last step only the verdict counts."""

    verdict: GateVerdict = GateVerdict.PASSED
    """The verdict of the step that opens the gate: Passed, or Any."""
    wait: Annotated[GoDuration, between("0s", "12h")] = timedelta(seconds=30)
    """A pause after the step, before anything else is asked."""
    health_checks: Annotated[tuple[CheckHypothesis, ...], Field(max_length=10)] = ()
    """HealthChecks that must be in a state, by now or within `within`."""
    within: Annotated[GoDuration, between("1s", "2h")] = timedelta(minutes=5)
    """How long after the pause the health checks may take."""
    approval: Approval = Approval.NOT_REQUIRED
    """Whether a human must agree to the next step."""


class Step(Model):
    """One experiment of the day."""

    name: StepName | None = None
    """Name of the step; by default that of its experiment."""
    experiment: ObjectName
    """Name of a ChaosExperiment of the same namespace, one without a schedule."""
    gate: Gate = Gate()
    """What must be so after this step, before the next one begins."""
    on_failure: OnFailure = OnFailure.STOP
    """What becomes of the day when the gate does not open: Stop, or Continue with the next step all the same."""


class GameDaySpec(Model):
    """Which experiments, in which order, and what must be so between them."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.steps.all(one, self.steps.exists_one(other,"
            " (has(other.name) ? other.name : other.experiment) == (has(one.name) ? one.name : one.experiment)))",
            "steps: two steps have the same name; name those that share an experiment",
        ),
    )

    description: Annotated[str, Field(max_length=1024)] = ""
    """What the day is to show."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]
    """The experiments, in order."""
    approval: Approval = Approval.NOT_REQUIRED
    """Whether a human must agree before the first step."""
    timeout: Annotated[GoDuration, between("1m", "24h")] = timedelta(hours=4)
    """How long the whole day may take; then the experiment under way is aborted."""
    dry_run: bool = False
    """Only plan: what each step would do now, exactly; no experiment is asked for anything."""
    suspend: bool = False
    """Stop all: the experiment under way is aborted and the day ends as Aborted; no day begins."""


def step_name(step: Step) -> str:
    """Give what a step is called."""
    return (step.name or step.experiment)[:63]


KIND = Kind(
    kind="GameDay",
    plural="gamedays",
    singular="gameday",
    short_names=("gd",),
    spec=GameDaySpec,
    status=GameDayStatus,
    columns=(
        Column("Phase", ".status.phase", description="Where the day is"),
        Column("Step", ".status.progress", description="How many of its steps have begun"),
        Column("Verdict", ".status.verdict", description="What the day has shown"),
        Column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
        Column("Reason", ".status.reason", priority=1, description="Why"),
    ),
    description=(
        "GameDay runs ChaosExperiments of its namespace one after the other, with gates between them, "
        "and gives one verdict and one report. All that holds an experiment back holds it back here too."
    ),
)
