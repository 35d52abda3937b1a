"""What `homeostat validate` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat validate",
        description="Check objects of homeostat as the API server would, with the same rules and defaults, and say "
        "what the controllers would have against them. Problems go to standard output, and to standard error how many "
        "objects are valid where all are.",
        epilog="Exit code: 0 all are valid, 1 one is not, 2 a file cannot be read. What is no object of homeostat is "
        "left alone.",
    )
    made.add_argument(
        "-f", "--file", default=[], nargs="+", action="extend", metavar="FILE",
        help="YAML or JSON, or a directory of it; - for standard input",
    )  # fmt: skip
    made.add_argument("files", nargs="*", metavar="FILE", help="the same, without -f")
    add_output(made)
    return made
