"""The composition root: every part is made here, once, and given what it needs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from homeostat.api.freeze import KIND as FREEZE
from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind
from homeostat.core.rights import Scope
from homeostat.engine.archive import Archive
from homeostat.engine.chaos.acting import Hands
from homeostat.engine.chaos.crowd import Crowd
from homeostat.engine.chaos.drills import Drills
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.chaos.reading import ExperimentReader
from homeostat.engine.chaos.runs import RunBook
from homeostat.engine.chaos.signals import Signals as ChaosSignals
from homeostat.engine.checks import Checks
from homeostat.engine.connectivity import Connectivity
from homeostat.engine.controller import Controller
from homeostat.engine.controllers.chaos import ChaosController, Means
from homeostat.engine.controllers.freeze import FreezeController, Freezes
from homeostat.engine.controllers.gameday import GameDayController
from homeostat.engine.controllers.health import HealthController
from homeostat.engine.controllers.objective import ObjectiveController
from homeostat.engine.controllers.recovery import RecoveryController
from homeostat.engine.directory import Directory
from homeostat.engine.engine import Engine
from homeostat.engine.gate import PacedGate
from homeostat.engine.herald import Herald
from homeostat.engine.meters import Meters
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.engine.objective.alert_post import AlertPost
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.desk import desk_of
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objective.ingest import Ingest
from homeostat.engine.objective.rules_watch import RulesWatch
from homeostat.engine.objects import Key, ObjectStore
from homeostat.engine.orphans import OrphanSweep
from homeostat.engine.probing import Instruments, Probing
from homeostat.engine.readings import read_checks, read_experiments, read_objectives, read_policies
from homeostat.engine.reconcile import Reconciler
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.engine.recovery.queries import Queries as PolicyQueries
from homeostat.engine.recovery.reading import TargetReader
from homeostat.engine.recovery.requests import Consents
from homeostat.engine.recovery.rights import RightsWatch
from homeostat.engine.recovery.rivals import Rivals
from homeostat.engine.recovery.signals import Signals
from homeostat.engine.recovery.standing import Standing
from homeostat.engine.recovery.storm import Storms
from homeostat.engine.resync import Resync
from homeostat.engine.wakes import Wakes
from homeostat.engine.world import World
from homeostat.ports import (
    Clock,
)
from homeostat.rest.desk import Desk
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.outside import Outside
from homeostat.wiring.settings import Settings

SOON = 2.0  # seconds: by then a status that was just decided is written
HEARD = 5.0  # seconds until an objective that events were pushed to is looked at, however often they come


async def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Operator:
    """All parts that run, made and joined."""

    clock: Clock
    engine: Engine
    links: AgentLinks
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
    promql: PolicyQueries
    rights: RightsWatch | None
    rules: RulesWatch
    ingest: Ingest
    desk: Desk
    alert_post: AlertPost | None
    is_troubled: Callable[[Key], bool]
    prepare: Callable[[], Awaitable[None]]
    """What must be there in the API server before anything is done."""
    kinds: Sequence[Kind] = KINDS
    """The kinds that are watched."""
    look_at_definitions: Callable[[], Awaitable[None]] = _nothing
    """Compares the definitions that the API server has with ours."""

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
            self.engine.wake(key)


class _Told(NamedTuple):
    """What policies are told by others: answers of Prometheus, alerts of Alertmanager."""

    queries: PolicyQueries
    inbox: AlertInbox


def _told(outside: Outside, store: ObjectStore, engine: Engine) -> _Told:
    clock = outside.clock
    return _Told(PolicyQueries(outside.prometheus, clock, engine.wake), AlertInbox(store, clock, engine.wake))


def _rights(outside: Outside, engine: Engine) -> RightsWatch | None:
    return RightsWatch(outside.rights, outside.clock, engine.wake) if outside.rights else None


def _standing(checks: Checks, settings: Settings, rights: RightsWatch | None, engine: Engine, clock: Clock) -> Standing:
    """Make what tells a policy how it stands among others, and what the operator may do for it."""
    storms = Storms(checks, settings.storm_policies, timedelta(seconds=settings.storm_hold_seconds))
    return Standing(storms, rights, Rivals(clock, engine.timetable.add))


def _reader(outside: Outside, settings: Settings, links: AgentLinks) -> ExperimentReader:
    """Make what reads for experiments; where only some namespaces are watched, nobody can count the cluster's pods."""
    crowd = None if settings.watched() else Crowd(outside.cluster, outside.clock)
    nodes = settings.namespaces_of_node_chaos()
    return ExperimentReader(outside.cluster, outside.targets, outside.guards, links, crowd, nodes)


def _means(settings: Settings) -> Means:
    return Means(
        protected=frozenset({settings.operator_namespace}),
        agent_image=settings.agent_image,
        guards_needed=settings.guards == "Required",
        node_namespaces=settings.namespaces_of_node_chaos(),
    )


def _alert_post(outside: Outside, book: AlertBook, metrics: Metrics) -> AlertPost | None:
    if outside.alertmanager is None:
        return None
    return AlertPost(book, outside.alertmanager, outside.clock, metrics, outside.tracer)


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
    store, directory, wakes, checks, meters = ObjectStore(), Directory(), Wakes(), Checks(), Meters()
    archive = Archive(outside.history, clock, metrics, outside.tracer)
    engine = Engine(clock, store, directory, wakes, settings.workers)
    freezes = Freezes(store, outside.objects, engine.take, engine.drop, are_heeded=FREEZE in outside.kinds)
    collector = Collector(outside.prometheus, meters, clock, engine.wake, settings.prometheus_concurrency)
    feeding = Feeding(checks, meters, collector, store, clock)
    rules = RulesWatch(outside.prometheus, outside.rules, clock, namespaces=settings.watched())
    objectives = ObjectiveController(feeding, meters, rules, wakes, Drills(store))
    told, rights = _told(outside, store, engine), _rights(outside, engine)
    links, herald = AgentLinks(outside.wires, clock, may_act, engine.wake), Herald(outside.recorder)
    experiments = ChaosController(
        _reader(outside, settings, links),
        ChaosSignals(checks, store, feeding, told.queries, wakes, outside.admission),
        store,
        checks,
        freezes,
        RunBook(archive, metrics.breaking),
        _means(settings),
        wake_soon=lambda key: engine.timetable.add(key, clock.monotonic() + SOON),
    )
    controllers: dict[str, Controller] = {
        "HealthCheck": HealthController(checks, meters, clock, engine.timetable, wakes),
        "ServiceLevelObjective": objectives,
        "RecoveryPolicy": RecoveryController(
            outside.cluster,
            store,
            Signals(checks, store, feeding, *told),
            freezes,
            wakes,
            archive,
            targets=TargetReader(outside.cluster, outside.targets, settings.namespaces_of_nodes()),
            admission=outside.admission,
            standing=_standing(checks, settings, rights, engine, clock),
            healing=metrics.healing,
        ),
        "ChaosExperiment": experiments,
        "GameDay": GameDayController(
            outside.objects, checks, freezes, wakes, archive, experiments.rehearse, Consents(outside.admission)
        ),
        "Freeze": FreezeController(store, engine.timetable.add_now, tells=settings.scope is Scope.CLUSTER),
    }
    world = World(
        outside.objects, Hands(outside.actuator, links), herald, clock, gate, metrics, may_act, outside.tracer
    )  # fmt: skip
    probing = Probing(
        Instruments(
            prober=outside.prober,
            directory=directory,
            meters=meters,
            metrics=metrics,
            clock=clock,
            connectivity=Connectivity(outside.canary, clock) if outside.canary else None,
            tracer=outside.tracer,
        ),
        settings.probe_concurrency,
        plan_next=engine.timetable.add,
        wake=lambda check: engine.wake(check.key),
    )
    reconciler = Reconciler(store, controllers, world, take=engine.take, drop=engine.drop)
    engine.equip(controllers, reconciler, probing)
    resync = Resync(
        outside.objects, outside.slices, store, directory,
        clock=clock, metrics=metrics, namespaces=settings.watched(), kinds=outside.kinds,
        take=engine.take, drop=engine.drop,
    )  # fmt: skip
    metrics.read_from(
        lambda: read_checks(checks), lambda: read_objectives(store), lambda: read_policies(store),
        lambda: read_experiments(store),
    )  # fmt: skip
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
        links=links,
        resync=resync,
        orphans=OrphanSweep(outside.find_marked, store, world, outside.find_guards),
        herald=herald,
        meters=meters,
        archive=archive,
        store=store,
        checks=checks,
        metrics=metrics,
        feeding=feeding,
        collector=collector,
        promql=told.queries,
        rights=rights,
        rules=rules,
        ingest=ingest,
        desk=desk_of(store, ingest, book, outside.access, clock, told.inbox),
        alert_post=_alert_post(outside, book, metrics),
        is_troubled=objectives.is_troubled,
        prepare=prepare,
        kinds=outside.kinds,
    )
