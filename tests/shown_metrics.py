"""What docs/metrics.md promises to Prometheus, and what a query of PromQL asks for."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
OF_THE_TARGET = {"job", "namespace", "pod", "instance"}
"""Labels that Prometheus itself puts on what it scrapes."""
_PARTS = {"histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set()}, "summary": {"_sum": set(), "_count": set()}}


def documented() -> Iterator[tuple[str, str, set[str]]]:
    """Give name, type and labels of each metric of the page."""
    rows = re.findall(r"^\| `(homeostat_\w+)` \| (\w+) \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    yield from ((name, kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows)


def _samples() -> Iterator[tuple[str, set[str]]]:
    for name, kind, labels in documented():
        for suffix, more in _PARTS.get(kind, {"": set()}).items():
            yield name + suffix, labels | more | OF_THE_TARGET


SHOWN = dict(_samples())
"""The names of samples, with all labels that they may have."""


def asked_for(tree: Any, by: frozenset[str] = frozenset()) -> list[tuple[str, set[str]]]:
    """Give the samples that a query asks for, each with the labels that it is selected or grouped by."""
    match tree:
        case AggregateExpr():
            grouped = frozenset(tree.modifier.labels if tree.modifier else ())
            return asked_for(tree.expr, frozenset() if _is_joined(tree.expr) else by | grouped)
        case BinaryExpr():
            return asked_for(tree.lhs) + asked_for(tree.rhs)
        case Call():
            return [one for argument in tree.args for one in asked_for(argument, by)]
        case ParenExpr() | SubqueryExpr() | UnaryExpr():
            return asked_for(tree.expr, by)
        case MatrixSelector():
            return asked_for(tree.vector_selector, by)
        case VectorSelector():
            return [(tree.name, {one.name for one in tree.matchers.matchers} | by)]
        case _:
            return []


def _is_joined(tree: Any) -> bool:
    """Whether labels may come from the other side."""
    return isinstance(tree, BinaryExpr) or (isinstance(tree, ParenExpr) and _is_joined(tree.expr))
