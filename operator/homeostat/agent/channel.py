"""The wire between keeper and holder: what is said up, the beats down, each a message of its own.

A beat goes down with the seconds for which the holder may live on from then: the keeper alone knows the lease.
"""

import socket
from contextlib import suppress

from homeostat.core.orders import LONGEST_LINE, Said


class Channel:
    """One end of the wire."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Make both ends: the keeper's and the holder's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """Give the file descriptor, to wait for."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def say(self, said: Said) -> None:
        """Tell the keeper; one that does not listen misses it."""
        with suppress(BlockingIOError, BrokenPipeError, ConnectionError):
            self._end.send(said.line())

    def hear(self) -> Said | None:
        """Give what the holder said; None when there is nothing."""
        try:
            line = self._end.recv(LONGEST_LINE)
        except (BlockingIOError, ConnectionError):
            return None
        return Said.read(line) if line else None

    def beat(self, number: int, seconds: float) -> None:
        """Pass a beat on; a holder that does not take it has to do without."""
        with suppress(BlockingIOError, BrokenPipeError, ConnectionError):
            self._end.send(f"{number} {seconds!r}".encode())

    def beaten(self) -> tuple[int, float] | None:
        """Give the next beat's number and seconds; None when there is none yet. Raises EOFError at the keeper's end."""
        try:
            line = self._end.recv(LONGEST_LINE)
        except BlockingIOError:
            return None
        if not line:
            raise EOFError
        number, seconds = line.split()
        return int(number), float(seconds)
