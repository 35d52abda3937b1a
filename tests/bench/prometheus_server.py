"""A real Prometheus for benchmarks: months of samples written at once, queries at a fixed time, and its CPU.

`promtool` reads its whole input again for each block that it writes: blocks here are as long as they may be.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

LONGEST_BLOCK = "1536h"
STARTS_IN, ANSWERS_IN = 60.0, 120.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs: its URL and pid."""

    url: str
    pid: int

    def query(self, expr: str, at: float) -> list[Any]:
        """Ask for an instant vector. Raises SystemExit, with what Prometheus says, when it refuses."""
        try:
            with urlopen(f"{self.url}/api/v1/query", self._form(query=expr, time=at), ANSWERS_IN) as answer:  # noqa: S310
                found: list[Any] = json.load(answer)["data"]["result"]
        except HTTPError as error:
            raise SystemExit(f"Prometheus refuses {expr}: {error.read().decode()}") from error
        return found

    def value(self, expr: str, at: float) -> float:
        """Ask for one number; NaN when there is none."""
        found = self.query(expr, at)
        return float(found[0]["value"][1]) if found else float("nan")

    def cpu(self) -> float:
        """Give the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @staticmethod
    def _form(**fields: str | float) -> bytes:
        return urlencode(fields).encode()


@contextmanager
def serving(families: Iterable[tuple[str, Iterable[str]]]) -> Iterator[Server]:
    """Run one with samples: OpenMetrics lines by the name of their metric, each name once, series in order of time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, families)
        (folder / "prometheus.yml").write_text("{}\n", encoding="utf-8")
        yield from _running(folder)


def _write(folder: Path, families: Iterable[tuple[str, Iterable[str]]]) -> None:
    source = folder / "samples.txt"
    with source.open("w", encoding="utf-8") as file:
        for metric, lines in families:
            file.write(f"# TYPE {metric} unknown\n")
            file.writelines(lines)
        file.write("# EOF\n")
    command = ["tsdb", "create-blocks-from", "--max-block-duration", LONGEST_BLOCK, "openmetrics", "--quiet"]
    done = subprocess.run(
        [_program("promtool"), *command, str(source), str(folder / "data")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"promtool: {done.stderr.strip()[-500:]}")
    source.unlink()


def _running(folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        _program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={address}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(process, f"http://{address}/-/ready")
            yield Server(f"http://{address}", process.pid)
        finally:
            process.terminate()


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    give_up_at = time.monotonic() + STARTS_IN
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("Prometheus does not start")


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise SystemExit(f"this benchmark needs {name}: install the Debian package prometheus")
    return found
