"""How rows are packed: what BLOCK series had in one period is one small compressed row of the database.

A row for each series would be written to 10,000 places of the file every minute; a block is written to one. Columns
are laid side by side, and positions as steps from one to the next, as a compressor likes them: a minute of a series
takes less than a byte, a raw run four.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 256
"""Series in a block: those whose number, divided by this, is the same. It is part of the format."""
_LEVEL = 1
_MOST = 64 << 20
"""Bytes that a row may unpack to; what would be more is no row of ours."""

_REAL = 0x80000000
"""Marks a field that holds a number which is not whole, or not below this one: the other 31 bits are a float's."""
_LARGEST = float(np.finfo(np.float32).max)

Rows = npt.NDArray[Any]
"""Structured and ascending by `position`, the series' place in its block."""
Field = npt.NDArray[np.uint32]
"""Counts as rows hold them: whole numbers below 2^31 as they are, others as the bits of a float32 with _REAL."""
Numbers = npt.NDArray[np.float64]

COUNTS = np.dtype([("position", "<u2"), ("bad", "<u4"), ("total", "<u4"), ("observed", "u1")])
LATENCIES = np.dtype(
    [("position", "<u2"), ("count", "<u4"), ("p50", "<f2"), ("p95", "<f2"), ("p99", "<f2"), ("longest", "<f2")]
)
RUNS = np.dtype([("position", "<u2"), ("offset", "<u2"), ("verdict", "u1"), ("reason", "<u2"), ("seconds", "<f2")])


def pack(rows: Rows) -> bytes:
    """Pack rows, column by column."""
    steps = np.diff(rows["position"], prepend=np.uint16(0))
    columns = [steps, *(rows[name] for name in (rows.dtype.names or ())[1:])]
    return zlib.compress(b"".join(column.tobytes() for column in columns), _LEVEL)


def unpack(packed: bytes, kind: np.dtype[Any], position: int | None = None) -> Rows:
    """Unpack the rows of all series, or of one. What cannot be read, as in a torn file, is no rows."""
    plain = _plain(packed)
    count, rest = divmod(len(plain), kind.itemsize)
    if rest:
        return np.empty(0, dtype=kind)
    positions = np.frombuffer(plain, dtype=np.uint16, count=count).cumsum(dtype=np.uint16)
    wanted = (0, BLOCK) if position is None else (position, position + 1)
    first, last = positions.searchsorted(np.array(wanted, dtype=np.uint16)).tolist()
    rows = np.empty(max(0, last - first), dtype=kind)
    rows["position"] = positions[first:last]
    begin = positions.nbytes
    for name in (kind.names or ())[1:]:
        size = kind[name].itemsize
        rows[name] = np.frombuffer(plain, dtype=kind[name], count=len(rows), offset=begin + first * size)
        begin += count * size
    return rows


def _plain(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST)
    except zlib.error:
        return b""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Counts of several packed rows that hold as many series each.

    `which`: their places in what was unpacked, shape (rows,); `positions` of shape (rows, series); `counts` of shape
    (3, rows, series): bad, total, minutes observed. Where a position is BLOCK or more there is no series.
    """

    which: npt.NDArray[np.int64]
    positions: npt.NDArray[np.uint16]
    counts: Numbers


def unpack_counts(packed: Sequence[bytes]) -> Iterator[Counted]:
    """Unpack many rows of counts together, which takes a third of the time that one by one takes."""
    plain = [_plain(one) for one in packed]
    lengths = np.array([len(one) for one in plain], dtype=np.int64)
    for length in np.unique(lengths[(lengths > 0) & (lengths % COUNTS.itemsize == 0)]).tolist():
        which = np.flatnonzero(lengths == length)
        columns = np.frombuffer(b"".join([plain[place] for place in which.tolist()]), dtype=np.uint8)
        columns, count, begin = columns.reshape(len(which), length), length // COUNTS.itemsize, 0
        fields = {}
        for name in COUNTS.names or ():
            end = begin + count * COUNTS[name].itemsize
            fields[name] = np.ascontiguousarray(columns[:, begin:end]).view(COUNTS[name])
            begin = end
        positions = fields["position"].cumsum(axis=1, dtype=np.uint16)
        yield Counted(which, positions, counted(fields))


def in_field(numbers: Numbers, *, is_rounded_up: bool = False) -> Field:
    """Write counts as a field: whole ones below 2^31 exactly, others to 1 in 16 million. What is no count is 0."""
    numbers = np.nan_to_num(np.clip(numbers, 0.0, _LARGEST))
    is_whole = (numbers < _REAL) & (numbers == np.floor(numbers))
    field: Field = np.where(is_whole, numbers, 0.0).astype(np.uint32)
    if not is_whole.all():
        real = numbers[~is_whole].astype(np.float32)
        if is_rounded_up:
            real = np.where(real < numbers[~is_whole], np.nextafter(real, np.float32(_LARGEST)), real)
        field[~is_whole] = real.view(np.uint32) | _REAL
    return field


def of_field(field: Field) -> Numbers:
    """Read counts from a field. What is no number, as in a torn file, is 0."""
    numbers = field.astype(np.float64)
    is_real = field >= _REAL
    if is_real.any():
        real = (field[is_real] & (_REAL - 1)).astype(np.uint32).view(np.float32)
        numbers[is_real] = np.nan_to_num(real, posinf=0.0)
    return numbers


def counts_of(bad: Numbers, total: Numbers, observed: Numbers) -> Rows:
    """Make rows of counts, without positions. What is rounded is rounded against the service."""
    rows = np.empty(len(bad), dtype=COUNTS)
    rows["bad"], rows["total"] = in_field(bad, is_rounded_up=True), in_field(total)
    rows["observed"] = np.minimum(observed, 0xFF)
    return rows


def counted(rows: Rows | Mapping[str, npt.NDArray[Any]]) -> Numbers:
    """Give the counts of rows, of shape (3, …): bad, total, minutes observed."""
    counts = np.empty((3, *rows["total"].shape))
    counts[1], counts[2] = of_field(rows["total"]), rows["observed"]
    np.minimum(of_field(rows["bad"]), counts[1], out=counts[0])
    return counts


def added(old: Rows, new: Rows, most: int) -> Rows:
    """Give the counts of two together; where a series is in both, the sum. At `most` so many minutes are observed."""
    sums = np.zeros((3, BLOCK))
    for rows in (old, new):
        sums[:, rows["position"]] += counted(rows)
    at = np.union1d(old["position"], new["position"])
    bad, total, observed = sums[:, at]
    both = counts_of(bad, total, np.minimum(observed, most))
    both["position"] = at
    return both


def replaced(old: Rows, new: Rows) -> Rows:
    """Give the rows of two that are of the same kind; where a series is in both, the new one."""
    both = np.concatenate((old[~np.isin(old["position"], new["position"])], new))
    return both[np.argsort(both["position"], kind="stable")]


def fuller(old: Rows, new: Rows) -> Rows:
    """Give the counts or latencies of two; where a series is in both, those of more events, else the new ones."""
    known = np.zeros(BLOCK)
    known[old["position"]] = _events(old)
    return replaced(old, new[_events(new) >= known[new["position"]]])


def _events(rows: Rows) -> Numbers:
    return of_field(rows["total"]) if "total" in (rows.dtype.names or ()) else rows["count"].astype(np.float64)


def joined(old: Rows, new: Rows) -> Rows:
    """Give the raw runs of two, in order; what was written twice is there once."""
    both = np.concatenate((old, new))
    both = both[np.lexsort((both["offset"], both["position"]))]
    is_first = np.ones(len(both), dtype=bool)
    is_first[1:] = both[1:] != both[:-1]
    return both[is_first]
