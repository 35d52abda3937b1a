"""Rules for Prometheus in a cluster: what holds them, whether they stay what they are, and whether they are loaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import proxy
from cluster.installation import apply, rightful
from cluster.manifests import Manifest
from cluster.objectives import HURRY, SLO, slo, until_condition
from cluster.stage import APPLY, MERGE, Api, Stage
from cluster.waiting import until
from prometheus_process import running_prometheus

pytestmark = pytest.mark.apiserver

DEFINITIONS = Path(__file__).with_name("prometheusrules.yaml")
NAME = "homeostat-slo-checkout"
RULES, CONFIG_MAPS = "apis/monitoring.coreos.com/v1", "api/v1"
RELEASE = {"release": "kube-prometheus-stack"}
INSTALLED = "RulesInstalled"
WATCH = {"ROUND": 2, "SOON": 0.2, "PATIENCE": 8, "RECHECK": 4}
HURRIED = HURRY | {f"homeostat.engine.objective.rules_watch:{name}": seconds for name, seconds in WATCH.items()}


def fed(**rules: Any) -> Manifest:
    """Give an objective whose rules Prometheus evaluates."""
    ratio = {"bad": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"}
    return slo(indicator={"prometheus": {"ratio": ratio}}, rules={"emit": True} | rules)


def path_of(stage: Stage, group: str, name: str = NAME) -> str:
    plural = "configmaps" if group == CONFIG_MAPS else "prometheusrules"
    return f"/{group}/namespaces/{stage.namespace}/{plural}/{name}"


def read(stage: Stage, group: str) -> dict[str, Any] | None:
    """Read the object with the rules; None when it is not there."""
    code, answer = stage.api("GET", path_of(stage, group))
    assert code in {200, 404}, answer
    return answer if code == 200 else None


def until_there(stage: Stage, group: str, holds: Callable[[dict[str, Any]], object] = bool) -> dict[str, Any]:
    """Wait until the object is there and as it should be."""

    def look() -> dict[str, Any] | None:
        found = read(stage, group)
        return found if found and holds(found) else None

    return until(look, f"{NAME} is there")


def until_gone(stage: Stage, group: str) -> None:
    """Wait until it is not there."""
    until(lambda: read(stage, group) is None, f"{NAME} is gone")


def until_repaired(stage: Stage, group: str, edit: Manifest, wanted: Manifest) -> None:
    """Edit the object by hand, then delete it; each time it is written again."""
    kept = {key: wanted[key] for key in wanted.keys() - {"metadata", "apiVersion", "kind"}}
    code, answer = stage.api("PATCH", path_of(stage, group), edit, content_type=MERGE)
    assert code == 200, answer

    def is_as_wanted(found: dict[str, Any]) -> bool:
        labels = found["metadata"].get("labels")
        return labels == wanted["metadata"]["labels"] and {key: found.get(key) for key in kept} == kept

    assert not is_as_wanted(answer)
    until_there(stage, group, is_as_wanted)
    assert stage.api("DELETE", path_of(stage, group))[0] == 200
    again = until_there(stage, group, is_as_wanted)
    assert again["metadata"]["uid"] != wanted["metadata"]["uid"]


@contextmanager
def prometheus_rules_served(api: Api) -> Iterator[None]:
    """Serve PrometheusRules meanwhile."""
    definitions = list(yaml.safe_load_all(DEFINITIONS.read_text()))
    for definition in definitions:
        apply(api, definition)
    try:
        yield
    finally:
        for definition in definitions:
            api("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}")


def test_rules_move_to_a_prometheus_rule_stay_as_they_are_and_are_loaded(stage: Stage) -> None:
    """S13, S15: with the rights of dist/: no right to ConfigMaps, then one, then PrometheusRules that are loaded."""
    with running_prometheus(stage.folder / "prometheus") as prometheus:
        stage.put(fed(labels=RELEASE))
        stage.start("--prometheus-url", prometheus.url, kubeconfig=rightful(stage), hurry=HURRIED)
        assert "may not read or write" in until_condition(stage, INSTALLED, "False", "Forbidden")
        allow_config_maps(stage)
        until_there(stage, CONFIG_MAPS)
        assert "ConfigMap is read by no Prometheus" in until_condition(stage, INSTALLED, "False", "NotLoaded")

        with prometheus_rules_served(stage.api):
            prove_prometheus_rule(stage)
            until_gone(stage, CONFIG_MAPS)
            select_by_release(stage)
            until_selector_is_named(stage)
            groups = until_there(stage, RULES)["spec"]["groups"]
            prometheus.load_rules("ours", yaml.safe_dump({"groups": groups}))
            until_condition(stage, INSTALLED, "True", "Installed")

            stage.patch(SLO, {"spec": {"rules": {"emit": False}}}, "checkout")
            until_gone(stage, RULES)
            until_condition(stage, INSTALLED, "False", "NotAsked")
            assert "rulesObject" not in stage.status(SLO, "checkout")


def prove_prometheus_rule(stage: Stage) -> None:
    """See that the rule is the objective's, has its labels, and is repaired."""
    found = until_there(stage, RULES)
    (owner,) = found["metadata"]["ownerReferences"]
    objective = stage.read(SLO, "checkout")
    assert (owner["kind"], owner["name"], owner["uid"]) == (SLO, "checkout", objective["metadata"]["uid"])
    assert found["metadata"]["labels"].items() >= (RELEASE | {"app.kubernetes.io/managed-by": "homeostat"}).items()
    stage.until_status(SLO, lambda it: it.get("rulesObject", {}).get("kind") == "PrometheusRule", "named", "checkout")
    until_repaired(stage, RULES, {"spec": {"groups": []}}, found)


def select_by_release(stage: Stage) -> None:
    """Set up a Prometheus that wants another label."""
    body = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": "main"},
        "spec": {"ruleSelector": {"matchLabels": {"release": "another"}}},
    }
    path = f"/{RULES}/namespaces/{stage.namespace}/prometheuses/main?fieldManager=story"
    code, answer = until_served(lambda: stage.api("PATCH", path, body, content_type=APPLY))
    assert code < 300, answer


def until_selector_is_named(stage: Stage) -> None:
    """Wait until the condition tells which label is missing."""
    until(
        lambda: "set spec.rules.labels to {release: another}" in stage.condition(SLO, INSTALLED, "checkout")["message"],
        "the label is named",
    )
    assert stage.condition(SLO, INSTALLED, "checkout")["reason"] == "NotLoaded"


def until_served(ask: Callable[[], tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
    """Ask until the kind is served."""

    def look() -> tuple[int, dict[str, Any]] | None:
        code, answer = ask()
        return None if code == 404 else (code, answer)

    return until(look, "the kind is served")


def allow_config_maps(stage: Stage) -> None:
    """Give the right that dist/ gives to nobody, as it says how to."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "homeostat-rules-configmaps", "namespace": stage.namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "homeostat-rules-configmaps"},
        "subjects": [{"kind": "ServiceAccount", "name": "homeostat", "namespace": stage.system}],
    }
    apply(stage.api, binding)


def test_another_s_object_is_left_alone_and_ours_goes_with_the_objective(stage: Stage) -> None:
    """An object of that name that is nobody's stays as it is; once it is gone ours is written, kept and removed."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"mine": "untouched"}}
    assert stage.api("POST", path_of(stage, CONFIG_MAPS, ""), body)[0] == 201
    allow_config_maps(stage)
    stage.put(fed())
    stage.start(wait_for="", hurry=HURRIED)
    with stage.faults.always("GET", r"^/apis/monitoring\.coreos\.com/v1$", proxy.answer(404, "NotFound")):
        until_condition(stage, INSTALLED, "False", "NotOurs")
        found = until_there(stage, CONFIG_MAPS)
        assert found["data"] == {"mine": "untouched"}
        assert "ownerReferences" not in found["metadata"]

        stage.api("DELETE", path_of(stage, CONFIG_MAPS))
        ours = until_there(stage, CONFIG_MAPS)
        assert list(ours["data"]) == [f"{NAME}.rules.yaml"]
        until_repaired(stage, CONFIG_MAPS, {"data": {f"{NAME}.rules.yaml": "groups: []"}}, ours)
        until_condition(stage, INSTALLED, "Unknown", "PrometheusUnreachable")
        stage.patch(SLO, {"spec": {"rules": {"emit": False}}}, "checkout")
        until_gone(stage, CONFIG_MAPS)


def test_what_cannot_be_written_as_rules_says_so(stage: Stage) -> None:
    """S13: pushed events have no query; NotApplicable, and no object."""
    stage.put(slo(rules={"emit": True}))
    stage.start(hurry=HURRIED)
    until_condition(stage, INSTALLED, "False", "NotApplicable")
    assert read(stage, CONFIG_MAPS) is None
