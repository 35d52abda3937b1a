"""What the operator made of what a human asked of a ChaosExperiment or a GameDay, read from its status."""

from collections.abc import Iterator
from typing import Any

from homeostat.api.chaos import RUN
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.cli.desk import Answer, Result
from homeostat.cli.parsers.chaos_run import BEGUN, INJECTED
from homeostat.cli.streams import in_one_line
from homeostat.core.chaos.reasons import ChaosReason

Body = dict[str, Any]
Status = dict[str, Any]

RESTING = frozenset({"", "Pending", "Finished"})
_BEFORE_FAULT = frozenset({"AwaitingApproval", "CheckingSteadyState", "Injecting"})
_AT_REST = frozenset({None, "", ChaosReason.NOT_DUE, ChaosReason.NOT_REQUESTED})
_NO_ANSWER = "no operator has answered yet; what was asked stands on the object"
_TAKEN_BACK = "it was not begun: somebody took the wish back, or asked for another run, before an operator had seen it"


# --- what can be asked ----------------------------------------------------------------------------------


def obstacle_to_run(body: Body) -> Answer | None:
    """Say why no run can be asked for now; None when one can."""
    status = status_of(body)
    if (body.get("spec") or {}).get("suspend"):
        return Answer(Result.REFUSED, "spec.suspend is set: no run begins while it stands")
    if str(status.get("phase") or "") not in RESTING:
        return Answer(Result.REFUSED, f"a run is under way already: {standing(status)}")
    return None


def obstacle_to_abort(body: Body) -> Answer | None:
    """Say why there is nothing to abort; None when there is, be it a run that is asked for and has not begun."""
    status = status_of(body)
    if str(status.get("phase") or "") not in RESTING:
        return _off(status) if status.get("verdict") and status.get("phase") == "Recovering" else None
    if _is_asked_for(body):
        return None
    if status.get("phase") == "Finished":
        return Answer(Result.DONE, f"no run is under way; the last was {standing(status)}")
    hint = "" if status.get("reason") == ChaosReason.NOT_REQUESTED else "; set spec.suspend to keep it from beginning"
    return Answer(Result.REFUSED, f"no run is under way: {standing(status)}{hint}")


def awaiting(command: str, body: Body, asked: str) -> str | Answer:
    """Give the hash of the plan that can be approved or rejected now, or say why there is none."""
    status = status_of(body)
    approval = status.get("approval") or {}
    is_open = status.get("phase") == "AwaitingApproval" or (
        command == "reject" and status.get("phase") == "CheckingSteadyState" and approval
    )
    current = str(approval.get("hash") or "")
    if not is_open or not current:
        return Answer(Result.REFUSED, f"no plan awaits approval: {standing(status)}")
    if asked and asked != current:
        return Answer(Result.REFUSED, f"the plan that awaits approval is {current}, not {asked}: look at it first")
    return current


# --- what came of it ------------------------------------------------------------------------------------


def run_answer(token: str, how_far: str, body: Body) -> Answer:
    """Read what became of a run that was asked for as `token`; `how_far` it is waited for."""
    status = status_of(body)
    if status.get("run") != token:
        return _not_taken_up(token, body, status)
    number, phase = status.get("runNumber"), status.get("phase")
    if phase == "Finished":
        is_good = status.get("verdict") == "Passed" or status.get("reason") == ChaosReason.DRY_RUN
        is_enough = is_good or (how_far == BEGUN and bool(status.get("injectedAt")))
        return Answer(Result.DONE if is_enough else Result.REFUSED, f"run {number}: {standing(status)}")
    is_on = phase not in _BEFORE_FAULT and not status.get("verdict")
    is_far_enough = how_far == BEGUN or (how_far == INJECTED and is_on)
    return Answer(Result.DONE if is_far_enough else Result.PENDING, f"run {number} goes on: {standing(status)}")


def abort_answer(token: str, before: Body, body: Body) -> Answer:
    """Read what became of an abort: it is done when the fault is off."""
    earlier, status = status_of(before), status_of(body)
    phase = str(status.get("phase") or "")
    if phase in RESTING:
        is_other = status.get("runNumber") != earlier.get("runNumber")
        has_run = is_other or str(earlier.get("phase") or "") not in RESTING
        return _off(status) if has_run else Answer(Result.DONE, "the run that was asked for is taken back")
    if status.get("reason") == ChaosReason.RECOVERY_FAILED:
        return Answer(Result.REFUSED, standing(status))
    has_heard = status.get("abort") == token or bool(status.get("verdict"))
    if has_heard and phase == "Recovering":
        return _off(status)
    return Answer(Result.PENDING, f"not over yet: {standing(status)}" if has_heard else _NO_ANSWER)


def answered(command: str, token: str, body: Body) -> Answer:
    """Read what became of an approval or a rejection of the plan `token`."""
    status = status_of(body)
    if status.get("phase") == "Finished":
        is_wanted = command == "reject" and status.get("reason") == ChaosReason.REJECTED
        return Answer(Result.DONE if is_wanted else Result.REFUSED, standing(status))
    approval = status.get("approval")
    if approval is None and body.get("kind") == GAME_DAY.kind:  # which forgets it as it goes on
        return Answer(Result.REFUSED if command == "reject" else Result.DONE, f"approved: {standing(status)}")
    if approval is None or approval.get("hash") != token:
        return Answer(Result.REFUSED, f"the plan no longer stands: {standing(status)}")
    if command == "approve" and approval.get("by"):
        return Answer(Result.DONE, f"approved by {approval['by']}: {'; '.join(_changes(status)) or standing(status)}")
    return Answer(Result.PENDING, _NO_ANSWER)


# --- how it is shown ------------------------------------------------------------------------------------


def plan_text(body: Body) -> str:
    """Write out what awaits approval for whoever decides on it."""
    metadata, status = body["metadata"], status_of(body)
    approval = status.get("approval") or {}
    plan = status.get("plan") or {}
    lines = [
        f"plan {approval.get('hash')} of {metadata.get('namespace')}/{metadata.get('name')}",
        *(f"    {change}" for change in _changes(status) or [status.get("message", "")]),
        *(f"    undo: {undo}" for undo in plan.get("undo") or ()),
        f"  asked for {approval.get('since')}, holds until {approval.get('expiresAt')}",
    ]
    return "\n".join(in_one_line(line) for line in lines)


def standing(status: Status) -> str:
    """Say where an experiment or a game day stands, in a few words."""
    head = status.get("verdict") or status.get("phase") or "not evaluated yet"
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    return f"{head}{f' ({reason})' if reason else ''}{f': {message}' if message else ''}"


def status_of(body: Body) -> Status:
    """Give the status, {} where there is none."""
    return body.get("status") or {}


def _changes(status: Status) -> list[str]:
    return list((status.get("plan") or {}).get("changes") or ())


def _off(status: Status) -> Answer:
    return Answer(Result.DONE, f"the fault is off: {standing(status)}")


def _is_asked_for(body: Body) -> bool:
    return _annotation(body, RUN) not in {"", str(status_of(body).get("run") or "")}


def _annotation(body: Body, name: str) -> str:
    return str((body["metadata"].get("annotations") or {}).get(name) or "")


def _not_taken_up(token: str, body: Body, status: Status) -> Answer:
    if _annotation(body, RUN) != token:
        return Answer(Result.REFUSED, _TAKEN_BACK)
    why = next(_holds(status), "")
    return Answer(Result.PENDING, f"not begun yet: {why}" if why else _NO_ANSWER)


def _holds(status: Status) -> Iterator[str]:
    """Say what an experiment that has not begun waits for."""
    if status.get("phase") == "Pending" and status.get("reason") not in _AT_REST:
        yield standing(status)
