"""One run of a plan: whom to ask, all of them at once, each again after a failure as the plan allows.

The operator and `homeostat probe` ask by this same code.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from homeostat.core.cluster import Endpoint
from homeostat.core.health.plan import Plan, requests, step_requests
from homeostat.core.health.run import Answer
from homeostat.core.probing.asking import ServiceReference
from homeostat.core.probing.request import Request, StepsRequest
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.ref import Ref
from homeostat.engine.directory import Directory

ENDPOINTS_AT_ONCE = 32
"""Endpoints of one Service probed at the same time."""

Asked = tuple[tuple[Ref | None, Request], ...]
"""Whom to ask in one run: the pod behind an endpoint, and the request."""

_NOT_LISTED = Result(Verdict.UNKNOWN, Reason.API_UNAVAILABLE, 0.0)
_NO_SUCH_PORT = Result(Verdict.INVALID, Reason.UNKNOWN_PORT, 0.0)
_NO_ENDPOINTS = Result(Verdict.FAIL, Reason.NO_ENDPOINTS, 0.0)


class Asker:
    """Asks by `probe`, which takes a request and its time in seconds; `directory` knows the endpoints of Services."""

    def __init__(self, probe: Callable[[Request, float], Awaitable[Result]], directory: Directory) -> None:
        self._probe = probe
        self._directory = directory

    async def ask(self, plan: Plan, turn: int = 0) -> list[Answer]:
        """Ask all endpoints of a plan once, with its retries. `turn` chooses the endpoint of each step."""
        asked = self._whom(plan, turn)
        if isinstance(asked, Result):
            return [(None, asked, False)]
        if len(asked) == 1:
            return [await self._try(plan, *asked[0])]
        return await self._ask_each(plan, asked)

    async def _ask_each(self, plan: Plan, asked: Asked) -> list[Answer]:
        turn = asyncio.Semaphore(ENDPOINTS_AT_ONCE)

        async def ask(pod: Ref | None, request: Request) -> Answer:
            async with turn:
                return await self._try(plan, pod, request)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(pod, request)) for pod, request in asked]
        return [task.result() for task in tasks]

    async def _try(self, plan: Plan, pod: Ref | None, request: Request) -> Answer:
        """Probe one endpoint, again after a failure as often as the plan allows."""
        result = await self._probe(request, plan.timeout)
        retries = 0
        while result.verdict is Verdict.FAIL and retries < plan.retries:
            retries += 1
            await asyncio.sleep(plan.backoff)
            result = await self._probe(request, plan.timeout)
        return pod, result, retries > 0

    def _whom(self, plan: Plan, turn: int) -> Asked | Result:
        if plan.service is not None:
            endpoints = self._endpoints(plan.service)
            return endpoints if isinstance(endpoints, Result) else requests(plan, endpoints)
        whole = plan.fixed[0]
        if not isinstance(whole, StepsRequest):
            return requests(plan)
        steps = self._steps(plan, whole, turn)
        return steps if isinstance(steps, Result) else ((None, steps),)

    def _endpoints(self, service: ServiceReference) -> tuple[Endpoint, ...] | Result:
        directory = self._directory
        if not directory.is_complete:
            return _NOT_LISTED
        endpoints = directory.endpoints(service.namespace, service.name, service.port)
        return _NO_SUCH_PORT if endpoints is None else endpoints

    def _steps(self, plan: Plan, whole: StepsRequest, turn: int) -> StepsRequest | Result:
        """Choose a ready endpoint for each step that asks a Service: another each run, the same within one."""
        chosen: list[Endpoint | None] = []
        for step, service in zip(whole.steps, plan.step_services, strict=True):
            found = (self._endpoints(service) or _NO_ENDPOINTS) if service else (None,)
            if isinstance(found, Result):
                return replace(found, step=step.name)
            chosen.append(found[turn % len(found)])
        return step_requests(plan, chosen)
