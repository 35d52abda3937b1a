"""How an object of the cluster is named."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ref:
    """One object of the cluster, down to its incarnation (`uid`). Namespace is "" for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str
    uid: str
