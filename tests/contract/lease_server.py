"""Leases on loopback as the API server keeps them: a version per write, preconditions, and outages on demand."""

import asyncio
import json
from typing import Any

from aiohttp import web


class LeaseServer:
    """Objects by path; `is_down` makes every request hang, as behind a dead network."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.is_down = False
        self.changed = asyncio.Event()
        self._version = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if self.is_down:
            await asyncio.Event().wait()
        body = json.loads(raw) if raw else {}
        code, answer = self._answer(request.method, request.path, body)
        return web.json_response(answer, status=code)

    def lease(self) -> dict[str, Any]:
        """The only object."""
        (found,) = self.objects.values()
        return found

    def usurp(self, holder: str) -> None:
        """Give the only Lease to another holder, by another's hand."""
        (path,) = self.objects
        self._write(path, _merged(self.lease(), {"spec": {"holderIdentity": holder}}))

    def touch(self) -> None:
        """Write the only Lease by another's hand, and leave it to its holder."""
        (path,) = self.objects
        self._write(path, self.lease())

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            return self._create(f"{path}/{body['metadata']['name']}", body)
        there = self.objects.get(path)
        if there is None:
            return 404, {"reason": "NotFound"}
        pinned = body.get("preconditions") or body.get("metadata") or {}
        if any(pinned[field] != there["metadata"][field] for field in ("uid", "resourceVersion") if field in pinned):
            return 409, {"reason": "Conflict"}
        if method == "DELETE":
            return 200, self.objects.pop(path)
        return (200, there) if method == "GET" else self._write(path, _merged(there, body))

    def _create(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path in self.objects:
            return 409, {"reason": "AlreadyExists"}
        return self._write(path, _merged(body, {"metadata": {"uid": f"uid-{self._version}"}}))

    def _write(self, path: str, new: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self._version += 1
        self.objects[path] = _merged(new, {"metadata": {"resourceVersion": str(self._version)}})
        self.changed.set()
        return 200, self.objects[path]


def _merged(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Merge as RFC 7386 does."""
    merged = {key: value for key, value in old.items() if patch.get(key, value) is not None}
    for key, value in patch.items():
        if isinstance(value, dict):
            merged[key] = _merged(merged.get(key) or {}, value)
        elif value is not None:
            merged[key] = value
    return merged
