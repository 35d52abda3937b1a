"""From a name to checked addresses: cached for a moment, one lookup per name at a time, in threads of its own.

`getaddrinfo` blocks and cannot be stopped, so a probe only waits for it until its deadline. A slow name server
must not look like the failure of a name that never got its turn: that is our own lack of threads. Names that were
slow once have threads of their own from then on, so that they hold up only their like.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from homeostat.core.probing.result import Reason
from homeostat.probe.net.address import Guard, is_address
from homeostat.probe.net.files import are_used_up
from homeostat.probe.net.threads import DaemonThreads

Lookup = Callable[[str], tuple[str, ...]]
"""Gives the addresses of a name; may block. Raises OSError (`socket.gaierror`) when there are none."""

Found = tuple[str, ...] | Reason
"""Checked addresses to try in this order, or why there are none."""

_POSITIVE_SECONDS = 5.0
_NEGATIVE_SECONDS = 1.0
_MOST_NAMES = 4096
_MOST_TRIES = 4
_THREADS = 16  # for names of either kind
_SLOW_SECONDS = 1.0


class _Answer(NamedTuple):
    found: Found
    until: float


class _Outcome(NamedTuple):
    found: Found
    is_slow: bool


@dataclass(frozen=True, slots=True)
class _Flight:
    work: Future[_Outcome]
    landed: asyncio.Future[_Outcome]


def system_lookup(host: str) -> tuple[str, ...]:
    """Ask the system's resolver, which also reads odd spellings of addresses (decimal, octal, hex)."""
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


class Resolver:
    """Resolves names and checks **every** address they have: one that is denied refuses the name (H9)."""

    def __init__(self, guard: Guard, lookup: Lookup, monotonic: Callable[[], float]) -> None:
        self._guard = guard
        self._lookup = lookup
        self._monotonic = monotonic
        self._answers: dict[str, _Answer] = {}
        self._flights: dict[str, _Flight] = {}
        self._slow: dict[str, None] = {}
        self._threads: DaemonThreads[_Outcome] = DaemonThreads(_THREADS, "resolve")
        self._slow_threads: DaemonThreads[_Outcome] = DaemonThreads(_THREADS, "resolve-slow")

    async def resolve(self, host: str, deadline: float) -> Found:
        """Give the checked addresses of a name or literal, or why there are none, before `deadline` (monotonic)."""
        now = self._monotonic()
        answer = self._answers.get(host)
        if answer is not None and answer.until > now:
            return answer.found
        if is_address(host):
            return self._keep(host, self._check((host,)))
        flight = self._flights.get(host)
        if flight is None:
            if len(self._flights) >= _MOST_NAMES:
                return Reason.OUT_OF_RESOURCES
            flight = self._start(host)
        return await _wait(flight, deadline - now)

    def close(self) -> None:
        """Let go of all lookups; those that run end by themselves."""
        for flight in tuple(self._flights.values()):
            flight.landed.cancel()
        self._threads.close()
        self._slow_threads.close()

    def _start(self, host: str) -> _Flight:
        threads = self._slow_threads if host in self._slow else self._threads
        work = threads.submit(partial(self._find, host))
        flight = _Flight(work, asyncio.wrap_future(work))
        self._flights[host] = flight
        flight.landed.add_done_callback(lambda landed: self._land(host, landed))
        return flight

    def _land(self, host: str, landed: asyncio.Future[_Outcome]) -> None:
        del self._flights[host]
        if landed.cancelled() or landed.exception() is not None:
            return
        found, is_slow = landed.result()
        self._keep(host, found)
        self._slow.pop(host, None)
        if is_slow:
            self._slow[host] = None
        if len(self._slow) > _MOST_NAMES:
            del self._slow[next(iter(self._slow))]

    def _keep(self, host: str, found: Found) -> Found:
        if len(self._answers) >= _MOST_NAMES:
            del self._answers[next(iter(self._answers))]
        seconds = _NEGATIVE_SECONDS if isinstance(found, Reason) else _POSITIVE_SECONDS
        self._answers[host] = _Answer(found, self._monotonic() + seconds)
        return found

    def _find(self, host: str) -> _Outcome:
        started = self._monotonic()
        found = self._find_now(host)
        return _Outcome(found, self._monotonic() - started > _SLOW_SECONDS)

    def _find_now(self, host: str) -> Found:
        try:
            return self._check(self._lookup(host))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
            is_out_of_memory = isinstance(error, socket.gaierror) and error.errno == socket.EAI_MEMORY
            return Reason.OUT_OF_RESOURCES if is_out_of_memory or are_used_up() else Reason.NAME_NOT_RESOLVED

    def _check(self, addresses: tuple[str, ...]) -> Found:
        if not all(self._guard.allows(address) for address in addresses):
            return Reason.ADDRESS_NOT_ALLOWED
        return addresses[:_MOST_TRIES] or Reason.NAME_NOT_RESOLVED


async def _wait(flight: _Flight, seconds: float) -> Found:
    await asyncio.wait((flight.landed,), timeout=max(seconds, 0.0))
    if flight.landed.cancelled():  # by `close`
        return Reason.OUT_OF_RESOURCES
    if flight.landed.done():
        return flight.landed.result().found
    return Reason.TIMEOUT if flight.work.running() else Reason.OUT_OF_RESOURCES
