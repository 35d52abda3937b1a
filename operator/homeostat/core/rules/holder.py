"""The object that holds the rules of an objective: a PrometheusRule, or a ConfigMap where the cluster knows none.

Its labels are those of spec.rules and ours, never those of the objective: a copied label of a GitOps tool would make
the tool believe that the object is its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml
from typing_extensions import override

from homeostat.api.meta import API_VERSION, GROUP
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import Group
from homeostat.core.rules.names import GROUP_PREFIX, digest, object_name

MANAGED_BY, US = "app.kubernetes.io/managed-by", "homeostat"
CONFIG_MAP_LABEL, CONFIG_MAP_VALUE = f"{GROUP}/rules", "prometheus"
"""Selects the ConfigMaps with rules; a PrometheusRule has no need of it."""
DIGEST = f"{GROUP}/rules-digest"
"""The annotation that says what was written."""
MONITORING = "monitoring.coreos.com"


class Holder(StrEnum):
    """The kinds that hold rules."""

    PROMETHEUS_RULE = "PrometheusRule"
    CONFIG_MAP = "ConfigMap"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the cluster shows of an object with rules: metadata only. `digest` is what its annotation says."""

    namespace: str
    name: str
    owner: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class RuleSelector:
    """Which rules a Prometheus of the Prometheus operator loads; `labels` None: none at all."""

    prometheus: str
    labels: Mapping[str, str] | None
    has_expressions: bool = False
    selects_namespaces: bool = False

    def misses(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Give the labels that this Prometheus wants, and an object does not have."""
        return {key: value for key, value in (self.labels or {}).items() if labels.get(key) != value}


def labels_of(holder: Holder, asked: Mapping[str, str]) -> dict[str, str]:
    """Give the labels of the object: what was asked for, and ours."""
    ours = {MANAGED_BY: US} | ({CONFIG_MAP_LABEL: CONFIG_MAP_VALUE} if holder is Holder.CONFIG_MAP else {})
    return {**asked, **ours}


def manifest(holder: Holder, owner: Ref, groups: Sequence[Group], asked: Mapping[str, str]) -> dict[str, Any]:
    """Write the whole object."""
    name, labels = object_name(owner.name), labels_of(holder, asked)
    metadata = {
        "name": name,
        "namespace": owner.namespace,
        "labels": labels,
        "annotations": {DIGEST: wanted_digest(holder, groups, labels)},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid,
                "controller": True, "blockOwnerDeletion": False,
            }
        ],
    }  # fmt: skip
    if holder is Holder.CONFIG_MAP:
        return {"apiVersion": "v1", "kind": holder.value, "metadata": metadata, "data": {_key(name): as_file(groups)}}
    return {
        "apiVersion": f"{MONITORING}/v1",
        "kind": holder.value,
        "metadata": metadata,
        "spec": {"groups": list(groups)},
    }


def as_file(groups: Sequence[Group]) -> str:
    """Write groups as a file of rules."""
    text: str = yaml.dump({"groups": list(groups)}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return text


def wanted_digest(holder: Holder, groups: Sequence[Group], labels: Mapping[str, str]) -> str:
    """Give what stands for the object as it should be."""
    content = as_file(groups) if holder is Holder.CONFIG_MAP else list(groups)
    return digest([content, dict(labels)])


def found_digest(holder: Holder, body: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Give what stands for the object as it is; what others added to it does not count.

    A file is compared as a text and never read: whoever may edit a ConfigMap could make that cost any time and memory.
    """
    metadata = body.get("metadata") or {}
    found = {key: value for key, value in (metadata.get("labels") or {}).items() if key in labels}
    if holder is Holder.CONFIG_MAP:
        return digest([(body.get("data") or {}).get(_key(metadata.get("name", ""))), found])
    return digest([groups_of_ours(body), found])


def groups_of_ours(body: Mapping[str, Any]) -> list[Any]:
    """Give those groups of a PrometheusRule that only we can have written."""
    groups = (body.get("spec") or {}).get("groups") or ()
    return [group for group in groups if str(group.get("name", "")).startswith(GROUP_PREFIX)]


def standing(body: Mapping[str, Any]) -> Standing:
    """Read what the metadata of an object with rules says."""
    metadata = body["metadata"]
    return Standing(
        metadata.get("namespace", ""),
        metadata["name"],
        owner_uid(metadata),
        metadata.get("resourceVersion", ""),
        (metadata.get("annotations") or {}).get(DIGEST, ""),
    )


def owner_uid(metadata: Mapping[str, Any]) -> str:
    """Give the uid of the objective that controls an object; "" when none does."""
    for owner in metadata.get("ownerReferences") or ():
        is_ours = owner.get("kind") == "ServiceLevelObjective" and owner.get("apiVersion", "").startswith(f"{GROUP}/")
        if is_ours and owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


def _key(name: str) -> str:
    return f"{name}.rules.yaml"


_Fast: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fast):  # type: ignore[misc,valid-type]
    """Writes texts of several lines as such, and nothing by reference."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        """Write out in full what is there twice."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
