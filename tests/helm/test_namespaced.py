"""Teams with an operator of their own, each for its own namespaces, side by side; nothing of theirs is cluster-wide."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.conftest import Kubectl
from cluster.experiments import booth, check_of, experiment, is_marked, specs_of, until_content, until_nothing_is_left
from cluster.manifests import health_check
from cluster.waiting import until
from helm.broken import CLOSED, FIELD
from helm.scene import CLUSTER_WIDE, RESTRICTED, Estate, House, Release, opens_with_a_row
from helm.typed import doctor, follow, plan_a_fault

pytestmark = pytest.mark.helm

PLATFORM = {"operator": {"enabled": False}}
EVERYTHING = {
    "recovery": {"enabled": True, "steps": {"job": True}},
    "chaos": {"enabled": True},
    "probes": {"jobs": True},
    "rules": {"configMaps": True},
}
"""All rights that an operator can have without one to the cluster."""
TEAM = {"scope": "Namespaced", "crds": {"enabled": False}, "admissionPolicies": {"enabled": False}}


def watching(*namespaces: str) -> dict[str, list[str]]:
    return {"watchNamespaces": list(namespaces)}


@pytest.fixture
def platform(nothing: Estate) -> Estate:
    """What the platform team installs once: CRDs and policies, and no operator."""
    made = nothing.release("platform", nothing.namespace("platform", {}))
    made.install(PLATFORM)
    assert not made.pods()
    return nothing


def team(estate: Estate) -> tuple[Release, House]:
    """A team's namespace for its operator, and one for its shop."""
    system = estate.namespace(labels=RESTRICTED)
    return estate.release("homeostat", system), estate.house(system)


def test_two_teams_each_have_their_own_and_none_acts_for_the_other(
    platform: Estate, kubectl: Kubectl, kubectl_command: list[str], kubeconfig: Path
) -> None:
    """Two leaders, two rows, a fault of one; who uninstalls takes nothing away from the other."""
    wide = [platform.ours(path) for path in CLUSTER_WIDE]
    (one, shop), (two, bank) = team(platform), team(platform)
    acting = {"chaos": {"enabled": True}, "recovery": {"enabled": True}}
    one.install(TEAM, watching(shop.namespace), acting)
    two.install(TEAM, watching(bank.namespace), acting)
    assert [platform.ours(path) for path in CLUSTER_WIDE] == wide
    assert one.until_leads() != two.until_leads()
    for house in (shop, bank):
        assert opens_with_a_row(house, kubectl)
    assert f'namespace="{shop.namespace}"' in one.metrics()
    assert f'namespace="{shop.namespace}"' not in two.metrics()

    shop.put(*booth(FIELD), check_of(FIELD))
    until_content(shop, FIELD)
    plan_a_fault(shop)
    assert "plan" in follow(one, shop, kubectl, kubectl_command)
    told = doctor(kubeconfig, one)
    assert told.returncode == 0, told.stdout + told.stderr

    before = specs_of(shop, FIELD)
    shop.put(experiment(FIELD, CLOSED, "Deployment", duration="10m"))
    shop.until_phase("Running", FIELD)
    until(lambda: is_marked(shop, FIELD), "the fault is on")
    one.uninstall()
    until_nothing_is_left(shop, before)
    bank.put(health_check("later"))
    bank.until_state("Healthy", "later")


def test_a_namespace_has_one_operator_and_whoever_comes_later_is_told_whose(platform: Estate) -> None:
    """By the name of the release that is there, whether the other is for namespaces or for the whole cluster."""
    (one, shop), (two, _) = team(platform), team(platform)
    one.install(TEAM, watching(shop.namespace))
    told = two.refused(TEAM, watching(shop.namespace))
    wide = two.refused({"crds": {"enabled": False}, "admissionPolicies": {"enabled": False}})
    beside = platform.release("another", one.namespace).refused(TEAM, watching(two.namespace))

    for words in (told, wide, beside):
        assert f"{one.namespace}/{one.name}" in words, words
    for words in (told, wide):
        assert shop.namespace in words, words
    assert "install this one into another namespace" in beside
    assert not two.pods()
    assert one.leader()


def test_an_admin_of_namespaces_installs_an_operator_for_them_with_no_right_to_the_cluster(
    platform: Estate, kubectl: Kubectl
) -> None:
    """With all it can do: nobody may give a right that they do not hold; the platform's release adds what they lack."""
    one, shop = team(platform)
    ada = replace(one, helm=replace(one.helm, user="ada"))
    for place in (one.namespace, shop.namespace):
        kubectl("-n", place, "create", "rolebinding", "ada", "--clusterrole=admin", "--user=ada")
    allowed = ("auth", "can-i", "patch", "healthchecks/status", "--as=ada", "-n", shop.namespace)
    until(lambda: kubectl(*allowed, check=False).returncode == 0, "the rights are added to those of admins")

    assert kubectl("auth", "can-i", "create", "clusterroles", "--as=ada", check=False).returncode != 0
    ada.install(TEAM, watching(shop.namespace), EVERYTHING)
    assert ada.until_leads()
    assert opens_with_a_row(shop, kubectl)
    ada.uninstall()
    assert not one.is_there()
