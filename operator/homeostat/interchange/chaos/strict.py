"""Fields that must be right or the whole object is refused: left out they would widen what is hit, or change it."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from homeostat.interchange.reading import Source, Unusable

T = TypeVar("T")


def texts(source: Source, name: str) -> list[str]:
    """Give a list of texts, [] when there is none. Raises Unusable for anything else."""
    value = source.raw(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unusable(source.at(name), "not a list of texts")
    return list(value)


def labels(source: Source, name: str) -> dict[str, str]:
    """Give a mapping of texts to texts, {} when there is none. Raises Unusable for anything else."""
    value = source.raw(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise Unusable(source.at(name), "not an object of texts")
    return dict(value)


def read(source: Source, name: str, convert: Callable[[str], T]) -> T:
    """Give a text as something else. Raises Unusable when `convert` raises ValueError."""
    try:
        return convert(source.text(name))
    except ValueError as error:
        raise Unusable(source.at(name), str(error)) from error


def figure(source: Source, name: str, convert: Callable[[Decimal], T]) -> T:
    """Give a number as something else. Raises Unusable where there is none, or when `convert` raises ValueError."""
    number = source.number(name)
    if number is None:
        raise Unusable(source.at(name), "there is none")
    try:
        return convert(number)
    except ValueError as error:
        raise Unusable(source.at(name), str(error)) from error


def whole(low: int, high: int) -> Callable[[Decimal], int]:
    """Build what reads a whole number within bounds, ends included; it raises ValueError."""

    def convert(number: Decimal) -> int:
        if not low <= number <= high or number != number.to_integral_value():
            raise ValueError(f"a whole number from {low} to {high} is needed: {number:.9g}")
        return int(number)

    return convert
