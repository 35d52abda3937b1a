"""The apiVersion of a kind by its name. A module of its own, for it takes the models of all our kinds to know ours."""

from homeostat.api.kinds import KINDS
from homeostat.api.meta import API_VERSION
from homeostat.kube.apiserver.resources import JOB, NAMESPACE, NODE, POD, REPLICA_SET, SERVICE, WORKLOADS

_OTHERS = {
    "Pod": POD.api_version,
    "Namespace": NAMESPACE.api_version,
    "Node": NODE.api_version,
    "Service": SERVICE.api_version,
    "Job": JOB.api_version,
    "CronJob": JOB.api_version,
    "ReplicaSet": REPLICA_SET.api_version,
}
_OURS = frozenset(kind.kind for kind in KINDS)


def api_version_of(kind: str) -> str:
    """Give the apiVersion of a kind by its name; "" for one that is neither Kubernetes' own nor ours."""
    known = WORKLOADS.get(kind)
    return known.api_version if known else _OTHERS.get(kind, API_VERSION if kind in _OURS else "")
