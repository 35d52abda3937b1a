"""`homeostat simulate` against a real Prometheus that holds eight hours: an outage, and half an hour of nothing."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.__main__ import main
from prometheus_process import Recorded, RunningPrometheus, openmetrics, running_prometheus

END = int(time.time()) // 60 * 60
SCRAPE = 15
TIMES = range(END - 8 * 3600, END + 1800, SCRAPE)
OUTAGE = range(END - 120 * 60, END - 110 * 60)
SILENCE = range(END - 60 * 60, END - 30 * 60)
LOOKED_BACK = 300
"""Seconds for which Prometheus takes the last sample of a series for its value."""
META = {"name": "checkout", "namespace": "shop"}
RATES = {"bad": 'sum(rate(requests_total{code="500"}[{{window}}]))', "total": "sum(rate(requests_total[{{window}}]))"}
COUNTERS = {"bad": 'requests_total{code="500"}', "total": "requests_total"}


def requests(code: str, well: float, badly: float) -> Recorded:
    """Count requests by their code: so many a scrape while all is well, and in the outage."""
    samples: list[tuple[float, float]] = []
    value = 1e6
    for at in TIMES:
        value += badly if at in OUTAGE else well
        if at not in SILENCE:
            samples.append((float(at), value))
    return Recorded("requests_total", {"code": code}, samples)


SERIES = [
    requests("200", 100, 50),
    requests("500", 0, 50),
    Recorded("queue", {}, [(float(at), 90.0 if at in OUTAGE else 10.0) for at in TIMES if at not in SILENCE]),
]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus") / "server", openmetrics(SERIES)) as running:
        yield running


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have neither a cluster nor a store."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOMEOSTAT_STORE_URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def slo(name: str = "checkout", **changes: Any) -> dict[str, Any]:
    spec = {
        "service": name, "objective": "99.9", "window": {"rolling": "30d"},
        "indicator": {"prometheus": {"ratio": COUNTERS}},
    }  # fmt: skip
    return {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "ServiceLevelObjective", "metadata": META | {"name": name},
        "spec": spec | changes,
    }  # fmt: skip


def simulated(
    running: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], *bodies: dict[str, Any]
) -> Any:
    """Replay the first of some objects over four hours."""
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
    kind = "rp" if bodies[0]["kind"] == "RecoveryPolicy" else "slo"
    arguments = ["-f", str(path), f"{kind}/checkout", "--prometheus-url", running.url, "--since", "4h", "-o", "json"]
    assert main(["simulate", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def paged(found: Any) -> list[Any]:
    return [one for one in found["changed"]["alerts"] if one["windows"] == "1h/5m"]


@pytest.mark.parametrize("ratio", [COUNTERS, RATES])
def test_an_outage_that_prometheus_holds_would_have_paged_once(
    ratio: dict[str, str], prometheus: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2,000 bad events are gone of a budget of thirty days; that is provisional, for eight hours are known."""
    found = simulated(prometheus, tmp_path, capsys, slo(indicator={"prometheus": {"ratio": ratio}}, objective="99.5"))
    (page,) = paged(found)
    assert OUTAGE.start < seconds(page["since"]) < OUTAGE.stop
    assert OUTAGE.stop <= seconds(page["until"]) < OUTAGE.stop + 600
    spent = 2000 / (30 * 24 * 60 * 400) / 0.005
    assert float(found["changed"]["budgetRemaining"]) == pytest.approx(100 * (1 - spent), abs=0.3)
    assert found["changed"]["budgetProvisional"] is True
    assert float(found["changed"]["windowCoverage"]) == pytest.approx(100 * 7.5 / 720, abs=0.1)


def test_the_silence_is_told_as_missing(
    prometheus: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = simulated(prometheus, tmp_path, capsys, slo(indicator={"prometheus": {"ratio": RATES}}))
    (gap,) = found["coverage"]["missing"]
    assert SILENCE.start <= seconds(gap["since"]) <= SILENCE.start + 60
    assert SILENCE.stop <= seconds(gap["until"]) <= SILENCE.stop + 60
    assert float(found["coverage"]["share"]) == pytest.approx(1 - 30 / 240, abs=0.01)
    assert [one["type"] for one in found["changed"]["alerts"] if SILENCE.start < seconds(one["since"])] == ["NoData"]


def test_a_server_that_refuses_so_many_samples_is_asked_for_fewer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what comes of it is the same."""
    flags = ["--query.max-samples=600"]
    with running_prometheus(tmp_path / "server", openmetrics(SERIES), flags=flags) as running:
        found = simulated(running, tmp_path, capsys, slo(objective="99.5"))
    assert len(paged(found)) == 1


def test_a_composite_of_what_prometheus_holds(
    prometheus: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [{"name": "api"}, {"name": "web"}]
    whole = slo(indicator={"composite": {"mode": "All", "members": members}}, objective="99.5")
    web = slo("web", indicator={"prometheus": {"ratioQuery": "0 * sum(queue)"}})
    found = simulated(prometheus, tmp_path, capsys, whole, slo("api"), web)
    assert len(paged(found)) == 1
    assert float(found["changed"]["budgetRemaining"]) == pytest.approx(97.7, abs=0.3)


def test_the_value_of_a_query_triggers_a_policy(
    prometheus: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    triggers = [{"promql": {"query": "max(queue)", "condition": "> 50"}, "for": "2m"}]
    spec = {"target": {"kind": "Deployment", "name": "checkout"}, "mode": "Auto", "triggers": triggers,
            "steps": [{"restartPods": {}}]}  # fmt: skip
    policy = {"apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "metadata": META, "spec": spec}
    found = simulated(prometheus, tmp_path, capsys, policy)
    (fired,) = found["triggered"]
    assert datetime.fromisoformat(fired["since"]) == datetime.fromtimestamp(OUTAGE.start, UTC)
    assert OUTAGE.stop <= seconds(fired["until"]) <= OUTAGE.stop + 60
    assert len(found["acts"]) >= 1
    (note,) = (one for one in found["notes"] if "there is data of" in one)
    assert note.startswith("trigger 0 (promql)")


def test_no_data_in_the_range_is_no_answer(
    prometheus: RunningPrometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = slo(indicator={"prometheus": {"ratioQuery": "nothing_of_that_name"}})
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(nothing), encoding="utf-8")
    assert main(["simulate", "-f", str(path), "--prometheus-url", prometheus.url, "--since", "4h"]) == 1
    assert "Prometheus has no data for slo/checkout between" in capsys.readouterr().err
