"""What `homeostat chaos run` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.parsers.chaos import parser_of

BEGUN, INJECTED, FINISHED = "Begun", "Injected", "Finished"
WAIT = {BEGUN: 10.0, INJECTED: 300.0, FINISHED: 3600.0}
"""How far a run is waited for, and how many seconds by default."""


def parser() -> Parser:
    """Make the parser."""
    made = parser_of(
        "run",
        "Ask for a run of an experiment, or for a game day, and say what becomes of it.",
        "Exit code: 0 as it should be (begun; the fault is on; at the end Passed, or a dry run), 1 refused, or "
        "another verdict, 2 when it could not be asked, 3 when it did not come that far in time; the run goes on.",
    )
    made.add_argument(
        "--wait-for",
        choices=tuple(WAIT),
        default=BEGUN,
        help="how far to wait: until the operator has begun it (default), the fault is on, or all is over",
    )
    made.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="how long to wait (default: 10 until Begun, 300 until Injected, 3600 until Finished)",
    )
    return made
