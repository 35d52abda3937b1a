"""What `homeostat report` may be told."""

import argparse
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from homeostat.cli.arguments import Parser
from homeostat.cli.asked import add_cluster
from homeostat.cli.past import add_store_url

MOST_MONTHS = 12


def _objective(text: str) -> Decimal:
    from homeostat.api.meta import format_decimal  # noqa: PLC0415 - `--help` does not wait for it

    with suppress(InvalidOperation):
        value = Decimal(text)
        if value.is_finite() and 0 < value < 100 and len(format_decimal(value)) <= 15:  # noqa: PLR2004 - percent
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a percentage above 0 and below 100, like 99.9")


def _months(text: str) -> int:
    if text.isdecimal() and int(text) <= MOST_MONTHS:
        return int(text)
    raise argparse.ArgumentTypeError(f"not a whole number from 0 to {MOST_MONTHS}")


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat report",
        description="Report how a ServiceLevelObjective was kept in a calendar month, from history: met or missed, "
        "what was consumed of the budget, day by day, and how that compares with the months before.",
        epilog="It is to run where the store is, which is in the operator's Pod: kubectl -n homeostat-system exec "
        "deploy/homeostat -- homeostat report ... Exit code: 0, also when the objective was missed; 2 when there is no "
        "answer.",
    )
    made.add_argument("--slo", required=True, metavar="NAMESPACE/NAME", help="the ServiceLevelObjective")
    made.add_argument("--month", default="last", help="2026-10, last or this (default: last)")
    made.add_argument("--time-zone", default="", metavar="ZONE", help="whose calendar (default: the window's, or UTC)")
    made.add_argument(
        "--months", type=_months, default=MOST_MONTHS, metavar="N", help="compare with so many before (default: 12)"
    )
    made.add_argument(
        "-o", "--output", choices=("markdown", "json", "yaml", "csv"), default="markdown", help="how to print"
    )
    terms = made.add_mutually_exclusive_group()
    terms.add_argument(
        "-f", "--file", default="", metavar="FILE", help="read the objective from a file, not the cluster"
    )
    terms.add_argument("--objective", type=_objective, metavar="99.9", help="the objective alone, without a cluster")
    made.add_argument("--uid", default="", help="an earlier object of that name")
    add_cluster(made)
    add_store_url(made)
    return made
