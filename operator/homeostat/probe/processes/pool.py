"""Network probes in processes of their own, for more probes than one core can send (`probe/processes/pool_worker.py`).

A request goes to the process its peer belongs to, so that connections that are kept, names that were resolved and TLS
sessions are where they are wanted next. Questions of one turn of the loop go in one write, and so do answers. What a
process says is read as a stranger's word (`pool_wire.py`). One that says what it cannot know, is silent long
after a deadline, or dies, is killed and replaced; what it was asked then ends as our own error, never as a failure of
the target.
"""

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from homeostat.core.probing.request import (
    DnsRequest,
    GrpcRequest,
    HttpRequest,
    IcmpRequest,
    Request,
    StepsRequest,
    TcpRequest,
    TlsRequest,
)
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.net.address import Guard
from homeostat.probe.processes.child import python, start
from homeostat.probe.processes.pool_wire import READY, RECORD, Ask, GiveUp, Message, frame, reply_of

WORKER: Final = python("homeostat.probe.processes.pool_worker")
"""The command of a process; our process id is added to it."""

_MOST_OPEN: Final = 20_000  # questions to one process that are not answered yet
_MOST_UNSENT: Final = 16 << 20  # bytes that wait for one process to read them
_PIECE: Final = 1 << 18  # bytes read at once
_LOOK_EVERY: Final = 0.5  # seconds
_GRACE: Final = 2.0  # seconds after a deadline within which a process must have answered
_START_SECONDS: Final = 30.0  # a process that is not ready by then is given up
_LONG_LIFE: Final = 60.0  # seconds; the loss of a process that lived so long is not held against the next
_FIRST_REST: Final = 1.0  # seconds before the second start in a row; the first is at once, later ones rest longer
_LONGEST_REST: Final = 30.0
_EXIT_SECONDS: Final = 1.0
_NEVER: Final = float("inf")

_log = structlog.get_logger(__name__)


class ProberPool:
    """Runs requests in `processes` processes against what `guard` allows (implements `probe.prober.Network`).

    Made within a running loop: the processes start at once. `command` is what they run. Call `close` at the end.
    """

    def __init__(
        self,
        guard: Guard,
        processes: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        command: Sequence[str] = WORKER,
    ) -> None:
        self._monotonic = monotonic
        self._lanes = tuple(_Lane(number, guard, command, monotonic) for number in range(processes))
        self._looked_at = monotonic()
        self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)

    async def run(self, request: Request, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds), or soon after it when a process is lost."""
        lane = self._lanes[hash(_peer(request)) % len(self._lanes)]
        return await lane.ask(request, deadline)

    def close(self) -> None:
        """End the processes, and wait for them; questions that are still open end with INTERNAL."""
        self._timer.cancel()
        for lane in self._lanes:
            lane.close()

    def _look(self) -> None:
        """Look after the processes, unless it was we who slept: then their answers may wait to be read."""
        now = self._monotonic()
        if now - self._looked_at < 2 * _LOOK_EVERY:
            for lane in self._lanes:
                lane.look_after(now)
        self._looked_at = now
        self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)


@dataclass(slots=True)
class _Question:
    request: Request
    deadline: float
    waiter: "asyncio.Future[Ending]"

    def end(self, ending: Ending) -> None:
        """Tell whoever still waits."""
        if not self.waiter.done():
            self.waiter.set_result(ending)


class _Lane:
    """A process, what it was asked and has not answered, and its replacement."""

    def __init__(self, name: int, guard: Guard, command: Sequence[str], monotonic: Callable[[], float]) -> None:
        self._name = name
        self._guard = guard
        self._command = command
        self._monotonic = monotonic
        self._loop = asyncio.get_running_loop()
        self._child: _Child | None = None
        self._open: dict[int, _Question] = {}  # also those nobody waits for: the process still holds them
        self._asked = READY
        self._unsaid: list[Message] = []
        self._ending: list[subprocess.Popen[bytes]] = []  # killed, not yet waited for
        self._losses = 0  # in a row
        self._rests_until = 0.0
        self._start()

    async def ask(self, request: Request, deadline: float) -> Ending:
        """Give the answer. OUT_OF_RESOURCES when the process cannot take more, or cannot be there in time."""
        if self._child is None or self._child.unsent > _MOST_UNSENT or len(self._open) >= _MOST_OPEN:
            return Ending(Reason.OUT_OF_RESOURCES)
        self._asked += 1
        number = self._asked
        question = self._open[number] = _Question(request, deadline, self._loop.create_future())
        self._say(Ask(number, deadline, request))
        try:
            return await question.waiter
        finally:
            if number in self._open:  # whoever asked does not wait any more
                self._say(GiveUp(number))

    def look_after(self, now: float) -> None:
        """Start a process that is missing, replace one that is stuck, and let nobody wait long after a deadline."""
        self._ending = [process for process in self._ending if process.poll() is None]
        child = self._child
        if child is None:
            if now >= self._rests_until:
                self._start()
            return
        overdue = [question for question in self._open.values() if question.deadline < now - _GRACE]
        if overdue and child.ready_at < now - _GRACE:
            self._lose("silent")
        elif child.ready_at == _NEVER and child.started < now - _START_SECONDS:
            self._lose("not ready")
        for question in overdue:
            question.end(Ending(Reason.OUT_OF_RESOURCES))

    def close(self) -> None:
        """End the process, and wait for it."""
        self._rests_until = _NEVER
        if self._child is not None:
            self._discard(self._child)
        for process in self._ending:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_EXIT_SECONDS)

    # --- what is said ---------------------------------------------------------------------------------------

    def _say(self, message: Message) -> None:
        """Say it together with whatever else is said in this turn of the loop."""
        if not self._unsaid:
            self._loop.call_soon(self._flush)
        self._unsaid.append(message)

    def _flush(self) -> None:
        said, self._unsaid = self._unsaid, []
        if said and self._child is not None:
            self._child.write(frame(said, self._monotonic()))

    def _hear(self, child: "_Child", records: Iterable[tuple[Any, ...]]) -> None:
        try:
            for fields in records:
                self._take(child, fields)
        except (ValueError, KeyError):
            self._lose("garbage")

    def _take(self, child: "_Child", fields: tuple[Any, ...]) -> None:
        """Take an answer. Raises ValueError or KeyError when it is none to a question that is open."""
        number = fields[0]
        if number == READY and child.ready_at == _NEVER:
            child.ready_at = self._monotonic()
            return
        question = self._open[number]
        ending, where = reply_of(fields, question.request)
        del self._open[number]
        if where:
            _log.error("probe_internal_error", where=where)
        question.end(ending)

    # --- the process ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        now = self._monotonic()
        try:
            child = _Child(self._command, now, hear=self._hear, lose=self._lose)
        except OSError as error:
            self._rest(now, "not started", error=type(error).__name__)
            return
        self._child = child
        child.write(frame(self._guard, now))

    def _lose(self, why: str) -> None:
        child, now = self._child, self._monotonic()
        if child is None:
            return
        if now - child.started > _LONG_LIFE:
            self._losses = 0
        self._rest(now, why, pid=child.process.pid, open=len(self._open))
        self._discard(child)
        if now >= self._rests_until:
            self._start()

    def _rest(self, now: float, why: str, **details: object) -> None:
        rest = min(_FIRST_REST * 2.0 ** (self._losses - 1), _LONGEST_REST) if self._losses else 0.0
        self._losses += 1
        self._rests_until = now + rest
        _log.warning("probe process lost", process=self._name, why=why, in_a_row=self._losses, rest=rest, **details)

    def _discard(self, child: "_Child") -> None:
        """Kill the process; nobody will answer what it was asked."""
        self._child = None
        self._unsaid.clear()
        child.kill()
        self._ending.append(child.process)
        open_questions, self._open = self._open, {}
        for question in open_questions.values():
            question.end(Ending(Reason.INTERNAL))


class _Child:
    """One process and the socket to it: `hear` is given what it says, `lose` is called when it is gone.

    Raises OSError when it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        now: float,
        *,
        hear: "Callable[[_Child, Iterable[tuple[Any, ...]]], None]",
        lose: Callable[[str], None],
    ) -> None:
        self.started = now
        self.ready_at = _NEVER
        self._hear = hear
        self._lose = lose
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._heard = b""
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = start(command, theirs)
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._read)

    @property
    def unsent(self) -> int:
        """How many bytes wait for the process to read what came before."""
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Send `data` in its turn. That the process is gone is learnt from reading."""
        is_waiting = bool(self._unsent)
        self._unsent += data
        if not is_waiting:
            self._send()
            if self._unsent:
                self._loop.add_writer(self._socket, self._send)

    def kill(self) -> None:
        """End the process, and do not wait for it."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._socket.close()
        self.process.kill()

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose("ended")
            return
        heard = self._heard + data
        whole = len(heard) - len(heard) % RECORD.size
        self._heard = heard[whole:]
        self._hear(self, RECORD.iter_unpack(memoryview(heard)[:whole]))


def _peer(request: Request) -> Hashable:
    """Give what requests have in common that one process should send."""
    if isinstance(request, StepsRequest) and request.steps:
        return _peer(request.steps[0].request)
    if isinstance(request, HttpRequest | TcpRequest | GrpcRequest | TlsRequest):
        return (request.host, request.port, request.address)
    if isinstance(request, DnsRequest):
        return (request.server, request.server_port, request.name)
    return request.host if isinstance(request, IcmpRequest) else None
