"""The programs that the prober is compared with: found or built once, kept in the cache; what cannot be had is named.

Go's net/http (our own program in `rivals_src`), Debian's prometheus-blackbox-exporter, and Gatus by `go install`.
HOMEOSTAT_BLACKBOX and HOMEOSTAT_GATUS name binaries that are there already.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.progress import say

SOURCE = Path(__file__).parent / "rivals_src"
GATUS = "github.com/TwiN/gatus/v5@latest"
PACKAGE = "prometheus-blackbox-exporter"
MINUTES = 60


def cache() -> Path:
    """Give the folder for what is built."""
    told = os.environ.get("HOMEOSTAT_CACHE")
    folder = (Path(told) if told else Path.home() / ".cache" / "homeostat") / "rivals"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rivals() -> Path:
    """Build our own program: the server, Go's client, the driver."""
    target = cache() / "rivals"
    _run([go(), "build", "-buildvcs=false", "-o", str(target), "."], cwd=SOURCE)
    return target


def blackbox() -> Path | None:
    """Find blackbox_exporter, or unpack Debian's package into the cache."""
    found = _told("HOMEOSTAT_BLACKBOX") or shutil.which(PACKAGE) or shutil.which("blackbox_exporter")
    if found:
        return Path(found)
    target = cache() / "blackbox"
    binary = target / "usr" / "bin" / PACKAGE
    if binary.exists():
        return binary
    target.mkdir(exist_ok=True)
    try:
        _run(["apt-get", "update"], cwd=target)
        _run(["apt-get", "download", PACKAGE], cwd=target)
        package = next(target.glob("*.deb"))
        _run(["dpkg-deb", "-x", package.name, "."], cwd=target)
        package.unlink()
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        _missing("blackbox_exporter", error)
        return None
    return binary


def gatus() -> Path | None:
    """Find Gatus, or build its latest release."""
    found = _told("HOMEOSTAT_GATUS") or shutil.which("gatus")
    if found:
        return Path(found)
    target = cache() / "gatus"
    if target.exists():
        return target
    say(f"building Gatus (go install {GATUS}): a few minutes the first time")
    try:
        _run([go(), "install", GATUS], cwd=cache(), more={"GOBIN": str(cache())})
    except (OSError, subprocess.CalledProcessError) as error:
        _missing("Gatus", error)
        return None
    return target


def go() -> str:
    """Find the Go compiler."""
    found = os.environ.get("HOMEOSTAT_GO") or shutil.which("go")
    if not found:
        raise SystemExit("bench probe needs Go: put it on PATH, or set HOMEOSTAT_GO")
    return found


def _told(variable: str) -> str | None:
    return os.environ.get(variable)


def _run(command: Sequence[str], cwd: Path, more: dict[str, str] | None = None) -> None:
    subprocess.run(
        command, cwd=cwd, env=os.environ | (more or {}), check=True, capture_output=True, text=True,
        timeout=20 * MINUTES,
    )  # fmt: skip


def _missing(name: str, error: Exception) -> None:
    why = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    last = (why or "").strip().splitlines()[-1:] or [type(error).__name__]
    say(f"{name} cannot be had here and is left out: {last[0].strip()}")
