"""One HTTP/1 exchange on one connection: our request out, a status code back, under a budget of raw bytes.

What is counted is what arrives, not what a parser makes of it: a header that never ends, a million headers,
chunk extensions, trailers and interim answers all cost the same. Nothing is decompressed. `Exchange` keeps nothing
of the body; it reads to the end, but not beyond the budget: a status that arrived is an answer even when the body
goes on forever, whereas a body that breaks off or stalls within the budget is a failure. `KeepingExchange` keeps
headers and body for those who look into them, and fails when they are too large.
"""

from typing import Final

import httptools
from typing_extensions import override

from homeostat.core.probing.result import Reason
from homeostat.probe.http.answer import Answer
from homeostat.probe.net.connection import Conversation

HEAD_BYTES: Final = 64 * 1024
BODY_BYTES: Final = 64 * 1024
MOST_HEADERS: Final = 512
_MOST_INTERIM: Final = 8
_SWITCHING = 101
_FIRST_FINAL = 200
_END_OF_HEAD = b"\r\n\r\n"


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

    def answer(self) -> Answer | None:
        """Give what was kept of the answer: nothing."""
        return None

    @override
    def begin(self) -> None:
        """Send the request."""
        self._parser = httptools.HttpResponseParser(self)
        self.write(self._wire)

    @override
    def take(self, data: bytes) -> None:
        """Parse what arrived, up to the budget, which grows with the end of the head."""
        while data and not self.ending.done():
            room = self._budget - self._received
            if not room:
                self._end_at_budget()
                return
            piece, data = data[:room], data[room:]
            self._received += len(piece)
            if not self._code:
                self._head += piece
            self._feed(piece)

    @override
    def finish(self) -> None:
        """End a response whose body lasts until the connection closes; anything else broke off."""
        if self._code and not is_framed(bytes(self._head)):
            self._end_with_status()
        else:
            super().finish()

    @override
    def abandon(self) -> None:
        """Close, and let go of the parser, which holds on to us."""
        self._parser = None
        super().abandon()

    def on_message_begin(self) -> None:
        """Notice what follows after the end of a response (called by httptools)."""
        if self._code:
            self.can_go_on = False

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
            self.can_go_on = self._is_clean(self._parser) and self._head.find(_END_OF_HEAD) == len(self._head) - 4
            self._end_with_status()

    def on_message_complete(self) -> None:
        """End with the status, unless it was an interim response (called by httptools)."""
        if self._code and self._parser is not None and not self.ending.done():
            self.can_go_on = self._is_clean(self._parser)
            self._end_with_status()

    def _is_clean(self, parser: httptools.HttpResponseParser) -> bool:
        """Say whether the response leaves a connection on which one can go on."""
        return not self._interim and self._code != _SWITCHING and parser.should_keep_alive()

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.can_go_on = False
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


class KeepingExchange(Exchange):
    """Ends like `Exchange`, but also keeps headers and body; BODY_TOO_LARGE beyond `most_body` bytes of the latter."""

    __slots__ = ("_body", "_headers", "_most_body")

    def __init__(self, wire: bytes, *, is_head_only: bool = False, most_body: int = BODY_BYTES) -> None:
        super().__init__(wire, is_head_only=is_head_only)
        self._most_body = most_body
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    @override
    def answer(self) -> Answer | None:
        """Give the answer as far as it came; None without a status."""
        if not self._code:
            return None
        headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._headers)
        return Answer(self._code, headers, bytes(self._body))

    @override
    def on_message_begin(self) -> None:
        """Forget the headers of an interim response (called by httptools)."""
        super().on_message_begin()
        if not self._code:
            self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, unless it is a trailer (called by httptools)."""
        if self._code:
            return
        if len(self._headers) < MOST_HEADERS:
            self._headers.append((name, value))
        else:
            self.end(Reason.HEADERS_TOO_LARGE)

    @override
    def on_headers_complete(self) -> None:
        """Leave room for the framing of the body, too: it is the body that must not be larger than it may."""
        super().on_headers_complete()
        if self._code:
            self._budget += 2 * self._most_body - BODY_BYTES

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body, up to what may be kept (called by httptools)."""
        if self.ending.done():
            return
        room = self._most_body - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self._end_at_budget()

    @override
    def _end_at_budget(self) -> None:
        self.end(Reason.BODY_TOO_LARGE if self._code else Reason.HEADERS_TOO_LARGE, self._code)


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
