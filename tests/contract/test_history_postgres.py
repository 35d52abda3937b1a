"""History on a real PostgreSQL: what only a server can do to it, from a restart under load to a wrong password."""

import asyncio
import signal
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from sqlalchemy import inspect, text

from fakes import FakeClock
from homeostat.cli.checks import history as history_command
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Known, Retention, Runs
from homeostat.core.history.window import DAY
from homeostat.engine.archive import Archive
from homeostat.ports import Delivery, HistoryUnavailable
from homeostat.store import opening, schema
from homeostat.store.history import SqlHistory
from homeostat.store.migrate import migrate
from homeostat.store.opening import database_of, open_engine, open_reader
from homeostat.telemetry.metrics import Metrics
from postgres_process import PASSWORD, PostgresServer

pytestmark = pytest.mark.programs

NOON = 1_795_262_400
NOW = datetime.fromtimestamp(NOON, UTC)
NAMES = tuple(f"check/{number}" for number in range(300))


def pushed(key: str) -> Delivery:
    return Delivery("uid-1", key, (("slo/a", NOON // 60, 1, 2),))


def minute(number: int) -> Closed:
    return Closed(NOON + 60 * number, 60, NAMES, np.ones((3, len(NAMES))))


async def totals(history: SqlHistory, seconds: int, *series: str) -> list[float]:
    return [float(period.counted[1].sum()) async for period in history.periods(seconds, 0, series)]


# --- a server that goes and comes back ------------------------------------------------------------------


class Load:
    """Pushes events and writes minutes, one after the other, whatever comes back."""

    def __init__(self, url: str) -> None:
        self.history = SqlHistory(url)
        self.archive = Archive(self.history, FakeClock(), Metrics())
        self.told: set[int] = set()
        self.number = self.minutes = 0

    @property
    def is_well(self) -> bool:
        """Whether the last ten were acknowledged."""
        return self.told >= set(range(self.number - 9, self.number + 1))

    async def push(self) -> None:
        self.number += 1
        try:
            [is_new] = await self.history.deliver([pushed(str(self.number))], NOW)
            assert is_new
            self.told.add(self.number)
        except HistoryUnavailable:
            await asyncio.sleep(0.02)
        if self.number % 10 == 0:
            self.minutes += 1
            self.archive.keep(minute(self.minutes))
            await self.archive.flush()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_restart_under_load_loses_nothing_that_was_acknowledged_and_writing_goes_on(
    postgres: PostgresServer, how: signal.Signals
) -> None:
    """Stopped in between or crashed: deliveries fail until it is back, and the archive writes what waited."""
    load = Load(postgres.create())
    while load.number < 40:
        await load.push()
    async with asyncio.TaskGroup() as group:
        restarting = group.create_task(asyncio.to_thread(_restart, postgres, how))
        while not (restarting.done() and load.is_well):
            await load.push()
    written = await load.archive.flush()
    keys = range(1, load.number + 1)
    again = await load.history.deliver([pushed(str(key)) for key in keys], NOW)
    found = await totals(load.history, 3600, "slo/a"), await totals(load.history, 60, NAMES[0])
    await load.history.close()

    assert written
    assert len(load.told) < load.number
    assert not any(is_new for key, is_new in zip(keys, again, strict=True) if key in load.told)
    assert found[0] == [2 * load.number]
    assert found[1].count(1) == load.minutes


def _restart(server: PostgresServer, how: signal.Signals) -> None:
    server.stop(how)
    server.start()


async def test_a_writer_that_is_frozen_within_a_transaction_does_not_keep_others_out(postgres: PostgresServer) -> None:
    url = postgres.create()
    database = database_of(f"{url}?options=-c%20idle_in_transaction_session_timeout%3D200ms")
    history = SqlHistory(url)
    await history.recorded_until()
    frozen = database.engine()
    with frozen.connect() as connection:
        database.begin(connection)
        told = await history.deliver([pushed("1")], NOW)
        connection.invalidate()
    frozen.dispose()
    await history.close()

    assert told == (True,)


async def test_a_lock_that_another_holds_for_long_fails_the_write_and_a_later_one_succeeds(
    postgres: PostgresServer,
) -> None:
    """Faults 28."""
    url = postgres.create()
    history = SqlHistory(f"{url}?options=-c%20lock_timeout%3D100ms")
    await history.recorded_until()
    database = database_of(url)
    other = database.engine()
    with other.connect() as connection:
        database.begin(connection)
        with pytest.raises(HistoryUnavailable, match="lock timeout"):
            await history.deliver([pushed("1")], NOW)
        with pytest.raises(HistoryUnavailable, match="lock timeout"):
            await history.add([minute(0)])
    other.dispose()
    told = await history.deliver([pushed("1")], NOW)
    found = await totals(history, 60, "slo/a")
    await history.close()

    assert (told, found) == ((True,), [2])


async def test_a_statement_that_takes_too_long_is_given_up(postgres: PostgresServer) -> None:
    history = SqlHistory(f"{postgres.create()}?options=-c%20statement_timeout%3D100ms")
    with pytest.raises(HistoryUnavailable, match="statement timeout"):
        await history._read(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))

    assert await history.recorded_until() == 0
    await history.close()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """The connection is accepted, and then there is silence."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+asyncpg://u:p@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2"
        history = SqlHistory(url)
        with pytest.raises(HistoryUnavailable, match="timeout"):
            await history.recorded_until()
        await history.close()


def test_everything_that_may_wait_has_a_limit_and_commits_are_durable(postgres: PostgresServer) -> None:
    url = postgres.create()
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("ALTER ROLE homeostat SET synchronous_commit = off")
    names = ("synchronous_commit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    engine = open_engine(url)
    with engine.connect() as opened:
        shown = {name: opened.exec_driver_sql(f"SHOW {name}").scalar() for name in names}
        parameters = opened.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    engine.dispose()
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("ALTER ROLE homeostat RESET synchronous_commit")

    assert shown == dict(zip(names, ("on", "5s", "30s", "1min"), strict=True))
    assert (parameters["connect_timeout"], parameters["tcp_user_timeout"]) == ("5", "10000")


# --- who may not --------------------------------------------------------------------------------------


SECRET = "wr0ng p@ss:w/rd"  # noqa: S105 - it opens nothing


def wrong_password(url: str) -> str:
    return url.replace(quote(PASSWORD, safe=""), quote(SECRET, safe=""))


WRONG = {
    "password authentication failed": wrong_password,
    "refused": lambda url: url.replace(url.rpartition(":")[2].partition("/")[0], "1"),
    "SSL": lambda url: f"{url}?sslmode=require",
    "nonsense": lambda url: f"{url}?nonsense=1",
    "does not exist": lambda url: f"{url}_not",
}


@pytest.mark.parametrize("reason", WRONG)
async def test_the_reason_is_told_and_the_password_never(
    postgres: PostgresServer, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither to who asks, nor in a log, nor by the child that migrates."""
    url = WRONG[reason](postgres.create())
    history = SqlHistory(url)
    archive = Archive(history, FakeClock(), Metrics())
    archive.keep(minute(0))
    with pytest.raises(HistoryUnavailable, match=reason) as writing:
        await history.deliver([pushed("1")], NOW)
    with pytest.raises(HistoryUnavailable, match=reason) as reading:
        open_reader(url)
    assert not await archive.flush()
    with pytest.raises(HistoryUnavailable), opening.translated():
        opening._migrate(url)
    told = [str(writing.value), str(reading.value), database_of(url).name, *capfd.readouterr()]
    await history.close()

    assert "history unavailable" in told[-2]
    for secret in (PASSWORD, SECRET):
        assert not any(form in one for one in told for form in (secret, quote(secret, safe=""), quote(secret)))


def test_a_url_may_say_how_to_connect_in_the_words_of_libpq_or_of_asyncpg(postgres: PostgresServer) -> None:
    url = postgres.create()
    socket_url = url.replace(f"@127.0.0.1:{postgres.port}", "@") + f"?host={postgres.folder}&port={postgres.port}"
    for given in (f"{url}?sslmode=disable", f"{url}?ssl=prefer&application_name=other", socket_url):
        engine = open_engine(given)
        with engine.connect() as connection:
            assert connection.execute(schema.revision.select()).scalar() == schema.REVISION
        engine.dispose()


# --- tables ---------------------------------------------------------------------------------------------


def tables(url: str) -> dict[str, object]:
    """Read the columns, keys and indexes of all tables."""
    engine = database_of(url).engine()
    found: dict[str, object] = {}
    with engine.connect() as connection:
        inspector = inspect(connection)
        for name in inspector.get_table_names():
            columns = [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)]
            keys = inspector.get_pk_constraint(name), inspector.get_unique_constraints(name)
            found[name] = columns, keys, inspector.get_indexes(name)
    engine.dispose()
    return found


def test_a_new_database_is_what_all_migrations_together_make(postgres: PostgresServer) -> None:
    new, migrated = postgres.create(), postgres.create()
    open_engine(new).dispose()
    migrate(migrated)

    assert tables(new) == tables(migrated)
    assert tables(new).keys() == schema.metadata.tables.keys()


def test_a_database_of_the_release_before_is_migrated_once_by_all_who_open_it(postgres: PostgresServer) -> None:
    url = postgres.create()
    open_engine(url).dispose()
    after = tables(url)
    with psycopg.connect(postgres.dsn(url.rpartition("/")[2]), autocommit=True) as connection:
        connection.execute("DROP TABLE delivery, decision")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    with pytest.raises(HistoryUnavailable, match="of another release"):
        open_reader(url)
    with ThreadPoolExecutor(2) as pool:
        for engine in pool.map(open_engine, [url] * 2):
            engine.dispose()

    assert tables(url) == after


async def test_a_reader_sees_what_is_written_and_can_write_nothing(postgres: PostgresServer) -> None:
    url = postgres.create()
    with pytest.raises(HistoryUnavailable, match="of another release"):
        open_reader(url)
    history = SqlHistory(url)
    await history.deliver([pushed("1")], NOW)
    reader = open_reader(url)
    with reader.connect() as connection:
        found = connection.execute(text("SELECT name FROM series")).scalars().all()
        with pytest.raises(HistoryUnavailable, match="read-only"), opening.translated():
            connection.execute(text("DELETE FROM series"))
    reader.dispose()
    await history.close()

    assert found == ["slo/a"]


async def test_the_history_command_reads_a_database_and_does_not_tell_the_password(
    postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.create()
    history = SqlHistory(url)
    now = int(datetime.now(UTC).timestamp()) // 60 * 60
    await history.add([Known("check/1", "shop", "web", "cart", now), Known("slo/1", "shop", "pay", "", now)])
    await history.add([Closed(now - 120, 60, ("check/1",), np.array([[1.0], [4.0], [1.0]]))])
    await history.close()
    codes = [history_command.main([*asked, "--store-url", url]) for asked in ([], ["shop/web", "--since", "1h"])]
    printed = capsys.readouterr()

    assert codes == [0, 0]
    assert f"1 checks in {url.rpartition('/')[2]} at 127.0.0.1: " in printed.out
    assert "75 % up: 3 of 4 good" in printed.out
    assert PASSWORD not in printed.out + printed.err


# --- how it stays small ---------------------------------------------------------------------------------


def noise(start: int, names: Iterable[str]) -> Runs:
    """Make runs that do not compress."""
    series, random = tuple(names), np.random.default_rng(start)
    owner = np.arange(len(series), dtype=np.uint32).repeat(6)
    return Runs(
        start, series, owner,
        offset=random.integers(0, 60_000, len(owner), dtype=np.uint16),
        verdict=np.zeros(len(owner), dtype=np.uint8),
        reason=random.integers(0, 60_000, len(owner), dtype=np.uint16),
        seconds=random.random(len(owner)).astype(np.float16),
    )  # fmt: skip


async def test_what_is_in_use_is_never_taken_for_less_than_it_takes(postgres: PostgresServer) -> None:
    """So that the limit holds: rows in line, rows out of line, few and many."""
    history = SqlHistory(postgres.create(), Retention(results=DAY))
    shapes = [[], [minute(number) for number in range(-600, 0)], [noise(NOON - 60 * n, NAMES) for n in range(1, 500)]]
    found = []
    for records in shapes:
        await history.add(records)
        await history._in_thread(history._shrink)
        used, size = await history._read(history._database.used), await history._read(history._database.size)
        found.append((used, size))
    await history.close()

    for used, size in found:
        assert size <= 3 / 4 * used <= 1.3 * size + 1_500_000


async def test_a_database_that_grew_too_large_gives_up_the_oldest_and_takes_no_more_than_it_may(
    postgres: PostgresServer,
) -> None:
    history = SqlHistory(postgres.create(), Retention(results=DAY, most_bytes=6_000_000))
    for number in range(1, 700):
        await history.add([noise(NOON - 60 * number, NAMES), minute(-number)])
    before = await history._read(history._database.size)
    left = await history.prune(NOW)
    runs = await history.past_runs(NAMES[0], 0, NOON)
    minutes = await totals(history, 60, NAMES[0])
    after, again = await history._read(history._database.size), await history.prune(NOW)
    await history.close()

    assert before > 6_000_000
    assert left.is_cut
    assert left.size == after <= 6_000_000
    assert (runs[0].at > NOON - 690 * 60, runs[-1].at > NOON - 60) == (True, True)
    assert len(minutes) == 699
    assert not again.is_cut


async def test_what_is_deleted_goes_back_to_the_disk_when_it_is_much(postgres: PostgresServer) -> None:
    history = SqlHistory(postgres.create(), Retention(results=DAY))
    await history.add([noise(NOON - 60 * number, [*NAMES, *map(str, range(900))]) for number in range(1, 500)])
    before = (await history.prune(NOW)).size
    after = (await history.prune(datetime.fromtimestamp(NOON + 2 * DAY, UTC))).size
    await history.close()

    assert before > 20_000_000
    assert after < 1_000_000
