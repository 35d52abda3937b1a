"""History in PostgreSQL 15 or newer, in a database of its own. The driver is imported when the first of these is made.

The driver is psycopg without an event loop: the store has a thread of its own. Everything that can wait has a limit,
so that a server that is gone, frozen or busy costs a failed write, not the thread.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, Table, create_engine, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, make_url

from homeostat.store import schema
from homeostat.store.database import Insert

WRITERS = 0x686F6D656F
"""The advisory lock that whoever writes holds to the end of its transaction."""
CONNECT_WITHIN = 5  # seconds, for each address of the server
SLACK = 1 << 20
"""Bytes that may be free however small the tables are."""
_SESSION = {
    "application_name": "homeostat",
    "connect_timeout": CONNECT_WITHIN,
    # A server that vanished is noticed: within 10 s while we send, within 25 s while we wait for its answer.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Prepared statements do not survive poolers that hand a connection from one client to the next.
    "prepare_threshold": None,
}
_OPTIONS = {
    "synchronous_commit": "on",  # whatever the server's default: what is acknowledged is on its disk
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",  # one of us that is frozen does not keep the others from writing
    "timezone": "UTC",
}
_ROW, _ENTRY = 60, 40  # bytes of a row beside what is packed, and of its entry in an index, at most
_RELATIONS = 24 * 8192
"""Bytes of a few pages that every table, index and TOAST table has, at most."""


class Postgres:
    """The database of a server."""

    def __init__(self, url: str) -> None:
        self._url = _translated(make_url(url))

    @property
    def name(self) -> str:
        """The database and where it is."""
        return f"{self._url.database} at {self._url.host or self._url.query.get('host') or 'the local server'}"

    def engine(self, *, is_for_migration: bool = False) -> Engine:
        """Make an engine for writing, with one connection, which is tried before each use."""
        patient = {"lock_timeout": "60s", "statement_timeout": "0"} if is_for_migration else {}
        return self._engine({**_OPTIONS, **patient})

    def reader(self) -> Engine:
        """Make an engine that cannot write."""
        return self._engine({**_OPTIONS, "default_transaction_read_only": "on"})

    def begin(self, connection: Connection) -> None:
        """Wait until no other process writes: blocks are read, changed and written, so two at once would lose one."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS})

    def prepare(self, connection: Connection) -> None:
        """Nothing has to be done before."""

    def set_aside(self, error: BaseException) -> bool:  # noqa: ARG002 - whatever it is
        """A server is mended by who runs it."""
        return False

    def insert(self, table: Table) -> Insert:
        """Begin a statement that inserts."""
        return insert(table)

    def used(self, connection: Connection) -> int:
        """Give what the rows take, with the room that tables are left between two looks; rather too much.

        What the tables take says nothing, as what is deleted is free inside them until it is written over. Whenever
        they take more than this they are written anew, so a limit for this is one for them.
        """
        packed = sum(self._live(connection, table) for table in (schema.counts, schema.latencies, schema.runs))
        others = (schema.series.name, schema.attempt.name, schema.delivery.name)
        live = packed + sum(size for name, size in self.sizes(connection).items() if name in others)
        return live * 4 // 3 + SLACK

    def is_loose(self, connection: Connection) -> bool:
        """Whether more than a quarter of the tables is free."""
        return self.size(connection) > self.used(connection)

    def shrink(self, engine: Engine) -> bool:
        """Write the tables of packed rows anew, each for itself; nobody reads a table meanwhile."""
        connecting = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connecting as connection:
            for table in (schema.runs, schema.counts, schema.latencies, schema.delivery):
                connection.exec_driver_sql("SET statement_timeout = '10min'")
                try:
                    connection.exec_driver_sql(f"VACUUM (FULL) {table.name}")
                finally:
                    connection.exec_driver_sql(f"SET statement_timeout = '{_OPTIONS['statement_timeout']}'")
        return False

    def size(self, connection: Connection) -> int:
        """Give the bytes of our tables on the server's disk."""
        return sum(self.sizes(connection).values())

    def sizes(self, connection: Connection) -> dict[str, int]:
        """Give the bytes of each table with its indexes and what is out of line, largest first."""
        query = text("SELECT pg_total_relation_size(to_regclass(:name))")
        found = {name: connection.execute(query, {"name": name}).scalar() or 0 for name in schema.metadata.tables}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _live(self, connection: Connection, table: Table) -> int:
        """Estimate the bytes of rows; what is out of line takes some more in its pieces."""
        query = text(f"SELECT count(*), coalesce(sum(pg_column_size(packed)), 0) FROM {table.name}")  # noqa: S608 - ours
        rows, packed = connection.execute(query).one()
        return int(rows * (_ROW + _ENTRY) + int(packed) * 1.08) + _RELATIONS

    def _engine(self, options: Mapping[str, str]) -> Engine:
        said = self._url.query.get("options", "")
        ours = " ".join(f"-c {name}={value}" for name, value in options.items())
        arguments = {**_SESSION, "options": f"{ours} {said if isinstance(said, str) else ' '.join(said)}".strip()}
        given = {name for name in self._url.query if name != "options"}
        return create_engine(
            self._url.difference_update_query(["options"]),
            connect_args={name: value for name, value in arguments.items() if name not in given},
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            use_native_hstore=False,
            hide_parameters=True,
        )


def _translated(url: URL) -> URL:
    """Give the URL for our driver. `ssl` is asyncpg's word for what libpq calls `sslmode`."""
    url = url.set(drivername="postgresql+psycopg")
    if "ssl" in url.query:
        mode = url.query["ssl"]
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    return url
