"""Alertmanager: alerts are posted to its API, version 2. The URL is the administrator's; no redirect is followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from homeostat.core.objective.firing import FiringAlert

PATIENCE = 10.0  # seconds
PATH = "/api/v2/alerts"


class Fate(StrEnum):
    """What became of a post."""

    TAKEN = "Taken"
    REFUSED = "Refused"  # 4xx: something in it is wrong, and will be the next time
    UNAVAILABLE = "Unavailable"  # it may have been taken


@dataclass(frozen=True, slots=True)
class Posting:
    """One alert as it is to be posted: it ends at a time, which may be now."""

    alert: FiringAlert
    ends_at: datetime


class Alertmanager:
    """One Alertmanager. Use as `async with`."""

    def __init__(self, url: str, token_file: str = "") -> None:
        self._url = url.rstrip("/") + PATH
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, postings: Sequence[Posting]) -> Fate:
        """Post alerts, all at once; never raises for what may come back. What comes back is not read."""
        if self._session is None:
            raise RuntimeError("not open: use `async with`")
        try:
            async with self._session.post(
                self._url, json=[_postable(one) for one in postings], headers=self._headers(), allow_redirects=False
            ) as response:
                return _fate(response.status)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):  # ValueError: a token that no header may hold
            return Fate.UNAVAILABLE

    def _headers(self) -> dict[str, str]:
        """Give the headers; the token is read each time, as it is rotated."""
        if not self._token_file:
            return {}
        token = Path(self._token_file).read_text(encoding="ascii").strip()
        return {"Authorization": f"Bearer {token}"}


def _fate(status: int) -> Fate:
    if 200 <= status < 300:  # noqa: PLR2004 - 2xx
        return Fate.TAKEN
    return Fate.REFUSED if status in {400, 413, 422} else Fate.UNAVAILABLE


def _postable(posting: Posting) -> dict[str, Any]:
    alert = posting.alert
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _timestamp(alert.since),
        "endsAt": _timestamp(max(posting.ends_at, alert.since)),
    }


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
