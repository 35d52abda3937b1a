"""Slices: good, bad, observed without events, or no data; exactly at the objective (S5, S7)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.objective import BudgetingMethod
from homeostat.core.history.window import Counts
from homeostat.core.objective.slices import ended, verdict

SLICES, RATIOS = BudgetingMethod.TIMESLICES, BudgetingMethod.RATIO_TIMESLICES


def counts(bad: float, total: float, observed: float = 60) -> Counts:
    return Counts(total - bad, total, observed, 60)


@pytest.mark.parametrize(
    ("objective", "bad", "total", "is_bad"),
    [
        ("0.95", 5, 100, False), ("0.95", 6, 100, True), ("0.95", 0, 1, False), ("0.95", 1, 1, True),
        ("0.999", 1, 1000, False), ("0.999", 1, 999, True), ("1", 0, 5, False), ("1", 1, 1_000_000, True),
        ("0.9", 0.1, 1.0, False), ("0.9", 0.11, 1.0, True), ("0.7", 3e5, 1e6, False),
    ],
)  # fmt: skip
def test_a_slice_is_good_from_its_objective_on(objective: str, bad: float, total: float, is_bad: bool) -> None:  # noqa: FBT001 - a table
    """S1, S7: exactly, as 1 - 0.95 is 0.05 in decimals."""
    assert verdict(SLICES, Decimal(objective), counts(bad, total)) == (float(is_bad), 1)


def test_a_slice_of_ratios_is_as_bad_as_its_events() -> None:
    assert verdict(RATIOS, None, counts(1, 4)) == (0.25, 1)
    assert verdict(RATIOS, None, counts(4, 4)) == (1, 1)


@pytest.mark.parametrize("method", [SLICES, RATIOS])
def test_no_traffic_is_not_no_data_is_not_failure(method: BudgetingMethod) -> None:
    """S5."""
    assert verdict(method, Decimal("0.9"), counts(0, 0)) == (0, 0)
    assert verdict(method, Decimal("0.9"), counts(0, 0, observed=0)) is None


@given(st.sampled_from([60, 300, 3600]), st.integers(0, 10**6), st.integers(1, 10**4))
def test_the_ends_of_slices_that_a_stretch_touches(seconds: int, since: int, length: int) -> None:
    ends = ended(seconds, since, since + length)

    assert list(ends) == [
        end for end in range(0, since + length + 2 * seconds, seconds) if end > since and end - seconds < since + length
    ]
