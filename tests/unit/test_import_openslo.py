"""OpenSLO read: what comes over, what is told, and that nothing comes out which our own rules refuse."""

from typing import Any

import pytest
import yaml

from homeostat.interchange import openslo_import
from homeostat.interchange.importing import Outcome, outcome
from homeostat.interchange.reading import Foreign
from homeostat.interchange.validation import check

RATIO = {
    "counter": True,
    "good": {"metricSource": {"type": "Prometheus", "spec": {"query": 'sum(requests{code!~"5.."})'}}},
    "total": {"metricSource": {"type": "Prometheus", "spec": {"query": "sum(requests)"}}},
}
ROLLING = [{"duration": "28d", "isRolling": True}]


def slo(name: str = "web", version: str = "openslo/v1", **spec: Any) -> dict[str, Any]:
    base = {
        "service": "web",
        "indicator": {"metadata": {"name": "sli"}, "spec": {"ratioMetric": RATIO}},
        "timeWindow": ROLLING,
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
    }
    kept = {name: value for name, value in (base | spec).items() if value is not None}
    return {"apiVersion": version, "kind": "SLO", "metadata": {"name": name}, "spec": kept}


def read(*bodies: dict[str, Any], namespace: str = "") -> Outcome:
    objects = [Foreign(f"{number}.yaml", "1", body) for number, body in enumerate(bodies)]
    came = outcome(openslo_import.convert(objects), namespace)
    assert not any(check(manifest).problems for manifest in came.manifests)
    return came


def spec_of(*bodies: dict[str, Any]) -> dict[str, Any]:
    came = read(*bodies)
    assert came.is_whole, came.lines
    return came.manifests[0]["spec"]


def told(came: Outcome, text: str) -> bool:
    return any(text in line for line in came.lines)


def condition(factor: float, long: str, severity: str = "page", **more: Any) -> dict[str, Any]:
    inner = {"kind": "burnrate", "op": "gte", "threshold": factor, "lookbackWindow": long, **more}
    return {"kind": "AlertCondition", "metadata": {"name": "c"}, "spec": {"severity": severity, "condition": inner}}


def policy(*conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    inner = {"alertWhenBreaching": True, "conditions": list(conditions), **spec}
    return {"kind": "AlertPolicy", "metadata": {"name": "p"}, "spec": inner}


# --- figures and windows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ({"target": 0.999}, "99.9"),
        ({"target": 0.9995}, "99.95"),
        ({"target": 0.07}, "7"),
        ({"targetPercent": 99.9}, "99.9"),
        ({"targetPercent": 99.999999}, "99.999999"),
        ({"target": "0.995"}, "99.5"),
    ],
)
def test_targets_stay_exact_decimals(objective: dict[str, Any], expected: str) -> None:
    """S1: 99.9, never 99.90000001."""
    assert spec_of(slo(objectives=[objective]))["objective"] == expected


@pytest.mark.parametrize("target", [0, 1, 1.5, -0.1])
def test_a_target_that_leaves_no_budget_or_nothing_else_is_an_error_and_no_manifest(target: float) -> None:
    """S1: 0 < objective < 100."""
    came = read(slo(objectives=[{"target": target}]))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, "error: objective must be above 0 and below 100 percent: skipped") or told(came, "does not match")


@pytest.mark.parametrize(
    ("text", "expected"), [("28d", "28d"), ("4w", "28d"), ("36h", "36h"), ("1M", "30d"), ("1Q", "90d")]
)
def test_a_rolling_window_comes_over(text: str, expected: str) -> None:
    assert spec_of(slo(timeWindow=[{"duration": text, "isRolling": True}]))["window"] == {"rolling": expected}


@pytest.mark.parametrize(
    ("text", "unit"),
    [("1d", "Day"), ("1w", "Week"), ("7d", "Week"), ("1M", "Month"), ("1Q", "Quarter"), ("1Y", "Year")],
)
def test_a_calendar_window_comes_over_with_its_zone(text: str, unit: str) -> None:
    calendar = {"startTime": "2022-01-01 12:00:00", "timeZone": "America/New_York"}
    window = spec_of(slo(timeWindow=[{"duration": text, "isRolling": False, "calendar": calendar}]))["window"]

    assert window == {"calendar": {"unit": unit, "start": "2022-01-01T12:00:00", "timeZone": "America/New_York"}}


def test_a_period_that_no_calendar_has_is_an_error() -> None:
    calendar = {"startTime": "2022-01-01 12:00:00", "timeZone": "UTC"}
    came = read(slo(timeWindow=[{"duration": "1m", "isRolling": False, "calendar": calendar}]))

    assert not came.is_whole
    assert told(came, "spec.timeWindow[0].duration: error: no period of the calendar")


def test_without_a_window_thirty_days_are_taken_and_that_is_told() -> None:
    came = read(slo(timeWindow=None))

    assert came.manifests[0]["spec"]["window"] == {"rolling": "30d"}
    assert told(came, "spec.timeWindow: there is none: the last 30d are taken")


def test_slices_come_over_and_a_bare_number_is_minutes() -> None:
    slices = {"target": 0.99, "timeSliceTarget": 0.95, "timeSliceWindow": 5}

    assert spec_of(slo(budgetingMethod="Timeslices", objectives=[slices]))["budgeting"] == {
        "method": "Timeslices", "slice": "5m", "sliceObjective": "95",
    }  # fmt: skip
    ratio = {"target": 0.99, "timeSliceWindow": "1h"}
    assert spec_of(slo(budgetingMethod="RatioTimeslices", objectives=[ratio]))["budgeting"] == {
        "method": "RatioTimeslices", "slice": "1h",
    }  # fmt: skip


# --- indicators -----------------------------------------------------------------------------------------


def test_counters_stay_counters() -> None:
    ratio = spec_of(slo())["indicator"]["prometheus"]["ratio"]

    assert ratio == {"good": 'sum(requests{code!~"5.."})', "total": "sum(requests)"}


def test_a_fixed_range_becomes_the_window_and_that_is_told() -> None:
    metrics = {
        part: {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
        for part, query in (("bad", 'sum(rate(requests{path="[5m]"}[5m]))'), ("total", "sum(rate(requests[5m]))"))
    }
    came = read(slo(indicator={"spec": {"ratioMetric": metrics}}))

    assert came.manifests[0]["spec"]["indicator"]["prometheus"]["ratio"] == {
        "bad": 'sum(rate(requests{path="[5m]"}[{{window}}]))', "total": "sum(rate(requests[{{window}}]))",
    }  # fmt: skip
    assert told(came, "the range 5m became {{window}}")


def test_a_ratio_that_is_computed_already_comes_over_as_errors() -> None:
    raw = {"metricSource": {"type": "Prometheus", "spec": {"query": "avg_over_time(ok[{{.window}}])"}}}

    def query(kind: str) -> str:
        indicator = {"spec": {"ratioMetric": {"rawType": kind, "raw": raw}}}
        return spec_of(slo(indicator=indicator))["indicator"]["prometheus"]["ratioQuery"]

    assert query("failure") == "avg_over_time(ok[{{window}}])"
    assert query("success") == "1 - (avg_over_time(ok[{{window}}]))"


def test_a_threshold_becomes_the_share_of_time_in_which_it_is_not_met() -> None:
    indicator = {"spec": {"thresholdMetric": {"metricSource": {"type": "Prometheus", "spec": {"query": "lag"}}}}}
    objectives = [{"op": "lt", "value": 500, "target": 0.99}]

    assert spec_of(slo(indicator=indicator, objectives=objectives))["indicator"]["prometheus"] == {
        "ratioQuery": "1 - avg(avg_over_time(((lag) < bool 500)[{{window}}:]))"
    }


def test_indicators_and_data_sources_are_found_in_other_files() -> None:
    metric = {"metricSource": {"metricSourceRef": "prom", "spec": {"query": "sum(x)"}}}
    sli = {
        "apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "shared"},
        "spec": {"ratioMetric": {"counter": True, "good": metric, "total": metric}},
    }  # fmt: skip
    source = {
        "apiVersion": "openslo/v1", "kind": "DataSource", "metadata": {"name": "prom"},
        "spec": {"type": "Prometheus", "connectionDetails": [{"url": "https://prom.example:9090/", "token": "x"}]},
    }  # fmt: skip
    came = read(slo(indicator=None, indicatorRef="shared"), source, sli)

    assert came.manifests[0]["spec"]["indicator"]["prometheus"]["url"] == "https://prom.example:9090"
    assert told(came, "DataSource/prom.spec.connectionDetails[0].token: not known here: left out")
    assert not any("https" in line for line in came.lines)


def test_what_prometheus_cannot_be_asked_is_an_error_and_the_others_come_over() -> None:
    other = {"metricSource": {"type": "Datadog", "spec": {"query": "sum:x"}}}
    foreign = slo("foreign", indicator={"spec": {"ratioMetric": {"good": other, "total": other}}})
    came = read(foreign, slo("own"))

    assert [manifest["metadata"]["name"] for manifest in came.manifests] == ["own"]
    assert not came.is_whole
    assert told(came, "0.yaml: SLO/foreign: spec.indicator.spec.ratioMetric.good.metricSource.type: error: Datadog")


# --- several objectives ---------------------------------------------------------------------------------


def test_several_objectives_become_several_manifests() -> None:
    came = read(slo(objectives=[{"target": 0.99}, {"target": 0.999}]), namespace="shop")

    assert [(one["metadata"], one["spec"]["objective"]) for one in came.manifests] == [
        ({"name": "web-1", "namespace": "shop"}, "99"), ({"name": "web-2", "namespace": "shop"}, "99.9"),
    ]  # fmt: skip


def test_a_composite_burns_as_openslo_defines_it() -> None:
    """S12: the sum of the members' burn rates; of one bad event in a thousand of each at 99.9 and 99: 1 + 0.1."""
    indicator = {"metadata": {"name": "a"}, "spec": {"ratioMetric": RATIO}}
    objectives = [{"target": 0.999, "indicator": indicator}, {"target": 0.99, "indicator": indicator}]
    came = read(slo(indicator=None, objectives=objectives))
    whole = came.manifests[2]["spec"]
    members = whole["indicator"]["composite"]["members"]
    mean = sum(member["weight"] * 0.001 for member in members) / sum(member["weight"] for member in members)

    assert [(member["name"], member["weight"]) for member in members] == [("web-1", 10), ("web-2", 1)]
    assert mean / (1 - float(whole["objective"]) / 100) == pytest.approx(1.1)


def test_a_composite_follows_its_members_when_a_name_is_taken() -> None:
    indicator = {"metadata": {"name": "a"}, "spec": {"ratioMetric": RATIO}}
    composite = slo(indicator=None, objectives=[{"target": 0.999, "indicator": indicator}])
    came = read(slo("web-1"), composite)

    assert [one["metadata"]["name"] for one in came.manifests] == ["web-1", "web-1-2", "web"]
    assert came.manifests[2]["spec"]["indicator"]["composite"]["members"][0]["name"] == "web-1-2"


def test_a_composite_is_not_made_of_members_that_are_refused() -> None:
    indicator = {"metadata": {"name": "a"}, "spec": {"ratioMetric": RATIO}}
    broken = {"metricSource": {"type": "Prometheus", "spec": {"query": "sum("}}}
    bad = {"metadata": {"name": "b"}, "spec": {"ratioMetric": {"good": broken, "total": broken}}}
    came = read(
        slo(indicator=None, objectives=[{"target": 0.9, "indicator": indicator}, {"target": 0.9, "indicator": bad}])
    )

    assert [one["metadata"]["name"] for one in came.manifests] == ["web-1"]
    assert told(came, "without web-2 it is not whole")


# --- alerts ---------------------------------------------------------------------------------------------


def test_burn_rates_become_shares_of_the_budget() -> None:
    """S2: 13.44 over 1 h of 28 d is 2% of the budget."""
    alerting = spec_of(slo(alertPolicies=[policy(condition(13.44, "1h")), policy(condition(1, "3d", "warning"))]))

    assert alerting["alerting"]["burnRates"] == [
        {"budget": "2%", "long": "1h", "severity": "Page"},
        {"budget": "10.714286%", "long": "3d", "severity": "Ticket"},
    ]


def test_policies_and_conditions_are_found_by_name() -> None:
    named = {"apiVersion": "openslo/v1", **condition(13.44, "1h"), "metadata": {"name": "fast"}}
    shared = {"apiVersion": "openslo/v1", **policy({"conditionRef": "fast"}), "metadata": {"name": "pager"}}
    spec = spec_of(slo(alertPolicies=[{"alertPolicyRef": "pager"}]), named, shared)

    assert spec["alerting"]["burnRates"][0]["budget"] == "2%"


def test_alerts_that_could_never_fire_are_left_out_and_told() -> None:
    """S3."""
    came = read(
        slo(objectives=[{"target": 0.9}], alertPolicies=[policy(condition(13.44, "1h")), policy(condition(2, "1h"))])
    )

    assert [rate["budget"] for rate in came.manifests[0]["spec"]["alerting"]["burnRates"]] == ["0.297619%"]
    assert told(came, "the alert is left out: it can never fire")


def test_the_four_usual_alerts_are_our_default() -> None:
    usual = [(13.44, "1h", "page"), (5.6, "6h", "page"), (2.8, "1d", "ticket"), (2.8 / 3, "3d", "ticket")]

    assert "alerting" not in spec_of(slo(alertPolicies=[policy(condition(*one)) for one in usual]))


NO_SPEC = {"kind": "AlertPolicy", "metadata": {"name": "p"}, "conditions": [condition(13.44, "1h")]}
BAD_SHORT = condition(13.44, "1h") | {"metadata": {"name": "c", "annotations": {"homeostat.dev/short": "soon"}}}


@pytest.mark.parametrize(
    "given",
    [
        [policy(condition(2000, "1h"))],
        [{"alertPolicyRef": "nowhere"}],
        ["nowhere"],
        "nowhere",
        [policy({"conditionRef": "nowhere"})],
        [policy()],
        [NO_SPEC],
        [{}],
        [policy(BAD_SHORT)],
        [7],
        [["pager"]],
    ],
    ids=str,
)
def test_where_alerts_were_asked_for_and_none_is_left_our_default_stays_and_that_is_told(given: Any) -> None:
    """S13: nobody asked for silence."""
    came = read(slo(alertPolicies=given))

    assert "alerting" not in came.manifests[0]["spec"]
    assert told(came, "spec.alertPolicies: no alert could be taken over: our default alerts stay")


def test_a_policy_that_is_none_is_an_error_and_the_objective_comes_over() -> None:
    came = read(slo(alertPolicies=[7, policy(condition(6.72, "2h"))]))

    assert told(came, "spec.alertPolicies[0]: error: neither an alert policy nor the name of one")
    assert not came.is_whole
    assert came.manifests[0]["spec"]["alerting"]["burnRates"][0]["long"] == "2h"


def test_a_text_where_a_policy_or_a_condition_should_be_is_its_name() -> None:
    named = {"apiVersion": "openslo/v1", **condition(13.44, "1h"), "metadata": {"name": "fast"}}
    shared = {"apiVersion": "openslo/v1", **policy("fast"), "metadata": {"name": "pager"}}  # type: ignore[arg-type]

    assert spec_of(slo(alertPolicies=["pager"]), named, shared)["alerting"]["burnRates"][0]["budget"] == "2%"


def test_without_a_policy_nobody_is_alerted_and_that_is_told() -> None:
    """S13."""
    came = read(slo())
    silent = read(slo(alertPolicies=[policy(condition(13.44, "1h"), alertWhenBreaching=False)]))

    assert came.manifests[0]["spec"]["alerting"] == {"disabled": True}
    assert told(came, "spec.alertPolicies: there are none: this objective tells nobody")
    assert silent.manifests[0]["spec"]["alerting"] == {"disabled": True}
    assert told(silent, "no alerts are left: this objective tells nobody")


# --- names, leftovers, versions ---------------------------------------------------------------------------


def test_names_and_labels_are_made_fit_and_told() -> None:
    body = slo()
    body["metadata"] = {"name": "Web Shop_1", "labels": {"env": ["prod", "dev"], "the team": "a b"}}
    came = read(body)

    assert came.manifests[0]["metadata"] == {"name": "web-shop-1", "labels": {"env": "prod", "the-team": "a-b"}}
    assert told(came, '"Web Shop_1" became "web-shop-1"')


def test_names_that_become_alike_are_told_apart() -> None:
    came = read(slo("Web"), slo("web"))

    assert [one["metadata"]["name"] for one in came.manifests] == ["web", "web-2"]
    assert told(came, '1.yaml: SLO/web: metadata.name: "web" is taken already: "web-2"')


def test_everything_that_was_not_asked_for_is_told() -> None:
    body = slo(objectives=[{"target": 0.99, "tarjet": 1}])
    body["metadata"]["owner"] = "x"
    came = read(body)

    assert told(came, "metadata.owner: not known here: left out")
    assert told(came, "spec.objectives[0].tarjet: not known here: left out; did you mean target?")


def test_v1alpha_comes_over() -> None:
    metric = {"source": "Prometheus", "queryType": "promql", "query": "sum(x)"}
    objectives = [{"target": 0.99, "value": 1, "ratioMetrics": {"incremental": True, "good": metric, "total": metric}}]
    windows = [{"unit": "Week", "count": 2, "isRolling": True}]
    body = slo(version="openslo/v1alpha", indicator=None, timeWindow=None, timeWindows=windows, objectives=objectives)
    came = read(body)

    assert len(came.manifests) == 1
    assert came.manifests[0]["spec"]["window"] == {"rolling": "14d"}
    assert came.manifests[0]["spec"]["indicator"] == {"prometheus": {"ratio": {"good": "sum(x)", "total": "sum(x)"}}}


def test_v2alpha_comes_over() -> None:
    source = {"type": "Prometheus", "connectionDetails": {"url": "http://prometheus"}}
    metric = {"dataSourceSpec": source, "spec": {"query": "sum(x)"}}
    sli = {"metadata": {"name": "a"}, "spec": {"ratioMetric": {"counter": True, "bad": metric, "total": metric}}}
    body = slo(version="openslo.com/v2alpha", service=None, indicator=None, serviceRef="web", sli=sli)
    spec = spec_of(body)

    assert spec["service"] == "web"
    assert spec["indicator"]["prometheus"] == {
        "url": "http://prometheus",
        "ratio": {"bad": "sum(x)", "total": "sum(x)"},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"apiVersion": "openslo/v1", "kind": "SLO"},
        {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": [], "spec": 1},
        {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": 5}, "spec": {"objectives": {"target": "x"}}},
        {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "a"}, "spec": {"timeWindow": "28d"}},
        {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "a"}, "spec": {"alertPolicies": [1, None]}},
        {"apiVersion": "openslo/v1", "kind": ["SLO"]},
    ],
)
def test_nonsense_is_an_error_line_and_never_a_crash(body: dict[str, Any]) -> None:
    came = read(yaml.safe_load(yaml.safe_dump(body)))

    assert (came.manifests, came.is_whole) == ((), False)
