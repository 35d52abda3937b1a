"""How counts are packed: small whole numbers as they are, all others to six digits, and bad never vanishes."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.history.ring import BAD, OBSERVED, TOTAL, Ring, RunningSum, fuller
from homeostat.core.history.window import Tier

ERROR = 6e-7
WHOLE = 1 << 28

totals = st.one_of(
    st.integers(0, WHOLE - 1).map(float),
    st.floats(1e-30, 1e30, allow_nan=False),
    st.sampled_from([0.0, 0.1, WHOLE - 1.0, float(WHOLE), WHOLE - 0.5, 1e-40, 3e38, 1e300]),
)


def cells(*counts: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    return np.array(counts, dtype=np.float64).T


def kept(bad: float, total: float, observed: float = 1) -> tuple[float, float, float]:
    """Give counts as a cell of 8 bytes keeps them."""
    ring = Ring(Tier(60, 4))
    ring.put(7, cells((bad, total, observed)))
    found = ring.of(0, (7,))[:, 0].tolist()
    assert ring.counted(7, 1)[:, 0].tolist() == found == ring.at(7, np.array([0]))[:, 0].tolist()
    return found[BAD], found[TOTAL], found[OBSERVED]


@given(totals, st.floats(0, 1))
def test_a_cell_keeps_a_count_to_six_digits_and_bad_never_vanishes(total: float, share: float) -> None:
    """S4, S14: and there is never more bad than there is."""
    bad = total * share

    kept_bad, kept_total, _ = kept(bad, total)

    for value, found in ((total, kept_total), (bad, kept_bad)):
        if 1e-37 < value < 3e38:
            assert found == pytest.approx(value, rel=ERROR)
        assert (found > 0) == (value > 0)
    assert 0 <= kept_bad <= kept_total < float("inf")


@given(st.integers(0, WHOLE - 1), st.integers(0, 60), st.data())
def test_a_whole_number_is_kept_exactly(total: int, observed: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, total))

    assert kept(bad, total, observed) == (bad, total, observed)


@pytest.mark.parametrize("bits", [13, 29])
@given(st.lists(st.tuples(totals, st.floats(0, 1), st.integers(0, 70)), min_size=1, max_size=5))
def test_one_cell_is_packed_and_unpacked_as_many_are(bits: int, counts: list[tuple[float, float, int]]) -> None:
    one, many = Ring(Tier(60, 4, bits)), Ring(Tier(60, 4, bits))
    for total, share, observed in counts:
        three = (total * share, total, float(observed))
        before = one.one(3, 7)
        gained = one.put_one(3, 7, three, 5)
        many.put_at(7, np.array([3]), cells(three), 5)

        assert one.one(3, 7) == pytest.approx(many.at(7, np.array([3]))[:, 0].tolist())
        assert gained == pytest.approx([new - old for new, old in zip(one.one(3, 7), before, strict=True)])
    assert one.one(3, 6) == one.one(9, 7) == (0, 0, 0)


@given(totals)
def test_what_was_rounded_is_not_rounded_again(total: float) -> None:
    """A restart changes no figure, however often."""
    once = kept(total / 3, total)

    assert kept(*once) == once


def test_all_bad_stays_all_bad() -> None:
    for total in (0.1, 1.0, WHOLE + 1.0, 1e-40, 1e300):
        bad, kept_total, _ = kept(total, total)
        assert bad == kept_total


def test_fractions_beside_whole_numbers_leave_these_exact() -> None:
    ring = Ring(Tier(60, 4))
    ring.put(1, cells((3, 7, 1), (0.25, 0.75, 1), (0, 0, 0)))

    assert ring.counted(1, 4).T.tolist() == [[3, 7, 1], [0.25, 0.75, 1], [0, 0, 0], [0, 0, 0]]


def test_fuller_is_what_has_more_events_or_as_many_in_no_fewer_minutes() -> None:
    """A minute that was looked at and had no events is more than no data (S5); a verdict that changed replaces."""
    old = cells((0, 5, 1), (1, 5, 1), (0, 0, 1), (0, 0, 0), (0, 0, 0), (0, 5, 2))
    new = cells((0, 4, 1), (0, 5, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0), (0, 5, 1))

    assert fuller(old, new).tolist() == [False, True, True, True, False, False]


def test_a_sum_of_fractions_forgets_the_noise_of_what_is_gone() -> None:
    ring = Ring(Tier(60, 12))
    running = RunningSum(ring)
    for bucket in range(60):
        count = 1e17 / 3 if bucket < 20 else 0.1
        ring.put(bucket, cells((count, count, 1)))
        running.over(max(0, bucket - 9), bucket + 1, 1)

    assert running.over(50, 60, 1)[TOTAL, 0] == pytest.approx(1.0, rel=1e-6)


def test_a_place_that_was_taken_by_a_newer_bucket_reads_as_no_data() -> None:
    ring = Ring(Tier(60, 4))
    ring.put(1, cells((1, 2, 1)))
    ring.put_at(5, np.array([1]), cells((3, 4, 1)), 2)

    assert ring.of(0, range(1, 6))[TOTAL].tolist() == [0, 0, 0, 0, 0]
    assert ring.of(1, range(1, 6))[TOTAL].tolist() == [0, 0, 0, 0, 4]
