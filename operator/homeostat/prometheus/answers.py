"""What Prometheus answers, read strictly: a vector, a matrix or groups of rules, or why there is none. Pure.

Nothing of an answer is repaired: what Prometheus never writes is no answer. What a text would become in memory is
bounded before it is parsed.
"""

import json
import re
from itertools import pairwise
from math import isfinite
from typing import Any, Final, NoReturn

from homeostat.core.prometheus.answer import Failure, Line, LoadedGroup, Matrix, Sample, Trouble, Vector

MOST_PARTS: Final = 200_000
"""Objects and lists that an answer may have: 32 MB while it is read."""
MOST_COMMAS: Final = 500_000

# The longest float is 1.8e308 with an exponent, 310 characters without one.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,350}(?:\.[0-9]{1,350})?(?:[eE][+-]?[0-9]{1,3})?|Inf)|NaN")
_PAIR: Final = 2  # time and value
_REFUSED: Final = frozenset({400, 422})
_NOT_PERMITTED: Final = frozenset({401, 403})
_OK: Final = 200
_TOOK_TOO_LONG: Final = frozenset({"timeout", "canceled"})
_REMARK: Final = "PromQL "  # Prometheus 3 puts remarks on the query itself beside warnings about data

_NO_ANSWER: Final = Failure(Trouble.UNAVAILABLE)
_NO_NUMBER: Final = Failure(Trouble.INVALID_QUERY)


class _Unreadable(Exception):
    """The answer is not one that Prometheus gives."""


def vector_of(status: int, body: bytes) -> Vector | Failure:
    """Read the answer to an instant query; a scalar is a vector of one sample without labels."""
    data = _data(status, body)
    if isinstance(data, Failure):
        return data
    (kind, result), is_partial = data
    try:
        if kind == "scalar":
            return Vector((Sample(_value(result)),), is_partial)
        if kind != "vector":
            return _NO_NUMBER if kind in {"matrix", "string"} else _NO_ANSWER
        if any("histogram" in _object(element) for element in result):
            return _NO_NUMBER
        samples = tuple(Sample(_value(element.get("value")), _labels(element)) for element in result)
        _require_distinct(samples)
    except _Unreadable:
        return _NO_ANSWER
    return Vector(samples, is_partial)


def matrix_of(status: int, body: bytes) -> Matrix | Failure:
    """Read the answer to a range query."""
    data = _data(status, body)
    if isinstance(data, Failure):
        return data
    (kind, result), is_partial = data
    if kind != "matrix":
        return _NO_ANSWER
    try:
        if any("histograms" in _object(element) for element in result):
            return _NO_NUMBER
        lines = tuple(Line(_points(element.get("values")), _labels(element)) for element in result)
        _require_distinct(lines)
    except _Unreadable:
        return _NO_ANSWER
    return Matrix(lines, is_partial)


def groups_of(status: int, body: bytes) -> tuple[LoadedGroup, ...] | Failure:
    """Read which groups of rules are loaded."""
    answer = _answer(status, body)
    if isinstance(answer, Failure):
        return answer
    match answer:
        case {"data": {"groups": list(groups)}}:
            pass
        case _:
            return _NO_ANSWER
    try:
        return tuple(_group(group) for group in groups)
    except _Unreadable:
        return _NO_ANSWER


# --- the frame of an answer -----------------------------------------------------------------------------


def _answer(status: int, body: bytes) -> dict[str, Any] | Failure:
    """Give an answer that says success; what the status alone says comes first."""
    if status in _NOT_PERMITTED:
        return Failure(Trouble.NOT_PERMITTED)
    if _is_too_large(body):
        return Failure(Trouble.TOO_LARGE)
    try:
        answer = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError, _Unreadable):  # ValueError: also bytes that are no text, and endless integers
        return _NO_ANSWER
    match answer:
        case {"status": "success"} if status == _OK:
            return dict(answer)
        case {"status": "error", "errorType": str(kind)} if kind in _TOOK_TOO_LONG:
            return Failure(Trouble.TIMEOUT)
        case {"status": "error"} if status in _REFUSED:
            return Failure(Trouble.INVALID_QUERY)
        case _:
            return _NO_ANSWER


def _is_too_large(body: bytes) -> bool:
    return body.count(b"{") + body.count(b"[") > MOST_PARTS or body.count(b",") > MOST_COMMAS


def _refuse(_: str) -> NoReturn:
    """Refuse NaN and Infinity outside of a text, which JSON does not know."""
    raise _Unreadable


def _data(status: int, body: bytes) -> tuple[tuple[str, list[Any]], bool] | Failure:
    """Give type and result of an answer, and whether it is partial."""
    answer = _answer(status, body)
    if isinstance(answer, Failure):
        return answer
    match answer:
        case {"data": {"resultType": str(kind), "result": list(result)}}:
            return (kind, result), _is_partial(answer.get("warnings"))
        case _:
            return _NO_ANSWER


def _is_partial(warnings: object) -> bool:
    if not isinstance(warnings, list):
        return False
    return any(not isinstance(warning, str) or not warning.startswith(_REMARK) for warning in warnings)


# --- its elements ---------------------------------------------------------------------------------------


def _object(element: object) -> dict[str, Any]:
    if not isinstance(element, dict):
        raise _Unreadable
    return element


def _value(sample: object) -> float:
    """Take the value of a sample; the time beside it does not matter: we said as of when we ask."""
    if not isinstance(sample, list) or len(sample) != _PAIR:
        raise _Unreadable
    return _number(sample[1])


def _number(text: object) -> float:
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise _Unreadable
    return float(text)


def _labels(element: dict[str, Any]) -> dict[str, str]:
    labels = _object(element.get("metric"))
    if not all(isinstance(value, str) for value in labels.values()):
        raise _Unreadable
    return labels


def _points(values: object) -> tuple[tuple[float, float], ...]:
    """Take the points of a line, which must be in order of time."""
    if not isinstance(values, list):
        raise _Unreadable
    points = tuple((_time(point), _value(point)) for point in values)
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
        raise _Unreadable
    return points


def _time(point: object) -> float:
    at = point[0] if isinstance(point, list) and point else None
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise _Unreadable
    try:
        seconds = float(at)
    except OverflowError as error:
        raise _Unreadable from error
    if not isfinite(seconds):
        raise _Unreadable
    return seconds


def _require_distinct(elements: tuple[Sample, ...] | tuple[Line, ...]) -> None:
    """Refuse one series twice in an answer."""
    if len({frozenset(element.labels.items()) for element in elements}) != len(elements):
        raise _Unreadable


def _group(group: object) -> LoadedGroup:
    match group:
        case {"name": str(name), "file": str(file), "rules": list(rules)}:
            named = tuple(_rule(rule) for rule in rules)
            is_healthy = all(is_well for _, is_well in named)
            return LoadedGroup(name, file, tuple(rule for rule, _ in named), is_healthy)
        case _:
            raise _Unreadable


def _rule(rule: object) -> tuple[str, bool]:
    """Give the name of a rule, and whether it is well; one that was not evaluated yet is."""
    match rule:
        case {"name": str(name), **rest}:
            return name, rest.get("health") != "err"
        case _:
            raise _Unreadable
