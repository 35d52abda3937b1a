"""The documentation says what is: examples, settings, metrics and paths are compared with the real ones."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from homeostat.api.kinds import KINDS
from homeostat.telemetry.metrics import CheckReading, Metrics, ObjectiveReading
from homeostat.wiring.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "homeostat"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
ROOMS = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()} - {"build"}


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def rows(document: str) -> dict[str, list[str]]:
    """Cells of every table row by its first cell, without backticks."""
    lines = [line for line in (ROOT / "docs" / document).read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_an_example_in_the_readme_is_the_one_in_examples() -> None:
    files = [path.read_text() for path in (ROOT / "examples").glob("*.yaml")]
    examples = [document.strip() for text in files for document in re.split(r"^---$", text, flags=re.MULTILINE)]

    assert [block for block in blocks() if block.strip() not in examples] == []


def test_the_readme_has_an_example_of_each_kind() -> None:
    assert sorted(yaml.safe_load(block)["kind"] for block in blocks()) == sorted(kind.kind for kind in KINDS)


def default(value: object) -> str:
    """Write a default as the table does."""
    if isinstance(value, tuple):
        return str(list(value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {name: row[:2] for name, row in rows("settings.md").items()}

    assert documented == {
        f"HOMEOSTAT_{name.upper()}": [f"--{name.replace('_', '-')}", default(field.default)]
        for name, field in Settings.model_fields.items()
    }


def metrics() -> Iterator[tuple[str, str]]:
    """Every metric that Prometheus is shown, with its type."""
    ours = Metrics()
    check = CheckReading("shop", "checkout", "Healthy", (("Pass", 1),), 0)
    objective = ObjectiveReading("shop", "checkout", 0.999, 0.99, 0.5, (("5m", 1.0),))
    ours.read_from(lambda: [check], lambda: [objective])
    for family in ours.registry.collect():
        yield family.name + ("_total" if family.type == "counter" else ""), family.type


def test_every_metric_is_documented_with_its_type() -> None:
    documented = {name: row[0] for name, row in rows("metrics.md").items() if name.startswith("homeostat_")}

    assert documented == dict(metrics())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    named = [path for path in re.findall(r"`(\.?/?[\w.-]+/[\w./-]*)`", text) if path.strip("./").split("/")[0] in ROOMS]

    missing = [link for link in links if link and not (document.parent / link).exists()]
    missing += [path for path in named if not (ROOT / path).exists() and not (PACKAGE / path).exists()]
    assert missing == []


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()

    assert [path.name for path in (ROOT / "docs" / "adr").glob("0*.md") if f"({path.name})" not in listed] == []
