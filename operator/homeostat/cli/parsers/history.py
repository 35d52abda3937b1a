"""What `homeostat history` may be told."""

import argparse
from datetime import timedelta

from homeostat.cli.arguments import Parser
from homeostat.cli.past import add_store_url
from homeostat.cli.showing import add_output


def _duration(text: str) -> timedelta:
    from homeostat.api.meta import parse_duration  # noqa: PLC0415 - `--help` does not wait for it

    try:
        return parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration, like 5m, 1h or 1d") from error


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat history",
        description="Show how a check fared, step by step; without a name, all checks that history knows and what it "
        "takes on disk. Percentiles of several hours together are never better than the truth.",
        epilog="Exit code: 0, or 2 when there is no answer.",
    )
    made.add_argument("check", nargs="?", default="", metavar="NAMESPACE/NAME", help="the HealthCheck")
    made.add_argument("--since", default="24h", metavar="TIME", help="24h ago, or 2026-11-21T12:00:00Z (default: 24h)")
    made.add_argument("--until", default="", metavar="TIME", help="likewise (default: now)")
    made.add_argument("--step", type=_duration, metavar="5m", help="length of a step (default: fits the range)")
    made.add_argument("--raw", action="store_true", help="every single run, as far back as they are kept")
    made.add_argument("--objective", action="store_true", help="a ServiceLevelObjective instead of a HealthCheck")
    made.add_argument("--uid", default="", help="an earlier object of that name")
    add_output(made)
    add_store_url(made)
    return made
