"""The world as ports: what speaks to the API server, what probes, what asks Prometheus and calls webhooks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind
from homeostat.engine.clock import SystemClock
from homeostat.engine.objective.alert_post import Sink
from homeostat.engine.objective.rules_watch import RuleObjects
from homeostat.engine.orphans import Find, FindGuards, no_guards
from homeostat.engine.resync import Slices
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.actions.errands import ApiJobReader
from homeostat.kube.actions.revisions import ApiRevisions
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.authorization.access import ApiAccess
from homeostat.kube.authorization.admission import ApiAdmission
from homeostat.kube.authorization.rights import ApiRights
from homeostat.kube.faults.attach import ApiAgentWires
from homeostat.kube.faults.ephemeral import EphemeralAgents
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.jobs import ApiJobs
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.objects import ApiObjects
from homeostat.kube.recorder import ApiRecorder
from homeostat.kube.rules import ApiRules
from homeostat.kube.secrets import ApiSecrets
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.targets import ApiTargets
from homeostat.notify.webhook import Webhooks
from homeostat.ports import (
    UNTRACED,
    Access,
    Actuator,
    Admission,
    AgentWires,
    Caller,
    Clock,
    Cluster,
    Guards,
    History,
    Jobs,
    Objects,
    Prober,
    Prometheus,
    Recorder,
    Rights,
    Secrets,
    Targets,
    Tracer,
)
from homeostat.probe.canary import Canary, canary_at
from homeostat.probe.net.address import Guard, Network
from homeostat.probe.net.watched_file import WatchedFile
from homeostat.probe.network import NetworkProbes
from homeostat.probe.prober import Probes
from homeostat.probe.processes.pool import ProberPool
from homeostat.probe.promql import PromqlProbe
from homeostat.prometheus.client import Access as PrometheusAccess
from homeostat.prometheus.client import PrometheusClient
from homeostat.wiring.settings import Settings

EVERYWHERE: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))
SLICES = "/apis/discovery.k8s.io/v1/{}endpointslices"


@dataclass(frozen=True, slots=True)
class Outside:
    """The world, as ports: real ones in the operator, fakes in tests and benchmarks."""

    objects: Objects
    cluster: Cluster
    actuator: Actuator
    recorder: Recorder
    prober: Prober
    history: History
    clock: Clock
    slices: Slices
    find_marked: Find
    prometheus: Prometheus
    rules: RuleObjects
    access: Access
    targets: Targets
    guards: Guards
    wires: AgentWires
    admission: Admission | None = None
    rights: Rights | None = None
    find_guards: FindGuards = no_guards
    canary: Canary | None = None
    alertmanager: Sink | None = None
    kinds: Sequence[Kind] = KINDS
    """The kinds that we can see: all but Freeze, where that is not granted."""
    tracer: Tracer = UNTRACED


class ApiSlices:
    """Lists the EndpointSlices of the watched namespaces."""

    def __init__(self, client: ApiClient, namespaces: Iterable[str]) -> None:
        self._client = client
        self._parts = [f"namespaces/{name}/" for name in namespaces] or [""]

    async def __call__(self) -> list[dict[str, Any]]:
        """List them."""
        return [body for part in self._parts for body in await self._client.collect(SLICES.format(part))]


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the API server the ports are made of."""

    objects: Objects
    cluster: ApiCluster
    secrets: Secrets
    jobs: Jobs
    actuator: Actuator
    recorder: Recorder
    budget: ActionBudget
    rules: ApiRules
    access: ApiAccess
    targets: ApiTargets
    guards: ApiGuards
    wires: ApiAgentWires
    admission: ApiAdmission
    rights: ApiRights


def reach(client: ApiClient, settings: Settings, identity: str, caller: Caller | None = None) -> Reach:
    """Make the ports that speak to the API server; `caller` calls the webhooks of policies."""
    locks = Locks(client, settings.operator_namespace)
    per = timedelta(seconds=settings.action_budget_seconds)
    budget = ActionBudget(client, settings.operator_namespace, of=settings.action_budget, per=per)
    cluster = ApiCluster(client, locks, budget)
    guards = ApiGuards(client, settings.operator_namespace, settings.agent_image)
    agents = EphemeralAgents(client, settings.agent_image)
    return Reach(
        objects=ApiObjects(client),
        cluster=cluster,
        secrets=ApiSecrets(client),
        jobs=ApiJobs(client),
        actuator=ApiActuator(client, locks, budget, caller, guards, agents),
        recorder=ApiRecorder(client, identity),
        budget=budget,
        rules=ApiRules(client),
        access=ApiAccess(client),
        targets=ApiTargets(client, cluster, ApiRevisions(client), ApiJobReader(client)),
        guards=guards,
        wires=ApiAgentWires(client),
        admission=ApiAdmission(client),
        rights=ApiRights(client),
    )


def guard(settings: Settings, server: str) -> Guard:
    """Make the guard of probes: the API server itself is never probed on a user's behalf."""
    host = urlsplit(server).hostname or ""
    try:
        own: tuple[Network, ...] = (ip_network(ip_address(host)),)
    except ValueError:
        own = ()
    return Guard(settings.allow_networks, (*settings.deny_networks, *own))


def prober_on(reached: Reach, settings: Settings, server: str) -> Probes:
    """Make the prober; `server` is the URL of the API server ("" without one)."""
    return Probes(
        network_of(guard(settings, server), settings.probe_processes),
        cluster=reached.cluster,
        secrets=reached.secrets,
        jobs=reached.jobs,
        promql=prometheus(settings),
    )


def network_of(protection: Guard, processes: int) -> NetworkProbes | ProberPool:
    """Make what sends over the network: in this process, or in as many others."""
    return ProberPool(protection, processes) if processes else NetworkProbes(protection, wall)


def prometheus(settings: Settings) -> PromqlProbe:
    """Make what asks Prometheus: the administrator's own URL, which no guard stands before."""
    if not settings.prometheus_url:
        return PromqlProbe(None)
    network = NetworkProbes(Guard(allow=EVERYWHERE), wall)
    url, token_file = settings.prometheus_url, settings.prometheus_token_file
    return PromqlProbe(network.http, url, token_file=token_file, on_close=network.close)


class Queries:
    """Asks Prometheus for objectives: the administrator's past no guard, any other behind the guard of probes."""

    def __init__(self, settings: Settings, server: str) -> None:
        own, guarded = NetworkProbes(Guard(allow=EVERYWHERE), wall), NetworkProbes(guard(settings, server), wall)
        file = settings.prometheus_token_file
        token = WatchedFile(Path(file), str.strip).content if file else str
        access = PrometheusAccess(settings.prometheus_url, own.http.fetch, token)
        self._networks = own, guarded
        self.client = PrometheusClient(access, guarded.http.fetch)

    def close(self) -> None:
        """Close what was opened."""
        for network in self._networks:
            network.close()


class Calls:
    """Calls the webhooks of policies, behind the guard of probes."""

    def __init__(self, client: ApiClient, settings: Settings, server: str) -> None:
        self._network = NetworkProbes(guard(settings, server), wall)
        self.caller = Webhooks(self._network.http.run, ApiSecrets(client))

    def close(self) -> None:
        """Close what was opened."""
        self._network.close()


def canary(server: str) -> Canary | None:
    """Make the canary of our own connectivity (H8): the API server, which is never on a user's behalf."""
    parts = urlsplit(server)
    if not parts.hostname:
        return None
    return canary_at(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def wall() -> float:
    """Give epoch seconds."""
    return SystemClock().now().timestamp()
