"""What `homeostat explain` knows of a policy: what the operator wrote, and the rest with the rights of whoever asks.

Triggers are the operator's own knowledge and are taken from the policy's status. A read that one may not do leaves the
gates that depend on it unknown; nothing is written, and no gate is taken for passed that was not asked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from homeostat.api import chaos, freeze, health_check, objective
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import Activity, FreezeSpec
from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.api.meta import Kind
from homeostat.api.objective_status import Hold, ServiceLevelObjectiveStatus
from homeostat.api.recovery import KIND
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.api.recovery_trigger import Trigger
from homeostat.cli.reasons.explain_report import Report
from homeostat.cli.reasons.explained_policy import Policy, notes, policy_of
from homeostat.cli.reasons.operators_own import in_full, operators_own, untold
from homeostat.cli.reasons.permitted import Reach, Reads, reader_of
from homeostat.core.chaos import planned_fault
from homeostat.core.cluster import Namespace, TokenBudget, Workload
from homeostat.core.freeze import in_force
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen
from homeostat.core.recovery.explaining import explained
from homeostat.core.recovery.seen import Case, Requests
from homeostat.core.recovery.targets.selection import meant
from homeostat.core.ref import Ref
from homeostat.engine.controllers.freeze import UNREADABLE
from homeostat.engine.objects import Entry, entry_from
from homeostat.engine.recovery.reading import TargetReader

SEED = "explain"
"""No attempt is ever called so: nothing of this is written."""
STALE_AFTER = timedelta(minutes=1)
PLENTY = TokenBudget(used=0, of=1)
"""What the operator's own budget has left is on its record."""


async def report_on(reach: Reach, namespace: str, name: str, now: datetime) -> Report:
    """Read a policy and all that its gates ask for, and explain it. Raises what the ports raise, and Unreadable."""
    policy = policy_of(await reach.objects.get(KIND, namespace, name), now)
    reads = Reads()
    seen = await _seen(policy, reach, reads)
    told = explained(Case(policy.spec, policy.status, seen, now))
    own, not_known = operators_own(policy, told.answers)
    answers = tuple(own.get(answer.name, in_full(policy.status, answer)) for answer in told.answers)
    not_known |= untold(answers) | reads.not_known
    return Report(replace(told, answers=answers), not_known, tuple(notes(policy)))


# --- the world ------------------------------------------------------------------------------------------


async def _seen(policy: Policy, reach: Reach, reads: Reads) -> RecoverySeen:
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
    reader = reader_of(policy.namespace, reach, reads)
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


async def _is_terminating(policy: Policy, reach: Reach, reads: Reads) -> bool:
    reading = reach.cluster.namespace(policy.namespace)
    unread = Namespace(policy.namespace, is_terminating=False)
    found = await reads.attempt(reading, "get namespaces", ("namespace_terminating",), unread)
    return found is None or found.is_terminating


async def _freezes(reach: Reach, reads: Reads) -> list[tuple[str, FreezeSpec]]:
    found = await reads.attempt(_all(reach, freeze.KIND, ()), "list freezes", ("frozen",), [])
    specs = ((entry.ref.name, entry.spec()) for entry in found)
    return [(name, spec if isinstance(spec, FreezeSpec) else UNREADABLE) for name, spec in specs]


async def _listed(policy: Policy, reach: Reach, reads: Reads, kind: Kind, gate: str) -> list[Entry]:
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
