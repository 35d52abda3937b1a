"""Times, shares, rates and sizes as other tools write them, in our words. All raise ValueError for what is none."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

from homeostat.api.meta import format_decimal, format_go_duration

_TIME_UNITS: Final = {
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "ms": Decimal("1e-3"),
    "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
}  # fmt: skip
_TIME = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")
_LONGEST: Final = 10**9  # seconds: far above what any field takes, far below what overflows
_RATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([kmgt]?)(bit|bps)")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([kmgt]?)(i?)b?")
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_HUNDRED, _MOST_PLACES = 100, 6


def duration(text: str) -> timedelta:
    """Read a duration as Go does, `1.5s` or `1h30m`, in whole milliseconds."""
    parts = _TIME.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'not a duration: "{text}"')
    return _whole(sum((Decimal(number) * _TIME_UNITS[unit] for number, unit in parts), Decimal(0)), text)


def go(text: str) -> str:
    """Write a duration that Go reads in our units: `1.5s` as `1s500ms`."""
    return format_go_duration(duration(text))


def seconds(number: Decimal, unit: str = "s") -> str:
    """Write a number of seconds, or of another unit, as a duration: 90 as `1m30s`."""
    return format_go_duration(_whole(number * _TIME_UNITS[unit], f"{number:.9g}{unit}"))


def _whole(value: Decimal, text: str) -> timedelta:
    if not 0 <= value <= _LONGEST:
        raise ValueError(f'not a duration that can be: "{text}"')
    milliseconds = value * 1000
    if milliseconds != milliseconds.to_integral_value():
        raise ValueError(f'not whole milliseconds: "{text}"')
    return timedelta(milliseconds=int(milliseconds))


def percent(number: Decimal) -> str:
    """Write 12.5 as `12.5%`."""
    exponent = number.as_tuple().exponent
    if not 0 <= number <= _HUNDRED or not isinstance(exponent, int) or exponent < -_MOST_PLACES:
        raise ValueError(f"not a percentage from 0 to 100 with at most {_MOST_PLACES} places: {number:.9g}")
    return f"{format_decimal(number)}%"


def rate(text: str) -> str:
    """Write a rate of tc, of which `bps` are bytes a second, in bits a second: `1mbps` as `8Mbit`."""
    found = _RATE.fullmatch(text.lower())
    if not found:
        raise ValueError(f'not a rate such as 1mbit or 100kbps: "{text}"')
    bits = Decimal(found[1]) * 1000 ** _POWERS[found[2]] * (8 if found[3] == "bps" else 1)
    if bits != bits.to_integral_value():
        raise ValueError(f'not whole bits a second: "{text}"')
    return _largest(int(bits), (("Gbit", 10**9), ("Mbit", 10**6), ("Kbit", 10**3), ("bit", 1)))


def size(text: str) -> str:
    """Write a number of bytes, `256MB` or `1GiB`, as a quantity: `256M`, `1Gi`."""
    found = _SIZE.fullmatch(text.lower())
    if not found:
        raise ValueError(f'not a size such as 256MB: "{text}"')
    count = Decimal(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]]
    if count != count.to_integral_value():
        raise ValueError(f'not whole bytes: "{text}"')
    binary = (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10), ("", 1))
    return _largest(int(count), binary if found[3] else (("G", 10**9), ("M", 10**6), ("k", 10**3), ("", 1)))


def _largest(count: int, units: tuple[tuple[str, int], ...]) -> str:
    """Write a count in the largest unit of which it is a whole number."""
    name, factor = next((name, factor) for name, factor in units if count % factor == 0)
    return f"{count // factor}{name}"
