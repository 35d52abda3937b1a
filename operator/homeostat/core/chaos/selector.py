"""Whether labels match a selector's text, as `kube/` writes it: `app=shop,tier in (a,b),!canary`."""

import re
from collections.abc import Mapping

_CLAUSE = re.compile(
    r"(?P<absent>!)?(?P<key>[A-Za-z0-9./_-]+)"
    r"(?:\s*(?P<equal>==|=|!=)\s*(?P<value>[A-Za-z0-9._-]*)|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?"
)
_CLAUSES = re.compile(r"(?:[^,(]|\([^()]*\))+")


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Tell whether `selector` matches; "" matches all, and so does a clause we cannot read: fail closed."""
    clauses = _CLAUSES.findall(selector)
    if ",".join(clauses) != selector:
        return True
    return all(_matches(clause.strip(), labels) for clause in clauses)


def _matches(clause: str, labels: Mapping[str, str]) -> bool:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        return True
    value = labels.get(found["key"])
    if found["equal"]:
        return (value == found["value"]) is (found["equal"] != "!=")
    if found["set"]:
        values = {one.strip() for one in found["values"].split(",")}
        return (value in values) is (found["set"] == "in")
    return (value is None) is bool(found["absent"])
