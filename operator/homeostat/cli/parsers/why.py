"""What `homeostat why` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespace
from homeostat.cli.past import add_store_url
from homeostat.cli.showing import add_output

KINDS = ("rp", "chaos", "gd", "slo", "hc")


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat why",
        description="Say why an object is as it is, and why nothing more was done: the answer in one sentence, what "
        "stands for and against it and since when, what would change it, and what happened lately. It reads what the "
        "operator wrote down; `homeostat explain` asks all gates anew, and says what would be done now.",
        epilog="Exit code: 0 nothing stands against it, 1 something does, 2 it could not be read.",
    )
    made.add_argument("object", metavar="KIND/NAME", help="rp/NAME, chaos/NAME, gd/NAME, slo/NAME or hc/NAME")
    made.kinds["object"] = KINDS
    add_namespace(made)
    add_output(made)
    add_cluster(made)
    add_store_url(made)
    return made
