"""The rules, as Prometheus itself reads and evaluates them (promtool): they load, fire and end at the right minute."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import as_file
from prometheus_process import promtool
from rule_cases import COUNTED, REQUESTS, SLICED, SPECS, spec_of

LABELS = 'homeostat_namespace="shop",homeostat_slo="checkout"'


def file_of(spec: ServiceLevelObjectiveSpec, folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(as_file(emit(spec, "shop", "checkout").groups), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SPECS)
def test_prometheus_takes_every_file_of_rules(name: str, tmp_path: Path) -> None:
    """S15."""
    done = promtool("check", "rules", file_of(SPECS[name], tmp_path))

    assert done.returncode == 0, done.stderr


def play(spec: ServiceLevelObjectiveSpec, folder: Path, **test: Any) -> None:
    """Play a test of `promtool test rules`: a sample every minute, all rules evaluated every minute."""
    file_of(spec, folder)
    alerts = [{**one, "exp_alerts": [_whole(spec, alert) for alert in one["exp_alerts"]]} for one in test["alerts"]]
    case = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in test["series"].items()],
        "alert_rule_test": alerts,
        "promql_expr_test": [
            {"expr": expr, "eval_time": at, "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
            for expr, at, value in test.get("values", ())
        ],
    }  # fmt: skip
    path = folder / "test.yaml"
    path.write_text(json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}))
    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr


def _whole(spec: ServiceLevelObjectiveSpec, labels: dict[str, str]) -> dict[str, Any]:
    """Give an alert as it fires: its own labels, and its annotations."""
    rules = [rule for group in emit(spec, "shop", "checkout").groups for rule in group["rules"]]
    (found,) = [
        rule
        for rule in rules
        if rule.get("alert") == labels["alertname"] and rule["labels"].get("long_window") == labels.get("long_window")
    ]
    told = {key: value for key, value in labels.items() if key != "alertname"}
    return {"exp_labels": found["labels"] | told, "exp_annotations": found["annotations"]}


def at(alertname: str, minute: int, *labels: dict[str, str]) -> dict[str, Any]:
    """Expect these alerts of a name, and no others, at a minute."""
    found = [{"alertname": alertname, **one} for one in labels]
    return {"eval_time": f"{minute}m", "alertname": alertname, "exp_alerts": found}


BURN, OUTAGE, NO_DATA = "HomeostatErrorBudgetBurn", "HomeostatTotalOutage", "HomeostatNoData"
HOUR, SIX = {"long_window": "1h"}, {"long_window": "6h"}


def test_a_burning_budget_fires_within_minutes_and_ends_when_the_short_window_is_clean(tmp_path: Path) -> None:
    """S2: two hours of 600 requests a minute; from minute 120 on a tenth fails, for 20 minutes."""
    play(
        spec_of(),
        tmp_path,
        series={
            'http_requests_total{code="200"}': "0+600x120 72060+540x20 82860+600x60",
            'http_requests_total{code="500"}': "0+0x120 60+60x20 1260+0x60",
        },
        alerts=[
            at(BURN, 122),
            # A tenth is 100 times the budget: 14.4 of an hour are reached after some nine minutes, 6 of six hours
            # (of which two were lived through, and the rest counts as good) after more than twenty.
            at(BURN, 135, HOUR),
            at(BURN, 148),
            at(OUTAGE, 135),
            at(NO_DATA, 135),
        ],
    )


def test_an_error_series_that_was_never_there_counts_as_0(tmp_path: Path) -> None:
    """S15: Prometheus itself would give nothing at all."""
    play(
        spec_of(),
        tmp_path,
        series={'http_requests_total{code="200"}': "0+600x60"},
        alerts=[at(NO_DATA, 50), at(BURN, 50)],
        values=[
            (f"sum(homeostat:slo_bad:rate5m{{{LABELS}}})", "30m", 0),
            (f'sum(homeostat:slo_error:ratio{{{LABELS},homeostat_window="1h"}})', "50m", 0),
            (f"sum(homeostat:slo_budget:remaining{{{LABELS}}})", "50m", 1),
        ],
    )


def test_a_total_outage_at_little_traffic_pages_and_is_over_with_the_first_good_request(tmp_path: Path) -> None:
    """S10: one request a minute, all of which fail from minute 60 on, and none from minute 80 on."""
    play(
        spec_of(alerting={"minBadEvents": 1000}),
        tmp_path,
        series={
            'http_requests_total{code="200"}': "0+1x60 60+0x20 81+1x40",
            'http_requests_total{code="500"}': "0+0x60 1+1x20 20+0x40",
        },
        alerts=[at(OUTAGE, 58), at(OUTAGE, 62), at(OUTAGE, 75, {}), at(OUTAGE, 92), at(BURN, 75)],
    )


def test_idle_time_is_neither_an_outage_nor_missing_data(tmp_path: Path) -> None:
    """S5: no request in minutes 30 to 90. There is no ratio, and nothing that is not a number."""
    play(
        spec_of(),
        tmp_path,
        series={
            'http_requests_total{code="200"}': "0+60x30 1800+0x60 1860+60x30",
            'http_requests_total{code="500"}': "0+0x120",
        },
        alerts=[at(OUTAGE, 60), at(NO_DATA, 60), at(BURN, 60)],
        values=[
            (f'sum(homeostat:slo_error:ratio{{{LABELS},homeostat_window="5m"}})', "60m", None),
            (f'sum(homeostat:slo_error:ratio{{{LABELS},homeostat_window="1h"}})', "60m", 0),
        ],
    )


def test_data_that_stops_is_told_after_ten_minutes_and_its_return_ends_it(tmp_path: Path) -> None:
    """S13."""
    play(
        spec_of(),
        tmp_path,
        series={'http_requests_total{code="200"}': "0+60x30 stale _x60 0+60x30"},
        alerts=[at(NO_DATA, 30), at(NO_DATA, 40), at(NO_DATA, 60, {}), at(NO_DATA, 110)],
    )


def test_missing_data_that_counts_as_good_is_not_told(tmp_path: Path) -> None:
    play(
        spec_of(noData="Good"),
        tmp_path,
        series={'http_requests_total{code="200"}': "0+60x10"},
        alerts=[at(NO_DATA, 120)],
    )


def test_each_group_has_its_own_alert(tmp_path: Path) -> None:
    """S14: /pay fails, /list does not."""
    series = {
        'http_requests_total{route="/pay",code="200"}': "0+54x120",
        'http_requests_total{route="/pay",code="500"}': "0+6x120",
        'http_requests_total{route="/list",code="200"}': "0+60x120",
    }

    play(
        spec_of({"groupBy": ["route"], "ratio": COUNTED}),
        tmp_path,
        series=series,
        alerts=[at(BURN, 115, HOUR | {"route": "/pay"}, SIX | {"route": "/pay"})],
        values=[(f'sum(homeostat:slo_error:ratio{{{LABELS},route="/pay",homeostat_window="1h"}})', "115m", 0.1)],
    )


def test_slices_are_good_or_bad_however_many_requests_they_have(tmp_path: Path) -> None:
    """S7: of the ten slices of a minute two have a fifth of errors, whatever their traffic."""
    play(
        spec_of(budgeting=SLICED | {"slice": "5m"}),
        tmp_path,
        series={
            'http_requests_total{code="200"}': "0+600x20 12048+48x9 12480+600x30",
            'http_requests_total{code="500"}': "0+0x20 12+12x9 120+0x30",
        },
        alerts=[at(BURN, 18)],
        values=[
            (f"sum(sum_over_time(homeostat:slo_slice:bad{{{LABELS}}}[50m]))", "50m", 2),
            (f"sum(count_over_time(homeostat:slo_slice:bad{{{LABELS}}}[50m]))", "50m", 10),
        ],
    )


def test_a_bucket_that_is_not_there_is_no_data(tmp_path: Path) -> None:
    """S11: a wrong threshold must not page as an outage."""
    play(
        spec_of({"latency": {"histogram": "h", "threshold": "1s"}}),
        tmp_path,
        series={"h_count": "0+60x60", 'h_bucket{le="0.5"}': "0+50x60", 'h_bucket{le="+Inf"}': "0+60x60"},
        alerts=[at(OUTAGE, 40), at(NO_DATA, 40, {})],
    )


@pytest.mark.parametrize("le", ["1", "1.0", "1e+00"])
def test_a_bucket_is_found_however_its_bound_is_written(le: str, tmp_path: Path) -> None:
    """S11."""
    play(
        spec_of({"latency": {"histogram": "h", "threshold": "1s"}}),
        tmp_path,
        series={"h_count": "0+60x60", f'h_bucket{{le="{le}"}}': "0+45x60"},
        alerts=[at(OUTAGE, 40), at(NO_DATA, 40)],
        values=[(f'sum(homeostat:slo_error:ratio{{{LABELS},homeostat_window="5m"}})', "40m", 0.25)],
    )


def test_an_error_ratio_counts_every_moment_alike_and_is_clamped(tmp_path: Path) -> None:
    """S14."""
    play(
        spec_of({"ratioQuery": "my_ratio"}),
        tmp_path,
        series={"my_ratio": "0x29 1.5x30"},
        alerts=[at(NO_DATA, 59)],
        values=[(f"max(homeostat:slo_bad:rate5m{{{LABELS}}})", "50m", 1)],
    )


def test_a_description_with_templates_is_shown_as_it_is(tmp_path: Path) -> None:
    """Text from the cluster is data."""
    spec = spec_of({"ratio": REQUESTS}, description="see {{ $labels.slo }}")
    done = promtool("check", "rules", file_of(spec, tmp_path))

    assert done.returncode == 0, done.stderr
