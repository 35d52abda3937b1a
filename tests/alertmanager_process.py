"""A real Alertmanager that tells a webhook, on loopback unless asked. Its program must be there: no test is skipped."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest

from programs import end, started

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
def running_alertmanager(
    directory: Path, webhook: str = "", *, port: int = 0, token: str = "", owner: str = "", host: str = "127.0.0.1"
) -> Iterator[RunningAlertmanager]:
    """Run an Alertmanager that tells `webhook` of each alert by itself, at once, and of its end; with a bearer token.

    `owner` is told instead of what experiments expect. Started again in the same directory and on the same port it
    remembers what it told, as a restarted one does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    who = {"http_config": {"authorization": {"type": "Bearer", "credentials": token}}} if token else {}
    receivers = [
        {"name": name, "webhook_configs": [{"url": url, "send_resolved": True, **who}] if url else []}
        for name, url in {"tests": webhook, "owner": owner}.items()
    ]
    route = {
        "receiver": "tests",
        "group_by": ["..."],
        "group_wait": "50ms",
        "group_interval": "200ms",
        "repeat_interval": "24h",
        "routes": [{"receiver": "owner", "matchers": ['expected_by != ""']}] if owner else [],
    }
    settings = {"route": route, "receivers": receivers}
    (directory / "alertmanager.yml").write_text(json.dumps(settings))  # which is YAML, too
    process, url = _start(directory, host, port)
    try:
        yield RunningAlertmanager(url)
    finally:
        end(process, _END_SECONDS)


def _start(directory: Path, host: str, port: int) -> tuple[subprocess.Popen[bytes], str]:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.fail("there is no prometheus-alertmanager: install the Debian package of that name", pytrace=False)

    def command(address: str) -> list[str]:
        return [
            program,
            f"--config.file={directory / 'alertmanager.yml'}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    return started("Alertmanager", command, directory / "log.txt", host=host, port=port, seconds=_START_SECONDS)
