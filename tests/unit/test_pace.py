"""Token buckets: the rate holds whatever is asked for, bursts are bounded, and none who waits starves."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.pace import TokenBucket

STEPS = st.lists(st.floats(0, 5), min_size=1, max_size=200)


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 100), steps=STEPS)
def test_no_more_go_than_burst_and_rate_allow(rate: float, burst: float, steps: list[float]) -> None:
    bucket = TokenBucket(rate, burst)
    now, gone = 0.0, 0
    for step in steps:
        now += step
        gone += bucket.take_if_there(now)

    assert gone <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 100), steps=STEPS)
def test_who_waits_goes_in_order_and_at_the_rate(rate: float, burst: float, steps: list[float]) -> None:
    bucket = TokenBucket(rate, burst)
    now = 0.0
    starts = []
    for step in steps:
        now += step
        starts.append(now + bucket.take(now))

    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(starts))
    assert all(number + 1 <= burst + rate * start + 1e-3 for number, start in enumerate(starts))


def test_a_bucket_starts_full_and_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=1, burst=3)

    assert [bucket.take_if_there(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take_if_there(1000) for _ in range(4)] == [True, True, True, False]


def test_debts_are_waited_out() -> None:
    bucket = TokenBucket(rate=2, burst=1)

    assert [bucket.take(0) for _ in range(4)] == [0, 0.5, 1, 1.5]
    assert bucket.take(10) == 0


def test_what_is_only_asked_for_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(0)
    refused = [bucket.take_if_there(0.5) for _ in range(100)]

    assert not any(refused)
    assert bucket.take_if_there(1)


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(100)

    assert not bucket.take_if_there(50)
    assert bucket.take(50) == pytest.approx(1)
