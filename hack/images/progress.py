"""Says what goes on, with the time since the start, and runs programs without silence for more than 15 s."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_STARTED = time.monotonic()
_HEARTBEAT_SECONDS = 10


class BuildError(Exception):
    """What a user can act on; the message says it all."""


def say(text: str) -> None:
    """Tell the user, on standard error."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {text}", file=sys.stderr, flush=True)


def run(
    what: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a command with its output in a log; the log's end becomes the message if it fails."""
    say(what)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
        except OSError as error:
            raise BuildError(f"{what}: cannot run {command[0]}: {error}") from error
        while True:
            try:
                code = process.wait(_HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"{what} … {_last_line(log)}")
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise BuildError(f"{what} failed with exit code {code}; the end of {log}:\n{end}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1][:100] if lines else ""
