"""What `homeostat chaos sweep` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import OPERATOR_NAMESPACE, add_cluster
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat chaos sweep",
        description="Find what experiments left behind: marked objects, guards, agents that run, experiments that wait "
        "for an operator. Undo what no experiment answers for.",
        epilog="Exit code: 0 nothing is left, 1 something is, 2 when it could not be asked.",
    )
    made.add_argument("--dry-run", action="store_true", help="only list it")
    made.add_argument(
        "--all",
        action="store_true",
        help="also what experiments hold up; the operator must be stopped",
    )
    made.add_argument(
        "--stop",
        default="",
        metavar="DEPLOYMENT",
        help="first scale this Deployment of the operator's namespace to 0, and wait until no operator leads",
    )
    made.add_argument("-n", "--namespace", default="", help="only this namespace, and no Nodes (default: all)")
    made.add_argument(
        "--operator-namespace", default=OPERATOR_NAMESPACE, metavar="NS", help="where the operator and its guards are"
    )
    made.add_argument(
        "--wait", type=float, default=10.0, metavar="SECONDS", help="how long agents may take to end (default: 10)"
    )
    add_output(made)
    add_cluster(made)
    return made
