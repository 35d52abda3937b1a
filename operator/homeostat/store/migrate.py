"""`python -m homeostat.store.migrate`: brings a history store to the newest tables, and ends.

A process of its own, so that the operator never has alembic in memory. All or nothing: a migration that is killed
leaves the database as it was.
"""

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from homeostat.store.opening import URL, sync_url


def main() -> int:
    """Migrate the database that the environment names; give the exit code."""
    migrate(os.environ[URL])
    return 0


def migrate(url: str) -> None:
    """Migrate a database to the newest tables, then have its file give back what is free. Raises what goes wrong."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(sync_url(url), connect_args={"timeout": 30})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA secure_delete = OFF")  # else what is dropped is written once more
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none before a CREATE or DROP
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
            connection.exec_driver_sql("VACUUM")
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
