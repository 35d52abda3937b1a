"""Heads of HTTP/1 messages: what it takes to know where a message ends. Bytes in, facts out; nothing is rewritten."""

import re
from dataclasses import dataclass
from typing import Final, Self

from homeostat.agent.http.body import Body, Chunked, Counted, UntilEnd

LONGEST_HEAD: Final = 65536
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST: Final = re.compile(rb"(" + _TOKEN + rb"{1,24}) [^ \r\n]+ HTTP/1\.([01])\r?\n")
_BEGINNING: Final = re.compile(_TOKEN + rb"{1,24}(?: [^\r\n]*\r?)?")
_RESPONSE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])[^\n]*\n")
_FIELD: Final = re.compile(rb"^(" + _TOKEN + rb"+):[ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_SWITCHING: Final = 101
_FIRST_FINAL: Final = 200
_WITHOUT_BODY: Final = frozenset({204, 304})


class Unreadable(Exception):
    """What came is not HTTP/1, or says two things about its own length."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a head that frame a message."""

    length: int | None
    is_chunked: bool
    has_encoding: bool
    connection: frozenset[bytes]
    expects_continue: bool
    upgrades: bool

    @classmethod
    def read(cls, head: bytes) -> Self:
        """Read them; raises Unreadable where the length is none or there are two."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in _FIELD.findall(head):
            found.setdefault(name.lower(), []).append(value.lower())
        codings = [coding.strip() for value in found.get(b"transfer-encoding", []) for coding in value.split(b",")]
        return cls(
            length=_length_of(found.get(b"content-length", [])),
            is_chunked=codings[-1:] == [b"chunked"],
            has_encoding=bool(codings),
            connection=frozenset(word.strip() for value in found.get(b"connection", []) for word in value.split(b",")),
            expects_continue=b"100-continue" in found.get(b"expect", []),
            upgrades=b"upgrade" in found,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. `raw` is all of it as it came, with the empty line."""

    raw: bytes
    method: bytes
    is_old: bool
    fields: Fields

    @property
    def may_switch(self) -> bool:
        """Whether what follows its answer may be no HTTP/1 any more."""
        return self.fields.upgrades or self.method == b"CONNECT"

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with its answer."""
        return self.is_old or b"close" in self.fields.connection

    def body(self) -> Body:
        """Give what follows the head."""
        if self.fields.is_chunked:
            return Chunked()
        return Counted(self.fields.length or 0)


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response, to a request of `method`."""

    raw: bytes
    status: int
    method: bytes
    fields: Fields

    @property
    def is_interim(self) -> bool:
        """Whether another head follows."""
        return self.status < _FIRST_FINAL and self.status != _SWITCHING

    @property
    def switches(self) -> bool:
        """Whether what follows is no HTTP/1 any more."""
        return self.status == _SWITCHING or (self.method == b"CONNECT" and self.status // 100 == 2)  # noqa: PLR2004

    def body(self) -> Body:
        """Give what follows the head."""
        if self.method == b"HEAD" or self.status in _WITHOUT_BODY or self.status < _FIRST_FINAL:
            return Counted(0)
        if self.fields.is_chunked:
            return Chunked()
        if self.fields.length is None or self.fields.has_encoding:
            return UntilEnd()
        return Counted(self.fields.length)


def read_request(data: bytes | bytearray) -> Request | None:
    """Read the head of a request; None while it is not all there. Raises Unreadable as soon as it can be none."""
    raw = _head_of(data)
    if raw is None:
        if not _may_become_a_request(bytes(data).lstrip(b"\r\n")):
            raise Unreadable
        return None
    line = _REQUEST.match(raw.lstrip(b"\r\n"))
    if line is None:
        raise Unreadable
    fields = Fields.read(raw)
    if fields.has_encoding and (not fields.is_chunked or fields.length is not None):
        raise Unreadable
    return Request(raw, line[1], line[2] == b"0", fields)


def read_response(data: bytes | bytearray, method: bytes) -> Response | None:
    """Read the head of a response to a request of `method`; None while it is not all there. Raises Unreadable."""
    raw = _head_of(data)
    if raw is None:
        if data[:7] != b"HTTP/1."[: len(data)]:
            raise Unreadable
        return None
    line = _RESPONSE.match(raw)
    if line is None:
        raise Unreadable
    return Response(raw, int(line[2]), method, Fields.read(raw))


def _may_become_a_request(text: bytes) -> bool:
    """Whether a request can begin so: the first line tells, and of a line that is not all there its first word."""
    if b"\n" in text:
        return _REQUEST.match(text) is not None
    return not text or _BEGINNING.fullmatch(text) is not None


def _head_of(data: bytes | bytearray) -> bytes | None:
    """Give the head with its empty line; None while that is not there. Raises Unreadable when it is too long."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    end = _END_OF_HEAD.search(data, start)
    if end is not None:
        return bytes(data[: end.end()])
    if len(data) > LONGEST_HEAD:
        raise Unreadable
    return None


def _length_of(values: list[bytes]) -> int | None:
    lengths = {length.strip() for value in values for length in value.split(b",")}
    if not lengths:
        return None
    (length, *others) = lengths
    if others or not length.isdigit():
        raise Unreadable
    return int(length)
