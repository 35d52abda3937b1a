"""A world in which it is noon, for commands that read the history."""

from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class NoonClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


def be_noon(command: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have it be noon for a command, with an empty store that the environment names; give the store's URL."""
    url = f"sqlite+aiosqlite:///{tmp_path}/history.db"
    monkeypatch.setenv("HOMEOSTAT_STORE_URL", url)
    monkeypatch.setattr(command, "SystemClock", NoonClock)
    return url
