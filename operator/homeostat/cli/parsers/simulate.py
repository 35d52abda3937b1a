"""What `homeostat simulate` may be told."""

import os

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster, add_namespace
from homeostat.cli.past import add_store_url
from homeostat.cli.showing import add_output


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat simulate",
        description="Replay the past against a changed ServiceLevelObjective or RecoveryPolicy: which alerts would "
        "have fired and what would be left of the budget, beside what the present objective did; or when a policy "
        "would have been triggered, how often it would have acted, and what would have held it. Nothing is written.",
        epilog="A replay decides by the code that decides live, at the end of each bucket that is known. Indicators "
        "and triggers that are queries are asked of Prometheus; all else is what the operator counted and kept. It "
        "does not know what an action would have changed, nor locks, freezes and storms of that time. Exit code: 0 the "
        "replay is told, 1 the past cannot answer for what was changed, 2 it could not be read.",
    )
    made.add_argument(
        "object", nargs="?", default="", metavar="KIND/NAME", help="slo/NAME or rp/NAME, if the file has several"
    )
    made.kinds["object"] = ("slo", "rp")
    made.add_argument(
        "-f",
        "--file",
        required=True,
        metavar="FILE",
        help="the changed object, and members of it or objectives it looks at; - for standard input",
    )
    made.add_argument(
        "--against",
        default="",
        metavar="FILE",
        help="the present objective, and members of it (default: that in the cluster, if any)",
    )
    made.add_argument("--since", default="30d", metavar="TIME", help="30d ago, or 2026-11-21T12:00:00Z (default: 30d)")
    made.add_argument(
        "--prometheus-url", metavar="URL", default=os.environ.get("HOMEOSTAT_PROMETHEUS_URL") or None,
        help='the operator\'s own Prometheus; "" asks none, and replays what the operator counted (default: '
        "$HOMEOSTAT_PROMETHEUS_URL, which the operator's Pod has; its token is in $HOMEOSTAT_PROMETHEUS_TOKEN_FILE)",
    )  # fmt: skip
    made.add_argument(
        "--history", default="", metavar="FILE",
        help="what `homeostat history NAMESPACE/NAME --objective -o json` printed, or CSV with start, end, good, total",
    )  # fmt: skip
    add_namespace(made)
    add_output(made)
    add_cluster(made)
    add_store_url(made)
    return made
