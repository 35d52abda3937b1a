"""`homeostat explain rp/NAME`: what each gate of a RecoveryPolicy says now, and what would be done next.

Read with the rights of whoever asks: what they may not read is not known, and said to be. Nothing is written.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from homeostat.api.recovery import KIND
from homeostat.engine.clock import SystemClock
from homeostat.kube.budget import ActionBudget
from homeostat.kube.client import ApiClient, Patience
from homeostat.kube.credentials import Credentials
from homeostat.kube.errands import ApiJobReader
from homeostat.kube.kubeconfig import find_credentials
from homeostat.kube.locks import Locks
from homeostat.kube.objects import ApiObjects
from homeostat.kube.revisions import ApiRevisions
from homeostat.kube.targets import ApiTargets
from homeostat.kube.workloads import ApiCluster
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.asked import add_cluster, explained, name_of
from homeostat.wiring.explain_reading import Reach, Unreadable, report_on
from homeostat.wiring.explain_report import Report, as_json, lines
from homeostat.wiring.settings import Settings
from homeostat.wiring.streams import complain, print_out

PASSES, REFUSES, FAILED, NOT_KNOWN = 0, 1, 2, 3
PATIENCE = Patience(timeout=10.0, total=10.0)
"""Somebody waits."""
_GONE = "is there such a policy in this namespace, and are the CRDs of homeostat installed?"
_FORBIDDEN = "may you get recoverypolicies there? Try -n NAMESPACE"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 passes, 1 refuses, 3 none known refuses, 2 when there is no answer."""
    try:
        asked = _parser().parse_args(arguments)
        name = name_of(asked.policy, KIND, "explain")
        credentials = find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)
        namespace = asked.namespace or credentials.namespace
        report = asyncio.run(read(credentials, namespace, name, asked.operator_namespace, SystemClock().now()))
    except Unreadable as error:
        complain([str(error)])
        return FAILED
    except (BadArguments, Unavailable, Forbidden, Gone, Rejected, Conflict) as error:
        complain([explained(error, when_gone=_GONE, when_forbidden=_FORBIDDEN)])
        return FAILED
    told = json.dumps(as_json(report), indent=2) if asked.output == "json" else "\n".join(lines(report))
    return code_of(report) if print_out(f"{told}\n") else FAILED


async def read(credentials: Credentials, namespace: str, name: str, operator_namespace: str, now: datetime) -> Report:
    """Read and explain one policy. Raises what the ports raise, and Unreadable."""
    async with ApiClient(credentials, patience=PATIENCE) as client:
        return await report_on(reach(client, operator_namespace), namespace, name, now)


def reach(client: ApiClient, operator_namespace: str) -> Reach:
    """Make the ports that are read."""
    locks = Locks(client, operator_namespace)
    budget = ActionBudget(client, operator_namespace, of=0, per=timedelta(hours=1))  # never read: `of` is a setting
    cluster = ApiCluster(client, locks, budget)
    return Reach(ApiObjects(client), cluster, ApiTargets(client, cluster, ApiRevisions(client), ApiJobReader(client)))


def code_of(report: Report) -> int:
    """Give the exit code of a report."""
    if report.refusals:
        return REFUSES
    return NOT_KNOWN if report.unknown else PASSES


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="homeostat explain",
        description="Explain what a RecoveryPolicy does at this moment: what each gate says, in the order in which "
        "they are asked, what would be done next, and what is on record.",
        epilog="Exit code: 0 all gates pass, 1 one refuses or no trigger fires, 2 when there is no answer, "
        "3 none that is known refuses.",
    )
    parser.add_argument("policy", metavar="rp/NAME", help="the RecoveryPolicy")
    parser.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print")
    parser.add_argument(
        "--operator-namespace", default=Settings.model_fields["operator_namespace"].default,
        help="where the operator runs, and keeps locks of Nodes (default: %(default)s)",
    )  # fmt: skip
    add_cluster(parser)
    return parser
