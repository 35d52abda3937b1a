"""An API server on loopback that answers by path, and commands that ask it as a shell would."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from cli.test_score_command import kubeconfig
from contract.kube_server import serving_handler

GROUP = "/apis/homeostat.dev/v1alpha1"
Answers = dict[str, Any]
"""By "METHOD path" or path: a JSON body, a code, a text, a response, or a function of the body that gives one."""


class Routed:
    """What is asked, and what is answered; what is not in the table is 404."""

    def __init__(self, table: Answers) -> None:
        self.table = table
        self.seen: list[tuple[str, str, Any]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.seen.append((request.method, request.path, body))
        path = request.path
        found = self.table.get(f"{request.method} {path}", self.table.get(path, 404))
        found = found(body) if callable(found) else found
        if isinstance(found, web.StreamResponse):
            return found
        if isinstance(found, int):
            return web.json_response({"kind": "Status", "status": "Failure", "code": found}, status=found)
        return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [one for one in self.seen if one[0] != "GET"]


def items(*bodies: Mapping[str, Any]) -> dict[str, Any]:
    return {"items": list(bodies), "metadata": {}}


@asynccontextmanager
async def routed(table: Answers) -> AsyncIterator[Routed]:
    api = Routed(table)
    async with serving_handler(api.handle) as url:
        api.url = url
        yield api


async def run(
    main: Callable[[Sequence[str]], int], folder: Path, table: Answers, *arguments: str
) -> tuple[int, Routed]:
    """Run a command beside the server; give its exit code, and what the server saw."""
    async with routed(table) as api:
        config = ["--kubeconfig", kubeconfig(folder, api.url)]
        head, rest = (
            (list(arguments[:1]), arguments[1:]) if arguments[:1] in {("list",), ("lift",)} else ([], arguments)
        )
        return await asyncio.to_thread(main, [*head, *config, *rest]), api
