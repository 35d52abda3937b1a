"""RecoveryPolicy: gathers its signals and, once one of them fires, all that acting depends on.

While all is quiet a policy costs the API server nothing, unless it looks at pods. Whatever is read, is read with
quorum at this moment: an answer that does not come is an evaluation put off, never a guess (R12).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Verdict
from homeostat.api.freeze import Activity
from homeostat.api.health_check import HealthState
from homeostat.api.objective_status import Hold
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import AttemptRecord
from homeostat.api.recovery_status import Phase, Proof, RecoveryPolicyStatus, SignalState
from homeostat.api.recovery_trigger import HealthCheckTrigger, PodsTrigger, TriggerState
from homeostat.core.chaos import planned_fault
from homeostat.core.cluster import Lock, TokenBudget, Workload
from homeostat.core.decision import Decision, Ref
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen, decide, significance, watches
from homeostat.core.significance import Significance
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.objective.holds import budget_held_by
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem
from homeostat.engine.observing import read_check
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock, Cluster, StoredAttempt

PODS_STALE_AFTER = timedelta(seconds=30)
_FIRES_AT = {
    TriggerState.UNHEALTHY: {HealthState.UNHEALTHY},
    TriggerState.DEGRADED: {HealthState.UNHEALTHY, HealthState.DEGRADED},
}
_SILENT = frozenset({HealthState.UNKNOWN, HealthState.SUSPENDED})
_UNREAD = TokenBudget(used=0, of=0)
Policy = Subject[RecoveryPolicySpec, RecoveryPolicyStatus]


@dataclass(frozen=True, slots=True)
class _Read:
    """What acting depends on; the defaults are of a policy at rest, which needs none of it."""

    target: Workload | None = None
    lock: Lock | None = None
    cluster_budget: TokenBudget = _UNREAD
    is_namespace_terminating: bool = False
    budget_held_by: str = ""


class RecoveryController:
    """The controller of RecoveryPolicy."""

    def __init__(
        self, cluster: Cluster, store: ObjectStore, checks: Checks, freezes: Freezes, wakes: Wakes, archive: Archive
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._checks = checks
        self._freezes = freezes
        self._wakes = wakes
        self._archive = archive

    def changed(self, entry: Entry, spec: RecoveryPolicySpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Be woken by the checks it looks at."""
        if spec is not None:
            self._watch(entry, spec)

    def removed(self, entry: Entry) -> None:
        """Nothing to clear away: a lock left behind ends by itself."""

    async def decide(self, subject: Policy, clock: Clock) -> Decision[RecoveryPolicyStatus]:
        """Read what lies in the API server, then look at the checks, decide, and keep what is over as history."""
        began, spec, namespace = clock.monotonic(), subject.spec, subject.entry.ref.namespace
        self._watch(subject.entry, spec)
        reads_pods = any(trigger.pods for trigger in spec.triggers)
        read = _Read(await self._target(spec, namespace) if reads_pods else None)
        if not subject.problem and not _is_at_rest(subject.status, self._see(subject, read, clock)):
            read = await self._read_closely(subject, read, clock.now())
        now = clock.now()
        view_age = timedelta(seconds=clock.monotonic() - began)
        decision = decide(spec, subject.status, replace(self._see(subject, read, clock), view_age=view_age), now)
        known = {record.id for record in subject.status.last}
        self._archive.keep(*(_stored(subject.entry, one) for one in decision.status.last if one.id not in known))
        return decision

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: RecoveryPolicyStatus, new: RecoveryPolicyStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _see(self, subject: Policy, read: _Read, clock: Clock) -> RecoverySeen:
        """Put together what was read and what the checks say at this moment."""
        entry, spec = subject.entry, subject.spec
        namespace = entry.ref.namespace
        return RecoverySeen(
            ref=entry.ref,
            generation=entry.generation,
            target=read.target,
            signals=tuple(self._signals(spec, namespace, read.target, clock)),
            attempt_seed=uuid4().hex[:10],
            cluster_budget=read.cluster_budget,
            dependencies=self._dependencies(namespace, (one.health_check.name for one in spec.depends_on), clock),
            freeze=self._freezes.in_force(namespace, Activity.RECOVERY, clock.now()),
            budget_held_by=read.budget_held_by,
            lock=read.lock,
            is_namespace_terminating=read.is_namespace_terminating,
            expected_by=self._expected_by(namespace, read.target),
            proof=self._proof(entry),
            outcomes=subject.outcomes,
            problem=subject.problem,
        )

    async def _read_closely(self, subject: Policy, read: _Read, now: datetime) -> _Read:
        """Read all that acting depends on; freezes too, whatever the watch may have missed."""
        name = subject.entry.ref.namespace
        await self._freezes.refresh()
        namespace = await self._cluster.namespace(name)
        target = read.target or await self._target(subject.spec, name)
        return _Read(
            target=target,
            lock=None if target is None else await self._cluster.lock(target.ref),
            cluster_budget=await self._cluster.token_budget(now),
            is_namespace_terminating=namespace is None or namespace.is_terminating,
            budget_held_by=budget_held_by(self._store, name, Hold.RECOVERY),
        )

    async def _target(self, spec: RecoveryPolicySpec, namespace: str) -> Workload | None:
        if spec.target.name is None:
            return None
        return await self._cluster.workload(namespace, spec.target.kind.value, spec.target.name)

    # --- signals ----------------------------------------------------------------------------------------

    def _signals(
        self, spec: RecoveryPolicySpec, namespace: str, target: Workload | None, clock: Clock
    ) -> Iterator[SignalSeen]:
        for index, trigger in enumerate(spec.triggers):
            if trigger.health_check:
                yield self._check_signal(index, trigger.health_check, namespace, clock)
            elif trigger.pods and target is not None:
                yield _pods_signal(index, trigger.pods, target, clock.now())
            else:
                yield SignalSeen(index, SignalState.UNKNOWN, None, PODS_STALE_AFTER)

    def _check_signal(self, index: int, trigger: HealthCheckTrigger, namespace: str, clock: Clock) -> SignalSeen:
        reading = read_check(self._checks, namespace, trigger.name, clock)
        if reading is None:
            return SignalSeen(index, SignalState.UNKNOWN, None, PODS_STALE_AFTER)
        verdict = SignalState.FIRING if reading.state in _FIRES_AT[trigger.state] else SignalState.QUIET
        if reading.state in _SILENT:
            verdict = SignalState.UNKNOWN
        return SignalSeen(
            index, verdict, reading.observed_at, reading.stale_after,
            since=reading.since, detail=f"HealthCheck {trigger.name} is {reading.state}", failing=reading.failing,
            dependencies=self._dependencies(namespace, self._declared(namespace, trigger), clock),
        )  # fmt: skip

    def _dependencies(self, namespace: str, names: Iterable[str], clock: Clock) -> tuple[DependencySeen, ...]:
        readings = ((name, read_check(self._checks, namespace, name, clock)) for name in names)
        return tuple(
            DependencySeen(name, reading.state, reading.observed_at)
            if reading
            else DependencySeen(name, HealthState.UNKNOWN)
            for name, reading in readings
        )

    def _declared(self, namespace: str, trigger: HealthCheckTrigger) -> tuple[str, ...]:
        """Name what the check of a trigger depends on itself (H5, R14)."""
        return self._checks.dependencies.of(Key("HealthCheck", namespace, trigger.name))

    def _watch(self, entry: Entry, spec: RecoveryPolicySpec) -> None:
        """Be woken by the checks it looks at and by what these depend on, which any edit of theirs may change."""
        if self._store.get(entry.key) is None:
            return
        namespace = entry.ref.namespace
        names = [name for _, name in watches(spec)]
        triggers = (trigger.health_check for trigger in spec.triggers if trigger.health_check)
        names += [name for trigger in triggers for name in self._declared(namespace, trigger)]
        self._wakes.watch(entry.key, (Key("HealthCheck", namespace, name) for name in names))

    # --- experiments ------------------------------------------------------------------------------------

    def _experiments(self, namespace: str) -> Iterator[tuple[Entry, ChaosExperimentSpec, ChaosExperimentStatus]]:
        for entry in self._store.of_kind("ChaosExperiment", namespace):
            spec, status = entry.spec(), entry.status()
            if isinstance(spec, ChaosExperimentSpec) and isinstance(status, ChaosExperimentStatus):
                yield entry, spec, status

    def _expected_by(self, namespace: str, target: Workload | None) -> Ref | None:
        """Find an experiment that is at work on the target and wants no reaction (C12)."""
        if target is None:
            return None
        for entry, spec, status in self._experiments(namespace):
            if target.ref.uid in planned_fault(spec, status):
                return entry.ref
        return None

    def _proof(self, policy: Entry) -> Proof | None:
        """Find the newest drill that says something of this policy: it acted in one that passed, or one failed."""
        proofs = [
            Proof(
                experiment=entry.ref.name, at=run.ended_at, verdict=str(run.verdict),
                time_to_recover=run.timings.recovered_after,
            )
            for entry, spec, status in self._experiments(policy.ref.namespace)
            if any(one.recovery_policy == policy.ref.name for one in spec.proves)
            for run in status.runs
            if run.verdict is Verdict.FAILED or policy.ref.name in run.proved
        ]  # fmt: skip
        return max(proofs, key=lambda proof: proof.at, default=None)


def _is_at_rest(status: RecoveryPolicyStatus, seen: RecoverySeen) -> bool:
    """Whether nothing fires, nothing is unknown, and nothing is under way."""
    is_quiet = all(signal.verdict is SignalState.QUIET for signal in seen.signals)
    return is_quiet and status.phase is Phase.IDLE and status.attempt is None


def _pods_signal(index: int, trigger: PodsTrigger, target: Workload, now: datetime) -> SignalSeen:
    failing = tuple(pod.ref for pod in target.pods if trigger.reason.value in pod.reasons)
    verdict = SignalState.FIRING if failing else SignalState.QUIET
    detail = f"{len(failing)} pods of {target.ref.name} are {trigger.reason.value}"
    return SignalSeen(index, verdict, now, PODS_STALE_AFTER, detail=detail, failing=failing)


def _stored(entry: Entry, record: AttemptRecord) -> StoredAttempt:
    ref = entry.ref
    return StoredAttempt(
        f"{ref.uid}/{record.id}", ref.uid, ref.kind, ref.namespace, ref.name, record.started_at, record.ended_at,
        record.outcome.value, record.wire(),
    )  # fmt: skip
