"""The CEL rules of our schemas, evaluated as the API server does, without one.

The evaluator is a library; what Kubernetes adds to CEL (URLs, strings) is registered here. The expressions are ours
and few, what they look into was bounded by the schema first: this runs in the process of a command, not in the
confinement that expressions of tenants need.
"""

import re
import sys
from collections.abc import Collection, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from homeostat.interchange.schema import Schema
from homeostat.interchange.structural import Problem, inside, moment

_RULES = "x-kubernetes-validations"
_SIZE = re.compile(r"\bsize\(")
_REQUEST_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/|/)[^\x00-\x1f\x7f]*")
_RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def broken_rules(value: object, schema: Schema, path: str, told: Collection[str] = frozenset()) -> Iterator[Problem]:
    """Evaluate the rules of a value and of all inside it; it must have its defaults and be what the schema allows.

    A rule that cannot be evaluated says nothing where something is `told` already of what it looks into: paths.
    """
    rules = schema.get(_RULES, ())
    if rules:
        self = _for_cel(value, schema)
        for rule in rules:
            holds = _holds(rule["rule"], self)
            if holds is None and any(one == path or one.startswith((f"{path}.", f"{path}[")) for one in told):
                continue
            if not holds:
                yield Problem(path + rule.get("fieldPath", ""), rule["message"])
    for name, inner, inner_schema in inside(value, schema):
        yield from broken_rules(inner, inner_schema, path + name, told)


def _holds(expression: str, self: object) -> bool | None:
    """Say whether a rule holds; None when it cannot be evaluated, for which the server refuses the object, too."""
    context = _context()
    context.update({"self": self})
    try:
        return program(expression).execute(context) is True
    except Exception:  # noqa: BLE001 - whatever the library raises: the text of it would help nobody
        return None


def _for_cel(value: Any, schema: Schema) -> Any:  # noqa: ANN401 - what JSON can hold
    """Give a value as a rule sees it: times are timestamps, and names that CEL could not say are escaped."""
    if isinstance(value, dict):
        properties, others = schema.get("properties"), schema.get("additionalProperties", {})
        if properties is None:
            return {name: _for_cel(inner, others) for name, inner in value.items()}
        return {
            _escaped(name): _for_cel(inner, properties[name]) for name, inner in value.items() if name in properties
        }
    if isinstance(value, list):
        return [_for_cel(item, schema.get("items", {})) for item in value]
    if isinstance(value, str) and schema.get("format") == "date-time":
        return moment(value)
    return value


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    for sign, escape in _ESCAPES:
        name = name.replace(sign, escape)
    return name


# --- the evaluator --------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def program(expression: str) -> Any:  # noqa: ANN401 - the library's type
    """Compile an expression. Raises ValueError."""
    return _library().compile(_SIZE.sub("sizeOf(", expression))  # the library's own counts bytes of a text


@lru_cache(maxsize=1)
def _context() -> Any:  # noqa: ANN401 - the library's type
    context = _library().Context()
    for name, function in FUNCTIONS.items():
        context.add_function(name, function)
    return context


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401 - the library
    """Import the evaluator without its command line, which would take three times the memory and 0.2 s."""
    sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
    import cel  # noqa: PLC0415 - only for those who evaluate

    return cel


def _is_url(text: str) -> bool:
    """Whether Go's `url.ParseRequestURI` takes it: an absolute URI, or an absolute path."""
    if not _REQUEST_URI.fullmatch(text) or re.search(r"%(?![0-9A-Fa-f]{2})", text.partition("?")[0]):
        return False
    try:
        parts = urlsplit(text)
        is_port_fine = parts.port is None or parts.port >= 0  # it raises what it has against a port
    except ValueError:  # nor do brackets match, maybe
        return False
    return is_port_fine and not re.search(r"[\s<>\"]", parts.netloc)


def _parts(url: str) -> SplitResult:
    if not _is_url(url):
        raise ValueError(f"URL parse error during conversion from string: {url}")
    return urlsplit(url)


def _url(text: str) -> str:
    _parts(text)
    return text


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    return text.replace(old, new, most)


FUNCTIONS: Final = {
    "sizeOf": len,
    "replace": _replace,
    "trim": str.strip,
    "lowerAscii": lambda text: "".join(one.lower() if one.isascii() else one for one in text),
    "upperAscii": lambda text: "".join(one.upper() if one.isascii() else one for one in text),
    "isURL": _is_url,
    "url": _url,
    "getScheme": lambda url: _parts(url).scheme,
    "getHost": lambda url: _parts(url).netloc.rpartition("@")[2],
    "getHostname": lambda url: _parts(url).hostname or "",
    "getPort": lambda url: str(_parts(url).port or ""),
}
"""What Kubernetes knows and the library does not; a URL is held as its text."""
