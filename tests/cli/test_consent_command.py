"""`homeostat approve`, `reject`, `pause`, `resume` and `run rp/NAME`: what they write, and what the answer means."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cli.test_score_command import kubeconfig
from contract.kube_server import serving_handler
from homeostat.__main__ import main as homeostat
from homeostat.api.meta import format_precise_time
from homeostat.cli import desk
from homeostat.cli.consent.command import RUN_HOLDS
from homeostat.core.recovery import RecoverySeen
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import Patience
from scenarios.recovery.world import World, spec

HASH, OTHER = "0123456789abcdef", "fedcba9876543210"
Status = dict[str, Any]
Operator = Callable[[dict[str, Any]], Status]


def plan(state: str = "AwaitingApproval", hash_: str = HASH, **more: Any) -> Status:
    shown = {
        "hash": hash_, "step": 0, "name": "restartPods", "trigger": 0, "does": ["EvictPod checkout-1"], "state": state,
        "target": {"kind": "Deployment", "name": "checkout", "uid": "u"},
        "createdAt": "2026-11-21T12:00:00.000000Z", "expiresAt": "2026-11-21T12:30:00.000000Z",
    }  # fmt: skip
    return {"phase": "AwaitingApproval" if state == "AwaitingApproval" else "Acting", "plan": shown | more}


class Api:
    """An API server with one policy, and an operator that answers what is written on it."""

    def __init__(
        self, status: Status | None = None, operator: Operator | None = None, refusals: dict[str, int] | None = None
    ) -> None:
        self.body: dict[str, Any] = {
            "metadata": {"name": "careful", "namespace": "shop", "uid": "u1", "annotations": {"mine": "kept"}},
            "status": status or {},
        }
        self.operator = operator
        self.refusals = refusals or {}
        self.seen: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        code = self.refusals.get(request.method)
        if code:
            return web.json_response({"kind": "Status", "reason": "No", "message": "no", "code": code}, status=code)
        if request.method == "POST":
            return web.json_response({"status": {"userInfo": {"username": "alice"}}}, status=201)
        if request.method == "PATCH":
            self._write((await request.json())["metadata"])
        return web.json_response(self.body)

    def _write(self, metadata: dict[str, Any]) -> None:
        assert metadata["uid"] == "u1"
        said = self.body["metadata"]["annotations"] | metadata["annotations"]
        self.body["metadata"]["annotations"] = {key: value for key, value in said.items() if value is not None}
        if self.operator:
            self.body["status"] = self.operator(self.said)

    @property
    def said(self) -> dict[str, str]:
        annotations: dict[str, str] = self.body["metadata"]["annotations"]
        return {key.removeprefix("homeostat.dev/"): value for key, value in annotations.items()}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hardly waits, and finds no kubeconfig but the test's."""
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setattr(desk, "POLL", 0.01)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


async def run(folder: Path, api: Api, command: str, *arguments: str, wait: str = "5") -> int:
    """Run a command as a shell would."""
    async with serving_handler(api.handle) as url:
        common = ["rp/careful", "--kubeconfig", kubeconfig(folder, url), "--wait", wait]
        return await asyncio.to_thread(homeostat, [command, *common, *arguments])


# --- approve, reject ------------------------------------------------------------------------------------


async def test_an_approval_is_written_under_ones_own_name_and_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13: what others asked for before goes with the same write."""
    api = Api(plan(), lambda said: plan("Approved", by=said["by"]))
    api.body["metadata"]["annotations"] |= {"homeostat.dev/run": "old", "homeostat.dev/by": "bob"}

    assert await run(tmp_path, api, "approve", "--plan", HASH) == 0
    assert api.said == {"mine": "kept", "approve": HASH, "by": "alice"}
    assert capsys.readouterr().out == "approved by alice: EvictPod checkout-1\n"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (plan(refused=HASH, whyRefused="Expired", hash_=OTHER), "refused: the plan had expired\n"),
        (plan(refused=HASH, whyRefused="PlanChanged", hash_=OTHER), "refused: the plan has changed since it was shown"),
        (plan(hash_=OTHER), "refused: the plan no longer stands (the policy is AwaitingApproval)"),
        ({"phase": "Idle"}, "refused: the plan no longer stands (the policy is Idle)"),
        (plan("Rejected", by="bob"), "refused: bob rejected the plan"),
    ],
)
async def test_an_approval_that_is_refused_says_why(
    answer: Status, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13: exit code 1."""
    assert await run(tmp_path, Api(plan(), lambda _: answer), "approve", "--plan", HASH) == 1
    assert capsys.readouterr().out.startswith(line)


async def test_an_approval_that_a_gate_holds_up_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13, R15: exit code 3; the approval stands."""
    held = plan() | {"blocked": {"reason": "Frozen", "message": "Freeze x: outage"}}

    assert await run(tmp_path, Api(plan(), lambda _: held), "approve", "--plan", HASH, wait="0") == 3
    assert capsys.readouterr().out == "not carried out yet: Frozen: Freeze x: outage\n"


@pytest.mark.parametrize("command", ["approve", "reject"])
async def test_where_nobody_answers_that_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api(plan())

    assert await run(tmp_path, api, command, "--plan", HASH, wait="0.05") == 3
    assert "no operator has answered yet" in capsys.readouterr().out
    assert api.said[command] == HASH


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({}, "no plan awaits approval (the policy is not evaluated yet)"),
        ({"phase": "Idle"}, "no plan awaits approval (the policy is Idle)"),
        (plan("Suggested"), "the mode is Suggest: run the step by hand"),
        (plan(hash_=OTHER), f"the plan that awaits approval is {OTHER}, not {HASH}"),
    ],
)
async def test_what_cannot_be_approved_is_not_written(
    status: Status, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13: another plan than the one that was looked at."""
    api = Api(status)

    assert await run(tmp_path, api, "approve", "--plan", HASH) == 1
    assert line in capsys.readouterr().out
    assert api.said == {"mine": "kept"}


async def test_without_a_terminal_the_plan_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Api(plan())

    assert await run(tmp_path, api, "approve") == 2
    assert "give --plan HASH" in capsys.readouterr().err
    assert api.said == {"mine": "kept"}


class Terminal:
    """Somebody at a terminal, who types one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.line


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
async def test_at_a_terminal_the_plan_is_shown_and_asked_for(
    typed: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    api = Api(plan(), lambda said: plan("Approved", by=said["by"]))

    assert await run(tmp_path, api, "approve") == code
    told = capsys.readouterr().out
    assert (
        f"plan {HASH} of shop/careful\n  step 0 (restartPods) on Deployment/checkout\n    EvictPod checkout-1" in told
    )
    assert ("approve" in api.said) is (code == 0)


async def test_a_rejection_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Api(plan("Suggested"), lambda said: plan("Rejected", by=said["by"]))

    assert await run(tmp_path, api, "reject", "--plan", HASH) == 0
    assert "rejected by alice" in capsys.readouterr().out
    assert api.said == {"mine": "kept", "reject": HASH, "by": "alice"}


# --- pause, resume, run ---------------------------------------------------------------------------------


async def test_a_pause_names_its_reason_and_is_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(said: dict[str, Any]) -> Status:
        return {"blocked": {"reason": "Paused"}} if "pause" in said else {"phase": "Idle"}

    api = Api({}, answer)
    assert await run(tmp_path, api, "pause", "--reason", " the vendor\nis on it ") == 0
    assert api.said == {"mine": "kept", "pause": "the vendor is on it", "by": "alice"}
    assert await run(tmp_path, api, "resume") == 0
    assert api.said == {"mine": "kept", "by": "alice"}
    assert capsys.readouterr().out == "paused\nresumed\n"


async def test_a_policy_that_rests_for_another_reason_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever pauses a suspended one waits for no answer, and whoever resumes it must not think that it acts."""
    api = Api({"blocked": {"reason": "Suspended", "message": "spec.suspend is set."}})

    assert await run(tmp_path, api, "resume") == 0
    assert await run(tmp_path, api, "pause", "--reason", "x") == 0
    assert await run(tmp_path, api, "resume") == 0

    assert capsys.readouterr().out.splitlines() == [
        "it was not paused",
        "paused; it does nothing as it is, for it is suspended besides",
        "resumed; it does nothing all the same: Suspended: spec.suspend is set.",
    ]


async def test_a_pause_during_an_attempt_says_what_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = Api({"attempt": {"id": "a"}})

    assert await run(tmp_path, api, "pause", "--reason", "x", wait="0") == 3
    assert "the attempt under way does nothing more, and is verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "code", "line"),
    [("Accepted", 0, "begun by alice: EvictPod checkout-1\n"), ("Refused", 1, "refused: EvictPod checkout-1\n")],
)
async def test_a_run_is_told_what_became_of_it(
    state: str, code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(said: dict[str, Any]) -> Status:
        answered = {"id": json.loads(said["run"])["id"], "state": state, "by": "alice"}
        return {"run": answered | {"message": "EvictPod checkout-1"}}

    assert await run(tmp_path, Api({}, answer), "run", "--step", "restartPods", "--reason", "drill") == code
    assert capsys.readouterr().out == line


async def test_a_run_asks_what_the_operator_reads(tmp_path: Path) -> None:
    """What the command writes is what the decision takes in: the step, the reason, the gates; for a while only."""
    api = Api({})
    flags = ("--step", "restartPods", "--reason", "drill", "--override", "cooling_down", "--override", "cooling_down")
    assert await run(tmp_path, api, "run", *flags, "--target", "checkout", wait="0") == 3
    wanted = json.loads(api.said["run"])
    assert wanted["target"] == "checkout"
    assert wanted["expires"] <= format_precise_time(SystemClock().now() + RUN_HOLDS + timedelta(seconds=1))
    assert (wanted["uid"], wanted["override"]) == ("u1", ["cooling_down"])

    world = World(spec=spec(steps=[{"restartPods": {"which": "All"}}, {"escalate": {}}]))
    world.ask(run=json.dumps(wanted | {"uid": "policy-uid", "expires": format_precise_time(world.now + RUN_HOLDS)}))
    world.reconcile()

    assert isinstance(world.seen(), RecoverySeen)
    assert world.status.run is not None
    assert (world.status.run.state, world.status.run.reason) == ("Accepted", "drill")


# --- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusals", "line"),
    [
        ({"GET": 404}, "is there such a policy in this namespace"),
        ({"GET": 403}, "takes the rights to get and patch recoverypolicies there"),
        ({"PATCH": 403}, "takes the rights to get and patch recoverypolicies there"),
        ({"PATCH": 422}, "the API server refused"),
        ({"GET": 503}, "the API server: "),
    ],
)
async def test_what_the_api_server_refuses_is_explained_in_one_line(
    refusals: dict[str, int], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    assert await run(tmp_path, Api({}, refusals=refusals), "pause", "--reason", "x") == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


async def test_an_api_server_that_does_not_say_who_asks_leaves_the_name_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13: then the operator shows the program that wrote it, as not verified."""
    api = Api({}, lambda _: {"blocked": {"reason": "Paused"}}, {"POST": 403})

    assert await run(tmp_path, api, "pause", "--reason", "x") == 0
    assert api.said == {"mine": "kept", "pause": "x"}
    assert "you will be shown as not verified" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["approve"],
        ["approve", "slo/x"],
        ["approve", "rp/"],
        ["pause", "rp/x"],
        ["pause", "rp/x", "--reason", " "],
        ["pause", "rp/x", "--reason", "x" * 257],
        ["run", "rp/x", "--step", "scale"],
        ["run", "rp/x", "--reason", "drill"],
    ],
)
async def test_a_command_line_that_makes_no_sense_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving_handler(Api({}).handle) as url:
        flags = ["--kubeconfig", kubeconfig(tmp_path, url)] if len(arguments) > 1 else []
        assert await asyncio.to_thread(homeostat, [*arguments, *flags]) == 2
    assert capsys.readouterr().err.startswith(f"homeostat: {arguments[0]}: ")


def test_run_without_a_policy_stays_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    """`homeostat run` has flags with slashes of its own."""
    assert homeostat(["run", "--store-url", "sqlite+aiosqlite:///x.db", "--workers", "none"]) == 2
    assert "setting workers" in capsys.readouterr().err
