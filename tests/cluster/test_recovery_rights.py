"""A right that the operator lacks is said on the policy at once, by a real API server's word."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Api, Kubectl
from cluster.installation import manifests
from cluster.manifests import policy
from cluster.operator_process import OperatorProcess, kubeconfig_for
from cluster.waiting import until

NAME = "limited"
CORE = ("homeostat-core", "homeostat-cluster")


def role(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": NAME},
        "rules": list(rules),
    }


def binding(kind: str, name: str, role_kind: str, of: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": of},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
    }


EVICTIONS = {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}
LEASES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch", "delete"]}
DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}


def until_may(kubectl: Kubectl, namespace: str, *what: str) -> None:
    """Wait until a right that was granted is in force: the API server learns of it a moment later."""
    asked = ("-n", namespace, "auth", "can-i", *what, f"--as=system:serviceaccount:{namespace}:{NAME}")
    until(lambda: kubectl(*asked, check=False).stdout == "yes\n", f"{' '.join(what)} is allowed")


@pytest.fixture
def operator(kubectl: Kubectl, namespace: str, kubeconfig: Path, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Run the operator with the core role of dist/ and, in one namespace, evictions and locks: no Deployments."""
    core = [one for one in manifests() if one["kind"] == "ClusterRole" and one["metadata"]["name"] in CORE]
    bound = [binding("ClusterRoleBinding", f"{name}-{namespace}", "ClusterRole", name, namespace) for name in CORE]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all([*core, *bound]))
    kubectl("-n", namespace, "create", "serviceaccount", NAME)
    own = [role(EVICTIONS, LEASES), binding("RoleBinding", NAME, "Role", NAME, namespace)]
    kubectl("-n", namespace, "apply", "-f", "-", stdin=yaml.safe_dump_all(own))
    until_may(kubectl, namespace, "create", "pods", "--subresource=eviction")
    until_may(kubectl, namespace, "list", "recoverypolicies.homeostat.dev")
    token = kubectl("-n", namespace, "create", "token", NAME).stdout.strip()
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    limited = kubeconfig_for(tmp_path, cluster["server"], token, cluster["certificate-authority-data"])
    flags = ("--namespaces", namespace, "--operator-namespace", namespace)
    process = OperatorProcess(tmp_path, limited, "one", flags)
    process.start()
    yield process
    process.kill()
    kubectl("delete", "clusterrolebinding", *(f"{name}-{namespace}" for name in CORE))


def permitted(api: Api, namespace: str) -> dict[str, Any]:
    """Give the condition Permitted of the policy; {} before there is one."""
    _, found = api("GET", f"/apis/homeostat.dev/v1alpha1/namespaces/{namespace}/recoverypolicies/shop")
    conditions = found.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Permitted"), {})


@pytest.mark.apiserver
@pytest.mark.usefixtures("operator")
def test_a_right_that_is_missing_for_one_step_is_said_at_once_and_gone_with_it(
    kubectl: Kubectl, api: Api, namespace: str
) -> None:
    """R15: a policy at rest says which step lacks which right; once it is granted and asked for again, all is well."""
    steps = [{"restartPods": {}}, {"rolloutRestart": {}}]
    kubectl("-n", namespace, "apply", "-f", "-", stdin=yaml.safe_dump(policy(steps=steps)))

    until(lambda: permitted(api, namespace).get("status") == "False", "the missing right is said")
    told = permitted(api, namespace)
    assert told["reason"] == "RightsMissing"
    assert f"step 1 (rolloutRestart): patch deployments.apps in {namespace}." in told["message"]
    assert "step 0" not in told["message"]

    granted = role(EVICTIONS, LEASES, DEPLOYMENTS)
    kubectl("-n", namespace, "apply", "-f", "-", stdin=yaml.safe_dump(granted))
    until_may(kubectl, namespace, "patch", "deployments.apps")
    kubectl("-n", namespace, "apply", "-f", "-", stdin=yaml.safe_dump(policy(steps=[*steps, {"scale": {"by": "+1"}}])))

    until(lambda: permitted(api, namespace).get("status") == "True", "all rights are held")
