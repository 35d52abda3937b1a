"""The process that holds a fault up: what it holds ends with it, so it is ended by SIGKILL and has nothing to clear up.

It dies with its keeper, and by a timer of the kernel's when beats do not reach it, or it does not get round to them.
"""

import asyncio
import os

from homeostat.agent.channel import Channel
from homeostat.agent.fault import Fault, Refused
from homeostat.agent.faults import fault_of
from homeostat.agent.kernel_timer import KernelTimer
from homeostat.agent.lease import FIRST_BEAT_SECONDS
from homeostat.agent.process import die_with_parent, forget_signals
from homeostat.core.orders import AgentState, OffReason, Order, RefusalReason, Said

LONGEST_MESSAGE = 500
"""Characters of a message: a line stays shorter than what a pipe takes at once."""
_CHECK_SECONDS = 30.0


def start_holder(order: Order) -> tuple[int, Channel]:
    """Fork the holder; give its process id and the keeper's end of the wire."""
    ours, theirs = Channel.pair()
    keeper = os.getpid()
    child = os.fork()
    if child:
        theirs.close()
        return child, ours
    code = 1
    try:
        die_with_parent(keeper)
        forget_signals()
        ours.close()
        code = _hold(order, theirs)
    finally:
        os._exit(code)


def _hold(order: Order, channel: Channel) -> int:
    """Hold the fault until the process is killed; give an exit code when it was refused, was a blow or failed."""
    try:
        timer = KernelTimer()
        timer.die_in(_CHECK_SECONDS)
        fault = fault_of(order)
        fault.check()
        channel.say(Said(AgentState.READY, fault.mechanism))
        timer.die_in(FIRST_BEAT_SECONDS + order.misses * order.beat_seconds)
        asyncio.run(_serve(fault, channel, timer))
    except Refused as refused:
        channel.say(Said(AgentState.REFUSED, reason=refused.reason, message=refused.message[:LONGEST_MESSAGE]))
    except Exception as error:  # noqa: BLE001 - whatever it is, the fault ends with this process, and the keeper says why
        channel.say(Said(AgentState.REFUSED, reason=RefusalReason.FAILED, message=_words(error)))
    else:
        return 0
    return 1


def _words(error: BaseException) -> str:
    """Say what went wrong; of several tasks' errors the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]


async def _serve(fault: Fault, channel: Channel, timer: KernelTimer) -> None:
    number, seconds = await _beat(channel, timer)
    fault.begin()
    if fault.is_blow:
        done = Said(AgentState.OFF, fault.mechanism, OffReason.DONE, beat=number, counters=fault.counters())
        channel.say(done)
        return
    fault.renew(seconds)
    channel.say(_on(fault, number))
    async with asyncio.TaskGroup() as group:
        group.create_task(_run(fault))
        group.create_task(_answer(fault, channel, timer))


async def _run(fault: Fault) -> None:
    await fault.run()
    raise RuntimeError("what served the fault ended")


async def _answer(fault: Fault, channel: Channel, timer: KernelTimer) -> None:
    while True:
        number, seconds = await _beat(channel, timer)
        fault.renew(seconds)
        channel.say(_on(fault, number))


def _on(fault: Fault, number: int) -> Said:
    return Said(AgentState.ON, fault.mechanism, beat=number, counters=fault.counters())


async def _beat(channel: Channel, timer: KernelTimer) -> tuple[int, float]:
    """Wait for the next beat, and live on for its seconds."""
    loop = asyncio.get_running_loop()
    while (beat := channel.beaten()) is None:
        readable = loop.create_future()
        loop.add_reader(channel.fileno(), _wake, readable)
        try:
            await readable
        finally:
            loop.remove_reader(channel.fileno())
    timer.die_in(beat[1])
    return beat


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
