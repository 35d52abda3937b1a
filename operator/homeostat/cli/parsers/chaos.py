"""What the commands of `homeostat chaos` that are about one object may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespace


def parser_of(command: str, description: str, epilog: str) -> Parser:
    """Make the parser of `homeostat chaos COMMAND chaos/NAME`."""
    parser = Parser(prog=f"homeostat chaos {command}", description=description, epilog=epilog)
    parser.add_argument("object", metavar="chaos/NAME", help="the ChaosExperiment, or gd/NAME, the GameDay")
    parser.kinds["object"] = ("chaos", "gd")
    add_namespace(parser)
    add_cluster(parser)
    return parser
