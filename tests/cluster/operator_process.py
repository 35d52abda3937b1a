"""The operator as a process of its own: started, killed and asked like a stranger would."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import yaml
from typing_extensions import override

from cluster.waiting import until

ROOT = Path(__file__).resolve().parents[2]
AGENT_IMAGE = "homeostat.dev/operator:dev"
LOOPBACK = "127.0.0.1"
HURRIED = Path(__file__).with_name("hurried.py")


class Running(Protocol):
    """What is asked of a process under way, however it was started."""

    def poll(self) -> int | None:
        """Give its exit code; None while it lives."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, and give its exit code."""
        ...


def command_of(python: str, hurried: str, hurry: Mapping[str, float] | None, *flags: str) -> list[str]:
    """Give the command line of an operator; with less patience where that is asked for, see hurried.py."""
    words = [hurried, *(f"{name}={seconds}" for name, seconds in hurry.items()), "--"] if hurry else ["-m", "homeostat"]
    return [python, *words, "run", *flags, "--port", "0", "--api-port", "0"]


def kubeconfig_for(folder: Path, server: str, token: str = "", ca_data: str = "", token_file: str = "") -> Path:
    """Write a kubeconfig that speaks to `server`, as nobody or with a token, that of a file even when it changes."""
    cluster = {"server": server} | ({"certificate-authority-data": ca_data} if ca_data else {})
    user = {key: value for key, value in (("token", token), ("tokenFile", token_file)) if value}
    path = folder / f"kubeconfig-{len(list(folder.glob('kubeconfig-*')))}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


class Operator(ABC):
    """An operator at work, however it was started: what it says, and what it answers."""

    @abstractmethod
    def words(self) -> str:
        """Give what it has logged since its last start."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether it still lives."""

    @abstractmethod
    def get(self, path: str) -> tuple[int, str]:
        """Ask its own HTTP server."""

    @abstractmethod
    def stop(self) -> None:
        """Have none of it any more, and wait until it is gone."""

    def lines(self) -> list[dict[str, Any]]:
        """Give the lines of its log that are whole."""
        return [json.loads(line) for line in self.words().splitlines() if line.startswith("{") and line.endswith("}")]

    def tail(self) -> str:
        """Give the end of its log."""
        return self.words()[-4000:]

    def await_log(self, event: str) -> dict[str, Any]:
        """Wait until it has said something, and give the line."""
        return until(lambda: self._said(event), f"the operator says {event!r}: {self.tail()}")

    def metric(self, pattern: str) -> float:
        """Add up the samples whose name and labels match a regular expression."""
        samples = (line.rsplit(" ", 1) for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return sum(float(value) for name, value in samples if re.search(pattern, name))

    def _said(self, event: str) -> dict[str, Any] | None:
        line = next((line for line in self.lines() if line.get("event") == event), None)
        assert line or self.is_running(), f"the operator ended: {self.tail()}"
        return line


class OperatorProcess(Operator):
    """One replica, a process here. Started again it keeps identity, store and log. `hurry`: see hurried.py."""

    host = LOOPBACK
    """Where it listens."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        identity: str,
        flags: tuple[str, ...] = (),
        hurry: Mapping[str, float] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{identity}.log"
        self.store = folder / "history.db"
        self._command = command_of(
            sys.executable, str(HURRIED), hurry, "--identity", identity, "--kubeconfig", str(kubeconfig),
            "--listen", LOOPBACK, "--store-url", f"sqlite+aiosqlite:///{self.store}", *flags,
        )  # fmt: skip
        self._process: Running | None = None
        self._began = 0

    def start(self, *, wait_for: str = "loaded") -> None:
        """Start it, and wait until its log says `wait_for`."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOMEOSTAT_", "KUBE"))}
        self._began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = self._launch(kept | {"PYTHONPATH": str(ROOT / "operator")}, log)
        if wait_for:
            self.await_log(wait_for)

    def _launch(self, environment: Mapping[str, str], log: BinaryIO) -> Running:
        return subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    @override
    def words(self) -> str:
        """Give what it has logged since its last start."""
        return self.log.read_bytes()[self._began :].decode(errors="replace") if self.log.exists() else ""

    @override
    def is_running(self) -> bool:
        """Whether it still lives."""
        return self._process is not None and self._process.poll() is None

    def is_there(self) -> bool:
        """Whether the process itself is there now, whatever is known of its end."""
        return self.is_running()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM, and give the exit code."""
        return self._end(signal.SIGTERM)

    @override
    def stop(self) -> None:
        """Have it stop by itself, and wait until it is gone."""
        self.terminate()

    def await_end(self) -> int:
        """Wait until it ends by itself, and give the exit code."""
        process = self._process
        assert process is not None
        return process.wait(timeout=90)

    @property
    def api(self) -> str:
        """URL of its API (docs/api.md)."""
        return f"http://{self.host}:{self.await_log('started')['api_port']}"

    @override
    def get(self, path: str) -> tuple[int, str]:
        """Ask its own HTTP server."""
        url = f"http://{self.host}:{self.await_log('started')['port']}{path}"
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(timeout=60)


Kill = Callable[[], None]
