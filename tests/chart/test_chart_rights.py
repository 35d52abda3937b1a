"""The roles of the chart are what `homeostat.core.rights` says: not a right more, not a right less."""

from collections.abc import Callable
from typing import Any

import pytest

from chart.rendering import CASES, Document, documents, rendered, with_values
from homeostat.core.rights import GRANTS, Scope, granted
from roles import united

pytestmark = pytest.mark.helm
FEATURES = sorted({grant.feature for grant in GRANTS if grant.feature})
BASE = {"probes.secrets", "rules.prometheusRules"}
OF_NODES = ("cordon", "drain")
USERS = {"homeostat-view", "homeostat-edit", "homeostat-admin"}
Roles = dict[str, dict[tuple[str, str, tuple[str, ...]], frozenset[str]]]


def nested(features: dict[str, bool]) -> dict[str, Any]:
    """Give values in which these are on or off."""
    values: dict[str, Any] = {}
    for feature, is_on in features.items():
        *parents, last = feature.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = is_on
    return values


def roles(found: list[Document]) -> Roles:
    """Give what the roles of the operator and of undo Pods allow; of Roles in several namespaces it is the same."""
    made: Roles = {}
    for one in found:
        is_hook = "helm.sh/hook" in one["metadata"].get("annotations", {})
        if one["kind"] in {"Role", "ClusterRole"} and not is_hook and one["metadata"]["name"] not in USERS:
            rules = made.setdefault(one["metadata"]["name"], {})
            for rule in one["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        what = group, resource, tuple(rule.get("resourceNames", ()))
                        rules[what] = rules.get(what, frozenset()) | frozenset(rule["verbs"])
    return made


def expected(is_on: Callable[[str], bool], scope: Scope = Scope.CLUSTER) -> Roles:
    return united(granted(is_on, scope))


def test_by_default_it_may_measure_and_tell() -> None:
    assert roles(with_values()) == expected(BASE.__contains__)


def test_with_all_on_it_may_do_all_there_is() -> None:
    assert roles(with_values(**nested(dict.fromkeys(FEATURES, True)))) == expected(lambda _: True)


@pytest.mark.parametrize("feature", [one for one in FEATURES if ".steps." in one or ".faults." in one])
def test_one_step_or_fault_gives_the_rights_of_that_one_alone(feature: str) -> None:
    head = feature.partition(".")[0]
    features = {one: one in {feature, f"{head}.enabled"} for one in FEATURES if one.startswith(f"{head}.")}

    assert roles(with_values(**nested(features))) == expected(lambda one: one in BASE or features.get(one, False))


def test_in_scope_namespaced_it_may_do_all_that_needs_no_cluster() -> None:
    possible = [one for one in FEATURES if not one.endswith(OF_NODES)]
    values = nested(dict.fromkeys(possible, True)) | {"scope": "Namespaced", "watchNamespaces": ["shop"]}

    assert roles(with_values(**values)) == expected(possible.__contains__, Scope.NAMESPACED)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("namespaced")])
def test_in_scope_namespaced_there_is_no_cluster_role(case: str) -> None:
    kinds = {one["kind"] for one in documents(rendered(case))}

    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    assert {"Role", "RoleBinding"} <= kinds


@pytest.mark.parametrize("case", CASES)
def test_every_binding_is_to_a_role_and_an_account_that_are_there(case: str) -> None:
    found = documents(rendered(case))
    there = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in found}
    for one in found:
        if one["kind"].endswith("RoleBinding"):
            role, namespace = one["roleRef"], one["metadata"].get("namespace", "")
            assert (role["kind"], namespace, role["name"]) in there
            for account in one["subjects"]:
                assert ("ServiceAccount", account["namespace"], account["name"]) in there


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_granted_by_a_star(case: str) -> None:
    found = [one for one in documents(rendered(case)) if one["kind"] in {"Role", "ClusterRole"}]

    assert [one for one in found for rule in one["rules"] for words in rule.values() if "*" in words] == []
