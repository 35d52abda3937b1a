"""The shipped runbooks are what they say: valid, inert until somebody trusts them, and told of in their README."""

from pathlib import Path

import pytest
import yaml

from homeostat.interchange.validation import check

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "runbooks"
RUNBOOKS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_shipped_runbook_is_accepted_as_it_is(path: Path) -> None:
    found = check(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [problem.message for problem in found.problems] == []


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_shipped_runbook_touches_nothing_until_its_mode_is_changed(path: Path) -> None:
    """R1: who copies one without reading it has a policy that observes."""
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["mode"] == "Observe"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_shipped_runbook_ends_with_a_human_and_bounds_itself(path: Path) -> None:
    """R3, R16: what did not help is told, and how much may be tried is written down."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    assert "escalate" in spec["steps"][-1]
    assert {"maxUnhealthy", "cooldown", "budget"} <= set(spec["limits"])


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_shipped_runbook_says_what_it_is_for_and_what_it_assumes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "# Assumes: " in text


def test_the_readme_lists_each_runbook() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in RUNBOOKS if f"]({path.name})" not in text] == []
