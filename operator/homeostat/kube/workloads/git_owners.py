"""Who reconciles an object with a Git repository: the marks of Argo CD and Flux, and the fields that they own. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.core.cluster import GitOwner

Raw = Mapping[str, Any]
ARGO_CD, FLUX = "Argo CD", "Flux"

_TRACKING = "argocd.argoproj.io/tracking-id"
"""Annotation `APP:GROUP/KIND:NAMESPACE/NAME` that Argo CD leaves."""
_ARGO_LABEL = "argocd.argoproj.io/instance"
_FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_INSTANCE = "app.kubernetes.io/instance"
"""Argo CD's own label by default, but Helm's as well: it names the Application, and alone proves nothing."""

_ARGO_MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})
_FLUX_MANAGERS = frozenset({"kustomize-controller", "helm-controller"})
_ALL_OF_IT = ("spec",)


def git_owner_of(metadata: Raw) -> GitOwner | None:
    """Say who reconciles an object with Git and which of its fields they set; None when nobody does."""
    tool = _tool(metadata)
    return GitOwner(tool, _name(tool, metadata), _fields(tool, metadata)) if tool else None


def _tool(metadata: Raw) -> str:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    managers = {_tool_of(entry) for entry in metadata.get("managedFields") or ()}
    if _TRACKING in annotations or _ARGO_LABEL in labels:
        return ARGO_CD
    if any(label in labels for label in _FLUX_LABELS):
        return FLUX
    return next((tool for tool in (ARGO_CD, FLUX) if tool in managers), "")


def _name(tool: str, metadata: Raw) -> str:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if tool == FLUX:
        return str(next((labels[label] for label in _FLUX_LABELS if label in labels), ""))
    tracked = str(annotations.get(_TRACKING, "")).partition(":")[0]
    return tracked or str(labels.get(_ARGO_LABEL) or labels.get(_INSTANCE) or "")


def _tool_of(entry: Raw) -> str:
    """Name the tool that a field manager is."""
    manager = str(entry.get("manager", ""))
    if manager in _ARGO_MANAGERS:
        return ARGO_CD
    return FLUX if manager in _FLUX_MANAGERS or manager.startswith("flux") else ""


def _fields(tool: str, metadata: Raw) -> tuple[str, ...]:
    """Name the fields that the tool owns; when nobody's are known, all of spec may be."""
    entries = metadata.get("managedFields")
    if not entries:
        return _ALL_OF_IT
    owned = (entry for entry in entries if _tool_of(entry) == tool and not entry.get("subresource"))
    return tuple(sorted({path for entry in owned for path in _paths(entry.get("fieldsV1") or {})}))


def _paths(fields: Raw) -> Iterator[str]:
    """Give the fields of spec, each as a whole, and single labels and annotations."""
    yield from (f"spec.{name}" for name in _names(fields.get("f:spec")))
    for part in ("labels", "annotations"):
        inside = (fields.get("f:metadata") or {}).get(f"f:{part}")
        yield from (f"metadata.{part}.{name}" for name in _names(inside))


def _names(fields: Raw | None) -> Iterator[str]:
    yield from (key.removeprefix("f:") for key in fields or {} if key.startswith("f:"))
