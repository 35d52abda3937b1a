"""What rules are written for an objective, and for which there are none."""

from typing import Any

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.rules.groups import Emitted, emit
from homeostat.core.rules.names import LONGEST_NAME, object_name, plain, quoted
from homeostat.core.rules.queries import Inexpressible
from rule_cases import COUNTED, REQUESTS, SLICED, SPECS, spec_of


def rules_of(emitted: Emitted) -> list[dict[str, Any]]:
    return [dict(rule) for group in emitted.groups for rule in group["rules"]]


def written(name: str = "counters") -> list[dict[str, Any]]:
    return rules_of(emit(SPECS[name], "shop", "checkout"))


def expr_of(rules: list[dict[str, Any]], recording: str, **labels: str) -> str:
    (found,) = [
        str(rule["expr"])
        for rule in rules
        if rule.get("record") == recording and labels.items() <= rule["labels"].items()
    ]
    return found


@pytest.mark.parametrize("name", SPECS)
def test_every_rule_is_promql_and_speaks_of_its_objective_only(name: str) -> None:
    for rule in written(name):
        promql_parser.parse(rule["expr"])
        own = rule["labels"]
        assert own.get("homeostat_slo", own.get("slo")) == "checkout"
        for recording in ("slo_bad", "slo_total", "slo_error", "slo_budget", "slo_slice"):
            assert f"homeostat:{recording}:" not in rule["expr"] or 'homeostat_slo="checkout"' in rule["expr"]


def test_bad_and_total_are_recorded_for_five_minutes_and_an_absent_error_series_is_0() -> None:
    """S15."""
    rules = written()

    assert expr_of(rules, "homeostat:slo_total:rate5m") == "sum (rate(http_requests_total{}[5m]))"
    bad = expr_of(rules, "homeostat:slo_bad:rate5m")
    assert bad.startswith('sum (rate(http_requests_total{code=~"5.."}[5m])) or on () (homeostat:slo_total:rate5m')
    assert bad.endswith("* 0)")


@pytest.mark.parametrize("window", ["30m", "1h", "2h", "6h", "1d", "3d", "30d"])
def test_longer_windows_divide_averages_of_events_and_never_average_ratios(window: str) -> None:
    """S4, S15; where there were no events there is no ratio, which is S5."""
    expr = expr_of(written(), "homeostat:slo_error:ratio", homeostat_window=window)

    numerator, _, denominator = expr.partition(" / ")
    assert numerator.startswith("avg_over_time(homeostat:slo_bad:rate5m")
    assert denominator.startswith("(avg_over_time(homeostat:slo_total:rate5m")
    assert denominator.endswith("> 0)")
    assert f"[{window}]" in numerator


def test_what_is_slow_is_evaluated_every_five_minutes_from_one_sample_for_each() -> None:
    now, budget = emit(SPECS["counters"], "shop", "checkout").groups

    assert (now["interval"], budget["interval"]) == ("1m", "5m")
    long = [rule["expr"] for rule in budget["rules"] if "[30d]" in rule["expr"] or "[3d]" in rule["expr"]]
    assert long
    assert all("rate5m_step{" in expr for expr in long)


def test_the_label_of_the_window_is_dropped_before_and() -> None:
    """S15: the two sides of an alert differ in it."""
    for rule in written():
        if "\nand\n" in rule["expr"] and rule.get("alert") == "HomeostatErrorBudgetBurn":
            assert rule["expr"].count("homeostat_window=") == rule["expr"].count("(max by () (homeostat:slo_error")


def test_the_factors_are_those_of_the_objective() -> None:
    """S1, S2: 14.4, 6, 3 and 1 times 0.001, as exact decimals."""
    alerts = [rule for rule in written() if rule.get("alert") == "HomeostatErrorBudgetBurn"]

    assert [(rule["labels"]["severity"], rule["labels"]["long_window"]) for rule in alerts] == [
        ("page", "1h"), ("page", "6h"), ("ticket", "1d"), ("ticket", "3d"),
    ]  # fmt: skip
    for rule, limit in zip(alerts, ("0.0144", "0.006", "0.003", "0.001"), strict=True):
        assert f">= {limit})" in rule["expr"]


def test_a_minimum_of_bad_events_holds_alerts_back_but_not_that_of_a_total_outage() -> None:
    """S10."""
    for rule in written("counts by group"):
        has_minimum = ">= 5)" in rule["expr"]
        assert has_minimum == (rule.get("alert") == "HomeostatErrorBudgetBurn")


def test_slow_alerts_wait_for_their_window_to_be_covered() -> None:
    """S6."""
    alerts = [rule for rule in written() if rule.get("alert") == "HomeostatErrorBudgetBurn"]

    assert [">= 0.95)" in rule["expr"] for rule in alerts] == [False, False, True, True]


def test_an_alert_that_can_never_fire_is_left_out_and_said() -> None:
    """S3: at 80 % even a total outage burns at 5."""
    emitted = emit(spec_of(objective="80"), "shop", "checkout")

    assert emitted.left_out == ("The alert 1h/5m can never fire.", "The alert 6h/30m can never fire.")


def test_exclusions_are_said_to_be_missing() -> None:
    """S9."""
    excluded = spec_of(exclusions=[{"from": "2026-12-01T00:00:00Z", "to": "2026-12-01T01:00:00Z"}])

    (told,) = emit(excluded, "shop", "checkout").left_out
    assert told.startswith("Exclusions are not in the rules")


def test_groups_have_each_a_budget_and_all_together_one() -> None:
    """S14."""
    rules = written("counts by group")

    assert "sum by (route) (" in expr_of(rules, "homeostat:slo_total:rate5m")
    assert "sum by (homeostat_namespace, homeostat_slo)" in expr_of(rules, "homeostat:slo_overall_error:ratio")


def test_the_label_of_a_group_that_alerts_use_themselves_is_set_apart() -> None:
    """Without that Prometheus refuses two groups as one alert."""
    burning = [rule for rule in written("error ratio") if rule.get("alert") == "HomeostatErrorBudgetBurn"]

    assert burning
    assert all('"exported_service", "$1", "service"' in rule["expr"] for rule in burning)


def test_a_bucket_that_is_not_there_makes_nothing_bad() -> None:
    """S11: `1` and `1.0` are one bucket; none is no data, not an outage."""
    bad = expr_of(written("classic histogram"), "homeostat:slo_bad:rate5m")

    assert " or " not in bad
    assert "1([.]0*)?" in bad


def test_slices_are_recorded_once_each_and_weigh_alike() -> None:
    """S7."""
    rules = written("slices")

    assert "and on () (vector(time() % 60) < 60)" in expr_of(rules, "homeostat:slo_slice:bad")
    assert "> bool 0.05" in expr_of(rules, "homeostat:slo_slice:bad")
    assert expr_of(rules, "homeostat:slo_error:ratio", homeostat_window="30d").startswith(
        "avg_over_time(homeostat:slo_s"
    )


def test_dashboards_learn_the_objective_from_series() -> None:
    rules = written()

    assert expr_of(rules, "homeostat:slo_objective:ratio") == "vector(0.999)"
    assert expr_of(rules, "homeostat:slo_budget:ratio") == "vector(0.001)"
    assert expr_of(rules, "homeostat:slo_window:seconds") == "vector(2592000)"


def test_a_group_is_called_by_its_version() -> None:
    """S13: Prometheus then tells which version it has loaded."""
    one, same, other = (
        emit(spec, "shop", "checkout") for spec in (spec_of(), spec_of(), spec_of(objective="99.5"))
    )  # fmt: skip

    assert one.names == same.names
    assert not set(one.names) & set(other.names)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"indicator": {"events": {}}}, "type prometheus"),
        ({"indicator": {"healthCheck": {"name": "x"}}}, "type prometheus"),
        ({"window": {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00"}}}, "calendar"),
        ({"budgeting": SLICED | {"slice": "90s"}}, "whole minutes"),
        ({"indicator": {"prometheus": {"groupBy": ["homeostat_slo"], "ratio": COUNTED}}}, "homeostat_slo"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"bad": "sum("}}}}, "not PromQL"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"bad": "max(errors_total)"}}}}, "aggregation max"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"bad": "abs(errors_total)"}}}}, "function abs"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"bad": "errors_total offset 5m"}}}}, "offset"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"bad": "errors_total[5m]"}}}}, "got matrix"),
        ({"indicator": {"prometheus": {"ratio": REQUESTS | {"total": "1"}}}}, "got scalar"),
        ({"indicator": {"prometheus": {"ratioQuery": "scalar(my:errors:ratio)"}}}, "got scalar"),
    ],
)
def test_what_cannot_be_written_as_rules_is_said(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Inexpressible, match=why):
        emit(spec_of(**changes), "shop", "checkout")


def test_long_names_are_cut_and_stay_apart() -> None:
    long = "a" * 252
    names = {object_name(long + end) for end in "bc"} | {object_name("checkout")}

    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME
    assert "homeostat-slo-checkout" in names


@given(st.text(max_size=30))
def test_texts_stay_what_they_are(text: str) -> None:
    """A description is data: no template of it is left for Prometheus to work out."""
    assert "{{" not in plain(text).replace('{{ "{{" }}', "")
    assert promql_parser.parse(f"x{{a={quoted(text.replace(chr(0), ''))}}}")
