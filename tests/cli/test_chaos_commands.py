"""`homeostat chaos run | abort | plan | list`, `homeostat approve | reject`: against the operator's own decisions."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cli.test_score_command import kubeconfig
from contract.kube_server import serving_handler
from homeostat.__main__ import main as homeostat
from homeostat.api.chaos import ABORT, RUN, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Verdict
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import GameDayStatus
from homeostat.api.recovery import APPROVE, BY, REJECT
from homeostat.cli import desk
from homeostat.cli.chaos.listing import HEADS
from homeostat.core.chaos.seen import ApprovalSeen
from homeostat.core.gameday import WordSeen
from homeostat.kube.apiserver.client import Patience
from scenarios.chaos.watched import Watched
from scenarios.chaos.world import FREEZE, a_scale_spec, a_spec
from scenarios.gameday.world import World as DayWorld
from scenarios.gameday.world import a_day

Body = dict[str, Any]


class Api:
    """An API server with one experiment or game day; a second passes, and its operator looks, at each read of it."""

    def __init__(self, world: Watched | DayWorld, refusals: dict[str, int] | None = None) -> None:
        self.world = world
        self.refusals = refusals or {}
        self.annotations: dict[str, str] = {"mine": "kept"}
        self.is_operator_there = True
        self.paths: list[str] = []

    @property
    def body(self) -> Body:
        """Give the object as the API server has it."""
        kind = "ChaosExperiment" if isinstance(self.world, Watched) else "GameDay"
        return {
            "kind": kind,
            "metadata": {"name": "drill", "namespace": "shop", "uid": "u1", "annotations": dict(self.annotations)},
            "spec": self.world.spec.wire(),
            "status": self.world.status.wire(),
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.path}")
        code = self.refusals.get(request.method)
        if code:
            return web.json_response({"kind": "Status", "reason": "No", "message": "no", "code": code}, status=code)
        if request.method == "POST":
            return web.json_response({"status": {"userInfo": {"username": "alice"}}}, status=201)
        if request.method == "PATCH":
            self._write((await request.json())["metadata"])
        elif self.is_operator_there:
            self.look()
        if request.path.endswith("s"):
            return web.json_response({"items": [self.body], "metadata": {}})
        return web.json_response(self.body)

    def look(self) -> None:
        """Let a second pass, and the operator look."""
        if isinstance(self.world, Watched):
            self.world.tick()
            self.world.reconcile()
        else:
            self.world.run(1)

    def _write(self, metadata: Body) -> None:
        assert metadata["uid"] == "u1"
        said = self.annotations | metadata["annotations"]
        self.annotations = {key: value for key, value in said.items() if value is not None}
        self.world.run_requested = self.annotations.get(RUN, "")
        self.world.abort_requested = self.annotations.get(ABORT, "")
        words = ((self.annotations.get(name, ""), is_no) for name, is_no in ((APPROVE, False), (REJECT, True)))
        by = self.annotations.get(BY, "")
        if isinstance(self.world, Watched):
            self.world.approvals = tuple(ApprovalSeen(text, by, None, is_no) for text, is_no in words if text)
        else:
            self.world.approvals = tuple(WordSeen(text, by, is_no) for text, is_no in words if text)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hardly waits, and finds no kubeconfig but the test's."""
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setattr(desk, "POLL", 0.001)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


async def run(folder: Path, api: Api, *arguments: str) -> int:
    """Run a command as a shell would."""
    async with serving_handler(api.handle) as url:
        return await asyncio.to_thread(homeostat, [*arguments, "--kubeconfig", kubeconfig(folder, url)])


def at_rest(spec: ChaosExperimentSpec | None = None) -> Api:
    """Give an experiment that waits to be asked."""
    spec = spec or a_spec()
    world = Watched(ChaosExperimentSpec.model_validate(spec.wire() | {"start": "OnRequest"}))
    world.reconcile()
    assert world.status.phase is Phase.PENDING
    return Api(world)


def in_phase(phase: Phase, spec: ChaosExperimentSpec | None = None) -> Api:
    """Give an experiment whose run has come so far."""
    world = Watched(spec or a_spec())
    world.run(600, until=phase)
    assert world.status.phase is phase, world.status
    return Api(world)


def a_day_in(**changes: Any) -> Api:
    world = DayWorld(GameDaySpec.model_validate(a_day().wire() | changes))
    world.reconcile()
    return Api(world)


# --- run ------------------------------------------------------------------------------------------------


async def test_a_run_is_asked_for_under_ones_own_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13: what others asked for before goes with the same write."""
    api = at_rest()
    api.annotations |= {APPROVE: "old", ABORT: "old", BY: "bob"}

    assert await run(tmp_path, api, "chaos", "run", "chaos/drill") == 0
    assert api.annotations == {"mine": "kept", RUN: api.world.status.run, BY: "alice"}
    assert capsys.readouterr().out.startswith("run 1 goes on: CheckingSteadyState")


async def test_a_run_can_be_waited_for_until_its_fault_is_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = at_rest()

    assert await run(tmp_path, api, "chaos", "run", "drill", "--wait-for", "Injected") == 0
    assert api.world.status.phase is Phase.RUNNING
    assert capsys.readouterr().out == "run 1 goes on: Running (FaultActive): The fault is on.\n"


async def test_the_verdict_is_told_to_who_waits_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, at_rest(), "chaos", "run", "chaos/drill", "--wait-for", "Finished") == 0
    assert capsys.readouterr().out.startswith("run 1: Passed (HypothesisHeld): ")


@pytest.mark.parametrize("how_far", ["Begun", "Injected", "Finished"])
async def test_a_run_that_is_refused_says_why(how_far: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, however far one wanted to wait."""
    api = at_rest()
    api.world.freeze = FREEZE

    assert await run(tmp_path, api, "chaos", "run", "chaos/drill", "--wait-for", how_far) == 1
    assert capsys.readouterr().out == "run 1: Aborted (Frozen): Freeze outage: provider outage\n"


async def test_a_run_whose_hypothesis_breaks_ends_with_another_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = at_rest()
    assert isinstance(api.world, Watched)
    api.world.needs, api.world.starts_in = 3, timedelta(seconds=10)

    assert await run(tmp_path, api, "chaos", "run", "chaos/drill", "--wait-for", "Finished") == 1
    assert capsys.readouterr().out.startswith("run 1: Failed (HypothesisBroken): HealthCheck checkout is ")


async def test_a_dry_run_is_as_it_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C14."""
    api = at_rest(a_spec(dryRun=True))

    assert await run(tmp_path, api, "chaos", "run", "chaos/drill", "--wait-for", "Finished") == 0
    assert "(DryRun): Nothing was touched" in capsys.readouterr().out


async def test_a_run_that_waits_says_for_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3; the wish stands."""
    api = at_rest()
    assert isinstance(api.world, Watched)
    api.world.budget_held_by = "checkout"

    assert await run(tmp_path, api, "chaos", "run", "chaos/drill", "--wait", "0.05") == 3
    assert capsys.readouterr().out.startswith("not begun yet: Pending (BudgetHeld): the budget policy of")
    assert RUN in api.annotations


@pytest.mark.parametrize("command", ["run", "abort"])
async def test_where_no_operator_answers_that_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = at_rest() if command == "run" else in_phase(Phase.RUNNING)
    api.is_operator_there = False

    assert await run(tmp_path, api, "chaos", command, "chaos/drill", "--wait", "0.05") == 3
    assert capsys.readouterr().out.startswith("no operator has answered yet")


@pytest.mark.parametrize(
    ("api", "line"),
    [
        (at_rest(a_spec(suspend=True)), "spec.suspend is set"),
        (in_phase(Phase.RUNNING), "a run is under way already: Running (FaultActive)"),
        (a_day_in(suspend=True), "spec.suspend is set"),
    ],
    ids=["suspended", "running", "a day that is suspended"],
)
async def test_what_cannot_run_is_not_asked(
    api: Api, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "chaos/drill" if isinstance(api.world, Watched) else "gd/drill"

    assert await run(tmp_path, api, "chaos", "run", name) == 1
    assert line in capsys.readouterr().out
    assert api.annotations == {"mine": "kept"}


async def test_a_wish_that_somebody_takes_back_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fickle(Api):
        def _write(self, metadata: Body) -> None:
            super()._write(metadata)
            del self.annotations[RUN]
            self.world.run_requested = ""

    assert await run(tmp_path, Fickle(at_rest().world), "chaos", "run", "chaos/drill") == 1
    assert "somebody took the wish back" in capsys.readouterr().out


async def test_a_game_day_is_run_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = a_day_in()
    for _ in range(60):
        api.look()
    assert (api.world.status.phase, api.world.status.run_number) == ("Finished", 1)

    assert await run(tmp_path, api, "chaos", "run", "gd/drill", "--wait-for", "Finished") == 0
    assert capsys.readouterr().out == "run 2: Passed (AllPassed): All 3 steps passed.\n"
    assert api.paths[0] == "GET /apis/homeostat.dev/v1alpha1/namespaces/shop/gamedays/drill"


# --- abort ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [a_spec(), a_scale_spec()], ids=["a blow", "held fields"])
@pytest.mark.parametrize("phase", [Phase.CHECKING_STEADY_STATE, Phase.RUNNING])
async def test_an_abort_waits_until_the_fault_is_off(
    phase: Phase, spec: ChaosExperimentSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C8."""
    api = in_phase(phase, spec)

    assert await run(tmp_path, api, "chaos", "abort", "chaos/drill") == 0
    assert capsys.readouterr().out.startswith("the fault is off: Aborted (AbortRequested)")
    assert isinstance(api.world, Watched)
    assert api.world.left == []


async def test_a_run_that_has_not_begun_is_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = at_rest()
    assert isinstance(api.world, Watched)
    api.world.budget_held_by = "checkout"
    assert await run(tmp_path, api, "chaos", "run", "chaos/drill", "--wait", "0") == 3

    assert await run(tmp_path, api, "chaos", "abort", "chaos/drill") == 0
    assert capsys.readouterr().out.endswith("the run that was asked for is taken back\n")
    api.world.budget_held_by = ""
    api.look()
    assert (api.world.status.phase, api.world.status.run_number) == (Phase.PENDING, 0)


@pytest.mark.parametrize(
    ("api", "code", "line"),
    [
        (in_phase(Phase.FINISHED), 0, "no run is under way; the last was Passed (HypothesisHeld)"),
        (at_rest(), 1, "no run is under way: Pending (NotRequested)"),
    ],
    ids=["finished", "pending"],
)
async def test_where_there_is_nothing_to_abort_nothing_is_written(
    api: Api, code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, api, "chaos", "abort", "chaos/drill") == code
    assert capsys.readouterr().out.startswith(line)
    assert api.annotations == {"mine": "kept"}


async def test_an_undo_that_fails_is_told_with_its_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C16: exit code 1."""
    api = in_phase(Phase.RUNNING, a_scale_spec())
    status = api.world.status.model_copy(
        update={"phase": Phase.REVERTING, "verdict": Verdict.FAILED, "reason": "RecoveryFailed", "message": "by hand"}
    )
    assert isinstance(status, ChaosExperimentStatus)
    assert isinstance(api.world, Watched)
    api.world.status, api.is_operator_there = status, False

    assert await run(tmp_path, api, "chaos", "abort", "chaos/drill") == 1
    assert capsys.readouterr().out == "Failed (RecoveryFailed): by hand\n"


async def test_a_game_day_is_aborted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = a_day_in()
    api.look()

    assert await run(tmp_path, api, "chaos", "abort", "gd/drill") == 0
    assert capsys.readouterr().out.startswith("the fault is off: Aborted (Aborted)")


# --- approve, reject ------------------------------------------------------------------------------------


def awaiting(api: Api) -> str:
    """Give the hash that an approval names."""
    approval = api.world.status.approval
    assert approval is not None
    return approval.hash


async def test_a_plan_is_approved_by_its_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13: and what is approved is carried out."""
    api = in_phase(Phase.AWAITING_APPROVAL, a_spec(approval="Required"))

    assert await run(tmp_path, api, "approve", "chaos/drill", "--plan", awaiting(api)) == 0
    assert capsys.readouterr().out.startswith("approved by alice: delete Pod/checkout-")
    for _ in range(30):
        api.look()
    assert api.world.status.verdict == "Passed"


async def test_a_plan_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13."""
    api = in_phase(Phase.AWAITING_APPROVAL, a_spec(approval="Required"))

    assert await run(tmp_path, api, "reject", "chaos/drill", "--plan", awaiting(api)) == 0
    assert capsys.readouterr().out.startswith("Aborted (Rejected): alice rejected the plan")


@pytest.mark.parametrize("command", ["approve", "reject"])
async def test_another_plan_than_the_one_that_stands_is_not_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13."""
    api = in_phase(Phase.AWAITING_APPROVAL, a_spec(approval="Required"))

    assert await run(tmp_path, api, command, "chaos/drill", "--plan", "0123456789abcdef") == 1
    assert "look at it first" in capsys.readouterr().out
    assert api.annotations == {"mine": "kept"}


async def test_where_no_plan_awaits_approval_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, in_phase(Phase.RUNNING), "approve", "chaos/drill", "--plan", "x") == 1
    assert capsys.readouterr().out.startswith("no plan awaits approval: Running (FaultActive)")


async def test_a_plan_that_changes_meanwhile_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R13: the approval is of a plan that no longer stands."""
    api = in_phase(Phase.AWAITING_APPROVAL, a_spec(approval="Required"))
    assert isinstance(api.world, Watched)
    old = awaiting(api)

    class Moving(Api):
        def _write(self, metadata: Body) -> None:
            assert isinstance(self.world, Watched)
            self.world.pods["checkout-9"], self.world.homes["checkout-9"] = self.world.pods.pop("checkout-1"), "n"
            super()._write(metadata)
            self.is_operator_there = True

    moving = Moving(api.world)
    moving.is_operator_there = False  # until the wish is there
    assert await run(tmp_path, moving, "approve", "chaos/drill", "--plan", old, "--wait", "5") == 1
    assert capsys.readouterr().out.startswith("the plan no longer stands: AwaitingApproval")


async def test_the_plan_is_shown_to_who_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "n\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    api = in_phase(Phase.AWAITING_APPROVAL, a_scale_spec(approval="Required"))

    assert await run(tmp_path, api, "approve", "chaos/drill") == 1
    told = capsys.readouterr().out
    assert f"plan {awaiting(api)} of shop/drill\n    scale Deployment/checkout from 3 to 1\n    undo: scale" in told
    assert told.endswith("nothing was said to the experiment\n")


@pytest.mark.parametrize(("command", "line"), [("approve", "approved"), ("reject", "Aborted (Rejected)")])
async def test_a_step_of_a_game_day_is_approved_or_rejected(
    command: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R13."""
    api = a_day_in(approval="Required")
    for _ in range(5):
        api.look()

    assert await run(tmp_path, api, command, "gd/drill", "--plan", awaiting(api)) == 0
    assert capsys.readouterr().out.startswith(line)
    assert isinstance(api.world.status, GameDayStatus)
    assert (api.world.status.step == 1) is (command == "approve")


# --- plan, list -----------------------------------------------------------------------------------------


async def test_the_plan_of_a_dry_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C14: and nothing is asked for."""
    api = in_phase(Phase.FINISHED, a_scale_spec(dryRun=True))

    assert await run(tmp_path, api, "chaos", "plan", "chaos/drill") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("run 1, Finished (DryRun): Nothing was touched")
    assert lines[1:4] == ["drill:", "  target  Deployment/checkout", "  change  scale Deployment/checkout from 3 to 1"]
    assert [line.split()[0] for line in api.paths] == ["GET"]


async def test_a_plan_is_given_to_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C14."""
    api = in_phase(Phase.FINISHED, a_scale_spec(dryRun=True))

    assert await run(tmp_path, api, "chaos", "plan", "chaos/drill", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["drill"]["targets"] == ["Deployment/checkout"]


async def test_where_there_is_no_plan_it_is_said_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, at_rest(), "chaos", "plan", "chaos/drill") == 1
    assert "spec.dryRun" in capsys.readouterr().out


async def test_what_there_is_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both kinds, each with where it stands; as a table and for programs."""
    api = in_phase(Phase.FINISHED)

    assert await run(tmp_path, api, "chaos", "list") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == [name.upper() for name in HEADS]
    assert [row.split()[:3] for row in rows] == [["shop", "chaos/drill", "podKill"], ["shop", "gd/drill", "podKill"]]
    assert await run(tmp_path, api, "chaos", "list", "-A", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "Passed"
    assert "/namespaces/" not in api.paths[-1]


# --- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusals", "line"),
    [
        ({"GET": 404}, "is there such an experiment in this namespace"),
        ({"GET": 403}, "takes the rights to get and patch chaosexperiments there"),
        ({"PATCH": 403}, "takes the rights to get and patch chaosexperiments there"),
        ({"PATCH": 422}, "the API server refused"),
        ({"GET": 503}, "the API server: "),
    ],
)
@pytest.mark.parametrize("command", [["chaos", "run"], ["chaos", "abort"]])
async def test_what_the_api_server_refuses_is_explained_in_one_line(
    command: list[str], refusals: dict[str, int], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2."""
    api = at_rest() if command[1] == "run" else in_phase(Phase.RUNNING)
    api.refusals = refusals

    assert await run(tmp_path, api, *command, "chaos/drill") == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["chaos", "run"],
        ["chaos", "run", "rp/x"],
        ["chaos", "run", "chaos/"],
        ["chaos", "run", "chaos/x", "--wait-for", "Doom"],
        ["chaos", "run", "gd/x", "--wait-for", "Injected"],
        ["chaos", "abort", "slo/x"],
        ["chaos", "plan", "x", "-o", "csv"],
        ["chaos", "list", "-n", "x", "-A"],
    ],
)
async def test_a_command_line_that_makes_no_sense_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, at_rest(), *arguments) == 2
    assert capsys.readouterr().err.startswith(f"homeostat: chaos {arguments[1]}: ")


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["explode"], 2)])
def test_what_chaos_can_do_is_listed(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert homeostat(["chaos", *arguments]) == code
    said = capsys.readouterr()
    told = said.out if code == 0 else said.err
    assert [name for name in ("run", "abort", "plan", "list", "sweep") if f"\n  {name} " not in told] == []
