"""What each fault of an agent is: something that its holder's death ends, whatever the cause of that death.

The holder is a process of its own (see `holder`), and a fault lives in it:

    check()     → Ready      looks around, touches nothing; raises Refused
    begin()     → On         at the first beat: the fault is on when this is over; raises Refused
    renew()     → On         at each beat, the first included, right after `begin`
    run()                    beside the beats, for ever; the loop of the holder is asyncio's
    SIGKILL     → Off        there is no `end`: what `begin` puts on must go with the process
    remains()                in the keeper, which outlives the holder: what is still to be seen of the fault

So a fault is made of what the kernel takes back from a process that dies: sockets, nftables tables with an owner,
queues with bypass, ptrace stops, children with PR_SET_PDEATHSIG (see `process.die_with_parent`). A holder may also be
stopped (SIGSTOP), and so not work: what can have a timeout of the kernel's own gets it in `renew`, and without a beat a
timer of the kernel's kills the holder, stopped or not (see `kernel_timer`); a keeper kills one that does not answer.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from homeostat.core.orders import Order, RefusalReason


class Refused(Exception):
    """The fault cannot be put on; nothing of it is there."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Fault(ABC):
    """One fault. Making it reads the settings, and raises ValueError, KeyError or TypeError where they are none."""

    is_blow: ClassVar[bool] = False
    """Whether it is over at once: the agent says Off (Done) after `begin`."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.mechanism = ""
        """What it uses or would use, in a few words; known after `check`."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The fault's member of the manifest (see `orders.Order`)."""
        return self.order.settings

    @abstractmethod
    def check(self) -> None:
        """Find out whether the fault can be put on, and by what; touch nothing. Raises Refused."""

    @abstractmethod
    def begin(self) -> None:
        """Put the fault on. May block for a moment; raises Refused when nothing of it is on."""

    def renew(self, seconds: float) -> None:  # noqa: B027 - most faults have no timeout of their own
        """Keep the fault up for `seconds` more; only what has a timeout of the kernel's own has something to do."""

    async def run(self) -> None:
        """Serve, from `begin` to the process's death. Returning early, or raising, ends the fault."""
        await asyncio.get_running_loop().create_future()

    @abstractmethod
    def counters(self) -> dict[str, int]:
        """Give what the fault met since it is on (see `orders.Said`)."""

    def remains(self) -> list[str]:
        """Say what is still to be seen of the fault, in a few words each; asked after the holder's death.

        The keeper asks a fault that it made for this from the same order, on which nothing else was called.
        """
        return []
