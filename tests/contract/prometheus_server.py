"""A stand-in for Prometheus on loopback: answers queries as told, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from contract.hostile import Behaviour, Served, serving


class Asked(NamedTuple):
    """One request: its first line, its headers (names in lower case) and the fields of its form."""

    line: str
    headers: dict[str, str]
    form: dict[str, list[str]]


class Prometheus(NamedTuple):
    """Where it listens, and what it was asked."""

    served: Served
    asked: list[Asked]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.served.port}"


def vector(*values: str) -> bytes:
    """Give the body of an answer with one sample a value."""
    result = [{"metric": {"pod": str(n)}, "value": [1435781451.781, value]} for n, value in enumerate(values)]
    return success("vector", result)


def success(kind: str, result: Any) -> bytes:
    """Give the body of an answer."""
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def error(kind: str) -> bytes:
    """Give the body of a refusal."""
    return json.dumps({"status": "error", "errorType": kind, "error": "secret-of-the-upstream"}).encode()


@asynccontextmanager
async def serving_prometheus(body: bytes, status: int = 200) -> AsyncIterator[Prometheus]:
    """Answer every query with `body`."""
    asked: list[Asked] = []
    async with serving(_answering(body, status, asked)) as served:
        yield Prometheus(served, asked)


def _answering(body: bytes, status: int, asked: list[Asked]) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        form = await reader.readexactly(int(headers.get("content-length", 0)))
        asked.append(Asked(lines[0], headers, parse_qs(form.decode())))
        writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (status, len(body)))
        writer.write(b"\r\n" + body)
        await writer.drain()
        await reader.read()

    return behave
