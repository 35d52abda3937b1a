"""`homeostat doctor`: whether all that the operator needs is there, and what to do about what is not."""

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeostat.cli.asked import credentials_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.doctor import parser
from homeostat.cli.showing import show

if TYPE_CHECKING:
    from argparse import Namespace

    from homeostat.core.diagnosis.readings import Readings

GOOD, BAD = 0, 1


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0 nothing fails, 1 something does, 2 it is not known."""
    return carry_out(parser(), arguments, _run)


def _run(asked: "Namespace") -> int:
    from homeostat.cli.doctor.report import as_data, as_lines  # noqa: PLC0415
    from homeostat.core.diagnosis import diagnose  # noqa: PLC0415 - not for --help
    from homeostat.core.diagnosis.readings import Unread, Verdict  # noqa: PLC0415

    readings = asyncio.run(_read(asked))
    found = diagnose(readings)
    if isinstance(readings.server, Unread):
        found = found[:1]  # the others would all say the same
    if not show(as_data(found), asked.output, lambda: as_lines(found)) or isinstance(readings.server, Unread):
        return FAILED
    if any(one.verdict is Verdict.FAIL for one in found):
        return BAD
    return FAILED if readings.is_led is None else GOOD


async def _read(asked: "Namespace") -> "Readings":
    from homeostat.cli.desk import PATIENCE  # noqa: PLC0415
    from homeostat.cli.doctor.inside import inside_of  # noqa: PLC0415
    from homeostat.cli.doctor.reading import read  # noqa: PLC0415
    from homeostat.engine.clock import SystemClock  # noqa: PLC0415 - not for --help
    from homeostat.kube.apiserver.client import ApiClient  # noqa: PLC0415

    async with ApiClient(credentials_of(asked), patience=PATIENCE) as client:
        inside = inside_of(os.environ, asked.namespace, asked.kubeconfig)
        return await read(client, asked.namespace, SystemClock(), inside)
