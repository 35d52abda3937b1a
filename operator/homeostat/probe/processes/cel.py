"""Evaluates CEL expressions of tenants over answers of strangers, in processes of our own (`cel_worker.py`).

A worker is started with the first question, answers one at a time, and is killed and replaced when it takes too long
or dies. There are two lanes, each with a worker: an expression that once cost a worker its life is asked in the slow
lane from then on, where it holds up only its like.
"""

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from homeostat.core.probing.result import Reason
from homeostat.probe.http.answer import Answer
from homeostat.probe.processes.cel_worker import BODY, EXPRESSION, QUESTION, READY, REPLY
from homeostat.probe.processes.child import python, start

_PATIENCE = 10.0  # seconds for one reply, longest; the worker's own limit of processor time mostly ends it before
_START_SECONDS = 30.0  # a worker that is not ready by then is given up
_REST_SECONDS = 5.0  # no new start for so long after a worker that died before it was ready
_EXIT_SECONDS = 1.0
_TRIES = 2
_MOST_REPLY = 1 << 20  # bytes
_MOST_COSTLY = 1024
_REASONS: Final = {BODY: Reason.UNEXPECTED_BODY, EXPRESSION: Reason.INVALID_EXPRESSION}
_OUT_OF_TIME: Final = -signal.SIGPROF
_OUT_OF_MEMORY: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS})


class CelProcess:
    """Says what expressions give. `monotonic` gives seconds that never jump. Call `close` once at the end."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._quick = _Lane(monotonic)
        self._slow = _Lane(monotonic)
        self._costly: dict[Hashable, None] = {}

    async def evaluate(
        self, expressions: tuple[str, ...], answer: Answer, deadline: float
    ) -> tuple[object, ...] | Reason:
        """Give the value of each expression over `json`, `status` and `headers`, before `deadline`.

        A value is None, a bool, an int, a finite float, or a str of at most 4 KiB. Else a reason: UNEXPECTED_BODY
        when the answer is no JSON, lacks what is asked for or has something else there, INVALID_EXPRESSION when an
        expression cannot be compiled, costs too much or gives no such value of any answer, OUT_OF_RESOURCES when
        there was no time left for it, INTERNAL.
        """
        # Of a header that comes several times the first counts.
        head = {"expressions": expressions, "status": answer.status, "headers": dict(reversed(answer.headers))}
        values = await self._ask(expressions, head, answer.body, deadline)
        return values if isinstance(values, Reason) or len(values) == len(expressions) else Reason.INTERNAL

    async def matches(self, pattern: str, text: bytes, deadline: float) -> bool | Reason:
        """Say whether an RE2 expression matches somewhere in `text`, or why that cannot be said."""
        values = await self._ask(pattern, {"pattern": pattern}, text, deadline)
        return values if isinstance(values, Reason) else values == (True,)

    def close(self) -> None:
        """End the workers; questions that are still open end with INTERNAL."""
        self._quick.close()
        self._slow.close()

    async def _ask(
        self, key: Hashable, head: dict[str, Any], body: bytes, deadline: float
    ) -> tuple[object, ...] | Reason:
        text = json.dumps(head).encode()
        question = QUESTION.pack(len(text), len(body)) + text + body
        reason = Reason.INTERNAL
        for _ in range(_TRIES):
            lane = self._slow if key in self._costly else self._quick
            try:
                async with asyncio.timeout(deadline - self._monotonic()):
                    return _values(await lane.ask(question, partial(self._remember, key)))
            except OSError:  # a timeout, too; or there is no room for another process
                return Reason.OUT_OF_RESOURCES
            except _WorkerLostError as lost:
                reason = lost.reason
                if not lost.is_worth_a_try:
                    break
        return reason

    def _remember(self, key: Hashable) -> None:
        self._costly[key] = None
        if len(self._costly) > _MOST_COSTLY:
            del self._costly[next(iter(self._costly))]


class _WorkerLostError(Exception):
    """The worker died, and what that means for the question."""

    def __init__(self, reason: Reason, *, is_worth_a_try: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_worth_a_try = is_worth_a_try


class _Worker:
    """One process and the socket to it; raises OSError when it cannot be started, EOFError when it is gone."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.is_ready = False
        self.socket, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = start(python("homeostat.probe.processes.cel_worker"), theirs)
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)

    async def get_ready(self) -> None:
        """Wait until the worker can be asked. Whoever waits may give up, the worker goes on starting."""
        if self.is_ready:
            return
        await _readable(self.socket)
        if self.socket.recv(len(READY)) != READY:
            raise EOFError
        self.is_ready = True

    async def ask(self, question: bytes) -> bytes:
        """Give the reply. Whoever gives up waiting must kill the worker: the reply would be taken for another's."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, question)
        reply = bytearray()
        size = REPLY.size
        while len(reply) < size:
            piece = await loop.sock_recv(self.socket, 65_536)
            reply += piece
            if len(reply) >= REPLY.size:
                size = REPLY.size + REPLY.unpack_from(reply)[0]
            if not piece or size > _MOST_REPLY:
                raise EOFError
        return bytes(reply[REPLY.size :])

    def is_of_no_use(self, now: float) -> bool:
        """Say whether the worker died while nobody asked it, or will never be ready."""
        is_stuck = not self.is_ready and now - self.started > _START_SECONDS
        return is_stuck or (self.is_ready and self.process.poll() is not None)

    def kill(self) -> None:
        """End the process, and do not wait for it."""
        self.socket.close()
        self.process.kill()

    def exit_code(self) -> int | None:
        """Give the exit code of a process that was seen to end (a signal is negative); None if it is not over yet."""
        self.process.kill()  # changes nothing for one that is ending
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(_EXIT_SECONDS)
        return None


class _Lane:
    """A worker, and those who wait for their turn."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._ending: list[subprocess.Popen[bytes]] = []  # killed, not yet waited for
        self._rests_until = 0.0
        self._is_closed = False

    async def ask(self, question: bytes, on_loss: Callable[[], None]) -> bytes:
        """Give the reply; `on_loss` is called when the question cost a worker."""
        async with self._turn:
            worker = self._current()
            try:
                await worker.get_ready()
            except (EOFError, OSError) as error:
                self._discard(worker)
                self._rests_until = self._monotonic() + _REST_SECONDS
                raise _WorkerLostError(Reason.INTERNAL, is_worth_a_try=False) from error
            has_reply = False
            try:
                async with asyncio.timeout(_PATIENCE):
                    reply = await worker.ask(question)
                has_reply = True
            except (EOFError, ConnectionError) as error:
                raise _loss(worker.exit_code()) from error
            finally:
                if not has_reply:
                    on_loss()
                    self._discard(worker)
            return reply

    def close(self) -> None:
        """End the worker, and wait for it. Whoever waits for a reply closes the socket himself."""
        self._is_closed = True
        if self._worker is not None and self._turn.locked():
            self._worker.process.kill()
            self._ending.append(self._worker.process)
        elif self._worker is not None:
            self._discard(self._worker)
        for process in self._ending:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_EXIT_SECONDS)
        self._ending.clear()

    def _current(self) -> _Worker:
        now = self._monotonic()
        if self._worker is not None and self._worker.is_of_no_use(now):
            self._discard(self._worker)
        if self._worker is None:
            if self._is_closed or now < self._rests_until:
                raise _WorkerLostError(Reason.INTERNAL, is_worth_a_try=False)
            self._ending = [process for process in self._ending if process.poll() is None]
            self._worker = _Worker(now)
        return self._worker

    def _discard(self, worker: _Worker) -> None:
        worker.kill()
        self._ending.append(worker.process)
        self._worker = None


def _loss(exit_code: int | None) -> _WorkerLostError:
    """Say what a death means: whoever needs more time or memory than there is has asked too much."""
    if exit_code == _OUT_OF_TIME:
        return _WorkerLostError(Reason.INVALID_EXPRESSION, is_worth_a_try=False)
    # Little memory may have been left by those before: a fresh worker shows whose fault it is.
    reason = Reason.INVALID_EXPRESSION if exit_code in _OUT_OF_MEMORY else Reason.INTERNAL
    return _WorkerLostError(reason, is_worth_a_try=True)


def _values(reply: bytes) -> tuple[object, ...] | Reason:
    try:
        said = json.loads(reply)
        return _REASONS[said["failure"]] if "failure" in said else tuple(said["values"])
    except (ValueError, TypeError, KeyError):
        return Reason.INTERNAL


async def _readable(channel: socket.socket) -> None:
    """Wait until something can be read, and leave it there."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(channel, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(channel)
