"""Where built things are kept, keyed by the content they were built from."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_KEPT_SECONDS = 3600


def cache_folder() -> Path:
    """HOMEOSTAT_CACHE, or a folder in the user's cache."""
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


def forget_older(kind: str, current: Path) -> None:
    """Remove builds of this kind that a newer one replaced, save the latest hour's: someone may still read them."""
    for folder in cache_folder().glob(f"{kind}-*"):
        if folder != current and folder.is_dir() and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
