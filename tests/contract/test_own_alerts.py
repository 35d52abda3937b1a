"""The alerts about homeostat itself, as Prometheus evaluates them (promtool): each in its case, and none in health."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from homeostat.cli.commands import COMMANDS
from homeostat.wiring.settings import Settings
from prometheus_process import promtool
from shown_metrics import SHOWN

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts" / "homeostat" / "files" / "rules" / "homeostat.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
PARTS = ["What it means", "What users notice", "See it", "What to do", "Silence"]
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
OF = 'job="homeostat",namespace="homeostat-system"'
CLAIM = 'namespace="homeostat-system",persistentvolumeclaim="homeostat-history"'
OWN = {"job": "homeostat", "namespace": "homeostat-system"}
LOST = "_x300"
"""Never scraped."""

HEALTHY = {
    f'homeostat_leader{{{OF},pod="a"}}': "1x300",
    f'homeostat_leader{{{OF},pod="b"}}': "0x300",
    f'homeostat_evaluations_put_off_total{{{OF},kind="HealthCheck",reason="Conflict"}}': "0+1x300",
    f'homeostat_evaluations_put_off_total{{{OF},kind="HealthCheck",reason="Unavailable"}}': "0+0x300",
    f'homeostat_actions_total{{{OF},kind="RecoveryPolicy",action="EvictPod",outcome="Failed"}}': "0x300",
    f'homeostat_actions_total{{{OF},kind="RecoveryPolicy",action="EvictPod",outcome="Refused"}}': "0+1x300",
    f'homeostat_probe_start_lateness_seconds_bucket{{{OF},le="0.01"}}': "0+600x300",
    f'homeostat_probe_start_lateness_seconds_bucket{{{OF},le="1"}}': "0+600x300",
    f'homeostat_probe_start_lateness_seconds_bucket{{{OF},le="+Inf"}}': "0+600x300",
    f'homeostat_loop_lag_seconds_bucket{{{OF},le="0.01"}}': "0+60x300",
    f'homeostat_loop_lag_seconds_bucket{{{OF},le="0.5"}}': "0+60x300",
    f'homeostat_loop_lag_seconds_bucket{{{OF},le="+Inf"}}': "0+60x300",
    f'homeostat_store_drift_total{{{OF},kind="HealthCheck"}}': "0x300",
    f'homeostat_api_requests_total{{{OF},verb="GET",status="2xx"}}': "0+60x300",
    f'homeostat_api_requests_total{{{OF},verb="GET",status="5xx"}}': "0+1x300",
    f"homeostat_history_errors_total{{{OF}}}": "0x300",
    f"homeostat_history_dropped_total{{{OF}}}": "0x300",
    f'homeostat_history_bytes{{{OF},pod="a"}}': "500x300",
    f'homeostat_history_limit_bytes{{{OF},pod="a"}}': "1000x300",
    f'homeostat_history_bytes{{{OF},pod="b"}}': "0x300",
    f'homeostat_history_limit_bytes{{{OF},pod="b"}}': "0x300",
    f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "50x300",
    f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x300",
    f'homeostat_alertmanager_posts_total{{{OF},outcome="Taken"}}': "0+1x300",
    f'homeostat_alertmanager_posts_total{{{OF},outcome="Refused"}}': "0x300",
    f'homeostat_alertmanager_posts_total{{{OF},outcome="Unavailable"}}': "0x300",
    f'homeostat_pushed_batches_total{{{OF},outcome="Unavailable"}}': "0x300",
    f'homeostat_rest_requests_total{{{OF},route="events",status="2xx"}}': "0+60x300",
    f'homeostat_rest_requests_total{{{OF},route="events",status="4xx"}}': "0+20x300",
    f'homeostat_rest_requests_total{{{OF},route="none",status="4xx"}}': "0+1x300",
    'homeostat_chaos_faults_left{namespace="shop",name="pod-loss"}': "0x300",
    f'homeostat_crd_outdated{{{OF},kind="HealthCheck"}}': "0x300",
    f'homeostat_right_missing{{{OF},role="homeostat-core",resource="pods",verb="list"}}': "0x300",
    f'homeostat_trace_spans_total{{{OF},outcome="Dropped"}}': "0x300",
}  # fmt: skip
"""Some hours, a sample each minute; with what is odd but no trouble."""


class Case(NamedTuple):
    """What is different from health, and with which labels the alert then fires."""

    series: Mapping[str, str]
    labels: Mapping[str, str] = OWN
    value: str = ""


def like(pattern: str, values: str) -> dict[str, str]:
    """Give the one healthy series that a pattern finds, with other values."""
    (found,) = [name for name in HEALTHY if re.search(pattern, name)]
    return {found: values}


FROM_200 = "0x200 0+5x100"
"""All is well for hours, then five each minute."""

CASES = {
    "HomeostatNotScraped": Case(dict.fromkeys((name for name in HEALTHY if "leader" in name), LOST), {}),
    "HomeostatNotLeading": Case(like('leader.*"a"', "1x200 0x100")),
    "HomeostatSeveralLeaders": Case(like('leader.*"b"', "0x200 1x100"), value="2"),
    "HomeostatStandbyMissing": Case(like('leader.*"b"', "0x200 stale _x100")),
    "HomeostatEvaluationsFailing": Case(
        like("put_off.*Unavailable", FROM_200), OWN | {"kind": "HealthCheck", "reason": "Unavailable"}
    ),
    "HomeostatActionsFailing": Case(
        like("actions.*Failed", FROM_200), OWN | {"kind": "RecoveryPolicy", "action": "EvictPod"}
    ),
    "HomeostatProbesLate": Case(like('lateness.*"0.01"', "0+600x200 120000+0x100"), value="990.1ms"),
    "HomeostatLoopLag": Case(like('lag.*"0.01"', "0+60x200 12000+0x100"), value="495.1ms"),
    "HomeostatWatchDrift": Case(like("drift", "0x230 1x70"), OWN | {"kind": "HealthCheck"}),
    "HomeostatApiServerErrors": Case(like("requests_total.*5xx", "0+1x200 200+60x100"), value="50%"),
    "HomeostatHistoryErrors": Case(like("history_errors", FROM_200)),
    "HomeostatHistoryDropped": Case(like("history_dropped", FROM_200), value="75"),
    "HomeostatHistoryNearlyFull": Case(like('history_bytes.*"a"', "500x200 950x100"), value="95%"),
    "HomeostatHistoryVolumeNearlyFull": Case(
        like("volume_stats_available", "50x200 5x100"),
        {"namespace": "homeostat-system", "persistentvolumeclaim": "homeostat-history"},
        "5%",
    ),
    "HomeostatAlertmanagerUnavailable": Case(like("posts.*Unavailable", FROM_200)),
    "HomeostatAlertsRefused": Case(like("posts.*Refused", FROM_200)),
    "HomeostatPushesUnavailable": Case(like("pushed_batches.*Unavailable", FROM_200)),
    "HomeostatApiRefusing": Case(like("rest.*events.*4xx", "0+20x200 4000+90x100"), OWN | {"route": "events"}),
    "HomeostatFaultLeft": Case(
        like("faults_left", "0x200 2x100"), {"namespace": "shop", "name": "pod-loss"}, value="2"
    ),
    "HomeostatCrdOutdated": Case(like("crd_outdated", "0x200 1x100"), OWN | {"kind": "HealthCheck"}),
    "HomeostatRightMissing": Case(
        like("right_missing", "0x200 1x100"), OWN | {"role": "homeostat-core"}, value="1"
    ),
    "HomeostatTracesDropped": Case(like("trace_spans", FROM_200)),
}  # fmt: skip
MINUTE = 275


def filled(text: str, labels: Mapping[str, str], value: str) -> str:
    """Fill in a template of Prometheus, as far as ours go."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), text)
    return re.sub(r"\{\{ \$value[^}]*\}\}", value, text)


def expected(alert: str, case: Case) -> dict[str, Any]:
    rule = ALERTS[alert]
    told = {name: filled(text, case.labels, case.value) for name, text in rule["annotations"].items()}
    return {"exp_labels": {**rule["labels"], **case.labels}, "exp_annotations": told}


def play(folder: Path, series: Mapping[str, str], alerts: Mapping[str, list[dict[str, Any]]]) -> None:
    """Have promtool play some hours, and compare what fires at its end."""
    (folder / "homeostat.yaml").write_text(RULES.read_text())
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{MINUTE}m", "alertname": name, "exp_alerts": fired} for name, fired in alerts.items()
        ],
    }
    path = folder / "test.yaml"
    path.write_text(json.dumps({"rule_files": ["homeostat.yaml"], "evaluation_interval": "5m", "tests": [test]}))
    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.programs
def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", RULES)

    assert done.returncode == 0, done.stderr


@pytest.mark.programs
def test_in_health_no_alert_fires(tmp_path: Path) -> None:
    play(tmp_path, HEALTHY, {name: [] for name in ALERTS})


@pytest.mark.programs
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_in_its_case(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]

    play(tmp_path, {**HEALTHY, **case.series}, {alert: [expected(alert, case)]})


@pytest.mark.programs
@pytest.mark.parametrize(
    ("alert", "series"), [("HomeostatWatchDrift", "drift"), ("HomeostatActionsFailing", "actions.*Failed")]
)
def test_what_happens_for_the_first_time_is_not_missed(alert: str, series: str, tmp_path: Path) -> None:
    """A counter that was not there before has no increase."""
    case = CASES[alert]

    play(tmp_path, {**HEALTHY, **like(series, "_x265 1x30")}, {alert: [expected(alert, case)]})


@pytest.mark.programs
def test_one_replica_that_was_always_alone_is_not_missed_a_standby(tmp_path: Path) -> None:
    """Nobody asked for two."""
    alone = {name: values for name, values in HEALTHY.items() if "leader" not in name or '"a"' in name}

    play(tmp_path, alone, {"HomeostatStandbyMissing": []})


@pytest.mark.programs
def test_an_upgrade_is_no_missing_standby_and_no_second_leader(tmp_path: Path) -> None:
    """A surge of one: for some minutes there are three, then two again."""
    surge = {f'homeostat_leader{{{OF},pod="c"}}': "_x200 0x5 1x100", **like('leader.*"a"', "1x204 stale")}

    play(tmp_path, {**HEALTHY, **surge}, {"HomeostatStandbyMissing": [], "HomeostatSeveralLeaders": []})


def test_every_alert_has_a_case() -> None:
    assert sorted(CASES) == sorted(ALERTS)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_where_its_runbook_is(alert: str) -> None:
    rule = ALERTS[alert]

    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK_URL/{alert}.html"


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_says_all_that_one_needs_at_night(alert: str) -> None:
    page = (RUNBOOKS / f"{alert}.md").read_text()

    assert page.startswith(f"# {alert}\n\nSeverity: {ALERTS[alert]['labels']['severity']}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == PARTS
    assert [part for part in re.split(r"^## .+$", page, flags=re.MULTILINE)[1:] if len(part.split()) < 4] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_names_only_commands_settings_and_metrics_that_there_are(alert: str) -> None:
    """At night nobody wants to be told that there is no such command."""
    page = (RUNBOOKS / f"{alert}.md").read_text()
    commands = set(re.findall(r"(?:^    |`|-- )homeostat (\w+)", page, re.MULTILINE))

    assert commands <= {command.name for command in COMMANDS}
    assert set(re.findall(r"HOMEOSTAT_(\w+)", page)) <= {name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"\bhomeostat_\w+", page)) <= set(SHOWN)


def test_the_list_of_runbooks_has_each_with_its_severity() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \|$", (RUNBOOKS / "index.md").read_text(), re.MULTILINE)

    assert dict(listed) == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}
