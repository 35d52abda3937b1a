"""How benchmarks speak to a real API server: JSON, a watch, and the server's own metrics."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import uvloop

from homeostat.kube.apiserver.kubeconfig import find_credentials

APPLY = "application/apply-patch+yaml"
PATIENCE = aiohttp.ClientTimeout(total=120)
WATCHING = aiohttp.ClientTimeout(total=None, sock_connect=30)
PAGE = 250
SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')

Sample = tuple[str, dict[str, str], float]
T = TypeVar("T")


class Failed(Exception):
    """What makes it impossible to go on measuring."""


class Busy(Failed):
    """The API server did not answer in time, or said that it is overloaded: what was asked may have happened or not."""


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a benchmark; when it fails, end the process with nothing but what went wrong."""
    done: list[T] = []
    try:
        done.append(uvloop.run(work))
    except* Failed as group:
        sys.exit("\n".join(dict.fromkeys(map(str, leaves(group)))))
    return done[0]


def leaves(group: BaseExceptionGroup[Failed]) -> Iterator[Failed]:
    """Give the errors of a group, one by one."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from leaves(one)
        else:
            yield one


class Api:
    """One session with the API server; a refusal ends the benchmark with the server's own words."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Send JSON, give the JSON of the answer; {} for an object that is not there."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        url = self._server + path
        try:
            async with self._session.request(method, url, data=data, headers=headers, timeout=PATIENCE) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Busy(f"{method} {path}: {type(error).__name__} {error}") from error
        if answer.status == 404 and method in {"GET", "DELETE"}:
            return {}
        if answer.status == 429 or answer.status >= 500:
            raise Busy(f"{method} {path}: {answer.status} {text[:500]}")
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {text[:500]}")
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            return {}  # what a pod answers through the proxy need not be JSON
        return found

    async def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Do what `kubectl apply --server-side --force-conflicts` does."""
        await self.call("PATCH", f"{path}?fieldManager=bench&force=true", manifest, APPLY)

    async def metrics(self) -> list[Sample]:
        """Read the API server's own metrics."""
        async with self._session.get(self._server + "/metrics", timeout=PATIENCE) as answer:
            return list(samples(await answer.text()))

    async def follow(self, path: str, see: Callable[[dict[str, Any]], None]) -> None:
        """Show each object of a collection, and again whenever it changes, until cancelled.

        A server under load ends watches: they go on where they ended. Only where that is too long ago for it, all
        objects are shown again, page by page: thousands in one answer are more than it has time for.
        """
        version = ""
        while True:
            try:
                version = await self._watch(path, version or await self._show_all(path, see), see)
            except (Busy, aiohttp.ClientError, TimeoutError):
                version = ""
            await asyncio.sleep(0.2)

    async def _show_all(self, path: str, see: Callable[[dict[str, Any]], None]) -> str:
        """Show all objects; give the version to watch from."""
        token = ""
        while True:
            page = await self.call("GET", f"{path}?limit={PAGE}&continue={token}")
            for item in page["items"]:
                see(item)
            token = page["metadata"].get("continue", "")
            if not token:
                return str(page["metadata"]["resourceVersion"])

    async def _watch(self, path: str, version: str, see: Callable[[dict[str, Any]], None]) -> str:
        """Show what changes until the watch ends; give the version that it came to, "" when that is too old."""
        url = f"{self._server}{path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
        async with self._session.get(url, timeout=WATCHING) as answer:
            if answer.status != 200:
                return ""
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for event in map(json.loads, lines):
                    if event["type"] == "ERROR":
                        return ""
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        see(event["object"])
        return version


def samples(text: str) -> list[Sample]:
    """Read Prometheus' text format: (name, labels, value)."""
    found = (SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))
    return [(one["name"], dict(LABEL.findall(one["labels"] or "")), float(one["value"])) for one in found if one]


@asynccontextmanager
async def connected() -> AsyncIterator[Api]:
    """Speak to the cluster of KUBECONFIG."""
    if not os.environ.get("KUBECONFIG"):
        raise Failed("no cluster: KUBECONFIG is not set; ./hack/bench starts one")
    credentials = find_credentials(os.environ)
    identity = await credentials.source.identity(renew=False)
    connector = aiohttp.TCPConnector(limit=64, ssl=credentials.tls_context(identity))
    headers = {"Authorization": f"Bearer {identity.token}"} if identity.token else {}
    async with aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=2**20) as session:
        yield Api(session, credentials.server)
