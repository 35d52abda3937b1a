"""Which pods an object of Chaos Mesh means: selector, mode and value."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.reading import Source, Unusable

_BY_LABELS: Final = "pods are chosen by their labels here"
_NARROWER: Final = ("fieldSelectors", "annotationSelectors", "nodes", "nodeSelectors", "pods")
_ALL_BUT_ONE: Final = "blastRadius keeps one ready pod of each workload: set minAvailable to 0 if all may be hit"


@dataclass(frozen=True, slots=True)
class Selected:
    """The labels that pods must have, and the namespaces they are in; none when the object names none."""

    labels: dict[str, str]
    namespaces: tuple[str, ...]


def selected(owner: Source) -> Selected:
    """Read `selector`. Raises Unusable for what would widen the choice if it were left out."""
    selector = owner.part("selector")
    for name in _NARROWER:
        if selector.raw(name) not in (None, {}, []):
            raise Unusable(selector.at(name), _BY_LABELS)
    labels = _labels(selector)
    phases = strict.texts(selector, "podPhaseSelectors")
    if phases not in ([], ["Running"]):
        raise Unusable(selector.at("podPhaseSelectors"), "only pods that are ready can be targets")
    if phases:
        selector.notes.warn(selector.at("podPhaseSelectors"), "only pods that are ready are targets anyway")
    if not labels:
        raise Unusable(selector.at("labelSelectors"), f"there are none: {_BY_LABELS}, never by namespace alone")
    return Selected(labels, tuple(dict.fromkeys(strict.texts(selector, "namespaces"))))


def _labels(selector: Source) -> dict[str, str]:
    labels = strict.labels(selector, "labelSelectors")
    for expression in selector.parts("expressionSelectors"):
        key, how, values = expression.text("key"), expression.text("operator"), strict.texts(expression, "values")
        if how != "In" or len(values) != 1:
            raise Unusable(expression.path, f"{_BY_LABELS}, each with one value (In with one value)")
        if labels.setdefault(key, values[0]) != values[0]:
            raise Unusable(expression.path, f"{key} cannot have two values")
    return labels


def target(owner: Source, labels: dict[str, str]) -> dict[str, Any]:
    """Give `spec.target` of a mode and its value."""
    mode = owner.text("mode") or "one"
    return {"kind": "Pod", "selector": {"matchLabels": labels}, "count": _count(owner, mode)}


def _count(owner: Source, mode: str) -> int | str:
    owner.raw("value")
    if mode == "one":
        return 1
    if mode == "all":
        owner.notes.warn(owner.at("mode"), f"all became 100%; {_ALL_BUT_ONE}")
        return "100%"
    value = strict.figure(owner, "value", strict.whole(1, 100))
    if mode == "fixed":
        return value
    if mode == "random-max-percent":
        owner.notes.warn(owner.at("mode"), "always as many as the most here, not a random share up to it")
    elif mode != "fixed-percent":
        raise Unusable(owner.at("mode"), f'there is no mode "{mode}"')
    return units.percent(Decimal(value))
