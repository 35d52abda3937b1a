"""What OpenSLO can say of our objectives comes back from it as it was."""

import json
from datetime import timedelta
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.meta import API_VERSION
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.objective.burn import DEFAULT_PAIRS, pairs
from homeostat.interchange import openslo_import
from homeostat.interchange.importing import Outcome, outcome
from homeostat.interchange.openslo_export import Exported
from homeostat.interchange.reading import Foreign, Notes
from homeostat.interchange.validation import check

Spec = dict[str, Any]


def exported(body: Spec) -> tuple[list[Spec], Notes]:
    checked = check(body)
    assert isinstance(checked.spec, ServiceLevelObjectiveSpec), checked.problems
    notes, whole = Notes(), Exported()
    whole.add(body["metadata"], checked.spec, notes)
    return list(yaml.safe_load_all(yaml.safe_dump_all(whole.documents()))), notes


def read_back(documents: list[Spec]) -> Outcome:
    objects = [Foreign("a.yaml", "1", document) for document in documents]
    return outcome(openslo_import.convert(objects), "")


def objective(**spec: Any) -> Spec:
    base = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"healthCheck": {"name": "a"}}}
    metadata = {"name": "checkout", "namespace": "shop"}
    return {"apiVersion": API_VERSION, "kind": "ServiceLevelObjective", "metadata": metadata, "spec": base | spec}


# --- the property ---------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20)
percents = st.integers(1, 99_999_999).map(lambda value: f"{value / 1_000_000:.6f}".rstrip("0").rstrip("."))
queries = st.sampled_from(
    ["sum(x)", "sum(rate(x[{{window}}]))", 'sum by (a) (increase(x{b=~"5.."}[{{window}}]))', "x", "increase(x[5m])"]
)
rolling = st.sampled_from(["1h", "36h", "7d", "28d", "30d", "90d", "90m"]).map(lambda text: {"rolling": text})
calendar = st.builds(
    lambda unit, zone: {"calendar": {"unit": unit, "start": "2026-01-01T08:00:00", "timeZone": zone}},
    st.sampled_from(["Day", "Week", "Month", "Quarter", "Year"]),
    st.sampled_from(["UTC", "Europe/Paris"]),
)
budgeting = st.one_of(
    st.none(),
    st.builds(lambda one, share: {"method": "Timeslices", "slice": one, "sliceObjective": share},
              st.sampled_from(["1m", "5m", "1h"]), percents),
    st.just({"method": "RatioTimeslices", "slice": "1m"}),
)  # fmt: skip
latency = st.builds(
    lambda kind, more: {"latency": {"histogram": "seconds", "threshold": "300ms"} | kind | more},
    st.sampled_from([{}, {"type": "Native"}]),
    st.sampled_from([{}, {"selector": 'job="api"'}]),
)
ratio = st.builds(
    lambda part, some, total: {"ratio": {part: some, "total": total}},
    st.sampled_from(["bad", "good"]),
    queries,
    queries,
)
prometheus = st.builds(
    lambda source, *more: {"prometheus": source | {name: value for part in more for name, value in part.items()}},
    st.one_of(ratio, latency, queries.map(lambda query: {"ratioQuery": query})),
    st.sampled_from([{}, {"url": "https://prometheus.example:9090"}]),
    st.sampled_from([{}, {"resolution": "5m"}]),
    st.sampled_from([{}, {"groupBy": ["a", "b"]}]),
)
indicators = st.one_of(
    prometheus,
    names.map(lambda name: {"healthCheck": {"name": name, "good": "FasterThan", "threshold": "300ms"}}),
    st.just({"events": {"groupBy": ["route"]}}),
    names.map(lambda name: {"composite": {"mode": "Sum", "members": [{"name": name, "weight": 3}]}}),
)
burn_rates = st.lists(
    st.fixed_dictionaries(
        {
            "budget": st.sampled_from(["1%", "2%", "3.333333%", "10%"]),
            "long": st.sampled_from(["12m", "1h", "6h"]),
            "severity": st.sampled_from(["Page", "Ticket"]),
        },
        optional={"short": st.sampled_from(["2m", "3m"])},
    ),
    min_size=1,
    max_size=4,
)
alerting = st.one_of(st.none(), st.just({"disabled": True}), burn_rates.map(lambda rates: {"burnRates": rates}))


@st.composite
def objectives(draw: st.DrawFn) -> Spec:
    """Give an objective that our rules accept, of parts for which OpenSLO has words."""
    indicator = draw(indicators)
    spec = {"objective": draw(percents), "window": draw(st.one_of(rolling, calendar)), "indicator": indicator}
    more = {
        "service": draw(st.one_of(st.just(""), names)),
        "description": draw(texts),
        "alerting": draw(alerting),
        "budgeting": None if "composite" in indicator else draw(budgeting),
    }
    body = objective(**spec, **{name: value for name, value in more.items() if value})
    body["metadata"] |= {"name": draw(names), "labels": {"team": "a"}, "annotations": {"example.com/a": draw(texts)}}
    return body


def is_accepted(body: Spec) -> bool:
    return not check(body).problems


@settings(max_examples=40, deadline=None)
@given(objectives().filter(is_accepted))
def test_an_objective_comes_back_from_openslo_as_it_was(body: Spec) -> None:
    documents, _ = exported(body)
    came = read_back(documents)

    assert came.is_whole, came.lines
    assert meaning(came.manifests[0]) == meaning(body)


def meaning(body: Spec) -> Any:
    """Give what a manifest says: with its defaults, and its alerts as pairs of windows."""
    spec = ServiceLevelObjectiveSpec.model_validate(body["spec"])
    listed = pairs(spec.alerting.burn_rates, spec.window.rolling or timedelta(days=90))
    whole = json.loads(spec.model_dump_json(by_alias=True))
    if not spec.alerting.burn_rates:
        listed = DEFAULT_PAIRS
    whole["alerting"].pop("burnRates")
    return body["metadata"], whole, sorted(map(str, listed))


# --- what is written, and lost --------------------------------------------------------------------------


def test_what_is_exported_has_the_members_that_openslo_asks_for() -> None:
    url = "https://prometheus.example"
    (source, slo), notes = exported(
        objective(indicator={"prometheus": {"url": url, "ratio": {"bad": "sum(bad)", "total": "sum(all)"}}})
    )
    spec = slo["spec"]

    assert (source["kind"], source["spec"]["connectionDetails"]) == ("DataSource", [{"url": url}])
    assert (slo["apiVersion"], slo["kind"]) == ("openslo/v1", "SLO")
    assert spec["service"] == "checkout"
    assert spec["budgetingMethod"] == "Occurrences"
    assert spec["timeWindow"] == [{"duration": "30d", "isRolling": True}]
    assert spec["objectives"] == [{"targetPercent": 99.9}]
    assert spec["indicator"]["spec"]["ratioMetric"]["bad"]["metricSource"] == {
        "type": "Prometheus", "metricSourceRef": "prometheus", "spec": {"query": "sum(bad)"},
    }  # fmt: skip
    conditions = [policy["spec"]["conditions"][0]["spec"]["condition"] for policy in spec["alertPolicies"]]
    assert [(one["threshold"], one["lookbackWindow"]) for one in conditions] == [
        (14.4, "1h"), (6.0, "6h"), (3.0, "1d"), (1.0, "3d"),
    ]  # fmt: skip
    assert notes.warnings == []


def test_what_openslo_has_no_words_for_is_told() -> None:
    _, notes = exported(
        objective(
            noData="Bad",
            alerting={"minBadEvents": 3},
            exclusions=[{"from": "2026-12-01T00:00:00Z", "to": "2026-12-01T02:00:00Z"}],
            rules={"emit": True},
            window={"rolling": "3601s"},
        )
    )

    assert {path for path, _ in notes.warnings} == {
        "spec.noData", "spec.alerting.minBadEvents", "spec.exclusions", "spec.rules", "spec.window.rolling",
        "spec.indicator.healthCheck",
    }  # fmt: skip


def test_two_objectives_of_one_prometheus_share_a_data_source() -> None:
    whole = Exported()
    for name, url in (("a", "https://one"), ("b", "https://one"), ("c", "https://two")):
        checked = check(objective(indicator={"prometheus": {"url": url, "ratioQuery": "x"}}))
        assert isinstance(checked.spec, ServiceLevelObjectiveSpec)
        whole.add({"name": name}, checked.spec, Notes())

    assert [document["kind"] for document in whole.documents()] == ["DataSource", "DataSource", "SLO", "SLO", "SLO"]
