"""How rows are packed: what BLOCK series had in one period is one small compressed row of the database.

A row for each series would be written to 10,000 places of the file every minute; a block is written to one. Columns
are laid side by side, and positions as steps from one to the next, as a compressor likes them: a minute of a series
takes less than a byte, a raw run four.
"""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 256
"""Series in a block: those whose number, divided by this, is the same. It is part of the format."""
_LEVEL = 1
_MOST = 64 << 20
"""Bytes that a row may unpack to; what would be more is no row of ours."""

Rows = npt.NDArray[Any]
"""Structured and ascending by `position`, the series' place in its block."""

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
    try:
        plain = zlib.decompressobj().decompress(packed, _MOST)
    except zlib.error:
        plain = b""
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


def replaced(old: Rows, new: Rows) -> Rows:
    """Give the rows of two that are of the same kind; where a series is in both, the new one."""
    both = np.concatenate((old[~np.isin(old["position"], new["position"])], new))
    return both[np.argsort(both["position"], kind="stable")]


def fuller(old: Rows, new: Rows) -> Rows:
    """Give the latencies of two; where a series is in both, those of more runs."""
    known = dict(zip(old["position"].tolist(), old["count"].tolist(), strict=True))
    counts = zip(new["position"].tolist(), new["count"].tolist(), strict=True)
    return replaced(old, new[np.array([count >= known.get(position, 0) for position, count in counts], dtype=bool)])


def joined(old: Rows, new: Rows) -> Rows:
    """Give the raw runs of two, in order; what was written twice is there once."""
    both = np.concatenate((old, new))
    both = both[np.lexsort((both["offset"], both["position"]))]
    is_first = np.ones(len(both), dtype=bool)
    is_first[1:] = both[1:] != both[:-1]
    return both[is_first]
