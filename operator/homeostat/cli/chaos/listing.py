"""`homeostat chaos list`: the experiments and game days there are, where they stand, and when they run next."""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.cli import desk
from homeostat.cli.asked import place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.chaos.run_report import status_of
from homeostat.cli.desk import Body
from homeostat.cli.parsers.chaos_list import parser
from homeostat.cli.showing import show
from homeostat.cli.streams import in_one_line
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.objects import ApiObjects

_GONE, _FORBIDDEN = "are the CRDs of homeostat installed?", "may you list chaosexperiments and gamedays there? Try -n"
HEADS = ("namespace", "name", "fault", "target", "phase", "verdict", "reason", "run", "next")
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0, 2 when there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=_GONE, when_forbidden=_FORBIDDEN)


def _run(asked: Namespace) -> int:
    rows = asyncio.run(_list(*place_of(asked)))
    return 0 if show(rows, asked.output, lambda: as_table(rows)) else FAILED


async def _list(credentials: Credentials, namespace: str) -> list[Row]:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        objects = ApiObjects(client)
        experiments = [body async for body in objects.list(EXPERIMENT, (namespace,))]
        days = [body async for body in objects.list(GAME_DAY, (namespace,))]
    rows = [_row("chaos", body) for body in experiments] + [_row("gd", body) for body in days]
    return sorted(rows, key=lambda row: (row["namespace"], row["name"]))


def _row(kind: str, body: Body) -> Row:
    metadata, status = body["metadata"], status_of(body)
    return {
        "namespace": metadata.get("namespace", ""),
        "name": f"{kind}/{metadata['name']}",
        "fault": status.get("fault") or "",
        "target": status.get("target") or (f"step {status['progress']}" if status.get("progress") else ""),
        "phase": status.get("phase") or "",
        "verdict": status.get("verdict") or "",
        "reason": status.get("reason") or "",
        "run": status.get("runNumber") or 0,
        "next": status.get("nextRunAt") or "",
    }


def as_table(rows: list[Row]) -> str:
    """Write a line for each, under what each column is."""
    if not rows:
        return "there is no experiment and no game day\n"
    cells = [
        tuple(map(str.upper, HEADS)),
        *(tuple(in_one_line(str(row[head])) or "-" for head in HEADS) for row in rows),
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)
    return "\n".join(lines) + "\n"
