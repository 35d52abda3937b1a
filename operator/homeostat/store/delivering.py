"""How pushed events are counted: each key once, into the minute, the five minutes and the hour that they fell in.

All of it happens in one transaction, in which nobody else writes: blocks are read, added to and written back.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice

import numpy as np
from sqlalchemy import Connection, select

from homeostat.core.history.records import FIVE_MINUTES
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.ports import Delivery
from homeostat.store import schema
from homeostat.store.packing import BLOCK, added, counts_of
from homeostat.store.writing import Writer

AT_ONCE = 500
"""Keys in one IN (…)."""

Digest = bytes
Sums = list[float]
"""Bad, total, minutes observed."""


def digest_of(delivery: Delivery) -> Digest | None:
    """Give what a key is remembered as; None for no key."""
    if not delivery.key:
        return None
    return blake2b(f"{delivery.objective}\0{delivery.key}".encode(), digest_size=16).digest()


def unknown(connection: Connection, digests: Sequence[Digest | None]) -> tuple[bool, ...]:
    """Say which keys were not delivered before, here or earlier in the list. What has no key never was."""
    seen = _known(connection, {digest for digest in digests if digest is not None})
    found = []
    for digest in digests:
        found.append(digest is None or digest not in seen)
        if digest is not None:
            seen.add(digest)
    return tuple(found)


def remember(connection: Connection, digests: Iterable[Digest | None], at: int) -> None:
    """Keep keys, which must be new."""
    rows = [{"key": digest, "at": at} for digest in digests if digest is not None]
    if rows:  # what asks for rows back is sent as few statements of many rows: a third of the time on PostgreSQL
        connection.execute(schema.delivery.insert().returning(schema.delivery.c.at), rows).close()


def count(connection: Connection, writer: Writer, deliveries: Iterable[Delivery]) -> None:
    """Add the counts of deliveries to what is there, in buckets of every length."""
    longer: dict[tuple[int, int], dict[int, Sums]] = {}
    for minute, by_name in sorted(_by_minute(deliveries).items()):
        start = minute * MINUTE
        numbers = writer.numbers_of(connection, list(by_name), start).tolist()
        sums = dict(zip(numbers, by_name.values(), strict=True))
        is_new = _add(connection, writer, MINUTE, start, sums)
        for seconds in (FIVE_MINUTES, HOUR):
            into = longer.setdefault((seconds, start // seconds * seconds), {})
            for number, (bad, total, observed) in sums.items():
                whole = into.setdefault(number, [0.0, 0.0, 0.0])
                whole[0] += bad
                whole[1] += total
                whole[2] += observed if number in is_new else 0.0
    for (seconds, start), sums in longer.items():
        _add(connection, writer, seconds, start, sums)


def _by_minute(deliveries: Iterable[Delivery]) -> dict[int, dict[str, Sums]]:
    """Sum counts up by minute and series. No events are no data."""
    found: dict[int, dict[str, Sums]] = {}
    for delivery in deliveries:
        for series, minute, bad, total in delivery.counts:
            if total > 0:
                sums = found.setdefault(minute, {}).setdefault(series, [0.0, 0.0, 1.0])
                sums[0] += bad
                sums[1] += total
    return found


def _add(connection: Connection, writer: Writer, seconds: int, start: int, sums: Mapping[int, Sums]) -> set[int]:
    """Add to the buckets of one period; give the numbers of the series that had no data in it."""
    numbers = np.fromiter(sums, dtype=np.int64, count=len(sums))
    rows = counts_of(*np.array(list(sums.values())).T)
    key = {"seconds": seconds, "start": start}
    there = writer.write(connection, schema.counts, key, numbers, rows, partial(added, most=seconds // MINUTE))
    had = {block * BLOCK + int(at) for block, old in there.items() for at in old["position"][old["total"] > 0]}
    return sums.keys() - had


def _known(connection: Connection, digests: Iterable[Digest]) -> set[Digest]:
    keys, rest = schema.delivery.c.key, iter(digests)
    found: set[Digest] = set()
    while some := list(islice(rest, AT_ONCE)):
        found |= {bytes(key) for key in connection.execute(select(keys).where(keys.in_(some))).scalars()}
    return found
