"""What `homeostat explain` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import OPERATOR_NAMESPACE, add_cluster, add_namespace
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat explain",
        description="Explain how an object stands now. Of a RecoveryPolicy: what each gate says at this moment, in the "
        "order in which they are asked, what would be done next, and what is on record. Of an experiment: the same of "
        "a run, when the next one begins, and what would stop it. Of an objective, a check or a game day: what the "
        "operator last found, and what would change it. `homeostat why` tells what happened, too.",
        epilog="Exit code: 0 all gates pass, 1 one refuses or no trigger fires, 2 when there is no answer, "
        "3 none that is known refuses.",
    )
    made.add_argument("object", metavar="KIND/NAME", help="rp/NAME, slo/NAME, hc/NAME, chaos/NAME or gd/NAME")
    made.kinds["object"] = ("rp", "slo", "hc", "chaos", "gd")
    add_namespace(made)
    add_output(made)
    made.add_argument(
        "--operator-namespace", default=OPERATOR_NAMESPACE,
        help="where the operator runs, and keeps locks of Nodes (default: %(default)s)",
    )  # fmt: skip
    add_cluster(made)
    return made
