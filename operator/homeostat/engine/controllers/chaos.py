"""ChaosExperiment: while a run is active or asked for, gathers targets, owners, limits, checks and reactions.

An experiment that is over, or waits for the budget of an objective, costs the API server nothing. Whatever is read,
is read with quorum at this moment; an answer that does not come puts the evaluation off, and the fault's own record
outlives that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.api.freeze import Activity
from homeostat.api.objective_status import Hold
from homeostat.core.chaos import (
    ChaosSeen,
    CheckSeen,
    decide,
    is_at_rest,
    significance,
    watches,
)
from homeostat.core.chaos.hypothesis.incidents import expected
from homeostat.core.decision import Decision
from homeostat.core.schedule import phase
from homeostat.core.significance import Significance
from homeostat.engine.chaos.reactions import reactions
from homeostat.engine.chaos.reading import ExperimentReader, Surroundings
from homeostat.engine.chaos.runs import RunBook
from homeostat.engine.chaos.signals import Signals
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.objective.holds import budget_held_by
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem
from homeostat.engine.observing import CheckReading, read_check
from homeostat.ports import Clock
from homeostat.side_by_side import side_by_side

STAND_IN = ChaosExperimentSpec.model_validate(
    {
        "fault": {"podKill": {}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"homeostat.dev/nothing": "nothing"}}},
        "duration": "1s",
        "recoveryTimeout": "1s",
        "hypothesis": [{"healthCheck": {"name": "nothing"}}],
    }
)
_ON_RECORD = frozenset({Phase.INJECTING, Phase.RUNNING, Phase.REVERTING, Phase.RECOVERING})
Experiment = Subject[ChaosExperimentSpec, ChaosExperimentStatus]


@dataclass(frozen=True, slots=True)
class Means:
    """What the operator has for experiments, by its settings: see `core.chaos.seen.ChaosSeen`."""

    protected: frozenset[str] = frozenset()
    agent_image: str = ""
    guards_needed: bool = True
    node_namespaces: frozenset[str] = frozenset()


class ChaosController:
    """The controller of ChaosExperiment; `wake_soon` evaluates another object once this one's status is written."""

    def __init__(  # noqa: PLR0913, PLR0917 - what its decisions look at
        self, reader: ExperimentReader, signals: Signals, store: ObjectStore, checks: Checks, freezes: Freezes,
        runs: RunBook, means: Means, wake_soon: Callable[[Key], None],
    ) -> None:  # fmt: skip
        self._reader = reader
        self._signals = signals
        self._store = store
        self._checks = checks
        self._freezes = freezes
        self._runs = runs
        self._means = means
        self._wake_soon = wake_soon
        self._watched_since: datetime | None = None

    def changed(self, entry: Entry, spec: ChaosExperimentSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Keep coming what it looks at, and have it woken by that."""
        self._runs.open(entry)
        if spec is not None:
            self._signals.open(entry.key, spec)

    def removed(self, entry: Entry) -> None:
        """Ask for nothing more; the finalizer saw to the fault."""
        self._signals.close(entry.key)
        self._runs.forget(entry)

    async def decide(self, subject: Experiment, clock: Clock) -> Decision[ChaosExperimentStatus]:
        """Read what lies in the API server, then look at the checks, decide, and keep what is over as history."""
        began = clock.monotonic()
        entry, spec, status = subject.entry, subject.spec, subject.status
        looked_at = clock.now()
        self._watched_since = self._watched_since or looked_at
        waits = status.phase is Phase.PENDING and bool(self._held_by(entry))
        rests = waits or is_at_rest(spec, status, entry.run_requested, looked_at)
        read = Surroundings() if rests else await self._read(subject)
        heard = await self._signals.seen(entry, spec, status, clock)
        now = looked_at if rests else clock.now()  # what was not due then, and not read for, is not due now
        view_age = timedelta(seconds=clock.monotonic() - began)
        seen = replace(self._see(subject, read, clock), view_age=view_age, **heard)
        decision = decide(spec, status, seen, now)
        self._keep(subject, decision.status)
        return decision

    def _keep(self, subject: Experiment, new: ChaosExperimentStatus) -> None:
        """Keep runs that are over, and have looked at what they were a drill of: its alerts are expected no more."""
        is_over = self._runs.keep(subject.entry, subject.status, new)
        for kind, name in expected(subject.spec) if is_over else ():
            self._wake_soon(Key(kind, subject.entry.ref.namespace, name))

    def stand_in(self) -> ChaosExperimentSpec:
        """Give a harmless spec to undo by, when the real one cannot be read: the undo needs the status alone."""
        return STAND_IN

    async def rehearse(self, entry: Entry, spec: ChaosExperimentSpec, clock: Clock) -> ChaosExperimentStatus:
        """Draw what a run would do if it began now, touching nothing: a dry run, by its own code path (C14)."""
        dry, blank = spec.model_copy(update={"dry_run": True}), ChaosExperimentStatus()
        subject = Subject(entry, dry, blank, None, {})
        seen = self._see(subject, await self._read(subject), clock)
        return decide(dry, blank, replace(seen, run_requested="rehearsal"), clock.now()).status

    def significance(self, old: ChaosExperimentStatus, new: ChaosExperimentStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _see(self, subject: Experiment, read: Surroundings, clock: Clock) -> ChaosSeen:
        """Put together what was read and what the checks say at this moment."""
        entry, namespace, means = subject.entry, subject.entry.ref.namespace, self._means
        return ChaosSeen(
            ref=entry.ref, generation=entry.generation, is_deleting=entry.is_deleting,
            has_finalizer=entry.has_finalizer, run_requested=entry.run_requested, namespace=read.namespace,
            pods=read.pods, owners=read.owners, workloads=read.workloads, afflicted=read.afflicted,
            disruption_budgets=read.disruption_budgets, namespace_pods=read.namespace_pods,
            cluster_pods=read.cluster_pods,
            checks=dict(self._read_checks(subject.spec, namespace, clock)),
            choice=choice_of(entry, subject.status),
            freeze=self._freezes.in_force(namespace, Activity.CHAOS, clock.now()),
            budget_held_by=self._held_by(entry),
            locks=read.locks,
            recoveries=tuple(reactions(self._store, namespace, subject.spec, subject.status)),
            protected=means.protected,
            outcomes=subject.outcomes,
            problem=subject.problem,
            victims=read.victims,
            agents=read.agents,
            guard=read.guard,
            guards_needed=means.guards_needed,
            agent_image=means.agent_image,
            peers=read.peers,
            may_touch_nodes=namespace in means.node_namespaces,
            pods_elsewhere=read.pods_elsewhere,
            watched_since=self._watched_since,
        )  # fmt: skip

    def _held_by(self, entry: Entry) -> str:
        return budget_held_by(self._store, entry.ref.namespace, Hold.CHAOS)

    async def _read(self, subject: Experiment) -> Surroundings:
        """Read what is on record, or, as long as nothing is, all that limits a fault."""
        spec, status, key = subject.spec, subject.status, subject.entry.key
        if status.targets and status.phase in _ON_RECORD:
            async with side_by_side() as reads:
                reads.start(self._freezes.refresh_if_possible())
                seen = reads.start(self._reader.during(key, spec, status))
            return seen.result()
        await self._freezes.refresh()
        return await self._reader.before(spec, status, key.namespace)

    # --- what others say and do -------------------------------------------------------------------------

    def _read_checks(self, spec: ChaosExperimentSpec, namespace: str, clock: Clock) -> Iterator[tuple[str, CheckSeen]]:
        for name in watches(spec):
            reading = read_check(self._checks, namespace, name, clock)
            if reading is not None:
                yield name, _check_of(reading)


def _check_of(reading: CheckReading) -> CheckSeen:
    return CheckSeen(
        reading.state, reading.since, reading.observed_at, reading.stale_after, reading.reason, reading.fresh_at
    )


def choice_of(entry: Entry, status: ChaosExperimentStatus) -> float:
    """Give what decides between equal targets, the same throughout a run: an approval clears the wish that began it."""
    is_under_way = status.phase not in {Phase.PENDING, Phase.FINISHED}
    return phase(f"{entry.ref.uid}/{status.run if is_under_way else entry.run_requested}", 1.0)
