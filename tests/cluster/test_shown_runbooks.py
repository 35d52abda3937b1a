"""The shipped runbooks are accepted by a real API server, field by field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.meta import GROUP, VERSION

RUNBOOKS = sorted((Path(__file__).resolve().parents[2] / "examples" / "runbooks").glob("*.yaml"))

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_shipped_runbook_is_accepted(path: Path, namespace: str, api: Any) -> None:
    """Whoever copies one gets no refusal, and no field that the API server would drop without a word."""
    policies = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/recoverypolicies?dryRun=All&fieldValidation=Strict"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))

    code, answer = api("POST", policies, body | {"metadata": {"name": path.stem}})

    assert code == 201, answer
