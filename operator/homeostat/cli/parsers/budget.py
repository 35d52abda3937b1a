"""What `homeostat budget` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespaces
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat budget",
        description="Show the error budgets of objectives, the one with least left first: how much is left, for how "
        "long everything could still be bad, how fast it burns, when it will be gone, and what it holds back.",
        epilog="Exit code: 0 every budget has something left, 1 one is gone or not known, 2 when they could not be "
        "read.",
    )
    made.add_argument("objective", nargs="?", default="", metavar="slo/NAME", help="one objective only, in full")
    add_namespaces(made)
    add_output(made)
    add_cluster(made)
    return made
