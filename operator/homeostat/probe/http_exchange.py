"""One HTTP/1 exchange on one connection: our request out, a status code back, under a budget of raw bytes.

What is counted is what arrives, not what a parser makes of it: a header that never ends, a million headers,
chunk extensions, trailers and interim answers all cost the same. Nothing is decompressed, nothing of the body
is kept. The body is read to its end, but not beyond the budget: a status that arrived is an answer even when
the body goes on forever, whereas a body that breaks off or stalls within the budget is a failure.
"""

import asyncio
from typing import Final

import httptools
from typing_extensions import override

from homeostat.core.probing import Reason
from homeostat.probe.connection import Conversation

HEAD_BYTES: Final = 64 * 1024
BODY_BYTES: Final = 64 * 1024
_MOST_INTERIM: Final = 8
_SWITCHING = 101
_FIRST_FINAL = 200


class Exchange(Conversation):
    """Ends with Ok and the status code once the response is complete, or with what went wrong."""

    __slots__ = ("_budget", "_code", "_head", "_interim", "_is_head_only", "_parser", "_received", "_wire")

    def __init__(self, wire: bytes, *, is_head_only: bool = False) -> None:
        super().__init__()
        self._wire = wire
        self._is_head_only = is_head_only  # the answer to HEAD has no body, whatever its length says
        self._parser: httptools.HttpResponseParser | None = None
        self._head = bytearray()
        self._budget = HEAD_BYTES
        self._received = 0
        self._interim = 0
        self._code = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        super().connection_made(transport)
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is not None:
            self._transport.write(self._wire)

    @override
    def data_received(self, data: bytes) -> None:
        """Parse what arrived, up to the budget."""
        room = self._budget - self._received
        self._received += len(data)
        was_in_head = not self._code
        self._feed(data[:room])
        if self.ending.done():
            return
        if len(data) > room:
            self._end_at_budget()
        elif was_in_head:
            self._head += data

    @override
    def eof_received(self) -> None:
        """End a response whose body lasts until the connection closes; anything else broke off."""
        if self._code and not self.ending.done() and not is_framed(bytes(self._head)):
            self._end_with_status()

    @override
    def abandon(self) -> None:
        """Close, and let go of the parser, which holds on to us."""
        self._parser = None
        super().abandon()

    def on_headers_complete(self) -> None:
        """Take the status code of a final response; skip a few interim ones (called by httptools)."""
        if self._parser is None or self.ending.done():
            return
        code = self._parser.get_status_code()
        if code < _FIRST_FINAL and code != _SWITCHING:
            self._skip_interim()
            return
        self._code = code
        self._budget += BODY_BYTES
        if self._is_head_only or code == _SWITCHING:
            self._end_with_status()

    def on_message_complete(self) -> None:
        """End with the status, unless it was an interim response (called by httptools)."""
        if self._code:
            self._end_with_status()

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.end(Reason.PROTOCOL_ERROR, self._code)

    def _skip_interim(self) -> None:
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            self.end(Reason.PROTOCOL_ERROR)

    def _end_at_budget(self) -> None:
        if self._code:
            self._end_with_status()
        else:
            self.end(Reason.HEADERS_TOO_LARGE)

    def _end_with_status(self) -> None:
        self.end(Reason.OK, self._code)


class _Framing:
    """Listens to a parser for the headers that say how long a body is; the last response counts."""

    def __init__(self) -> None:
        self.is_framed = False

    def on_message_begin(self) -> None:
        self.is_framed = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        self.is_framed |= name.lower() in {b"content-length", b"transfer-encoding"}


def is_framed(head: bytes) -> bool:
    """Say whether a response that begins with `head` (all of its header, valid) declares where its body ends."""
    framing = _Framing()
    httptools.HttpResponseParser(framing).feed_data(head)
    return framing.is_framed
