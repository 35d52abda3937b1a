"""A range of history: whatever lengths of buckets are left, no run counts twice and none that is known is left out."""

from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.history.ranges import LENGTHS, Cell, Grid, Stretch, settle, since_oldest, starts, summed, unsettled
from homeostat.core.history.records import Latency
from homeostat.core.history.window import HOUR, MINUTE

NOON = 1_795_262_400
FIVE = 5 * MINUTE

minutes = st.dictionaries(
    st.integers(0, 4 * 60 - 1), st.tuples(st.integers(0, 3), st.integers(1, 3)).map(lambda n: (n[0], n[0] + n[1])),
    max_size=60,
)  # fmt: skip
"""(good, total) by minute, over four hours."""
steps = st.sampled_from([60, 120, 300, 420, 900, 3600, 5400, 7200, 86400])


def buckets(counts: dict[int, tuple[int, int]], seconds: int, until: int) -> list[Cell]:
    """Sum minutes up to buckets that ended by minute `until`."""
    cells: dict[int, list[tuple[int, int]]] = {}
    for minute, count in counts.items():
        cells.setdefault(minute * 60 // seconds, []).append(count)
    return [
        Cell(NOON + number * seconds, seconds, sum(one[0] for one in of), sum(one[1] for one in of), len(of))
        for number, of in cells.items()
        if (number + 1) * seconds <= until * 60
    ]


def read(grid: Grid, stored: Iterable[list[Cell]]) -> list[Cell]:
    """Read a range as the store does: only what is asked for, from the longest buckets on."""
    wanted: list[Stretch] = [(grid.since, grid.until)]
    levels = []
    for seconds, cells in zip(LENGTHS, stored, strict=True):
        asked = set(starts(seconds, wanted))
        levels.append([cell for cell in cells if cell.start in asked])
        wanted = unsettled(grid, seconds, (cell.start for cell in levels[-1]), wanted)
    return settle(grid, levels)


@given(minutes, st.integers(0, 239), st.integers(1, 240), steps, st.integers(0, 240))
def test_a_range_counts_what_its_minutes_count(
    counts: dict[int, tuple[int, int]], since: int, length: int, step: int, now: int
) -> None:
    """S4: hours and five minutes that have not ended at minute `now` are read from what is shorter."""
    grid = Grid(NOON + 60 * since, NOON + 60 * min(since + length, 240), step)
    stored = [buckets(counts, seconds, now if seconds > MINUTE else 240) for seconds in LENGTHS]

    found = summed(grid, read(grid, stored), [])

    for one in found:
        inside = [count for minute, count in counts.items() if one.start <= NOON + 60 * minute < one.end]
        assert (one.good, one.total) == (sum(good for good, _ in inside), sum(total for _, total in inside))
        assert one.observed == 60 * len(inside)


@given(minutes, steps, st.integers(0, 4), st.integers(0, 4))
def test_no_run_counts_twice_where_shorter_buckets_are_gone(
    counts: dict[int, tuple[int, int]], step: int, minutes_since: int, fives_since: int
) -> None:
    """S4: whole hours count whole, each in one step, whatever is left of what is shorter."""
    grid = Grid(NOON, NOON + 4 * HOUR, step)
    oldest = {HOUR: NOON, FIVE: NOON + fives_since * HOUR, MINUTE: NOON + minutes_since * HOUR}
    stored = [[cell for cell in buckets(counts, seconds, 240) if cell.start >= oldest[seconds]] for seconds in LENGTHS]

    found = summed(grid, read(grid, stored), [])

    assert sum(one.good for one in found) == sum(good for good, _ in counts.values())
    assert sum(one.total for one in found) == sum(total for _, total in counts.values())


def test_an_hour_that_was_written_with_less_than_its_minutes_know_gives_way_to_them() -> None:
    """H6: it was closed by a process that could not read history, and the minutes of the one before are there."""
    hour, parts = Cell(NOON, HOUR, 1, 1, 1), [Cell(NOON + 60 * number, MINUTE, 1, 2, 1) for number in range(30)]
    grid = Grid(NOON, NOON + HOUR, HOUR)

    assert settle(grid, [[hour], [], parts]) == parts
    assert settle(grid, [[hour._replace(total=60)], [], parts]) == [hour._replace(total=60)]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_steps_are_the_range_cut_at_multiples_of_the_step(since: int, length: int, step: int) -> None:
    first, last = (
        datetime.fromtimestamp(NOON + since / 7, UTC),
        datetime.fromtimestamp(NOON + (since + length) / 7, UTC),
    )
    grid = Grid.over(first, last, step)
    cut = list(grid.steps())

    assert grid.since % 60 == grid.until % 60 == grid.step % 60 == 0
    assert grid.since <= first.timestamp() < grid.since + 60
    assert grid.until - 60 < last.timestamp() <= grid.until
    assert [end for _, end in cut] == [start for start, _ in cut[1:]] + [grid.until] * bool(cut)
    assert all(start % grid.step == 0 for start, _ in cut[1:])
    assert all(0 < end - start <= grid.step for start, end in cut)


def test_a_range_that_ends_before_it_begins_has_no_steps() -> None:
    noon = datetime.fromtimestamp(NOON, UTC)

    assert list(Grid.over(noon, noon, 60).steps()) == []
    assert list(Grid.over(noon, datetime.fromtimestamp(NOON - 1000, UTC), 60).steps()) == []


def test_nothing_is_read_from_before_there_was_anything() -> None:
    assert since_oldest([(0, 100), (200, 300), (300, 400)], 250) == [(250, 300), (300, 400)]


def test_latencies_of_a_step_are_those_of_all_its_periods() -> None:
    grid = Grid(NOON, NOON + 3 * HOUR, 2 * HOUR)
    latencies = [(NOON + HOUR * number, Latency(1, *[float(number)] * 4)) for number in range(3)]

    first, second = summed(grid, [], latencies)

    assert first.latency == Latency(2, 0.0, 1.0, 1.0, 1.0)
    assert second.latency == latencies[2][1]
