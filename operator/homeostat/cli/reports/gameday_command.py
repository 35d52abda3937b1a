"""`homeostat report gameday/NAME`: reads a game day from the cluster or from a file, and reports its last day."""

from argparse import Namespace
from collections.abc import Sequence

from homeostat.api.gameday import KIND, GameDaySpec
from homeostat.api.gameday_status import GameDayStatus
from homeostat.cli.carrying_out import carry_out
from homeostat.cli.one_object import is_named
from homeostat.cli.parsers.gameday_report import parser
from homeostat.cli.reports.gameday import as_data, as_markdown
from homeostat.cli.reports.run_command import printed, read

_WHEN_GONE = "is there such a game day in this namespace, and are the CRDs of homeostat installed?"
_WHEN_FORBIDDEN = "a report takes the right to get gamedays there. Try -n NAMESPACE"


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether `homeostat report` is asked about a game day."""
    return is_named(KIND, arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    return carry_out(parser(), arguments, _run, when_gone=_WHEN_GONE, when_forbidden=_WHEN_FORBIDDEN)


def _run(asked: Namespace) -> int:
    one = read(KIND, (GameDaySpec, GameDayStatus), asked, asked.day, "day")
    about = one.namespace, one.name, one.spec, one.status
    return printed(asked, as_data(*about), lambda: as_markdown(*about))
