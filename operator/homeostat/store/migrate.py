"""`python -m homeostat.store.migrate`: brings a history store to the newest tables, and ends.

A process of its own, so that the operator never has alembic in memory. All or nothing: a migration that is killed
leaves the database as it was, and of two at once the second finds nothing left to do.
"""

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from homeostat.ports import HistoryUnavailable
from homeostat.store.opening import URL, database_of, translated

_INCREMENTAL = 2  # as SQLite numbers the ways of auto_vacuum


def main() -> int:
    """Migrate the database that the environment names; give the exit code."""
    try:
        with translated():
            migrate(os.environ[URL])
    except HistoryUnavailable as error:
        print(f"homeostat: history could not be migrated: {error}", file=sys.stderr)  # noqa: T201 - as a process of its own
        return 1
    return 0


def migrate(url: str) -> None:
    """Migrate a database to the newest tables, then have a file give back what is free. Raises what goes wrong."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    database = database_of(url)
    engine = database.engine(is_for_migration=True)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = OFF")  # else what is dropped is written once more
            database.begin(connection)  # SQLite's driver begins none before a CREATE or DROP
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        if engine.dialect.name == "sqlite":
            _give_back(engine)
    finally:
        engine.dispose()


def _give_back(engine: Engine) -> None:
    """Write a file of the first release anew, so that it gives pages back from now on; later ones do."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() != _INCREMENTAL:
            connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
            connection.exec_driver_sql("VACUUM")


if __name__ == "__main__":
    sys.exit(main())
