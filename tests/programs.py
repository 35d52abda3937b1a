"""Programs of others that tests run, mostly on loopback: how one is started so that it listens, and how it is ended."""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

_ATTEMPTS = 3  # somebody else may take the port that was free


def started(
    name: str, command: Callable[[str], Sequence[str]], log: Path, *, host: str = "127.0.0.1", port: int, seconds: float
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a program that says by HTTP when it is ready; give it and its URL.

    `command` makes the command line of the address that it is to listen on; a `port` of 0 is any that is free.
    """
    for _ in range(_ATTEMPTS):
        address = f"{host}:{port or free_port(host)}"
        with log.open("wb") as output:
            process = subprocess.Popen(command(address), stdout=output, stderr=output)
        if _is_ready(process, f"http://{address}", seconds):
            return process, f"http://{address}"
        process.kill()
        process.wait()
    pytest.fail(f"{name} does not start: {log.read_text()[-2000:]}", pytrace=False)


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Have a program end, and make it end if it does not within so many seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(host: str = "127.0.0.1") -> int:
    """Give a port that nobody listens on now."""
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _is_ready(process: subprocess.Popen[bytes], url: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(f"{url}/-/ready", timeout=10):  # noqa: S310 - our own URL on loopback
                return True
        except (URLError, OSError):
            time.sleep(0.05)
    return False
