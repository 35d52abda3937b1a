"""What the rules call things: recordings, labels, groups and the object that holds them; and how PromQL writes values.

A recording is `homeostat:WHAT:HOW`. Each carries the objective's namespace and name, and the labels of its groups.
"""

import hashlib
import json
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

from homeostat.api.meta import format_decimal, format_duration

NAMESPACE_LABEL, OBJECTIVE_LABEL, WINDOW_LABEL = "homeostat_namespace", "homeostat_slo", "homeostat_window"
SERVICE_LABEL, VERSION_LABEL = "homeostat_service", "homeostat_rules"
RESERVED = frozenset({NAMESPACE_LABEL, OBJECTIVE_LABEL, WINDOW_LABEL, SERVICE_LABEL, VERSION_LABEL, "le", "__name__"})
"""Labels that groups of an objective cannot have, where it has rules."""

ERROR_RATIO = "homeostat:slo_error:ratio"
OVERALL_RATIO, OVERALL_REMAINING = "homeostat:slo_overall_error:ratio", "homeostat:slo_overall_budget:remaining"
REMAINING, COVERAGE = "homeostat:slo_budget:remaining", "homeostat:slo_coverage:ratio"
OBJECTIVE, BUDGET, WINDOW, INFO = (
    "homeostat:slo_objective:ratio", "homeostat:slo_budget:ratio", "homeostat:slo_window:seconds",
    "homeostat:slo:info",
)  # fmt: skip
SLICE = "homeostat:slo_slice:bad"

GROUP_PREFIX = "homeostat:"
LONGEST_NAME = 240  # of an object: with its ending, the key in a ConfigMap has 253 characters at most
_PREFIX = "homeostat-slo-"
_HASH = 8
_SIGNIFICANT = Context(prec=15)


def rated(what: str, step: timedelta) -> str:
    """Name the recording of bad or total events a second: `homeostat:slo_bad:rate5m`."""
    return f"homeostat:slo_{what}:rate{format_duration(step)}"


def thinned(what: str, step: timedelta) -> str:
    """Name the recording of the same that has one sample per `step`, so that each event is in one sample."""
    return f"{rated(what, step)}_step"


def object_name(name: str) -> str:
    """Name the object that holds the rules of an objective; a hash keeps shortened names apart."""
    whole = _PREFIX + name
    if len(whole) <= LONGEST_NAME:
        return whole
    return f"{whole[: LONGEST_NAME - _HASH - 1].rstrip('-.')}-{hashed(name)}"


def hashed(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Give eight hexadecimal digits that stand for a value."""
    return digest(value)[:_HASH]


def digest(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Give 64 hexadecimal digits that stand for a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def number(value: Decimal) -> str:
    """Write a number in PromQL, to 15 digits: as many as a float holds."""
    return format_decimal(value.normalize(_SIGNIFICANT))


def quoted(text: str) -> str:
    """Write a text in PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def plain(text: str) -> str:
    """Write a text so that Prometheus, which reads annotations as templates, shows it as it is."""
    return text.replace("{{", '{{ "{{" }}')
