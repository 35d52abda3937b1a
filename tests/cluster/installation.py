"""deploy/ applied to a cluster: the rights alone for an operator outside, or all of it for one in a pod."""

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


def documents() -> Iterator[Document]:
    """Give all that can be installed, each as a copy of its own."""
    yield from deepcopy(_read())


@cache
def _read() -> tuple[Document, ...]:
    names = ("operator.yaml", "job-probes.yaml", "job-steps.yaml", "node-chaos.yaml")
    return tuple(one for name in names for one in yaml.safe_load_all((ROOT / "deploy" / name).read_text()))


def grant_rights(api: Api) -> None:
    """Apply everything but the operator itself."""
    for document in documents():
        if document["kind"] != "Deployment":
            apply(api, document)


def install(stage: Stage) -> None:
    """Run the operator as a pod of the stage's own, for the stage's namespace alone."""
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    apply(stage.api, {"apiVersion": "v1", "kind": "Namespace", **restricted}, stage.system)
    for document in _own(stage):
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["args"] += ["--namespaces", stage.namespace]
        apply(stage.api, document)


def rightful(stage: Stage) -> Path:
    """Give the stage's own operator, started outside, the rights of deploy/ and no others: its kubeconfig."""
    for document in _own(stage):
        if document["kind"] != "Deployment":
            apply(stage.api, document)
    cluster = yaml.safe_load(stage.kubeconfig.read_text())["clusters"][0]["cluster"]
    token = token_of(stage.api, stage.system, "homeostat")
    return kubeconfig_for(stage.folder, cluster["server"], token, cluster["certificate-authority-data"])


def admit_guards(stage: Stage) -> None:
    """Let undo Pods into the namespace of the stage's own operator, with the rights of deploy/ and no others."""
    for document in _own(stage):
        name = document["metadata"]["name"]
        if document["kind"] not in CLUSTERED[:2] and name.startswith("homeostat-undo"):
            apply(stage.api, document)


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
