"""What `homeostat export` may be told."""

from homeostat.cli.arguments import Parser


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat export",
        description="Print the ServiceLevelObjectives of files as OpenSLO v1. What is lost is told on standard error, "
        "a line each.",
        epilog="Exit code: 0 all objectives were exported, 1 some were not, 2 a file cannot be read.",
    )
    made.add_argument("format", choices=("openslo",), help="the format to write")
    made.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="YAML or JSON, also what `kubectl get slo -o yaml` gives; - for standard input",
    )
    return made
