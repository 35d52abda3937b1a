"""What `homeostat rules` may be told."""

from homeostat.cli.arguments import Parser


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat rules",
        description="Print the Prometheus rules of the ServiceLevelObjectives of a file, as the operator would install "
        "them: recordings of bad and total events, of all windows and of the budget, and the alerts.",
        epilog="Exit code: 0 all are printed, 1 an objective cannot be written as rules (the others are printed), "
        "2 the file cannot be read. `homeostat validate` says all that is wrong with an objective.",
    )
    made.add_argument("-f", "--file", required=True, help="YAML with ServiceLevelObjectives; - for standard input")
    made.add_argument(
        "--format", choices=("prometheus", "prometheusrule"), default="prometheus",
        help="a file for rule_files of Prometheus (default), or objects of the Prometheus operator",
    )  # fmt: skip
    made.add_argument("-n", "--namespace", default="", help="namespace of objectives that name none (default: default)")
    return made
