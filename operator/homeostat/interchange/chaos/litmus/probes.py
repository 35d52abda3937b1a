"""Probes of Litmus: a query of Prometheus becomes a part of the hypothesis, the others are told to be lost."""

import re
from typing import Any, Final

from homeostat.interchange.reading import Source

_LONGEST_QUERY: Final = 4096
_COMPARISON = re.compile(r"(<|<=|>|>=|==|!=) -?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?")
_MOST_COMPARISON: Final = 64
_WORDS: Final = {"=": "==", "equal": "==", "equals": "==", "notequal": "!=", "notequals": "!="}
_THROUGHOUT: Final = frozenset({"continuous", "onchaos"})
_ONCE: Final = frozenset({"sot", "eot"})
_LOST: Final = "is lost: write a HealthCheck that asks the same, and name it with --health-check"


def hypotheses(probes: list[Source]) -> list[dict[str, Any]]:
    """Give the parts of the hypothesis that come of probes, and tell what of the others is lost."""
    found: list[dict[str, Any]] = []
    for probe in probes:
        part = _of_prometheus(probe) if probe.text("type") == "promProbe" else None
        if part:
            found.append(part)
        else:
            probe.notes.warn(probe.path, f'{probe.text("type") or "a probe"} "{probe.text("name")}" {_LOST}')
            probe.drop()
    return found


def _of_prometheus(probe: Source) -> dict[str, Any] | None:
    """Give the part of a promProbe; None where it has no query of its own or compares what we cannot."""
    inputs = probe.part("promProbe/inputs")
    query, comparator = inputs.text("query"), inputs.part("comparator")
    criteria = comparator.text("criteria").lower()
    condition = f"{_WORDS.get(criteria, criteria)} {comparator.text('value').lower()}"
    fits = _COMPARISON.fullmatch(condition) and len(condition) <= _MOST_COMPARISON
    if not query or len(query) > _LONGEST_QUERY or not fits:
        return None
    comparator.text("type")
    probe.text("name")
    inputs.lose("the Prometheus of the operator is asked", "endpoint")
    probe.lose("asked again and again, as often as other parts of a hypothesis", "runProperties")
    mode = probe.text("mode").lower()
    if mode in _ONCE:
        probe.notes.warn(probe.at("mode"), "it must hold before and after the fault")
    during = "MustHold" if mode in _THROUGHOUT else "MayBreak"
    return {"promql": {"query": query, "condition": condition}, "duringFault": during}
