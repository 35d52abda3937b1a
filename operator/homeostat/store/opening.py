"""Opening the history store: connect, set SQLite up for one writer, migrate, and set a broken file aside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from homeostat.ports import HistoryUnavailable

log = structlog.get_logger("homeostat.history")

_PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 5000", "temp_store = MEMORY")


async def open_engine(url: str) -> AsyncEngine:
    """Connect to `url` and migrate. Raises HistoryUnavailable; a file that is no database is set aside once."""
    async with translated():
        try:
            return await _connect(url)
        except DatabaseError as error:
            if not _is_broken(error) or not _set_aside(url):
                raise
        return await _connect(url)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the errors of the database, of its migrations and of the disk into HistoryUnavailable."""
    try:
        yield
    except (SQLAlchemyError, CommandError, OSError) as error:
        raise HistoryUnavailable(type(error).__name__) from error


async def _connect(url: str) -> AsyncEngine:
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    except BaseException:
        await engine.dispose()
        raise
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no type
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


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
