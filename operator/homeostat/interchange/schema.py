"""The structural schema of a model, as a CustomResourceDefinition has it.

Pydantic knows what a scalar is; this module knows what the API server wants of the rest: schemas without
references, CEL rules, merge keys, static defaults, and a description on every field.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind, Later, ListMap, ListSet, Model, Rule

BEFORE_FIRST_EVALUATION = {"observedGeneration": -1}
ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "required",
    "properties",
    "additionalProperties",
    "items",
)
LATER = "Not implemented yet: an object that uses it gets Ready=False, reason NotImplemented."

Schema = dict[str, Any]


class UnsupportedError(Exception):
    """A model says something that a structural schema cannot hold."""


def our_schemas(kinds: Sequence[Kind] = KINDS) -> dict[str, Schema]:
    """Give the schemas of whole objects that this release has, by kind."""
    return {kind.kind: root_schema(kind) for kind in kinds}


def root_schema(kind: Kind) -> Schema:
    """Give the schema of whole objects of a kind: spec and status."""
    spec = {"description": _first_sentence(kind.spec)} | schema_of(kind.spec)
    status = {"description": _first_sentence(kind.status), "default": BEFORE_FIRST_EVALUATION}
    status = _ordered(status | schema_of(kind.status, is_status=True))
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
    }


def _first_sentence(model: type[Model]) -> str:
    return (model.__doc__ or "").split("\n\n", maxsplit=1)[0].strip()


def schema_of(annotation: Any, marks: Iterable[Any] = (), *, is_status: bool = False) -> Schema:  # noqa: ANN401
    """Give the structural schema of a type; `marks` are what `Annotated` says about it."""
    kind, marks = _unwrap(annotation, tuple(marks))
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Model):
        schema = _object(kind, is_status=is_status)
    elif origin is tuple:
        schema = _list(kind, marks, is_status=is_status)
    elif origin is dict:
        schema = _map(kind, marks, is_status=is_status)
    else:
        schema = _scalar(kind, marks)
    return _ordered(_with_rules(schema, [mark for mark in marks if isinstance(mark, Rule)]))


def _unwrap(annotation: Any, marks: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401
    """Take off `Annotated` and `| None`: absent is the API's null."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *inner = get_args(annotation)
            marks = (*inner, *marks)
        elif get_origin(annotation) in {Union, UnionType} and type(None) in get_args(annotation):
            annotation = Union[tuple(part for part in get_args(annotation) if part is not type(None))]  # noqa: UP007
        else:
            return annotation, _flat(marks)


def _flat(marks: Iterable[Any]) -> tuple[Any, ...]:
    """Open up `Field(...)`: pydantic keeps its bounds in there."""
    return tuple(part for mark in marks for part in (mark.metadata if isinstance(mark, FieldInfo) else (mark,)))


def _object(model: type[Model], *, is_status: bool) -> Schema:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    schema: Schema = {"type": "object"}
    if required := [name for name, field in fields.items() if field.is_required()]:
        schema["required"] = required
    schema["properties"] = {name: _property(field, is_status=is_status) for name, field in fields.items()}
    return _with_rules(schema, model.rules)


def _property(field: FieldInfo, *, is_status: bool) -> Schema:
    _, marks = _unwrap(field.annotation, tuple(field.metadata))
    sentences = [field.description or "", *(_later(mark) for mark in marks if isinstance(mark, Later))]
    schema: Schema = {"description": " ".join(" ".join(sentences).split())}
    schema |= schema_of(field.annotation, field.metadata, is_status=is_status)
    if not field.is_required() and (not is_status or field.alias == "observedGeneration"):
        default = _static_default(field)
        schema |= {} if default is None else {"default": default}
    return _ordered(schema)


def _later(mark: Later) -> str:
    about = f"{', '.join(mark.values)}: {LATER[0].lower()}{LATER[1:]}" if mark.values else LATER
    return f"{mark.what.rstrip('.')}. {about}" if mark.what else about


def _static_default(field: FieldInfo) -> Any:  # noqa: ANN401
    """Write a default out in full: the API server checks rules on it before it fills in what is inside."""
    default = field.get_default(call_default_factory=True)
    whole: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(whole).dump_python(default, mode="json", by_alias=True, exclude_none=True)


def _list(kind: Any, marks: tuple[Any, ...], *, is_status: bool) -> Schema:  # noqa: ANN401
    item, *more = get_args(kind)
    if more != [...]:
        raise UnsupportedError(f"{kind}: a list is tuple[X, ...]")
    schema = _scalar(tuple[Any, ...], marks)
    schema["items"] = schema_of(item, is_status=is_status)
    keys = [mark.key for mark in marks if isinstance(mark, ListMap)]
    if keys:
        return schema | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    is_set = "enum" in schema["items"] or any(isinstance(mark, ListSet) for mark in marks)
    return schema | {"x-kubernetes-list-type": "set" if is_set else "atomic"}


def _map(kind: Any, marks: tuple[Any, ...], *, is_status: bool) -> Schema:  # noqa: ANN401
    _, value = get_args(kind)
    schema = _scalar(dict[str, Any], marks)
    if value is Any:
        schema.pop("additionalProperties", None)
        return schema | {"x-kubernetes-preserve-unknown-fields": True}
    return schema | {"additionalProperties": schema_of(value, is_status=is_status)}


def _scalar(kind: Any, marks: tuple[Any, ...]) -> Schema:  # noqa: ANN401
    bounds = tuple(mark for mark in marks if not isinstance(mark, Rule | Later | ListMap | ListSet))
    schema: Schema = TypeAdapter(Annotated[kind, *bounds] if bounds else kind).json_schema()
    schema = {name: value for name, value in schema.items() if name not in {"title", "description", "default"}}
    if isinstance(kind, type) and issubclass(kind, Enum):
        schema["type"] = "string"
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in schema:
            schema |= {bound: schema[exclusive], exclusive: True}
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
    if not {"type", "x-kubernetes-int-or-string"} & schema.keys() or schema.get("type") == "number":
        raise UnsupportedError(f"{kind}: {schema} has no exact structural form")
    return schema


def _ordered(schema: Schema) -> Schema:
    """Put the keys in the order of `ORDER`. Raises UnsupportedError for a key that is not in there."""
    if unknown := schema.keys() - set(ORDER):
        raise UnsupportedError(f"{', '.join(sorted(unknown))}: not part of a structural schema")
    return {key: schema[key] for key in ORDER if key in schema}


def _with_rules(schema: Schema, rules: Iterable[Rule]) -> Schema:
    known = schema.pop("x-kubernetes-validations", [])
    new = [
        {"rule": rule.expression, "message": rule.message} | ({"fieldPath": rule.field_path} if rule.field_path else {})
        for rule in rules
    ]
    return schema | ({"x-kubernetes-validations": known + new} if known or new else {})
