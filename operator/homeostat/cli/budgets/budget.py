"""`homeostat budget`: the error budgets of objectives, as the operator has written them, least left first."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import name_of, place_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.parsers.budget import parser
from homeostat.cli.showing import show
from homeostat.cli.streams import complain

if TYPE_CHECKING:
    from argparse import Namespace

    from homeostat.kube.apiserver.credentials import Credentials

LEFT, SPENT = 0, 1
_GONE = "is there such an objective in this namespace, and are the CRDs of homeostat installed?"
_FORBIDDEN = "may you read servicelevelobjectives there? Try -n NAMESPACE"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code: 0, 1 when a budget is gone or not known, 2 when there is no answer."""
    return carry_out(parser(), arguments, _run, when_gone=_GONE, when_forbidden=_FORBIDDEN)


def _run(asked: "Namespace") -> int:
    from homeostat.api.objective import KIND  # noqa: PLC0415 - not for --help
    from homeostat.cli.budgets.budget_report import as_data, as_page, as_table, least_left_first, line_of  # noqa: PLC0415
    from homeostat.engine.clock import SystemClock  # noqa: PLC0415

    if asked.objective and asked.all_namespaces:
        raise BadArguments("budget: an objective is of one namespace: -n, not -A")
    name = name_of(asked.objective, KIND, "budget") if asked.objective else ""
    credentials, namespace = place_of(asked)
    lines = least_left_first([line_of(body) for body in asyncio.run(_read(credentials, namespace, name))])
    now = SystemClock().now()
    if name:
        is_told = show(as_data(lines[0]), asked.output, lambda: as_page(lines[0], now))
    else:
        is_told = show([as_data(one) for one in lines], asked.output, lambda: as_table(lines, namespace, now))
    if not is_told:
        return FAILED
    return LEFT if all(one.is_left for one in lines) else SPENT


async def _read(credentials: "Credentials", namespace: str, name: str) -> list[dict[str, Any]]:
    from homeostat.api.objective import KIND  # noqa: PLC0415 - not for --help
    from homeostat.cli.desk import PATIENCE  # noqa: PLC0415
    from homeostat.cli.silence import silence  # noqa: PLC0415
    from homeostat.engine.clock import SystemClock  # noqa: PLC0415
    from homeostat.kube.apiserver.client import ApiClient  # noqa: PLC0415
    from homeostat.kube.objects import ApiObjects  # noqa: PLC0415

    async with ApiClient(credentials, patience=PATIENCE) as client:
        silent = await silence(client, namespace, SystemClock())
        if silent:
            complain([f"{silent}: budgets are as they were then"], "note: ")
        objects = ApiObjects(client)
        if name:
            return [await objects.get(KIND, namespace, name)]
        found = {(one["metadata"]["namespace"], one["metadata"]["name"]): one
                 async for one in objects.list(KIND, (namespace,))}  # fmt: skip
        return list(found.values())
