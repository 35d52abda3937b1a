"""`homeostat undo NAME`: what an undo Pod runs. It restores what its Lease says when nobody renews it any more."""

import asyncio
import signal
from collections.abc import Sequence

from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import explained, place_of
from homeostat.cli.parsers.undo import parser
from homeostat.cli.streams import complain
from homeostat.engine.clock import SystemClock
from homeostat.engine.undoing import Undo
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import Credentials, CredentialsError
from homeostat.kube.faults.fields import ApiFields
from homeostat.kube.guards.post import GuardPost
from homeostat.telemetry import log

FAILED = 2
PATIENCE = Patience(timeout=2.0, total=2.0)
"""Whoever is on watch looks again soon anyway."""


def main(arguments: Sequence[str]) -> int:
    """Watch, restore, and end; give the exit code."""
    try:
        asked = parser().parse_args(list(arguments))
        credentials, namespace = place_of(asked)
    except (BadArguments, CredentialsError) as error:
        complain([explained(error, when_gone="", when_forbidden="")])
        return FAILED
    log.set_up("INFO", is_for_humans=False)
    asyncio.run(_watch(credentials, namespace, asked.name))
    return 0


async def _watch(credentials: Credentials, namespace: str, name: str) -> None:
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    async with ApiClient(credentials, patience=PATIENCE) as client:
        post = GuardPost(client, namespace, name)
        await Undo(post, ApiFields(client), SystemClock(), told_to_end).run()
