"""A real Alertmanager on loopback that tells a webhook. Its program must be installed: no test is skipped."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import pytest

_ATTEMPTS = 3  # somebody else may take the port that was free
_START_SECONDS = 30.0
_END_SECONDS = 10.0


class RunningAlertmanager(NamedTuple):
    """Where it listens."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Give the alerts it knows of and has not ended."""
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:  # noqa: S310 - our own URL on loopback
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextmanager
def running_alertmanager(directory: Path, webhook: str = "", *, port: int = 0) -> Iterator[RunningAlertmanager]:
    """Run an Alertmanager that tells `webhook` of each alert by itself, at once, and of its end.

    Started again in the same directory and on the same port it remembers what it told, as a restarted one does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    hooks = [{"url": webhook, "send_resolved": True}] if webhook else []
    route = {
        "receiver": "tests",
        "group_by": ["..."],
        "group_wait": "50ms",
        "group_interval": "200ms",
        "repeat_interval": "24h",
    }
    settings = {"route": route, "receivers": [{"name": "tests", "webhook_configs": hooks}]}
    (directory / "alertmanager.yml").write_text(json.dumps(settings))  # which is YAML, too
    process, url = _start(directory, port)
    try:
        yield RunningAlertmanager(url)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(directory: Path, port: int) -> tuple[subprocess.Popen[bytes], str]:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.fail("there is no prometheus-alertmanager: install the Debian package of that name", pytrace=False)
    log = directory / "log.txt"
    for _ in range(_ATTEMPTS):
        address = f"127.0.0.1:{port or free_port()}"
        command = [
            program,
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        if _is_ready(process, f"http://{address}"):
            return process, f"http://{address}"
        process.kill()
        process.wait()
    pytest.fail(f"Alertmanager does not start: {log.read_text()[-2000:]}", pytrace=False)


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(f"{url}/-/ready", timeout=10):  # noqa: S310 - as above
                return True
        except (URLError, OSError):
            time.sleep(0.05)
    return False


def free_port() -> int:
    """Give a port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
