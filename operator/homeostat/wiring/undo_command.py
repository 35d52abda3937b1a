"""`homeostat undo NAME`: what an undo Pod runs. It restores what its Lease says when nobody renews it any more."""

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence

from homeostat.engine.clock import SystemClock
from homeostat.engine.undoing import Undo
from homeostat.kube.client import ApiClient, Patience
from homeostat.kube.credentials import Credentials, CredentialsError
from homeostat.kube.fields import ApiFields
from homeostat.kube.guard_post import GuardPost
from homeostat.kube.kubeconfig import find_credentials
from homeostat.telemetry import log
from homeostat.wiring.arguments import BadArguments, Parser
from homeostat.wiring.asked import add_cluster, explained
from homeostat.wiring.streams import complain

FAILED = 2
PATIENCE = Patience(timeout=2.0, total=2.0)
"""Whoever is on watch looks again soon anyway."""


def main(arguments: Sequence[str]) -> int:
    """Watch, restore, and end; give the exit code."""
    try:
        asked = _parser().parse_args(list(arguments))
        credentials = find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)
    except (BadArguments, CredentialsError) as error:
        complain([explained(error, when_gone="", when_forbidden="")])
        return FAILED
    log.set_up("INFO", is_for_humans=False)
    asyncio.run(_watch(credentials, asked.namespace or credentials.namespace, asked.name))
    return 0


async def _watch(credentials: Credentials, namespace: str, name: str) -> None:
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    async with ApiClient(credentials, patience=PATIENCE) as client:
        post = GuardPost(client, namespace, name)
        await Undo(post, ApiFields(client), SystemClock(), told_to_end).run()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="homeostat undo",
        description="Watch the Lease of a guard, and take its fault off when it is not renewed, when its time is over, "
        "when it is gone, or when told to end.",
    )
    parser.add_argument("name", metavar="NAME", help="the Lease")
    parser.add_argument("-n", "--namespace", default="", help="namespace of the Lease (default: the pod's own)")
    add_cluster(parser)
    return parser
