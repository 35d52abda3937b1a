"""`homeostat score`: how healthy services are, from what the operator has written into their HealthChecks.

Nothing is probed and nothing is written. The same formulas as the operator's (`core/health/score.py`) make one score of
a service, and of all that was asked for.
"""

import asyncio
from argparse import Namespace
from collections.abc import Sequence

from homeostat.api.health_check import KIND
from homeostat.cli import desk
from homeostat.cli.asked import place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.checks.score_report import CheckScore, Report, as_json, as_table, check_score_of, report_on
from homeostat.cli.parsers.score import parser
from homeostat.cli.showing import show
from homeostat.cli.streams import complain
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.objects import ApiObjects

BELOW = 1  # exit code
_GONE, _FORBIDDEN = "are the CRDs of homeostat installed?", "may you list healthchecks there? Try -n NAMESPACE"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0, 1 when the score is below --fail-under, 2 when there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=_GONE, when_forbidden=_FORBIDDEN)


def _run(asked: Namespace) -> int:
    report = asyncio.run(score(*place_of(asked)))
    if not show(as_json(report), asked.output, lambda: as_table(report)):
        return FAILED
    return _verdict(report, asked.fail_under)


async def score(credentials: Credentials, namespace: str) -> Report:
    """Read the HealthChecks of a namespace, "" for all, and score them. Raises what `ports.Objects` raises."""
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        found: dict[tuple[str, str], CheckScore] = {}
        async for body in ApiObjects(client).list(KIND, (namespace,)):
            check = check_score_of(body)
            found[check.namespace, check.name] = check
    return report_on(found.values(), namespace)


def _verdict(report: Report, fail_under: int | None) -> int:
    """Hold the score against what was asked for; a score that nobody knows does not reach it."""
    value = report.score.value
    if fail_under is None or (value is not None and value >= fail_under):
        return 0
    told = "unknown" if value is None else str(value)
    complain([f"the score is {told}, and should be at least {fail_under}"])
    return BELOW
