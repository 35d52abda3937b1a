"""What `homeostat probe` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat probe",
        description="Run HealthChecks once, from here, and explain what they find, phase by phase.",
        epilog="Exit code: 0 all pass, 1 one fails, 2 one cannot run as written, 3 nothing was learnt. "
        "CEL rules of the schema are the API server's: kubectl apply --dry-run=server -f FILE checks them.",
    )
    made.add_argument("-f", "--file", required=True, help="YAML with HealthChecks; - for standard input")
    made.add_argument("-n", "--namespace", default="", help="namespace of checks that name none (default: default)")
    add_output(made)
    made.add_argument("--kubeconfig", default="", help="path of a kubeconfig, when the check needs a cluster")
    made.add_argument(
        "--allow-network", action="append", default=[], metavar="CIDR",
        help="a network that may be probed although it is refused by default, such as 127.0.0.0/8",
    )  # fmt: skip
    return made
