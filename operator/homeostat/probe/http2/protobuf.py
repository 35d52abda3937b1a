"""The little of Protocol Buffers that the health protocol of gRPC needs: one string out, one enum in."""

from enum import IntEnum

_MOST_VARINT_BYTES = 10
_MOST_64_BITS = (1 << 64) - 1
_INT32 = (1 << 32) - 1


class _Wire(IntEnum):
    VARINT = 0
    EIGHT_BYTES = 1
    LENGTH = 2
    FOUR_BYTES = 5


def write_string(field: int, text: str) -> bytes:
    """Give a message with one string field; the default, an empty one, is left out."""
    value = text.encode()
    return _varint(field << 3 | _Wire.LENGTH) + _varint(len(value)) + value if value else b""


def read_enum(message: bytes, field: int) -> int | None:
    """Give an enum field of a message: 0 when it is not there, None when the message cannot be read.

    The last of several counts; fields we do not know are skipped.
    """
    value, at = 0, 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag >> 3 == 0:
            return None
        content, at = _read_value(message, at, tag & 7)
        if at > len(message):
            return None
        if tag == field << 3 | _Wire.VARINT:
            value = content & _INT32
    return value


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*written, number))


def _read_value(message: bytes, at: int, wire: int) -> tuple[int, int]:
    """Give the number that a field holds, if it holds one, and where the next field begins."""
    if wire == _Wire.VARINT:
        return _read_varint(message, at)
    if wire == _Wire.LENGTH:
        length, at = _read_varint(message, at)
        return 0, at + length
    if wire in {_Wire.EIGHT_BYTES, _Wire.FOUR_BYTES}:
        return 0, at + (8 if wire == _Wire.EIGHT_BYTES else 4)
    return 0, len(message) + 1  # groups were never in this protocol


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Give a number and where it ends: beyond the message when it is not whole."""
    number = 0
    for index, byte in enumerate(message[at : at + _MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * index)
        if byte <= 0x7F:  # noqa: PLR2004 - the last byte has its high bit clear
            return number & _MOST_64_BITS, at + index + 1
    return 0, len(message) + 1
