"""The operator's image: a Debian root, the locked dependencies, the project's wheel, the bill of it all; a layer each.

The Dockerfile makes the same image where Docker exists: same folders, same user, same entry point.
"""

import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from images.archive import Image, Layer, digest_of, write_archive, write_layer
from images.cache import REPOSITORY, cache_folder, forget_older, hash_of, only_one
from images.debian import APPLICATION, PYTHON, SUITE, debian_root
from images.progress import BuildError, run, say
from images.sbom import PLACE, complete, text
from images.scripts import write_commands

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
SBOM_NAME = "operator.cdx.json"
UNUSED = ("tests",)
"""Folders of packages that nobody imports when they run: a tenth of what is installed."""
LOCK = REPOSITORY / "requirements.lock"
SOURCES = [REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE", "operator")]
SCRIPTS = Path(__file__).with_name("scripts.py")
SBOM = Path(__file__).with_name("sbom.py")
REPORT = "pip-report.json"
OLDEST_GLIBC, NEWEST_GLIBC = 17, 36


def build_operator() -> Path:
    """Build what changed; give the archive's path. The bill of materials lies beside it."""
    root, base = debian_root()
    dependencies = _layer("dependencies", root, hash_of([LOCK, SBOM], base.digest, repr(UNUSED)), _install_dependencies)
    package = _layer("package", root, hash_of([*SOURCES, SCRIPTS], base.digest), _install_package)
    bill, of_bill = _bill(root, base, dependencies)
    layers = [base, dependencies, package, of_bill]
    image = replace(OPERATOR, labels=labels())
    key = hash_of([], repr(image), *(layer.digest for layer in layers))
    archive = cache_folder() / f"image-operator-archive-{key}" / "operator.tar"
    with only_one("image-operator"):
        if not archive.exists():
            say("packing the operator's image")
            archive.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bill, archive.with_name(SBOM_NAME))
            write_archive(archive, image, layers, _architecture())
            forget_older("image-operator-archive", archive.parent)
            say(f"built {image.name}")
    return archive


def labels() -> dict[str, str]:
    """Give the labels by which an image is known: of the OCI's own vocabulary."""
    given = {
        "title": "homeostat",
        "description": project()["description"],
        "version": project()["version"],
        "revision": _revision(),
        "licenses": project()["license"],
        "source": "",  # said by who publishes it
        "base.name": f"docker.io/library/debian:{SUITE}-slim",
    }
    return {f"org.opencontainers.image.{name}": value for name, value in given.items()}


def project() -> dict[str, str]:
    """Give what the project says of itself."""
    found: dict[str, str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return found


def _revision() -> str:
    """Name the commit that is checked out; "" where there is none, as in an archive of the sources."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    if shutil.which("git") is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _bill(root: Path, base: Layer, dependencies: Layer) -> tuple[Path, Layer]:
    """Write the bill of materials, and a layer that holds it."""
    key = hash_of([SBOM], base.digest, dependencies.digest, project()["version"])
    folder = cache_folder() / f"image-operator-bill-{key}"
    bill, tar = folder / SBOM_NAME, folder / "layer.tar"
    with only_one("image-operator-bill"):
        if not tar.exists():
            folder.mkdir(parents=True, exist_ok=True)
            bill.write_text(text(dependencies.path.with_name(REPORT), project()["version"], root))
            write_layer(tar, {f"/{PLACE}": bill})
            forget_older("image-operator-bill", folder)
    return bill, Layer(tar, digest_of(tar))


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
    told = ["--report", str(folder / REPORT)]
    _pip_install(
        "installing the locked dependencies", folder, content, ["--require-hashes", "--requirement", str(LOCK), *told]
    )
    complete(folder / REPORT, content)
    shutil.rmtree(content / "bin", ignore_errors=True)  # commands of dependencies, for another interpreter
    for unused in [found for name in UNUSED for found in content.glob(f"*/**/{name}")]:
        shutil.rmtree(unused, ignore_errors=True)  # one may be inside another that is gone


def _install_package(folder: Path, content: Path) -> None:
    wheels = folder / "wheels"
    build = [*_pip(folder), "wheel", "--no-deps", "--wheel-dir", str(wheels), str(REPOSITORY)]
    run("building the wheel", build, log=folder / "wheel.log")
    _pip_install("installing the wheel", folder, content, [str(wheel) for wheel in wheels.glob("*.whl")])
    write_commands(content)


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
