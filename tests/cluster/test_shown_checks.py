"""What the documents and examples show is accepted by a real API server, field by field."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.meta import GROUP, VERSION

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ["docs/probes.md", "examples/healthcheck.yaml", "examples/dependencies.yaml"]
OBJECTIVES = ["docs/slo.md", "examples/servicelevelobjective.yaml", "examples/objectives.yaml"]

pytestmark = pytest.mark.apiserver


def shown(path: Path, kind: str) -> list[dict[str, Any]]:
    text = path.read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if path.suffix == ".md" else [text]
    return [body for block in blocks for body in yaml.safe_load_all(block) if body.get("kind") == kind]


@pytest.mark.parametrize("path", SHOWN)
def test_a_check_that_is_shown_is_accepted(path: str, namespace: str, api: Any) -> None:
    checks = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/healthchecks?dryRun=All&fieldValidation=Strict"
    answers = [
        api("POST", checks, body | {"metadata": {"name": "shown"}}) for body in shown(ROOT / path, "HealthCheck")
    ]

    assert answers
    assert [answer["message"] for code, answer in answers if code != 201] == []


@pytest.mark.parametrize("path", OBJECTIVES)
def test_an_objective_that_is_shown_is_accepted(path: str, namespace: str, api: Any) -> None:
    query = "dryRun=All&fieldValidation=Strict"
    objectives = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/servicelevelobjectives?{query}"
    bodies = shown(ROOT / path, "ServiceLevelObjective")
    named = [body | {"metadata": {"name": body["metadata"]["name"]}} for body in bodies]
    answers = [api("POST", objectives, body) for body in named]

    assert answers
    assert [answer["message"] for code, answer in answers if code != 201] == []
