"""What `homeostat doctor` may be told."""

import os

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import OPERATOR_NAMESPACE, add_cluster
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat doctor",
        description="Check the installation: API server, clock, CRDs, operator, leader, rights, admission policies, "
        "Prometheus, rules, Alertmanager, history, Pod Security, leftovers, objects, settings. A line each, and what "
        "to do about it. Nothing is changed. What you may not read is said, and the rest is checked all the same.",
        epilog="Exit code: 0 nothing that could be looked at fails, 1 something does, 2 when the API server is not "
        "reached, or it is not known whether an operator leads.",
    )
    made.add_argument(
        "-n",
        "--namespace",
        default=os.environ.get("HOMEOSTAT_OPERATOR_NAMESPACE") or OPERATOR_NAMESPACE,  # the former inside its Pod
        help="where the operator runs (default: %(default)s)",
    )
    add_output(made)
    add_cluster(made)
    return made
