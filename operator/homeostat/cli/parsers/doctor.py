"""What `homeostat doctor` may be told."""

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster
from homeostat.cli.showing import add_output

OPERATOR_NAMESPACE = "homeostat-system"
"""Where the operator is by default; `wiring/settings.py` has the same, and takes long to import."""


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat doctor",
        description="Check the installation: API server, clock, CRDs, operator, leader, rights, admission policies, "
        "Prometheus, rules, Alertmanager, history, Pod Security, leftovers, objects, settings. A line each, and what "
        "to do about it. Nothing is changed. What you may not read is said, and the rest is checked all the same.",
        epilog="Exit code: 0 nothing fails, 1 something does, 2 when the API server is not reached.",
    )
    made.add_argument(
        "-n", "--namespace", default=OPERATOR_NAMESPACE, help="where the operator runs (default: %(default)s)"
    )
    add_output(made)
    add_cluster(made)
    return made
