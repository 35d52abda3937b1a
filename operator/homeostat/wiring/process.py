"""The life of the process: log in, serve, wait to lead, load, work, stop.

Only the leader loads, probes, decides and acts. Losing the lead ends the process at once, without cleaning up:
from that moment another replica may act (fencing). A graceful stop lets evaluations under way finish, keeps
what was counted, and gives the lead up. Fault agents are not told: they go on when the next leader beats for them
within the three seconds of their lease, and end by themselves when none does.
"""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from homeostat.api.chaos import MARKER
from homeostat.engine.clock import SystemClock
from homeostat.engine.gate import PacedGate
from homeostat.engine.granted import GrantsWatch
from homeostat.engine.minutes import book_minutes, keep_unfinished, measure_lag, recall, recall_wanted, survey_often
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.apiserver.kubeconfig import find_credentials
from homeostat.kube.authorization.rights import ApiRights
from homeostat.kube.faults.markers import Markers
from homeostat.kube.leases.election_thread import ElectionThread
from homeostat.notify.alertmanager import Alertmanager
from homeostat.ports import Forbidden, Gone, HistoryUnavailable, Rejected, Unavailable
from homeostat.rest.certificate import ServerCertificate
from homeostat.rest.desk import Desk, NotServing
from homeostat.rest.server import serving_api
from homeostat.store.history import SqlHistory
from homeostat.telemetry.metrics import Metrics
from homeostat.telemetry.server import serving
from homeostat.wiring.compose import Operator, compose
from homeostat.wiring.granting import Definitions, beside, grants_watch, visible_kinds
from homeostat.wiring.outside import ApiSlices, Calls, Outside, Queries, canary, prober_on, reach
from homeostat.wiring.settings import Settings
from homeostat.wiring.tracing import tracing
from homeostat.wiring.watch import watch

log = structlog.get_logger("homeostat")

LAST_WORDS = 5.0  # seconds that a stop gives to events not told yet
RETRY_LOAD_AFTER = 5.0  # seconds
DRIFTS_TOLERATED = 2  # sweeps in a row that found something missed
FENCED = 70  # exit code after losing the lead


class Stopped(Exception):
    """Somebody asked us to stop."""


@dataclass(slots=True)
class Life:
    """What /livez and /readyz ask: what of the process holds now."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    operator: Operator | None = None
    grants: GrantsWatch | None = None
    is_loaded: bool = False
    is_standby: bool = False
    resync_limit: float = 0.0

    def is_alive(self) -> dict[str, bool]:
        """Whether restarting would not help."""
        if self.operator is None or not self.is_loaded:
            return {}
        resync = self.operator.resync
        return {
            "resync is recent": resync.age < self.resync_limit,
            "watch is complete": resync.drifts_in_a_row < DRIFTS_TOLERATED,
        }

    def is_ready(self) -> dict[str, bool]:
        """Whether this replica does its part: it leads and has loaded, or it stands by; and what it may not."""
        missing = self.grants.vital() if self.grants is not None else ()
        return {"leads or stands by": self.is_loaded or self.is_standby} | {f"may {words}": False for words in missing}

    def desk(self) -> Desk | NotServing:
        """What the API serves: only the leader that has loaded, and is not about to stop, knows anything."""
        if self.operator is None:
            return NotServing.NOT_LEADER
        return self.operator.desk if self.is_loaded and not self.stop.is_set() else NotServing.NOT_READY


async def run(settings: Settings) -> None:
    """Run until asked to stop. Raises what made it impossible to go on."""
    credentials = find_credentials(os.environ, kubeconfig=settings.kubeconfig)
    clock, metrics, life = SystemClock(), Metrics(), Life(resync_limit=3 * settings.resync_seconds + 60)
    identity = settings.identity or f"{socket.gethostname()}_{uuid4().hex[:8]}"
    gate = PacedGate(clock, rate=settings.writes_per_second, refresh_rate=settings.refreshes_per_second)
    heed_signals(life.stop)
    async with (
        tracing(settings, metrics, identity) as tracer,
        ApiClient(credentials, gate=gate, count=metrics.requested, tracer=tracer) as client,
        serving(settings.listen, settings.port, metrics.page, is_alive=life.is_alive, is_ready=life.is_ready) as port,
        serving_api(
            settings.listen, settings.api_port, life.desk, certificate=certificate_of(settings), count=metrics.served
        ) as api_port,
        AsyncExitStack() as stack,
    ):
        log.info("started", identity=identity, server=credentials.server, port=port, api_port=api_port)
        life.grants = grants = grants_watch(ApiRights(client), clock, metrics, settings)
        await stack.enter_async_context(beside(grants.run()))
        election = election_of(settings, identity, metrics)
        await stack.enter_async_context(election)
        life.is_standby = True
        if not await acquired(election, life.stop):
            return
        await stack.enter_async_context(beside(election.beats()))
        metrics.leads(is_leader=True)
        metrics.history_may_take(settings.history_max_bytes)
        async with operator_of(client, credentials, settings, metrics, gate, election.is_held) as operator:
            life.operator = operator
            await lead(operator, life, settings, credentials)
        election.give_up()
    log.info("stopped")


@asynccontextmanager
async def operator_of(
    client: ApiClient, credentials: Credentials, settings: Settings, metrics: Metrics, gate: PacedGate,
    may_act: Callable[[], bool],
) -> AsyncIterator[Operator]:  # fmt: skip
    """Make the operator on the real world, and close what it opened."""
    calls = Calls(client, settings, credentials.server)
    api = reach(client, settings, settings.identity or socket.gethostname(), calls.caller)
    prober = prober_on(api, settings, credentials.server)
    queries = Queries(settings, credentials.server)
    history = SqlHistory(settings.store_url, settings.retention())
    outside = Outside(
        objects=api.objects,
        cluster=api.cluster,
        actuator=api.actuator,
        recorder=api.recorder,
        prober=prober,
        history=history,
        clock=SystemClock(),
        slices=ApiSlices(client, settings.watched()),
        find_marked=partial(Markers(client, settings.watched()).find, MARKER),
        prometheus=queries.client,
        rules=api.rules,
        access=api.access,
        targets=api.targets,
        guards=api.guards,
        find_guards=api.guards.leftovers,
        wires=api.wires,
        admission=api.admission,
        rights=api.rights,
        canary=canary(credentials.server),
        tracer=client.tracer,
    )
    try:
        async with AsyncExitStack() as stack:
            if settings.alertmanager_url:
                alertmanager = Alertmanager(settings.alertmanager_url, settings.alertmanager_token_file)
                outside = replace(outside, alertmanager=await stack.enter_async_context(alertmanager))
            outside = replace(outside, kinds=await visible_kinds(api.rights, settings))
            made = compose(outside, settings, metrics, gate, may_act, api.budget.ensure)
            yield replace(made, look_at_definitions=Definitions(client, metrics, outside.kinds).look)
    finally:
        prober.close()
        queries.close()
        calls.close()
        await history.close()


def certificate_of(settings: Settings) -> ServerCertificate | None:
    """Read the certificate of the API; None where it speaks plain HTTP. Raises OSError."""
    if not settings.api_tls_cert_file:
        return None
    return ServerCertificate(settings.api_tls_cert_file, settings.api_tls_key_file)


async def lead(operator: Operator, life: Life, settings: Settings, credentials: Credentials) -> None:
    """Load, then work until asked to stop."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(until_stopped(life, operator))
            tasks.create_task(operator.archive.run())
            tasks.create_task(operator.herald.run())
            tasks.create_task(safely("definitions not compared", operator.look_at_definitions))  # nobody waits for that
            await patiently(operator.prepare, remedy="kubectl apply --server-side -f dist/install.yaml")
            await patiently(operator.resync.load, remedy="kubectl apply --server-side -f crds/")
            await remember(operator)
            life.is_loaded, life.is_standby = True, False
            gc.freeze()  # what lives as long as we do need not be looked through for garbage, 95 ms at a time
            log.info("loaded", objects=len(operator.store))
            if operator.alert_post is not None:
                await operator.alert_post.look()  # what ends with the first decision is told to have ended, too
            for chore in chores(operator, settings):
                tasks.create_task(chore)
            tasks.create_task(watch_when_allowed(operator, life, settings, credentials))
    except* Stopped:
        operator.archive.keep(*operator.meters.close())
        await operator.archive.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await operator.herald.flush()


async def watch_when_allowed(operator: Operator, life: Life, settings: Settings, credentials: Credentials) -> None:
    """Watch, but not before we may: a watch that is refused ends the process. /readyz says what is missing."""
    if life.grants is not None:
        await life.grants.until_vital()
    await watch(
        operator.engine.see, credentials, settings.watched(), kinds=operator.kinds,
        when_started=lambda: heed_signals(life.stop),
    )  # fmt: skip


def chores(operator: Operator, settings: Settings) -> Iterator[Coroutine[Any, Any, None]]:
    """Give what goes on side by side once all is loaded, each for ever."""
    clock = SystemClock()
    yield operator.links.run()
    yield operator.engine.run()
    yield book_minutes(operator.end_minute, clock)
    yield survey_often(operator.survey)
    yield keep_unfinished(operator.meters, operator.archive)
    yield recall_wanted(operator.meters, operator.archive)
    yield measure_lag(operator.metrics, clock)
    yield operator.collector.run()
    yield operator.promql.run()
    if operator.rights is not None:
        yield operator.rights.run()
    yield operator.rules.run()
    yield operator.ingest.run()
    if operator.alert_post is not None:
        yield operator.alert_post.run()
    yield sweep(operator, settings.resync_seconds)


async def until_stopped(life: Life, operator: Operator) -> None:
    """Wait for the wish to stop, let evaluations under way finish, and end all tasks."""
    await life.stop.wait()
    log.info("stopping")
    await operator.engine.drain()
    raise Stopped


def election_of(settings: Settings, identity: str, metrics: Metrics) -> ElectionThread:
    """Stand for the lead, with a client that no other thread uses."""

    def connect() -> ApiClient:
        return ApiClient(find_credentials(os.environ, kubeconfig=settings.kubeconfig), count=metrics.requested)

    return ElectionThread(connect, settings.operator_namespace, identity, SystemClock(), lost=fence)


def fence() -> None:
    """End the process the moment the lead is lost; nothing that is under way may go on."""
    log.critical("the lead is lost: exiting")
    os._exit(FENCED)


async def sweep(operator: Operator, seconds: float) -> None:
    """Undo faults that nobody answers for and compare what we know with what there is: now, and for ever."""
    while True:
        await safely("orphans not looked for", operator.orphans.sweep)
        await asyncio.sleep(seconds)
        await safely("resync failed", operator.resync.sweep)
        await safely("definitions not compared", operator.look_at_definitions)


async def safely(complaint: str, do: Callable[[], Awaitable[object]]) -> None:
    """Do something that is tried again later anyway: a safety net must not be what ends the process."""
    try:
        await do()
    except (Unavailable, Forbidden, Gone, Rejected) as error:
        log.warning(complaint, error=type(error).__name__)
    except Exception:
        log.exception(complaint)


async def remember(operator: Operator) -> None:
    """Take up the past; without it everything works, and uptime and budgets begin anew."""
    clock = SystemClock()
    try:
        await recall(operator.meters, operator.archive, clock)
    except HistoryUnavailable as error:
        log.warning("history not read", reason=str(error), effect="uptime and budgets begin anew")
    operator.archive.keep(*operator.meters.roll(clock.now()))


async def patiently(do: Callable[[], Awaitable[None]], remedy: str) -> None:
    """Do something that needs the API server, again until it can be done; say what is missing."""
    while True:
        try:
            await do()
        except Gone:
            log.warning("not installed", remedy=remedy)
        except (Unavailable, Forbidden, Rejected) as error:
            log.warning("API server not usable yet", error=str(error))
        else:
            return
        await asyncio.sleep(RETRY_LOAD_AFTER)


async def acquired(election: ElectionThread, stop: asyncio.Event) -> bool:
    """Wait for the lead or for the wish to stop; say whether we lead."""

    async def give_up() -> None:
        await stop.wait()
        raise Stopped

    try:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(give_up())
            await election.acquire()
            waiting.cancel()
    except* Stopped:
        log.info("stopping", role="standby")
    return election.is_held()


def heed_signals(stop: asyncio.Event) -> None:
    """Turn SIGTERM and SIGINT into the wish to stop."""
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
