"""What the API server does to an object by its structural schema: unknown fields, defaults, and what is not allowed.

The sentences are not the server's own, which repeat the path twice; verdict and path are.
"""

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from homeostat.interchange.forms import unlike
from homeostat.interchange.schema import Schema

_LARGEST = 2**63
_OBJECT = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
}


class Severity(StrEnum):
    """What a problem means for whoever applies the object."""

    ERROR = "error"  # it is refused, or never runs
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an object, and where: `spec.window.rolling`. `blocks`: rules are not evaluated then."""

    path: str
    message: str
    severity: Severity = Severity.ERROR
    blocks: bool = False


# --- unknown fields -------------------------------------------------------------------------------------


def unknown_fields(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    """Name the fields that the schema has not, each with the nearest that it has."""
    if isinstance(value, dict) and "properties" in schema and _OBJECT not in schema:
        known = schema["properties"]
        for name in value.keys() - known.keys():
            yield Problem(f"{path}.{name}", f"unknown field{nearest(str(name), list(known))}", blocks=True)
    for step, inner, inner_schema in inside(value, schema):
        yield from unknown_fields(inner, inner_schema, path + step)


def inside(value: object, schema: Schema) -> Iterator[tuple[str, object, Schema]]:
    """Give what is in a list or an object and what the schema has a word on, each with its step of the path."""
    if isinstance(value, list):
        yield from ((f"[{index}]", item, schema.get("items", {})) for index, item in enumerate(value))
    elif isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            if name in properties:
                yield f".{name}", inner, properties[name]
            elif others is not None:
                yield f"[{name}]", inner, others


def nearest(name: str, known: Sequence[str]) -> str:
    """Give `; did you mean X?` when a known name is near, else nothing."""
    lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[found[0]]}?" if found else ""


# --- defaults -------------------------------------------------------------------------------------------


def with_defaults(value: Any, schema: Schema) -> Any:  # noqa: ANN401 - what JSON can hold
    """Give a copy with the defaults filled in and nulls taken out, as the server has it before it looks at rules."""
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        missing = {
            name: deepcopy(inner["default"])
            for name, inner in properties.items()
            if "default" in inner and value.get(name) is None
        }
        kept = {name: inner for name, inner in value.items() if inner is not None or not (name in properties or others)}
        return {
            name: with_defaults(inner, properties.get(name, others or {}))
            for name, inner in {**kept, **missing}.items()
        }
    if isinstance(value, list):
        return [with_defaults(inner, schema.get("items", {})) for inner in value]
    if isinstance(value, float) and value.is_integer() and schema.get("type") == "integer":
        return int(value)
    return value


# --- what is not allowed --------------------------------------------------------------------------------


def violations(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    """Say what of a value the schema does not allow; `path` is the value's own."""
    if not _has_type(value, schema):
        wanted = schema.get("type", "integer or string")
        yield Problem(path, f"must be of type {wanted}, not {type_name(value)}{_quoted(value, wanted)}", blocks=True)
        return
    if "enum" in schema and value not in schema["enum"]:
        wanted = ", ".join(f'"{one}"' for one in schema["enum"])
        yield Problem(
            path, f'unsupported value "{value}": one of {wanted}{nearest(str(value), schema["enum"])}', blocks=True
        )
    if isinstance(value, str):
        yield from _of_text(value, schema, path)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from _of_number(value, schema, path)
    elif isinstance(value, list):
        yield from _of_list(value, schema, path)
    elif isinstance(value, dict):
        yield from _of_object(value, schema, path)
    for step, inner, inner_schema in inside(value, schema):
        yield from violations(inner, inner_schema, path + step)


def _has_type(value: object, schema: Schema) -> bool:
    if schema.get(_INT_OR_STRING):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted is None:
        return True
    return isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))


def _quoted(value: object, wanted: str) -> str:
    """Give the hint that YAML takes what has no quotes for a number; "" where that is not it."""
    is_plain = isinstance(value, bool | int | float)
    return f': write it in quotes, "{str(value).lower()}"' if is_plain and wanted == "string" else ""


def type_name(value: object) -> str:
    """Give the JSON type of a value."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _of_text(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxLength", math.inf):
        yield Problem(path, f"too long: at most {schema['maxLength']} characters", blocks=True)
    if len(value) < schema.get("minLength", 0):
        yield Problem(path, f"too short: at least {schema['minLength']} characters")
    if "pattern" in schema and not re2.search(schema["pattern"], value):
        yield Problem(path, f"{_shown(value)} {unlike(schema['pattern'])}")
    if schema.get("format") == "date-time" and moment(value) is None:
        yield Problem(path, f"{_shown(value)} is not a time such as 2026-12-01T00:00:00Z", blocks=True)


def _shown(value: str) -> str:
    return f'"{value}"' if len(value) <= 80 else f'"{value[:80]}…"'  # noqa: PLR2004 - a line of a terminal


def moment(text: str) -> datetime | None:
    """Read an RFC 3339 time; None when it is none."""
    if not re2.search(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$", text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _of_number(value: int, schema: Schema, path: str) -> Iterator[Problem]:
    low, high = schema.get("minimum", -_LARGEST), schema.get("maximum", _LARGEST - 1)
    if value < low or (schema.get("exclusiveMinimum") and value == low):
        yield Problem(path, f"must be {'above' if schema.get('exclusiveMinimum') else 'at least'} {low}")
    if value > high or (schema.get("exclusiveMaximum") and value == high):
        yield Problem(path, f"must be {'below' if schema.get('exclusiveMaximum') else 'at most'} {high}")


def _of_list(value: list[Any], schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxItems", math.inf):
        yield Problem(path, f"too many: at most {schema['maxItems']} items", blocks=True)
    if len(value) < schema.get("minItems", 0):
        yield Problem(path, f"too few: at least {schema['minItems']} items")
    seen: set[str] = set()
    for index, item in enumerate(value):
        identity = _identity(item, schema)
        if identity is not None and identity in seen:
            yield Problem(f"{path}[{index}]", f"duplicate: {identity} is there already", blocks=True)
        seen.add(identity or "")


def _identity(item: object, schema: Schema) -> str | None:
    """Give what must be unique about an item of a set or a map; None where nothing must."""
    if schema.get("x-kubernetes-list-type") == "set":
        return str(item)
    keys = schema.get("x-kubernetes-list-map-keys", ())
    if not keys or not isinstance(item, dict):
        return None
    return ", ".join(f"{key} {item.get(key)}" for key in keys)


def _of_object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Problem]:
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(f"{path}.{name}", "required", blocks=True)
    if len(value) > schema.get("maxProperties", math.inf):
        yield Problem(path, f"too many: at most {schema['maxProperties']} entries", blocks=True)
    if len(value) < schema.get("minProperties", 0):
        yield Problem(path, f"too few: at least {schema['minProperties']} entries")
