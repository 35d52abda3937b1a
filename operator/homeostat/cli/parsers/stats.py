"""What `homeostat stats` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.past import add_store_url
from homeostat.cli.showing import add_output

KEYS = ("policy", "step", "cause")
"""What can be summed up by."""


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat stats",
        description="Show how well policies heal: attempts that acted, how many recovered, and how long (median) it "
        "took to detect, to decide, to act, and from detection to recovery.",
        epilog="Exit code: 0, or 2 when there is no answer.",
    )
    made.add_argument(
        "policy", nargs="?", default="", metavar="NAMESPACE[/NAME]", help="of one namespace, or of one policy"
    )
    made.add_argument("--by", choices=KEYS, default="policy", help="what to sum up by (default: policy)")
    made.add_argument("--since", default="30d", metavar="TIME", help="30d ago, or 2026-11-21T12:00:00Z (default: 30d)")
    add_output(made)
    add_store_url(made)
    return made
