"""What `homeostat explain` knows of an experiment: its gates, asked anew of what whoever asks may read.

Checks, objectives and who was called are read from what the operator wrote. What it alone measures, sets or may do is
not known here, and said so; nothing is written, and no gate is taken for passed that was not asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeostat.api import freeze, health_check, objective, recovery
from homeostat.api.chaos import KIND, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import Activity, FreezeSpec
from homeostat.api.health_check import HealthCheckStatus
from homeostat.api.meta import ConditionStatus, Kind
from homeostat.api.objective_status import Hold, ServiceLevelObjectiveStatus
from homeostat.cli.arguments import CommandError
from homeostat.cli.reasons.permitted import Reads
from homeostat.core.chaos.explaining import PLAN, STEADY_STATE, STOPS, Answer, Explanation, explained
from homeostat.core.chaos.hypothesis.named import queries
from homeostat.core.chaos.seen import Case, ChaosSeen, CheckSeen, ObjectiveSeen
from homeostat.core.chaos.telling.standing import AT_WORK
from homeostat.core.condition import condition
from homeostat.core.freeze import in_force
from homeostat.engine.chaos.crowd import Crowd
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.chaos.objectives import escalation_of, page_of
from homeostat.engine.chaos.reading import ExperimentReader, Surroundings
from homeostat.engine.clock import SystemClock
from homeostat.engine.controllers.chaos import choice_of
from homeostat.engine.controllers.freeze import UNREADABLE
from homeostat.engine.objects import Entry, entry_from
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.faults.attach import ApiAgentWires
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.objects import ApiObjects
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.targets import ApiTargets
from homeostat.ports import Objects

STALE_AFTER = timedelta(minutes=1)
IMAGE = "the operator's"
"""Whether the operator has an image for agents is its own to know: a missing one is not told here."""
_HOUR = timedelta(hours=1)
_OPERATORS_OWN = (
    "only the operator knows its rights, its image for agents and guards, the namespaces it protects, and those whose "
    "experiments may touch Nodes: a run asks for these, too"
)
_FROM_STATUS = "checks and objectives are as the operator last wrote them; it judges by what it measures at the moment"


class Unreadable(CommandError):
    """The experiment is of a form that this release cannot read."""


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """An explanation, of which gates it could not be made and why, and what should be known of the whole."""

    explanation: Explanation
    not_known: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Answer, ...]:
        """Give the gates that refuse, in their order."""
        return tuple(one for one in self.explanation.answers if not one.passed and one.name not in self.not_known)


async def report_on(
    client: ApiClient, operator_namespace: str, namespace: str, name: str, now: datetime
) -> ChaosReport:
    """Read an experiment and what its gates ask for, and explain it. Raises what the ports raise, and Unreadable."""
    objects = ApiObjects(client)
    entry = entry_from(await objects.get(KIND, namespace, name), KIND.kind)
    spec, status = entry.spec(), entry.readable_status()
    if not isinstance(spec, ChaosExperimentSpec):
        raise Unreadable(f"ChaosExperiment {namespace}/{name}: its spec cannot be read: {spec}")
    if not isinstance(status, ChaosExperimentStatus):
        raise Unreadable(f"ChaosExperiment {namespace}/{name}: its status cannot be read: {status}")
    reads = Reads()
    around = Surroundings()
    if status.phase not in AT_WORK:
        reading = _reader(client, operator_namespace).before(spec, status, namespace)
        may = "read its targets and what limits a fault"
        around = await reads.attempt(reading, may, ("namespace", PLAN), around)
    case = Case(spec, status, await _seen(entry, status, around, objects, reads, now), now)
    told = explained(case)
    silent = {one.name: one.silent for one in told.answers if one.silent}
    if queries(spec) and silent:
        silent = {gate: f"{says} (only the operator asks Prometheus)" for gate, says in silent.items()}
    return ChaosReport(told, reads.not_known | silent, tuple(_notes(entry, told)))


def _reader(client: ApiClient, operator_namespace: str) -> ExperimentReader:
    """Read as the operator does; agents and guards are left alone."""
    locks, clock = Locks(client, operator_namespace), SystemClock()
    cluster = ApiCluster(client, locks, ActionBudget(client, operator_namespace, of=0, per=_HOUR))
    targets = ApiTargets(client, cluster, ApiRevisions(client), ApiJobReader(client))
    links = AgentLinks(ApiAgentWires(client), clock, lambda: False, lambda _: None)
    return ExperimentReader(cluster, targets, ApiGuards(client, operator_namespace), links, Crowd(cluster, clock))


async def _seen(
    entry: Entry, status: ChaosExperimentStatus, around: Surroundings, objects: Objects, reads: Reads, now: datetime,
) -> ChaosSeen:  # fmt: skip
    where = (entry.ref.namespace,)
    checks = await _listed(objects, health_check.KIND, where, reads, (STEADY_STATE, "hypothesis"))
    watched = ("budget_held", "incident_open", STOPS, STEADY_STATE, "unexpected_alert", "hypothesis")
    objectives = await _listed(objects, objective.KIND, where, reads, watched)
    policies = await _listed(objects, recovery.KIND, where, reads, ("incident_open", "unexpected_alert"))
    freezes = await _listed(objects, freeze.KIND, (), reads, ("frozen",))
    alerts = (*map(page_of, objectives), *map(escalation_of, policies))
    return ChaosSeen(
        ref=entry.ref, generation=entry.generation, is_deleting=entry.is_deleting, has_finalizer=entry.has_finalizer,
        run_requested=entry.run_requested,
        namespace=around.namespace, pods=around.pods, owners=around.owners, workloads=around.workloads,
        afflicted=around.afflicted, disruption_budgets=around.disruption_budgets,
        namespace_pods=around.namespace_pods, cluster_pods=around.cluster_pods, locks=around.locks, peers=around.peers,
        pods_elsewhere=around.pods_elsewhere,
        checks=dict(_checks(checks, now)),
        objectives=dict(_objectives(objectives, now)),
        choice=choice_of(entry, status),
        freeze=in_force(_freezes(freezes), entry.ref.namespace, Activity.CHAOS, now),
        budget_held_by=min((one.ref.name for one in objectives if _holds(one)), default=""),
        problem=entry.problem(),
        alerts=tuple(one for one in alerts if one is not None),
        guards_needed=False, agent_image=IMAGE, may_touch_nodes=True,
        abort_requested=entry.asks.abort if entry.asks else "",
        watched_since=now,
    )  # fmt: skip


async def _listed(
    objects: Objects, kind: Kind, namespaces: tuple[str, ...], reads: Reads, gates: tuple[str, ...]
) -> list[Entry]:
    async def all_of_them() -> list[Entry]:
        return [entry_from(body, kind.kind) async for body in objects.list(kind, namespaces)]

    return await reads.attempt(all_of_them(), f"list {kind.plural}", gates, [])


def _freezes(found: list[Entry]) -> list[tuple[str, FreezeSpec]]:
    specs = ((one.ref.name, one.spec()) for one in found)
    return [(name, spec if isinstance(spec, FreezeSpec) else UNREADABLE) for name, spec in specs]


def _holds(entry: Entry) -> bool:
    status = entry.status()
    return isinstance(status, ServiceLevelObjectiveStatus) and Hold.CHAOS in status.holds


def _checks(found: list[Entry], now: datetime) -> Iterator[tuple[str, CheckSeen]]:
    for one in found:
        status = one.status()
        if isinstance(status, HealthCheckStatus):
            observed = now if status.last_probe else None
            yield one.ref.name, CheckSeen(status.state, status.since, observed, STALE_AFTER)


def _objectives(found: list[Entry], now: datetime) -> Iterator[tuple[str, ObjectiveSeen]]:
    for one in found:
        status = one.status()
        if not isinstance(status, ServiceLevelObjectiveStatus):
            continue
        data = condition(status.conditions, "DataPresent")
        is_fresh = data is not None and data.status is ConditionStatus.TRUE
        rate = next((each.rate for each in status.burn_rates if each.window == _HOUR), None)
        remaining = status.budget.remaining / 100 if status.budget else None
        yield one.ref.name, ObjectiveSeen(rate, remaining, now if is_fresh else None, STALE_AFTER)


def _notes(entry: Entry, told: Explanation) -> Iterator[str]:
    seen = told.case.status.observed_generation
    if seen < 0:
        yield "it was never evaluated: does the operator run, and does it watch this namespace?"
    elif seen != entry.generation:
        yield "its status is about an earlier spec: does the operator run?"
    yield _FROM_STATUS
    if not told.is_at_work:
        yield _OPERATORS_OWN
