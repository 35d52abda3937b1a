"""The condition of a query in a spec: what its value is compared with."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(r"(?P<operator>[<>=!]=|[<>]) ?(?P<bound>.+)")
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison such as `> 100`."""

    operator: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value satisfies it."""
        return _OPERATORS[self.operator](value, self.bound)


def comparison_of(condition: str) -> Comparison | None:
    """Read a condition; None for what the schema would have refused."""
    match = _FORM.fullmatch(condition)
    try:
        return Comparison(match["operator"], float(match["bound"])) if match else None
    except ValueError:
        return None
