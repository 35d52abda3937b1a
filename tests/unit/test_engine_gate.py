"""The brake before the API server: changes wait their turn, acts and leases do not, refreshes need room."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fakes import FakeClock
from homeostat.engine.gate import REFRESH_AFTER, PacedGate
from homeostat.kube.apiserver.gate import Urgency

Waits = list[float]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Keep what the gate would have slept."""
    slept: Waits = []
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("homeostat.engine.gate.asyncio.sleep", note)
    return slept


async def test_writes_go_at_the_rate_once_the_burst_is_used_up(waits: Waits) -> None:
    gate = PacedGate(FakeClock(), rate=10, refresh_rate=1)
    for _ in range(25):
        await gate.pass_(Urgency.STATUS)

    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize("urgency", [Urgency.ACTION, Urgency.LEASE])
async def test_acts_and_leases_never_wait_behind_figures(urgency: Urgency, waits: Waits) -> None:
    gate = PacedGate(FakeClock(), rate=1, refresh_rate=1)
    for _ in range(100):
        await gate.pass_(Urgency.STATUS)
    waits.clear()
    await gate.pass_(urgency)

    assert waits == []


async def test_acts_are_counted_so_that_figures_wait_behind_them(waits: Waits) -> None:
    gate = PacedGate(FakeClock(), rate=1, refresh_rate=1)
    for _ in range(10):
        await gate.pass_(Urgency.ACTION)
    await gate.pass_(Urgency.STATUS)

    assert waits == [9]


def test_refreshes_happen_only_when_there_is_room() -> None:
    clock = FakeClock()
    gate = PacedGate(clock, rate=200, refresh_rate=2)
    burst = [gate.may_refresh() for _ in range(30)]
    clock.advance(1)

    assert burst.count(True) == 20
    assert [gate.may_refresh() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("objects", "seconds"), [(0, REFRESH_AFTER), (100, REFRESH_AFTER), (10_000, 5000)])
def test_the_more_objects_the_rarer_each_is_refreshed(objects: int, seconds: float) -> None:
    assert PacedGate(FakeClock(), rate=200, refresh_rate=2).refresh_every(objects) == seconds
