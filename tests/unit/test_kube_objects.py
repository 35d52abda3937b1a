"""How a status gets past what stands in its way: what an older schema let in, on the very version decided on."""

from typing import Any

import pytest

from homeostat.api.recovery import KIND
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.answers import ServerError
from homeostat.kube.apiserver.client import APPLY_PATCH, JSON_PATCH
from homeostat.kube.objects import ApiObjects

POLICY = Ref("RecoveryPolicy", "shop", "careful", "u")


class Unmergeable:
    """An API server that cannot apply to an object, as it does not fit its schema; other writes it takes."""

    def __init__(self, version: str) -> None:
        self.metadata = {"name": "careful", "uid": "u", "resourceVersion": version}
        self.written: list[dict[str, Any]] = []

    async def request(self, method: str, path: str, *, content_type: str = "", **parts: Any) -> dict[str, Any]:
        if content_type == APPLY_PATCH:
            raise ServerError(f"{method} {path}: 500")
        if content_type == JSON_PATCH:
            self.written = parts["body"]
        return {"metadata": self.metadata, "status": {"inFlight": [{"original": 2}]}}


async def test_a_status_that_cannot_be_merged_into_what_stands_is_put_in_its_place() -> None:
    """R2: an upgrade while an action is under way leaves no policy behind that can never be written again."""
    server = Unmergeable("7")
    await ApiObjects(server).apply_status(KIND, POLICY, {"phase": "Idle"}, resource_version="7")  # type: ignore[arg-type]

    assert server.written == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/status", "value": {"phase": "Idle", "conditions": []}},
    ]


async def test_a_status_is_not_put_in_the_place_of_another_version() -> None:
    """R2: the intent is written on the very version it was decided on, or not at all; a 500 may come after a write."""
    server = Unmergeable("8")
    with pytest.raises(ServerError):
        await ApiObjects(server).apply_status(KIND, POLICY, {"phase": "Idle"}, resource_version="7")  # type: ignore[arg-type]
    assert not server.written
