"""docs/import.md: what an example is said to become is what it becomes."""

import re
from pathlib import Path

import pytest
import yaml

from homeostat.interchange import openslo_import, pyrra, sloth
from homeostat.interchange.importing import outcome
from homeostat.interchange.reading import Foreign

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "import.md").read_text()


@pytest.mark.parametrize(
    ("title", "convert"), [("OpenSLO", openslo_import.convert), ("Sloth", sloth.convert), ("Pyrra", pyrra.convert)]
)
def test_an_example_becomes_what_the_documentation_says(title: str, convert: object) -> None:
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    before, after = re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert callable(convert)
    came = outcome(convert([Foreign("a.yaml", "1", body) for body in yaml.safe_load_all(before)]), "")

    assert list(came.manifests) == list(yaml.safe_load_all(after))
    assert came.is_whole
