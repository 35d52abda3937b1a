"""Connections that stand and wait for the next probe of the same peer.

They are few, they wait for a minute at most and live for five, so that the certificate and the way to the server are
looked at now and then. Whatever a peer does while nobody asks it anything closes its connection.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from typing_extensions import override

from homeostat.probe.net.tls_session import Session

IDLE_SECONDS: Final = 60.0
AGE_SECONDS: Final = 300.0
MOST_LINES: Final = 8192  # 1 KB each
MOST_ENCRYPTED: Final = 512  # 35 KB each
_SHARE_OF_FILES = 4  # no more than a quarter of the files we may open


class Line(NamedTuple):
    """A connection that stands, TLS included. `since` is when it was opened (monotonic seconds)."""

    transport: asyncio.Transport
    session: Session | None
    not_after: float
    since: float


class IdleLines:
    """Keeps lines by key. When it is full, the next one is closed: whoever came first is served best that way."""

    __slots__ = ("_encrypted", "_lines", "_monotonic", "_most", "_order", "_timer")

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_LINES) -> None:
        self._monotonic = monotonic
        self._most = min(most, _most_files() // _SHARE_OF_FILES)
        self._encrypted = 0
        self._lines: dict[Hashable, list[_Waiting]] = {}
        self._order: dict[_Waiting, None] = {}  # the one that waits longest is the first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._order)

    def take(self, key: Hashable) -> Line | None:
        """Give the line with `key` that was used last, if there is one that is still good."""
        while (waiting := self._pop(key)) is not None:
            line = waiting.line
            if not line.transport.is_closing() and self._monotonic() - line.since < AGE_SECONDS:
                return line
            line.transport.abort()
        return None

    def keep(self, key: Hashable, line: Line) -> None:
        """Keep a line, or close it when there are too many."""
        if len(self._order) >= self._most or (line.session is not None and self._encrypted >= MOST_ENCRYPTED):
            line.transport.abort()
            return
        waiting = _Waiting(self, key, line, self._monotonic() + IDLE_SECONDS)
        line.transport.set_protocol(waiting)
        self._lines.setdefault(key, []).append(waiting)
        self._order[waiting] = None
        self._encrypted += line.session is not None
        if self._timer is None:
            self._wait()

    def drop(self, waiting: "_Waiting") -> None:
        """Close a line that waits, if it still does."""
        if waiting not in self._order:
            return
        self._forget(waiting)
        lines = self._lines[waiting.key]
        lines.remove(waiting)
        if not lines:
            del self._lines[waiting.key]
        waiting.line.transport.abort()

    def close(self) -> None:
        """Close all lines."""
        for waiting in tuple(self._order):
            self.drop(waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pop(self, key: Hashable) -> "_Waiting | None":
        lines = self._lines.get(key)
        if lines is None:
            return None
        waiting = lines.pop()
        if not lines:
            del self._lines[key]
        self._forget(waiting)
        return waiting

    def _forget(self, waiting: "_Waiting") -> None:
        del self._order[waiting]
        self._encrypted -= waiting.line.session is not None

    def _wait(self) -> None:
        oldest = next(iter(self._order))
        seconds = oldest.until - self._monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 1.0), self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._monotonic()
        for waiting in tuple(self._order):
            if waiting.until > now:
                break
            self.drop(waiting)
        if self._order:
            self._wait()


class _Waiting(asyncio.Protocol):
    """Listens to a line on which nobody speaks."""

    __slots__ = ("_pool", "key", "line", "until")

    def __init__(self, pool: IdleLines, key: Hashable, line: Line, until: float) -> None:
        self._pool = pool
        self.key = key
        self.line = line
        self.until = until

    @override
    def data_received(self, data: bytes) -> None:
        """Close the line: what comes now would be taken for the answer to the next request."""
        self._pool.drop(self)

    @override
    def eof_received(self) -> None:
        """Close the line."""
        self._pool.drop(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the line."""
        self._pool.drop(self)


def _most_files() -> int:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most
