"""What Prometheus answers to an instant query, read strictly: one number, or why there is none. Pure.

An answer is at most 64 KiB (the HTTP probe keeps no more), and its numbers are no longer than Prometheus writes them.
"""

import json
import re
from math import isnan
from typing import Any, Final

from homeostat.core.probing.result import Reason

# The longest float is 1.8e308 with an exponent, 310 characters without one.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,350}(?:\.[0-9]{1,350})?(?:[eE][+-]?[0-9]{1,3})?|Inf|NaN)")
# What Prometheus says of a query that it cannot read, and of one that it cannot work out.
_REFUSALS: Final = frozenset({"bad_data", "execution"})
_SAMPLE_PARTS: Final = 2  # time and value


def value_of(body: bytes) -> float | Reason:
    """Give the one value of an answer; infinite ones are numbers, too.

    NoData: an empty vector or not a number (0/0: there was no traffic). InvalidQuery: Prometheus refuses the query, or
    it gives several values, ranges, histograms or text. PrometheusUnavailable: anything else that is not an answer.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # ValueError: also bytes that are no text, and endless integers
        return Reason.PROMETHEUS_UNAVAILABLE
    match answer:
        case {"status": "success", "data": {"resultType": str(kind), "result": list(result)}}:
            return _of_result(kind, result)
        case {"status": "error", "errorType": str(kind)} if kind in _REFUSALS:
            return Reason.INVALID_QUERY
        case _:
            return Reason.PROMETHEUS_UNAVAILABLE


def _of_result(kind: str, result: list[Any]) -> float | Reason:
    if kind == "scalar":
        return _of_sample(result)
    if kind != "vector":
        return Reason.INVALID_QUERY
    match result:
        case []:
            return Reason.NO_DATA
        case [{"value": list(sample)}]:
            return _of_sample(sample)
        case [{"histogram": _}] | [_, _, *_]:
            return Reason.INVALID_QUERY
        case _:
            return Reason.PROMETHEUS_UNAVAILABLE


def _of_sample(sample: list[Any]) -> float | Reason:
    """Take a value; the time beside it, whatever it looks like, does not matter: we asked for now."""
    value = sample[1] if len(sample) == _SAMPLE_PARTS else None
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        return Reason.PROMETHEUS_UNAVAILABLE
    number = float(value)
    return Reason.NO_DATA if isnan(number) else number
