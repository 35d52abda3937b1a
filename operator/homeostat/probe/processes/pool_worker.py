"""A process that sends network probes and nothing else. Started and ended by `probe/processes/pool.py`.

It has no credentials: its environment is scrubbed, it inherits one socket, and the secrets it sees are those of the
requests it sends. It answers each question once (`pool_wire.py`), also one that was given up, and ends with its
parent.
"""

import asyncio
import gc
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Final, cast

import uvloop
from typing_extensions import override

from homeostat.core.probing.request import IcmpRequest, Request
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.network import NetworkProbes
from homeostat.probe.processes.confinement import confine
from homeostat.probe.processes.pool_wire import FRAME, READY, Ask, GiveUp, record

_EXPENDABLE: Final = 500  # rather us than the operator, rather what evaluates expressions than us
_LATE_SHARE: Final = 0.1  # of its time that a question may wait for us; a timeout after that is our own fault
_COLLECT_AFTER: Final = 50_000  # objects; a probe leaves nothing behind that only the collector could find
_ANYTHING: Final = IcmpRequest("")


class Worker(asyncio.Protocol):
    """Runs what it is asked on `make_probes(guard)`, and calls `leave` when the parent is gone."""

    def __init__(
        self, make_probes: Callable[[Any], NetworkProbes], monotonic: Callable[[], float], leave: Callable[[], None]
    ) -> None:
        self._make_probes = make_probes
        self._monotonic = monotonic
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._probes: NetworkProbes | None = None
        self._running: dict[int, asyncio.Task[Ending]] = {}
        self._heard = bytearray()
        self._leaving: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        """Do what the frames say that are complete."""
        self._heard += data
        for content, sent in self._frames():
            if self._probes is None:
                self._probes = self._make_probes(content)
                self._reply(record(READY, Ending(Reason.OK), _ANYTHING))
            else:
                for message in content:
                    self._heed(self._probes, message, sent)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Leave with the parent."""
        self._leave()

    def _frames(self) -> Iterator[tuple[Any, float]]:
        while len(self._heard) >= FRAME.size:
            length, sent = FRAME.unpack_from(self._heard)
            end = FRAME.size + length
            if len(self._heard) < end:
                return
            pickled = bytes(self._heard[FRAME.size : end])
            del self._heard[:end]
            yield pickle.loads(pickled), sent  # noqa: S301 - our parent's

    def _heed(self, probes: NetworkProbes, message: Ask | GiveUp, sent: float) -> None:
        if isinstance(message, GiveUp):
            running = self._running.get(message.number)
            if running is not None:
                running.cancel()
            return
        number, deadline, request = message
        task = self._loop.create_task(self._run(probes, request, deadline, sent))
        self._running[number] = task
        task.add_done_callback(partial(self._end, number, request))

    async def _run(self, probes: NetworkProbes, request: Request, deadline: float, sent: float) -> Ending:
        began = self._monotonic()
        if began >= deadline:
            return Ending(Reason.OUT_OF_RESOURCES)
        ending = await probes.run(request, deadline)
        if ending.reason is Reason.TIMEOUT and began - sent > _LATE_SHARE * (deadline - sent):
            return ending._replace(reason=Reason.OUT_OF_RESOURCES)
        return ending

    def _end(self, number: int, request: Request, task: "asyncio.Task[Ending]") -> None:
        """Reply, also when the task never began."""
        del self._running[number]
        try:
            said = record(number, task.result(), request)
        except asyncio.CancelledError:
            said = record(number, Ending(Reason.OUT_OF_RESOURCES), request)
        except Exception as bug:  # noqa: BLE001 - a bug of ours must not end the process
            said = record(number, Ending(Reason.INTERNAL), request, _place(bug))
        self._reply(said)

    def _reply(self, said: bytes) -> None:
        """Say it together with whatever else is said in this turn of the loop."""
        if not self._leaving:
            self._loop.call_soon(self._flush)
        self._leaving.append(said)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._leaving))
        self._leaving.clear()


def _place(bug: Exception) -> str:
    """Name the kind of a bug and where it is, without its text: that may quote what a server sent."""
    frame = extract_tb(bug.__traceback__)[-1]
    path = PurePath(frame.filename)
    return f"{type(bug).__name__}:{path.parent.name}.{path.stem}:{frame.lineno}"[-48:]


async def _serve() -> None:
    def worker() -> Worker:
        make_probes = partial(NetworkProbes, wall=time.time)  # noqa: TID251 - certificates expire by the wall's clock
        return Worker(make_probes, time.monotonic, leave=partial(os._exit, 0))

    loop = asyncio.get_running_loop()
    channel = socket.socket(fileno=0)
    channel.setblocking(False)
    await loop.create_unix_connection(worker, sock=channel)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    await loop.create_future()


if __name__ == "__main__":
    confine(int(sys.argv[1]), expendable=_EXPENDABLE)
    uvloop.run(_serve())
