"""What can be done in Argo CD: the operator understands it, and nothing but annotations changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gitops import lua
from gitops.statuses import STRICT, Story, stories
from homeostat.engine.objects import entry_from

ARGO = Path(__file__).resolve().parents[2] / "gitops" / "argo-cd"
STORIES = {(story.kind, story.name): story for story in stories()}
ACTIONS = {
    kind: yaml.safe_load(
        yaml.safe_load((ARGO / "argocd-cm.yaml").read_text())["data"][
            f"resource.customizations.actions.homeostat.dev_{kind}"
        ]
    )
    for kind in ("RecoveryPolicy", "ChaosExperiment", "GameDay")
}


def offered(story: Story) -> set[str]:
    found = lua.discover(ACTIONS[story.kind]["discovery.lua"], story.body())
    return {one["name"] for one in found if not one["disabled"]}


def done(story: Story, action: str) -> dict[str, Any]:
    script = next(one["action.lua"] for one in ACTIONS[story.kind]["definitions"] if one["name"] == action)
    return lua.act(script, story.body())


@pytest.mark.parametrize(
    ("kind", "name", "actions"),
    [
        ("RecoveryPolicy", "at-rest", {"pause"}),
        ("RecoveryPolicy", "paused", {"resume"}),
        ("RecoveryPolicy", "awaiting-approval", {"pause", "approve", "reject"}),
        ("ChaosExperiment", "unseen", {"run"}),
        ("ChaosExperiment", "passed", {"run"}),
        ("ChaosExperiment", "running", {"abort"}),
        ("ChaosExperiment", "awaiting-approval", {"abort", "approve", "reject"}),
        ("ChaosExperiment", "suspended", set()),
        ("GameDay", "passed", {"run"}),
        ("GameDay", "running", {"abort"}),
        ("GameDay", "suspended", set()),
    ],
)
def test_argo_cd_offers_what_the_operator_would_take_up(kind: str, name: str, actions: set[str]) -> None:
    assert offered(STORIES[kind, name]) == actions


@pytest.mark.parametrize(
    "story",
    [story for story in STORIES.values() if story.kind in ACTIONS],
    ids=lambda story: f"{story.kind}-{story.name}",
)
def test_an_action_changes_annotations_of_ours_and_nothing_else(story: Story) -> None:
    for action in offered(story):
        before, after = story.body(), done(story, action)
        was, now = (body["metadata"].pop("annotations", {}) for body in (before, after))

        assert after == before
        assert {key for key in was | now if was.get(key) != now.get(key)} <= {
            f"homeostat.dev/{word}" for word in ("approve", "reject", "run", "abort", "pause", "resumed", "by")
        }
        assert was.get("homeostat.dev/degraded-on-breach") == now.get("homeostat.dev/degraded-on-breach")


def asked(kind: str, name: str, action: str) -> Any:
    body = done(STORIES[kind, name], action)
    return entry_from(body, kind)


def test_the_operator_hears_each_action() -> None:
    paused = asked("RecoveryPolicy", "at-rest", "pause")
    assert paused.asks.pause == "paused in Argo CD"
    assert asked("RecoveryPolicy", "paused", "resume").asks is None
    plan = STORIES["RecoveryPolicy", "awaiting-approval"].status["plan"]["hash"]
    assert asked("RecoveryPolicy", "awaiting-approval", "approve").asks.approve == plan
    assert asked("RecoveryPolicy", "awaiting-approval", "reject").asks.reject == plan
    assert asked("ChaosExperiment", "passed", "run").run_requested == "argo-cd-2"
    assert asked("ChaosExperiment", "running", "abort").asks.abort == "argo-cd-1"
    approval = STORIES["ChaosExperiment", "awaiting-approval"].status["approval"]["hash"]
    assert asked("ChaosExperiment", "awaiting-approval", "approve").asks.approve == approval


def test_an_action_leaves_no_name_of_somebody_else_beside_it() -> None:
    """The admission policy refuses another's name, and lets none stand for what it did not ask."""
    story = STORIES["RecoveryPolicy", "at-rest"]
    told = {"homeostat.dev/by": "alice", "homeostat.dev/run": "{}", **STRICT}
    body = story.body()
    body["metadata"]["annotations"] = told
    script = next(one["action.lua"] for one in ACTIONS["RecoveryPolicy"]["definitions"] if one["name"] == "pause")

    after = lua.act(script, body)["metadata"]["annotations"]

    assert after == STRICT | {"homeostat.dev/pause": "paused in Argo CD"}


def test_a_run_asked_for_twice_before_it_begins_is_one_and_the_next_is_another() -> None:
    story = STORIES["ChaosExperiment", "passed"]
    script = next(one["action.lua"] for one in ACTIONS["ChaosExperiment"]["definitions"] if one["name"] == "run")
    once = lua.act(script, story.body())
    twice = lua.act(script, once)
    assert once == twice

    begun = {**once, "status": {**once["status"], "run": "argo-cd-2", "runNumber": 2, "phase": "Finished"}}
    assert lua.act(script, begun)["metadata"]["annotations"]["homeostat.dev/run"] == "argo-cd-3"
    taken_back = {**once, "status": {**once["status"], "run": "argo-cd-2", "runNumber": 1}}
    assert lua.act(script, taken_back)["metadata"]["annotations"]["homeostat.dev/run"] == "argo-cd-2-again"
