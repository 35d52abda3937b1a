"""`homeostat stats`: what it tells of a store, and how it complains."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.noon import NOW, be_noon
from homeostat.cli import stats as stats_command
from homeostat.cli.stats import main
from homeostat.ports import StoredAttempt
from homeostat.store.history import SqlHistory


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be in a world where it is noon, and the store is empty and named by the environment."""
    return be_noon(stats_command, tmp_path, monkeypatch)


def attempt(name: str, number: int, ago: timedelta = timedelta(hours=1), **changes: Any) -> StoredAttempt:
    began = NOW - ago
    details: dict[str, Any] = {
        "id": f"a{number}", "step": 0, "name": "restartPods", "trigger": 0, "cause": "healthCheck checkout",
        "detectedAt": began.isoformat(), "startedAt": (began + timedelta(seconds=2)).isoformat(),
        "actedAt": (began + timedelta(seconds=3)).isoformat(),
        "recoveredAt": (began + timedelta(seconds=41)).isoformat(),
        "endedAt": (began + timedelta(minutes=1)).isoformat(), "outcome": "Recovered",
    }  # fmt: skip
    details |= changes
    return StoredAttempt(
        f"{name}/{number}", f"uid-{name}", changes.pop("kind", "RecoveryPolicy"), "shop", name, began, began,
        details["outcome"], {key: value for key, value in details.items() if value is not None},
    )  # fmt: skip


def written(url: str, *attempts: StoredAttempt) -> None:
    async def write() -> None:
        history = SqlHistory(url)
        await history.add(attempts)
        await history.close()

    asyncio.run(write())


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("homeostat: ")
    return printed.err


def test_policies_are_told_with_their_success_and_the_median_of_each_part(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, attempt("heal", 1), attempt("heal", 2, outcome="Failed", recoveredAt=None), attempt("other", 3))
    assert told(capsys).splitlines() == [
        "POLICY      ATTEMPTS  RECOVERED  SUCCESS  DETECT  DECIDE  ACT  RECOVER  P95  OTHERS",
        "shop/heal   2         1          50%      -       2s      1s   41s      41s  1 Failed",
        "shop/other  1         1          100%     -       2s      1s   41s      41s  -",
    ]


def test_one_policy_or_namespace_is_told_alone_and_only_as_far_back_as_asked(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, attempt("heal", 1), attempt("heal", 2, timedelta(days=8)), attempt("other", 3))
    assert "shop/other" not in told(capsys, "shop/heal")
    items = json.loads(told(capsys, "shop", "--since", "7d", "-o", "json"))["items"]
    assert [(one["policy"], one["attempts"]) for one in items] == [("shop/heal", 1), ("shop/other", 1)]
    assert told(capsys, "elsewhere") == "no attempt since 2026-10-22T12:00:00Z\n"


def test_causes_are_summed_up_as_data_in_seconds(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, attempt("heal", 1), attempt("heal", 2, cause="pods OOMKilled"))
    data = json.loads(told(capsys, "--by", "cause", "-o", "json"))
    assert [one["cause"] for one in data["items"]] == ["healthCheck checkout", "pods OOMKilled"]
    assert data["items"][0]["seconds"]["recover"] == {"count": 1, "mean": 41.0, "p50": 41.0, "p95": 41.0}


def test_runs_of_experiments_are_no_attempts(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, attempt("drill", 1, kind="ChaosExperiment"))
    assert told(capsys).startswith("no attempt")


def test_a_record_of_another_form_is_left_out_and_said_to_be(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, attempt("heal", 1), attempt("heal", 2, outcome="Levitated"))
    assert main([]) == 0
    printed = capsys.readouterr()
    assert "shop/heal   1" in printed.out or "shop/heal  1" in printed.out
    assert "1 attempts on record are of a form" in printed.err


def test_bad_input_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "neither a duration" in refused(capsys, "--since", "yesterday")
    assert "invalid choice" in refused(capsys, "--by", "mood")
    missing = f"sqlite+aiosqlite:///{tmp_path}/nothing-here.db"
    assert "cannot be read" in refused(capsys, "--store-url", missing)
