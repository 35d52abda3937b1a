"""Packed rows: what goes in comes out, and rubbish is nothing."""

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.store.packing import BLOCK, COUNTS, LATENCIES, RUNS, Rows, fuller, joined, pack, replaced, unpack

positions = st.lists(st.integers(0, BLOCK - 1), max_size=40).map(sorted)


def rows_of(kind: np.dtype[Any], at: list[int], **columns: Any) -> Rows:
    rows = np.zeros(len(at), dtype=kind)
    rows["position"] = at
    for name, values in columns.items():
        rows[name] = values
    return rows


@given(positions, st.sampled_from([COUNTS, LATENCIES, RUNS]), st.randoms())
def test_what_is_packed_is_unpacked_for_all_and_for_each(at: list[int], kind: np.dtype[Any], random: Any) -> None:
    rows = np.frombuffer(random.randbytes(kind.itemsize * len(at)), dtype=kind).copy()
    rows["position"] = at
    packed = pack(rows)

    assert unpack(packed, kind).tobytes() == rows.tobytes()
    for position in (*at, 0, BLOCK - 1):
        assert unpack(packed, kind, position).tobytes() == rows[rows["position"] == position].tobytes()


@given(st.binary(max_size=200), st.booleans(), st.integers(0, BLOCK - 1))
def test_rubbish_is_unpacked_without_an_error(rubbish: bytes, is_compressed: bool, position: int) -> None:  # noqa: FBT001
    """Faults 27: whatever a torn file holds."""
    packed = zlib.compress(rubbish) if is_compressed else rubbish
    for kind in (COUNTS, LATENCIES, RUNS):
        assert (unpack(packed, kind)["position"] < BLOCK).all()
        assert (unpack(packed, kind, position)["position"] == position).all()


def test_a_row_that_would_unpack_to_more_than_memory_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeostat.store.packing._MOST", 1000)
    bomb = zlib.compress(bytes(10_000_000))

    assert len(unpack(bomb, COUNTS)) <= 1000 // COUNTS.itemsize


def test_counts_that_are_written_again_are_replaced_and_others_stay() -> None:
    old, new = rows_of(COUNTS, [1, 3, 5], total=[1, 3, 5]), rows_of(COUNTS, [0, 3, 9], total=[10, 13, 19])

    both = replaced(old, new)

    assert both["position"].tolist() == [0, 1, 3, 5, 9]
    assert both["total"].tolist() == [10, 1, 13, 5, 19]


def test_latencies_of_more_runs_stay() -> None:
    old, new = rows_of(LATENCIES, [1, 2], count=[10, 10]), rows_of(LATENCIES, [0, 1, 2], count=[5, 9, 11])

    assert fuller(old, new)["count"].tolist() == [5, 10, 11]


def test_runs_that_are_written_again_are_there_once() -> None:
    old = rows_of(RUNS, [1, 1, 2], offset=[5, 7, 5])
    new = rows_of(RUNS, [1, 1, 3], offset=[3, 7, 5])

    both = joined(old, new)

    assert list(zip(both["position"].tolist(), both["offset"].tolist(), strict=True)) == [
        (1, 3), (1, 5), (1, 7), (2, 5), (3, 5),
    ]  # fmt: skip
