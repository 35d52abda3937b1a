"""What differs between the databases that history can be kept in, as a Protocol; all else is the same SQL for both."""

from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table

Insert = Any
"""An INSERT of a dialect: both know `excluded`, `on_conflict_do_update` and `on_conflict_do_nothing`."""


class Database(Protocol):
    """One database. What takes a connection works on it; none of these commits. All raise what the driver raises."""

    @property
    def name(self) -> str:
        """Which it is, for people; without a password."""
        ...

    def engine(self, *, is_for_migration: bool = False) -> Engine:
        """Make an engine for writing, to be used in one thread. It connects when it is used."""
        ...

    def reader(self) -> Engine:
        """Make an engine for reading alone, beside whoever writes. Raises HistoryUnavailable if there is nothing."""
        ...

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that writes, once no other process is in one."""
        ...

    def prepare(self, connection: Connection) -> None:
        """Do what must be done before the first tables are made, outside a transaction."""
        ...

    def set_aside(self, error: BaseException) -> bool:
        """Put something broken out of the way, so that history can begin anew; False when there is no such thing."""
        ...

    def insert(self, table: Table) -> Insert:
        """Begin a statement that inserts, and that can say what happens to rows that are there."""
        ...

    def used(self, connection: Connection) -> int:
        """Give the bytes that are in use: what the database would take without what is free in it."""
        ...

    def is_loose(self, connection: Connection) -> bool:
        """Whether so much of what it takes is free that it should shrink."""
        ...

    def shrink(self, engine: Engine) -> bool:
        """Give some of what is free back to the disk; False when there is no more, and then it has its size."""
        ...

    def size(self, connection: Connection) -> int:
        """Give the bytes it takes on disk."""
        ...

    def sizes(self, connection: Connection) -> dict[str, int]:
        """Give the bytes of each table with its indexes, largest first; {} where the database cannot tell."""
        ...
