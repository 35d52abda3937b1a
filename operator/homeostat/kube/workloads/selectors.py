"""Label selectors: from the API's form to the text of a query."""

from collections.abc import Mapping
from typing import Any

_SET_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: Mapping[str, Any]) -> str:
    """Write a metav1.LabelSelector as a query: `app=shop,tier in (a,b),!canary`; an empty one (all) as "".

    Raises ValueError on an operator that Kubernetes does not have.
    """
    equal = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return ",".join(equal + [_requirement(one) for one in selector.get("matchExpressions") or ()])


def _requirement(expression: Mapping[str, Any]) -> str:
    key, operator = expression["key"], expression["operator"]
    if operator == "Exists":
        return str(key)
    if operator == "DoesNotExist":
        return f"!{key}"
    if operator in _SET_OPERATORS:
        return f"{key} {_SET_OPERATORS[operator]} ({','.join(expression['values'])})"
    raise ValueError(f"not an operator of a label selector: {operator!r}")
