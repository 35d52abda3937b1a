"""History in a file: SQLite, with a write-ahead log, one writer at a time and any number of readers."""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from homeostat.ports import HistoryUnavailable
from homeostat.store.database import Insert

log = structlog.get_logger("homeostat.history")

FREE = 4
"""The file gives pages back when one of this many is free."""
PAGES = 2000
"""Pages given back at a time: 8 MiB."""
_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",  # first: it holds for a file that has no pages yet
    "journal_mode = WAL",
    "journal_size_limit = 16777216",
    "synchronous = FULL",  # what is acknowledged must outlive a loss of power, not only our own end
    "busy_timeout = 5000",
    "temp_store = MEMORY",
    "secure_delete = OFF",  # Debian's default writes zeros over whatever is deleted: these are no secrets
)


class Sqlite:
    """The database in one file."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="sqlite")
        self._path = Path(self._url.database or "")

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._path)

    def engine(self, *, is_for_migration: bool = False) -> Engine:
        """Make an engine for writing."""
        if is_for_migration:
            return create_engine(self._url, connect_args={"timeout": 30})
        engine = create_engine(self._url)
        event.listen(engine, "connect", _set_up)
        return engine

    def reader(self) -> Engine:
        """Make an engine for reading alone, which makes no file."""
        if not self._path.is_file():
            raise HistoryUnavailable(f"there is no file {self._path}")
        return create_engine("sqlite://", creator=lambda: _connect_for_reading(self._path))

    def begin(self, connection: Connection) -> None:
        """Take the lock for writing before anything is read: what is read stays true until it is written."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def prepare(self, connection: Connection) -> None:
        """Have auto_vacuum hold, also for an empty file that somebody else began."""
        connection.exec_driver_sql("VACUUM")

    def set_aside(self, error: BaseException) -> bool:
        """Rename a broken file: history begins anew, and the old file is there to be looked at."""
        said = str(getattr(error, "orig", ""))
        if not ("not a database" in said or "malformed" in said) or not self._path.is_file():
            return False
        self._path.rename(f"{self._path}.broken")
        for leftover in (f"{self._path}-wal", f"{self._path}-shm"):
            Path(leftover).unlink(missing_ok=True)
        reason = "the file is not a readable database"
        log.error("history set aside", reason=reason, kept_as=f"{self._path.name}.broken")
        return True

    def insert(self, table: Table) -> Insert:
        """Begin a statement that inserts."""
        return insert(table)

    def used(self, connection: Connection) -> int:
        """Give the bytes of the pages that are not free."""
        pages, free, size = _pages(connection)
        return (pages - free) * size

    def is_loose(self, connection: Connection) -> bool:
        """Whether many pages are free."""
        pages, free, _ = _pages(connection)
        return free > PAGES and free * FREE > pages

    def shrink(self, engine: Engine) -> bool:
        """Give some free pages back."""
        with engine.connect() as connection:
            free = _pages(connection)[1]
            _run(connection, f"PRAGMA incremental_vacuum({PAGES})")
            if 0 < _pages(connection)[1] < free:
                return True
            _run(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
            return False

    def size(self, connection: Connection) -> int:  # noqa: ARG002 - the file system knows
        """Give the bytes of the file and of its log."""
        files = [self._path, Path(f"{self._path}-wal")]
        return sum(file.stat().st_size for file in files if file.is_file())

    def sizes(self, connection: Connection) -> dict[str, int]:
        """Give the bytes of each table; {} where SQLite was built without that."""
        query = (
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) WHERE aggregate = TRUE"
            " GROUP BY tbl_name ORDER BY 2 DESC"
        )
        try:
            return {str(name): int(size) for name, size in connection.exec_driver_sql(query)}
        except OperationalError:
            return {}


def _set_up(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no type
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


def _run(connection: Connection, statement: str) -> None:
    """Run a statement to its end, which for these is not when it says that there are no rows."""
    cursor: Any = connection.connection.cursor()
    cursor.executescript(statement)
    cursor.close()


def _pages(connection: Connection) -> tuple[int, int, int]:
    found = [
        connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "freelist_count", "page_size")
    ]
    return int(found[0] or 0), int(found[1] or 0), int(found[2] or 0)
