"""`homeostat gate slo/NAME`: its exit code says whether the error budget lets a rollout go on.

The answer is the operator's own, as it stands in the objective's status; nothing is written.
"""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from homeostat.api.objective import KIND
from homeostat.api.objective_status import Hold
from homeostat.cli import desk
from homeostat.cli.asked import name_of, place_of
from homeostat.cli.budgets.gate_report import Answer, as_json, as_line, judge, settled
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.gate import parser
from homeostat.cli.showing import show
from homeostat.cli.silence import silence
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.objects import ApiObjects

CODES = {Answer.GO: 0, Answer.STOP: 1, Answer.UNKNOWN: 3}
_GONE = "is there such an objective in this namespace, and are the CRDs of homeostat installed?"
_FORBIDDEN = "is it the right namespace? Try -n NAMESPACE"
_UNKNOWN = {"fail": Answer.UNKNOWN, "go": Answer.GO, "stop": Answer.STOP}


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 go, 1 stop, 3 unknown, 2 when there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=_GONE, when_forbidden=_FORBIDDEN)


def _run(asked: Namespace) -> int:
    name = name_of(asked.objective, KIND, "gate")
    body, silent = asyncio.run(read(*place_of(asked), name))
    verdict = settled(judge(body, Hold(asked.hold), silent), _UNKNOWN[asked.unknown])
    return CODES[verdict.answer] if show(as_json(verdict), asked.output, lambda: as_line(verdict)) else FAILED


async def read(credentials: Credentials, namespace: str, name: str) -> tuple[dict[str, Any], str]:
    """Read one objective, and since when no operator has led, "" where one does. Raises what `ports.Objects` raises."""
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        body = await ApiObjects(client).get(KIND, namespace, name)
        return body, await silence(client, namespace, SystemClock())
