"""`homeostat budget`: which budget has least left, what that means in time and events, and what it holds back."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.routed import GROUP, items, run
from homeostat.cli import desk
from homeostat.cli.budgets.budget import main
from homeostat.cli.budgets.budget_report import least_left_first, line_of
from homeostat.kube.apiserver.client import Patience

PATH = f"{GROUP}/namespaces/shop/servicelevelobjectives"
WINDOW = {"start": "2026-10-01T00:00:00Z", "end": "2026-10-31T00:00:00Z", "coverage": "100", "length": "30d"}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def objective(name: str, remaining: str | None, **status: Any) -> dict[str, Any]:
    budget = {} if remaining is None else {"total": "0.1", "consumed": "1", "remaining": remaining}
    spec = {"service": "checkout", "objective": "99.9", "indicator": {"healthCheck": {"name": "front"}},
            "window": {"rolling": "30d"}}  # fmt: skip
    found = {"observedGeneration": 1, "window": WINDOW, "good": 999_500, "bad": 500, "sli": "99.95", **status}
    found |= {"budget": budget | ({"provisional": True} if status.get("provisional") else {})} if budget else {}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec, "status": found}


async def test_the_budget_with_least_left_comes_first_and_what_is_not_known_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {PATH: items(objective("a", "80"), objective("none", None), objective("b", "-5"), objective("c", "12.5"))}
    code, api = await run(main, tmp_path, table)
    told = capsys.readouterr().out.splitlines()
    assert code == 1
    assert [line.split()[0] for line in told[1:5]] == ["b", "c", "a", "none"]
    assert told[-1] == "none: there is no data"
    assert not api.writes


def test_what_is_left_is_told_in_bad_time_and_bad_events() -> None:
    """A tenth of a percent of 30 days is 43 min 12 s, and of a million events a thousand: half of it is left."""
    line = line_of(objective("a", "50"))
    assert line.time_left is not None
    assert line.time_left.total_seconds() == 1296
    assert line.events_left == 500


def test_events_are_not_guessed_from_a_window_that_is_not_covered() -> None:
    line = line_of(objective("a", "50", provisional=True))
    assert line.events_left is None
    assert line.why == "provisional: the window is not covered yet"


async def test_figures_of_an_earlier_spec_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = objective("a", "50")
    edited["metadata"]["generation"] = 2
    await run(main, tmp_path, {PATH: items(edited)})
    assert capsys.readouterr().out.splitlines()[-1] == "a: its figures are about an earlier spec"


def test_what_is_known_of_none_comes_after_what_is_gone() -> None:
    lines = [line_of(objective("x", None)), line_of(objective("y", "-10"))]
    assert [one.name for one in least_left_first(lines)] == ["y", "x"]


async def test_the_exit_code_is_0_while_every_budget_has_something_left(tmp_path: Path) -> None:
    assert (await run(main, tmp_path, {PATH: items(objective("a", "0.1"))}))[0] == 0
    assert (await run(main, tmp_path, {PATH: items(objective("a", "0"))}))[0] == 1
    assert (await run(main, tmp_path, {PATH: items()}))[0] == 0


async def test_what_the_budget_holds_back_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await run(main, tmp_path, {PATH: items(objective("a", "5", holds=["Chaos", "Rollouts"]))})
    assert "Chaos, Rollouts" in capsys.readouterr().out


async def test_one_objective_is_shown_in_full_and_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = [{"window": "1h", "rate": "2.5"}]
    table = {f"{PATH}/a": objective("a", "50", burnRates=rates, exhaustionAt="2026-12-01T00:00:00Z")}
    assert (await run(main, tmp_path, table, "slo/a"))[0] == 0
    assert "50% left: 21m36s of nothing but bad, 500 bad events" in capsys.readouterr().out
    fresh = {f"{PATH}/a": objective("a", "50", window=WINDOW | {"coverage": "0"})}
    assert (await run(main, tmp_path, fresh, "slo/a"))[0] == 0
    assert "50% left: 21m36s of nothing but bad\n" in capsys.readouterr().out, "what is not known is left out"
    await run(main, tmp_path, table, "slo/a", "-o", "json")
    told = json.loads(capsys.readouterr().out)
    assert (told["remainingPercent"], told["badMinutesLeft"], told["badEventsLeft"]) == ("50", 21.6, 500)
    assert (told["burnRates"], told["exhaustedAt"]) == ({"1h": "2.5"}, "2026-12-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hc/a"], "'hc/a' is not slo/NAME"),
        (["slo/a", "-A"], "an objective is of one namespace"),
        (["slo/missing"], "is there such an objective in this namespace"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
async def test_what_cannot_be_asked_is_said_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(main, tmp_path, {}, *arguments)
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1)
    assert says in told.err


async def test_an_objective_of_another_release_is_shown_as_not_known(tmp_path: Path) -> None:
    odd = objective("a", "50") | {"spec": {"objective": "as good as it gets"}}
    assert line_of(odd).remaining is None
    assert (await run(main, tmp_path, {PATH: items(odd)}))[0] == 1
