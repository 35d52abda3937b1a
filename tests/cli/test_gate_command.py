"""`homeostat gate`: what it makes of a status, its exit codes, and how it fails: closed, and in one line."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cli.test_score_command import kubeconfig
from contract.kube_server import Behaviour, answers, refuses, resets, serving
from homeostat.__main__ import main as homeostat
from homeostat.api.objective_status import Hold
from homeostat.cli import desk
from homeostat.cli.budgets.gate import main
from homeostat.cli.budgets.gate_report import Answer, as_line, judge
from homeostat.kube.apiserver.client import Patience

PATH = "/apis/homeostat.dev/v1alpha1/namespaces/shop/servicelevelobjectives/checkout"
POLICY = [{"remainingBelow": "25%", "hold": ["Chaos"]}, {"remainingBelow": "0%", "hold": ["Chaos", "Rollouts"]}]
SPEC: dict[str, Any] = {
    "objective": "99.9",
    "window": {"rolling": "30d"},
    "indicator": {"healthCheck": {"name": "checkout"}},
    "budgetPolicy": POLICY,
}


def ready(status: str = "True", reason: str = "Evaluated", kind: str = "Ready") -> list[dict[str, str]]:
    return [{"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-11-21T12:00:00Z"}]


def objective(remaining: str = "87.7", state: str = "Met", *holds: str, **more: Any) -> dict[str, Any]:
    status = {
        "observedGeneration": 3, "state": state, "holds": list(holds), "conditions": ready(),
        "budget": {"total": "0.1", "consumed": "1", "remaining": remaining},
    }  # fmt: skip
    spec = SPEC | more.pop("spec", {})
    return {
        "metadata": {"name": "checkout", "namespace": "shop", "generation": 3},
        "spec": spec,
        "status": status | more,
    }


EXHAUSTED = objective("-12.5", "Exhausted", "Chaos", "Rollouts")
NO_DATA = {"state": "Unknown", "budget": None}
UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "no status": (objective() | {"status": None}, "it was never evaluated"),
    "edited": (objective(observedGeneration=2), "its status is about an earlier spec"),
    "not ready": (
        objective(conditions=ready("False", "HealthCheckNotRunning")),
        "it is not evaluated: HealthCheckNotRunning",
    ),
    "no condition": (objective(conditions=[]), "it has no condition Ready"),
    "no data that is taken for bad": (
        objective("87.7", "Burning", conditions=[*ready(), *ready("Unknown", "NoFreshData", "RolloutsAllowed")]),
        "there is no fresh data",
    ),
    "no data": (objective(**NO_DATA), "there is no fresh data"),
    "held, no data": (objective("-1", "Unknown", "Rollouts"), "there is no fresh data"),
    "of a later release": (objective(state="Resplendent"), "is it of another release?"),
    "a spec of a later release": (objective(spec={"indicator": {"oracle": {}}, "objective": "?"}), "another release"),
}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for nothing, and finds no kubeconfig but the test's."""
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def has(body: dict[str, Any]) -> Behaviour:
    """Answer with the objective, and know no operator's Lease."""

    async def behave(request: web.Request) -> web.StreamResponse:
        return await answers(404)(request) if "/leases" in request.path else await answers(200, body)(request)

    return behave


async def run(folder: Path, behaviour: Behaviour | dict[str, Any], *arguments: str) -> int:
    """Run the command as a shell would, beside a server that has this objective."""
    answer = has(behaviour) if isinstance(behaviour, dict) else behaviour
    async with serving(answer) as api:
        return await asyncio.to_thread(main, ["--kubeconfig", kubeconfig(folder, api.url), *arguments])


# --- what is made of a status ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (objective(), "go: Met, 87.7 % of the budget is left; budgetPolicy holds Rollouts below 0 %"),
        (
            objective("20", "Burning", "Chaos"),
            "go: Burning, 20 % of the budget is left; budgetPolicy holds Rollouts below 0 %",
        ),
        (EXHAUSTED, "stop: Exhausted, -12.5 % of the budget is left; budgetPolicy holds Rollouts below 0 %"),
        (
            objective(spec={"budgetPolicy": POLICY[:1]}),
            "go: Met, 87.7 % of the budget is left; no rule of budgetPolicy holds Rollouts",
        ),
        (
            objective(budget={"total": "0.1", "consumed": "1", "remaining": "99", "provisional": True}),
            (
                "go: Met, 99 % of the budget is left; budgetPolicy holds Rollouts below 0 % "
                "(provisional: the window is not covered yet)"
            ),
        ),
        (objective(budget=None), "go: Met, no budget is known; budgetPolicy holds Rollouts below 0 %"),
    ],
)
def test_the_line_says_state_budget_and_rule(body: dict[str, Any], line: str) -> None:
    assert as_line(judge(body, Hold.ROLLOUTS)) == f"shop/checkout: {line}"


def test_each_hold_is_judged_by_its_own_rules() -> None:
    body = objective("20", "Burning", "Chaos")

    assert [judge(body, hold).answer for hold in Hold] == [Answer.STOP, Answer.GO, Answer.GO]
    assert "below 25 %" in as_line(judge(body, Hold.CHAOS))


def test_of_several_rules_that_hold_the_strictest_that_is_reached_is_named() -> None:
    assert "holds Chaos below 0 %" in as_line(judge(EXHAUSTED, Hold.CHAOS))


@pytest.mark.parametrize(("body", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_of_now_is_unknown(body: dict[str, Any], why: str) -> None:
    """S13, R12: fail closed; missing data never passes."""
    verdict = judge(body, Hold.ROLLOUTS)

    assert verdict.answer is Answer.UNKNOWN
    assert why in as_line(verdict)


# --- the command ----------------------------------------------------------------------------------------


def test_a_budget_that_no_operator_counts_lets_nothing_go() -> None:
    told = judge(objective(), Hold.ROLLOUTS, "no operator has led since 2026-11-22T00:00:00Z")
    assert (told.answer, told.why) == (Answer.UNKNOWN, "no operator has led since 2026-11-22T00:00:00Z")
    assert judge(objective(), Hold.ROLLOUTS).answer is Answer.GO


async def test_the_objective_is_read_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(has(objective())) as api:
        code = await asyncio.to_thread(main, ["--kubeconfig", kubeconfig(tmp_path, api.url), "slo/checkout"])

        assert {one.method for one in api.seen} == {"GET"}
        assert [one.path for one in api.seen if "/leases" not in one.path] == [PATH]
    assert code == 0
    assert capsys.readouterr().out.startswith("shop/checkout: go: Met")


@pytest.mark.parametrize(
    ("body", "arguments", "code"),
    [
        (objective(), [], 0),
        (EXHAUSTED, [], 1),
        (EXHAUSTED, ["--unknown", "go"], 1),
        (objective("20", "Burning", "Chaos"), ["--hold", "Chaos"], 1),
        (objective(**NO_DATA), [], 3),
        (objective(**NO_DATA), ["--unknown", "go"], 0),
        (objective(**NO_DATA), ["--unknown", "stop"], 1),
        (UNKNOWN["held, no data"][0], [], 3),
        (UNKNOWN["held, no data"][0], ["--unknown", "go"], 1),
    ],
)
async def test_the_exit_code_is_the_answer(
    body: dict[str, Any], arguments: list[str], code: int, tmp_path: Path
) -> None:
    """R12: what is not known may be taken for go, but lets no hold go that stands."""
    assert await run(tmp_path, body, "slo/checkout", *arguments) == code


@contextmanager
def written_to_a_full_disk() -> Iterator[None]:
    with Path("/dev/full").open("w") as full, redirect_stdout(full):
        yield


async def test_an_answer_that_cannot_be_written_is_neither_go_nor_stop(tmp_path: Path) -> None:
    with written_to_a_full_disk():
        assert await run(tmp_path, objective(), "slo/checkout") == 2


@pytest.mark.parametrize("name", ["slo/checkout", "servicelevelobjectives/checkout", "ServiceLevelObjective/checkout"])
async def test_an_objective_is_named_as_kubectl_names_it(name: str, tmp_path: Path) -> None:
    assert await run(tmp_path, objective(), name) == 0


async def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, EXHAUSTED, "slo/checkout", "-o", "json") == 1

    assert json.loads(capsys.readouterr().out) == {
        "namespace": "shop", "name": "checkout", "hold": "Rollouts", "answer": "Stop", "held": True,
        "state": "Exhausted", "remaining": "-12.5", "provisional": False, "remainingBelow": "0%",
        "why": "-12.5 % of the budget is left; budgetPolicy holds Rollouts below 0 %",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (refuses(403, "Forbidden"), "is it the right namespace? Try -n NAMESPACE"),
        (answers(404), "is there such an objective in this namespace"),
        (refuses(500, "InternalError"), "500 InternalError"),
        (resets, "no answer"),
    ],
    ids=["forbidden", "not there", "error", "reset"],
)
async def test_what_cannot_be_read_is_neither_go_nor_stop(
    behaviour: Behaviour, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, behaviour, "slo/checkout", "--unknown", "go") == 2
    shown = capsys.readouterr()

    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert told in shown.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "slo/NAME"),
        (["slo/"], "'slo/' is not slo/NAME"),
        (["hc/checkout"], "'hc/checkout' is not slo/NAME"),
        (["slo/checkout", "--hold", "Everything"], "invalid choice"),
        (["slo/checkout", "--unknown", "maybe"], "invalid choice"),
        (["slo/checkout", "--kubeconfig", "nowhere/config"], "no kubeconfig at nowhere/config"),
    ],
)
def test_a_bad_command_line_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert homeostat(["gate", *arguments]) == 2
    shown = capsys.readouterr()

    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert told in shown.err
