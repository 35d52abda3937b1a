"""From nothing to a row in `kubectl get slo`, and what is refused before anything is installed."""

import re
from collections.abc import Callable

import pytest

from cluster.conftest import Kubectl
from cluster.waiting import until
from helm.scene import (
    ACTING,
    CLUSTER_WIDE,
    MINUTES,
    NAME,
    RESTRICTED,
    SYSTEM,
    Estate,
    House,
    Release,
    opens_with_a_row,
)
from helm.tool import CHART, Helm, nested

pytestmark = pytest.mark.helm

WRONG = {
    "recoverry": ("recoverry.enabled", True),
    "restartPod": ("recovery.steps.restartPod", True),
    "netwrk": ("chaos.faults.netwrk", True),
    "actionBudgt": ("settings.actionBudgt", 3),
    "tagg": ("image.tagg", "dev"),
    "sise": ("history.sqlite.persistence.sise", "1Gi"),
    "scope": ("scope", "Clusterwide"),
    "replicas": ("replicas", "two"),
    "store": ("history.store", "MySQL"),
    "logLevel": ("settings.logLevel", "LOUD"),
}
"""What is wrong, and the key that it must be told by."""


@pytest.mark.parametrize("program", ["helm", "helm3"])
@pytest.mark.parametrize("key", WRONG)
def test_a_typo_in_values_is_refused_with_the_keys_name(helm_of: Callable[[str], Helm], program: str, key: str) -> None:
    """Nothing is rendered, and so nothing is installed."""
    told = helm_of(program).refused("template", NAME, str(CHART), values=nested(*WRONG[key]))

    assert re.search(rf"'[^\n]*\b{key}\b", told), told


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_from_nothing_to_a_row_by_one_command_in_a_namespace_that_is_restricted(
    nothing: Estate, helm_of: Callable[[str], Helm], kubectl: Kubectl, program: str
) -> None:
    """CRDs, rights, policies, operator: what Helm calls ready is ready, under Pod Security `restricted`."""
    nothing.namespace(SYSTEM, RESTRICTED)
    nothing.made.remove(SYSTEM)
    made = Release(helm_of(program), nothing.api)
    told = made.install().stdout
    assert "STATUS: deployed" in told
    assert made.until_leads()

    house = nothing.house()
    assert opens_with_a_row(house, kubectl)
    made.uninstall()
    assert not made.is_there()


def test_what_is_off_by_default_has_no_rights(release: Release, estate: Estate) -> None:
    """Recovery and chaos: no role of theirs is there until they are asked for, and an upgrade takes them away again."""
    roles = CLUSTER_WIDE[0]
    acting = set(estate.ours(roles))
    release.install()
    modest = set(estate.ours(roles))

    assert {"homeostat-recovery", "homeostat-chaos"} <= acting
    assert not {"homeostat-recovery", "homeostat-chaos", "homeostat-chaos-nodes", "homeostat-recovery-jobs"} & modest


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_a_second_cluster_wide_release_is_refused_by_the_name_of_the_first(
    release: Release, estate: Estate, helm_of: Callable[[str], Helm], program: str
) -> None:
    """Two operators on the same objects would both act."""
    other = Release(helm_of(program), estate.api, "second", estate.namespace(labels={}))
    told = other.refused({"crds": {"enabled": False}})

    assert f"{SYSTEM}/{NAME}" in told, told
    assert "the whole cluster" in told, told
    assert not other.pods()
    assert release.leader()


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_a_release_for_a_namespace_that_a_cluster_wide_one_watches_is_refused(
    release: Release, estate: Estate, kubectl: Kubectl, helm_of: Callable[[str], Helm], program: str
) -> None:
    """Whoever installs it may have no right to look: the API server refuses it before anything of it is there."""
    place = estate.namespace(labels={})
    other = Release(helm_of(program), estate.api, "team", place)
    told = other.refused({"scope": "Namespaced", "crds": {"enabled": False}, "admissionPolicies": {"enabled": False}})

    assert f"{SYSTEM}/{NAME}" in told, told
    assert kubectl("-n", place, "get", "deployments,pods,services,roles,rolebindings", "-o", "name").stdout == ""
    assert release.leader()
    other.helm.run("uninstall", other.name, "-n", place)


def test_an_image_that_cannot_be_pulled_fails_the_upgrade_and_the_old_operator_goes_on(
    release: Release, house: House, kubectl: Kubectl
) -> None:
    """`--wait` ends with what is not ready; the one that was there leads meanwhile; a rollback mends it."""
    before = release.until_leads()
    told = release.refused(ACTING, {"image": {"tag": "no-such-tag"}}, flags=("--wait", "--timeout", "25s"))
    assert f"Deployment/{SYSTEM}/{NAME}" in told or f"deployment {NAME}" in told.lower(), told
    assert release.leader() == before
    until(lambda: waiting_for(release) & {"ErrImagePull", "ImagePullBackOff"}, "the kubelet says what is missing")

    release.helm.run("rollback", NAME, "-n", SYSTEM, "--wait", "--timeout", MINUTES)
    assert opens_with_a_row(house, kubectl)
    until(lambda: len(release.pods()) == 1, "the pod that could not start is gone")


def waiting_for(release: Release) -> set[str]:
    """Say why containers of its pods wait."""
    states = [one["state"] for pod in release.pods() for one in pod["status"].get("containerStatuses", [])]
    return {state["waiting"]["reason"] for state in states if "waiting" in state}
