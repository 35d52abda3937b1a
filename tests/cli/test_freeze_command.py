"""`homeostat freeze`: the Freeze that it makes, what it says came of it, and how it is lifted."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.routed import GROUP, Answers, items, run
from homeostat.cli import desk
from homeostat.cli import freeze as freeze_command
from homeostat.cli.arguments import BadArguments
from homeostat.cli.freeze import main, manifest
from homeostat.cli.parsers.freeze import parser
from homeostat.kube.apiserver.client import Patience

PATH = f"{GROUP}/freezes"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setattr(freeze_command, "POLL", 0.01)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def operator(status: dict[str, Any]) -> Answers:
    """Answer for a freeze that is made, and from then on shown with this status."""
    made: dict[str, Any] = {}

    def make(body: dict[str, Any]) -> dict[str, Any]:
        made.update(body)
        return body

    def found(_: object) -> dict[str, Any]:
        return made | {"status": status}

    answer: Callable[[Any], dict[str, Any]] = found
    return {f"POST {PATH}": make, f"{PATH}/outage": answer}


def spec(*arguments: str) -> dict[str, Any]:
    made: dict[str, Any] = manifest(parser().parse_args(["--reason", "r", *arguments]), NOW)["spec"]
    return made


def test_a_freeze_stops_all_everywhere_until_it_is_lifted() -> None:
    assert spec() == {"stops": ["Chaos", "Recovery"], "reason": "r"}


def test_a_freeze_can_be_of_one_thing_in_some_namespaces_and_for_a_time() -> None:
    assert spec("--stops", "chaos", "-n", "shop", "-n", "bank", "--for", "1h30m") == {
        "stops": ["Chaos"], "reason": "r", "namespaces": ["shop", "bank"], "until": "2026-11-22T04:30:00Z",
    }  # fmt: skip


def test_freezes_are_named_by_the_time_unless_they_are_given_a_name() -> None:
    assert manifest(parser().parse_args(["--reason", "r"]), NOW)["metadata"]["name"] == "freeze-20261122-030000"
    given = parser().parse_args(["--reason", "r", "--name", "outage"])
    assert manifest(given, NOW)["metadata"]["name"] == "outage"


@pytest.mark.parametrize("length", ["", "2", "2q", "0s", "-2h", "h", "2h 3m", "1.5h"])
def test_a_length_of_time_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(BadArguments):
        parser().parse_args(["--reason", "r", f"--for={length}"])


def test_a_freeze_beyond_all_time_is_refused() -> None:
    with pytest.raises(BadArguments, match="too long"):
        spec("--for", "999999w")


async def test_in_a_list_of_eighty_columns_the_end_of_a_freeze_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    metadata = {"name": "outage", "uid": "1", "resourceVersion": "1", "generation": 1}
    until = "2999-12-01T00:00:00Z"
    body = {"metadata": metadata, "spec": {"stops": ["Chaos", "Recovery"], "reason": "provider outage", "until": until}}
    await run(main, tmp_path, {PATH: items(body | {"status": {"engaged": True}})}, "list")
    assert until in capsys.readouterr().out


async def test_what_was_stopped_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = [{"kind": "ChaosExperiment", "namespace": "shop", "name": "kill"}]
    table = operator({"engaged": True, "stopped": stopped})
    code, _ = await run(main, tmp_path, table, "--reason", "hands off", "--name", "outage")
    told = capsys.readouterr().out
    assert code == 0
    assert "outage holds: no chaos and no recovery in the whole cluster until it is lifted" in told
    assert "stopped: ChaosExperiment shop/kill" in told
    assert "end it with `homeostat freeze lift outage`" in told


async def test_a_freeze_that_no_operator_heeds_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--reason", "hands off", "--name", "outage", "--timeout", "0.05")
    code, _ = await run(main, tmp_path, operator({}), *arguments)
    told = capsys.readouterr()
    assert code == 1
    assert "outage stands" in told.out
    assert "no operator has said that it holds" in told.err


@pytest.mark.parametrize(
    ("answer", "says"),
    [(409, "there is a freeze 'outage' already"), (403, "a Freeze is cluster-scoped"), (404, "are the CRDs")],
)
async def test_a_freeze_that_cannot_be_made_is_said(
    answer: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = await run(main, tmp_path, {f"POST {PATH}": answer}, "--reason", "r", "--name", "outage")
    assert code == 2
    assert says in capsys.readouterr().err


async def test_a_reason_must_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, api = await run(main, tmp_path, {})
    assert (code, api.seen) == (2, [])
    assert "--reason" in capsys.readouterr().err


async def test_freezes_are_listed_those_in_force_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over = {"metadata": {"name": "a"}, "spec": {"stops": ["Chaos"], "reason": "was", "until": "2020-01-01T00:00:00Z"}}
    now = {"metadata": {"name": "b"}, "spec": {"stops": ["Chaos"], "reason": "is"}, "status": {"engaged": True}}
    assert (await run(main, tmp_path, {PATH: items(over, now)}, "list"))[0] == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["b", "holds"], ["a", "over"]]


async def test_a_freeze_is_lifted_and_one_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, api = await run(main, tmp_path, {f"DELETE {PATH}/a": {}}, "lift", "a", "freeze/b", "-o", "json")
    told = capsys.readouterr()
    assert code == 1
    assert json.loads(told.out) == {"lifted": ["a"], "missing": ["b"]}
    assert "there is no freeze 'b'" in told.err
    assert [path for _, path, _ in api.writes] == [f"{PATH}/a", f"{PATH}/b"]


@pytest.mark.parametrize("name", ["", "freeze/", ".", "..", "outage/../x", "Outage"])
async def test_what_is_no_name_lifts_nothing_at_all(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No name, as of a variable that is not set, would be the path of all freezes there are."""
    code, api = await run(main, tmp_path, {f"DELETE {PATH}": {}, f"DELETE {PATH}/a": {}}, "lift", "a", name)
    assert (code, api.writes) == (2, [])
    assert "nothing is lifted" in capsys.readouterr().err


async def test_a_freeze_that_is_made_is_said_to_stand_although_the_api_server_falls_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table: Answers = {f"POST {PATH}": lambda body: body, f"{PATH}/outage": 503}
    code, _ = await run(main, tmp_path, table, "--reason", "r", "--name", "outage")
    told = capsys.readouterr()
    assert code == 1
    assert "outage stands" in told.out
    assert "it is made, and cannot be looked at" in told.err


async def test_that_nothing_was_under_way_is_not_said_before_the_operator_has_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = operator({"engaged": True})
    code, _ = await run(main, tmp_path, table, "--reason", "r", "--name", "outage", "--timeout", "0.1")
    told = capsys.readouterr().out
    assert code == 0
    assert "nothing was under way" not in told
    assert "what it stopped is not known yet" in told
