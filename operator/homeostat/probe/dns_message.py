"""DNS messages (RFC 1035), without a socket: the question that we ask, and what an answer says of it.

Names and records are read by dnspython, but only as many as we look at: a message of 64 KiB that consists of
nothing but compressed names keeps its general parser busy for seconds.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from homeostat.core.probing.result import Reason

if TYPE_CHECKING:
    from dns.rdata import Rdata
    from dns.rdtypes.ANY.TXT import TXT
    from dns.wire import Parser

_HEADER: Final = struct.Struct("!HHHHHH")  # id, flags, and how many questions, answers, authorities, additionals
_RECORD: Final = struct.Struct("!HHIH")  # type, class, time to live, length
_IS_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800
_IS_TRUNCATED: Final = 0x0200
_WANTS_RECURSION: Final = 0x0100
_RCODE: Final = 0x000F
_INTERNET: Final = 1
_NO_SUCH_NAME: Final = 3
_MAY_OMIT_QUESTION: Final = frozenset({1, 2, 4, 5})  # FORMERR, SERVFAIL, NOTIMP, REFUSED
_MOST_RECORDS: Final = 512
_WORDS: Final = {"CNAME": 1, "MX": 2, "NS": 1, "PTR": 1, "SOA": 7, "SRV": 4}


class Question(NamedTuple):
    """A question as it stands in messages (names in lower case), and the type of record that it asks for."""

    section: bytes
    record: int

    def message(self, number: int) -> bytes:
        """Give the query with the id `number`."""
        return _HEADER.pack(number, _WANTS_RECURSION, 1, 0, 0, 0) + self.section


@lru_cache(maxsize=1024)
def question_of(name: str, record: str) -> Question | None:
    """Give the question for `record` (`A`, `MX`, …) of a name, which is absolute; None when it is no such name."""
    import dns.exception  # noqa: PLC0415 - 70 ms, for those who probe DNS
    import dns.name  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    try:
        number = int(dns.rdatatype.from_text(record))
        wire = dns.name.from_text(name).to_wire()
    except (dns.exception.DNSException, ValueError):
        return None
    return None if wire is None else Question(wire.lower() + struct.pack("!HH", number, _INTERNET), number)


def canonical(record: str, value: str) -> str | None:
    """Give the one way to write a value of a record, for comparison; None when it can be no such value.

    Addresses as addresses, names in lower case and without the trailing dot, texts as they are.
    """
    if record == "TXT":
        return value
    words = value.lower().split()
    if record not in {"A", "AAAA"}:
        return " ".join(word.rstrip(".") for word in words) if len(words) == _WORDS.get(record) else None
    try:
        return str(IPv4Address(value) if record == "A" else IPv6Address(value))
    except ValueError:
        return None


def all_canonical(record: str, values: Iterable[str]) -> frozenset[str] | None:
    """Give `values` in canonical form; None when one of them can be no value of such a record."""
    written = {canonical(record, value) for value in values}
    return None if None in written else frozenset(value for value in written if value is not None)


def is_answer(message: bytes, number: int, question: Question) -> bool:
    """Say whether `message` answers the query with the id `number`; a failing server may leave the question out."""
    if len(message) < _HEADER.size:
        return False
    got, flags, questions, *_ = _HEADER.unpack_from(message)
    if got != number or flags & (_IS_RESPONSE | _OPCODE) != _IS_RESPONSE:
        return False
    if questions == 0:
        return flags & _RCODE in _MAY_OMIT_QUESTION
    end = _HEADER.size + len(question.section)
    return bool(questions == 1 and message[_HEADER.size : end].lower() == question.section)


def is_truncated(message: bytes) -> bool:
    """Say whether an answer was too large for a datagram."""
    return bool(_HEADER.unpack_from(message)[1] & _IS_TRUNCATED)


def judge(message: bytes, question: Question, record: str, expect: frozenset[str]) -> tuple[Reason, int]:
    """Give what an answer means and its response code; `expect` are canonical values that must be in it."""
    code = _HEADER.unpack_from(message)[1] & _RCODE
    if code:
        return (Reason.NO_SUCH_NAME if code == _NO_SUCH_NAME else Reason.NAME_SERVER_FAILED), code
    records = _records(message, question)
    if records is None:
        return Reason.PROTOCOL_ERROR, code
    if not records:
        return Reason.NO_SUCH_RECORD, code
    if expect and not expect <= {_value(record, found) for found in records}:
        return Reason.UNEXPECTED_ANSWER, code
    return Reason.OK, code


def _records(message: bytes, question: Question) -> list["Rdata"] | None:
    """Give the records of the type asked for, wherever a chain of CNAMEs led; None when the message is malformed."""
    import dns.exception  # noqa: PLC0415
    import dns.wire  # noqa: PLC0415

    count = _HEADER.unpack_from(message)[3]
    if count > _MOST_RECORDS:
        return None
    try:
        parser = dns.wire.Parser(message, _HEADER.size + len(question.section))
        records = [_record(parser, question.record) for _ in range(count)]
    except (dns.exception.DNSException, ValueError):
        return None
    return [record for record in records if record is not None]


def _record(parser: "Parser", wanted: int) -> "Rdata | None":
    """Read the next record; None when it is of another type."""
    import dns.rdata  # noqa: PLC0415
    from dns.rdataclass import RdataClass  # noqa: PLC0415
    from dns.rdatatype import RdataType  # noqa: PLC0415

    parser.get_name(decompress=True)
    kind, network, _, length = _RECORD.unpack(parser.get_bytes(_RECORD.size))
    if kind != wanted or network != _INTERNET:
        parser.get_bytes(length)
        return None
    with parser.restrict_to(length):
        return dns.rdata.from_wire_parser(RdataClass.IN, RdataType.make(kind), parser)


def _value(record: str, found: "Rdata") -> str | None:
    """Give a record's value in canonical form."""
    if record == "TXT":
        return b"".join(cast("TXT", found).strings).decode("utf-8", "surrogateescape")
    return canonical(record, found.to_text())
