"""Docker archives: a tar of manifest.json, a config and layers, as `docker save` writes and `ctr images import` reads.

Everything is reproducible: sorted names, one fixed time, no owner but the one asked for. Equal content gives
equal bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Layer:
    """An uncompressed tar on disk and the digest that a config knows it by."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """What `docker inspect` would show of an image."""

    name: str
    entrypoint: Sequence[str]
    args: Sequence[str] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)

    def config(self, layers: Sequence[Layer], architecture: str) -> bytes:
        """The JSON document that the archive refers to by its digest."""
        document = {
            "architecture": architecture,
            "os": "linux",
            "created": EPOCH,
            "config": {
                "User": self.user,
                "Env": [f"{name}={value}" for name, value in self.environment.items()],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.args),
                "WorkingDir": self.folder,
                **({"Labels": dict(self.labels)} if self.labels else {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
            "history": [{"created": EPOCH, "created_by": "hack/build-image"} for _ in layers],
        }
        return json.dumps(document, sort_keys=True).encode()


def write_layer(path: Path, sources: Mapping[str, Path], *, keep_owners: bool = False) -> Layer:
    """Pack each source (a file or a folder) at its path in the image; its owner is root unless owners are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        _add_parents(tar, sources)
        for target, source in sorted(sources.items()):
            for name, file in _below(target.strip("/"), source):
                _add(tar, name, file, keep_owner=keep_owners)
    partial.replace(path)
    return Layer(path, digest_of(path))


def write_archive(path: Path, image: Image, layers: Sequence[Layer], architecture: str) -> None:
    """Pack an image; a reader sees the whole archive or none."""
    config = image.config(layers, architecture)
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{layer.digest}.tar" for layer in layers]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image.name], "Layers": names}]).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    with tarfile.open(partial, "w") as tar:
        _add_bytes(tar, "manifest.json", manifest)
        _add_bytes(tar, config_name, config)
        for name, layer in zip(names, layers, strict=True):
            info = tarfile.TarInfo(name)
            info.size = layer.path.stat().st_size
            with layer.path.open("rb") as content:
                tar.addfile(info, content)
    partial.replace(path)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _add_parents(tar: tarfile.TarFile, targets: Iterable[str]) -> None:
    """The folders above a target: a layer may be the only one that has them."""
    parents = {str(parent) for target in targets for parent in Path(target.strip("/")).parents} - {"."}
    for name in sorted(parents):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)


def _below(name: str, file: Path) -> Iterator[tuple[str, Path]]:
    if name:
        yield name, file
    if file.is_dir() and not file.is_symlink():
        for child in sorted(file.iterdir()):
            yield from _below(f"{name}/{child.name}".lstrip("/"), child)


def _add(tar: tarfile.TarFile, name: str, file: Path, *, keep_owner: bool) -> None:
    info = tar.gettarinfo(str(file), name)
    if info is None:  # a socket: nothing an image could hold
        return
    info.mtime, info.uname, info.gname = 0, "", ""
    if not keep_owner:
        info.uid = info.gid = 0
    if info.isreg():
        with file.open("rb") as content:
            tar.addfile(info, content)
    else:
        tar.addfile(info)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
