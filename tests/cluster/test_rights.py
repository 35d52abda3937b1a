"""The operator says which right it lacks, and on what; and it runs without any right in the whole cluster."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import Api
from cluster.manifests import OURS as API_VERSION
from cluster.manifests import SHOP, Manifest, deployment, health_check, policy, service
from cluster.rights import Limited, Rule, all_rules, expected, until_told
from cluster.stage import APPLY, GROUPS, MERGE, PLURALS
from cluster.waiting import until
from homeostat.core.rights import Scope

pytestmark = pytest.mark.apiserver

Make = Callable[[Scope], Limited]
PARTS = 6
"""In so many lots rules are taken out, each once: no lot has two neighbours of one role."""


@pytest.fixture
def limited(api: Api, kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Make]:
    """Make an account with the rights of one scope, and take all of it away afterwards."""
    made: list[Limited] = []

    def make(scope: Scope) -> Limited:
        one = Limited(api, kubeconfig, namespace, tmp_path, scope)
        made.append(one)
        one.prepare()
        one.grant()
        return one

    yield make
    for one in made:
        one.end()


def path_of(namespace: str, kind: str, name: str) -> str:
    group = GROUPS.get(kind, f"apis/{API_VERSION}")
    return f"/{group}/namespaces/{namespace}/{PLURALS[kind]}/{name}"


def put(one: Limited, *manifests: Manifest) -> None:
    for manifest in manifests:
        path = path_of(one.namespace, manifest["kind"], manifest["metadata"]["name"])
        code, answer = one.api("PATCH", f"{path}?fieldManager=story&force=true", manifest, content_type=APPLY)
        assert code < 300, answer


def conditions(one: Limited, kind: str, name: str = SHOP) -> dict[str, tuple[str, str]]:
    """Give reason and message of each condition."""
    _, found = one.api("GET", path_of(one.namespace, kind, name))
    listed = (found.get("status") or {}).get("conditions", [])
    return {each["type"]: (each["reason"], each["message"]) for each in listed}


def until_said(one: Limited, kind: str, type_: str, reason: str, *words: str, name: str = SHOP) -> None:
    last: dict[str, Any] = {}

    def look() -> bool:
        last.update(conditions(one, kind, name))
        told, message = last.get(type_, ("", ""))
        return told == reason and all(word in message for word in words)

    try:
        until(look, f"{kind} {name} says {type_}={reason} {words}", 180)
    except AssertionError as error:
        error.add_note(str(last))
        raise


def test_each_right_that_is_taken_away_is_told_by_name_and_nothing_else(limited: Make) -> None:
    """Verb by verb, the whole table: the metric has just what is gone, the log says what it was for."""
    one = limited(Scope.CLUSTER)
    operator = one.start()
    until_told(one, frozenset(), "with all rights nothing is missing")
    rules = all_rules()
    roles: set[str] = set()
    for part in range(PARTS):
        lot = rules[part::PARTS]
        roles |= {role for role, *_ in expected(lot, one)}
        one.grant(without=lot)
        until_told(one, expected(lot, one), f"lot {part} of {PARTS}")
        assert operator.is_running(), operator.tail()
    one.grant()
    until_told(one, frozenset(), "all rights are back")
    told = [line for line in operator.lines() if line["event"] == "rights missing"]
    assert {line["role"] for line in told} == roles
    assert all(line["needed_for"] for line in told)


WATCH: Rule = ("homeostat-core", "homeostat.dev", "healthchecks", "watch")


def test_who_may_not_watch_does_not_crash_but_is_not_ready_and_says_why(limited: Make) -> None:
    one = limited(Scope.CLUSTER)
    one.grant(without=[WATCH])
    operator = one.start()

    until(
        lambda: "FAIL may watch healthchecks.homeostat.dev\n" in operator.get("/readyz")[1], "/readyz names the right"
    )
    assert operator.get("/readyz")[0] == 503
    one.grant()
    until(lambda: operator.get("/readyz")[0] == 200, "it is ready once it may")
    put(one, health_check(probe={"workload": {"kind": "Deployment", "name": SHOP}}))
    until(lambda: "Ready" in conditions(one, "HealthCheck"), "it watches then")


def test_objects_say_what_they_wait_for(limited: Make) -> None:
    """A right that only some objects need is said on these."""
    one = limited(Scope.CLUSTER)
    one.grant(
        without=[
            ("homeostat-core", "", "pods", "list"),
            ("homeostat-recovery", "", "pods/eviction", "create"),
            ("homeostat-recovery-nodes", "", "pods/eviction", "create"),
            ("homeostat-chaos", "", "pods/eviction", "create"),
            ("homeostat-chaos-nodes", "", "pods/eviction", "create"),
            ("homeostat-chaos-guards", "", "pods", "list"),
        ]
    )
    put(one, service(), deployment(), health_check(), policy())
    put(one, health_check("workload", probe={"workload": {"kind": "Deployment", "name": SHOP}}))
    one.start()

    until_said(one, "RecoveryPolicy", "Ready", "NotPermitted", "/pods")
    until_said(one, "HealthCheck", "Healthy", "Stale", "NotPermitted", name="workload")
    one.grant(without=[("homeostat-recovery", "", "pods/eviction", "create"),
                       ("homeostat-recovery-nodes", "", "pods/eviction", "create"),
                       ("homeostat-chaos", "", "pods/eviction", "create"),
                       ("homeostat-chaos-nodes", "", "pods/eviction", "create")])  # fmt: skip
    until_said(one, "RecoveryPolicy", "Permitted", "RightsMissing", "step 0 (restartPods)", "create pods/eviction")


def test_without_any_right_in_the_whole_cluster_it_measures_and_says_what_it_does_without(limited: Make) -> None:
    """Scope Namespaced: Roles in the watched and in its own namespace, no ClusterRole, no ClusterRoleBinding."""
    one = limited(Scope.NAMESPACED)
    assert not one.made, "nothing of this account is cluster-wide"
    put(
        one, service(), deployment(), health_check("workload", probe={"workload": {"kind": "Deployment", "name": SHOP}})
    )
    put(one, health_check())
    nodes = {"target": {"kind": "Node", "name": "any"}, "triggers": [{"healthCheck": {"name": "workload"}}]}
    put(one, policy("nodes", steps=[{"cordon": {}}], **nodes), policy(mode="Observe"))
    operator = one.start()

    until_told(one, frozenset(), "of a Namespaced installation nothing is missing")
    until_ready(one, pods=3)
    until_experiments_are_planned(one)
    until(lambda: operator.get("/readyz")[0] == 200, "it is ready")
    operator.await_log("freezes are not seen")
    assert operator.metric("homeostat_crd_outdated") == 0, "what is served is what we have"
    assert 'homeostat_crd_outdated{kind="HealthCheck"} 0.0' in operator.get("/metrics")[1]
    until_said(one, "HealthCheck", "Healthy", "Passing", name="workload")
    put(one, health_check("later", probe={"workload": {"kind": "Deployment", "name": SHOP}}))
    until_said(one, "HealthCheck", "Healthy", "Passing", name="later")
    until_said(one, "RecoveryPolicy", "Permitted", "AllRightsHeld")
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        ask_for_alerts(operator.api, one)
    with refused.value as answer:
        assert "The operator lacks the right to ask the cluster who you are" in answer.read().decode()
    assert not [line for line in operator.lines() if line["event"] == "bug"], operator.tail()
    assert not [line for line in operator.lines() if is_refused(line)], operator.tail()


def is_refused(line: dict[str, Any]) -> bool:
    """Whether something was not done; that the API server was slow for a while says nothing of rights."""
    slow = {"Unavailable", "Conflict"}
    return line["event"] in {"put off", "resync failed"} and not slow & {line.get("reason"), line.get("error")}


PODS: Manifest = {"podKill": {}}
SELECTED: Manifest = {"matchLabels": {"app": SHOP}}


def experiment(called: str, fault: Manifest, kind: str = "Pod", **target: Any) -> Manifest:
    """Plan a fault, and touch nothing."""
    spec = {"fault": fault, "target": {"kind": kind, **target}, "duration": "10s", "dryRun": True}
    spec |= {"steadyFor": "1s", "blastRadius": {"minAvailable": 0}}
    spec |= {"hypothesis": [{"healthCheck": {"name": "workload"}}]}
    return {"apiVersion": API_VERSION, "kind": "ChaosExperiment", "metadata": {"name": called}, "spec": spec}


def until_dry_run_ends(one: Limited, manifest: Manifest, reason: str) -> None:
    """Have an experiment planned, and wait for what becomes of it."""
    put(one, manifest)
    path = path_of(one.namespace, "ChaosExperiment", manifest["metadata"]["name"])
    last: dict[str, Any] = {}

    def look() -> bool:
        last.update(one.api("GET", path)[1].get("status") or {})
        return last.get("reason") == reason

    try:
        until(look, f"a dry run ends with {reason}", 180)
    except AssertionError as error:
        error.add_note(str(last)[:2000])
        raise


def until_ready(one: Limited, pods: int) -> None:
    """Wait for the shop: of targets that are not ready an experiment is refused for good."""
    path = path_of(one.namespace, "Deployment", SHOP)
    until(lambda: one.api("GET", path)[1].get("status", {}).get("readyReplicas") == pods, "the shop is ready")


def until_experiments_are_planned(one: Limited) -> None:
    """The opt-in is read from the Namespace with the Role in it; Nodes are out of reach."""
    until_dry_run_ends(one, experiment("early", PODS, selector=SELECTED), "NamespaceNotAllowed")
    opt_in = {"metadata": {"labels": {"homeostat.dev/chaos": "allowed"}}}
    assert one.api("PATCH", f"/api/v1/namespaces/{one.namespace}", opt_in, content_type=MERGE)[0] == 200
    until_dry_run_ends(one, experiment("pods", PODS, selector=SELECTED), "DryRun")
    until_dry_run_ends(one, experiment("nodes", {"cordon": {}}, "Node", name="any"), "NodesNotAllowed")


def ask_for_alerts(url: str, one: Limited) -> None:
    """Ask the operator's API with a token."""
    asked = urllib.request.Request(f"{url}/api/v1/alerts?namespace={one.namespace}")  # noqa: S310 - ours
    asked.add_header("Authorization", "Bearer anything")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=30):
        return
