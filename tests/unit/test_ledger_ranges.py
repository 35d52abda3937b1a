"""The ledger's further promises: any range, late counts, backfill, longer books; against one that keeps all minutes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.history.ledger import Closed, Ledger, LedgerSeries
from homeostat.core.history.ring import OBSERVED, TOTAL
from homeostat.core.history.window import QUARTER_TIERS, Bucket, Counts, Tier

SMALL = (Tier(60, 12), Tier(300, 14), Tier(1800, 12))
LONGER = (Tier(60, 12), Tier(300, 14), Tier(1800, 40))
START = 30_000_000  # minutes; the start of an hour
FINE = 1e-5
EDGES = ((1, 9), (5, 11), (30, 9))
"""Lengths of buckets (minutes), and how many are sure to be there."""

counts = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: (float(pair[0]), float(sum(pair))))
fractions = st.tuples(st.floats(0, 10), st.floats(0.001, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))
histories = st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 2, 7, 40]), counts), min_size=1, max_size=120)
"""(bad, total) of minutes, each with how many minutes it is after the one before."""


@dataclass
class Naive:
    """Keeps every minute: bad, total, and whether it was observed."""

    minutes: dict[int, tuple[float, float]] = field(default_factory=dict)

    def add(self, minute: int, bad: float, total: float) -> None:
        before = self.minutes.get(minute, (0.0, 0.0))
        self.minutes[minute] = before[0] + bad, before[1] + total

    def between(self, since: int, until: int) -> tuple[float, float, float]:
        inside = [pair for minute, pair in self.minutes.items() if since <= minute * 60 < until]
        return sum(bad for bad, _ in inside), sum(total for _, total in inside), 60.0 * len(inside)


def lived(history: list[tuple[int, tuple[float, float]]], *ledgers: Ledger) -> Naive:
    """Live through a history; the minutes of no events at all are not observed."""
    naive, minute = Naive(), START
    for ledger in ledgers:
        ledger.open("a")
        ledger.roll(minute)
    for skipped, (bad, total) in history:
        minute += skipped
        for ledger in ledgers:
            ledger.roll(minute)
            ledger.add(0, bad, total)
            ledger.between(0, START * 60, (minute + 1) * 60)  # running sums follow at their own pace
            ledger.window(0, 3600)
        if total:
            naive.add(minute, bad, total)
    return naive


def shown(found: Counts) -> tuple[float, float, float]:
    return found.bad, found.total, found.observed_seconds


@settings(deadline=None, max_examples=60)
@given(histories, st.data())
def test_a_range_counts_what_all_its_minutes_do(
    history: list[tuple[int, tuple[float, float]]], data: st.DataObject
) -> None:
    """S4, S8: whole numbers exactly, wherever the edges are edges of buckets that reach so far."""
    ledger = Ledger(SMALL)
    naive = lived(history, ledger)
    now = ledger.minute
    minutes, fives, halves = (st.integers(now // size - reach, now // size) for size, reach in EDGES)
    since = 60 * data.draw(minutes | fives.map(lambda five: 5 * five) | halves.map(lambda half: 30 * half))
    until = data.draw(st.sampled_from([now + 1, now + 1, now, now // 5 * 5, now // 30 * 30, now + 500])) * 60

    found = ledger.between(0, since, max(since, until))

    assert shown(found) == naive.between(since, until)
    assert found.span_seconds == max(since, until) - since


@settings(deadline=None, max_examples=60)
@given(histories, st.lists(st.integers(-200, 10), min_size=3, max_size=3).map(sorted))
def test_a_range_that_is_split_counts_the_same(history: list[tuple[int, tuple[float, float]]], at: list[int]) -> None:
    """S4: wherever it is split, also within buckets whose minutes are long forgotten."""
    ledger = Ledger(SMALL)
    lived(history, ledger)
    first, middle, last = ((ledger.minute + minute) * 60 for minute in at)

    parts = [shown(ledger.between(0, *part)) for part in ((first, middle), (middle, last))]

    assert np.sum(parts, axis=0) == pytest.approx(shown(ledger.between(0, first, last)))


@settings(deadline=None, max_examples=60)
@given(histories, st.integers(-300, 0), st.integers(-100, 10))
def test_buckets_lie_in_their_range_do_not_overlap_and_hold_all_that_does(
    history: list[tuple[int, tuple[float, float]]], since: int, until: int
) -> None:
    ledger = Ledger(SMALL)
    lived(history, ledger)
    since, until = (ledger.minute + since) * 60, (ledger.minute + until) * 60

    found = ledger.buckets(0, since, until)

    ends = [since]
    for bucket in found:
        assert ends[-1] <= bucket.start
        ends.append(bucket.start + bucket.seconds)
    assert ends[-1] <= max(until, since)
    edges = sum(
        ledger.between(0, *gap).total for gap in zip(ends, [*(b.start for b in found), max(until, since)], strict=True)
    )
    assert sum(bucket.total for bucket in found) + edges == pytest.approx(
        ledger.between(0, since, max(until, since)).total
    )


@settings(deadline=None, max_examples=60)
@given(histories, st.data())
def test_counts_that_come_late_count_as_if_in_time(
    history: list[tuple[int, tuple[float, float]]], data: st.DataObject
) -> None:
    """Into every tier, and into sums that were made before; what is out of reach is refused."""
    ledger, timely = Ledger(SMALL), Ledger(SMALL)
    lived(history, ledger)
    late = data.draw(st.lists(st.tuples(st.integers(-14, 2), counts), max_size=12))
    of_minutes: dict[int, tuple[float, float]] = {}
    for back, (bad, total) in late:
        is_taken = ledger.add_at(0, ledger.minute + back, bad, total)
        assert is_taken == (-12 < back <= 0)
        if is_taken and total:
            before = of_minutes.get(ledger.minute + back, (0.0, 0.0))
            of_minutes[ledger.minute + back] = before[0] + bad, before[1] + total
    merged = {START: (0.0, 0.0)}
    minute = START
    for skipped, pair in history:
        minute += skipped
        merged[minute] = pair
    for minute, pair in of_minutes.items():
        before = merged.get(minute, (0.0, 0.0))
        merged[minute] = before[0] + pair[0], before[1] + pair[1]
    timely.open("a")
    timely.roll(min(merged))
    for minute in sorted(merged):
        timely.roll(minute)
        timely.add(0, *merged[minute])
    timely.roll(ledger.minute)

    for seconds in (60, 300, 600, 1800, 3600, 18000):
        ours, theirs = ledger.window(0, seconds), timely.window(0, seconds)
        assert (ours.bad, ours.total) == pytest.approx((theirs.bad, theirs.total))
    for since in (START * 60, (ledger.minute // 30 - 3) * 1800):
        ours, theirs = (one.between(0, since, (ledger.minute + 1) * 60) for one in (ledger, timely))
        assert (ours.bad, ours.total) == pytest.approx((theirs.bad, theirs.total))


def test_what_changed_in_the_past_is_given_once_with_all_it_holds() -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)
    ledger.add(slot, 1, 2)
    ledger.roll(START + 7)
    assert ledger.corrections() == ()

    ledger.add_at(slot, START, 1, 1)
    ledger.add_at(slot, START + 6, 0, 1)

    assert [list(closed) for closed in ledger.corrections()] == [
        [Bucket("a", START * 60, 60, 1, 3, 1)],
        [Bucket("a", (START + 6) * 60, 60, 1, 1, 1)],
        [Bucket("a", START * 60, 300, 1, 3, 1)],
    ]
    assert ledger.corrections() == ()


def test_a_minute_without_events_is_observed_if_somebody_looked() -> None:
    """S5: no traffic is not missing data."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)
    ledger.add_at(slot, START, 0, 0)
    [minute] = ledger.roll(START + 3)
    ledger.add_at(slot, START + 1, 0, 0)
    ledger.add_at(slot, START + 1, 0, 0)

    assert list(minute) == [Bucket("a", START * 60, 60, 0, 0, 1)]
    assert ledger.window(slot, 600) == Counts(0, 0, 120, 600)
    assert ledger.newest(slot) is None
    assert [bucket.start for bucket in ledger.buckets(slot, START * 60, (START + 9) * 60)] == [
        START * 60, (START + 1) * 60,
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [60, 300, 1800])
def test_backfill_is_taken_where_it_is_fuller(seconds: int) -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START + 65)
    at = (START + 65) * 60 // seconds * seconds - seconds

    assert ledger.put(slot, Bucket("a", at, seconds, 8, 10, 1))
    assert ledger.put(slot, Bucket("a", at, seconds, 1, 2, 1))

    assert shown(ledger.between(slot, at, at + seconds)) == (2, 10, 60)
    assert shown(ledger.window(slot, 18000)) == (2, 10, 60)
    assert sum(bucket.total for bucket in ledger.buckets(slot, at - 7200, at + 7200)) == 10


def test_longer_buckets_have_at_least_what_backfilled_ones_sum_up_to() -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START + 31)
    for minute in range(22, 30):
        ledger.put(slot, Bucket("a", (START + minute) * 60, 60, 1, 2, 1))

    assert ledger.window(slot, 18000).total == 16
    assert {closed.seconds for closed in ledger.corrections()} == {60, 300, 1800}


@pytest.mark.parametrize(
    ("minute", "seconds"), [(12, 60), (-1, 60), (4, 300), (-1, 300), (2, 61), (0, 900), (-400, 1800)]
)
def test_backfill_that_is_out_of_reach_not_over_or_of_no_tier_is_refused(minute: int, seconds: int) -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START + 11)
    start = (START + minute) * 60 if seconds == 60 else (START + minute) * 60 // seconds * seconds + (seconds == 61)
    if (minute, seconds) == (4, 300):
        start = (START + 10) * 60
    if (minute, seconds) in {(-1, 60), (-1, 300)}:
        start -= 3600 * 2

    assert not ledger.put(slot, Bucket("a", start, seconds, 1, 1, 1))
    assert ledger.window(slot, 18000).total == 0


def test_the_unfinished_minute_is_given_once_as_far_as_it_has_come() -> None:
    ledger = Ledger(SMALL)
    first, second = ledger.open("a"), ledger.open("b")
    assert ledger.unfinished() == ()
    ledger.roll(START)
    ledger.add(first, 1, 2)
    told = [[list(closed) for closed in ledger.unfinished()]]
    told.append([list(closed) for closed in ledger.unfinished()])
    ledger.add(first, 0, 1)
    ledger.add(second, 0, 1)
    told.append([list(closed) for closed in ledger.unfinished()])

    assert told == [
        [[Bucket("a", START * 60, 60, 1, 2, 1)]],
        [],
        [[Bucket("a", START * 60, 60, 2, 3, 1), Bucket("b", START * 60, 60, 1, 1, 1)]],
    ]
    [minute] = ledger.roll(START + 1)
    assert [bucket.total for bucket in minute] == [3, 1]


@settings(deadline=None, max_examples=50)
@given(histories, st.integers(0, 40))
def test_a_kill_within_a_minute_and_a_start_within_the_same_double_nothing(
    history: list[tuple[int, tuple[float, float]]], pause: int
) -> None:
    """H6: what was told of the unfinished minute is taken up again, and counting goes on with it."""
    ledger = Ledger(SMALL)
    ledger.open("a")
    told: list[Closed] = []
    naive, minute = Naive(), START
    told += ledger.roll(minute)
    for skipped, (bad, total) in history:
        minute += skipped
        told += ledger.roll(minute)
        ledger.add(0, bad, total)
        naive.add(minute, bad, total)
        told += ledger.unfinished()

    store: dict[tuple[int, int], Closed] = {(closed.seconds, closed.start): closed for closed in told}
    after = Ledger(SMALL)
    after.open("a", is_silent=True)
    after.roll(max((start // 60 for _, start in store if _ == 60), default=START))
    for closed in store.values():
        after.load(closed)
    after.sum_up()
    after.roll(minute)
    after.add(0, 1, 1)
    naive.add(minute, 1, 1)
    after.roll(minute + pause)

    for minutes in (1, 5, 10):
        since = (minute + pause - minutes + 1) * 60
        assert shown(after.window(0, minutes * 60))[:2] == naive.between(since, (minute + pause + 1) * 60)[:2]


def test_a_silent_series_is_told_when_its_history_was_taken_up() -> None:
    """What an earlier life counted in the minute of its opening adds up, and is written with the rest."""
    ledger = Ledger(SMALL)
    ledger.roll(START)
    slot = ledger.open("a", is_silent=True)
    ledger.add(slot, 1, 2)
    assert ledger.unfinished() == ()
    assert ledger.roll(START + 1) == ()
    ledger.add(slot, 0, 1)

    ledger.load(Closed(START * 60, 60, ("a",), np.array([[2.0], [5.0], [1.0]])))
    told = ledger.sum_up()

    assert [list(closed) for closed in told] == [[Bucket("a", START * 60, 60, 4, 7, 1)]]
    assert [list(closed) for closed in ledger.unfinished()] == [[Bucket("a", (START + 1) * 60, 60, 1, 1, 1)]]
    assert ledger.window(slot, 600) == Counts(5, 8, 120, 600)


@settings(deadline=None, max_examples=40)
@given(histories)
def test_a_series_moves_to_a_longer_book_with_all_it_knows(history: list[tuple[int, tuple[float, float]]]) -> None:
    """Fault 52: a window that is extended keeps what was counted."""
    ledger, longer = Ledger(SMALL), Ledger(LONGER)
    longer.open("b")
    lived(history, ledger)
    longer.roll(ledger.minute)
    ledger.add_at(0, ledger.minute - 2, 1, 1)
    before = [ledger.window(0, seconds) for seconds in (60, 600, 3600, 18000)]

    slot = longer.move("a", ledger)

    assert [longer.window(slot, seconds) for seconds in (60, 600, 3600, 18000)] == before
    assert ledger.series == ()
    assert {closed.seconds for closed in longer.corrections()} >= {60}
    longer.roll(longer.minute + 20 * 30)
    assert longer.window(slot, 38 * 1800).total >= before[-1].total


@settings(deadline=None, max_examples=40)
@given(st.lists(fractions, min_size=1, max_size=90))
def test_fractions_are_counted_to_five_digits(history: list[tuple[float, float]]) -> None:
    """What Prometheus gives: each tier rounds once, and no sum drifts."""
    ledger = Ledger(SMALL)
    naive = lived([(1, pair) for pair in history], ledger)
    end = (ledger.minute + 1) * 60

    for seconds in (60, 300, 600):
        found = ledger.window(0, seconds)
        assert shown(found)[:2] == pytest.approx(naive.between(end - seconds, end)[:2], rel=FINE, abs=1e-9)
    found = ledger.between(0, START * 60, end)
    assert shown(found)[:2] == pytest.approx(naive.between(START * 60, end)[:2], rel=FINE, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(histories)
def test_all_at_once_and_one_by_one_are_the_same(history: list[tuple[int, tuple[float, float]]]) -> None:
    ledger = Ledger(SMALL)
    lived(history, ledger)
    ledger.open("b")
    wanted = (60, 180, 600, 900, 3600, 18000)

    found = ledger.windows(wanted)

    for seconds in wanted:
        one = LedgerSeries(ledger, 0).last(seconds)
        bad, total, observed = found[seconds][:, 0].tolist()
        assert (bad, total, observed * 60) == pytest.approx((one.bad, one.total, one.observed_seconds))
        assert found[seconds][TOTAL:, 1].tolist() == [0, 0]
        assert found[seconds].shape[1] == ledger.width
    assert OBSERVED == 2


def test_a_calendar_window_grows_with_one_sum_for_all_and_sums_nobody_asks_for_go() -> None:
    ledger = Ledger(QUARTER_TIERS)
    slots = [ledger.open(name) for name in "abc"]
    ledger.roll(START)
    for minute in range(START, START + 60 * 10):
        ledger.roll(minute)
        for slot in slots:
            ledger.add(slot, 0, 1)
        if minute < START + 300:
            found = [ledger.between(slot, START * 60, (minute + 1) * 60).total for slot in slots]
            assert found == [minute - START + 1] * 3
            assert len(ledger._growing) == 1

    assert ledger._growing == {}
    assert ledger.between(slots[0], START * 60, (START + 600) * 60).total == 600
