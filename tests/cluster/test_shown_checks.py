"""What the documents and examples show is accepted by a real API server, field by field."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.meta import GROUP, VERSION

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ["docs/probes.md", "examples/healthcheck.yaml", "examples/dependencies.yaml"]

pytestmark = pytest.mark.apiserver


def shown(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if path.suffix == ".md" else [text]
    return [body for block in blocks for body in yaml.safe_load_all(block) if body["kind"] == "HealthCheck"]


@pytest.mark.parametrize("path", SHOWN)
def test_a_check_that_is_shown_is_accepted(path: str, namespace: str, api: Any) -> None:
    checks = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/healthchecks?dryRun=All&fieldValidation=Strict"
    answers = [api("POST", checks, body | {"metadata": {"name": "shown"}}) for body in shown(ROOT / path)]

    assert answers
    assert [answer["message"] for code, answer in answers if code != 201] == []
