"""What the sub-commands of `homeostat chaos` have in common that are about one experiment or game day."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence

from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.api.meta import Kind
from homeostat.cli import desk
from homeostat.cli.arguments import Parser
from homeostat.cli.asked import kind_and_name, place_of
from homeostat.cli.consent.report import Answer
from homeostat.cli.desk import CODES, FAILED, TROUBLES, Desk, what_went_wrong
from homeostat.cli.streams import complain, print_out
from homeostat.kube.client import ApiClient

Work = Callable[[Desk, Kind, argparse.Namespace], Awaitable[Answer]]


def ask(parser: Parser, arguments: Sequence[str], work: Work) -> int:
    """Do `work` on the object that the arguments name; give the exit code.

    0 done, 1 refused or not as it should be, 2 could not be asked, 3 no answer in time.
    """
    command, kind = parser.command, EXPERIMENT
    try:
        asked = parser.parse_args(list(arguments))
        kind, name = kind_and_name(asked.object, (EXPERIMENT, GAME_DAY), command)
        answer = asyncio.run(_at_desk(asked, kind, name, work))
    except TROUBLES as error:
        complain([what_went_wrong(command, kind, error)])
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return CODES[answer.result] if print_out(f"{answer.text}\n") else FAILED


async def _at_desk(asked: argparse.Namespace, kind: Kind, name: str, work: Work) -> Answer:
    credentials, namespace = place_of(asked)
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        return await work(Desk(client, kind, namespace, name), kind, asked)
