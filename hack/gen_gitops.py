#!/usr/bin/env python3
"""Write what Argo CD and Flux need to know of our kinds: hack/gen_gitops.py [--check].

From gitops/argo-cd/health.lua, the actions beside it, and statuses that the operator's own code decides on
(tests/gitops/statuses.py): a folder for each kind, laid out as Argo CD's own resource_customizations; the same as a
patch of argocd-cm; and the same rules in CEL for Flux.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from generated import Generated, main

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "operator"), str(REPOSITORY / "tests")]

from gitops.lua import act, discover, health  # noqa: E402 - found through the path above
from gitops.statuses import KINDS, Story, stories, text  # noqa: E402

GROUP, API_VERSION = "homeostat.dev", "homeostat.dev/v1alpha1"
FOLDER = REPOSITORY / "gitops"
EXAMPLE = REPOSITORY / "examples" / "gitops" / "flux" / "clusters" / "production" / "health-check-exprs.yaml"
ARGO, FLUX = FOLDER / "argo-cd", FOLDER / "flux"
HEALTH = ARGO / "health.lua"
ACTIONS = {
    "RecoveryPolicy": ("pause", "resume", "approve", "reject"),
    "ChaosExperiment": ("run", "abort", "approve", "reject"),
    "GameDay": ("run", "abort", "approve", "reject"),
}
ACTED_ON = {  # the story that each action is shown on
    "RecoveryPolicy": {"pause": "at-rest", "resume": "paused", "approve": "awaiting-approval"},
    "ChaosExperiment": {"run": "passed", "abort": "running", "approve": "awaiting-approval"},
    "GameDay": {"run": "passed", "abort": "running"},
}
WRITTEN = "# Written by hack/gen_gitops.py: edit what it is made from.\n"


LONG = 90


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    long = ">" if len(value) > LONG and " " in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else long)


_Dumper.add_representer(str, _text)


def _yaml(value: object, width: float = 120) -> str:
    written: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=width, allow_unicode=True)
    return written


# --- Argo CD --------------------------------------------------------------------------------------------


def argo_folder() -> Iterator[tuple[Path, str]]:
    """Give the files of each kind, as Argo CD lays them out."""
    told = tuple(stories())
    for kind in KINDS:
        folder, own = ARGO / GROUP / kind, [story for story in told if story.kind == kind]
        yield folder / "health.lua", HEALTH.read_text()
        yield folder / "health_test.yaml", _yaml({"tests": [_health_test(story) for story in own]})
        yield from ((story.path, text(story)) for story in own)
        if kind in ACTIONS:
            yield from _actions(kind, folder / "actions", {story.name: story for story in own})


def _health_test(story: Story) -> dict[str, Any]:
    told = health(HEALTH.read_text(), story.body())
    return {
        "healthStatus": {"status": story.health, "message": told["message"]},
        "inputPath": f"testdata/{story.name}.yaml",
    }


def _actions(kind: str, folder: Path, own: dict[str, Story]) -> Iterator[tuple[Path, str]]:
    discovery = (folder / "discovery.lua").read_text()
    discovered, acted = [], []
    for name, shown in ACTED_ON[kind].items():
        story = own[shown]
        yield folder / "testdata" / f"{shown}.yaml", text(story)
        discovered.append({"inputPath": f"testdata/{shown}.yaml", "result": discover(discovery, story.body())})
        after = act((folder / name / "action.lua").read_text(), story.body())
        yield folder / "testdata" / f"{shown}-{name}.yaml", yaml.safe_dump(after, sort_keys=False, width=120)
        acted.append(
            {
                "action": name,
                "inputPath": f"testdata/{shown}.yaml",
                "expectedOutputPath": f"testdata/{shown}-{name}.yaml",
            }
        )
    yield folder / "action_test.yaml", _yaml({"discoveryTests": discovered, "actionTests": acted})


def argo_config_map() -> Iterator[tuple[Path, str]]:
    """Give the patch of argocd-cm, and the kustomization that applies it."""
    data: dict[str, str] = {}
    for kind in KINDS:
        data[f"resource.customizations.health.{GROUP}_{kind}"] = HEALTH.read_text()
        if kind in ACTIONS:
            folder = ARGO / GROUP / kind / "actions"
            definitions = [
                {"name": name, "action.lua": (folder / name / "action.lua").read_text()} for name in ACTIONS[kind]
            ]
            actions = {"discovery.lua": (folder / "discovery.lua").read_text(), "definitions": definitions}
            data[f"resource.customizations.actions.{GROUP}_{kind}"] = _yaml(actions)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": data,
    }
    yield ARGO / "argocd-cm.yaml", WRITTEN + _yaml(body)


# --- Flux -----------------------------------------------------------------------------------------------


AWAITED = ("HealthCheckNotRunning", "NotCounted", "SecretNotFound")
BREACHES = ("Escalated=True", "BudgetExhausted=True", "ObjectiveMet=False", "BurnRateHigh=True", "Healthy=False",
            "Succeeded=False")  # fmt: skip


def expressions() -> dict[str, str]:
    """Give the rules of health.lua in CEL; of the three, exactly one is true of any object."""
    fresh = (
        "has(status.observedGeneration) && status.observedGeneration == metadata.generation"
        " && !has(metadata.deletionTimestamp) && has(status.conditions)"
    )
    strict = (
        "has(metadata.annotations) && metadata.annotations.exists(k, k == 'homeostat.dev/degraded-on-breach'"
        " && metadata.annotations[k] == 'true')"
    )
    among = f"{_listed(BREACHES)} || (c.type == 'Reverted' && c.reason == 'RecoveryFailed')"
    rests = (
        "(has(spec.suspend) && spec.suspend) || (has(metadata.annotations)"
        " && metadata.annotations.exists(k, k == 'homeostat.dev/pause'))"
    )
    breach = f"{strict} && !({rests}) && " + _exists(f"c.type + '=' + c.status in {among}")
    reconciling, stalled = _is("Reconciling", "True"), _is("Stalled", "True")
    ready, refused = _is("Ready", "True"), _is("Ready", "False", f" && !(c.reason in {_listed(AWAITED)})")
    return {
        "current": f"{fresh} && !{reconciling} && !{stalled} && {ready} && !({breach})",
        "inProgress": f"!({fresh}) || {reconciling} || (!{stalled} && !{ready} && !{refused})",
        "failed": f"{fresh} && !{reconciling} && ({stalled} || {refused} || ({ready} && {breach}))",
    }


def _is(type_: str, status: str, more: str = "") -> str:
    return _exists(f"c.type == '{type_}' && c.status == '{status}'{more}")


def _exists(rule: str) -> str:
    return f"status.conditions.exists(c, {rule})"


def _listed(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def flux() -> Iterator[tuple[Path, str]]:
    """Give a patch of a Kustomization of Flux: for the group as a whole, and for each kind."""
    for name, rows in (
        ("health-check-exprs.yaml", [{"apiVersion": API_VERSION, "kind": kind} for kind in KINDS]),
        ("health-check-exprs-of-the-group.yaml", [{"apiVersion": API_VERSION}]),
    ):
        checks = [row | expressions() for row in rows]
        body = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "homeostat-objects", "namespace": "flux-system"},
            "spec": {"healthCheckExprs": checks},
        }
        text_ = WRITTEN + _yaml(body, width=110)
        yield FLUX / name, text_
        if name == EXAMPLE.name:  # kustomize reads no patch from outside its own folder
            yield EXAMPLE, text_


# --- all of it ------------------------------------------------------------------------------------------


def generated() -> Generated:
    """Give everything that is written; of statuses, those of stories that are no more are too many."""
    return Generated(dict((*argo_folder(), *argo_config_map(), *flux())), (ARGO / GROUP).rglob("testdata/*.yaml"))


if __name__ == "__main__":
    sys.exit(main("hack/gen_gitops.py", __doc__ or "", generated()))
