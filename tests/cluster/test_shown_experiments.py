"""The shipped experiments are accepted by a real API server, field by field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.meta import GROUP, VERSION

EXPERIMENTS = sorted((Path(__file__).resolve().parents[2] / "examples" / "experiments").glob("*.yaml"))

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_a_shipped_experiment_is_accepted(path: Path, namespace: str, api: Any) -> None:
    """Whoever copies one gets no refusal, and no field that the API server would drop without a word."""
    where = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/chaosexperiments?dryRun=All&fieldValidation=Strict"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))

    code, answer = api("POST", where, body | {"metadata": {"name": path.stem}})

    assert code == 201, answer
