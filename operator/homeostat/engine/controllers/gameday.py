"""GameDay: while a day is under way, reads its experiments and what humans ask, and has the next step decided.

Whatever is read, is read with quorum at this moment: a step must neither be missed nor be taken for missing because a
watch is late. A day that is over costs the API server nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homeostat.api import chaos, recovery
from homeostat.api.chaos import ABORT, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import Activity
from homeostat.api.gameday import KIND, GameDaySpec
from homeostat.api.gameday_status import Day, DayPhase, GameDayStatus
from homeostat.api.health_check import HealthState
from homeostat.core.decision import Decision
from homeostat.core.gameday import (
    ExperimentSeen,
    GameDaySeen,
    Rehearsal,
    WordSeen,
    checks_of,
    decide,
    experiments_of,
    is_dry_run_due,
    significance,
)
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.significance import Significance
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.objects import LONGEST_NAME, LONGEST_RUN, Asks, Entry, Key, Problem, entry_from
from homeostat.engine.observing import state_of
from homeostat.engine.recovery.requests import Consents
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock, Gone, Objects, StoredAttempt, Unavailable

LONGEST_HASH = 64
STAND_IN = GameDaySpec.model_validate({"steps": [{"experiment": "nothing"}]})
GameDay = Subject[GameDaySpec, GameDayStatus]
Rehearse = Callable[[Entry, ChaosExperimentSpec, Clock], Awaitable[ChaosExperimentStatus]]
"""Draws what an experiment would do if it ran now, by the same code path as its runs."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read; the defaults are of a day at rest, which needs none of it."""

    experiments: Mapping[str, ExperimentSeen | None] = field(default_factory=dict)
    rehearsals: Mapping[str, Rehearsal] = field(default_factory=dict)
    abort: str = ""
    approvals: tuple[WordSeen, ...] = ()


class GameDayController:
    """The controller of GameDay."""

    def __init__(  # noqa: PLR0913, PLR0917 - what its decisions look at
        self, objects: Objects, checks: Checks, freezes: Freezes, wakes: Wakes, archive: Archive, rehearse: Rehearse,
        consents: Consents,
    ) -> None:  # fmt: skip
        self._objects = objects
        self._checks = checks
        self._freezes = freezes
        self._wakes = wakes
        self._archive = archive
        self._rehearse = rehearse
        self._consents = consents

    def changed(self, entry: Entry, spec: GameDaySpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Be woken by its experiments, and by the checks of its gates."""
        if spec is None:
            return
        namespace = entry.ref.namespace
        experiments = (Key(chaos.KIND.kind, namespace, step.experiment) for step in spec.steps)
        self._wakes.watch(entry.key, (*experiments, *(Key("HealthCheck", namespace, name) for name in checks_of(spec))))

    def removed(self, entry: Entry) -> None:
        """Nothing to clear away: the finalizer saw to it."""

    async def decide(self, subject: GameDay, clock: Clock) -> Decision[GameDayStatus]:
        """Read what the day asks for, decide, and keep days that are over as history."""
        entry, spec, status = subject.entry, subject.spec, subject.status
        read = _Read() if _is_at_rest(entry, spec, status) else await self._read(subject, clock)
        namespace, now = entry.ref.namespace, clock.now()
        seen = GameDaySeen(
            ref=entry.ref, generation=entry.generation, is_deleting=entry.is_deleting,
            has_finalizer=entry.has_finalizer, run_requested=entry.run_requested, abort_requested=read.abort,
            freeze=self._freezes.in_force(namespace, Activity.CHAOS, now), experiments=read.experiments,
            rehearsals=read.rehearsals, checks=self._states(spec, namespace, clock), approvals=read.approvals,
            outcomes=subject.outcomes, problem=subject.problem,
        )  # fmt: skip
        decision = decide(spec, status, seen, now)
        known = {day.number for day in status.runs}
        over = [day for day in decision.status.runs if day.number not in known]
        self._archive.keep(*(_stored(entry, day) for day in over))
        return decision

    def stand_in(self) -> GameDaySpec:
        """Give a spec to stop by, when the real one cannot be read: stopping needs the status alone."""
        return STAND_IN

    def significance(self, old: GameDayStatus, new: GameDayStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    # --- reading ----------------------------------------------------------------------------------------

    async def _read(self, subject: GameDay, clock: Clock) -> _Read:
        entry, spec, status = subject.entry, subject.spec, subject.status
        await self._freezes.refresh_if_possible()
        said = await self._annotations(entry)
        rehearsals: Mapping[str, Rehearsal] = {}
        if is_dry_run_due(spec, status, entry.run_requested) and subject.problem is None:
            names = dict.fromkeys(step.experiment for step in spec.steps)
            rehearsals = {name: await self._rehearsal(entry.ref.namespace, name, clock) for name in names}
        names_read = experiments_of(spec, status)
        return _Read(
            experiments={name: await self._experiment(entry.ref.namespace, name) for name in names_read},
            rehearsals=rehearsals,
            abort=str(said.get(ABORT, ""))[:LONGEST_RUN],
            approvals=await self._approvals(said, clock) if status.approval is not None else (),
        )

    async def _annotations(self, entry: Entry) -> Mapping[str, str]:
        try:
            body = await self._objects.get(KIND, entry.ref.namespace, entry.ref.name)
        except Gone as error:  # writing it says so, if that is so
            raise Unavailable("the game day is not there") from error
        return body["metadata"].get("annotations") or {}

    async def _experiment(self, namespace: str, name: str) -> ExperimentSeen | None:
        try:
            return _experiment_of(await self._objects.get(chaos.KIND, namespace, name))
        except Gone:
            return None

    async def _approvals(self, said: Mapping[str, str], clock: Clock) -> tuple[WordSeen, ...]:
        """Read a yes and a no; the name of whoever said it counts only where the API server vouches for it (R13)."""
        words = ((recovery.APPROVE, False), (recovery.REJECT, True))
        if not any(name in said for name, _ in words):
            return ()
        asks = Asks(by=str(said.get(recovery.BY, ""))[:LONGEST_NAME])
        by = asks.by if (await self._consents.read(asks, clock)).is_verified else ""
        return tuple(WordSeen(str(said[name])[:LONGEST_HASH], by, is_no) for name, is_no in words if name in said)

    async def _rehearsal(self, namespace: str, name: str, clock: Clock) -> Rehearsal:
        try:
            body = await self._objects.get(chaos.KIND, namespace, name)
        except Gone:
            return Rehearsal(None, "ExperimentMissing", f"There is no ChaosExperiment {name} in the namespace.")
        entry = entry_from(body, chaos.KIND.kind)
        spec, problem = entry.spec(), entry.problem()
        if not isinstance(spec, ChaosExperimentSpec) or problem is not None:
            return Rehearsal(None, "ExperimentInvalid", problem[1] if problem else str(spec))
        drawn = await self._rehearse(entry, spec, clock)
        return Rehearsal(drawn.plan, drawn.reason, drawn.message)

    def _states(self, spec: GameDaySpec, namespace: str, clock: Clock) -> dict[str, HealthState]:
        return dict(_known(self._checks, namespace, checks_of(spec), clock))


def _known(checks: Checks, namespace: str, names: Iterable[str], clock: Clock) -> Iterable[tuple[str, HealthState]]:
    for name in names:
        state = state_of(checks, namespace, name, clock.now())
        if state is not None:
            yield name, state


def _experiment_of(body: dict[str, Any]) -> ExperimentSeen:
    entry = entry_from(body, chaos.KIND.kind)
    spec, status, problem = entry.spec(), entry.readable_status(), entry.problem()
    if not isinstance(status, ChaosExperimentStatus):
        raise Unavailable(f"the status of ChaosExperiment {entry.ref.name} cannot be read")
    annotations = body["metadata"].get("annotations") or {}
    return ExperimentSeen(
        ref=entry.ref,
        resource_version=entry.resource_version,
        generation=entry.generation,
        spec=spec if isinstance(spec, ChaosExperimentSpec) else None,
        status=status,
        run_requested=entry.run_requested,
        abort_requested=str(annotations.get(ABORT, ""))[:LONGEST_RUN],
        is_deleting=entry.is_deleting,
        problem=problem[1] if problem else "",
    )


def _is_at_rest(entry: Entry, spec: GameDaySpec, status: GameDayStatus) -> bool:
    """Whether the last day is over and no other is asked for."""
    if status.phase is not DayPhase.FINISHED:
        return False
    is_dry_run_over = status.reason == DayReason.DRY_RUN and not spec.dry_run
    return entry.is_deleting or not (is_dry_run_over or entry.run_requested not in {"", status.run})


def _stored(entry: Entry, day: Day) -> StoredAttempt:
    ref = entry.ref
    return StoredAttempt(
        f"{ref.uid}/{day.number}", ref.uid, ref.kind, ref.namespace, ref.name, day.started_at, day.ended_at,
        day.verdict.value if day.verdict else day.reason, day.wire(),
    )  # fmt: skip
