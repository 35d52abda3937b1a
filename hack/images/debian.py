"""The Debian root below the operator: debootstrap's smallest variant, the Dockerfile's packages, no manuals.

Of the documentation the copyright files stay, as Debian's own slim images have them: their licences ask for that.
"""

import os
import shutil
import subprocess
from pathlib import Path

from images.archive import Layer, digest_of, write_layer
from images.cache import cache_folder, hash_of, only_one
from images.progress import BuildError, run, say

SUITE = "bookworm"
PYTHON = "3.11"  # what this suite has
# iptables, nft and ip are for the fault agent, which is the same image by another entry point.
PACKAGES = ("python3", "ca-certificates", "iptables", "nftables", "iproute2")
# Folders that keep their name and lose their content; /dev, /proc and the rest are the container runtime's to fill.
EMPTIED = (
    *("dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt/lists", "var/log"),
    *("usr/share/info", "usr/share/locale", "usr/share/man"),
)
DOCUMENTATION, COPYRIGHT = "usr/share/doc", "copyright"
APPLICATION = "opt/homeostat"


def existing_root() -> Path | None:
    """The root as a folder, if it was made before."""
    folder = _folder()
    return folder / "root" if (folder / "layer.tar").exists() else None


def _folder() -> Path:
    content = (*PACKAGES, *EMPTIED, DOCUMENTATION, COPYRIGHT, APPLICATION)
    return cache_folder() / f"image-base-{hash_of([], SUITE, *content)}"


def debian_root() -> tuple[Path, Layer]:
    """The root as a folder (to run its Python in) and as a layer."""
    folder = (
        cache_folder() / f"image-base-{hash_of([], SUITE, *PACKAGES, *EMPTIED, DOCUMENTATION, COPYRIGHT, APPLICATION)}"
    )
    root, layer = folder / "root", folder / "layer.tar"
    with only_one("image-base"):
        if not layer.exists():
            _bootstrap(folder, root)
            say("packing the Debian root")
            write_layer(layer, {"/": root}, keep_owners=True)
    return root, Layer(layer, digest_of(layer))


def _bootstrap(folder: Path, root: Path) -> None:
    if os.geteuid() != 0:
        raise BuildError(
            "the operator's image needs root to build (debootstrap); with Docker, use the Dockerfile instead"
        )
    _need_debootstrap(folder)
    if root.exists():
        shutil.rmtree(root)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), *_mirror()]
    run(f"making a Debian root ({SUITE})", command, log=folder / "debootstrap.log", environment=_environment())
    for name in EMPTIED:
        _empty(root / name)
    _keep_copyrights(root / DOCUMENTATION)
    (root / "tmp").chmod(0o1777)
    (root / APPLICATION).mkdir(parents=True)


def _need_debootstrap(folder: Path) -> None:
    if shutil.which("debootstrap", path=_environment()["PATH"]):
        return
    if not shutil.which("apt-get"):
        raise BuildError("install debootstrap first (there is no apt-get here to do it)")
    environment = _environment() | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["sh", "-c", "apt-get update && apt-get install --yes --no-install-recommends debootstrap"]
    run("installing debootstrap", command, log=folder / "install.log", environment=environment)


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def _mirror() -> list[str]:
    """The mirror that this machine itself uses for the suite, if it does; else debootstrap's own choice."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    if not shutil.which("apt-get"):
        return []
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return next(([line.split()[1]] for line in listed.splitlines() if line.split()[:1] == [SUITE]), [])


def _empty(folder: Path) -> None:
    for child in folder.iterdir() if folder.is_dir() else ():
        _remove(child)


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink()


def _keep_copyrights(folder: Path) -> None:
    """Leave the copyright files, and the links of packages that share one."""
    for package in folder.iterdir():
        if package.is_symlink() or not package.is_dir():
            continue
        for file in package.iterdir():
            if file.name != COPYRIGHT:
                _remove(file)
