"""Quantities are read and written exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.quantity import cpu_text, memory_text, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("64Mi", "67108864"),
        ("1.5Gi", "1610612736"),
        ("128974848000m", "128974848"),
        ("500m", "0.5"),
        ("0.1", "0.1"),
        ("100n", "0.0000001"),
        ("1u", "0.000001"),
        ("2k", "2000"),
        ("129e6", "129000000"),
        ("12E3", "12000"),
        ("2E", "2000000000000000000"),
        ("1e-3", "0.001"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-1", "-1"),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, value: str) -> None:
    """All suffixes and exponents."""
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "Mi", "1mi", "1 Mi", "0x1", "1e", "1ee3", "NaN", "1Kii", "\u0661"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Never guessed."""
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


@given(st.integers(0, 2**62))
def test_memory_in_whole_bytes_comes_back_exactly(count: int) -> None:
    """Whatever unit it is written in."""
    assert parse_quantity(memory_text(Decimal(count))) == count


@given(st.integers(0, 10**9))
def test_cpu_in_thousandths_comes_back_exactly(count: int) -> None:
    """Whatever unit it is written in."""
    assert parse_quantity(cpu_text(Decimal(count) / 1000)) == Decimal(count) / 1000


@given(st.decimals(0, 10**12, places=6))
def test_what_is_no_whole_unit_is_rounded_up_by_less_than_one(value: Decimal) -> None:
    """What was asked for is never less than asked."""
    assert 0 <= parse_quantity(memory_text(value)) - value < 1
    assert 0 <= parse_quantity(cpu_text(value)) - value < Decimal("0.001")
