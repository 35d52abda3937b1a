"""Packed rows: what goes in comes out, and rubbish is nothing."""

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.store.packing import (
    BLOCK,
    COUNTS,
    LATENCIES,
    RUNS,
    Rows,
    added,
    counted,
    counts_of,
    fuller,
    in_field,
    joined,
    of_field,
    pack,
    replaced,
    unpack,
    unpack_counts,
)

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


@given(st.lists(st.binary(max_size=60), max_size=6), st.lists(positions, max_size=6), st.randoms())
def test_counts_that_are_unpacked_together_are_those_unpacked_one_by_one(
    rubbish: list[bytes], at: list[list[int]], random: Any
) -> None:
    """Rows of any number of series, and what a torn file holds between them."""
    whole = [rows_of(COUNTS, places, total=np.arange(len(places)) + 1) for places in at]
    packed = [*map(pack, whole), *rubbish, *map(zlib.compress, rubbish)]
    random.shuffle(packed)

    found: dict[int, list[tuple[float, ...]]] = {}
    for part in unpack_counts(packed):
        for row, place in enumerate(part.which.tolist()):
            rows = [(p, *c) for p, c in zip(part.positions[row], part.counts[:, row].T.tolist(), strict=True)]
            found[place] = [one for one in rows if one[0] < BLOCK]

    for place, one in enumerate(packed):
        rows = unpack(one, COUNTS)
        alone = [(p, *c) for p, c in zip(rows["position"], counted(rows).T.tolist(), strict=True)]
        if (np.diff(rows["position"].astype(int)) > 0).all() and len(rows) == len(found.get(place, rows)):
            assert found.get(place, []) == alone


@given(st.integers(0, 2**31 - 1))
def test_a_whole_number_below_2_to_31_is_a_field_as_it_always_was(number: int) -> None:
    """Rows of earlier releases read as before."""
    field = in_field(np.array([float(number)]))

    assert field.tolist() == [number]
    assert of_field(field).tolist() == [number]


@given(st.floats(0, 1e30), st.floats(0, 1))
def test_any_other_number_is_off_by_one_in_sixteen_million_and_never_in_our_favour(total: float, share: float) -> None:
    """S3: bad counts are rounded up, and never beyond the total; what is not all good never becomes so."""
    bad = total * share
    read_bad, read_total, _ = counted(counts_of(np.array([bad]), np.array([total]), np.array([1.0]))).tolist()

    assert read_total[0] == pytest.approx(total, rel=6e-8, abs=1e-45)
    assert min(bad, read_total[0]) <= read_bad[0] <= max(bad * (1 + 1.2e-7), bad + 2e-45)
    assert read_bad[0] <= read_total[0]


def test_what_is_no_count_is_nothing() -> None:
    """Fault 50: NaN, infinity and less than nothing are not written; rubbish that looks like them is not read."""
    written = of_field(in_field(np.array([np.nan, -1.0, np.inf])))

    assert written[:2].tolist() == [0, 0]
    assert np.isfinite(written[2])
    assert of_field(np.array([0xFFFFFFFF, 0xFF800000, 0x80000000], dtype=np.uint32)).tolist() == [0, 0, 0]


def test_counts_are_added_and_no_more_minutes_are_observed_than_there_are() -> None:
    old = rows_of(COUNTS, [1, 3], bad=[1, 1], total=[1, 3], observed=[5, 4])
    new = rows_of(COUNTS, [0, 3], bad=[0, 2], total=[10, 2], observed=[1, 2])

    both = added(old, new, 5)

    assert list(zip(*(both[name].tolist() for name in COUNTS.names or ()), strict=True)) == [
        (0, 0, 10, 1), (1, 1, 1, 5), (3, 3, 5, 5),
    ]  # fmt: skip


def test_counts_of_more_events_stay_and_of_as_many_the_new_ones() -> None:
    old = rows_of(COUNTS, [1, 2, 3], total=in_field(np.array([10, 10, 10.5])))
    new = rows_of(COUNTS, [1, 2, 3, 4], total=in_field(np.array([9.5, 10, 10.25, 1])), bad=[1, 1, 1, 1])

    assert counted(fuller(old, new))[:2].tolist() == [[0, 1, 0, 1], [10, 10, 10.5, 1]]


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
