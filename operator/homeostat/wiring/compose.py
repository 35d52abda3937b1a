"""The composition root: every part is made here, once, and given what it needs."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from homeostat.engine.archive import Archive
from homeostat.engine.checks import Checks
from homeostat.engine.clock import SystemClock
from homeostat.engine.connectivity import Connectivity
from homeostat.engine.controller import Controller
from homeostat.engine.controllers.chaos import ChaosController
from homeostat.engine.controllers.freeze import FreezeController, Freezes
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.controllers.objective import ObjectiveController
from homeostat.engine.controllers.recovery import RecoveryController
from homeostat.engine.directory import Directory
from homeostat.engine.engine import Engine
from homeostat.engine.gate import PacedGate
from homeostat.engine.herald import Herald
from homeostat.engine.meters import Meters
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.alert_post import AlertPost, Sink
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objective.rules_watch import RuleObjects, RulesWatch
from homeostat.engine.objects import Key, ObjectStore
from homeostat.engine.orphans import Find, OrphanSweep
from homeostat.engine.probing import Instruments, Probing
from homeostat.engine.readings import read_checks, read_objectives
from homeostat.engine.reconcile import Reconciler
from homeostat.engine.resync import Resync, Slices
from homeostat.engine.wakes import Wakes
from homeostat.engine.world import World
from homeostat.kube.access import ApiAccess
from homeostat.kube.actuator import ApiActuator
from homeostat.kube.budget import ActionBudget
from homeostat.kube.client import ApiClient
from homeostat.kube.jobs import ApiJobs
from homeostat.kube.locks import Locks
from homeostat.kube.objects import ApiObjects
from homeostat.kube.recorder import ApiRecorder
from homeostat.kube.rules import ApiRules
from homeostat.kube.secrets import ApiSecrets
from homeostat.kube.workloads import ApiCluster
from homeostat.ports import (
    Access,
    Actuator,
    Clock,
    Cluster,
    History,
    Jobs,
    Objects,
    Prober,
    Prometheus,
    Recorder,
    Secrets,
)
from homeostat.probe.address import Guard, Network
from homeostat.probe.canary import Canary, canary_at
from homeostat.probe.network import NetworkProbes
from homeostat.probe.pool import ProberPool
from homeostat.probe.prober import Probes
from homeostat.probe.promql import PromqlProbe
from homeostat.probe.watched_file import WatchedFile
from homeostat.prometheus.client import Access as PrometheusAccess
from homeostat.prometheus.client import PrometheusClient
from homeostat.rest.desk import Desk
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.settings import Settings

SOON = 2.0  # seconds: by then a status that was just decided is written
HEARD = 5.0  # seconds until an objective that events were pushed to is looked at, however often they come
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
    canary: Canary | None = None
    alertmanager: Sink | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """All parts that run, made and joined."""

    clock: Clock
    engine: Engine
    resync: Resync
    orphans: OrphanSweep
    herald: Herald
    meters: Meters
    archive: Archive
    store: ObjectStore
    checks: Checks
    metrics: Metrics
    feeding: Feeding
    collector: Collector
    rules: RulesWatch
    ingest: Ingest
    desk: Desk
    alert_post: AlertPost | None
    is_troubled: Callable[[Key], bool]
    prepare: Callable[[], Awaitable[None]]
    """What must be there in the API server before anything is done."""

    def end_minute(self) -> None:
        """Book the minute that is over, and have those objectives looked at that it may have moved."""
        now = self.clock.now()
        self.archive.keep(*self.meters.roll(now))
        self.feeding.mark(now)
        for key in self.meters.moved():
            if not self.is_troubled(key):
                self.engine.timetable.add_now(key)

    def survey(self) -> None:
        """Have those objectives looked at of which an alert may begin or end."""
        for key in self.meters.crossed():
            self.engine.timetable.add_now(key)


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


def reach(client: ApiClient, settings: Settings, identity: str) -> Reach:
    """Make the ports that speak to the API server."""
    locks = Locks(client, settings.operator_namespace)
    per = timedelta(seconds=settings.action_budget_seconds)
    budget = ActionBudget(client, settings.operator_namespace, of=settings.action_budget, per=per)
    return Reach(
        objects=ApiObjects(client),
        cluster=ApiCluster(client, locks, budget),
        secrets=ApiSecrets(client),
        jobs=ApiJobs(client),
        actuator=ApiActuator(client, locks, budget),
        recorder=ApiRecorder(client, identity),
        budget=budget,
        rules=ApiRules(client),
        access=ApiAccess(client),
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


def canary(server: str) -> Canary | None:
    """Make the canary of our own connectivity (H8): the API server, which is never on a user's behalf."""
    parts = urlsplit(server)
    if not parts.hostname:
        return None
    return canary_at(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def wall() -> float:
    """Give epoch seconds."""
    return SystemClock().now().timestamp()


def compose(
    outside: Outside,
    settings: Settings,
    metrics: Metrics,
    gate: PacedGate,
    may_act: Callable[[], bool],
    prepare: Callable[[], Awaitable[None]],
) -> Operator:
    """Make the operator of its parts."""
    clock = outside.clock
    store, directory, wakes, checks = ObjectStore(), Directory(), Wakes(), Checks()
    meters = Meters()
    archive = Archive(outside.history, clock, metrics)
    engine = Engine(clock, store, directory, wakes, settings.workers)
    freezes = Freezes(store, outside.objects, engine.take, engine.drop)
    collector = Collector(outside.prometheus, meters, clock, engine.wake, settings.prometheus_concurrency)
    feeding = Feeding(checks, meters, collector, store, clock)
    rules = RulesWatch(outside.prometheus, outside.rules, clock, namespaces=settings.namespaces)
    objectives = ObjectiveController(feeding, meters, rules, wakes)
    controllers: dict[str, Controller] = {
        "HealthCheck": HealthController(checks, meters, clock, engine.timetable, wakes),
        "ServiceLevelObjective": objectives,
        "RecoveryPolicy": RecoveryController(outside.cluster, store, checks, freezes, wakes, archive),
        "ChaosExperiment": ChaosController(
            outside.cluster,
            store,
            checks,
            freezes,
            wakes,
            archive,
            protected=frozenset({settings.operator_namespace}),
            wake_soon=lambda key: engine.timetable.add(key, clock.monotonic() + SOON),
        ),
        "Freeze": FreezeController(store, engine.timetable.add_now),
    }
    herald = Herald(outside.recorder)
    world = World(outside.objects, outside.actuator, herald, clock, gate, metrics, may_act)
    probing = Probing(
        Instruments(
            prober=outside.prober,
            directory=directory,
            meters=meters,
            metrics=metrics,
            clock=clock,
            connectivity=Connectivity(outside.canary, clock) if outside.canary else None,
        ),
        settings.probe_concurrency,
        plan_next=engine.timetable.add,
        wake=lambda check: engine.wake(check.key),
    )
    reconciler = Reconciler(store, controllers, world, take=engine.take, drop=engine.drop)
    engine.equip(controllers, reconciler, probing)
    resync = Resync(
        outside.objects, outside.slices, store, directory,
        clock=clock, metrics=metrics, namespaces=settings.namespaces, take=engine.take, drop=engine.drop,
    )  # fmt: skip
    metrics.read_from(lambda: read_checks(checks), lambda: read_objectives(store))
    book = AlertBook(store)

    def was_pushed(key: Key) -> None:
        feeding.pushed(key)
        engine.timetable.add(key, clock.monotonic() + HEARD)

    ingest = Ingest(
        store,
        meters,
        outside.history,
        clock,
        metrics,
        end_minute=lambda: archive.keep(*meters.roll(clock.now())),
        pushed=was_pushed,
    )
    return Operator(
        clock=clock,
        engine=engine,
        resync=resync,
        orphans=OrphanSweep(outside.find_marked, outside.cluster, store, world),
        herald=herald,
        meters=meters,
        archive=archive,
        store=store,
        checks=checks,
        metrics=metrics,
        feeding=feeding,
        collector=collector,
        rules=rules,
        ingest=ingest,
        desk=desk_of(store, ingest, book, outside.access, clock),
        alert_post=AlertPost(book, outside.alertmanager, clock, metrics) if outside.alertmanager else None,
        is_troubled=objectives.is_troubled,
        prepare=prepare,
    )
