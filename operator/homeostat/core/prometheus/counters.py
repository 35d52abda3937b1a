"""Counters in a query that says no range: which we ask for one by one, and around which Prometheus takes a rate.

The sum of counters is no counter: when one of them begins anew the sum falls, and who takes that for a reset of the sum
counts all others once more. So the increase is taken of each counter by itself, below the sums.
"""

import re

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, NumberLiteral, ParenExpr, UnaryExpr, VectorSelector

_LINEAR = frozenset({"+", "-", "or"})
_SCALING = frozenset({"*", "/"})
_BY = re.compile(r"by\s*\((.*)\)", re.DOTALL)


class NotCounters(ValueError):
    """An expression that does not add counters up; the message names what of it is the matter."""


def summed_alone(tree: Expr, groups: tuple[str, ...]) -> str | None:
    """Give the selector of counters that an expression is, or adds up by just these labels; None for any other."""
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if isinstance(tree, AggregateExpr) and str(tree.op) == "sum" and _labels(tree) == frozenset(groups):
        return summed_alone(tree.expr, ())
    if not isinstance(tree, VectorSelector) or _fault(tree):
        return None
    return str(tree)


def rated(tree: Expr, window: str) -> str:
    """Put `rate` over a range around each counter of an expression that adds them up. Raises NotCounters."""
    faults: list[str] = []

    def visit(node: Expr) -> Expr | None:
        fault = _fault(node)
        if fault:
            faults.append(fault)
        if isinstance(node, VectorSelector) and not fault:
            found: Expr = promql_parser.parse(f"rate({node}[{window}])")
            return found
        return None

    text = str(promql_parser.transform(tree, post_visit=visit))
    if faults:
        raise NotCounters(faults[0])
    return text


def _labels(sums: AggregateExpr) -> frozenset[str] | None:
    """Give the labels that a sum is by; None of one that is `without` some."""
    if sums.modifier is None:
        return frozenset()
    found = _BY.fullmatch(str(sums.modifier).strip())
    return None if found is None else frozenset(filter(None, (label.strip() for label in found.group(1).split(","))))


def _fault(node: Expr) -> str:
    """Say what of an expression its rate cannot be taken of; "" if nothing."""
    match node:
        case VectorSelector():
            return "an offset or @" if node.offset is not None or node.at is not None else ""
        case AggregateExpr():
            return "" if str(node.op) == "sum" else f"the aggregation {node.op}"
        case BinaryExpr():
            scales = isinstance(node.lhs, NumberLiteral) or isinstance(node.rhs, NumberLiteral)
            is_fine = str(node.op) in _LINEAR or (str(node.op) in _SCALING and scales)
            return "" if is_fine else f"the operator {node.op}"
        case Call():
            return "" if node.func.name == "vector" else f"the function {node.func.name}"
        case NumberLiteral() | ParenExpr() | UnaryExpr():
            return ""
        case _:
            return "a range"
