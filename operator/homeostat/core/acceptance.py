"""What of a spec the schema accepts and this release cannot do yet: such an object fails closed, whole.

And in which words an object of any kind says that its spec is not accepted.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, get_args

from pydantic.fields import FieldInfo

from homeostat.api.meta import Later, Model

REASON = "NotImplemented"
"""The reason of `Ready=False` on an object that asks for what is not built yet."""
INVALID = "Invalid"
"""The reason of `Ready=False` on an object whose spec cannot be read, or does not hold together."""
INVALID_TIME_ZONE = "InvalidTimeZone"
"""The reason of `Ready=False` on an object that names a time zone which is not known here."""
UNACCEPTED = frozenset({INVALID, REASON})
"""Of any kind: only an edit of the spec ends it. A later release may do so, too, and nobody waits for that."""


def unimplemented(spec: Model) -> tuple[str, ...]:
    """Give the paths, like `spec.probe.dns`, of all fields in use that a later release will make work."""
    return tuple(_in_model(spec, "spec"))


class _Marked(NamedTuple):
    """A field of a model, what it is called outside, and its mark."""

    name: str
    called: str
    later: Later | None
    field: FieldInfo


@cache
def _fields(model: type[Model]) -> tuple[_Marked, ...]:
    """Give the fields of a model; looked up once, as thousands of specs are read at a start."""
    return tuple(_Marked(name, field.alias or name, _mark(field), field) for name, field in model.model_fields.items())


def _in_model(model: Model, path: str) -> Iterator[str]:
    for name, called, later, field in _fields(type(model)):
        value = getattr(model, name)
        if later is None or later.values:
            if value is not None:
                yield from _in_value(value, f"{path}.{called}", later.values if later else ())
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            yield f"{path}.{called}"


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
