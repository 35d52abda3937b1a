"""RecoveryPolicy: gathers its signals and, once one of them fires, all that acting depends on.

While all is quiet a policy costs the API server nothing, unless it looks at pods. Whatever is read, is read with
quorum at this moment: an answer that does not come is an evaluation put off, never a guess (R12).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import Activity
from homeostat.api.objective_status import Hold
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import Phase, Proof, RecoveryPolicyStatus
from homeostat.core.chaos import planned_fault
from homeostat.core.cluster import TokenBudget, Workload
from homeostat.core.decision import Decision
from homeostat.core.recovery import RecoverySeen, decide, significance
from homeostat.core.recovery.consent.by_hand import is_asked_for
from homeostat.core.recovery.drill import drill_result
from homeostat.core.recovery.seen import Case, Requests
from homeostat.core.recovery.signals import is_calm
from homeostat.core.recovery.targets.selection import chosen
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from homeostat.engine.archive import Archive
from homeostat.engine.chaos.drills import Drills
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.objective.holds import budget_held_by
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem
from homeostat.engine.recovery.attempts import AttemptBook
from homeostat.engine.recovery.decisions import DecisionBook
from homeostat.engine.recovery.reading import Surroundings, TargetReader
from homeostat.engine.recovery.requests import Consents
from homeostat.engine.recovery.signals import Signals
from homeostat.engine.recovery.standing import Standing
from homeostat.engine.wakes import Wakes
from homeostat.ports import Admission, Clock, Cluster
from homeostat.telemetry.healing import Healing

_UNREAD = TokenBudget(used=0, of=0)
_ALONE = Surroundings()
Policy = Subject[RecoveryPolicySpec, RecoveryPolicyStatus]


@dataclass(frozen=True, slots=True)
class _Read:
    """What acting depends on; the defaults are of a policy at rest, which needs none of it."""

    targets: tuple[Workload, ...] = ()
    focus: Workload | None = None
    around: Surroundings = _ALONE
    cluster_budget: TokenBudget = _UNREAD
    is_namespace_terminating: bool = False
    budget_held_by: str = ""


class RecoveryController:
    """The controller of RecoveryPolicy."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        cluster: Cluster,
        store: ObjectStore,
        signals: Signals,
        freezes: Freezes,
        wakes: Wakes,
        archive: Archive,
        *,
        targets: TargetReader,
        admission: Admission | None = None,
        standing: Standing | None = None,
        healing: Healing,
    ) -> None:
        self._standing = standing
        self._targets = targets
        self._cluster = cluster
        self._store = store
        self._drills = Drills(store)
        self._signals = signals
        self._freezes = freezes
        self._wakes = wakes
        self._consents = Consents(admission)
        self._decisions = DecisionBook(archive)
        self._attempts = AttemptBook(archive, healing)

    def changed(self, entry: Entry, spec: RecoveryPolicySpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Have what it looks at asked and kept, and be woken by that."""
        if spec is not None:
            self._signals.open(entry.key, spec)
            self._watch(entry, spec)
            if self._standing:
                self._standing.open(entry, spec)
            self._attempts.open(entry.key, spec)

    def removed(self, entry: Entry) -> None:
        """Forget it; a lock left behind ends by itself."""
        self._decisions.forget(entry.key)
        self._signals.close(entry.key)
        if self._standing:
            self._standing.close(entry.key)
        self._attempts.forget(entry.key)

    async def decide(self, subject: Policy, clock: Clock) -> Decision[RecoveryPolicyStatus]:
        """Read what lies in the API server, then look at the checks, decide, and keep what is over as history."""
        began, spec, namespace = clock.monotonic(), subject.spec, subject.entry.ref.namespace
        self._watch(subject.entry, spec)
        self._decisions.keep(subject.entry, subject.status)
        self._attempts.count(subject.entry, subject.status)
        looks_at_target = any(trigger.pods or trigger.node or trigger.rollout for trigger in spec.triggers)
        read = _Read(await self._targets.targets(spec, subject.status, namespace) if looks_at_target else ())
        requests = await self._consents.read(subject.entry.asks, clock)
        seen = self._see(subject, read, requests, clock)
        if not subject.problem and not _is_at_rest(Case(spec, subject.status, seen, clock.now())):
            read = await self._read_closely(subject, read, requests, clock)
            seen = self._see(subject, read, requests, clock)
        now = clock.now()
        standing = self._standing.seen(subject.entry, clock) if self._standing else {}
        seen = replace(seen, view_age=timedelta(seconds=clock.monotonic() - began), **standing)
        decision = decide(spec, subject.status, seen, now)
        if self._standing:
            self._standing.note(subject.entry, spec, decision.status)
        self._attempts.keep(subject.entry, subject.status, decision.status)
        return decision

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: RecoveryPolicyStatus, new: RecoveryPolicyStatus) -> Significance:
        """Say whether the difference is worth a write."""
        return significance(old, new)

    def _see(self, subject: Policy, read: _Read, requests: Requests, clock: Clock) -> RecoverySeen:
        """Put together what was read and what the checks say at this moment."""
        entry, spec = subject.entry, subject.spec
        namespace = entry.ref.namespace
        seen = RecoverySeen(
            ref=entry.ref,
            generation=entry.generation,
            target=read.focus,
            signals=self._signals.seen(spec, namespace, read.targets, clock),
            attempt_seed=token_hex(5),
            cluster_budget=read.cluster_budget,
            dependencies=self._signals.dependencies(
                namespace, (one.health_check.name for one in spec.depends_on), clock
            ),
            freeze=self._freezes.in_force(namespace, Activity.RECOVERY, clock.now()),
            budget_held_by=read.budget_held_by,
            lock=read.around.lock,
            is_namespace_terminating=read.is_namespace_terminating,
            expected_by=self._expected_by(namespace, read.focus),
            drilled_by=self._drills.of_policy(entry.ref),
            proof=self._proof(entry),
            outcomes=subject.outcomes,
            problem=subject.problem,
            candidates=read.targets if spec.target.selector else (),
            others=read.around.others,
            locks=read.around.locks,
            revisions=read.around.revisions,
            effects=read.around.effects,
            fields=read.around.fields,
            job=read.around.job,
            requests=requests,
            are_nodes_allowed=self._targets.are_nodes_allowed(namespace),
        )
        if read.focus or not read.targets:
            return seen
        return replace(seen, target=chosen(Case(spec, subject.status, seen, clock.now()), read.targets))

    async def _read_closely(self, subject: Policy, read: _Read, requests: Requests, clock: Clock) -> _Read:
        """Read all that acting depends on; freezes too, whatever the watch may have missed."""
        spec, status, name = subject.spec, subject.status, subject.entry.ref.namespace
        await self._freezes.refresh()
        namespace = await self._cluster.namespace(name)
        targets = read.targets or await self._targets.targets(spec, status, name)
        focus, around = self._see(subject, _Read(targets), requests, clock).target, _ALONE
        if focus:
            focus, around = await self._targets.round(spec, status, name, focus)
        return _Read(
            targets=targets,
            focus=focus,
            around=around,
            cluster_budget=await self._cluster.token_budget(clock.now()),
            is_namespace_terminating=namespace is None or namespace.is_terminating,
            budget_held_by=budget_held_by(self._store, name, Hold.RECOVERY),
        )

    # --- what wakes it ----------------------------------------------------------------------------------

    def _watch(self, entry: Entry, spec: RecoveryPolicySpec) -> None:
        """Be woken by what it looks at and by what that depends on, which any edit of it may change."""
        if self._store.get(entry.key) is None:
            return
        namespace = entry.ref.namespace
        needed = (Key("HealthCheck", namespace, one.health_check.name) for one in spec.depends_on)
        self._wakes.watch(entry.key, (*needed, *self._signals.looked_at(spec, namespace)))

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
        proofs = (
            drill_result(entry.ref.name, run, policy.ref.name)
            for entry, _, status in self._experiments(policy.ref.namespace)
            for run in status.runs
        )
        return max((one for one in proofs if one), key=lambda one: one.at, default=None)


def _is_at_rest(case: Case) -> bool:
    """Whether nothing fires, nothing is unknown, nothing is under way, and nobody runs a step by hand."""
    status, is_asked = case.status, is_asked_for(case.status.run, case.seen.requests)
    return is_calm(case) and status.phase is Phase.IDLE and status.attempt is None and not is_asked
