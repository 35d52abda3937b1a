"""The operator's image: a Debian root, the locked dependencies, and the project's wheel, a layer each.

The Dockerfile makes the same image where Docker exists: same folders, same user, same entry point.
"""

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from images.archive import Image, Layer, digest_of, write_archive, write_layer
from images.cache import REPOSITORY, cache_folder, forget_older, hash_of, only_one
from images.debian import APPLICATION, PYTHON, debian_root
from images.progress import BuildError, run, say

COMMAND = '#!/bin/sh\nexec python3 -m homeostat "$@"\n'
"""What `homeostat` is in the image: the scripts that pip writes name the interpreter of the build."""
OPERATOR = Image(
    "homeostat.dev/operator:dev",
    entrypoint=["python3", "-m", "homeostat"],
    args=["run"],
    user="65532:65532",
    environment={
        "PATH": f"/{APPLICATION}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": f"/{APPLICATION}",
        "MALLOC_MMAP_THRESHOLD_": "131072",  # as in the Dockerfile
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    },
    folder="/tmp",  # noqa: S108 - the one folder that deployments make writable
)
LOCK = REPOSITORY / "requirements.lock"
SOURCES = [REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE", "operator")]
OLDEST_GLIBC, NEWEST_GLIBC = 17, 36


def build_operator() -> Path:
    """Build what changed; give the archive's path."""
    root, base = debian_root()
    dependencies = _layer("dependencies", root, hash_of([LOCK], base.digest), _install_dependencies)
    package = _layer("package", root, hash_of(SOURCES, base.digest, COMMAND), _install_package)
    layers = [base, dependencies, package]
    key = hash_of([], repr(OPERATOR), *(layer.digest for layer in layers))
    archive = cache_folder() / f"image-operator-archive-{key}" / "operator.tar"
    with only_one("image-operator"):
        if not archive.exists():
            say("packing the operator's image")
            write_archive(archive, OPERATOR, layers, _architecture())
            forget_older("image-operator-archive", archive.parent)
            say(f"built {OPERATOR.name}")
    return archive


def _layer(name: str, root: Path, key: str, install: Callable[[Path, Path], None]) -> Layer:
    """A layer that holds what `install` puts into the application's folder, with its bytecode."""
    folder = cache_folder() / f"image-operator-{name}-{key}"
    tar = folder / "layer.tar"
    with only_one(f"image-operator-{name}"):
        if not tar.exists():
            content = folder / "content"
            if folder.exists():
                shutil.rmtree(folder)
            content.mkdir(parents=True)
            install(folder, content)
            _compile(folder, root, content)
            write_layer(tar, {f"/{APPLICATION}": content})
            shutil.rmtree(content)
            forget_older(f"image-operator-{name}", folder)
    return Layer(tar, digest_of(tar))


def _install_dependencies(folder: Path, content: Path) -> None:
    if not LOCK.exists():
        raise BuildError("there is no requirements.lock: the image holds exactly what it locks")
    _pip_install(
        "installing the locked dependencies", folder, content, ["--require-hashes", "--requirement", str(LOCK)]
    )


def _install_package(folder: Path, content: Path) -> None:
    wheels = folder / "wheels"
    build = [*_pip(folder), "wheel", "--no-deps", "--wheel-dir", str(wheels), str(REPOSITORY)]
    run("building the wheel", build, log=folder / "wheel.log")
    _pip_install("installing the wheel", folder, content, [str(wheel) for wheel in wheels.glob("*.whl")])
    command = content / "bin" / "homeostat"
    command.parent.mkdir(exist_ok=True)
    command.write_text(COMMAND)
    command.chmod(0o755)


def _pip_install(what: str, folder: Path, content: Path, arguments: list[str]) -> None:
    """Chooses wheels for the Python and the C library of the image, not for those of this machine."""
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    target = ["--target", str(content), "--python-version", PYTHON, "--implementation", "cp", "--only-binary", ":all:"]
    for one in [*platforms, f"manylinux2014_{machine}"]:
        target += ["--platform", one]
    run(what, [*_pip(folder), "install", "--no-deps", "--no-compile", *target, *arguments], log=folder / "install.log")


def _pip(folder: Path) -> list[str]:
    """Run pip in an environment of our own: the interpreter that runs this may have none."""
    tools = cache_folder() / f"image-tools-{platform.python_version()}"
    python = tools / "bin" / "python3"
    with only_one("image-tools"):
        if not (tools / "complete").exists():
            run(
                "making an environment for pip",
                [sys.executable, "-m", "venv", "--clear", str(tools)],
                log=folder / "venv.log",
            )
            (tools / "complete").touch()
    return [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _compile(folder: Path, root: Path, content: Path) -> None:
    """Compile by the image's own Python.

    The image is read-only, so the bytecode must be there; its files carry no times, so it must not be checked by them.
    """
    target = f"/{APPLICATION}"
    script = (
        'mount --bind "$1" "$2$3" && exec chroot "$2" python3 -m compileall -q --invalidation-mode unchecked-hash "$3"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(content), str(root), target]
    run("compiling to bytecode", command, log=folder / "compile.log")


def _architecture() -> str:
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = platform.machine()
    if machine not in names:
        raise BuildError(f"no name is known for the architecture {machine}")
    return names[machine]
