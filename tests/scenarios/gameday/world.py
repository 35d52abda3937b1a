"""Experiments in memory that run by their own rules, the operator's loop around `decide`, and a hand that kills it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.chaos import ABORT, RUN, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Run, Verdict
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import DayPhase, GameDayStatus
from homeostat.api.health_check import HealthState
from homeostat.core.action import Action, AskExperiment, Outcome, Verb
from homeostat.core.cluster import FreezeInForce
from homeostat.core.decision import Decision, Event
from homeostat.core.gameday import ExperimentSeen, GameDaySeen, Rehearsal, WordSeen, decide, experiments_of
from homeostat.core.ref import Ref

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
ME = Ref("GameDay", "shop", "friday", "gameday-uid")
FREEZE = FreezeInForce("outage", ("Chaos",), "provider outage")
NAMES = ("pod-loss", "latency-spike", "dns-outage")


def a_day(*steps: dict[str, Any], **changes: Any) -> GameDaySpec:
    """Give a game day; by default of three steps with a pause of two seconds between them."""
    plain = tuple({"experiment": name, "gate": {"wait": "2s"}} for name in NAMES)
    return GameDaySpec.model_validate({"steps": steps or plain} | changes)


def an_experiment(**changes: Any) -> ChaosExperimentSpec:
    """Give a spec that begins no run by itself."""
    body: dict[str, Any] = {
        "fault": {"podKill": {}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
        "duration": "3s",
        "start": "OnRequest",
        "hypothesis": [{"healthCheck": {"name": "checkout"}}],
    }
    return ChaosExperimentSpec.model_validate(body | changes)


@dataclass
class Experiment:
    """A ChaosExperiment that takes up each new wish, runs for `lasts` seconds and ends as `verdict`."""

    name: str
    spec: ChaosExperimentSpec = field(default_factory=an_experiment)
    verdict: Verdict = Verdict.PASSED
    reason: str = "HypothesisHeld"
    lasts: int = 3
    is_slow: bool = False
    """It does not take up wishes: it waits for a budget."""
    uid: str = ""
    version: int = 1
    generation: int = 1
    is_deleting: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    status: ChaosExperimentStatus = field(default_factory=ChaosExperimentStatus)
    begun: list[str] = field(default_factory=list)
    left: int = 0

    def seen(self) -> ExperimentSeen:
        """Give it as the API server has it."""
        return ExperimentSeen(
            Ref("ChaosExperiment", "shop", self.name, self.uid or f"{self.name}-uid"), str(self.version),
            self.generation, self.spec, self.status, self.annotations.get(RUN, ""), self.annotations.get(ABORT, ""),
            self.is_deleting,
        )  # fmt: skip

    def tick(self, now: datetime, *, is_frozen: bool = False) -> None:
        """Let its own controller look at it."""
        if self.status.phase is Phase.RUNNING:
            self._run_on(now, is_frozen=is_frozen)
        elif self.annotations.get(RUN, "") not in {"", self.status.run} and not self.is_slow:
            self._begin(now)

    def _begin(self, now: datetime) -> None:
        wish = self.annotations[RUN]
        self.begun.append(wish)
        self.left = self.lasts
        self._set(
            phase=Phase.RUNNING, verdict=None, reason="FaultActive", run=wish, run_number=self.status.run_number + 1,
            abort=self.annotations.get(ABORT, ""), started_at=now,
        )  # fmt: skip

    def _run_on(self, now: datetime, *, is_frozen: bool) -> None:
        self.left -= 1
        if is_frozen:
            self.end(now, Verdict.ABORTED, "Frozen")
        elif self.annotations.get(ABORT, "") not in {"", self.status.abort}:
            self.end(now, Verdict.ABORTED, "Aborted")
        elif self.left <= 0:
            self.end(now, self.verdict, self.reason)

    def end(self, now: datetime, verdict: Verdict, reason: str) -> None:
        """End the run under way."""
        run = Run(number=self.status.run_number, started_at=now, ended_at=now, verdict=verdict, reason=reason)
        self._set(
            phase=Phase.FINISHED, verdict=verdict, reason=reason, runs=(run, *self.status.runs)[:5],
            abort=self.annotations.get(ABORT, ""), recommendations=(f"about {self.name}",),
        )  # fmt: skip

    def write(self, annotations: Iterable[tuple[str, str | None]]) -> None:
        """Change its annotations, whoever does it."""
        for name, value in annotations:
            if value is None:
                self.annotations.pop(name, None)
            else:
                self.annotations[name] = value
        self.version += 1

    def _set(self, **changes: Any) -> None:
        self.status = self.status.model_copy(update=changes)
        self.version += 1


class Killed(Exception):
    """The operator is dead."""


@dataclass
class World:
    """A game day, its experiments and the operator."""

    spec: GameDaySpec = field(default_factory=a_day)
    steps_to_live: int | None = None
    now: datetime = START
    status: GameDayStatus = field(default_factory=GameDayStatus)
    generation: int = 1
    experiments: dict[str, Experiment] = field(default_factory=lambda: {name: Experiment(name) for name in NAMES})
    has_finalizer: bool = False
    is_deleting: bool = False
    is_gone: bool = False
    run_requested: str = ""
    abort_requested: str = ""
    freeze: FreezeInForce | None = None
    checks: dict[str, HealthState] = field(default_factory=dict)
    approvals: tuple[WordSeen, ...] = ()
    rehearsals: dict[str, Rehearsal] = field(default_factory=dict)
    loses_answers: bool = False
    refuses: list[Outcome] = field(default_factory=list)
    acts: list[Action] = field(default_factory=list)
    events: tuple[Event, ...] = ()

    def seen(self, outcomes: dict[str, Outcome] | None = None) -> GameDaySeen:
        """Look at the world as the shell does."""
        names = experiments_of(self.spec, self.status)
        found = {name: self.experiments.get(name) for name in names}
        return GameDaySeen(
            ref=ME, generation=self.generation, is_deleting=self.is_deleting, has_finalizer=self.has_finalizer,
            run_requested=self.run_requested, abort_requested=self.abort_requested, freeze=self.freeze,
            experiments={name: one.seen() if one else None for name, one in found.items()},
            rehearsals=self.rehearsals, checks=self.checks, approvals=self.approvals, outcomes=outcomes or {},
        )  # fmt: skip

    def decide(self, outcomes: dict[str, Outcome] | None = None) -> Decision[GameDayStatus]:
        """Decide as of now."""
        return decide(self.spec, self.status, self.seen(outcomes), self.now)

    def run(self, seconds: int, *, until: DayPhase | None = None) -> None:
        """Let time pass; each second everybody looks once."""
        for _ in range(seconds):
            if self.status.phase is until:
                return
            self.now += timedelta(seconds=1)
            for one in self.experiments.values():
                one.tick(self.now, is_frozen=self.freeze is not None)
            self.reconcile()

    def reconcile(self) -> None:
        """Go the engine's loop once, or until the operator is killed."""
        try:
            self._reconcile()
        except Killed:
            self.steps_to_live = None

    def _reconcile(self) -> None:
        outcomes: dict[str, Outcome] = {}
        for _ in range(12):
            if self.is_gone:
                return
            decision = self.decide(outcomes)
            had_finalizer = self.has_finalizer
            self._settle(decision)
            if not decision.actions and self.has_finalizer is had_finalizer:
                return
            outcomes = self._act(decision.actions)

    def _settle(self, decision: Decision[GameDayStatus]) -> None:
        if decision.wants_finalizer is True and not self.has_finalizer:
            self._live()
            assert not self.is_deleting, "the API server adds no finalizer to what is being deleted"
            self.has_finalizer = True
        self._live()
        self.status = GameDayStatus.model_validate(decision.status.wire())
        self.events += decision.events
        if decision.wants_finalizer is False and self.has_finalizer:
            self._live()
            self.has_finalizer = False
        self.is_gone = self.is_gone or (self.is_deleting and not self.has_finalizer)

    def _act(self, actions: Iterable[Action]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for action in actions:
            self._live()
            outcomes[action.id] = self._perform(action)
            self._live()
        return outcomes

    def _live(self) -> None:
        if self.steps_to_live is None:
            return
        if self.steps_to_live == 0:
            raise Killed
        self.steps_to_live -= 1

    def _perform(self, action: Action) -> Outcome:
        assert isinstance(action, AskExperiment)
        self.acts.append(action)
        if self.refuses:
            return self.refuses.pop(0)
        found = self.experiments.get(action.experiment.name)
        if found is None or found.seen().ref != action.experiment:
            return Outcome(Verb.REFUSED, "NotFound")
        if action.resource_version != str(found.version):
            return Outcome(Verb.REFUSED, "Conflict")
        found.write(action.annotations.items())
        return Outcome(Verb.FAILED, "ApiUnavailable") if self.loses_answers else Outcome(Verb.DONE)

    # --- what came of it --------------------------------------------------------------------------------

    @property
    def begun(self) -> list[str]:
        """All runs that experiments have begun, by the wish they took up."""
        return [wish for one in self.experiments.values() for wish in one.begun]

    def verdicts(self) -> list[tuple[str, str | None, str]]:
        """Give what came of each step."""
        return [(step.name, step.verdict, step.reason) for step in self.status.steps]


def edited(experiment: Experiment, **changes: Any) -> Experiment:
    """Give an experiment with another spec."""
    return replace(experiment, spec=an_experiment(**changes))
