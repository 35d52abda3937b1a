"""`homeostat chaos list`: the experiments and game days there are, where they stand, and when they run next."""

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Any

from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.kube.client import ApiClient
from homeostat.kube.credentials import Credentials
from homeostat.kube.kubeconfig import find_credentials
from homeostat.kube.objects import ApiObjects
from homeostat.wiring import desk
from homeostat.wiring.arguments import Parser
from homeostat.wiring.asked import add_cluster, explained
from homeostat.wiring.desk import FAILED, TROUBLES, Body
from homeostat.wiring.run_report import status_of
from homeostat.wiring.streams import complain, in_one_line, print_out

_GONE, _FORBIDDEN = "are the CRDs of homeostat installed?", "may you list chaosexperiments and gamedays there? Try -n"
HEADS = ("namespace", "name", "fault", "target", "phase", "verdict", "reason", "run", "next")
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0, 2 when there is no answer."""
    try:
        asked = _parser().parse_args(list(arguments))
        credentials = find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)
        namespace = "" if asked.all_namespaces else asked.namespace or credentials.namespace
        rows = asyncio.run(_list(credentials, namespace))
    except TROUBLES as error:
        complain([explained(error, when_gone=_GONE, when_forbidden=_FORBIDDEN)])
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return 0 if print_out(json.dumps(rows, indent=2) + "\n" if asked.output == "json" else as_table(rows)) else FAILED


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


def _parser() -> Parser:
    parser = Parser(
        prog="homeostat chaos list",
        description="List ChaosExperiments and GameDays: where they stand, what they showed, when they run next.",
        epilog="Exit code: 0, 2 when they could not be read.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="the whole cluster")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="how to print")
    add_cluster(parser)
    return parser
