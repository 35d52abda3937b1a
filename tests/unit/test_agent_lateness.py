"""When held packets go on."""

import random

from hypothesis import given
from hypothesis import strategies as st

from homeostat.agent.lateness import Bottleneck, Delay

FLOW = b"\x45" + bytes(11) + bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 1])
OTHER_FLOW = b"\x45" + bytes(11) + bytes([10, 0, 0, 1, 10, 0, 0, 3, 0, 80, 1, 1])


def test_without_jitter_each_packet_is_late_by_the_same() -> None:
    delay = Delay(0.2, 0.0, random.random)

    assert [delay.due(now, FLOW) for now in (1.0, 1.5, 1.5)] == [1.2, 1.7, 1.7]


@given(st.lists(st.floats(0, 0.01), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_with_jitter_packets_of_one_connection_keep_their_order_and_bounds(
    gaps: list[float], chance: random.Random
) -> None:
    delay = Delay(0.2, 0.05, chance.random)
    now, last = 1.0, 0.0
    for gap in gaps:
        now += gap
        due = delay.due(now, FLOW)

        assert due >= last
        assert now + 0.15 - 1e-9 <= due <= now + 0.25 + 1e-9
        last = due


def test_with_jitter_a_connection_does_not_wait_for_another() -> None:
    numbers = iter([1.0, 0.0])
    delay = Delay(0.2, 0.1, lambda: next(numbers))

    assert delay.due(1.0, FLOW) > delay.due(1.0, OTHER_FLOW)


def test_jitter_that_is_larger_than_the_delay_sends_nothing_into_the_past() -> None:
    delay = Delay(0.01, 0.5, lambda: 0.0)

    assert delay.due(5.0, FLOW) == 5.0


def test_a_narrow_link_passes_its_bits_and_no_more() -> None:
    link = Bottleneck(8_000)

    assert [link.due(1.0, 1000) for _ in range(3)] == [2.0, 3.0, 4.0]
    assert link.due(10.0, 500) == 10.5


@given(st.integers(1_000, 10**9), st.lists(st.tuples(st.floats(0, 0.1), st.integers(40, 1500)), max_size=200))
def test_a_narrow_link_is_never_wider_than_asked_and_never_queues_for_ever(
    bits: int, packets: list[tuple[float, int]]
) -> None:
    link = Bottleneck(bits)
    now = first = 1.0
    passed = 0
    for gap, size in packets:
        now += gap
        due = link.due(now, size)
        if due is not None:
            passed += size * 8

            assert due - first >= passed / bits * (1 - 1e-9) - 1e-9 or due > now
            assert due - now <= max(0.2, 48_000 * 8 / bits) + size * 8 / bits + 1e-9


def test_a_queue_that_is_full_loses_what_comes() -> None:
    link = Bottleneck(8_000)
    passed = [link.due(1.0, 1000) for _ in range(60)]

    assert sum(due is not None for due in passed) == 49
    assert passed[-1] is None
