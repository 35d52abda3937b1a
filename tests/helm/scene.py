"""A release of homeostat in a cluster, installed by Helm, and the namespaces of those who use it."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from cluster.manifests import SHOP, objective
from cluster.stage import Api, Stage
from cluster.waiting import until
from helm.tool import CHART, Done, Helm, Values, merged

SYSTEM = "homeostat-system"
NAME = "homeostat"
BASE: Values = {"image": {"registry": "homeostat.dev", "repository": "operator", "tag": "dev"}}
ACTING: Values = {"recovery": {"enabled": True}, "chaos": {"enabled": True}}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
CLUSTER_WIDE = (
    f"{RBAC}/clusterroles",
    f"{RBAC}/clusterrolebindings",
    f"{ADMISSION}/validatingadmissionpolicies",
    f"{ADMISSION}/validatingadmissionpolicybindings",
)
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
OPTED_IN = {"homeostat.dev/chaos": "allowed"}
MINUTES = "4m"


@dataclass
class Release:
    """One release: what Helm does with it, and what its operator says."""

    helm: Helm
    api: Api
    name: str = NAME
    namespace: str = SYSTEM

    def install(self, *values: Values, flags: tuple[str, ...] = (), chart: Path = CHART) -> Done:
        """Install it, or upgrade it to these values and no others, and wait until it is ready."""
        how = ("--wait", "--timeout", MINUTES, "--reset-values", *flags)
        told = merged(BASE, *values)
        return self.helm.run("upgrade", "--install", self.name, str(chart), *self._where(), *how, values=told)

    def refused(self, *values: Values, flags: tuple[str, ...] = ()) -> str:
        """Try to install it, and give Helm's words, for it must not succeed."""
        told = merged(BASE, *values)
        return self.helm.refused("upgrade", "--install", self.name, str(CHART), *self._where(), *flags, values=told)

    def uninstall(self, *flags: str) -> Done:
        """Take it away, and wait until it is gone."""
        return self.helm.run("uninstall", self.name, "-n", self.namespace, "--wait", "--timeout", MINUTES, *flags)

    def is_there(self) -> bool:
        """Whether Helm knows of it."""
        return any((one["name"], one["namespace"]) == (self.name, self.namespace) for one in self.helm.releases())

    def notes(self) -> list[str]:
        """Give the commands that it tells whoever installed it to type next."""
        told = self.helm.run("get", "notes", self.name, "-n", self.namespace).stdout
        return re.findall(r"^ {3}(\S.*)$", told, re.MULTILINE)

    def _where(self) -> tuple[str, ...]:
        """Name its namespace, which whoever is no administrator cannot make."""
        return ("-n", self.namespace) if self.helm.user else ("-n", self.namespace, "--create-namespace")

    # --- its operator ---------------------------------------------------------------------------------------

    def leader(self) -> str:
        """Name who leads; "" when nobody does."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/homeostat-leader"
        code, lease = self.api("GET", path)
        return str(lease.get("spec", {}).get("holderIdentity") or "") if code == 200 else ""

    def pods(self) -> list[dict[str, Any]]:
        """Give the operator's pods that are not on their way out."""
        selector = f"app.kubernetes.io/instance={self.name}"
        found = self.api("GET", f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")[1]["items"]
        return [
            one
            for one in found
            if "deletionTimestamp" not in one["metadata"] and one["spec"]["containers"][0]["name"] == "operator"
        ]

    def until_leads(self) -> str:
        """Wait until one of its pods leads, and give its name."""
        return until(
            lambda: next(
                (one["metadata"]["name"] for one in self.pods() if one["metadata"]["name"] == self.leader()), ""
            ),
            f"a pod of {self.name} in {self.namespace} leads",
        )

    def words(self) -> str:
        """Give what its pods have logged."""
        paths = (f"/api/v1/namespaces/{self.namespace}/pods/{one['metadata']['name']}/log" for one in self.pods())
        return "\n".join(self.api("GET", path, accept="*/*")[1].get("text", "") for path in paths)

    def lines(self) -> list[dict[str, Any]]:
        """Give the lines of the log."""
        return [json.loads(line) for line in self.words().splitlines() if line.startswith("{") and line.endswith("}")]

    def metrics(self) -> str:
        """Give the metrics of its only pod."""
        (pod,) = self.pods()
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        return str(self.api("GET", path, accept="text/plain")[1].get("text", ""))


@dataclass
class House(Stage):
    """A user's namespace, which an operator in some other namespace serves."""

    operator_namespace: str = SYSTEM

    @property
    @override
    def system(self) -> str:
        return self.operator_namespace


@dataclass
class Estate:
    """Makes namespaces and releases for a test, and takes them away again."""

    api: Api
    helm: Helm
    kubeconfig: Path
    folder: Path
    made: list[str] = field(default_factory=list)

    def namespace(self, name: str = "", labels: Mapping[str, str] = OPTED_IN) -> str:
        """Make a namespace that takes pods, if it is not there."""
        name = name or f"user-{uuid.uuid4().hex[:8]}"
        until(lambda: "deletionTimestamp" not in self._metadata(name), f"an older {name} is gone")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        code, answer = self.api("POST", "/api/v1/namespaces", body)
        assert code in {201, 409}, answer
        until(
            lambda: self.api("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200,
            f"{name} takes pods",
        )
        self.made.append(name)
        return name

    def house(self, system: str = SYSTEM) -> House:
        """Make a namespace of a user, who lets faults in."""
        return House(self.api, self.kubeconfig, self.namespace(), self.folder, operator_namespace=system)

    def release(self, name: str, namespace: str) -> Release:
        """Speak of a release, which need not be there."""
        return Release(self.helm, self.api, name, namespace)

    def clear(self) -> None:
        """Have the namespaces deleted; without an operator nothing of ours may hold them."""
        for name in self.made:
            self.api("DELETE", f"/api/v1/namespaces/{name}")

    def clean(self) -> None:
        """Have nothing of homeostat in the cluster: no release, no namespace of one, no CRD."""
        for one in self.helm.releases():
            self.helm.run("uninstall", one["name"], "-n", one["namespace"], "--no-hooks", "--wait", check=False)
        for name in self.ours(CRDS):
            self.api("DELETE", f"{CRDS}/{name}")
        for path in CLUSTER_WIDE:
            for name in self.ours(path):
                self.api("DELETE", f"{path}/{name}")
        self.api("DELETE", f"/api/v1/namespaces/{SYSTEM}")
        until(lambda: not self.ours(CRDS), "the CRDs are gone")
        until(lambda: not self._metadata(SYSTEM), f"{SYSTEM} is gone")

    def make_way(self) -> None:
        """Have no release but the cluster-wide one that stories share: what others have installed is in its way."""
        if any((one["name"], one["namespace"]) != (NAME, SYSTEM) for one in self.helm.releases()):
            self.clean()

    def ours(self, path: str) -> list[str]:
        """Name what is ours in a collection of the whole cluster."""
        names = [one["metadata"]["name"] for one in self.api("GET", path)[1]["items"]]
        return [name for name in names if name.startswith("homeostat-") or name.endswith(".homeostat.dev")]

    def until_gone(self, name: str) -> None:
        """Delete a namespace, and wait until nothing is left of it: no finalizer of ours keeps it."""
        self.api("DELETE", f"/api/v1/namespaces/{name}")
        try:
            until(lambda: not self._metadata(name), f"the namespace {name} is gone")
        except AssertionError as error:
            error.add_note(json.dumps(self.api("GET", f"/api/v1/namespaces/{name}")[1].get("status", {}), indent=1))
            raise

    def _metadata(self, name: str) -> dict[str, Any]:
        metadata: dict[str, Any] = self.api("GET", f"/api/v1/namespaces/{name}")[1].get("metadata", {})
        return metadata if metadata.get("name") else {}


def opens_with_a_row(house: House, kubectl: Callable[..., Done]) -> str:
    """Open a shop of one pod with a check and an objective, and wait until `kubectl get slo` shows figures."""
    house.open_shop(objective(), replicas=1)
    return until_row(house, kubectl)


def until_row(house: House, kubectl: Callable[..., Done], name: str = SHOP) -> str:
    """Wait until `kubectl get slo` shows a row with a figure in it, and give the row."""

    def look() -> str:
        text = kubectl("get", "slo", "-n", house.namespace, "--no-headers").stdout
        row = next((line for line in text.splitlines() if line.split()[:1] == [name]), "")
        return row if has_figures(row) else ""

    return until(look, f"a row of {name} in {house.namespace} shows figures")


def has_figures(row: str) -> bool:
    """Whether a row has an objective, an SLI and a budget: three figures in a row; the service may be empty."""
    return bool(re.search(r"(?:\s+\d[\d.]*){3}", row))
