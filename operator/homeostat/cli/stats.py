"""`homeostat stats`: how well policies heal, from the store. No cluster is asked for anything.

The operator may write to it meanwhile. Inside its Pod:
kubectl -n homeostat-system exec deploy/homeostat -- homeostat stats
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import ValidationError

from homeostat.api.recovery import KIND
from homeostat.api.recovery_attempt import AttemptRecord
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.stats import parser
from homeostat.cli.past import moment, store_url
from homeostat.cli.stats_report import as_data, as_text
from homeostat.cli.streams import complain, encoded, in_one_line, print_out
from homeostat.core.recovery.analytics import Told, grouped
from homeostat.engine.clock import SystemClock
from homeostat.ports import StoredAttempt
from homeostat.store import reading
from homeostat.store.opening import open_reader, translated


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, lambda asked: 0 if print_out(answer(asked, SystemClock().now())) else FAILED)


def answer(asked: argparse.Namespace, now: datetime) -> str:
    """Read what was asked for, and write it down. Raises BadArguments and HistoryUnavailable."""
    namespace, _, name = asked.policy.partition("/")
    since = moment(asked.since, now)
    engine = open_reader(store_url(asked.store_url))
    try:
        with translated(), engine.connect() as connection:
            stored = reading.attempts_since(connection, KIND.kind, since, namespace, name)
            figures = grouped(_told(stored), asked.by)
    finally:
        engine.dispose()
    if asked.output != "text":
        return encoded(as_data(figures, asked.by, since), asked.output)
    return "".join(f"{in_one_line(line)}\n" for line in as_text(figures, asked.by, since))


def _told(stored: Sequence[StoredAttempt]) -> Iterator[Told]:
    """Read records; one that another release wrote in another form is left out, and said to be."""
    unread = 0
    for one in stored:
        try:
            yield Told(one.namespace, one.name, AttemptRecord.model_validate(one.details))
        except ValidationError:
            unread += 1
    if unread:
        complain([f"{unread} attempts on record are of a form that this release cannot read, and are left out"])
