"""What holds for all tests: which need other programs or servers, and how much Hypothesis looks for.

In CI Hypothesis looks for the same every time, with HYPOTHESIS_PROFILE=nightly for much more.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

PROGRAMS = frozenset({"prometheus", "alertmanager", "postgres"})
"""Fixtures that start a program of Debian: a test that uses one is of the stage `programs`."""

CONTRACTS = tuple(Path(__file__).parent / folder for folder in ("contract", "cli", "wiring"))
"""What is tested against local servers takes about as long as all the rest of the stage `unit`: it runs beside it."""

_STORIES = tuple(f"helm/test_{name}.py" for name in ("namespaced", "next_steps", "store", "tutorials"))
APART = tuple(Path(__file__).parent / place for place in ("chart", "gitops", *_STORIES))
"""Of the stage `helm`: what needs no cluster, and stories that can have another one than the rest. It runs beside."""


settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of contracts, and those that need other programs; those of a cluster stay what they are."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in CONTRACTS):
            item.add_marker(pytest.mark.contract)
        if any(item.path.is_relative_to(place) for place in APART):
            item.add_marker(pytest.mark.apart)
        uses = PROGRAMS & set(getattr(item, "fixturenames", ()))
        if uses and item.get_closest_marker("cluster") is None and item.get_closest_marker("apiserver") is None:
            item.add_marker(pytest.mark.programs)
