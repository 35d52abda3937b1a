"""What the API server says of an object's kind and metadata."""

import re
from collections.abc import Iterator
from typing import Any, Final

from homeostat.api.kinds import KINDS
from homeostat.api.meta import API_VERSION, GROUP, Kind
from homeostat.interchange.structural import Problem, nearest

KNOWN: Final = {kind.kind: kind for kind in KINDS}
_FIELDS: Final = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
    "managedFields",
)  # fmt: skip
MOST_NAME, MOST_LABEL = 253, 63
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A name of objects: a DNS subdomain."""
LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""A name of namespaces: a DNS label."""
_KEY = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
_MOST_ANNOTATIONS = 256 * 1024


def is_ours(body: object) -> bool:
    """Whether an object means to be one of our kinds, whatever else is wrong with it."""
    version = body.get("apiVersion") if isinstance(body, dict) else None
    return isinstance(version, str) and version.partition("/")[0] == GROUP


def kind_of(body: dict[str, Any]) -> Kind | Problem:
    """Give the kind of an object of our group, or say why it has none."""
    if body.get("apiVersion") != API_VERSION:
        return Problem("apiVersion", f"no such version: {body.get('apiVersion')}; it is {API_VERSION}")
    name = str(body.get("kind", ""))
    return KNOWN.get(name) or Problem("kind", f"no such kind: {name}{nearest(name, list(KNOWN))}")


def metadata_problems(body: dict[str, Any], kind: Kind) -> Iterator[Problem]:
    """Say what of an object's metadata the server would not have."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        yield Problem("metadata", "required")
        return
    for field in metadata:
        if field not in _FIELDS:
            yield Problem(f"metadata.{field}", f"unknown field{nearest(str(field), _FIELDS)}")
    yield from _name_problems(metadata, kind)
    yield from _pairs_problems(metadata, "labels", is_label=True)
    yield from _pairs_problems(metadata, "annotations", is_label=False)


def _name_problems(metadata: dict[str, Any], kind: Kind) -> Iterator[Problem]:
    name, prefix, namespace = (metadata.get(field) for field in ("name", "generateName", "namespace"))
    if not name and not prefix:
        yield Problem("metadata.name", "name or generateName is required")
    elif name and not is_name(name):
        yield Problem("metadata.name", f'"{name}" is no DNS subdomain: a-z, 0-9, - and ., at most {MOST_NAME} of them')
    if namespace and not kind.is_namespaced:
        yield Problem("metadata.namespace", f"a {kind.kind} is in no namespace")
    elif namespace and not is_label_name(namespace):
        yield Problem(
            "metadata.namespace", f'"{namespace}" is no DNS label: a-z, 0-9 and -, at most {MOST_LABEL} of them'
        )


def is_name(name: object) -> bool:
    """Whether an object can be called so."""
    return isinstance(name, str) and len(name) <= MOST_NAME and NAME.fullmatch(name) is not None


def is_label_name(name: object) -> bool:
    """Whether a namespace or a service can be called so."""
    return isinstance(name, str) and len(name) <= MOST_LABEL and LABEL_NAME.fullmatch(name) is not None


def _pairs_problems(metadata: dict[str, Any], field: str, *, is_label: bool) -> Iterator[Problem]:
    pairs = metadata.get(field)
    if pairs is None:
        return
    if not isinstance(pairs, dict):
        yield Problem(f"metadata.{field}", "must be of type object")
        return
    for key, value in pairs.items():
        path = f"metadata.{field}[{key}]"
        if not is_qualified(key):
            yield Problem(path, "not a name that a label or annotation can have")
        if not isinstance(value, str):
            yield Problem(path, "must be of type string")
        elif is_label and not is_label_value(value):
            yield Problem(path, f'"{value}" is no value of a label: A-Z, a-z, 0-9, -, _ and ., at most {MOST_LABEL}')
    if sum(len(str(key)) + len(str(value)) for key, value in pairs.items()) > _MOST_ANNOTATIONS:
        yield Problem(f"metadata.{field}", "too large: at most 256 KiB")


def is_qualified(key: object) -> bool:
    """Whether a label or annotation can be called so: `team` or `example.com/team`."""
    if not isinstance(key, str):
        return False
    prefix, slash, name = key.rpartition("/")
    is_fine = len(name) <= MOST_LABEL and _KEY.fullmatch(name) is not None
    return is_fine and (not slash or is_name(prefix))


def is_label_value(value: str) -> bool:
    """Whether a label can have this value."""
    return len(value) <= MOST_LABEL and _VALUE.fullmatch(value) is not None
