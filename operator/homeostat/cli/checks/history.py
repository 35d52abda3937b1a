"""`homeostat history`: what is kept of the past, read from the store. No cluster is asked for anything.

The operator may write to it meanwhile. Inside its Pod:
kubectl -n homeostat-system exec deploy/homeostat -- homeostat history
"""

import argparse
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from homeostat.cli.arguments import BadArguments
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.checks.history_report import (
    WINDOWS,
    Listed,
    Store,
    list_as_data,
    list_as_text,
    runs_as_data,
    runs_as_text,
    steps_as_data,
    steps_as_text,
)
from homeostat.cli.parsers.history import parser
from homeostat.cli.past import moment, store_url
from homeostat.cli.streams import complain, encoded, in_one_line, print_out
from homeostat.core.history.ranges import LENGTHS, Grid
from homeostat.core.history.records import Known
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.engine.clock import SystemClock
from homeostat.store import reading
from homeostat.store.opening import database_of, open_reader, translated

MOST_STEPS = 10_000
CHECK, OBJECTIVE = "check/", "slo/"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, lambda asked: 0 if print_out(answer(asked, SystemClock().now())) else FAILED)


def answer(asked: argparse.Namespace, now: datetime) -> str:
    """Read what was asked for, and write it down. Raises BadArguments and HistoryUnavailable."""
    namespace, _, name = asked.check.partition("/")
    if asked.check and not (namespace and name):
        raise BadArguments(f"{asked.check!r} is not NAMESPACE/NAME")
    url = store_url(asked.store_url)
    since, until = moment(asked.since, now), moment(asked.until, now) if asked.until else now
    if since >= until:
        raise BadArguments("--since is not before --until")
    engine = open_reader(url)
    try:
        with translated(), engine.connect() as connection:
            if not asked.check:
                return _list(connection, url, asked.output, now)
            known = _find(connection, namespace, name, asked)
            if asked.raw:
                return _runs(connection, known, (since, until), asked.output)
            return _steps(connection, known, _grid(connection, since, until, asked.step), asked.output)
    finally:
        engine.dispose()


def _list(connection: Connection, url: str, output: str, now: datetime) -> str:
    totals = reading.totals(connection, list(WINDOWS.values()), int(now.timestamp()))
    known = [one for one in reading.known(connection, "", "") if one.series.startswith(CHECK)]
    listed = [Listed(one, totals[one.series]) for one in known]
    database = database_of(url)
    store = Store(database.name, database.size(connection), database.sizes(connection))
    return encoded(list_as_data(listed, store), output) if output != "text" else _lines(list_as_text(listed, store))


def _find(connection: Connection, namespace: str, name: str, asked: argparse.Namespace) -> Known:
    """Find the check or objective that is meant: of several that had the name, the last seen."""
    kind, prefix = ("objective", OBJECTIVE) if asked.objective else ("check", CHECK)
    series = (one for one in reading.known(connection, namespace, name) if one.series.startswith(prefix))
    known = [one for one in series if "/" not in one.series.removeprefix(prefix)]  # not of a group of an objective
    meant = [one for one in known if asked.uid in {"", one.series.removeprefix(prefix)}]
    if not meant:
        of = f" with uid {asked.uid}" if known else ""
        raise BadArguments(f"history knows no {kind} {namespace}/{name}{of}; `homeostat history` lists all checks")
    if len(meant) > 1:
        uids = ", ".join(one.series.removeprefix(prefix) for one in meant[:-1])
        complain([f"earlier ones of that name are read with --uid: {uids}"])
    return meant[-1]


def _runs(connection: Connection, known: Known, between: tuple[datetime, datetime], output: str) -> str:
    since, until = (moment.timestamp() for moment in between)
    number = reading.number_of(connection, known.series)
    found = [] if number is None else reading.past_runs(connection, number, [(int(since), int(until) + 1)])
    runs = [run for run in found if since <= run.at < until]
    return encoded(runs_as_data(known, runs), output) if output != "text" else _lines(runs_as_text(known, runs))


def _steps(connection: Connection, known: Known, grid: Grid, output: str) -> str:
    number = reading.number_of(connection, known.series)
    steps = [] if number is None else reading.span(connection, number, grid)
    if output != "text":
        return encoded(steps_as_data(known, grid, steps), output)
    return _lines(steps_as_text(known, grid, steps))


def _grid(connection: Connection, since: datetime, until: datetime, step: timedelta | None) -> Grid:
    """Lay steps over the range, as far back as there is anything."""
    oldest = min(
        (first for first, last in (reading.extent(connection, length) for length in LENGTHS) if last), default=0
    )
    since = min(max(since, datetime.fromtimestamp(oldest, UTC)), until)
    span = (until - since).total_seconds()
    seconds = _usual_step(span) if step is None else int(step.total_seconds())
    if seconds < MINUTE or seconds % MINUTE:
        raise BadArguments("--step is not a whole number of minutes")
    if span / seconds > MOST_STEPS:
        raise BadArguments(f"--step is so short that there would be more than {MOST_STEPS} of them")
    return Grid.over(since, until, seconds)


def _usual_step(span: float) -> int:
    if span <= 3 * HOUR:
        return 5 * MINUTE
    return HOUR if span <= 3 * DAY else DAY


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{in_one_line(line)}\n" for line in lines)
