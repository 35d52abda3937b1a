"""docs/import.md: what an example is said to become is what it becomes."""

import re
from pathlib import Path

import pytest
import yaml

from homeostat.interchange import openslo_import, pyrra, sloth
from homeostat.interchange.chaos.experiment import Wishes
from homeostat.interchange.chaos.litmus import objects as litmus
from homeostat.interchange.chaos.litmus.faults import KNOWN, WHY_NOT
from homeostat.interchange.chaos.mesh import objects as mesh
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


@pytest.mark.parametrize(
    ("title", "convert", "wishes"),
    [("Chaos Mesh", mesh.convert, Wishes(("checkout",))), ("Litmus", litmus.convert, Wishes())],
)
def test_an_experiment_becomes_what_the_documentation_says(title: str, convert: object, wishes: Wishes) -> None:
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    before, after = re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert callable(convert)
    came = outcome(convert([Foreign("a.yaml", "1", body) for body in yaml.safe_load_all(before)], wishes), "")

    assert list(came.manifests) == list(yaml.safe_load_all(after))
    assert came.is_whole


def test_the_documentation_names_every_experiment_of_litmus_and_kind_of_chaos_mesh_that_is_refused() -> None:
    named = [f"`{name}`" in TEXT or f"`{name.removesuffix('-exec')}`" in TEXT for name in [*KNOWN, *WHY_NOT]]
    modified = [name for name, is_named in zip([*KNOWN, *WHY_NOT], named, strict=True) if not is_named]

    assert modified == ["pod-http-modify-body", "pod-http-modify-header"]  # `pod-http-modify-*`
