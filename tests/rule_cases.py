"""Objectives that rules are written for, for the tests of rules."""

from typing import Any

from homeostat.api.objective import ServiceLevelObjectiveSpec

REQUESTS = {"bad": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"}
COUNTED = {
    "bad": 'sum by (route) (increase(http_requests_total{code=~"5.."}[{{window}}]))',
    "total": "sum by (route) (increase(http_requests_total[{{ window }}]))",
}


def spec_of(prometheus: dict[str, Any] | None = None, /, **changes: Any) -> ServiceLevelObjectiveSpec:
    """An objective of 99.9 % in 30 days, of requests that Prometheus counts, which asks for rules."""
    plain: dict[str, Any] = {
        "objective": "99.9",
        "window": {"rolling": "30d"},
        "indicator": {"prometheus": prometheus or {"ratio": REQUESTS}},
        "rules": {"emit": True},
    }
    return ServiceLevelObjectiveSpec.model_validate(plain | changes)


SLICED = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}
SPECS: dict[str, ServiceLevelObjectiveSpec] = {
    "counters": spec_of(),
    "counts by group": spec_of({"groupBy": ["route"], "ratio": COUNTED}, alerting={"minBadEvents": 5}, service="pay"),
    "good events": spec_of({"ratio": {"good": 'http_requests_total{code="200"}', "total": "http_requests_total"}}),
    "sum of counters": spec_of({"ratio": {"bad": "sum by (a) (x) + sum(y) * 2", "total": "sum(x + z)"}}),
    "classic histogram": spec_of({"latency": {"histogram": "h_seconds", "selector": 'job="x",', "threshold": "1s"}}),
    "native histogram": spec_of({"latency": {"histogram": "h_seconds", "threshold": "300ms", "type": "Native"}}),
    "error ratio": spec_of({"groupBy": ["service"], "ratioQuery": "my:errors:ratio"}),
    "slices": spec_of(budgeting=SLICED),
    "ratios of slices": spec_of(budgeting={"method": "RatioTimeslices", "slice": "5m"}),
    "short window": spec_of(window={"rolling": "6h"}),
    "coarse": spec_of({"ratio": COUNTED, "resolution": "10m"}),
    "own alerts": spec_of(alerting={"burnRates": [{"budget": "5%", "long": "90m", "short": "10m"}]}, noData="Good"),
    "no alerts": spec_of(alerting={"disabled": True}),
    "comments": spec_of({"ratio": {name: f"{query} # all of it" for name, query in COUNTED.items()}}),
    "comment in slices": spec_of({"ratioQuery": "my:errors:ratio # as it is"}, budgeting=SLICED),
    "said": spec_of(description='what {{ $labels.x }} and "quotes" mean'),
}
