"""Where built things are kept, keyed by the content they were built from."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    own = os.environ.get("HOMEOSTAT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homeostat"


def hash_of(paths: Iterable[Path], *more: str) -> str:
    """A short hash of files (names below the repository, modes' execute bit, contents) and of strings."""
    total = hashlib.sha256()
    for path in sorted(_files(paths)):
        name = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path.name
        total.update(f"{name}\0{path.stat().st_mode & 0o100}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    for text in more:
        total.update(f"\0{text}".encode())
    return total.hexdigest()[:16]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


@contextlib.contextmanager
def only_one(name: str) -> Iterator[None]:
    """Builds of the same thing wait for each other; the second finds it built."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
