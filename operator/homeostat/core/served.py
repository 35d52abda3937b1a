"""Whether the definitions (CRDs) that a cluster serves are older than the operator.

An API server prunes what its schema does not know, and says nothing: a status loses fields, a wish in spec is never
seen. So it is looked for what our schemas have and the served ones have not. More than ours is no fault: it is newer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

MOST_SHOWN = 5
"""So many missing fields are named; the rest are counted."""
REMEDY = (
    "kubectl apply --server-side -f crds/ (of this release), or helm upgrade with the chart of this release and "
    "crds.enabled"
)


@dataclass(frozen=True, slots=True)
class Outdated:
    """A kind that is served in an older form. `missing`: the first field paths that lack; `count`: of how many.

    A kind that is not served at all has no path.
    """

    kind: str
    missing: tuple[str, ...] = ()
    count: int = 0

    @property
    def words(self) -> str:
        """Say what is missing."""
        if not self.missing:
            return f"{self.kind}: not served"
        more = f" and {self.count - len(self.missing)} more" if self.count > len(self.missing) else ""
        return f"{self.kind}: without {', '.join(self.missing)}{more}"


def outdated(served: Mapping[str, Schema], ours: Mapping[str, Schema]) -> tuple[Outdated, ...]:
    """Give the kinds whose served schema lacks fields or values of ours; both map kinds to schemas of whole objects."""
    found = (_compared(kind, served.get(kind), schema) for kind, schema in ours.items())
    return tuple(one for one in found if one is not None)


def schemas_of(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Give the schemas by kind of an OpenAPI v3 document, as an API server serves it for a group and version."""
    found: dict[str, Schema] = {}
    for schema in (document.get("components") or {}).get("schemas", {}).values():
        for one in schema.get("x-kubernetes-group-version-kind") or ():
            if "spec" in (schema.get("properties") or {}):
                found[one["kind"]] = schema
    return found


def _compared(kind: str, served: Schema | None, ours: Schema) -> Outdated | None:
    if served is None:
        return Outdated(kind)
    parts = {name: schema for name, schema in ours["properties"].items() if name in {"spec", "status"}}
    known = served.get("properties") or {}
    missing = [path for name, schema in parts.items() for path in _missing(known.get(name), schema, name)]
    return Outdated(kind, tuple(missing[:MOST_SHOWN]), len(missing)) if missing else None


def _missing(served: Schema | None, ours: Schema, path: str) -> Iterator[str]:
    """Name what of a schema is not served: fields, and values of enumerations. Below what is missing nothing is."""
    if served is None:
        yield path
        return
    if served.get("x-kubernetes-preserve-unknown-fields"):
        return
    for value in ours.get("enum", ()) if "enum" in served else ():
        if value not in served["enum"]:
            yield f"{path}={value}"
    for name, schema in (ours.get("properties") or {}).items():
        yield from _missing((served.get("properties") or {}).get(name), schema, f"{path}.{name}")
    if isinstance(ours.get("items"), Mapping):
        yield from _missing(served.get("items"), ours["items"], f"{path}[]")
    if isinstance(ours.get("additionalProperties"), Mapping):
        yield from _missing(served.get("additionalProperties"), ours["additionalProperties"], f"{path}.*")
