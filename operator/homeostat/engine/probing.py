"""The hot path: start a due check, probe its endpoints, record what came of it, wake whom it concerns.

Start-to-start: the next run is planned when this one is due, not when it ends (H3). A run that is due while the
last still runs is counted as missed. Results of a spec that was edited meanwhile are dropped.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from homeostat.core.decision import Ref
from homeostat.core.plan import Plan, requests
from homeostat.core.probing import HttpRequest, Reason, Request, Result, TcpRequest, Verdict
from homeostat.core.run import Answer, Run, aggregate
from homeostat.core.schedule import next_run
from homeostat.core.track import record
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Check
from homeostat.engine.crew import Crew
from homeostat.engine.directory import Directory
from homeostat.engine.meters import Meters
from homeostat.ports import Clock, Prober, StoredResult
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.probing")

ENDPOINTS_AT_ONCE = 32
"""Endpoints of one Service probed at the same time."""

_NOT_LISTED = Result(Verdict.UNKNOWN, Reason.API_UNAVAILABLE, 0.0)
_NO_SUCH_PORT = Result(Verdict.INVALID, Reason.UNKNOWN_PORT, 0.0)
_TYPES: dict[type[Request], str] = {HttpRequest: "http", TcpRequest: "tcp"}


@dataclass(frozen=True, slots=True)
class Instruments:
    """What probing reads from and writes to."""

    prober: Prober
    directory: Directory
    meters: Meters
    archive: Archive
    metrics: Metrics
    clock: Clock


class Probing:
    """Runs checks when the timetable starts them. `plan_next` asks for the next start, `wake` for an evaluation."""

    def __init__(
        self,
        instruments: Instruments,
        limit: int,
        *,
        plan_next: Callable[[Check, float], None],
        wake: Callable[[Check], None],
    ) -> None:
        self._with = instruments
        self._plan_next = plan_next
        self._wake = wake
        self.crew = Crew(self._run, limit)

    def start(self, check: Check, due: float) -> None:
        """Start a check that is due, and plan the next start. Never blocks."""
        if not check.is_on:
            return
        now = self._with.clock.monotonic()
        following, missed = next_run(due, check.plan.interval, now)
        check.track.missed += missed
        self._plan_next(check, following)
        self._notice_silence(check)
        if check.is_running:
            check.track.missed += 1
            return
        check.is_running = True
        self._with.metrics.started_late(now - due)
        self.crew.put(check)

    def _notice_silence(self, check: Check) -> None:
        """Have a check evaluated once when its last result goes stale; asking here costs it no timer of its own."""
        if not check.is_silent and self._with.clock.now() >= check.track.fresh_at + check.plan.stale_after:
            check.is_silent = True
            self._wake(check)

    async def _run(self, check: Check) -> None:
        plan = check.plan
        try:
            answers = await self._ask(plan)
        finally:
            check.is_running = False
        if not check.is_on or check.plan is not plan:
            return
        try:
            self._take(check, aggregate(answers, plan))
        except Exception:  # a bug in one check spares the others
            log.exception("bug", kind="HealthCheck", namespace=check.ref.namespace, name=check.ref.name)

    async def _ask(self, plan: Plan) -> list[Answer]:
        asked = self._whom(plan)
        if isinstance(asked, Result):
            return [(None, asked, False)]
        if len(asked) == 1:
            return [await self._try(plan, *asked[0])]
        return await self._ask_each(plan, asked)

    def _whom(self, plan: Plan) -> tuple[tuple[Ref | None, Request], ...] | Result:
        service, directory = plan.service, self._with.directory
        if service is None:
            return requests(plan)
        if not directory.is_complete:
            return _NOT_LISTED
        endpoints = directory.endpoints(service.namespace, service.name, service.port)
        return _NO_SUCH_PORT if endpoints is None else requests(plan, endpoints)

    async def _ask_each(self, plan: Plan, asked: tuple[tuple[Ref | None, Request], ...]) -> list[Answer]:
        turn = asyncio.Semaphore(ENDPOINTS_AT_ONCE)

        async def ask(pod: Ref | None, request: Request) -> Answer:
            async with turn:
                return await self._try(plan, pod, request)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(pod, request)) for pod, request in asked]
        return [task.result() for task in tasks]

    async def _try(self, plan: Plan, pod: Ref | None, request: Request) -> Answer:
        """Probe one endpoint, again after a failure as often as the plan allows."""
        result = await self._probe(request, plan)
        retries = 0
        while result.verdict is Verdict.FAIL and retries < plan.retries:
            retries += 1
            await asyncio.sleep(plan.backoff)
            result = await self._probe(request, plan)
        return pod, result, retries > 0

    async def _probe(self, request: Request, plan: Plan) -> Result:
        result = await self._with.prober.probe(request, plan.timeout)
        self._with.metrics.probed(_TYPES.get(type(request), "workload"), result.verdict.value, result.seconds)
        return result

    def _take(self, check: Check, run: Run) -> None:
        now = self._with.clock.now()
        is_other = check.track.verdict is not run.verdict or check.track.reason is not run.reason
        was_silent = check.is_silent
        check.is_silent = was_silent and run.verdict not in {Verdict.PASS, Verdict.FAIL}
        if record(check.track, check.plan, run, now) or was_silent is not check.is_silent:
            self._wake(check)
        self._with.meters.count(check, run)
        if is_other:  # one row a change: a long outage of many checks must not fill the disk
            self._with.archive.keep(
                StoredResult(
                    check.ref.uid, now, run.verdict.value, run.reason.value, run.seconds,
                    run.failing[0][1] if run.failing else "",
                )
            )  # fmt: skip
