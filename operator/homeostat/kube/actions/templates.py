"""Pod templates as revisions hold them: ReplicaSets with a label of their own, ControllerRevisions as a patch."""

from collections.abc import Mapping
from typing import Any

from homeostat.kube.apiserver.resources import CONTROLLER_REVISION, REPLICA_SET

Raw = Mapping[str, Any]

REVISIONS = {
    "Deployment": REPLICA_SET,
    "StatefulSet": CONTROLLER_REVISION,
    "DaemonSet": CONTROLLER_REVISION,
}
"""Where the revisions of each kind of workload are kept."""

_HASH = "pod-template-hash"


def template_of(revision: Raw) -> dict[str, Any]:
    """Give the template that a revision holds, as the workload had it."""
    if "data" in revision:  # of a ControllerRevision
        template = dict(revision["data"]["spec"]["template"])
        template.pop("$patch", None)
        return template
    template = dict(revision["spec"]["template"])
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != _HASH}
    return {**template, "metadata": metadata}


def is_same_template(one: Raw, other: Raw) -> bool:
    """Compare two templates; what is null counts as absent."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, Mapping):
        return {key: _bare(inner) for key, inner in value.items() if inner is not None}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value
