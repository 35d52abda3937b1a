"""What `homeostat explain` knows of a policy: what the operator wrote, and the rest with the rights of whoever asks.

Triggers are the operator's own knowledge and are taken from the policy's status. A read that one may not do leaves the
gates that depend on it unknown; nothing is written, and no gate is taken for passed that was not asked.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from homeostat.api import chaos, freeze, health_check, objective
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import Activity, FreezeSpec
from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.api.meta import ConditionStatus, Kind
from homeostat.api.objective_status import Hold, ServiceLevelObjectiveStatus
from homeostat.api.recovery import KIND, RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState
from homeostat.api.recovery_target import TargetKind
from homeostat.api.recovery_trigger import Trigger
from homeostat.cli.arguments import CommandError
from homeostat.cli.reasons.explain_report import NOTHING_TO_DO, Report
from homeostat.core.chaos import planned_fault
from homeostat.core.cluster import Job, Lock, Namespace, PatchEffect, Pod, Revision, TokenBudget, Workload
from homeostat.core.condition import condition
from homeostat.core.decision import Ref
from homeostat.core.freeze import in_force
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen
from homeostat.core.recovery.explaining import explained
from homeostat.core.recovery.gates.explanation import GateAnswer
from homeostat.core.recovery.limits import windows
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case, Requests
from homeostat.core.recovery.targets.selection import meant
from homeostat.engine.controllers.freeze import UNREADABLE
from homeostat.engine.objects import Entry, entry_from
from homeostat.engine.recovery.reading import TargetReader
from homeostat.ports import Cluster, Forbidden, Objects, Targets

T = TypeVar("T")

SEED = "explain"
"""No attempt is ever called so: nothing of this is written."""
STALE_AFTER = timedelta(minutes=1)
PLENTY = TokenBudget(used=0, of=1)
"""What the operator's own budget has left is on its record."""
_OF_THE_TARGET = (
    "target_unclear", "target_not_found", "not_replaced", "target_paused", "locked", "nothing_to_do", "in_flight",
    "rollout_in_progress", "too_many_unhealthy",
)  # fmt: skip
"""Gates that need the target to be read."""
FORBIDDEN = "Forbidden"
OPERATORS_OWN = {
    "stale_view": {"StaleView"},
    "storm": {"Storm"},
    "nodes_not_allowed": {"NodesNotAllowed"},
    "not_permitted": {"NotPermitted"},
    "cluster_budget_spent": {"ClusterBudgetSpent"},
}
"""Gates that ask what only the operator knows, with their reasons: its settings, its rights, its view."""


class Unreadable(CommandError):
    """The policy is of a form that this release cannot read."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The ports that are read."""

    objects: Objects
    cluster: Cluster
    targets: Targets


@dataclass(slots=True)
class _Reads:
    """Reads one thing after another, and remembers of which gates nothing is known because one may not."""

    not_known: dict[str, str] = field(default_factory=dict)

    async def attempt(self, reading: Awaitable[T], may: str, gates: Sequence[str], otherwise: T) -> T:
        """Read something; what one may not read is `otherwise`, and its gates are not known."""
        try:
            return await reading
        except Forbidden:
            self.deny(may, gates)
            return otherwise

    def deny(self, may: str, gates: Sequence[str]) -> None:
        """Take note that one may not."""
        self.not_known |= dict.fromkeys(gates, f"you may not {may}")


@dataclass(frozen=True, slots=True)
class _Permitted:
    """Targets and their locks (`ports.Targets`, `Cluster.lock`), as far as one may read them."""

    reach: Reach
    reads: _Reads

    async def lock(self, target: Ref) -> Lock | None:
        reading = self.reach.cluster.lock(target)
        return await self.reads.attempt(reading, "get leases, which locks are", ("locked",), None)

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        reading = self.reach.targets.named(namespace, kind, name)
        return await self.reads.attempt(reading, f"read {kind} {name} and its pods", _OF_THE_TARGET, None)

    async def selected(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        reading = self.reach.targets.selected(namespace, kind, selector)
        return await self.reads.attempt(reading, f"list {kind}s and pods", _OF_THE_TARGET, ())

    async def pods_on(self, node: str) -> tuple[Pod, ...]:
        reading = self.reach.targets.pods_on(node)
        return await self.reads.attempt(reading, "list pods of all namespaces", _OF_THE_TARGET, ())

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        reading = self.reach.targets.revisions(workload)
        return await self.reads.attempt(reading, "list the target's revisions", ("nothing_to_do",), ())

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        effect = await self.reach.targets.try_patch(target, strategy, body)
        if effect.refusal and effect.refusal[0] == FORBIDDEN:
            self.reads.deny(f"patch {target.kind} {target.name}, not even to try", ("nothing_to_do",))
        return effect

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        reading = self.reach.targets.fields(target, wanted)
        return await self.reads.attempt(reading, f"get {target.kind} {target.name}", ("nothing_to_do",), {})

    async def job(self, namespace: str, name: str) -> Job | None:
        return await self.reads.attempt(self.reach.targets.job(namespace, name), "get jobs", ("nothing_to_do",), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy, as it stands in the API server; `now` is when it was read."""

    entry: Entry
    spec: RecoveryPolicySpec
    status: RecoveryPolicyStatus
    now: datetime

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.entry.ref.namespace


async def report_on(reach: Reach, namespace: str, name: str, now: datetime) -> Report:
    """Read a policy and all that its gates ask for, and explain it. Raises what the ports raise, and Unreadable."""
    policy = policy_of(await reach.objects.get(KIND, namespace, name), now)
    reads = _Reads()
    seen = await _seen(policy, reach, reads)
    told = explained(Case(policy.spec, policy.status, seen, now))
    own, not_known = operators_own(policy, told.answers)
    answers = tuple(own.get(answer.name, _in_full(policy.status, answer)) for answer in told.answers)
    not_known |= _untold(answers) | reads.not_known
    return Report(replace(told, answers=answers), not_known, tuple(notes(policy)))


def policy_of(body: dict[str, Any], now: datetime) -> Policy:
    """Read the policy itself. Raises Unreadable."""
    entry = entry_from(body, KIND.kind)
    spec, status = entry.spec(), entry.readable_status()
    if not isinstance(spec, RecoveryPolicySpec):
        raise Unreadable(f"RecoveryPolicy {entry.ref.namespace}/{entry.ref.name}: its spec cannot be read: {spec}")
    if not isinstance(status, RecoveryPolicyStatus):
        raise Unreadable(f"RecoveryPolicy {entry.ref.namespace}/{entry.ref.name}: its status cannot be read: {status}")
    return Policy(entry, spec, status, now)


def notes(policy: Policy) -> Iterator[str]:
    """Say what whoever reads the report should know of the whole."""
    seen = policy.status.observed_generation
    if seen < 0:
        yield "it was never evaluated: does the operator run, and does it watch this namespace?"
    elif seen != policy.entry.generation:
        yield "its status is about an earlier spec: does the operator run?"
    problem = policy.entry.problem() or windows.problem(policy.spec.windows)
    if problem:
        yield f"it is not evaluated: {problem[0]}: {problem[1]}"


# --- the world ------------------------------------------------------------------------------------------


async def _seen(policy: Policy, reach: Reach, reads: _Reads) -> RecoverySeen:
    checks = {check.ref.name: check for check in await _listed(policy, reach, reads, health_check.KIND, "dependency")}
    objectives = await _listed(policy, reach, reads, objective.KIND, "budget_held")
    experiments = await _listed(policy, reach, reads, chaos.KIND, "expected_fault")
    seen = RecoverySeen(
        ref=policy.entry.ref,
        generation=policy.entry.generation,
        target=None,
        signals=(),
        attempt_seed=SEED,
        cluster_budget=PLENTY,
        dependencies=tuple(_dependencies(checks, (one.health_check.name for one in policy.spec.depends_on))),
        freeze=in_force(await _freezes(reach, reads), policy.namespace, Activity.RECOVERY, policy.now),
        budget_held_by=min((one.ref.name for one in objectives if _holds(one)), default=""),
        is_namespace_terminating=await _is_terminating(policy, reach, reads),
        requests=_requests(policy.entry),
    )
    reader = _reader(policy, reach, reads)
    candidates = await reader.targets(policy.spec, policy.status, policy.namespace)
    seen = replace(seen, candidates=candidates, signals=tuple(_signals(policy, candidates, checks)))
    target = meant(Case(policy.spec, policy.status, seen, policy.now)) if candidates else None
    return seen if target is None else await _with_target(seen, policy, reader, target, experiments)


async def _with_target(
    seen: RecoverySeen, policy: Policy, reader: TargetReader, target: Workload, experiments: Sequence[Entry]
) -> RecoverySeen:
    """Read what depends on which target is meant."""
    target, around = await reader.round(policy.spec, policy.status, policy.namespace, target)
    return replace(
        seen,
        target=target,
        lock=around.lock,
        others=around.others,
        locks=around.locks,
        revisions=around.revisions,
        effects=around.effects,
        fields=around.fields,
        job=around.job,
        expected_by=next((one.ref for one in experiments if _breaks(one, target.ref.uid)), None),
    )


def _reader(policy: Policy, reach: Reach, reads: _Reads) -> TargetReader:
    """Read as the operator does; whether it lets the policy touch Nodes is on its record."""
    permitted = _Permitted(reach, reads)
    return TargetReader(cast("Cluster", permitted), permitted, (policy.namespace,))  # it reads nothing but locks of it


async def _is_terminating(policy: Policy, reach: Reach, reads: _Reads) -> bool:
    reading = reach.cluster.namespace(policy.namespace)
    unread = Namespace(policy.namespace, is_terminating=False)
    found = await reads.attempt(reading, "get namespaces", ("namespace_terminating",), unread)
    return found is None or found.is_terminating


async def _freezes(reach: Reach, reads: _Reads) -> list[tuple[str, FreezeSpec]]:
    found = await reads.attempt(_all(reach, freeze.KIND, ()), "list freezes", ("frozen",), [])
    specs = ((entry.ref.name, entry.spec()) for entry in found)
    return [(name, spec if isinstance(spec, FreezeSpec) else UNREADABLE) for name, spec in specs]


async def _listed(policy: Policy, reach: Reach, reads: _Reads, kind: Kind, gate: str) -> list[Entry]:
    return await reads.attempt(_all(reach, kind, (policy.namespace,)), f"list {kind.plural}", (gate,), [])


async def _all(reach: Reach, kind: Kind, namespaces: Sequence[str]) -> list[Entry]:
    return [entry_from(body, kind.kind) async for body in reach.objects.list(kind, namespaces)]


def _requests(entry: Entry) -> Requests:
    """Read what humans ask; only a pause matters to gates, and whose name it bears is for the operator to believe."""
    asks = entry.asks
    return Requests(pause=asks.pause, by=asks.by, manager=asks.manager) if asks else Requests()


# --- triggers -------------------------------------------------------------------------------------------


def _signals(policy: Policy, targets: Sequence[Workload], checks: Mapping[str, Entry]) -> Iterator[SignalSeen]:
    """Say what each trigger says: the operator's word, with the pods that are named here and now."""
    known = {signal.trigger: signal for signal in policy.status.signals}
    for index, trigger in enumerate(policy.spec.triggers):
        check = checks.get(trigger.health_check.name) if trigger.health_check else None
        dependencies = tuple(_dependencies(checks, _depends_on(check)))
        failing = tuple(_failing(trigger, targets, check, policy.now))
        seen = _as_told(index, known.get(index), policy.now)
        yield replace(seen, failing=failing, dependencies=dependencies)


def _as_told(index: int, known: Signal | None, now: datetime) -> SignalSeen:
    if known is None or known.state is SignalState.UNKNOWN:
        return SignalSeen(index, SignalState.UNKNOWN, None, STALE_AFTER)
    if known.state is SignalState.STALE:
        return SignalSeen(index, SignalState.FIRING, now - 2 * STALE_AFTER, STALE_AFTER)
    return SignalSeen(index, known.state, now, STALE_AFTER, since=known.since)


def _failing(trigger: Trigger, targets: Sequence[Workload], check: Entry | None, now: datetime) -> Iterator[Ref]:
    pods = [pod for target in targets for pod in target.pods]
    if trigger.pods:
        yield from (pod.ref for pod in pods if pod.suffers(trigger.pods.reason.value, now))
    status = check.status() if check else None
    if isinstance(status, HealthCheckStatus):
        names = {endpoint.name for endpoint in status.failing}
        yield from (pod.ref for pod in pods if pod.ref.name in names)


def _depends_on(check: Entry | None) -> Iterator[str]:
    spec = check.spec() if check else None
    if isinstance(spec, HealthCheckSpec):
        yield from (one.name for one in spec.depends_on)


def _dependencies(checks: Mapping[str, Entry], names: Iterable[str]) -> Iterator[DependencySeen]:
    for name in names:
        status = checks[name].status() if name in checks else None
        yield DependencySeen(name, status.state if isinstance(status, HealthCheckStatus) else HealthState.UNKNOWN)


# --- others ---------------------------------------------------------------------------------------------


def _holds(entry: Entry) -> bool:
    status = entry.status()
    return isinstance(status, ServiceLevelObjectiveStatus) and Hold.RECOVERY in status.holds


def _breaks(entry: Entry, uid: str) -> bool:
    """Whether an experiment is at work on the target and wants no reaction (C12)."""
    spec, status = entry.spec(), entry.status()
    if not isinstance(spec, ChaosExperimentSpec) or not isinstance(status, ChaosExperimentStatus):
        return False
    return uid in planned_fault(spec, status)


def operators_own(policy: Policy, answers: Sequence[GateAnswer]) -> tuple[dict[str, GateAnswer], dict[str, str]]:
    """Answer the gates that only the operator can, from what it has on record; and say of which nothing is known.

    It asks them in their order up to the first refusal: what comes after that, nobody has asked.
    """
    status = policy.status
    blocked, order = status.blocked, [answer.name for answer in answers]
    refusing = status.decision.gate if blocked and status.decision and status.decision.gate in order else ""
    refused, not_known = dict[str, GateAnswer](), dict[str, str]()
    for gate in (name for name in order if name in OPERATORS_OWN and not _passes_at_rest(policy, name)):
        if blocked and blocked.reason in OPERATORS_OWN[gate]:
            refused[gate] = GateAnswer(gate, False, blocked.reason, blocked.message, blocked.until)
        elif not _is_asked(status):
            not_known[gate] = _until_asked(status, gate)
        elif refusing and order.index(gate) > order.index(refusing):
            not_known[gate] = f"only the operator knows, and it asked no further than {refusing}"
    return refused, not_known


def _in_full(status: RecoveryPolicyStatus, answer: GateAnswer) -> GateAnswer:
    """Say why there is no data as the operator says it, who asked the source."""
    blocked = status.blocked
    is_known = blocked is not None and answer.reason == blocked.reason == BlockReason.SIGNAL_MISSING
    return replace(answer, message=blocked.message) if blocked and is_known else answer


def _passes_at_rest(policy: Policy, gate: str) -> bool:
    """Whether it is known without asking: of another target than a Node, and by the condition Permitted."""
    if gate == "nodes_not_allowed":
        return policy.spec.target.kind is not TargetKind.NODE
    known = condition(policy.status.conditions, "Permitted")
    return gate == "not_permitted" and known is not None and known.status is ConditionStatus.TRUE


def _until_asked(status: RecoveryPolicyStatus, gate: str) -> str:
    known = condition(status.conditions, "Permitted")
    if gate == "not_permitted" and known is not None and known.status is ConditionStatus.FALSE:
        return known.message.rstrip(".")
    return "only the operator knows, and it asks when a trigger fires"


def _untold(answers: Sequence[GateAnswer]) -> dict[str, str]:
    """Say what a quiet trigger leaves open: that a step has nothing to do while all is well stands against nothing."""
    is_quiet = any(answer.reason == BlockReason.NOT_FIRING for answer in answers)
    idle = (answer for answer in answers if is_quiet and answer.name == NOTHING_TO_DO and not answer.passed)
    return {answer.name: f"asked once a trigger fires; now: {answer.message}" for answer in idle}


def _is_asked(status: RecoveryPolicyStatus) -> bool:
    """Whether the operator asks its gates at the moment."""
    return status.attempt is not None or any(signal.state is not SignalState.QUIET for signal in status.signals)
