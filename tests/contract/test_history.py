"""The history store on real SQLite files: what is written is read, and nothing breaks what can break."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from homeostat.core.window import Bucket
from homeostat.ports import HistoryUnavailable, StoredAttempt, StoredResult
from homeostat.store.history import SqlHistory

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60 * 60


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/history.db"


def attempt(identity: str, *, ended: bool) -> StoredAttempt:
    return StoredAttempt(
        identity, "uid-1", "RecoveryPolicy", "shop", "restart", NOW, NOW if ended else None,
        "Recovered" if ended else "Started", {"step": 0},
    )  # fmt: skip


async def test_buckets_survive_a_restart_and_are_overwritten_not_doubled(tmp_path: Path) -> None:
    """H6, S6: what was counted before a restart is there after it."""
    first = SqlHistory(url(tmp_path))
    await first.add_buckets([Bucket("check/a", MINUTE, 60, 1, 2), Bucket("check/b", MINUTE, 60, 5, 5)])
    await first.add_buckets([Bucket("check/a", MINUTE, 60, 3, 4)])
    await first.close()

    second = SqlHistory(url(tmp_path))
    found = await second.buckets(60, MINUTE)
    only_a = await second.buckets(60, MINUTE, ["check/a"])
    await second.close()

    assert sorted(found, key=lambda bucket: bucket.series) == [
        Bucket("check/a", MINUTE, 60, 3, 4),
        Bucket("check/b", MINUTE, 60, 5, 5),
    ]
    assert only_a == [Bucket("check/a", MINUTE, 60, 3, 4)]


async def test_an_attempt_is_written_once_and_then_updated(tmp_path: Path) -> None:
    history = SqlHistory(url(tmp_path))
    await history.add_attempt(attempt("a-1", ended=False))
    await history.add_attempt(attempt("a-1", ended=True))
    found = await history.attempts("uid-1")
    await history.close()

    assert found == [attempt("a-1", ended=True)]


async def test_what_is_past_its_retention_is_pruned_and_nothing_else(tmp_path: Path) -> None:
    history = SqlHistory(url(tmp_path))
    old, fresh = MINUTE - 13 * 3600, MINUTE - 3600
    await history.add_buckets([Bucket("s", old, 60, 1, 1), Bucket("s", fresh, 60, 1, 1), Bucket("s", old, 300, 1, 1)])
    await history.add_results(
        [
            StoredResult("c", NOW - timedelta(days=3), "Fail", "Timeout", 2.0),
            StoredResult("c", NOW, "Fail", "Timeout", 2.0),
        ]
    )
    pruned = await history.prune(NOW)
    left = await history.buckets(60, 0)
    coarse = await history.buckets(300, 0)
    await history.close()

    assert pruned == 2
    assert [bucket.start for bucket in left] == [fresh]
    assert len(coarse) == 1


async def test_a_file_that_is_no_database_is_set_aside_and_history_begins_anew(tmp_path: Path) -> None:
    """Faults 27: a torn or foreign file costs history, not the operator."""
    (tmp_path / "history.db").write_bytes(b"this is not a database" * 100)
    history = SqlHistory(url(tmp_path))
    await history.add_buckets([Bucket("s", MINUTE, 60, 1, 1)])
    found = await history.buckets(60, 0)
    await history.close()

    assert len(found) == 1
    assert (tmp_path / "history.db.broken").read_bytes().startswith(b"this is not")


async def test_a_place_that_cannot_be_written_is_reported_as_unavailable(tmp_path: Path) -> None:
    """Faults 27: a read-only or missing folder is a known outcome, not a crash."""
    history = SqlHistory(f"sqlite+aiosqlite:///{tmp_path}/missing/history.db")

    with pytest.raises(HistoryUnavailable):
        await history.add_buckets([Bucket("s", MINUTE, 60, 1, 1)])
    with pytest.raises(HistoryUnavailable):
        await history.buckets(60, 0)
    await history.close()


def allow_40_pages(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA max_page_count = 40")
    cursor.close()


async def test_a_full_disk_is_reported_as_unavailable_and_reading_goes_on(tmp_path: Path) -> None:
    """Faults 27: SQLite says 'database or disk is full'."""
    history = SqlHistory(url(tmp_path))
    await history.add_buckets([Bucket("s", MINUTE, 60, 1, 1)])
    assert history._opened is not None
    event.listen(history._opened.sync_engine, "connect", allow_40_pages)
    await history._opened.dispose()

    with pytest.raises(HistoryUnavailable):
        await history.add_buckets([Bucket(f"series-{n}", MINUTE, 60, 1, 1) for n in range(20_000)])
    left = await history.buckets(60, 0)
    await history.close()

    assert len(left) == 1
