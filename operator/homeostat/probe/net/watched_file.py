"""A small file that somebody else rewrites, such as resolv.conf or a token: read again when it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_BYTES = 64 * 1024


class WatchedFile(Generic[T]):
    """What `parse` made of the file as it is now; of "" when it cannot be read. A look costs one `stat`."""

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._seen: tuple[int, int, int] | None = None
        self._content = parse("")

    def content(self) -> T:
        """Give the content; a file that was replaced or rewritten since the last look is read again."""
        try:
            stat = self._path.stat()
            signature = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if signature != self._seen:
                self._content = self._parse(self._read())
                self._seen = signature
        except (OSError, UnicodeDecodeError):
            self._content, self._seen = self._parse(""), None
        return self._content

    def _read(self) -> str:
        with self._path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8")
