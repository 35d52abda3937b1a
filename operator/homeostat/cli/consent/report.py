"""What the operator made of what a human asked, read from the policy's status."""

from typing import Any

from homeostat.cli.desk import Answer, Result
from homeostat.cli.streams import in_one_line

_WHY = {
    "Expired": "the plan had expired",
    "PlanChanged": "the plan has changed since it was shown",
    "OtherPlan": "it is another plan that awaits approval",
    "NotAwaited": "no plan awaits approval",
}
_NO_ANSWER = "no operator has answered yet; what was asked stands on the policy"


def answered(command: str, token: str, body: dict[str, Any]) -> Answer:
    """Read the answer to a command; `token` is the hash of the plan, or the id of the run."""
    status = body.get("status") or {}
    if command == "approve":
        return _approved(status, token)
    if command == "reject":
        return _rejected(status, token)
    if command == "run":
        return _run(status, token)
    return _rests(status, is_wanted=command == "pause")


def awaiting(command: str, body: dict[str, Any], asked: str) -> str | Answer:
    """Give the hash of the plan that can be approved or rejected now, or say why there is none."""
    status = body.get("status") or {}
    plan = status.get("plan") or {}
    open_states = {"AwaitingApproval"} if command == "approve" else {"AwaitingApproval", "Suggested"}
    if plan.get("state") not in open_states:
        hint = "; the mode is Suggest: run the step by hand" if plan.get("state") == "Suggested" else ""
        return Answer(Result.REFUSED, f"no plan awaits approval ({_standing(status)}){hint}")
    current = str(plan.get("hash", ""))
    if asked and asked != current:
        return Answer(Result.REFUSED, f"the plan that awaits approval is {current}, not {asked}: look at it first")
    return current


def plan_text(body: dict[str, Any]) -> str:
    """Write out the plan for whoever decides on it."""
    metadata, plan = body["metadata"], (body.get("status") or {}).get("plan") or {}
    target = plan.get("target") or {}
    lines = [
        f"plan {plan.get('hash')} of {metadata.get('namespace')}/{metadata.get('name')}",
        f"  step {plan.get('step')} ({plan.get('name')}) on {target.get('kind')}/{target.get('name')}",
        *(f"    {action}" for action in plan.get("does") or ()),
        f"  made {plan.get('createdAt')}, holds until {plan.get('expiresAt')}",
    ]
    return "\n".join(in_one_line(line) for line in lines)


def _approved(status: dict[str, Any], token: str) -> Answer:
    plan = status.get("plan") or {}
    if plan.get("refused") == token:
        return Answer(Result.REFUSED, f"refused: {_WHY.get(str(plan.get('whyRefused')), 'the plan no longer stands')}")
    if plan.get("hash") != token:
        return Answer(Result.REFUSED, f"refused: the plan no longer stands ({_standing(status)})")
    if plan.get("state") == "Approved":
        return Answer(Result.DONE, f"approved by {plan.get('by')}: {'; '.join(plan.get('does') or ())}")
    if plan.get("state") == "Rejected":
        return Answer(Result.REFUSED, f"refused: {plan.get('by')} rejected the plan")
    blocked = status.get("blocked")
    return Answer(Result.PENDING, f"not carried out yet: {_standing(status)}" if blocked else _NO_ANSWER)


def _rejected(status: dict[str, Any], token: str) -> Answer:
    plan = status.get("plan") or {}
    if plan.get("hash") != token:
        return Answer(Result.REFUSED, f"the plan no longer stands ({_standing(status)})")
    if plan.get("state") == "Rejected":
        return Answer(Result.DONE, f"rejected by {plan.get('by')}: the policy rests until its trigger has been quiet")
    if plan.get("state") == "Approved":
        return Answer(Result.REFUSED, f"too late: {plan.get('by')} approved the plan")
    return Answer(Result.PENDING, _NO_ANSWER)


def _run(status: dict[str, Any], token: str) -> Answer:
    run = status.get("run") or {}
    if run.get("id") != token:
        return Answer(Result.PENDING, _NO_ANSWER)
    if run.get("state") == "Accepted":
        return Answer(Result.DONE, f"begun by {run.get('by')}: {run.get('message')}")
    return Answer(Result.REFUSED, f"refused: {run.get('message')}")


def _rests(status: dict[str, Any], *, is_wanted: bool) -> Answer:
    reason = (status.get("blocked") or {}).get("reason")
    if is_wanted and reason == "Suspended":
        return Answer(Result.DONE, "paused; it does nothing as it is, for it is suspended besides")
    if (reason == "Paused") is is_wanted:
        return Answer(Result.DONE, "paused" if is_wanted else f"resumed{_still(status)}")
    if is_wanted and status.get("attempt"):
        return Answer(Result.PENDING, "paused; the attempt under way does nothing more, and is verified")
    return Answer(Result.PENDING, _NO_ANSWER)


def _still(status: dict[str, Any]) -> str:
    """Say what holds a policy that is paused no more."""
    return f"; it does nothing all the same: {_standing(status)}" if status.get("blocked") else ""


def _standing(status: dict[str, Any]) -> str:
    """Say where the policy stands, in a few words."""
    blocked = status.get("blocked")
    if blocked:
        return f"{blocked.get('reason')}: {blocked.get('message', '')}"
    return f"the policy is {status.get('phase') or 'not evaluated yet'}"
