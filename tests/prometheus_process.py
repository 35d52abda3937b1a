"""A real Prometheus on loopback, with samples of the past in it. Its programs must be installed: no test is skipped.

`running_prometheus` starts one in a directory of its own and ends it; `openmetrics` writes samples for it; `promtool`
runs the program of that name, for rules to be checked with.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from programs import end, started

_START_SECONDS = 60.0
_END_SECONDS = 20.0


class Recorded(NamedTuple):
    """One series: its name, its labels, and its samples (epoch s, value) in order of time."""

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


class RunningPrometheus(NamedTuple):
    """Where it listens and where its files are. Rules are files `rules/*.yaml` in its directory."""

    url: str
    directory: Path

    def load_rules(self, name: str, text: str) -> None:
        """Write a file of rules, and have it loaded. Raises HTTPError when Prometheus refuses it."""
        (self.directory / "rules" / f"{name}.yaml").write_text(text)
        _read(f"{self.url}/-/reload", b"")

    def ask(self, path: str, **form: str | float) -> Any:
        """Give the data of an answer of the API: `ask("query", query="up", time=0)`."""
        return json.loads(_read(f"{self.url}/api/v1/{path}?{urlencode(form)}"))["data"]


def openmetrics(series: Iterable[Recorded]) -> str:
    """Write series as OpenMetrics, as `promtool tsdb create-blocks-from openmetrics` reads it."""
    families: dict[str, list[str]] = {}
    for name, labels, samples in series:
        written = ",".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in labels.items())
        lines = families.setdefault(name, [f"# TYPE {name} unknown"])
        lines += [f"{name}{{{written}}} {value!r} {at:.3f}" for at, value in samples]
    return "\n".join([*(line for lines in families.values() for line in lines), "# EOF", ""])


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; what it says is in the result, also when it fails."""
    return subprocess.run([_program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)


@contextmanager
def running_prometheus(
    directory: Path,
    samples: str = "",
    *,
    rules: Mapping[str, str] | None = None,
    targets: Sequence[str] = (),
    flags: Sequence[str] = (),
    port: int = 0,
) -> Iterator[RunningPrometheus]:
    """Run a Prometheus with `samples` (OpenMetrics) and files of rules (name and text), evaluated every second.

    `targets` (HOST:PORT) are scraped every second. Started again in the same directory it has what it had.
    """
    (directory / "rules").mkdir(parents=True, exist_ok=True)
    for name, text in (rules or {}).items():
        (directory / "rules" / f"{name}.yaml").write_text(text)
    _write_back(directory, samples)
    _configure(directory, targets)
    process, url = _start(directory, flags, port)
    try:
        yield RunningPrometheus(url, directory)
    finally:
        end(process, _END_SECONDS)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"there is no {name}: install the Debian package prometheus", pytrace=False)
    return found


def _write_back(directory: Path, samples: str) -> None:
    data = directory / "data"
    data.mkdir(exist_ok=True)
    if not samples:
        return
    source = directory / "samples.txt"
    source.write_text(samples)
    done = promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", source, data)
    assert done.returncode == 0, done.stderr


def _configure(directory: Path, targets: Sequence[str]) -> None:
    scraped = [{"job_name": "tests", "static_configs": [{"targets": list(targets)}]}] if targets else []
    settings = {
        "global": {"evaluation_interval": "1s", "scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(directory / "rules" / "*.yaml")],
        "scrape_configs": scraped,
    }
    (directory / "prometheus.yml").write_text(json.dumps(settings))  # which is YAML, too


def _start(directory: Path, flags: Sequence[str], port: int) -> tuple[subprocess.Popen[bytes], str]:
    program = _program("prometheus")

    def command(address: str) -> list[str]:
        return [
            program,
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address={address}",
            "--web.enable-lifecycle",
            "--log.level=warn",
            *flags,
        ]

    return started("Prometheus", command, directory / "log.txt", port=port, seconds=_START_SECONDS)


def _read(url: str, body: bytes | None = None) -> bytes:
    with urlopen(url, body, timeout=10) as answer:  # noqa: S310 - our own URL on loopback
        content: bytes = answer.read()
    return content
