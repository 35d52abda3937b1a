"""The operators that are compared, each as a process of its own, and what such a process has used."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.cluster_api import Failed, Sample, samples

ROOT = Path(__file__).resolve().parents[2]
HOMEOSTAT, KOPF = "homeostat", "plain Kopf"
PORT = re.compile(rb'"port": ?(\d+)')
FAILED = b"Request attempt #"  # Kopf, of each request that failed or timed out


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it started: CPU seconds, and its largest resident set in MiB."""

    cpu: float
    peak: float


class Subject:
    """One operator for one namespace; what it logs is kept until it is stopped."""

    def __init__(self, name: str, namespace: str, *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="homeostat-bench-")
        self._log = Path(self._folder.name, "log")
        self._is_ours = name == HOMEOSTAT
        command = self._homeostat(namespace) if self._is_ours else self._kopf(namespace)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTAT_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *flags], env=kept | {"PYTHONPATH": str(ROOT / "operator")}, cwd=self._folder.name,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _homeostat(self, namespace: str) -> list[str]:
        return [
            sys.executable, "-m", "homeostat", "run", "--namespaces", namespace, "--operator-namespace", namespace,
            "--listen", "127.0.0.1", "--port", "0", "--allow-networks", "127.0.0.0/8",
            "--store-url", f"sqlite+aiosqlite:///{self._folder.name}/history.db",
        ]  # fmt: skip

    def _kopf(self, namespace: str) -> list[str]:
        return [sys.executable, "-m", "kopf", "run", "-n", namespace, str(ROOT / "tests" / "bench" / "plain_kopf.py")]

    def demand_life(self) -> None:
        """End the benchmark with the operator's last words if it has ended."""
        if self._process.poll() is not None:
            raise Failed(f"the operator ended ({self._process.returncode}):\n{self.tail()}")

    def tail(self) -> str:
        """Give the end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    def failures(self) -> float:
        """Count the requests of this process that failed or timed out and were tried again or given up."""
        if not self._is_ours:
            return float(self._log.read_bytes().count(FAILED))
        errors = [one for one in self.metrics() if one[0] == "homeostat_api_requests_total"]
        return sum(value for _, labels, value in errors if labels["status"] in {"error", "5xx"})

    def metrics(self) -> list[Sample]:
        """Read homeostat's own metrics."""
        found = PORT.search(self._log.read_bytes())
        if found is None:
            raise Failed(f"the operator does not say where it listens:\n{self.tail()}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{int(found[1])}/metrics", timeout=30) as answer:
            return samples(answer.read().decode())

    def usage(self) -> Usage:
        """Read what the process has used."""
        process = Path("/proc", str(self._process.pid))
        after_name = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(after_name[11]) + int(after_name[12])  # utime and stime, see proc(5)
        lines = (process / "status").read_text(encoding="ascii").splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return Usage(ticks / os.sysconf("SC_CLK_TCK"), peak / 1024)

    def stop(self) -> None:
        """End it, gracefully at first, and forget its log."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()
