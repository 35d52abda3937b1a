"""Workers: the limit holds, no job is lost, the loop gets its turn, and a bug ends the crew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import eventually
from homeostat.engine.crew import Crew


@asynccontextmanager
async def at_work(crew: Crew[int]) -> AsyncIterator[None]:
    is_open = asyncio.Event()

    async def work() -> None:
        async with crew:
            is_open.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await is_open.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@settings(max_examples=25, deadline=None)
@given(limit=st.integers(1, 5), pauses=st.lists(st.integers(0, 4), max_size=40))
def test_every_job_is_done_once_and_never_more_at_a_time_than_the_limit(limit: int, pauses: list[int]) -> None:
    """H3: concurrency is bounded."""
    done: list[int] = []
    running: list[int] = []
    most = 0

    async def work(job: int) -> None:
        nonlocal most
        running.append(job)
        most = max(most, len(running))
        for _ in range(pauses[job]):
            await asyncio.sleep(0)
        running.remove(job)
        done.append(job)

    async def scenario() -> None:
        crew = Crew(work, limit)
        async with at_work(crew):
            for job, pause in enumerate(pauses):
                crew.put(job)
                if pause == 4:
                    await asyncio.sleep(0)
            await eventually(lambda: len(done) == len(pauses))
            assert crew.backlog == 0

    asyncio.run(scenario())

    assert sorted(done) == list(range(len(pauses)))
    assert most <= limit


async def test_jobs_begin_in_the_order_they_were_put() -> None:
    begun: list[int] = []

    async def work(job: int) -> None:
        begun.append(job)
        await asyncio.sleep(0)

    crew = Crew(work, 2)
    async with at_work(crew):
        for job in range(20):
            crew.put(job)
        await eventually(lambda: len(begun) == 20)

    assert begun == list(range(20))


async def test_work_that_never_waits_does_not_hold_up_the_loop() -> None:
    """Ten thousand evaluations that find nothing to write must not hold up probes and the lease."""
    done: list[int] = []

    async def work(job: int) -> None:
        done.append(job)

    crew = Crew(work, 2)
    seen_by_others: list[int] = []
    async with at_work(crew):
        for job in range(1000):
            crew.put(job)
        while len(done) < 1000:
            seen_by_others.append(len(done))
            await asyncio.sleep(0)

    assert len(seen_by_others) > 100


async def test_a_worker_that_rests_is_woken_and_no_further_one_hired() -> None:
    done: list[int] = []

    async def work(job: int) -> None:
        done.append(job)

    crew = Crew(work, 100)
    async with at_work(crew):
        for job in range(10):
            crew.put(job)
            await eventually(lambda job=job: len(done) == job + 1)

        assert crew._hired == 1


async def test_a_bug_ends_the_crew() -> None:
    async def work(job: int) -> None:
        raise ZeroDivisionError(job)

    crew = Crew(work, 2)
    with pytest.RaisesGroup(ZeroDivisionError):
        async with asyncio.timeout(5), crew:
            crew.put(1)
            await asyncio.Event().wait()


async def test_leaving_by_cancellation_ends_all_workers() -> None:
    ended: list[int] = []

    async def work(job: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(job)

    crew = Crew(work, 3)
    async with at_work(crew):
        for job in range(5):
            crew.put(job)
        await eventually(lambda: crew.backlog == 2)
        await asyncio.sleep(0)

    assert sorted(ended) == [0, 1, 2]


async def test_a_cancellation_that_nobody_asked_for_costs_no_worker() -> None:
    """Otherwise a bug in one probe would end all probing, one worker at a time, and say nothing."""
    done: list[int] = []
    is_over = asyncio.Event()

    async def work(job: int) -> None:
        if job == 0:
            raise asyncio.CancelledError
        done.append(job)
        if job == 2:
            is_over.set()

    crew = Crew(work, limit=1)

    async def run() -> None:
        async with crew:
            for job in range(3):
                crew.put(job)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(run())
    async with asyncio.timeout(5):
        await is_over.wait()
    task.cancel()
    await asyncio.wait([task])

    assert done == [1, 2]
    assert task.cancelled()
