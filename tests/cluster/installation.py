"""deploy/ applied to a cluster: the rights alone for an operator outside, or all of it for one in a pod."""

from collections.abc import Iterator
from typing import Any

import yaml

from cluster.operator_process import ROOT
from cluster.stage import APPLY, Api, Stage

Document = dict[str, Any]
CLUSTERED = ("Namespace", "ClusterRole", "ClusterRoleBinding")
CLUSTERED += ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def documents() -> Iterator[Document]:
    """Read all that can be installed."""
    for name in ("operator.yaml", "job-probes.yaml"):
        yield from yaml.safe_load_all((ROOT / "deploy" / name).read_text())


def grant_rights(api: Api) -> None:
    """Apply everything but the operator itself."""
    for document in documents():
        if document["kind"] != "Deployment":
            apply(api, document)


def install(stage: Stage) -> None:
    """Run the operator as a pod of the stage's own, for the stage's namespace alone."""
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    apply(stage.api, {"apiVersion": "v1", "kind": "Namespace", **restricted}, stage.system)
    for document in documents():
        if document["kind"] == "Namespace":
            continue
        if document["kind"] == "ClusterRoleBinding":
            document["metadata"]["name"] += f"-{stage.namespace}"
            stage.cluster_bindings.append(document["metadata"]["name"])
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["args"] += ["--namespaces", stage.namespace]
        for subject in document.get("subjects", ()):
            subject["namespace"] = stage.system
        if document["kind"] not in CLUSTERED:
            document["metadata"]["namespace"] = stage.system
        apply(stage.api, document)


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
