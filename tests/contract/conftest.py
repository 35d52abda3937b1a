"""Servers that all tests here may share: started when the first of them asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import postgres_process
from postgres_process import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one PostgreSQL for all tests; each makes a database of its own."""
    with postgres_process.running() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.programs)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/history.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()
