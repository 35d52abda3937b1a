"""What `homeostat status` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespaces
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat status",
        description="Show how all services stand, the worst first: checks, objectives, policies, experiments, freezes.",
        epilog="Exit code: 0 all is well, 1 something is wrong, needs attention or is unknown, 2 when it could not be "
        "read. With --watch: as it was seen last.",
    )
    made.add_argument("service", nargs="?", default="", metavar="SERVICE", help="one service only, with all it has")
    add_namespaces(made)
    made.add_argument("-w", "--watch", action="store_true", help="keep looking until interrupted")
    add_output(made)
    add_cluster(made)
    return made
