"""What of a spec the schema accepts and this release cannot do yet: such an object fails closed, whole."""

from collections.abc import Iterator
from typing import get_args

from pydantic.fields import FieldInfo

from homeostat.api.meta import Later, Model

REASON = "NotImplemented"
"""The reason of `Ready=False` on an object that asks for what is not built yet."""


def unimplemented(spec: Model) -> tuple[str, ...]:
    """Give the paths, like `spec.probe.dns`, of all fields in use that a later release will make work."""
    return tuple(_in_model(spec, "spec"))


def _in_model(model: Model, path: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        inner = f"{path}.{field.alias or name}"
        later = _mark(field)
        if later is None or later.values:
            yield from _in_value(value, inner, later.values if later else ())
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            yield inner


def _in_value(value: object, path: str, values: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Model):
        yield from _in_model(value, path)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _in_value(item, f"{path}[{index}]", values)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _in_value(item, f"{path}.{key}", values)
    elif value in values:
        yield path


def _mark(field: FieldInfo) -> Later | None:
    """Find the mark on the field itself or on a member of its union: `Annotated[X, Later()] | None`."""
    members = [extra for part in get_args(field.annotation) for extra in getattr(part, "__metadata__", ())]
    return next((mark for mark in (*field.metadata, *members) if isinstance(mark, Later)), None)
