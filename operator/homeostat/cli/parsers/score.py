"""What `homeostat score` may be told."""

import argparse

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespaces
from homeostat.cli.showing import add_output


def _percent(text: str) -> int:
    if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - the best score
        raise argparse.ArgumentTypeError("not a whole number from 0 to 100")
    return int(text)


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat score",
        description="Show how healthy services are, from 0 to 100, as their HealthChecks say.",
        epilog="Exit code: 0, 1 when the score is unknown or below --fail-under, 2 when it could not be read.",
    )
    add_namespaces(made)
    add_output(made)
    made.add_argument("--fail-under", type=_percent, metavar="N", help="exit with 1 when the score is below N")
    add_cluster(made)
    return made
