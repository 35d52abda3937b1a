"""What a simulation reads: buckets from the history store, or from a file that `homeostat history` printed."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from homeostat.cli.arguments import BadArguments
from homeostat.core.history.ranges import LENGTHS, Cell
from homeostat.core.history.window import HOUR, MINUTE, Bucket
from homeostat.core.simulation.recorded import Recorded
from homeostat.store import reading
from homeostat.store.opening import open_reader, translated

FIVE_MINUTES = 5 * MINUTE
CHECK, OBJECTIVE, SLICES = "check/", "slo/", "slice/"


class Archive:
    """A history store that is open for reading."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def series(self, prefix: str, namespace: str, name: str, since: datetime, until: datetime) -> dict[str, Recorded]:
        """Read the newest series of a name, "" for the whole and by name of its groups. Empty when there is none."""
        known = [one for one in reading.known(self._connection, namespace, name) if one.series.startswith(prefix)]
        whole = [one for one in known if "/" not in one.series.removeprefix(prefix)]
        if not whole:
            return {}
        of = f"{whole[-1].series}/"
        found = {"": self._recorded(whole[-1].series, since, until)}
        groups = (one.series for one in known if one.series.startswith(of))
        return found | {one.removeprefix(of): self._recorded(one, since, until) for one in groups}

    def _recorded(self, series: str, since: datetime, until: datetime) -> Recorded:
        number = reading.number_of(self._connection, series)
        cells = [] if number is None else self._cells(number, int(since.timestamp()), int(until.timestamp()))
        return Recorded(_buckets(cells), series)

    def _cells(self, number: int, since: int, until: int) -> Iterator[Cell]:
        """Read the finest that is kept of each time: minutes, before them five minutes, before them hours."""
        oldest = {length: reading.extent(self._connection, length)[0] or until for length in LENGTHS}
        fives, minutes = finest_from(oldest)
        begins = (since, max(fives, since), max(minutes, since), until)
        for length, first, end in zip((HOUR, FIVE_MINUTES, MINUTE), begins, begins[1:], strict=False):
            if first < end:
                found = reading.cells(self._connection, number, length, [(first, end)])
                yield from (cell for cell in found if first <= cell.start and cell.start + length <= end)


def finest_from(oldest: Mapping[int, int]) -> tuple[int, int]:
    """Say from when on five minutes, and minutes, are read: where the last longer bucket before them is over."""
    hour, five, minute = oldest[HOUR], oldest[FIVE_MINUTES], oldest[MINUTE]
    fives = _rounded_up(five, HOUR) if hour + HOUR <= five else five
    minutes = _rounded_up(minute, FIVE_MINUTES) if five + FIVE_MINUTES <= minute else minute
    if five >= minute:  # no five minutes are older than the minutes: before those there are hours, or nothing
        fives = minutes = _rounded_up(minute, HOUR) if hour + HOUR <= minute else minute
    return fives, max(minutes, fives)


@contextmanager
def read_store(url: str) -> Iterator[Archive]:
    """Open the store for reading. Raises HistoryUnavailable."""
    engine = open_reader(url)
    try:
        with translated(), engine.connect() as connection:
            yield Archive(connection)
    finally:
        engine.dispose()


def from_file(path: str) -> Recorded:
    """Read what `homeostat history -o json` printed, or CSV. Raises BadArguments."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        rows = _rows_of_json(text) if text.lstrip().startswith("{") else list(csv.DictReader(text.splitlines()))
        return Recorded(
            _buckets(_cell(row) for row in rows if float(row["total"] or 0) or float(row.get("observed") or 0))
        )
    except OSError as error:
        raise BadArguments(f"simulate: {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        told = f"{type(error).__name__} {error}"
        raise BadArguments(f"simulate: {path}: not what `homeostat history -o json` prints: {told}") from error


def _rows_of_json(text: str) -> list[dict[str, Any]]:
    steps = json.loads(text)["steps"]
    return list(steps)


def _cell(row: dict[str, Any]) -> Cell:
    start, end = (int(datetime.fromisoformat(str(row[name])).timestamp()) for name in ("start", "end"))
    observed = row.get("observed")
    minutes = int(float(observed)) // MINUTE if observed not in {None, ""} else (end - start) // MINUTE
    return Cell(start, end - start, float(row["good"]), float(row["total"]), minutes)


def _buckets(cells: Iterable[Cell]) -> Iterator[Bucket]:
    return (Bucket("", one.start, one.seconds, one.good, one.total, one.observed) for one in cells)


def _rounded_up(start: int, seconds: int) -> int:
    return -(-start // seconds) * seconds
