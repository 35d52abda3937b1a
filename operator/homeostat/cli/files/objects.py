"""Objects in a file, read as kubectl reads them: YAML for JSON, and no more of it than a person writes."""

import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TextIO

import yaml
from typing_extensions import override

from homeostat.cli.arguments import CommandError

MOST_BYTES: Final = 1_000_000  # of a file of checks
MOST_OBJECTS_BYTES: Final = 20_000_000  # of a file of anything, such as all objectives of a cluster
_MOST_VALUES: Final = 100_000  # of an object: an alias of an alias of … may stand for any number
_MOST_LEVELS: Final = 100
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class BadInput(CommandError):
    """What the user gave cannot be used."""


class _Loader(yaml.SafeLoader):
    """Reads a date as the text that it is in JSON, and refuses a name that is given twice, as kubectl does."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping. Raises a YAMLError for a name that is given twice."""
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode) and name.value != "<<"]
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f'"{twice}" is given twice', node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Given:
    """One object of a file, and where in it: `2` is the second document, `1[3]` the fourth item of a list."""

    path: str
    place: str
    body: Any


def health_checks(path: str) -> Iterator[dict[str, Any]]:
    """Give each HealthCheck of a file ("-": standard input), also those of lists. Raises BadInput."""
    for one in _objects(path, MOST_BYTES):
        if isinstance(one.body, dict) and one.body.get("kind") == "HealthCheck":
            yield _sound(one).body


def objects(path: str) -> Iterator[Given]:
    """Give each object of a file ("-": standard input), whatever it is, also those of lists. Raises BadInput."""
    for one in _objects(path, MOST_OBJECTS_BYTES):
        if one.body is not None:  # nothing between two lines of dashes
            yield _sound(one)


def _sound(one: Given) -> Given:
    fault = _fault(one.body)
    if fault:
        raise BadInput(f"{one.path}: {fault}")
    return one


def _objects(path: str, most: int) -> Iterator[Given]:
    for number, document in enumerate(_documents(path, most), 1):
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list):  # what `kubectl get --output yaml` gives
            yield from (Given(path, f"{number}[{index}]", item) for index, item in enumerate(items))
        elif isinstance(document, list):  # what OpenSLO's own tools write
            yield from (Given(path, f"{number}[{index}]", item) for index, item in enumerate(document))
        else:
            yield Given(path, str(number), document)


def _documents(path: str, most: int) -> list[Any]:
    try:
        with _opened(path) as file:
            text = file.read(most + 1)
        if len(text) > most:
            raise BadInput(f"{path}: larger than {most} characters")
        return list(yaml.load_all(text, _Loader))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8") from error
    except (RecursionError, MemoryError) as error:
        raise BadInput(f"{path}: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number or a date that there is not
        raise BadInput(f"{path}: not YAML: {_without_source(str(error))}") from error


def _without_source(message: str) -> str:
    """Leave out what the parser calls a text that it was handed."""
    return " ".join(message.replace(' in "<unicode string>",', " at").split())


def _opened(path: str) -> "nullcontext[TextIO] | TextIO":
    if path != "-":
        return open(path, encoding="utf-8")  # noqa: PTH123 - a name as it was given
    if sys.stdin is None:  # it was closed before we began
        raise BadInput("-: there is no standard input")
    return nullcontext(sys.stdin)


def _fault(whole: object) -> str:
    """Say why a value is none that JSON could hold, or too much of it; "" when it is one."""
    waiting = [(whole, 0)]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return ""
        value, level = waiting.pop()
        if level > _MOST_LEVELS:
            return "nested too deeply"
        if isinstance(value, dict):
            waiting += ((part, level + 1) for pair in value.items() for part in pair)
        elif isinstance(value, list):
            waiting += ((part, level + 1) for part in value)
        elif not _is_scalar(value):
            return f"a value that JSON has not ({type(value).__name__})"
    return "too large, with all that its aliases stand for"


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    return value is None or (isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value)))
