"""How a process of our own is started: our interpreter, one socket, and nothing that is known to us alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_KEPT_ENVIRONMENT: Final = (
    # how an interpreter may have to be told where it is
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    # what the system's resolver and OpenSSL read
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "OPENSSL_CONF",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)


def python(module: str) -> tuple[str, ...]:
    """Give the command that runs one of our modules."""
    return (sys.executable, "-B", "-P", "-s", "-m", module)


def start(command: Sequence[str], channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start a process with `channel` as its standard input and our process id as its last argument.

    It may die with the thread that starts it (`confinement`), so that must be the one the operator lives in. Raises
    OSError when there is no room for another process.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command, str(os.getpid())],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # what went wrong may quote what a server sent
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """Give what a process needs to find our modules and the names of hosts."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)}
