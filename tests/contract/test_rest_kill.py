"""Killed with pushed events on the way: what was acknowledged is there, what is repeated with its key counts once."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from homeostat.core.history.records import Retention
from homeostat.store.history import SqlHistory
from pushed import events

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def server(store: str, moment: str) -> AsyncIterator[str]:
    """Run the API as a process of its own; kill it in the end."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "contract.pushed_server", store, moment, env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/api/v1/slo/shop/web/events"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def push(url: str, key: str) -> dict[str, object]:
    headers = {"Authorization": "Bearer good", "Idempotency-Key": key}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=events((9, 1))) as response,
    ):
        assert response.status == 200, await response.text()
        found: dict[str, object] = await response.json()
        return found


async def counted(store: str) -> list[tuple[float, float]]:
    """Give (bad, total) of the series in the store, of hours."""
    history = SqlHistory(store, Retention())
    try:
        periods = [period async for period in history.periods(3600, 0, ("slo/web",))]
    finally:
        await history.close()
    return [(bucket.bad, bucket.total) for period in periods for bucket in period if bucket.total]


@pytest.mark.parametrize(
    ("moment", "repeated"),
    [
        ("before", {"accepted": 1, "duplicate": False}),
        ("after", {"accepted": 0, "duplicate": True}),
    ],
)
async def test_a_kill_without_an_answer_loses_and_doubles_nothing(
    tmp_path: Path, moment: str, repeated: dict[str, object]
) -> None:
    store = f"sqlite+aiosqlite:///{tmp_path}/history.db"
    async with server(store, moment) as url:
        with pytest.raises((aiohttp.ClientConnectionError, ConnectionError)):
            await push(url, "k")
    async with server(store, "never") as url:
        assert await push(url, "k") == repeated

    assert await counted(store) == [(1.0, 10.0)]


async def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    store = f"sqlite+aiosqlite:///{tmp_path}/history.db"
    async with server(store, "never") as url:
        answers = await asyncio.gather(*(push(url, str(number)) for number in range(50)))

    assert [answer["duplicate"] for answer in answers] == [False] * 50
    assert sum(total for _, total in await counted(store)) == 500
