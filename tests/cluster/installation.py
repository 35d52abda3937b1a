"""dist/ applied to a cluster: the rights alone for an operator outside, or all of it for one in a pod."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster.operator_process import ROOT, kubeconfig_for
from cluster.stage import APPLY, Api, Stage
from cluster.waiting import until

Document = dict[str, Any]
CLUSTERED = ("Namespace", "ClusterRole", "ClusterRoleBinding")
CLUSTERED += ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
ACCOUNTING = ("ServiceAccount", "Role", "RoleBinding", "ClusterRoleBinding")
RIGHTS = ("recovery", "recovery-jobs", "chaos", "chaos-nodes", "probe-jobs", "rules-configmaps")
"""The files of dist/rights that stories need."""
ALONE = "homeostat-story-alone"
RESTRICTED: Document = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}


def documents() -> Iterator[Document]:
    """Give what is installed for stories. ConfigMaps of rules are allowed to nobody yet: stories bind that role."""
    for document in manifests(*RIGHTS):
        if (document["kind"], document["metadata"]["name"]) != ("ClusterRoleBinding", "homeostat-rules-configmaps"):
            yield document


def manifests(*rights: str) -> list[Document]:
    """Give what dist/install.yaml has, without the CRDs, and these files of dist/rights, each as a copy of its own.

    An operator for one namespace writes status as if no other were there: in a namespace with the label ALONE.
    """
    found = deepcopy([one for name in ("install", *(f"rights/{right}" for right in rights)) for one in _read(name)])
    for one in found:
        if (one["kind"], one["metadata"]["name"]) == ("ValidatingAdmissionPolicyBinding", "homeostat-memory"):
            others = {"matchExpressions": [{"key": ALONE, "operator": "DoesNotExist"}]}
            one["spec"]["matchResources"] = {"namespaceSelector": others}
    return found


@cache
def _read(name: str) -> tuple[Document, ...]:
    texts = (ROOT / "dist" / f"{name}.yaml").read_text().split("\n---\n")
    read = (yaml.safe_load(text) for text in texts if "\nkind: CustomResourceDefinition\n" not in text)
    return tuple(one for one in read if one)


def grant_rights(api: Api) -> None:
    """Apply everything but the operator itself."""
    for document in documents():
        if document["kind"] != "Deployment":
            apply(api, document)


def install(stage: Stage) -> None:
    """Run the operator as a pod of the stage's own, for the stage's namespace alone."""
    apply(stage.api, RESTRICTED, stage.system)
    for document in _own(stage):
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["args"] += ["--namespaces", stage.namespace]
        apply(stage.api, document)


def deployment_of(stage: Stage) -> Document:
    """Give the Deployment that is installed, for the namespace of the stage's own operator: a restricted one."""
    apply(stage.api, RESTRICTED, stage.system)
    [found] = (one for one in documents() if one["kind"] == "Deployment")
    found["metadata"]["namespace"] = stage.system
    return found


def rightful(stage: Stage) -> Path:
    """Give the stage's own operator, started outside, the rights of dist/ and no others: its kubeconfig."""
    cluster = yaml.safe_load(stage.kubeconfig.read_text())["clusters"][0]["cluster"]
    return kubeconfig_for(stage.folder, cluster["server"], account_of(stage), cluster["certificate-authority-data"])


def account_of(stage: Stage) -> str:
    """Make the accounts of the stage's own operator, with the rights of dist/ and no others; give its token."""
    for document in _own(stage):
        if document["kind"] in ACCOUNTING:
            apply(stage.api, document)
    return token_of(stage.api, stage.system, "homeostat")


def token_of(api: Api, namespace: str, account: str) -> str:
    """Get a token of a ServiceAccount, as `kubectl create token` does."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}

    def granted() -> str | None:
        code, answer = api("POST", path, request)
        return answer["status"]["token"] if code == 201 else None

    return until(granted, f"a token of {account}")


def _own(stage: Stage) -> Iterator[Document]:
    """Give what is installed, in the namespace of the stage's own operator."""
    for document in documents():
        if document["kind"] == "Namespace":
            continue
        if document["kind"] == "ClusterRoleBinding":
            document["metadata"]["name"] += f"-{stage.namespace}"
            stage.cluster_bindings.append(document["metadata"]["name"])
        for subject in document.get("subjects", ()):
            subject["namespace"] = stage.system
        if document["kind"] not in CLUSTERED:
            document["metadata"]["namespace"] = stage.system
        yield document


def apply(api: Api, document: Document, name: str = "") -> None:
    """Apply as `kubectl apply --server-side` does."""
    kind, group = document["kind"].lower(), document["apiVersion"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    namespace = document["metadata"].get("namespace")
    scope = f"namespaces/{namespace}/" if namespace else ""
    root = f"api/{group}" if group == "v1" else f"apis/{group}"
    path = f"/{root}/{scope}{plural}/{name or document['metadata']['name']}?fieldManager=story&force=true"
    code, answer = api("PATCH", path, document, content_type=APPLY)
    assert code < 300, answer
