"""Deadlines: a wait ends soon after its time, and no other cancellation is taken for it."""

import asyncio
import socket
import time

import pytest

from homeostat.probe.net.deadlines import Deadlines


async def wait(deadlines: Deadlines, seconds: float) -> bool:
    """Wait for ever; say whether the deadline ended it."""
    watch = deadlines.watch(time.monotonic() + seconds)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not watch.close():
            raise
    finally:
        watch.close()
    return True


async def test_a_wait_ends_after_its_deadline_and_not_before() -> None:
    deadlines, started = Deadlines(time.monotonic), time.monotonic()
    async with asyncio.timeout(5):
        assert await wait(deadlines, 0.05)

    assert 0.05 <= time.monotonic() - started < 2
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_deadline_in_the_past_ends_a_wait_at_once() -> None:
    async with asyncio.timeout(5):
        assert await wait(Deadlines(time.monotonic), -10)


async def test_a_hundred_waits_are_ended_each_by_its_own_deadline() -> None:
    deadlines = Deadlines(time.monotonic)

    async def measure(seconds: float) -> float:
        started = time.monotonic()
        await wait(deadlines, seconds)
        return time.monotonic() - started - seconds

    async with asyncio.timeout(5):
        late = await asyncio.gather(*(measure(number / 1000) for number in range(100)))

    assert min(late) >= 0
    assert not deadlines._slots


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Also when the deadline passes in the same moment: whoever cancels must not be told that it was a timeout."""
    for seconds in (5, -10):
        task = asyncio.create_task(wait(Deadlines(time.monotonic), seconds))
        await asyncio.sleep(0)
        time.sleep(0.02)  # noqa: ASYNC251 - the deadline passes while the loop is busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_ends_in_time_is_watched_no_longer() -> None:
    deadlines = Deadlines(time.monotonic)
    watch = deadlines.watch(time.monotonic() + 0.01)

    assert not watch.close()
    await asyncio.sleep(0.05)
    assert not watch.close()
    assert not deadlines._slots


async def test_what_came_while_the_loop_was_busy_is_read_before_a_wait_ends() -> None:
    """Fault 24: that we slept is no silence of whoever has answered."""
    deadlines = Deadlines(time.monotonic)
    ours, theirs = socket.socketpair()

    def doze() -> None:
        time.sleep(0.2)
        theirs.send(b"!")

    with ours, theirs:
        ours.setblocking(False)
        watch = deadlines.watch(time.monotonic() + 0.05)
        asyncio.get_running_loop().call_soon(doze)
        try:
            assert await asyncio.get_running_loop().sock_recv(ours, 1) == b"!"
        finally:
            watch.close()
