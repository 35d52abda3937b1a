r"""RE2 expressions over what servers say: linear in time whatever is matched, each compiled once.

A text is UTF-8; what is not, a binary protocol for instance, is taken for latin-1, where `\xff` is the byte 255.
"""

from functools import lru_cache
from typing import Final, Protocol, cast

_MOST_MEMORY: Final = 1 << 20  # bytes; a larger program is refused


class Expression(Protocol):
    """A compiled expression."""

    @property
    def programsize(self) -> int:
        """Give the instructions: times the bytes of a text, that is what matching costs at worst."""
        ...

    def search(self, text: bytes) -> object | None:
        """Give a match anywhere in `text`, which is UTF-8, or None."""
        ...


@lru_cache(maxsize=128)
def compiled(pattern: str) -> Expression | None:
    """Give the expression; None when it cannot be compiled."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - for those who match

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        return cast("Expression", re2.compile(pattern.encode(), options))
    except re2.error:
        return None


def as_utf8(text: bytes) -> bytes:
    """Give a text that can be searched: what is not UTF-8 is taken for latin-1, where each byte is a letter."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text
