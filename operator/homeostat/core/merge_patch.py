"""Merge patches (RFC 7396) as pure functions: apply one, find the one between two documents, read what one names.

`apply(before, difference(before, after)) == after` for all documents without nulls in their objects, which is what
Kubernetes holds: in a merge patch, null means absent.
"""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def apply(document: Document, patch: Document) -> dict[str, Any]:
    """Give the document with the patch applied; objects are merged, all else is replaced, null removes."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = apply(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def difference(before: Document, after: Document) -> dict[str, Any]:
    """Give the smallest patch that makes `before` into `after`."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if key in before and same(known, value):
            continue
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            patch[key] = difference(known, value)
        else:
            patch[key] = value
    return patch


def merged(patch: Document, other: Document) -> dict[str, Any]:
    """Put two patches into one; where both name a field, `other` has the say."""
    both = dict(patch)
    for key, value in other.items():
        known = both.get(key)
        is_deeper = isinstance(known, Mapping) and isinstance(value, Mapping)
        both[key] = merged(known, value) if is_deeper else value  # type: ignore[arg-type]
    return both


def named(document: Document, shape: Document) -> dict[str, Any]:
    """Read those fields of a document that a shape names (None: all that is there); absent ones are None."""
    return {key: _named(document.get(key), inner) for key, inner in shape.items()}


def shape(there: Document, back: Document) -> dict[str, Any]:
    """Name the fields of two patches that undo each other, down to where one of them has a value.

    Not further: what others add later to an object that a patch made is no part of the patch, and must be seen.
    """
    return {key: _shape(value, back.get(key)) for key, value in there.items()}


def same(one: object, other: object) -> bool:
    """Compare as JSON does: 1 is not true, which Python takes for equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _shape(there: Any, back: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any JSON
    return shape(there, back) if isinstance(there, Mapping) and isinstance(back, Mapping) else None


def _named(value: Any, inner: Any) -> Any:  # noqa: ANN401 - any JSON
    """Read one field; of what is no object, no part can be read, and it is given as it is."""
    return named(value, inner) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
