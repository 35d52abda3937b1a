"""Workers: at most `limit` jobs at a time, started from callbacks, none lost, all ended when the crew is left.

Workers are hired as jobs wait and kept: a job then costs a queue hand-over (5 µs) and not a task. Between two
jobs that wait the loop gets its turn: work that never has to wait itself must not hold up probes and leases.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

J = TypeVar("J")

log = structlog.get_logger("homeostat.crew")


class Crew(Generic[J]):
    """Runs `work(job)` for each job put, `limit` at a time. An exception of `work` is a bug and ends the crew."""

    def __init__(self, work: Callable[[J], Awaitable[None]], limit: int) -> None:
        self._work = work
        self._limit = limit
        self._waiting: deque[J] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._hired = 0
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Open for work."""
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until the crew ends: its workers never do by themselves, only by cancellation or a bug."""
        await self._group.__aexit__(kind, error, trace)

    @property
    def backlog(self) -> int:
        """How many jobs wait for a worker."""
        return len(self._waiting)

    def put(self, job: J) -> None:
        """Add a job; never blocks."""
        self._waiting.append(job)
        while self._idle:
            bell = self._idle.popleft()
            if not bell.done():
                bell.set_result(None)
                return
        if self._hired < self._limit:
            self._hired += 1
            self._group.create_task(self._labour())

    async def _labour(self) -> None:
        while True:
            while self._waiting:
                await self._do(self._waiting.popleft())
                if self._waiting:
                    await asyncio.sleep(0)
            bell = asyncio.get_running_loop().create_future()
            self._idle.append(bell)
            await bell

    async def _do(self, job: J) -> None:
        """Do a job. A cancellation that nobody asked for is a bug in it, and must not cost us the worker."""
        try:
            await self._work(job)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or current.cancelling():
                raise
            log.error("bug", what="a job was cancelled, and nobody had asked for it")  # noqa: TRY400 - no trace to show
