"""A real PostgreSQL for tests and benches: a cluster of its own in a temporary folder, on a free loopback port.

It flushes to disk as it does by default. `postgres` refuses to run as root: then it runs as the user `postgres`, which
Debian's package makes. Nothing is found or stopped by its name; the server is a child of ours.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from programs import free_port

PASSWORD = "p@ss/w:rd%1"  # noqa: S105 - of a server that nobody else sees; with all that must be quoted in a URL
LOOPBACK = "127.0.0.1"
OLDEST = 15
_ATTEMPTS = 3


class PostgresServer:
    """A server that can be restarted; its databases are made by `create`."""

    def __init__(self, folder: Path, binaries: Path, address: str = LOOPBACK) -> None:
        self.folder, self._binaries, self.address = folder, binaries, address
        self._data, self._log = folder / "data", folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0  # until its first start

    def prepare(self) -> None:
        """Make the cluster; the password is asked for, whoever comes over a network."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        _own(self.folder)
        _own(secret)
        command = [
            self._binaries / "initdb", "--pgdata", self._data, "--username", "homeostat", "--pwfile", secret,
            "--auth-host", "scram-sha-256", "--auth-local", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **_user())
        if self.address != LOOPBACK:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")

    def start(self) -> None:
        """Start it and wait until it answers; at first on a port that is free, of which somebody else may be faster."""
        is_first = not self.port
        for _ in range(_ATTEMPTS if is_first else 1):
            if is_first:
                self.port = free_port()
            if self._begins():
                return
        pytest.fail(f"PostgreSQL did not start: {self._log.read_text()[-2000:]}")

    def _begins(self) -> bool:
        """Start it once; False when it ended at once."""
        options = {"listen_addresses": self.address, "port": self.port, "unix_socket_directories": self.folder}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            command = [self._binaries / "postgres", "-D", self._data, *settings]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_user())
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not answer: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all sessions, SIGQUIT is a crash, after which it recovers from its log."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
        self._process = None

    def create(self) -> str:
        """Create an empty database; give its URL as the operator takes it."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, name: str) -> str:
        """Give the URL of a database."""
        return f"postgresql+asyncpg://homeostat:{quote(PASSWORD, safe='')}@{self.address}:{self.port}/{name}"

    def dsn(self, name: str = "postgres") -> str:
        """Give the same for psycopg."""
        return self.url(name).replace("+asyncpg", "")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running(address: str = LOOPBACK) -> Iterator[PostgresServer]:
    """Run a server, which listens on an address of this machine; nothing is left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="homeostat-postgres-"))
    server = PostgresServer(folder, _binaries(), address)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


def _binaries() -> Path:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: -int(place.parent.name))
    on_path = shutil.which("initdb")
    for place in [*([Path(on_path).resolve().parent] if on_path else []), *places]:
        if (place / "initdb").exists() and (place / "postgres").exists() and _release(place) >= OLDEST:
            return place
    pytest.fail(f"no PostgreSQL {OLDEST} or newer here: install the Debian package postgresql")


def _release(place: Path) -> int:
    told = subprocess.run([place / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"\d+", told)[0])


def _user() -> dict[str, object]:
    """Give who runs it: ourselves, unless we are root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(path, owner.pw_uid, owner.pw_gid)
