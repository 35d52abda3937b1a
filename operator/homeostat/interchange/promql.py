"""PromQL of others: what a query selects, and how to ask for it over a range. `core.prometheus.queries` has our own.

A query of ours says `{{window}}` where the range goes; one without it gives counters. Others write `{{.window}}`,
or a fixed range such as `[5m]`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

WINDOW: Final = "{{window}}"
_TEMPLATE = re.compile(r"\{\{\s*\.?[wW]indow\s*\}\}")
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`"
_RANGE = re.compile(rf"({_STRING})|\[\s*[0-9][0-9a-z]*\s*\]")
_COUNTED: Final = frozenset({"rate", "increase"})


def with_template(query: str) -> str:
    """Write the range of a query as we do: `{{.window}}` becomes `{{window}}`."""
    return _TEMPLATE.sub(WINDOW, query)


def parsed(query: str) -> Any:  # noqa: ANN401 - the library's tree; a str says why there is none
    """Parse a query, `{{window}}` standing for five minutes."""
    import promql_parser  # noqa: PLC0415 - for those who have queries

    try:
        return promql_parser.parse(query.replace(WINDOW, "5m"))
    except ValueError as error:
        return str(error) or "it cannot be parsed"


# --- selectors ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """A plain vector selector: a metric's name, and its matchers, each as it is written."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator and value."""

    def without(self, label: str) -> "Selector":
        """Give the selector without the matchers of a label."""
        return Selector(self.name, tuple(one for one in self.matchers if one[0] != label))

    def equals(self, label: str) -> str | None:
        """Give the value that a label must have; None when no matcher says so."""
        return next((value for name, sign, value in self.matchers if (name, sign) == (label, "=")), None)

    @property
    def inner(self) -> str:
        """Give what goes between the braces."""
        return ",".join(f"{name}{sign}{quoted(value)}" for name, sign, value in self.matchers)

    @override
    def __str__(self) -> str:
        return f"{self.name}{{{self.inner}}}" if self.matchers else self.name


def quoted(text: str) -> str:
    """Write a string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(query: str) -> Selector | None:
    """Give the selector that a query consists of; None when it is anything else."""
    tree = parsed(query)
    if type(tree).__name__ != "VectorSelector" or tree.offset is not None or tree.at is not None or not tree.name:
        return None
    if tree.matchers.or_matchers:
        return None
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    found = ((one.name, signs[str(one.op).rpartition(".")[2]], one.value) for one in tree.matchers.matchers)
    return Selector(tree.name, tuple(found))


# --- over a range ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """Queries as we ask them, and what became of them, one sentence each."""

    queries: tuple[str, ...]
    notes: tuple[str, ...] = ()


def counts(queries: Sequence[str], *, is_counter: bool) -> Taken:
    """Give queries of counts over `{{window}}`, for queries that belong together, as the bad and all events do.

    A fixed range becomes `{{window}}` where that changes nothing but how smooth the figures are. What cannot be
    parsed stays: whoever checks the objective says why.
    """
    asked = tuple(with_template(query) for query in queries)
    trees = [parsed(query) for query in asked]
    if any(isinstance(tree, str) for tree in trees) or all(WINDOW in query for query in asked):
        return Taken(asked)
    ranged = [_has_range(tree) for tree in trees]
    if not any(ranged):
        return Taken(asked) if is_counter else Taken(tuple(map(_as_gauge, asked)), (_GAUGE,))
    shown = ", ".join(sorted({one for query in asked for one in _ranges(query)}))
    if all(_is_counted(tree) for tree in trees):
        return Taken(tuple(_RANGE.sub(_window, query) for query in asked), (f"the range {shown} became {WINDOW}",))
    return Taken(
        asked, (f"asked every minute over its own range{shown and f' {shown}'}: minutes flow into each other",)
    )


_GAUGE: Final = "no counter: the mean of its values in a minute counts as that minute's events"


def _as_gauge(query: str) -> str:
    return f"avg_over_time(({query})[{WINDOW}:])"


def _has_range(tree: Any) -> bool:  # noqa: ANN401 - the library's tree
    return any(type(one).__name__ in {"MatrixSelector", "SubqueryExpr"} for one in _nodes(tree))


def _is_counted(tree: Any) -> bool:  # noqa: ANN401 - the library's tree
    """Whether every range is that of a `rate` or `increase` from now backwards, all of one kind."""
    calls = [one for one in _nodes(tree) if type(one).__name__ == "Call" and one.func.name in _COUNTED]
    ranges = [one for one in _nodes(tree) if type(one).__name__ in {"MatrixSelector", "SubqueryExpr"}]
    is_plain = all(
        type(one).__name__ == "MatrixSelector" and (one.vector_selector.offset, one.vector_selector.at) == (None, None)
        for one in ranges
    )
    return is_plain and len(calls) == len(ranges) and len({one.func.name for one in calls}) == 1


def _nodes(tree: Any) -> Iterator[Any]:  # noqa: ANN401 - the library's tree
    yield tree
    inner = [getattr(tree, name, None) for name in ("expr", "lhs", "rhs", "param")]
    for one in (*inner, *getattr(tree, "args", ())):
        if one is not None and hasattr(type(one), "prettify"):
            yield from _nodes(one)


def _window(match: re.Match[str]) -> str:
    return match.group(1) or f"[{WINDOW}]"


def _ranges(query: str) -> Iterator[str]:
    yield from (match.group().strip("[] ") for match in _RANGE.finditer(query) if match.group(1) is None)
