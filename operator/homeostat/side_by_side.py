"""Reads that do not wait for each other, and raise as one read would: without a group around the exception.

A TaskGroup cancels whoever waits for it when a task in it fails, and before Python 3.13 it forgets to take that back:
the next `asyncio.timeout` of a worker that lives on would end the worker (seen on 3.11.2). So no task fails in here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

J = TypeVar("J")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

AT_ONCE: Final = 8
"""How many reads of one kind are under way at once, so that a hundred targets are no storm."""


class Answer(Protocol[R_co]):
    """What a read will give."""

    def result(self) -> R_co:
        """Give it, once the group is left."""
        ...


class Reads:
    """Reads that were begun; `failure` is what the first one raised that failed, and ended the others."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[Any]] = []
        self.failure: Exception | None = None

    def start(self, read: Coroutine[Any, Any, R]) -> Answer[R]:
        """Begin one; its result is there when the group is left."""
        task = self._group.create_task(self._kept(read))
        task.add_done_callback(lambda _: read.close())  # one that is ended before it began was never awaited
        self._tasks.append(task)
        return task

    async def _kept(self, read: Awaitable[R]) -> R:
        try:
            return await read
        except Exception as error:
            self.failure = self.failure or error
            for task in self._tasks:
                task.cancel()
            raise asyncio.CancelledError from error  # a task that was cancelled has not failed, for its group


@asynccontextmanager
async def side_by_side() -> AsyncIterator[Reads]:
    """Give a group for reads; when it is left all are done. The first that fails ends the others, and is raised."""
    async with asyncio.TaskGroup() as group:
        reads = Reads(group)
        yield reads
    if reads.failure is not None:
        raise reads.failure


async def read_each(read: Callable[[J], Awaitable[R]], jobs: Iterable[J], at_once: int = AT_ONCE) -> list[R]:
    """Read for each job, a few at once; give the answers in the order of the jobs."""
    places = asyncio.Semaphore(at_once)

    async def read_one(job: J) -> R:
        async with places:
            return await read(job)

    async with side_by_side() as reads:
        tasks = [reads.start(read_one(job)) for job in jobs]
    return [task.result() for task in tasks]
