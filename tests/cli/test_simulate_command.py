"""`homeostat simulate`: a changed object against what history holds; what it cannot answer, it says."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.__main__ import main
from homeostat.cli.simulate.reading import FIVE_MINUTES, finest_from, from_file
from homeostat.core.history.window import HOUR, MINUTE

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
META = {"name": "checkout", "namespace": "shop"}


def slo(**changes: Any) -> dict[str, Any]:
    spec = {
        "service": "checkout", "objective": "99.9", "window": {"rolling": "30d"},
        "indicator": {"healthCheck": {"name": "checkout"}},
    }  # fmt: skip
    return {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "ServiceLevelObjective", "metadata": META,
        "spec": spec | changes,
    }  # fmt: skip


def written(path: Path, *bodies: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def past(tmp_path: Path) -> str:
    """Give three hours, as `homeostat history -o json` prints them, with an outage of twenty minutes."""
    begin = NOW - timedelta(hours=3)
    steps = [
        {
            "start": (begin + timedelta(minutes=number)).isoformat(),
            "end": (begin + timedelta(minutes=number + 1)).isoformat(),
            "good": 0 if 100 <= number < 120 else 6, "total": 6, "observed": 60,
        }
        for number in range(180)
    ]  # fmt: skip
    path = tmp_path / "past.json"
    path.write_text(json.dumps({"steps": steps}), encoding="utf-8")
    return str(path)


def test_a_changed_objective_is_told_beside_the_present_one(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = written(tmp_path / "changed.yaml", slo(objective="50"))
    present = written(tmp_path / "present.yaml", slo())
    assert main(["simulate", "-f", changed, "--against", present, "--history", past, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["changed"]["alerts"]) < len(told["present"]["alerts"])
    assert float(told["changed"]["budgetRemaining"]) > float(told["present"]["budgetRemaining"])
    assert all(one["seconds"] > 0 for one in told["present"]["alerts"])


def test_without_a_cluster_it_replays_all_the_same_and_says_that_nothing_is_compared(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "-f", written(tmp_path / "changed.yaml", slo()), "--history", past]) == 0
    told = capsys.readouterr()
    assert "changed: " in told.out
    assert "present: " not in told.out
    assert "was not read from a cluster" in told.err


def test_another_indicator_is_refused_for_history_does_not_know_it(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = written(tmp_path / "changed.yaml", slo(indicator={"healthCheck": {"name": "cart"}}))
    present = written(tmp_path / "present.yaml", slo())
    assert main(["simulate", "-f", changed, "--against", present, "--history", past]) == 1
    assert "spec.indicator was changed" in capsys.readouterr().err


def test_a_policy_is_told_with_what_a_replay_cannot_know(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {
        "target": {"kind": "Deployment", "name": "checkout"}, "mode": "Auto",
        "triggers": [{"healthCheck": {"name": "checkout"}, "for": "1m"}], "steps": [{"restartPods": {}}],
    }  # fmt: skip
    body = {"apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "metadata": META, "spec": spec}
    assert main(["simulate", "-f", written(tmp_path / "rp.yaml", body), "--history", past, "--since", "3h"]) == 0
    told = capsys.readouterr().out
    assert "triggered once, would have acted" in told
    assert "what an action would have changed is not known" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--history", "{missing}"], "No such file"),
        (["--history", "{junk}"], "not what `homeostat history -o json` prints"),
        (["slo/other", "--history", "{junk}"], "there is none"),
        (["rp/checkout", "--history", "{junk}"], "one RecoveryPolicy checkout is meant"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "junk").write_text("{}", encoding="utf-8")
    places = {"missing": tmp_path / "missing", "junk": tmp_path / "junk"}
    changed = written(tmp_path / "changed.yaml", slo())
    assert main(["simulate", "-f", changed, *(one.format(**places) for one in arguments)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_an_invalid_object_is_refused_by_the_field(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = written(tmp_path / "changed.yaml", slo(objective="101"))
    assert main(["simulate", "-f", changed, "--history", past]) == 2
    assert "spec.objective" in capsys.readouterr().err


def test_csv_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "past.csv"
    path.write_text("start,end,good,total\n2026-11-22T00:00:00Z,2026-11-22T00:01:00Z,4,5\n", encoding="utf-8")
    series = from_file(str(path))
    assert series.at(datetime(2026, 11, 22, 0, 0, 59, tzinfo=UTC)).last(MINUTE).bad == 1


@pytest.mark.parametrize(
    ("hour", "five", "minute", "expected"),
    [
        (0, 1200, 1380, (1200, 1380)),  # young: the first bucket of each length is still being counted into
        (0, 10 * HOUR, 20 * HOUR, (10 * HOUR, 20 * HOUR)),
        (0, 10 * HOUR + 300, 20 * HOUR + 60, (11 * HOUR, 20 * HOUR + FIVE_MINUTES)),
        (0, 50 * HOUR, 20 * HOUR + 60, (21 * HOUR, 21 * HOUR)),  # no five minutes at all
    ],
)
def test_the_finest_is_read_of_each_time_and_none_twice(
    hour: int, five: int, minute: int, expected: tuple[int, int]
) -> None:
    assert finest_from({HOUR: hour, FIVE_MINUTES: five, MINUTE: minute}) == expected


def rp(*triggers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    spec = {
        "target": {"kind": "Deployment", "name": "checkout"}, "mode": "Auto", "triggers": list(triggers),
        "steps": [{"restartPods": {}}],
    }  # fmt: skip
    return {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "metadata": META, "spec": spec | changes,
    }  # fmt: skip


def test_what_history_does_not_reach_is_not_told_as_quiet(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = rp({"healthCheck": {"name": "checkout"}, "for": "1m"}, suspend=True)
    assert main(["simulate", "-f", written(tmp_path / "rp.yaml", body), "--history", past, "--since", "9h"]) == 0
    told = capsys.readouterr().out
    assert "trigger 0 (healthCheck): there is data of 33." in told
    assert "% of the time; none from" in told
    assert "spec.suspend is true" in told


def test_one_file_is_not_taken_for_the_past_of_several_triggers(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    triggers = [{"healthCheck": {"name": name}, "for": "1m"} for name in ("checkout", "cart")]
    assert main(["simulate", "-f", written(tmp_path / "rp.yaml", rp(*triggers)), "--history", past]) == 1
    assert "several triggers" in capsys.readouterr().err


def test_events_are_not_replayed_as_slices(tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]) -> None:
    budgeting = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}
    changed = written(tmp_path / "changed.yaml", slo(budgeting=budgeting))
    assert main(["simulate", "-f", changed, "--history", past]) == 1
    assert "counts slices" in capsys.readouterr().err


def test_an_objective_that_counts_slices_is_not_compared_by_events(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    budgeting = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}
    changed, present = (
        written(tmp_path / "changed.yaml", slo()), written(tmp_path / "present.yaml", slo(budgeting=budgeting)),
    )  # fmt: skip
    assert main(["simulate", "-f", changed, "--against", present, "--history", past, "-o", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["present"] is None
    assert "not compared" in told.err


def test_a_time_of_which_history_holds_nothing_has_no_answer(
    tmp_path: Path, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = json.loads(Path(past).read_text(encoding="utf-8"))["steps"][:60]
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"steps": steps}), encoding="utf-8")
    changed = written(tmp_path / "changed.yaml", slo())
    assert main(["simulate", "-f", changed, "--history", str(old), "--since", "1h"]) == 1
    assert "history knows nothing of slo/checkout in shop since" in capsys.readouterr().err
