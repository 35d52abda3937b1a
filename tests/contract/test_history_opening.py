"""Opening the history store: a new file, one of another release, one that another process writes, none at all."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import Grid
from homeostat.ports import HistoryUnavailable
from homeostat.store import reading, schema, sqlite
from homeostat.store.history import SqlHistory
from homeostat.store.migrate import migrate
from homeostat.store.opening import open_engine, open_reader

NOON = 1_795_262_400
MIGRATIONS = Path(schema.__file__).parent / "migrations"


def url(folder: Path, name: str = "history.db") -> str:
    return f"sqlite+aiosqlite:///{folder}/{name}"


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    return made


def first_release(folder: Path, rows: list[tuple[int, int, int, int, int, int]]) -> Path:
    """Make a database as the first release left it; `rows`: series, seconds, start, good, total, observed."""
    path = folder / "history.db"
    engine = create_engine(f"sqlite:///{path}")
    made = config()
    with engine.begin() as connection:
        made.attributes["connection"] = connection
        command.upgrade(made, "0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as database:
        names = [(number, f"check/{number}") for number in {row[0] for row in rows}]
        database.executemany("INSERT INTO series VALUES (?, ?)", names)
        database.executemany("INSERT INTO sli_bucket VALUES (?, ?, ?, ?, ?, ?)", rows)
        results = [(f"uid-{number}", "2026-11-21", "Fail", "Timeout", 1.0, "pod-1") for number in range(5000)]
        database.executemany(
            "INSERT INTO probe_result (check_uid, at, verdict, reason, seconds, target) VALUES (?, ?, ?, ?, ?, ?)",
            results,
        )
        database.execute(
            "INSERT INTO attempt VALUES ('a-1', 'uid-1', 'RecoveryPolicy', 'shop', 'web', '2026-11-21 12:00:00', NULL, "
            "'Started', '{}')"
        )
        database.commit()
    return path


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read the columns of all tables, and all indexes."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")]
        columns = {name: database.execute("SELECT * FROM pragma_table_xinfo(?)", [name]).fetchall() for name in names}
        indexed = {name: database.execute("SELECT * FROM pragma_index_info(?)", [name]).fetchall() for name in names}
    return {name: columns[name] or indexed[name] for name in sorted(names)}


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"PRAGMA {name}").fetchone()[0]


def span(engine: Engine, series: str, grid: Grid) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        number = reading.number_of(connection, series)
        assert number is not None
        return [(step.good, step.total) for step in reading.span(connection, number, grid)]


# --- a new file -----------------------------------------------------------------------------------------


def test_a_new_store_is_what_all_migrations_together_make(tmp_path: Path) -> None:
    open_engine(url(tmp_path, "new.db")).dispose()
    migrate(url(tmp_path, "migrated.db"))

    assert tables(tmp_path / "new.db") == tables(tmp_path / "migrated.db")
    assert ScriptDirectory.from_config(config()).get_current_head() == schema.REVISION
    assert pragma(tmp_path / "new.db", "auto_vacuum") == pragma(tmp_path / "migrated.db", "auto_vacuum") == 2


def test_an_empty_file_that_was_begun_otherwise_gives_pages_back_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE other (what)")
        database.execute("DROP TABLE other")
        database.commit()
    before = pragma(tmp_path / "history.db", "auto_vacuum")
    open_engine(url(tmp_path)).dispose()

    assert (before, pragma(tmp_path / "history.db", "auto_vacuum")) == (0, 2)


def test_the_tables_of_a_new_store_are_made_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 20: killed in between, the next start makes them."""
    monkeypatch.setattr(schema, "REVISION", object())  # cannot be bound: fails after the tables
    with pytest.raises(HistoryUnavailable):
        open_engine(url(tmp_path))
    monkeypatch.undo()

    assert tables(tmp_path / "history.db") == {}
    open_engine(url(tmp_path)).dispose()
    assert "counts" in tables(tmp_path / "history.db")


def test_opening_a_store_of_this_release_takes_no_alembic_and_no_event_loop(tmp_path: Path) -> None:
    """An operator at rest does not pay for what it does not need."""
    for _ in ("new", "known"):
        program = (
            "import sys; from homeostat.store.opening import open_engine; "
            f"open_engine({url(tmp_path)!r}).dispose(); "
            "sys.exit(bool({'alembic', 'aiosqlite', 'psycopg', 'sqlalchemy.ext.asyncio'} & sys.modules.keys()))"
        )
        path = os.pathsep.join(sys.path)
        subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": path})


def test_processes_that_open_a_new_store_at_once_make_its_tables_once(store_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for engine in pool.map(open_engine, [store_url] * 8):
            engine.dispose()
    engine = open_reader(store_url)
    with engine.connect() as connection:
        found = connection.execute(schema.revision.select()).scalars().all()
    engine.dispose()

    assert found == [schema.REVISION]


# --- one of another release -----------------------------------------------------------------------------


async def test_a_store_of_the_first_release_is_migrated_and_its_buckets_are_there(tmp_path: Path) -> None:
    """H6: uptime survives the update of the operator."""
    minutes = [(number, 60, NOON + 60 * at, at % 2, 1, 1) for number in (1, 2, 700) for at in range(60)]
    hours = [(number, 3600, NOON - 3600 * at, number, 1000, 60) for number in (1, 2, 700) for at in range(1, 100)]
    path = first_release(tmp_path, minutes + hours)
    before = path.stat().st_size

    history = SqlHistory(url(tmp_path))
    found = {
        name: await history.span(f"check/{name}", Grid(NOON - 99 * 3600, NOON + 3600, 86400 * 365))
        for name in (1, 2, 700)
    }
    attempts = await history.attempts("uid-1")
    await history.close()

    assert {
        name: [(sum(step.good for step in steps), sum(step.total for step in steps))] for name, steps in found.items()
    } == {name: [(30 + 99 * name, 60 + 99_000)] for name in (1, 2, 700)}
    assert [one.id for one in attempts] == ["a-1"]
    assert not {"sli_bucket", "probe_result"} & tables(path).keys()
    assert pragma(path, "auto_vacuum") == 2
    assert path.stat().st_size < before


async def test_an_empty_store_of_the_first_release_is_migrated(tmp_path: Path) -> None:
    first_release(tmp_path, [])
    history = SqlHistory(url(tmp_path))

    assert await history.recorded_until() == 0
    await history.close()


async def test_a_migration_that_fails_leaves_the_store_as_it_was_and_is_tried_again(tmp_path: Path) -> None:
    """Fault 20: all or nothing."""
    path = first_release(tmp_path, [(1, 60, NOON, 1, 1, 1)])
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE runs (what)")  # in the way of the last of the new tables
        database.commit()
    before = tables(path)
    history = SqlHistory(url(tmp_path))
    with pytest.raises(HistoryUnavailable):
        await history.recorded_until()
    after = tables(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE runs")

    assert after == before
    assert await history.recorded_until() == NOON + 60
    await history.close()


async def test_a_store_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    open_engine(url(tmp_path)).dispose()
    with closing(sqlite3.connect(tmp_path / "history.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    history = SqlHistory(url(tmp_path))

    with pytest.raises(HistoryUnavailable):
        await history.recorded_until()
    await history.close()
    assert pragma(tmp_path / "history.db", "integrity_check") == "ok"


# --- reading beside a writer ----------------------------------------------------------------------------


async def test_a_reader_sees_what_the_operator_writes_while_it_writes(tmp_path: Path) -> None:
    history = SqlHistory(url(tmp_path))
    counted = np.array([[1.0], [2.0], [1.0]])
    await history.add([Closed(NOON, 60, ("check/1",), counted)])
    reader = open_reader(url(tmp_path))
    first = span(reader, "check/1", Grid(NOON, NOON + 120, 3600))
    await history.add([Closed(NOON + 60, 60, ("check/1",), counted)])
    second = span(reader, "check/1", Grid(NOON, NOON + 120, 3600))
    await history.close()
    reader.dispose()

    assert (first, second) == ([(1, 2)], [(2, 4)])


async def test_a_store_at_rest_in_a_place_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = SqlHistory(url(tmp_path))
    await history.add([Closed(NOON, 60, ("check/1",), np.array([[1.0], [2.0], [1.0]]))])
    await history.close()
    monkeypatch.setattr(sqlite.os, "access", lambda *_: False)
    reader = open_reader(url(tmp_path))
    found = span(reader, "check/1", Grid(NOON, NOON + 60, 60))
    reader.dispose()

    assert found == [(1, 2)]
    assert os.listdir(tmp_path) == ["history.db"]  # noqa: PTH208 - names are what is asked for


def test_a_reader_makes_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnavailable, match="there is no file"):
        open_reader(url(tmp_path))
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "history.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(HistoryUnavailable, match="not a readable database"):
        open_reader(url(tmp_path))

    (tmp_path / "history.db").unlink()
    first_release(tmp_path, [])
    with pytest.raises(HistoryUnavailable, match="of another release"):
        open_reader(url(tmp_path))
