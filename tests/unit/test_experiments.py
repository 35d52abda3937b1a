"""The shipped experiments are what they say: valid, bounded, about things that the other examples have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.chaos_fault import Fault
from homeostat.interchange.references import cross_problems
from homeostat.interchange.validation import check

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDER = EXAMPLES / "experiments"
EXPERIMENTS = sorted(FOLDER.glob("*.yaml"))
BESIDE = ("healthcheck.yaml", "servicelevelobjective.yaml", "recoverypolicy.yaml", "runbooks/*.yaml")
SHOWN = pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)


def body_of(path: Path) -> dict[str, Any]:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(body, dict)
    return body


def beside() -> Iterator[dict[str, Any]]:
    for pattern in BESIDE:
        for path in sorted(EXAMPLES.glob(pattern)):
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


@SHOWN
def test_a_shipped_experiment_is_accepted_as_it_is(path: Path) -> None:
    assert [problem.message for problem in check(body_of(path)).problems] == []


@SHOWN
def test_a_shipped_experiment_names_only_what_the_other_examples_have(path: Path) -> None:
    """C7, C17: a hypothesis that nobody measures proves nothing."""
    objects = [check(body_of(path)), *(check(body) for body in beside())]

    assert [problem.message for problem in cross_problems(objects)[0]] == []


@SHOWN
def test_a_shipped_experiment_bounds_itself(path: Path) -> None:
    """C8, C10: what stops it and how much it may take is written down, not left to defaults."""
    spec = body_of(path)["spec"]
    assert spec["stopConditions"]
    assert {"minAvailable", "maxNamespacePercent"} <= set(spec["blastRadius"])
    assert spec["blastRadius"]["minAvailable"] >= 1


@SHOWN
def test_policies_may_act_only_in_an_experiment_that_proves_one(path: Path) -> None:
    """C12: a drill needs its policy to act; in any other the fault is left to itself."""
    spec = body_of(path)["spec"]
    proves_policy = any("recoveryPolicy" in proof for proof in spec.get("proves", []))
    assert (spec["reaction"] == "Act") == proves_policy


@SHOWN
def test_a_shipped_experiment_says_what_it_proves_and_what_it_needs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "# Proves: " in text
    assert "# Needs: " in text
    assert body_of(path)["metadata"] == {"name": path.stem, "namespace": "shop"}


def test_every_fault_but_those_that_others_stand_for_has_an_experiment() -> None:
    shown = {next(iter(body_of(path)["spec"]["fault"])) for path in EXPERIMENTS}
    every = {field.alias or name for name, field in Fault.model_fields.items()}

    assert every - shown == {"cordon", "processKill"}  # node-drain cordons, container-crash kills


def test_the_readme_lists_each_experiment() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXPERIMENTS if f"]({path.name})" not in text] == []
