"""Images that hold one static Go program: pause and sample."""

import os
import shutil
import subprocess
from pathlib import Path

from images.archive import Image, write_archive, write_layer
from images.cache import REPOSITORY, cache_folder, hash_of, only_one
from images.progress import BuildError, run, say

PAUSE = Image("homeostat.dev/pause:dev", entrypoint=["/pause"], user="65535:65535")
SAMPLE = Image("homeostat.dev/sample:dev", entrypoint=["/sample"], user="65532:65532")


def build_pause() -> Path:
    """Build the first process of every pod."""
    return _build(PAUSE, REPOSITORY / "hack" / "images" / "pause")


def build_sample() -> Path:
    """Build the workload that breaks on request."""
    return _build(SAMPLE, REPOSITORY / "hack" / "sample")


def _build(image: Image, source: Path) -> Path:
    name = source.name
    go = os.environ.get("HOMEOSTAT_GO") or shutil.which("go")
    files = [path for path in source.rglob("*") if path.suffix in (".go", ".mod", ".sum")]
    files = [path for path in files if not path.name.endswith("_test.go")]
    folder = cache_folder() / f"image-{name}-{hash_of(files, repr(image))}"
    archive = folder / f"{name}.tar"
    with only_one(f"image-{name}"):
        if archive.exists():
            return archive
        if not go:
            raise BuildError(
                "no Go compiler: put go on PATH, or set HOMEOSTAT_GO (hack/devcluster finds or installs one)"
            )
        program = folder / name
        environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), "."]
        run(f"building {name}", command, log=folder / "build.log", environment=environment, folder=source)
        layer = write_layer(folder / "layer.tar", {f"/{name}": program})
        write_archive(archive, image, [layer], _architecture(go))
        layer.path.unlink()
        say(f"built {image.name}")
    return archive


def _architecture(go: str) -> str:
    return subprocess.run([go, "env", "GOARCH"], check=True, capture_output=True, text=True).stdout.strip()
