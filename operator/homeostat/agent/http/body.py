"""Where the body of an HTTP/1 message ends: told by a count, by chunks, or by the end of the connection."""

import re
from typing import Final, Protocol

_SIZE: Final = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_LONGEST_LINE: Final = 8192


class BadChunk(Exception):
    """What came is no chunk: where the body ends is not known."""


class Body(Protocol):
    """The bytes of one body, as they pass."""

    @property
    def is_over(self) -> bool:
        """Whether all of it has passed."""
        ...

    def take(self, data: bytes | bytearray) -> int:
        """Give how many of the bytes to come belong to it; 0 with some left asks for more at once. Raises BadChunk."""
        ...


class Counted:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_over(self) -> bool:
        """Whether all of it has passed."""
        return self._left == 0

    def take(self, data: bytes | bytearray) -> int:
        """Give how many of the bytes belong to it."""
        taken = min(self._left, len(data))
        self._left -= taken
        return taken


class UntilEnd:
    """A body that ends with the connection."""

    is_over = False

    def take(self, data: bytes | bytearray) -> int:
        """Give how many of the bytes belong to it: all."""
        return len(data)


class Chunked:
    """A body in chunks, each after a line with its size; an empty chunk, fields and an empty line end it."""

    def __init__(self) -> None:
        self._left = 0
        """Bytes of the chunk that are still to pass, its line end included."""
        self._is_in_trailer = False
        self.is_over = False

    def take(self, data: bytes | bytearray) -> int:
        """Give how many of the bytes belong to it; a line that is not all there is left for later. Raises BadChunk."""
        at = 0
        while at < len(data) and not self.is_over:
            if self._left:
                passed = min(self._left, len(data) - at)
                self._left -= passed
                at += passed
                continue
            line = self._line(data, at)
            if line is None:
                break
            at += len(line)
            self._read(line)
        return at

    def _line(self, data: bytes | bytearray, at: int) -> bytes | None:
        end = data.find(b"\n", at)
        if end >= 0:
            return bytes(data[at : end + 1])
        if len(data) - at > _LONGEST_LINE:
            raise BadChunk
        return None

    def _read(self, line: bytes) -> None:
        if self._is_in_trailer:
            self.is_over = not line.strip()
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise BadChunk
        self._left = int(size[1], 16)
        self._is_in_trailer = self._left == 0
        if self._left:
            self._left += len(b"\r\n")
