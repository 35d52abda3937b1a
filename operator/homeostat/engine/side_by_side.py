"""Reads that do not wait for each other, and raise as one read would: without a group around the exception."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

J = TypeVar("J")
R = TypeVar("R")

AT_ONCE: Final = 8
"""How many reads of one kind are under way at once, so that a hundred targets are no storm."""


@asynccontextmanager
async def side_by_side() -> AsyncIterator[asyncio.TaskGroup]:
    """Give a group for reads; when it is left all are done. The first that fails ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as reads:
            yield reads
    except BaseExceptionGroup as group:  # `except*` would put what is raised into a group again before Python 3.11.4
        raise group.exceptions[0] from None


async def read_each(read: Callable[[J], Awaitable[R]], jobs: Iterable[J], at_once: int = AT_ONCE) -> list[R]:
    """Read for each job, a few at once; give the answers in the order of the jobs."""
    places = asyncio.Semaphore(at_once)

    async def read_one(job: J) -> R:
        async with places:
            return await read(job)

    async with side_by_side() as reads:
        tasks = [reads.create_task(read_one(job)) for job in jobs]
    return [task.result() for task in tasks]
