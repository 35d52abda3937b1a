"""What `homeostat chaos abort` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.parsers.chaos import parser_of


def parser() -> Parser:
    """Make the parser."""
    made = parser_of(
        "abort",
        "End the run under way: its fault comes off, and it ends as Aborted. A run that is asked for and has not begun "
        "is taken back.",
        "Exit code: 0 the fault is off, or there was none, 1 when it could not be undone or nothing could be aborted, "
        "2 when it could not be asked, 3 when it is not off yet; what was asked stands on the object.",
    )
    made.add_argument(
        "--wait", type=float, default=30.0, metavar="SECONDS", help="how long to wait for that (default: 30)"
    )
    return made
