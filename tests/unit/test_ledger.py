"""The ledger's promises: a window is what a minute-by-minute count of the same results says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.history.ledger import Closed, Ledger
from homeostat.core.history.window import CHECK_TIERS, MONTH_TIERS, QUARTER_TIERS, YEAR_TIERS, Bucket, Counts, Tier

SMALL = (Tier(60, 12), Tier(300, 14), Tier(1800, 12))
"""The same shape as the real tiers, with reaches of 10m, 1h and 5h."""
WINDOWS = (60, 180, 600, 900, 3600, 7200, 18000)
START = 30_000_000  # minutes; the start of an hour

Minutes = dict[int, tuple[int, int]]
results = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))
"""(good, total) of a minute."""
histories = st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 2, 7, 40]), results), min_size=1, max_size=120)
"""Minutes with results, each with how many minutes it is after the one before."""


def take_up(ledger: Ledger, buckets: list[Bucket]) -> tuple[Closed, ...]:
    """Take up history as a start does: go to where it ends, load it period by period, sum up what is missing."""
    periods: dict[tuple[int, int], list[Bucket]] = {}
    for bucket in buckets:
        periods.setdefault((bucket.seconds, bucket.start), []).append(bucket)
    end = max((bucket.start + bucket.seconds for bucket in buckets if bucket.series in ledger.series), default=0)
    closed = ledger.roll(end // 60 - 1)
    for (seconds, start), of_period in periods.items():
        counted = np.array([[one.bad, one.total, one.observed] for one in of_period], dtype=np.float64).T
        ledger.load(Closed(start, seconds, tuple(one.series for one in of_period), counted))
    return (*closed, *ledger.sum_up())


def brute_force(minutes: Minutes, now: int, seconds: int, tiers: tuple[Tier, ...]) -> Counts:
    """Go through a window minute by minute; only a minute of the oldest, partial bucket weighs less than 1."""
    tier = next(tier for tier in tiers if tier.reach >= seconds)
    edge = (now + 1) * 60 - seconds
    good = total = observed = 0.0
    for minute, (minute_good, minute_total) in minutes.items():
        start = minute * 60 // tier.seconds * tier.seconds
        share = min(max((start + tier.seconds - edge) / tier.seconds, 0.0), 1.0)
        good, total = good + share * minute_good, total + share * minute_total
        observed += 60 * share * (minute_total > 0)
    return Counts(good, total, observed, seconds)


def assert_same(counts: Counts, expected: Counts) -> None:
    assert counts.good == pytest.approx(expected.good)
    assert counts.total == pytest.approx(expected.total)
    assert counts.observed_seconds == pytest.approx(expected.observed_seconds)
    assert counts.span_seconds == expected.span_seconds


def lived(history: list[tuple[int, tuple[int, int]]], ledger: Ledger, slot: int) -> tuple[Minutes, list[Closed]]:
    """Live through a history; give what happened in which minute, and what closed on the way."""
    minutes: Minutes = {}
    closed: list[Closed] = []
    minute = START
    closed += ledger.roll(minute)
    for skipped, (good, total) in history:
        minute += skipped
        closed += ledger.roll(minute)
        ledger.add(slot, total - good, total)
        minutes[minute] = (good, total)
        ledger.window(slot, WINDOWS[minute % len(WINDOWS)])  # running sums follow at their own pace
    return minutes, closed


def stopped(history: list[tuple[int, tuple[int, int]]]) -> tuple[Minutes, int, list[Bucket]]:
    """Live through a history and stop gracefully; give what happened, the last minute, and what history holds."""
    ledger = Ledger(SMALL)
    minutes, closed = lived(history, ledger, ledger.open("a"))
    stopped_at = ledger.minute
    closed += ledger.roll(stopped_at + 1)
    return minutes, stopped_at, [bucket for record in closed for bucket in record]


@settings(deadline=None, max_examples=50)
@given(histories)
def test_a_window_counts_what_a_minute_by_minute_count_does(history: list[tuple[int, tuple[int, int]]]) -> None:
    """S4, S6, H6."""
    ledger = Ledger(SMALL)
    ledger.open("other")
    slot = ledger.open("a")

    minutes, _ = lived(history, ledger, slot)

    for seconds in WINDOWS:
        assert_same(ledger.window(slot, seconds), brute_force(minutes, ledger.minute, seconds, SMALL))
    assert ledger.window(ledger.open("other"), 18000) == Counts(0, 0, 0, 18000)


@settings(deadline=None, max_examples=50)
@given(histories, st.integers(1, 60))
def test_at_the_edges_of_buckets_a_window_is_exact(history: list[tuple[int, tuple[int, int]]], hours: int) -> None:
    """S4: where the edge of the window is the edge of a bucket, no minute weighs less than 1."""
    ledger = Ledger(QUARTER_TIERS)
    slot = ledger.open("a")
    minutes, _ = lived(history, ledger, slot)

    ledger.roll(ledger.minute // 60 * 60 + 59)
    window = ledger.window(slot, hours * 3600)

    inside = [counts for minute, counts in minutes.items() if minute > ledger.minute - hours * 60]
    assert window.good == sum(good for good, _ in inside)
    assert window.bad == sum(total - good for good, total in inside)
    assert window.observed_seconds == 60 * sum(total > 0 for _, total in inside)


@settings(deadline=None, max_examples=50)
@given(histories, st.integers(0, 90))
def test_a_restart_at_any_minute_changes_no_count(history: list[tuple[int, tuple[int, int]]], pause: int) -> None:
    """H6: what closed, and the unfinished minute told at a graceful stop, make the same ledger again."""
    minutes, stopped_at, stored = stopped(history)

    ledger = Ledger(SMALL)
    ledger.open("first")
    slot = ledger.open("a")
    late = (*take_up(ledger, stored), *ledger.roll(stopped_at + pause))

    for seconds in WINDOWS:
        expected = brute_force(minutes, stopped_at + pause, seconds, SMALL)
        assert_same(ledger.window(slot, seconds), expected)
    written = {(b.seconds, b.start) for b in (*stored, *(b for record in late for b in record))}
    ended = {m * 60 // 300 * 300 for m, (_, total) in minutes.items() if total and m // 5 < ledger.minute // 5}
    assert {(300, start) for start in ended} <= written


@settings(deadline=None, max_examples=50)
@given(histories, st.integers(0, 6))
def test_a_late_load_soon_after_a_restart_changes_no_count(
    history: list[tuple[int, tuple[int, int]]], pause: int
) -> None:
    """H6: the store could not be read at first, and counting went on."""
    minutes, stopped_at, stored = stopped(history)

    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(stopped_at + pause)
    ledger.add(slot, 1, 2)
    take_up(ledger, stored)
    good, total = minutes.get(ledger.minute, (0, 0))
    minutes[ledger.minute] = (good + 1, total + 2)

    for seconds in WINDOWS:
        assert_same(ledger.window(slot, seconds), brute_force(minutes, ledger.minute, seconds, SMALL))


def test_history_without_minutes_observed_counts_as_observed_what_its_totals_allow() -> None:
    """S6: a bucket that was written without that count."""
    ledger = Ledger(QUARTER_TIERS)
    slot = ledger.open("a")
    ledger.roll(START)

    take_up(ledger, [Bucket("a", (START - 600) * 60, 3600, 3, 4), Bucket("a", (START - 1200) * 60, 3600, 900, 900)])

    assert ledger.window(slot, 90 * 86400) == Counts(903, 904, 4 * 60 + 60 * 60, 90 * 86400)


def test_history_that_makes_no_sense_or_is_of_nobody_is_left_out() -> None:
    """faults.md 27: rows of a torn file."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)
    at = (START - 5) * 60

    closed = take_up(
        ledger,
        [
            Bucket("nobody", at, 60, 1, 1),
            Bucket("a", at, 60, 2, 1),
            Bucket("a", at, 60, -1, 1),
            Bucket("a", at, 60, 0, 0),
            Bucket("a", at + 1, 60, 1, 1),
            Bucket("a", at, 0, 1, 1),
            Bucket("a", -300, 300, 1, 1),
        ],
    )

    assert closed == ()
    assert ledger.window(slot, 18000).total == 0


def test_history_of_an_unknown_resolution_or_out_of_reach_is_left_out() -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)

    take_up(ledger, [Bucket("a", (START - 60) * 60, 900, 1, 1), Bucket("a", (START - 3000) * 60, 1800, 1, 1)])

    assert ledger.window(slot, 18000).total == 0


def test_counts_that_are_fuller_than_the_history_stay() -> None:
    """A late load, after the store came back, does not undo what was counted meanwhile."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)
    ledger.add(slot, 1, 6)
    ledger.roll(START + 1)

    take_up(ledger, [Bucket("a", START * 60, 60, 1, 1, 1)])

    assert ledger.window(slot, 600) == Counts(5, 6, 60, 600)


def test_an_hour_that_ended_while_nobody_was_there_is_given_back_to_be_written() -> None:
    """H6: the operator died in an hour and came back in the next."""
    ledger = Ledger(SMALL)
    ledger.open("a")
    ledger.roll(START + 35)

    late = take_up(ledger, [Bucket("a", (START + 28) * 60, 60, 3, 4, 1)])

    assert [bucket for record in late for bucket in record] == [
        Bucket("a", (START + 25) * 60, 300, 3, 4, 1),
        Bucket("a", START * 60, 1800, 3, 4, 1),
    ]


def test_a_clock_that_goes_back_keeps_counting_in_the_newest_minute() -> None:
    """faults.md 25."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START + 60)
    ledger.add(slot, 0, 1)

    assert ledger.roll(START) == ()
    ledger.add(slot, 1, 1)

    assert ledger.minute == START + 60
    assert ledger.window(slot, 60) == Counts(1, 2, 60, 60)


def test_a_clock_that_jumps_ahead_leaves_minutes_without_data() -> None:
    """S5, faults.md 25: a gap is no data, and never a failure."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.roll(START)
    ledger.add(slot, 0, 1)
    ledger.roll(START + 8)
    ledger.add(slot, 0, 1)

    assert ledger.window(slot, 600) == Counts(2, 2, 120, 600)


def test_results_before_the_first_minute_is_told_count_in_it() -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    ledger.add(slot, 1, 2)

    assert ledger.window(slot, 60).total == 2
    assert ledger.roll(START) == ()
    assert ledger.window(slot, 60) == Counts(1, 2, 60, 60)


def test_what_closes_is_told_once_a_bucket_and_only_of_series_with_data() -> None:
    ledger = Ledger(SMALL)
    ledger.open("silent")
    slot = ledger.open("a")
    ledger.roll(START)
    ledger.add(slot, 0, 1)
    [minute] = ledger.roll(START + 1)
    ledger.add(slot, 1, 2)

    closed = ledger.roll(START + 5)

    assert list(minute) == [Bucket("a", START * 60, 60, 1, 1, 1)]
    assert [list(record) for record in closed] == [
        [Bucket("a", (START + 1) * 60, 60, 1, 2, 1)],
        [Bucket("a", START * 60, 300, 2, 3, 2)],
    ]
    assert [len(record) for record in closed] == [1, 1]
    assert ledger.roll(START + 6) == ()


@pytest.mark.parametrize("seconds", WINDOWS)
def test_a_slot_is_given_to_another_series_without_a_trace(seconds: int) -> None:
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    for minute in range(START, START + 90):
        ledger.roll(minute)
        ledger.add(slot, 1, 1)
        ledger.window(slot, seconds)

    ledger.close(slot)
    ledger.close(slot)
    reused = ledger.open("b")
    other = ledger.open("c")

    assert (reused, other != reused) == (slot, True)
    assert ledger.window(reused, seconds).total == 0
    assert ledger.roll(START + 90) == ()


def test_a_series_is_opened_once() -> None:
    ledger = Ledger(SMALL)

    assert ledger.open("a") == ledger.open("a")


def test_closing_a_series_that_no_running_sum_has_seen_yet_is_fine() -> None:
    ledger = Ledger(SMALL)
    first = ledger.open("0")
    ledger.roll(START)
    ledger.add(first, 0, 1)
    ledger.roll(START + 1)
    ledger.window(first, 600)
    slots = [ledger.open(str(number)) for number in range(1, 300)]

    ledger.close(slots[-1])

    assert ledger.window(first, 600).total == 1
    assert ledger.window(slots[-2], 600).total == 0


def test_series_may_come_at_any_time() -> None:
    """Rows that were written when there were fewer series read as no data for the new ones."""
    ledger = Ledger(SMALL)
    first = ledger.open("first")
    ledger.roll(START)
    ledger.add(first, 0, 1)
    ledger.roll(START + 1)
    ledger.window(first, 600)
    slots = [ledger.open(f"series {number}") for number in range(300)]
    for slot in slots:
        ledger.add(slot, 1, 2)
    ledger.roll(START + 2)

    assert ledger.window(first, 600) == Counts(1, 1, 60, 600)
    assert [ledger.window(slot, 600) for slot in slots] == [Counts(1, 2, 60, 600)] * 300
    assert ledger.window(slots[-1], 3601).total == 2


def test_more_windows_than_sums_are_counted_all_the_same() -> None:
    ledger = Ledger(QUARTER_TIERS)
    slot = ledger.open("a")
    ledger.roll(START)
    for minute in range(100):
        ledger.add(slot, 1, 2)
        ledger.roll(START + minute + 1)

    windows = [ledger.window(slot, minutes * 60) for minutes in range(1, 60)]

    assert [window.total for window in windows] == [2 * minutes for minutes in range(59)]
    assert [window.observed_seconds for window in windows] == [60 * minutes for minutes in range(59)]


def test_a_window_beyond_all_tiers_counts_what_there_is_and_is_never_covered() -> None:
    """S6."""
    ledger = Ledger(SMALL)
    slot = ledger.open("a")
    for minute in range(START, START + 1000):
        ledger.roll(minute)
        ledger.add(slot, 0, 1)

    window = ledger.window(slot, 10 * 3600)

    assert window.total == ledger.window(slot, 5 * 3600).total
    assert window.observed_seconds < window.span_seconds == 36000


@pytest.mark.parametrize(("good", "rest"), [(0, 1), (1, 0), (999, 1), (1, 999)])
def test_a_count_that_does_not_fit_is_scaled_never_wrapped_and_never_flattered(good: int, rest: int) -> None:
    """An hour of a clock that stood still, in one minute of a check's ledger."""
    ledger = Ledger(CHECK_TIERS)
    slot, other = ledger.open("a"), ledger.open("b")
    ledger.roll(START)
    ledger.add(slot, rest * 1000, (good + rest) * 1000)
    ledger.add(other, 1, 4)
    ledger.roll(START + 1)

    for seconds in (3600, 86400, 30 * 86400):
        window = ledger.window(slot, seconds)
        truth = good / (good + rest)
        assert min((good + rest) * 1000, 8191) == window.total
        assert truth - 2 / 8191 <= window.good / window.total <= truth
        assert (window.good == window.total) == (rest == 0)
        assert ledger.window(other, seconds) == Counts(3, 4, 60, seconds)


def test_an_objective_counts_hundreds_of_millions_in_an_hour() -> None:
    ledger = Ledger(QUARTER_TIERS)
    slot = ledger.open("a")
    for minute in range(61):
        ledger.roll(START + minute)
        ledger.add(slot, 1, 8_000_001)

    window = ledger.window(slot, 90 * 86400)

    assert window.bad == 61
    assert window.total == pytest.approx(61 * 8_000_001, rel=1e-6)
    assert ledger.window(slot, 6 * 3600).total == 61 * 8_000_001


def test_books_reach_as_far_as_objectives_may_ask() -> None:
    """31 d and 1 h of a month, 92 d of a quarter, 366 d of a year, each with a change of the clock."""
    assert [tiers[-1].reach // 86400 for tiers in (MONTH_TIERS, QUARTER_TIERS, YEAR_TIERS)] == [31, 93, 368]


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (Tier(300, 12),),
        (Tier(60, 12), Tier(90, 12)),
        (Tier(60, 12), Tier(3600, 12)),
        (Tier(60, 100), Tier(3660, 12)),
    ],
)
def test_tiers_that_do_not_nest_are_a_mistake(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="tier"):
        Ledger(tiers)


@pytest.mark.parametrize(
    ("tiers", "size"), [(CHECK_TIERS, 4296), (MONTH_TIERS, 15800), (QUARTER_TIERS, 27696), (YEAR_TIERS, 80496)]
)
def test_a_series_takes_the_memory_that_is_promised(tiers: tuple[Tier, ...], size: int) -> None:
    assert sum(tier.count * (4 if 2 * tier.bits + 6 <= 32 else 8) for tier in tiers) == size
