"""What `homeostat undo` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat undo",
        description="Watch the Lease of a guard, and take its fault off when it is not renewed, when its time is over, "
        "when it is gone, or when told to end.",
    )
    made.add_argument("name", metavar="NAME", help="the Lease")
    made.add_argument("-n", "--namespace", default="", help="namespace of the Lease (default: the pod's own)")
    add_cluster(made)
    return made
