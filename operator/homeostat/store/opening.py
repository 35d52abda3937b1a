"""Opening the history store: connect, make the tables or have them migrated, and set a broken file aside.

alembic takes 11 MiB of memory, so it is imported only by a child process, and only for a database of another release.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from homeostat.ports import HistoryUnavailable
from homeostat.store import schema

log = structlog.get_logger("homeostat.history")

URL = "HOMEOSTAT_STORE_URL"
"""The environment variable that a migration reads."""
_MIGRATION = 600.0  # seconds that it may take
_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",  # first: it holds for a file that has no pages yet
    "journal_mode = WAL",
    "journal_size_limit = 16777216",
    "synchronous = NORMAL",
    "busy_timeout = 5000",
    "temp_store = MEMORY",
    "secure_delete = OFF",  # Debian's default writes zeros over whatever is deleted: these are no secrets
)


def open_engine(url: str) -> Engine:
    """Connect to `url`, and make or migrate its tables. Raises HistoryUnavailable.

    A file that is no database is set aside once. To be called, and its engine used, in one thread.
    """
    with translated():
        try:
            return _connect(url)
        except DatabaseError as error:
            if not _is_broken(error) or not _set_aside(url):
                raise
        return _connect(url)


def open_reader(url: str) -> Engine:
    """Connect for reading alone, beside whoever writes. Raises HistoryUnavailable with a reason one can act on."""
    path = Path(make_url(url).database or "")
    if not path.is_file():
        raise HistoryUnavailable(f"there is no file {path}")
    engine = create_engine("sqlite://", creator=lambda: _connect_for_reading(path))
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise HistoryUnavailable(f"{path} is not a readable database") from error
    if found != schema.REVISION:
        engine.dispose()
        raise HistoryUnavailable(f"{path} is of another release; `homeostat run` of this one migrates it")
    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of the database, of its migrations and of the disk into HistoryUnavailable."""
    try:
        yield
    except (SQLAlchemyError, subprocess.SubprocessError, OSError) as error:
        raise HistoryUnavailable(type(error).__name__) from error


def sync_url(url: str) -> str:
    """Give the URL for a driver without an event loop: the store has a thread of its own instead."""
    return make_url(url).set(drivername="sqlite").render_as_string(hide_password=False)


def _connect(url: str) -> Engine:
    engine = create_engine(sync_url(url))
    event.listen(engine, "connect", _set_up_sqlite)
    try:
        with engine.connect() as connection:
            found = _revision(connection)
            if found is None and not inspect(connection).get_table_names():
                _make(connection)
                found = schema.REVISION
        if found != schema.REVISION:
            engine.dispose()
            _migrate(url)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no type
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    """Connect so that nothing is written; one that nobody has open may lie where nothing can be."""
    place = f"file:{quote(str(path.absolute()))}?mode=ro"
    is_at_rest = not Path(f"{path}-wal").exists()
    is_writable = os.access(path.absolute().parent, os.W_OK)
    return sqlite3.connect(f"{place}&immutable=1" if is_at_rest and not is_writable else place, uri=True, timeout=5)


def _revision(connection: Connection) -> str | None:
    """Give the release that the tables are of; None when they are of none."""
    if not inspect(connection).has_table(schema.revision.name):
        return None
    return connection.execute(schema.revision.select()).scalar()


def _make(connection: Connection) -> None:
    """Make the tables of a new database, all or none."""
    connection.exec_driver_sql("VACUUM")  # auto_vacuum holds then, also for an empty file that somebody else began
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    schema.metadata.create_all(connection)
    connection.execute(schema.revision.insert().values(version_num=schema.REVISION))
    connection.commit()


def _migrate(url: str) -> None:
    log.info("history being migrated", to=schema.REVISION)
    command = [sys.executable, "-m", "homeostat.store.migrate"]
    environment = {**os.environ, URL: url}
    subprocess.run(command, env=environment, check=True, timeout=_MIGRATION, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves


def _is_broken(error: DatabaseError) -> bool:
    said = str(error.orig)
    return "not a database" in said or "malformed" in said


def _set_aside(url: str) -> bool:
    """Rename a broken SQLite file: history begins anew, and the old file is there to be looked at."""
    name = make_url(url).database
    if not name or not Path(name).is_file():
        return False
    Path(name).rename(f"{name}.broken")
    for leftover in (f"{name}-wal", f"{name}-shm"):
        Path(leftover).unlink(missing_ok=True)
    log.error("history set aside", reason="the file is not a readable database", kept_as=f"{Path(name).name}.broken")
    return True
