"""Latencies on their way to history: percentiles of an hour, and of several together."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.history.latency import LatencyBook
from homeostat.core.history.records import RETRIED, SHARES, VERDICTS, Latencies, Latency, Runs, latency_of, together
from homeostat.core.probing.result import Verdict

HOUR = 498_684  # since the epoch
seconds = st.integers(1, 170_000).map(lambda ms: float(np.float16(ms / 1000)))


def runs(took: list[float], verdict: Verdict = Verdict.PASS, series: str = "a", flags: int = 0) -> Runs:
    count = len(took)
    return Runs(
        HOUR * 3600, (series,),
        owner=np.zeros(count, dtype=np.uint32),
        offset=np.arange(count, dtype=np.uint16),
        verdict=np.full(count, VERDICTS.index(verdict) | flags, dtype=np.uint8),
        reason=np.zeros(count, dtype=np.uint16),
        seconds=np.array(took, dtype=np.float16),
    )  # fmt: skip


def of(book: LatencyBook) -> Latencies:
    found = book.roll(HOUR + 1)
    assert found is not None
    return found


def begun() -> LatencyBook:
    book = LatencyBook()
    book.roll(HOUR)
    return book


@given(st.lists(seconds, min_size=1, max_size=200))
def test_a_percentile_of_an_hour_is_right_to_five_percent_and_the_longest_run_exact(took: list[float]) -> None:
    book = begun()
    book.add(runs(took))
    found = of(book)
    ordered = sorted(took)

    assert found.count.tolist() == [len(took)]
    for value, share in zip(found.seconds[:3, 0].tolist(), SHARES[:3], strict=True):
        assert value == pytest.approx(ordered[ceil(share * len(ordered)) - 1], rel=0.05)
    assert found.seconds[3, 0] == np.float32(ordered[-1])


def test_only_passes_have_a_latency_also_those_after_a_retry() -> None:
    book = begun()
    for verdict in set(Verdict) - {Verdict.PASS}:
        book.add(runs([9.0], verdict))
        book.add(runs([9.0], verdict, flags=RETRIED))
    book.add(runs([0.5], series="b", flags=RETRIED))
    found = of(book)

    assert found.series == ("b",)
    assert found.seconds[:, 0].tolist() == pytest.approx([0.5] * 4, rel=0.05)


def test_each_hour_begins_anew_and_one_without_runs_is_not_told_of() -> None:
    book = begun()
    book.add(runs([1.0, 2.0]))
    first = of(book)
    empty = book.roll(HOUR + 2)
    book.add(runs([4.0], series="b"))
    last = book.roll(HOUR + 9)

    assert (first.start, first.count.tolist()) == (HOUR * 3600, [2])
    assert empty is None
    assert last is not None
    assert (last.start, last.series, last.seconds[3].tolist()) == ((HOUR + 2) * 3600, ("b",), [4.0])


def test_a_clock_that_goes_back_ends_no_hour() -> None:
    """Fault 25."""
    book = begun()
    book.add(runs([1.0]))

    assert book.roll(HOUR - 1) is None
    assert book.roll(HOUR) is None
    assert of(book).count.tolist() == [1]


def test_many_series_keep_their_own_latencies() -> None:
    book = begun()
    for number in range(2500):
        book.add(runs([(number + 1) / 100], series=str(number)))
    found = of(book)

    assert found.series == tuple(str(number) for number in range(2500))
    assert found.seconds[3].tolist() == pytest.approx([(number + 1) / 100 for number in range(2500)], rel=1e-3)


def test_a_bucket_that_is_full_stays_full() -> None:
    book = begun()
    for _ in range(3):
        book.add(runs([1.0] * 30_000))

    assert of(book).count.tolist() == [0xFFFF]


@given(st.lists(seconds, min_size=1, max_size=300), st.integers(1, 100))
def test_latencies_of_periods_together_are_never_better_than_the_truth(took: list[float], length: int) -> None:
    """S4: percentiles are not averaged."""
    parts = [latency_of(took[first : first + length]) for first in range(0, len(took), length)]
    whole, exact = together([part for part in parts if part]), latency_of(took)
    assert whole is not None
    assert exact is not None

    assert (whole.runs, whole.longest) == (len(took), max(took))
    assert all(value >= truth for value, truth in zip(whole, exact, strict=True))
    assert whole.p50 <= whole.p95 <= whole.p99 <= whole.longest


def test_the_latency_of_one_period_is_what_it_is_and_of_none_is_none() -> None:
    one = Latency(3, 0.1, 0.2, 0.3, 0.4)

    assert together([one]) == one
    assert together([]) is None
    assert latency_of([]) is None
    assert together([Latency(1, *[0.5] * 4), Latency(1, *[0.1] * 4)]) == Latency(2, 0.1, 0.5, 0.5, 0.5)
