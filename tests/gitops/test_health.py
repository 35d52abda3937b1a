"""Argo CD, Flux and kstatus agree on how our objects are: their own rules, on statuses that the operator decided on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

from gitops import lua
from gitops.statuses import KINDS, Story, stories

REPOSITORY = Path(__file__).resolve().parents[2]
ARGO, FLUX = REPOSITORY / "gitops" / "argo-cd", REPOSITORY / "gitops" / "flux"
STORIES = tuple(stories())
each_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.kind}-{story.name}")
STALLED = {"invalid", "invalid-query", "invalid-time-zone"}
"""Stories of a spec that only its author can mend."""
SAID = {"current": {"Healthy", "Suspended"}, "inProgress": {"Progressing"}, "failed": {"Degraded"}}


def config_map() -> dict[str, str]:
    data: dict[str, str] = yaml.safe_load((ARGO / "argocd-cm.yaml").read_text())["data"]
    return data


def test_what_only_its_author_can_mend_is_stalled_and_nothing_else_is() -> None:
    stalled = [story for story in STORIES if "Stalled" in {one["type"] for one in story.status.get("conditions", ())}]

    assert {story.path for story in stalled} == {story.path for story in STORIES if story.name in STALLED}
    assert {story.kind for story in stalled} == set(KINDS) - {"Freeze"}


def ready(story: Story) -> dict[str, Any]:
    conditions = story.status.get("conditions", ())
    return next((one for one in conditions if one["type"] == "Ready"), {})


# --- Argo CD --------------------------------------------------------------------------------------------


@each_story
def test_argo_cd_shows_the_health_that_the_story_is_about(story: Story) -> None:
    script = config_map()[f"resource.customizations.health.homeostat.dev_{story.kind}"]

    told = lua.health(script, story.body())

    assert told["status"] == story.health
    assert told["message"]


def test_every_health_is_shown_by_some_story_of_each_kind_that_can_have_it() -> None:
    shown = {kind: {story.health for story in STORIES if story.kind == kind} for kind in KINDS}

    assert all({"Healthy", "Progressing"} <= found for found in shown.values())
    assert all("Degraded" in found for kind, found in shown.items() if kind != "Freeze")
    suspendable = {"HealthCheck", "RecoveryPolicy", "ChaosExperiment", "GameDay"}
    assert {kind for kind, found in shown.items() if "Suspended" in found} == suspendable


def test_a_stalled_object_is_degraded_and_one_that_is_reconciled_is_progressing() -> None:
    """The rules of kstatus; of Reconciling the operator has no need today."""
    script = (ARGO / "health.lua").read_text()
    body = next(story for story in STORIES if story.name == "passing").body()
    given = body["status"]["conditions"]
    stalled, reconciling = ({"type": name, "status": "True", "reason": "R"} for name in ("Stalled", "Reconciling"))

    assert lua.health(script, body | {"status": body["status"] | {"conditions": [*given, stalled]}})["status"] == (
        "Degraded"
    )
    both = [*given, stalled, reconciling]
    assert lua.health(script, body | {"status": body["status"] | {"conditions": both}})["status"] == "Progressing"


def test_a_breach_is_told_in_the_message_of_what_is_healthy() -> None:
    story = next(one for one in STORIES if one.name == "exhausted")

    told = lua.health((ARGO / "health.lua").read_text(), story.body())

    assert told == {"status": "Healthy", "message": "NoBudgetLeft: No error budget is left."}


def test_the_files_for_argo_cd_and_flux_are_what_the_operator_says_today() -> None:
    done = subprocess.run(
        [sys.executable, "hack/gen_gitops.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_that_needs_a_library_is_found_out() -> None:
    """What the tests above run in has no more than Argo CD gives to scripts of argocd-cm."""
    for library in ("os", "io", "string", "math", "debug", "require", "python", "loadstring", "dofile"):
        assert lua.run(f"return {{ there = {library} ~= nil }}", {}) == {"there": False}


# --- Flux -----------------------------------------------------------------------------------------------


def exprs(name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load((FLUX / name).read_text())["spec"]["healthCheckExprs"]
    return found


def verdicts(check: dict[str, str], body: dict[str, Any]) -> set[str]:
    return {name for name in SAID if cel.evaluate(check[name], body) is True}


@each_story
def test_of_flux_expressions_exactly_one_is_true_and_it_is_argo_cds_word(story: Story) -> None:
    for check in (
        *exprs("health-check-exprs-of-the-group.yaml"),
        *(one for one in exprs("health-check-exprs.yaml") if one["kind"] == story.kind),
    ):
        found = verdicts(check, story.body())

        assert len(found) == 1
        assert story.health in SAID[found.pop()]


def test_flux_has_an_expression_for_each_kind() -> None:
    assert [one["kind"] for one in exprs("health-check-exprs.yaml")] == list(KINDS)


# --- kstatus, by which Helm and Flux wait ---------------------------------------------------------------


@pytest.mark.helm
def test_kstatus_itself_waits_where_argo_cd_does_never_for_a_breach_and_fails_only_where_an_edit_is_needed(
    tmp_path: Path,
) -> None:
    """It knows no reasons: what others may mend is in progress to it until the wait is over."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go compiler to build kstatus with")
    program = tmp_path / "kstatus"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=Path(__file__).parent / "kstatus", check=True)
    objects = json.dumps([story.body() for story in STORIES])
    said = json.loads(subprocess.run([str(program)], input=objects, capture_output=True, text=True, check=True).stdout)

    for story, word in zip(STORIES, said, strict=True):
        if story.is_deleting:
            assert word == "Terminating"
        elif story.name in STALLED:
            assert word == "Failed", story.path
        elif story.health == "Progressing" or ready(story).get("status") == "False":
            assert word == "InProgress", story.path
        else:
            assert word == "Current", story.path
