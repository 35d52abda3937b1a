"""The TCP probe: a connection can be opened and, if that is asked for, the server says what it should.

With nothing to expect it knocks: it says what it has to say, and closes at once.
"""

from typing import Final

from typing_extensions import override

from homeostat.core.probing.request import TcpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.expression import Expression, as_utf8, compiled
from homeostat.probe.net.address import is_dialable
from homeostat.probe.net.connection import Conversation, Dialer, Peer

_MOST_INSTRUCTIONS: Final = 2048  # of an expression: some 40 ms for the 4 KiB, at worst
_MOST_BYTES: Final = 4096
# Instructions times bytes in all: each piece that arrives makes us search what came before it again.
_MOST_WORK: Final = 2 * _MOST_INSTRUCTIONS * _MOST_BYTES


class TcpProbe:
    """Connects once."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def run(self, request: TcpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        if not is_dialable(request.host, request.port):
            return Ending(Reason.INVALID_REQUEST)
        conversation = _conversation(request)
        if conversation is None:
            return Ending(Reason.INVALID_EXPRESSION)
        return await self._dialer.hold(conversation, Peer(request.host, request.port, request.address), deadline)


def _conversation(request: TcpRequest) -> Conversation | None:
    """Give what is to be said; None when what is expected cannot be compiled, or would take too long."""
    if not request.expect:
        return _Knock(request.send)
    expected = compiled(request.expect)
    if expected is None or expected.programsize > _MOST_INSTRUCTIONS:
        return None
    return _Talk(request.send, expected)


class _Knock(Conversation):
    """Ends with Ok as soon as the connection stands."""

    __slots__ = ("_word",)

    def __init__(self, word: bytes) -> None:
        super().__init__()
        self._word = word

    @override
    def begin(self) -> None:
        if self._word:
            self.write(self._word)
        self.end(Reason.OK)


class _Talk(Conversation):
    """Ends with Ok once what the server said matches; it has 4 KiB for that."""

    __slots__ = ("_expected", "_heard", "_word", "_work")

    def __init__(self, word: bytes, expected: Expression) -> None:
        super().__init__()
        self._word = word
        self._expected = expected
        self._heard = bytearray()
        self._work = 0

    @override
    def begin(self) -> None:
        if self._word:
            self.write(self._word)

    @override
    def take(self, data: bytes) -> None:
        self._heard += data[: _MOST_BYTES - len(self._heard)]
        self._work += self._expected.programsize * len(self._heard)
        if self._expected.search(as_utf8(bytes(self._heard))) is not None:
            self.end(Reason.OK)
        elif len(self._heard) == _MOST_BYTES or self._work >= _MOST_WORK:
            self.end(Reason.UNEXPECTED_ANSWER)

    @override
    def finish(self) -> None:
        self.end(Reason.UNEXPECTED_ANSWER)
