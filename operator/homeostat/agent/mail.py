"""How the keeper hears the operator and speaks to it: lines on standard input and output.

Whoever is attached comes and goes, so the end of the input is not the end: it is looked at again.
"""

import os
import select
from contextlib import suppress

from homeostat.core.orders import LONGEST_LINE, Said

_OUTPUT = 1


class Mail:
    """The lines that come in on a file descriptor."""

    def __init__(self, descriptor: int, again_seconds: float) -> None:
        self._descriptor = descriptor
        self._again_seconds = again_seconds
        self._again = 0.0
        """When to look at an input that was at its end."""
        self._rest = b""

    def register(self, poll: select.poll, now: float) -> float:
        """Have `poll` wait for input, unless it is at its end; give the seconds after which to look without that."""
        if now < self._again:
            return self._again - now
        poll.register(self._descriptor, select.POLLIN)
        return self._again_seconds

    def lines(self, now: float) -> list[bytes]:
        """Give the lines that have come; a line that is too long is nobody's and dropped."""
        if now < self._again or not _has_something(self._descriptor):
            return []
        data = b""
        with suppress(OSError):
            data = os.read(self._descriptor, LONGEST_LINE)
        if not data:
            self._again = now + self._again_seconds
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        return lines


def say(said: Said) -> None:
    """Write a line for the operator. One that cannot be written is lost: nobody waits for a reader who is gone."""
    os.set_blocking(_OUTPUT, False)
    with suppress(OSError):
        os.write(_OUTPUT, said.line())


def _has_something(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
