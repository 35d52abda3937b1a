"""Opening the history store: connect, make the tables or have them migrated, and set a broken file aside.

alembic takes 11 MiB of memory, so it is imported only by a child process, and only for a database of another release.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, SQLAlchemyError

from homeostat.ports import HistoryUnavailable
from homeostat.store import schema
from homeostat.store.database import Database
from homeostat.store.sqlite import Sqlite

log = structlog.get_logger("homeostat.history")

URL = "HOMEOSTAT_STORE_URL"
"""The environment variable that a migration reads."""
_MIGRATION = 600.0  # seconds that it may take
_MOST_TOLD = 200  # characters of what a driver says


def database_of(url: str) -> Database:
    """Give the database that a URL names: that of a file, or of a PostgreSQL server."""
    if make_url(url).get_backend_name() == "sqlite":
        return Sqlite(url)
    from homeostat.store.postgres import Postgres  # noqa: PLC0415 - who uses a file does not pay for it

    return Postgres(url)


def open_engine(url: str) -> Engine:
    """Connect to `url`, and make or migrate its tables. Raises HistoryUnavailable.

    A file that is no database is set aside once. To be called, and its engine used, in one thread.
    """
    with translated():
        database = database_of(url)
        try:
            return _connect(database, url)
        except DatabaseError as error:
            if not database.set_aside(error):
                raise
        return _connect(database, url)


def open_reader(url: str) -> Engine:
    """Connect for reading alone, beside whoever writes. Raises HistoryUnavailable with a reason one can act on."""
    with translated():
        database = database_of(url)
        engine = database.reader()
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise HistoryUnavailable(f"{database.name} is not a readable database: {_told(error)}") from error
    if found != schema.REVISION:
        engine.dispose()
        raise HistoryUnavailable(f"{database.name} is of another release; `homeostat run` of this one migrates it")
    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of the database, of its migrations and of the disk into HistoryUnavailable."""
    try:
        yield
    except (SQLAlchemyError, subprocess.SubprocessError, OSError) as error:
        raise HistoryUnavailable(_told(error)) from error


def _told(error: BaseException) -> str:
    """Say what went wrong by the driver's first line: it names neither values nor the password."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    lines = str(error.orig).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:_MOST_TOLD]}"


def _connect(database: Database, url: str) -> Engine:
    engine = database.engine()
    try:
        with engine.connect() as connection:
            found = _revision(connection)
            if found is None and not inspect(connection).get_table_names():
                connection.rollback()
                found = _make(database, connection)
        if found != schema.REVISION:
            engine.dispose()
            _migrate(url)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _revision(connection: Connection) -> str | None:
    """Give the release that the tables are of; None when they are of none."""
    if not inspect(connection).has_table(schema.revision.name):
        return None
    return connection.execute(schema.revision.select()).scalar()


def _make(database: Database, connection: Connection) -> str | None:
    """Make the tables of a new database, all or none, unless another process just did; give what release they are."""
    database.prepare(connection)
    database.begin(connection)
    found = _revision(connection)
    if found is None:
        schema.metadata.create_all(connection, checkfirst=False)
        connection.execute(schema.revision.insert().values(version_num=schema.REVISION))
        connection.commit()
        found = schema.REVISION
    return found


def _migrate(url: str) -> None:
    log.info("history being migrated", to=schema.REVISION)
    command = [sys.executable, "-m", "homeostat.store.migrate"]
    environment = {**os.environ, URL: url}
    subprocess.run(command, env=environment, check=True, timeout=_MIGRATION, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
