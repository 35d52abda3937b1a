"""What `homeostat import` may be told."""

from homeostat.cli.arguments import Parser

FORMATS = ("chaos-mesh", "litmus", "openslo", "pyrra", "sloth")


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat import",
        description="Print the objectives of another tool as ServiceLevelObjectives of homeostat, or its experiments "
        "as ChaosExperiments. What is lost or changed is told on standard error, a line each.",
        epilog="Exit code: 0 all objects were imported, 1 some were not, 2 a file cannot be read.",
    )
    made.add_argument("format", choices=FORMATS, help="whose objects they are")
    made.add_argument("files", nargs="+", metavar="FILE", help="YAML or JSON; - for standard input")
    made.add_argument("-n", "--namespace", default="", help="namespace of objects that name none")
    made.add_argument(
        "--health-check", action="append", default=[], metavar="NAME",
        help="experiments: the HealthCheck that tells whether all is well; may be given again",
    )  # fmt: skip
    made.add_argument("--duration", default="", help="experiments: how long faults last that have no time of their own")
    made.add_argument("-o", "--output", choices=("yaml",), default="yaml", help="how to print")
    return made
