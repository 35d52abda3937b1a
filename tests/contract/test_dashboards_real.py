"""The dashboards on a real Prometheus, which scrapes the page of the operator's own metrics while things happen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from busy_operator import busy_metrics, move
from homeostat.telemetry.metrics import Metrics
from homeostat.telemetry.server import serving
from prometheus_process import RunningPrometheus, running_prometheus
from unit.test_dashboards import BOARDS, filled, queries

pytestmark = pytest.mark.programs
PATIENCE = 60.0  # seconds


@asynccontextmanager
async def scraped(folder: Path, *, is_busy: bool) -> AsyncIterator[RunningPrometheus]:
    """Have a Prometheus scrape an operator's page every second, in which things happen or nothing does."""
    metrics = busy_metrics() if is_busy else Metrics()

    async def keep_moving() -> None:
        while True:
            move(metrics)
            await asyncio.sleep(0.2)

    async with serving("127.0.0.1", 0, metrics.page, is_alive=dict, is_ready=dict) as port:
        moving = asyncio.create_task(keep_moving()) if is_busy else None
        run = running_prometheus(folder, targets=[f"127.0.0.1:{port}"])
        prometheus = await asyncio.to_thread(run.__enter__)
        try:
            await scraped_often(prometheus)
            yield prometheus
        finally:
            await asyncio.to_thread(run.__exit__, None, None, None)
            if moving:
                moving.cancel()


async def scraped_often(prometheus: RunningPrometheus) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await found(prometheus, "count_over_time(homeostat_leader[1m]) >= 6"):  # noqa: ASYNC110 - a program
            await asyncio.sleep(0.1)


async def found(prometheus: RunningPrometheus, query: str) -> list[Any]:
    """Give what a query finds; raises HTTPError when Prometheus does not take it."""
    answer = await asyncio.to_thread(prometheus.ask, "query", query=filled(query).replace("[5m]", "[15s]"))
    result: list[Any] = answer["result"]
    return result


async def test_every_query_of_every_panel_finds_what_happens(tmp_path: Path) -> None:
    async with scraped(tmp_path, is_busy=True) as prometheus:
        without = [
            (name, query) for name in BOARDS for query in queries(BOARDS[name]) if not await found(prometheus, query)
        ]

    assert without == []


async def test_a_dashboard_of_an_operator_that_has_nothing_to_do_shows_no_error(tmp_path: Path) -> None:
    async with scraped(tmp_path, is_busy=False) as prometheus:
        answers = {query: await found(prometheus, query) for board in BOARDS.values() for query in queries(board)}

    assert answers['sum(homeostat_leader{job=~"$job"})'][0]["value"][1] == "0"
