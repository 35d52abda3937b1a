"""`homeostat simulate` of what Prometheus counts: asked with the changed queries; what is missing is said."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.range_prometheus import Answer, RangePrometheus, range_prometheus
from homeostat.__main__ import main

NOW = int(datetime.now(UTC).timestamp()) // 60 * 60
OUTAGE = range(NOW - 100 * 60, NOW - 80 * 60)
SILENCE = range(NOW - 60 * 60, NOW - 30 * 60)
META = {"name": "checkout", "namespace": "shop"}
RATIO = {"bad": "sum(rate(errors[{{window}}]))", "total": "sum(rate(all[{{window}}]))"}


def slo(name: str = "checkout", prometheus: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    spec = {
        "service": name, "objective": "99.9", "window": {"rolling": "30d"},
        "indicator": {"prometheus": prometheus or {"ratio": RATIO}},
    }  # fmt: skip
    return {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "ServiceLevelObjective", "metadata": META | {"name": name},
        "spec": spec | changes,
    }  # fmt: skip


def whole(*members: str) -> dict[str, Any]:
    composite = {"mode": "Weighted", "members": [{"name": name} for name in members]}
    return slo("checkout", indicator={"composite": composite})


def rp(*triggers: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "target": {"kind": "Deployment", "name": "checkout"}, "mode": "Auto", "triggers": list(triggers),
        "steps": [{"restartPods": {}}],
    }  # fmt: skip
    return {"apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "metadata": META, "spec": spec}


def written(path: Path, *bodies: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have neither a cluster nor a store, and no Prometheus but that of the test."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOMEOSTAT_STORE_URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    for name in ("KUBERNETES_SERVICE_HOST", "HOMEOSTAT_PROMETHEUS_URL", "HOMEOSTAT_PROMETHEUS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def within(at: int, stretch: range) -> bool:
    """Whether a minute that ended then lies in a stretch."""
    return stretch.start < at <= stretch.stop


@contextmanager
def prometheus(more: Mapping[str, Answer] | None = None, *, most_points: int = 11_000) -> Iterator[RangePrometheus]:
    """Run one that knows of four hours: an outage in which half of all failed, and a silence after it."""

    def everything(at: int) -> float | None:
        return None if at <= NOW - 4 * 3600 or within(at, SILENCE) else 10.0

    def failures(at: int) -> float | None:
        return None if everything(at) is None else 5.0 if within(at, OUTAGE) else 0.0

    known = {"errors": failures, "all": everything} | dict(more or {})
    with range_prometheus(known, most_points=most_points) as running:
        yield running


def simulate(path: str, running: RangePrometheus, *more: str, since: str = "3h") -> int:
    return main(["simulate", "-f", path, "--prometheus-url", running.url, "--since", since, *more])


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_changed_and_the_present_queries_are_both_asked_of_prometheus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another indicator is what history cannot tell of, and Prometheus can."""
    changed = written(tmp_path / "changed.yaml", slo())
    other = {"ratio": RATIO | {"bad": "sum(rate(timeouts[{{window}}]))"}}
    present = written(tmp_path / "present.yaml", slo(prometheus=other))
    with prometheus({"timeouts": lambda _: 0.0}) as running:
        assert simulate(changed, running, "--against", present, "-o", "json") == 0
    found = told(capsys)
    pages = [one for one in found["changed"]["alerts"] if one["type"] == "BurnRate" and one["windows"] == "1h/5m"]
    assert len(pages) == 1
    begun = datetime.fromisoformat(pages[0]["since"]).timestamp()
    assert OUTAGE.start < begun < OUTAGE.stop
    assert [one["type"] for one in found["present"]["alerts"]] == ["NoData"]
    assert found["source"] == "Prometheus"
    assert ("sum(rate(errors[60s]))", 60) in running.asked
    assert ("sum(rate(timeouts[60s]))", 60) in running.asked
    assert ("sum(rate(all[3600s]))", 3600) in running.asked


def test_what_is_missing_is_said_and_is_no_good_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = written(tmp_path / "changed.yaml", slo())
    with prometheus() as running:
        assert simulate(changed, running, "-o", "json") == 0
        found = told(capsys)
        assert simulate(changed, running) == 0
    text = capsys.readouterr().out
    assert found["coverage"]["missing"] == [{"since": utc(SILENCE.start), "until": utc(SILENCE.stop)}]
    assert 0.82 < float(found["coverage"]["share"]) < 0.84
    silent = [one for one in found["changed"]["alerts"] if one["type"] == "NoData"]
    assert [one["until"] for one in silent] == [utc(SILENCE.stop + 60)]
    assert re.search(r"there is data of 83\.\d % of the time; none from " + utc(SILENCE.start), text)
    assert "windows reach back to" in text
    assert re.search(r"\(provisional: 0\.\d % of its window has data\)", text)


def utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_slices_are_counted_anew_by_another_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store could not: it holds slices as the present objective counts them."""
    budgeting = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}
    changed = written(tmp_path / "changed.yaml", slo(budgeting=budgeting, window={"rolling": "1d"}))
    present = written(tmp_path / "present.yaml", slo(window={"rolling": "1d"}))
    with prometheus() as running:
        assert simulate(changed, running, "--against", present, "-o", "json") == 0
    found = told(capsys)
    assert float(found["changed"]["budgetRemaining"]) == pytest.approx(100 - 100 * 20 / 1440 / 0.001, abs=1)
    assert found["present"]["budgetRemaining"] != found["changed"]["budgetRemaining"]


def test_a_composite_is_replayed_from_its_members(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api, web = slo("api"), slo("web", {"ratio": {"bad": "sum(rate(none[{{window}}]))", "total": RATIO["total"]}})
    changed = written(tmp_path / "changed.yaml", whole("api", "web"), api, web)
    with prometheus({"none": lambda _: 0.0}) as running:
        assert simulate(changed, running, "slo/checkout", "-o", "json") == 0
    found = told(capsys)
    pages = [one for one in found["changed"]["alerts"] if one["windows"] == "1h/5m"]
    assert len(pages) == 1
    assert OUTAGE.start < datetime.fromisoformat(pages[0]["since"]).timestamp() < OUTAGE.stop
    assert found["source"] == "its members"
    assert any(note.startswith("member api: there is data of 83.") for note in found["notes"])


def test_a_long_time_is_replayed_in_coarser_buckets_up_to_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = written(tmp_path / "changed.yaml", slo())
    with prometheus() as running:
        assert simulate(changed, running, "-o", "json", since="600d") == 0
    found = told(capsys)
    assert found["until"] == utc(int(datetime.fromisoformat(found["until"]).timestamp()) // 60 * 60)
    assert datetime.fromisoformat(found["until"]).timestamp() >= NOW - 60
    assert any("there are buckets of 1h alone" in note for note in found["notes"])
    assert float(found["coverage"]["share"]) < 0.01


def test_members_that_are_nowhere_to_be_read_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = written(tmp_path / "changed.yaml", whole("api", "web"), slo("api"))
    with prometheus() as running:
        assert simulate(changed, running, "slo/checkout") == 1
    said = capsys.readouterr().err
    assert "slo/web was not read from a cluster" in said
    assert "give them in the file, too" in said


def test_a_composite_that_leads_back_to_itself_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = slo("api", indicator={"composite": {"mode": "All", "members": [{"name": "checkout"}]}})
    changed = written(tmp_path / "changed.yaml", whole("api"), back)
    with prometheus() as running:
        assert simulate(changed, running, "slo/checkout") == 1
    assert "CompositeCycle" in capsys.readouterr().err


def test_too_many_points_are_asked_for_in_smaller_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = written(tmp_path / "changed.yaml", slo())
    with prometheus(most_points=200) as running:
        assert simulate(changed, running, "-o", "json") == 0
    pages = [one for one in told(capsys)["changed"]["alerts"] if one["windows"] == "1h/5m"]
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("given", "since", "code", "said"),
    [
        ({"ratio": {"bad": "nowhere_known", "total": "all"}}, "3h", 2, "refuses spec.indicator.prometheus.ratio.bad"),
        ({"ratio": {"bad": "absent", "total": "absent"}}, "3h", 1, "Prometheus has no data for slo/checkout between"),
        ({"ratio": RATIO}, "20000d", 1, "Choose a later --since"),
        ({"ratio": RATIO, "url": "http://127.0.0.1:1"}, "3h", 2, "PrometheusUnreachable"),
    ],
)
def test_why_there_is_no_answer_is_said_in_one_line(
    given: Any, since: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = written(tmp_path / "changed.yaml", slo(prometheus=given))
    present = written(tmp_path / "present.yaml", slo(prometheus=given))
    with prometheus({"absent": lambda _: None}) as running:
        assert simulate(changed, running, "--against", present, since=since) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_prometheus_that_is_away_is_no_quiet_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, body in (("slo", slo()), ("rp", rp({"promql": {"query": "queue", "condition": "> 5"}}))):
        path = written(tmp_path / f"{name}.yaml", body)
        assert main(["simulate", "-f", path, "--prometheus-url", "http://127.0.0.1:1", "--since", "1h"]) == 2
        said = capsys.readouterr().err
        assert "PrometheusUnreachable" in said
        assert "--prometheus-url" in said


def test_a_url_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "slo.yaml", slo())
    assert main(["simulate", "-f", path, "--prometheus-url", "prometheus:9090"]) == 2
    assert "--prometheus-url: must be http://HOST" in capsys.readouterr().err


def test_a_query_triggers_a_policy_as_it_would_have_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = rp({"promql": {"query": "queue", "condition": "> 5"}, "for": "2m"}, {"pods": {"reason": "OOMKilled"}})
    changed = written(tmp_path / "rp.yaml", policy)

    def queue(at: int) -> float | None:
        return None if at in SILENCE else 9.0 if at in OUTAGE else 1.0

    with prometheus({"queue": queue}) as running:
        assert simulate(changed, running, "-o", "json") == 0
        found = told(capsys)
        assert simulate(changed, running) == 0
    assert found["triggered"] == [
        {"trigger": 0, "name": "promql", "since": utc(OUTAGE.start), "until": utc(OUTAGE.stop)}
    ]
    assert len(found["acts"]) > 1
    assert found["acts"][0]["at"] == utc(OUTAGE.start + 120)
    assert found["notReplayed"] == [{"trigger": 1, "name": "pods", "why": "history keeps nothing of it"}]
    text = capsys.readouterr().out
    assert "trigger 1 (pods) is NOT replayed: history keeps nothing of it" in text
    assert "trigger 0 (promql): there is data of 83." in text


@pytest.mark.parametrize("objectives", [[slo()], [whole("api"), slo("api")]])
def test_a_burning_objective_triggers_a_policy_be_it_a_composite(
    objectives: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = {"slo": {"name": "checkout", "burnRateAbove": "14.4"}}
    changed = written(tmp_path / "rp.yaml", rp(trigger), *objectives)
    with prometheus() as running:
        assert simulate(changed, running, "rp/checkout", "-o", "json") == 0
    found = told(capsys)
    assert len(found["triggered"]) == 1
    assert OUTAGE.start < datetime.fromisoformat(found["triggered"][0]["since"]).timestamp() < OUTAGE.stop


def test_what_no_trigger_can_be_replayed_from_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = rp(
        {"promql": {"query": "nowhere_known", "condition": "> 5"}}, {"slo": {"name": "web", "burnRateAbove": "9"}}
    )
    changed = written(tmp_path / "rp.yaml", policy)
    with prometheus() as running:
        assert simulate(changed, running) == 1
    said = capsys.readouterr().err
    assert "trigger 0 (promql): Prometheus cannot work its query out" in said
    assert "trigger 1 (slo): slo/web was not read from a cluster" in said
    assert main(["simulate", "-f", changed, "--since", "3h"]) == 1
    assert "trigger 0 (promql): no Prometheus is known" in capsys.readouterr().err


def test_asking_no_prometheus_replays_what_the_operator_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no store here, which is what it says."""
    changed = written(tmp_path / "changed.yaml", slo(prometheus={"ratio": RATIO, "url": "http://127.0.0.1:1"}))
    assert main(["simulate", "-f", changed, "--prometheus-url", ""]) == 2
    assert "the history store cannot be read" in capsys.readouterr().err


def test_the_time_must_be_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert main(["simulate", "-f", written(tmp_path / "slo.yaml", slo()), "--since", later]) == 2
    assert "--since is not before now" in capsys.readouterr().err
