"""Quantities as Kubernetes writes them (`500m`, `64Mi`, `1e3`), read and written exactly: never through a float."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,64}(?:\.\d{0,32})?|\.\d{1,32}))(n|u|m|k|[KMGTPE]i|[MGTPE]|[eE][+-]?\d{1,3})?", re.ASCII
)
_DECIMAL = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: dict[str, int] = {f"{letter}i": 1 << 10 * power for power, letter in enumerate("KMGTPE", start=1)}


def parse_quantity(text: str) -> Decimal:
    """Give the value of a quantity; raises ValueError when it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("not a quantity")
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY:
        return number * Decimal(_BINARY[suffix])
    return number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))


def memory_text(value: Decimal) -> str:
    """Write an amount of memory, rounded up to whole bytes, in the largest binary unit that holds it exactly."""
    count = _whole(value)
    units = [(name, size) for name, size in _BINARY.items() if count and count % size == 0]
    return f"{count // units[-1][1]}{units[-1][0]}" if units else str(count)


def cpu_text(value: Decimal) -> str:
    """Write an amount of CPU, rounded up to whole thousandths."""
    count = _whole(value * 1000)
    return str(count // 1000) if count % 1000 == 0 else f"{count}m"


def is_same_quantity(one: object, other: object) -> bool:
    """Whether two quantities are of the same value, however they are written."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return one == other or parse_quantity(one) == parse_quantity(other)


def has_sizes(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether what containers have (name → requests and limits → resource → quantity) includes what is wanted."""
    return all(_has(known.get(key), value) for key, value in wanted.items())


def _has(known: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(known, Mapping) and has_sizes(known, wanted)
    return is_same_quantity(known, wanted)


def _whole(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))
