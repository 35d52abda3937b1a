"""Where each kind lives in the API: version, plural and paths."""

from dataclasses import dataclass
from urllib.parse import quote

from homeostat.api.meta import API_VERSION, Kind


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API."""

    api_version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """Give the path of a collection (no name), an object, or a sub-resource of it; no namespace means all."""
        group = "/api/" if "/" not in self.api_version else "/apis/"
        scope = f"/namespaces/{quote(namespace, safe='')}" if self.is_namespaced and namespace else ""
        tail = "".join(f"/{quote(part, safe='')}" for part in (name, sub) if part)
        return f"{group}{self.api_version}{scope}/{self.plural}{tail}"


POD = Resource("v1", "pods")
NAMESPACE = Resource("v1", "namespaces", is_namespaced=False)
NODE = Resource("v1", "nodes", is_namespaced=False)
SERVICE = Resource("v1", "services")
SECRET = Resource("v1", "secrets")
VOLUME_CLAIM = Resource("v1", "persistentvolumeclaims")
JOB = Resource("batch/v1", "jobs")
REPLICA_SET = Resource("apps/v1", "replicasets")
CONTROLLER_REVISION = Resource("apps/v1", "controllerrevisions")
DISRUPTION_BUDGET = Resource("policy/v1", "poddisruptionbudgets")
LEASE = Resource("coordination.k8s.io/v1", "leases")
EVENT = Resource("events.k8s.io/v1", "events")
CONFIG_MAP = Resource("v1", "configmaps")
PROMETHEUS_RULE = Resource("monitoring.coreos.com/v1", "prometheusrules")
PROMETHEUS = Resource("monitoring.coreos.com/v1", "prometheuses")
ACCESS_REVIEW = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews", is_namespaced=False)
TOKEN_REVIEW = Resource("authentication.k8s.io/v1", "tokenreviews", is_namespaced=False)
SUBJECT_ACCESS_REVIEW = Resource("authorization.k8s.io/v1", "subjectaccessreviews", is_namespaced=False)

WORKLOADS = {
    "Deployment": Resource("apps/v1", "deployments"),
    "StatefulSet": Resource("apps/v1", "statefulsets"),
    "DaemonSet": Resource("apps/v1", "daemonsets"),
}
"""The kinds that `core.cluster.Workload` can be."""


def resource_of(kind: Kind) -> Resource:
    """Give the resource of one of our own kinds."""
    return Resource(API_VERSION, kind.plural, kind.is_namespaced)
