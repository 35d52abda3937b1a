"""ChaosExperiment: while a run is active or asked for, gathers targets, owners, limits, checks and reactions.

An experiment that is over, or waits for the budget of an objective, costs the API server nothing. Whatever is read,
is read with quorum at this moment; an answer that does not come puts the evaluation off, and the fault's own record
outlives that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from homeostat.api.chaos import ChaosExperimentSpec, TargetKind
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Run
from homeostat.api.freeze import Activity
from homeostat.api.objective_status import Hold
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.chaos import (
    ChaosSeen,
    CheckSeen,
    ReactionSeen,
    decide,
    recorded,
    significance,
    target_selector,
    watches,
)
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.cluster import DisruptionBudget, Lock, Namespace, Pod, Workload
from homeostat.core.decision import Decision, Ref
from homeostat.core.schedule import phase
from homeostat.core.significance import Significance
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.objective.holds import budget_held_by
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem
from homeostat.engine.observing import read_check
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock, Cluster, Forbidden, Rejected, StoredAttempt, Unavailable

log = structlog.get_logger("homeostat.chaos")

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
class _Read:
    """What was read from the API server; the defaults are of an experiment at rest, which needs none of it."""

    namespace: Namespace | None = None
    pods: tuple[Pod, ...] = ()
    owners: tuple[Workload, ...] = ()
    workloads: tuple[Workload, ...] = ()
    afflicted: tuple[Workload, ...] = ()
    disruption_budgets: tuple[DisruptionBudget, ...] = ()
    namespace_pods: int = 0
    locks: Mapping[str, Lock] = field(default_factory=dict)


class ChaosController:
    """The controller of ChaosExperiment.

    `protected` are namespaces that no fault may touch; `wake_soon` asks for an evaluation of another object once
    this one's status is written.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what its decisions look at
        self, cluster: Cluster, store: ObjectStore, checks: Checks, freezes: Freezes, wakes: Wakes, archive: Archive,
        protected: frozenset[str],
        wake_soon: Callable[[Key], None],
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._store = store
        self._checks = checks
        self._freezes = freezes
        self._wakes = wakes
        self._archive = archive
        self._protected = protected
        self._wake_soon = wake_soon

    def changed(self, entry: Entry, spec: ChaosExperimentSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Be woken by the checks of its hypothesis."""
        if spec is not None:
            names = watches(spec)
            self._wakes.watch(entry.key, (Key("HealthCheck", entry.ref.namespace, name) for name in names))

    def removed(self, entry: Entry) -> None:
        """Nothing to clear away: the finalizer saw to it."""

    async def decide(self, subject: Experiment, clock: Clock) -> Decision[ChaosExperimentStatus]:
        """Read what lies in the API server, then look at the checks, decide, and keep what is over as history."""
        began = clock.monotonic()
        entry, spec, status = subject.entry, subject.spec, subject.status
        is_at_rest = _is_at_rest(entry, spec, status) or (status.phase is Phase.PENDING and bool(self._held_by(entry)))
        read = _Read() if is_at_rest else await self._read(subject)
        now = clock.now()
        view_age = timedelta(seconds=clock.monotonic() - began)
        decision = decide(spec, status, replace(self._see(subject, read, clock), view_age=view_age), now)
        known = {run.number for run in status.runs}
        over = [run for run in decision.status.runs if run.number not in known]
        self._archive.keep(*(_stored(entry, run) for run in over))
        if over:
            for proof in spec.proves:
                self._wake_soon(Key("RecoveryPolicy", entry.ref.namespace, proof.recovery_policy))
        return decision

    def stand_in(self) -> ChaosExperimentSpec:
        """Give a harmless spec to undo by, when the real one cannot be read: the undo needs the status alone."""
        return STAND_IN

    def significance(self, old: ChaosExperimentStatus, new: ChaosExperimentStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _see(self, subject: Experiment, read: _Read, clock: Clock) -> ChaosSeen:
        """Put together what was read and what the checks say at this moment."""
        entry, namespace = subject.entry, subject.entry.ref.namespace
        return ChaosSeen(
            ref=entry.ref, generation=entry.generation, is_deleting=entry.is_deleting,
            has_finalizer=entry.has_finalizer, run_requested=entry.run_requested, namespace=read.namespace,
            pods=read.pods, owners=read.owners, workloads=read.workloads, afflicted=read.afflicted,
            disruption_budgets=read.disruption_budgets, namespace_pods=read.namespace_pods, cluster_pods=None,
            checks=dict(self._read_checks(subject.spec, namespace, clock)),
            choice=phase(f"{entry.ref.uid}/{entry.run_requested}", 1.0),
            freeze=self._freezes.in_force(namespace, Activity.CHAOS, clock.now()),
            budget_held_by=self._held_by(entry),
            locks=read.locks,
            recoveries=tuple(self._reactions(namespace, subject.status)),
            protected=self._protected,
            outcomes=subject.outcomes,
            problem=subject.problem,
        )  # fmt: skip

    def _held_by(self, entry: Entry) -> str:
        return budget_held_by(self._store, entry.ref.namespace, Hold.CHAOS)

    async def _read(self, subject: Experiment) -> _Read:
        """Read what is afflicted, and what limits the fault as long as none is on record.

        From the record on only the afflicted workloads must be readable: an undo waits for nothing else.
        """
        namespace, status = subject.entry.ref.namespace, subject.status
        afflicted = await self._read_workloads(recorded(namespace, status))
        if status.targets and status.phase in _ON_RECORD:
            await self._freezes.refresh_if_possible()
            return _Read(afflicted=afflicted, locks=await self._locks_if_possible(afflicted))
        await self._freezes.refresh()
        pods, workloads = await self._targets(subject.spec, namespace)
        owners = await self._owners(pods)
        return _Read(
            namespace=await self._cluster.namespace(namespace),
            pods=pods,
            owners=owners,
            workloads=workloads,
            afflicted=afflicted,
            disruption_budgets=await self._cluster.disruption_budgets(namespace),
            namespace_pods=await self._ready_pods(namespace),
            locks=await self._locks((*owners, *workloads, *afflicted)),
        )

    async def _ready_pods(self, namespace: str) -> int:
        everyone = await self._cluster.pods(namespace, "")
        return sum(pod.is_ready and not pod.is_terminating for pod in everyone)

    # --- targets ----------------------------------------------------------------------------------------

    async def _targets(self, spec: ChaosExperimentSpec, namespace: str) -> tuple[tuple[Pod, ...], tuple[Workload, ...]]:
        target = spec.target
        if target.kind is TargetKind.POD:
            return await self._cluster.pods(namespace, target_selector(spec)), ()
        if target.name is None:
            return (), await self._cluster.workloads(namespace, target.kind.value, target_selector(spec))
        found = await self._cluster.workload(namespace, target.kind.value, target.name)
        return (), () if found is None else (found,)

    async def _owners(self, pods: Iterable[Pod]) -> tuple[Workload, ...]:
        refs = dict.fromkeys(pod.owner for pod in pods if pod.owner is not None)
        return await self._read_workloads(ref for ref in refs if ref.kind in {"Deployment", "StatefulSet", "DaemonSet"})

    async def _read_workloads(self, refs: Iterable[Ref]) -> tuple[Workload, ...]:
        found = [await self._cluster.workload(ref.namespace, ref.kind, ref.name) for ref in refs]
        return tuple(workload for workload in found if workload is not None)

    async def _locks(self, workloads: Iterable[Workload]) -> dict[str, Lock]:
        refs = {workload.ref.uid: workload.ref for workload in workloads}
        found = {uid: await self._cluster.lock(ref) for uid, ref in refs.items()}
        return {uid: lock for uid, lock in found.items() if lock is not None}

    async def _locks_if_possible(self, workloads: Iterable[Workload]) -> dict[str, Lock]:
        """Read locks if the API server lets us; taking one is refused anyway while another holds it."""
        try:
            return await self._locks(workloads)
        except (Unavailable, Forbidden, Rejected) as error:
            log.warning("locks not read", error=type(error).__name__)
            return {}

    # --- what others say and do -------------------------------------------------------------------------

    def _read_checks(self, spec: ChaosExperimentSpec, namespace: str, clock: Clock) -> Iterator[tuple[str, CheckSeen]]:
        for name in watches(spec):
            reading = read_check(self._checks, namespace, name, clock)
            if reading is not None:
                yield name, CheckSeen(reading.state, reading.since, reading.observed_at, reading.stale_after)

    def _reactions(self, namespace: str, status: ChaosExperimentStatus) -> Iterator[ReactionSeen]:
        """Find what policies did to the workloads on record since the fault went on."""
        afflicted = {(one.workload.kind, one.workload.name) for one in status.targets}
        if status.injected_at is None:
            return
        for entry in self._store.of_kind("RecoveryPolicy", namespace):
            spec, policy = entry.spec(), entry.status()
            if not isinstance(spec, RecoveryPolicySpec) or not isinstance(policy, RecoveryPolicyStatus):
                continue
            if (spec.target.kind.value, spec.target.name) in afflicted:
                yield from _acts_since(entry.ref.name, policy, status.injected_at)


def _acts_since(name: str, policy: RecoveryPolicyStatus, since: datetime) -> Iterator[ReactionSeen]:
    attempt = policy.attempt
    if attempt is not None and attempt.acted_at is not None and attempt.started_at >= since:
        yield ReactionSeen(name, attempt.started_at)
    for record in policy.last:
        if record.acted_at is not None and record.started_at >= since:
            yield ReactionSeen(name, record.started_at, record.outcome.value)


def _is_at_rest(entry: Entry, spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> bool:
    """Whether the last run is over and no other is asked for."""
    is_dry_run_over = status.reason == ChaosReason.DRY_RUN and not spec.dry_run
    is_new_run_wanted = entry.run_requested not in {"", status.run} or is_dry_run_over
    return status.phase is Phase.FINISHED and not is_new_run_wanted


def _stored(entry: Entry, run: Run) -> StoredAttempt:
    ref = entry.ref
    return StoredAttempt(
        f"{ref.uid}/{run.number}", ref.uid, ref.kind, ref.namespace, ref.name, run.started_at, run.ended_at,
        run.verdict.value if run.verdict else run.reason, run.wire(),
    )  # fmt: skip
