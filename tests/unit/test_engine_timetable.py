"""The one timer: what is due starts, once and not early; the clock stands still but for us, the loop is real."""

import pytest

from fakes import FakeClock, eventually
from homeostat.engine import timetable as module
from homeostat.engine.timetable import Timetable


class Bench:
    """A timetable of words on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.started: list[tuple[str, float]] = []
        self.timetable: Timetable[str] = Timetable(self.clock, self.start)

    def start(self, key: str, due: float) -> None:
        self.started.append((key, due - 1000))

    def add(self, key: str, at: float) -> None:
        self.timetable.add(key, 1000 + at)

    def tick(self) -> None:
        """Let the timer ring now."""
        self.timetable._tick()


async def test_what_is_due_is_started_by_the_loop() -> None:
    bench = Bench()
    bench.timetable.open()
    bench.timetable.add_now("a")
    bench.add("b", 0)
    await eventually(lambda: len(bench.started) == 2)
    bench.timetable.close()

    assert bench.started == [("a", 0), ("b", 0)]


async def test_what_is_not_due_waits() -> None:
    bench = Bench()
    bench.timetable.open()
    bench.add("later", 100)
    bench.add("now", 0)
    await eventually(lambda: bench.started)

    assert bench.started == [("now", 0)]
    assert len(bench.timetable) == 1
    bench.clock.advance(100)
    bench.tick()
    bench.timetable.close()
    assert bench.started == [("now", 0), ("later", 100)]


async def test_an_earlier_request_moves_the_timer_forward() -> None:
    bench = Bench()
    bench.timetable.open()
    bench.add("a", 3600)
    armed_late = bench.timetable._armed_for
    bench.add("a", 0)
    await eventually(lambda: bench.started)
    bench.timetable.close()

    assert armed_late == 4600
    assert bench.started == [("a", 0)]


async def test_nothing_is_started_before_opening_or_after_closing() -> None:
    bench = Bench()
    bench.add("a", 0)
    assert bench.timetable._timer is None
    bench.timetable.open()
    bench.timetable.close()
    bench.add("b", 0)

    assert bench.timetable._timer is None
    assert bench.started == []
    assert len(bench.timetable) == 2


async def test_what_was_forgotten_is_not_started() -> None:
    bench = Bench()
    bench.add("a", 0)
    bench.add("b", 0)
    bench.timetable.forget("a")
    bench.timetable.open()
    await eventually(lambda: bench.started)
    bench.timetable.close()

    assert bench.started == [("b", 0)]


async def test_a_start_that_asks_for_itself_again_is_started_again() -> None:
    """H3: each start plans the next."""
    bench = Bench()

    def start(key: str, due: float) -> None:
        bench.started.append((key, due - 1000))
        bench.timetable.add(key, due + 10)

    bench.timetable._start = start
    bench.timetable.open()
    bench.add("a", 0)
    await eventually(lambda: bench.started)
    for _ in range(3):
        bench.clock.advance(10)
        bench.tick()
    bench.timetable.close()

    assert bench.started == [("a", 0), ("a", 10), ("a", 20), ("a", 30)]


async def test_a_start_that_raises_does_not_stop_the_clock() -> None:
    bench = Bench()
    bench.add("bad", 0)
    bench.add("good", 1)

    def start(key: str, due: float) -> None:
        if key == "bad":
            raise ZeroDivisionError
        bench.started.append((key, due - 1000))

    bench.timetable._start = start
    bench.timetable.open()
    with pytest.raises(ZeroDivisionError):
        bench.tick()
    bench.clock.advance(1)
    await eventually(lambda: bench.started)
    bench.timetable.close()

    assert bench.started == [("good", 1)]


async def test_wake_ups_are_coalesced(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    ticks = 0
    tick = module.Timetable._tick

    def count(self: Timetable[str]) -> None:
        nonlocal ticks
        ticks += 1
        tick(self)

    monkeypatch.setattr(module.Timetable, "_tick", count)
    bench.timetable.open()
    for number in range(100):
        bench.add(f"key-{number}", 0)
    await eventually(lambda: len(bench.started) == 100)
    bench.timetable.close()

    assert ticks == 1


async def test_however_much_is_due_there_is_one_timer() -> None:
    bench = Bench()
    bench.timetable.open()
    for number in range(1000):
        bench.add(f"key-{number}", 1000 - number)

    assert bench.timetable._armed_for == 1001
    bench.timetable.close()
    assert bench.timetable._timer is None
