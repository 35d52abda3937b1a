"""One request over HTTP/2, as a conversation: what HTTP probes and gRPC probes have in common.

The answer is read to its end, but not beyond the budgets of `http2_frames`. Without `keeps_body`, a status that came
is an answer even when what follows goes on forever, as over HTTP/1.
"""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from homeostat.probe.http.answer import Answer
from homeostat.probe.net.connection import Conversation

if TYPE_CHECKING:
    from homeostat.probe.http2.call import Call

HeaderList = tuple[tuple[str, str], ...]


class Http2Stream(Conversation):
    """Asks with `headers` (pseudo headers first) and `body`; ends with OK and the status, or with what went wrong.

    `secret` are more headers, which nobody on the way may keep for compression.
    """

    __slots__ = ("_body", "_call", "_headers", "_keeps_body", "_secret")

    protocol: ClassVar[str] = "h2"

    def __init__(self, headers: HeaderList, body: bytes = b"", *, secret: HeaderList = (), keeps_body: bool) -> None:
        super().__init__()
        self._headers = headers
        self._secret = secret
        self._body = body
        self._keeps_body = keeps_body
        self._call: Call | None = None

    def answer(self) -> Answer | None:
        """Give the answer as far as it came; None without a status, or when its body was not to be kept."""
        if self._call is None or not self._call.status or not self._keeps_body:
            return None
        return Answer(self._call.status, _text(self._call.headers), bytes(self._call.body))

    def trailers(self) -> HeaderList:
        """Give the headers that came after the body."""
        return () if self._call is None else _text(self._call.trailers)

    @override
    def begin(self) -> None:
        """Send the request."""
        if self.ending.done():
            return
        from homeostat.probe.http2.call import Call  # noqa: PLC0415 - h2 is big, and most operators never need it

        self._call = Call(self._headers, self._body, secret=self._secret, keeps_body=self._keeps_body)
        self.write(self._call.take_outgoing())

    @override
    def take(self, data: bytes) -> None:
        """Go on with what arrived."""
        if self._call is None:
            return
        reason = self._call.receive(data)
        outgoing = self._call.take_outgoing()
        if reason is not None:
            self.end(reason, self._call.status)
        elif outgoing:
            self.write(outgoing)

    @override
    def abandon(self) -> None:
        """Close, and let go of what the call holds."""
        if self._call is not None:
            if not self._call.is_complete:
                self._say_farewell()
            self._call.close()
        super().abandon()

    def _say_farewell(self) -> None:
        """Take the request back before the connection is cut: an application on Node.js may die of a mere cut."""
        from homeostat.probe.http2.call import FAREWELL  # noqa: PLC0415 - as above

        if self._transport is not None and not self._transport.is_closing():
            with suppress(ssl.SSLError):
                self.write(FAREWELL)


def _text(headers: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
