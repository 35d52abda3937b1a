"""How large an archive of an image is, compressed as registries keep it, and what takes the most of it."""

import json
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.report import Row

MIB = 2**20
LEVEL = 6  # of gzip, as registries and Docker have it
MOST = 8
CHUNK = 4 * MIB
DEEP = ("opt/homeostat/", "usr/lib/", "usr/share/", "usr/")
"""Folders of which each entry is a part of its own."""


def sizes(archive: Path) -> Iterator[Row]:
    """Measure an archive as hack/build-image makes it, of uncompressed layers."""
    yield Row("image", archive.stem, "archive", archive.stat().st_size / MIB, "MiB")
    parts: Counter[str] = Counter()
    compressed = 0
    with tarfile.open(archive) as tar:
        for name in _layers(tar):
            layer = _member(tar, name)
            compressed += _compressed(layer)
            layer.seek(0)
            parts += _parts(layer)
    yield Row("image", archive.stem, "layers, compressed", compressed / MIB, "MiB")
    yield Row("image", archive.stem, "files", sum(parts.values()) / MIB, "MiB")
    for part, size in parts.most_common(MOST):
        yield Row("image", archive.stem, f"files: {part}", size / MIB, "MiB")


def _layers(tar: tarfile.TarFile) -> list[str]:
    (manifest,) = json.loads(_member(tar, "manifest.json").read())
    names: list[str] = manifest["Layers"]
    return names


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise ValueError(f"{name} is no file of the archive")
    return found


def _compressed(layer: IO[bytes]) -> int:
    pressing, size = zlib.compressobj(LEVEL, wbits=31), 0
    while chunk := layer.read(CHUNK):
        size += len(pressing.compress(chunk))
    return size + len(pressing.flush())


def _parts(layer: IO[bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    with tarfile.open(fileobj=layer) as tar:
        for member in tar:
            if member.isfile():
                found[_part(member.name.removeprefix("./").lstrip("/"))] += member.size
    return found


def _part(path: str) -> str:
    """Name the part that a file belongs to: the first folder, or an entry of one that is looked into."""
    folder = next((one for one in DEEP if path.startswith(one)), "")
    entry = path.removeprefix(folder).split("/", 1)[0]
    return folder + entry.removesuffix(".libs")
