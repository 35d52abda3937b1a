"""`homeostat report`: how an objective was kept in a month, from the history store; `report chaos/NAME` is of a run.

What is asked for is read from the cluster if there is one, else from a file or the command line; nothing is written.
"""

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from homeostat.cli.arguments import BadArguments
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.report import MOST_MONTHS, parser
from homeostat.cli.past import store_url
from homeostat.cli.reports import experiment_command, gameday_command
from homeostat.cli.reports.objective.counts import Range, paper_of
from homeostat.cli.reports.objective.data import as_csv, as_data
from homeostat.cli.reports.objective.markdown import as_markdown
from homeostat.cli.reports.objective.terms import terms_of
from homeostat.cli.streams import encoded, in_lines, print_out
from homeostat.core.objective.compliance import Month
from homeostat.engine.clock import SystemClock
from homeostat.store.opening import open_reader, translated

_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_FIRST_YEAR = 1972
"""Twelve months before it there is still an epoch."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    if experiment_command.is_meant(arguments):
        return experiment_command.main(arguments)
    if gameday_command.is_meant(arguments):
        return gameday_command.main(arguments)
    return carry_out(parser(), arguments, lambda asked: 0 if print_out(answer(asked, SystemClock().now())) else FAILED)


def answer(asked: argparse.Namespace, now: datetime) -> str:
    """Read what was asked for, and write it down. Raises BadArguments, BadInput and HistoryUnavailable."""
    namespace, _, name = asked.slo.partition("/")
    if not (namespace and name):
        raise BadArguments(f"report: {asked.slo!r} is not NAMESPACE/NAME")
    terms = terms_of(asked, namespace, name)
    month = _month(asked.month, _zone(asked.time_zone or terms.zone), now)
    engine = open_reader(store_url(asked.store_url))
    try:
        with translated(), engine.connect() as connection:
            paper = paper_of(connection, (namespace, name), terms, month, Range(asked.uid, asked.months, now))
    finally:
        engine.dispose()
    if asked.output in {"json", "yaml"}:
        return encoded(as_data(paper), asked.output)
    return as_csv(paper) if asked.output == "csv" else in_lines(as_markdown(paper)) + "\n"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadArguments(f"--time-zone: {name!r} is no zone, like Europe/Paris") from error


def _month(text: str, zone: ZoneInfo, now: datetime) -> Month:
    today = now.astimezone(zone)
    current = Month(today.year, today.month, zone)
    if text in {"last", "this"}:
        return current.back(1) if text == "last" else current
    parts = _MONTH.fullmatch(text)
    if parts is None or not 1 <= int(parts[2]) <= MOST_MONTHS or int(parts[1]) < _FIRST_YEAR:
        raise BadArguments(f"--month: {text!r} is not a month, like 2026-10, last or this")
    month = Month(int(parts[1]), int(parts[2]), zone)
    if (month.year, month.month) > (current.year, current.month):
        raise BadArguments(f"--month: {text} has not begun")
    return month
