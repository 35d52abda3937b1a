"""Reads side by side: all at once where each waits for another, a few of many, and a failure as it was raised."""

import asyncio

import pytest

from homeostat.ports import Unavailable
from homeostat.side_by_side import read_each, side_by_side


async def test_reads_do_not_wait_for_each_other() -> None:
    """Each can only end once the other has begun."""
    begun = asyncio.Event(), asyncio.Event()

    async def read(own: int) -> int:
        begun[own].set()
        await begun[1 - own].wait()
        return own

    async with asyncio.timeout(10), side_by_side() as reads:
        tasks = reads.start(read(0)), reads.start(read(1))

    assert [task.result() for task in tasks] == [0, 1]


async def test_a_failure_is_raised_as_it_was_and_ends_the_others() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    async def fail() -> None:
        raise Unavailable("no answer")

    async def look() -> None:
        async with side_by_side() as reads:
            reads.start(wait())
            reads.start(fail())

    with pytest.raises(Unavailable, match="no answer"):
        await look()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "a worker that reads again must not be taken for one that was cancelled"

    assert ended == ["waiting"]


async def test_a_read_that_is_ended_before_it_began_leaves_nothing_behind(recwarn: pytest.WarningsRecorder) -> None:
    """The first one fails at its first step, when the second has not had one yet."""
    begun: list[str] = []

    async def fail() -> None:
        raise Unavailable("no answer")

    async def begin() -> None:
        begun.append("second")

    async def look() -> None:
        async with side_by_side() as reads:
            reads.start(fail())
            reads.start(begin())

    with pytest.raises(Unavailable):
        await look()
    assert (begun, list(recwarn)) == ([], [])


async def test_who_is_cancelled_is_cancelled_and_its_reads_too() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def look() -> None:
        async with side_by_side() as reads:
            reads.start(wait())

    looking = asyncio.create_task(look())
    await begun.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


async def test_of_many_reads_a_few_are_under_way_at_once_and_answers_keep_their_order() -> None:
    under_way, most = 0, 0

    async def read(job: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return -job

    assert await read_each(read, range(7), at_once=3) == [-job for job in range(7)]
    assert (most, under_way) == (3, 0)
