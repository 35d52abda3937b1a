"""A step that a human runs: through the same gates, but for those that are about triggers and those overridden.

It is done once for each id, also after a restart: what became of it is in status.run before anything happens.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from pydantic import Field, ValidationError

from homeostat.api.meta import Model, PreciseTime
from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import GateName, Id, Uid
from homeostat.api.recovery_decision import ManualRun, RunState
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.attempt.intent import begin
from homeostat.core.recovery.consent.asker import asker, is_vouched_for
from homeostat.core.recovery.gates.chain import BY_HAND, NEVER_OVERRIDDEN, TO_ACT, name_of
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case, Move, Requests
from homeostat.core.recovery.signals import firing
from homeostat.core.recovery.steps.plan import Plan, plan

OVERRIDABLE = tuple(name_of(gate) for gate in TO_ACT if gate not in NEVER_OVERRIDDEN and gate not in BY_HAND)
"""Gates that an override may name."""

_WORD = re.compile("[A-Za-z][A-Za-z0-9]*")
"""What a status takes as the name of a step."""


class RunRequest(Model):
    """What the annotation homeostat.dev/run says."""

    id: Id
    step: Annotated[str, Field(min_length=1, max_length=63)]
    reason: Annotated[str, Field(min_length=1, max_length=256)]
    override: Annotated[tuple[GateName, ...], Field(max_length=32)] = ()
    uid: Uid = ""
    """The policy it is meant for: a copy or a restored backup of one must not run it again."""
    expires: PreciseTime | None = None
    """Not after this time: an operator that was down has nothing to catch up on."""
    target: Annotated[str, Field(max_length=253)] = ""
    """Of a policy with a selector: the name of the target that is meant."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a run is not done; `step`: what was asked for, if it is a step."""

    message: str
    step: str = ""


def is_asked_for(run: ManualRun | None, requests: Requests) -> bool:
    """Whether there is a run that was not answered yet: all that acting depends on must be known then."""
    return bool(requests.run) and (run is None or run.id != _id_of(read(requests.run), requests.run))


def run_by_hand(case: Case) -> Move | None:
    """Begin the run that is asked for, or refuse it for good; None where none is asked for."""
    if not is_asked_for(case.status.run, case.seen.requests):
        return None
    wanted = read(case.seen.requests.run)
    answer = wanted if isinstance(wanted, _Refusal) else _begin(case, wanted)
    return answer if isinstance(answer, Move) else _refuse(case, wanted, answer)


def read(text: str) -> RunRequest | _Refusal:
    """Read the annotation."""
    try:
        return RunRequest.model_validate_json(text)
    except ValidationError as error:
        told = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_url=False)]
        problems = "; ".join(f"{place}: {what}" if place else what for place, what in told)
        return _Refusal(f"homeostat.dev/run must be JSON with id, step, reason and override: {problems}"[:1024])


# --- accepted -------------------------------------------------------------------------------------------


def _begin(case: Case, wanted: RunRequest) -> Move | _Refusal:
    number = _step(case, wanted.step)
    refusal = _never(case, wanted) or (number if isinstance(number, _Refusal) else None)
    if refusal or isinstance(number, _Refusal):
        return refusal or _Refusal("")
    step, signal = case.spec.steps[number], _signal(case)
    there = case.with_status(next_step=number, escalated=None)
    planned = plan(there, step, signal)
    refused = _first_refusal(Wish(there, signal, planned), frozenset(wanted.override))
    if refused or isinstance(planned, Block):
        return refused or _Refusal("")
    return _started(case, wanted, begin(there, step, signal, planned), planned)


def _started(case: Case, wanted: RunRequest, move: Move, planned: Plan) -> Move:
    """Put on record who runs it, what he overrides and why; the policy's own sequence stays where it is."""
    by, attempt = asker(case.seen.requests), move.status.attempt
    if attempt is not None:
        attempt = attempt.model_copy(
            update={
                "requested_by": by,
                "overridden": wanted.override,
                "override_reason": wanted.reason if wanted.override else "",
            }
        )
    status = move.status.model_copy(
        update={
            "attempt": attempt,
            "next_step": case.status.next_step,
            "escalated": case.status.escalated,
            "run": _answer(case, wanted, RunState.ACCEPTED, planned.title),
        }
    )
    overriding = f", overriding {', '.join(wanted.override)}" if wanted.override else ""
    note = f"{by} runs the step {wanted.step} by hand{overriding}: {planned.title}. Reason: {wanted.reason}"
    return Move(status, move.actions, (Event("RunByHand", note[:1024], action="Run"),))


def _signal(case: Case) -> Signal:
    """Give the trigger by which the run is verified: one that fires, else the first, quiet as it may be."""
    known = next(iter((*firing(case), *case.status.signals)), None)
    if known is None:
        return Signal(trigger=0, state=SignalState.UNKNOWN, since=case.now)
    return known if known.state is SignalState.FIRING else known.model_copy(update={"since": case.now})


# --- refused --------------------------------------------------------------------------------------------


def _never(case: Case, wanted: RunRequest) -> _Refusal | None:
    """Refuse what no gate is about."""
    if case.spec.mode is Mode.OBSERVE:
        return _Refusal("The mode is Observe, in which nothing is touched: set spec.mode to Suggest, Approve or Auto.")
    if wanted.uid not in {"", case.seen.ref.uid}:
        return _Refusal("It was asked of another policy, of which this is a copy.")
    if wanted.expires is not None and case.now >= wanted.expires:
        return _Refusal("It came too late: ask again.")
    if wanted.target and (case.seen.target is None or case.seen.target.ref.name != wanted.target):
        return _Refusal("The policy has no target of the name that was given.")
    if case.status.attempt:
        return _Refusal(f"An attempt is under way ({case.status.attempt.name}): one at a time.")
    strange = [name for name in wanted.override if name not in OVERRIDABLE]
    if not strange:
        return None
    known = {name_of(gate) for gate in NEVER_OVERRIDDEN}
    what = "can never be overridden" if strange[0] in known else "is no gate"
    return _Refusal(f"{strange[0]} {what}; these can be overridden: {', '.join(OVERRIDABLE)}.")


def _step(case: Case, asked: str) -> int | _Refusal:
    """Find a step by its name or its index."""
    steps = case.spec.steps
    found = [index for index, step in enumerate(steps) if asked in {step.name, str(index)}]
    if not found:
        return _Refusal(f"There is no such step; there are {', '.join(f'{i} {s.name}' for i, s in enumerate(steps))}.")
    if len(found) > 1:
        return _Refusal(f"Several steps are called {asked}: give the index, one of {', '.join(map(str, found))}.")
    return _Refusal("escalate is no step to run by hand.") if steps[found[0]].escalate else found[0]


def _first_refusal(wish: Wish, overridden: frozenset[str]) -> _Refusal | None:
    """Ask the gates, but for those that are about triggers and those overridden."""
    for gate in TO_ACT:
        block = None if gate in BY_HAND or name_of(gate) in overridden else gate(wish)
        if block:
            way = f" (--override {name_of(gate)} passes over it)" if name_of(gate) in OVERRIDABLE else ""
            return _Refusal(f"{block.reason}: {block.message}{way}"[:1024])
    return None


def _refuse(case: Case, wanted: RunRequest | _Refusal, refusal: _Refusal) -> Move:
    status = case.with_status(run=_answer(case, wanted, RunState.REFUSED, refusal.message)).status
    note = f"The run asked for by {asker(case.seen.requests)} is refused: {refusal.message}"[:1024]
    return Move(status, events=(Event("RunRefused", note, EventType.WARNING, "Run"),))


def _answer(case: Case, wanted: RunRequest | _Refusal, state: RunState, message: str) -> ManualRun:
    requests = case.seen.requests
    known = None if isinstance(wanted, _Refusal) else wanted
    step = known.step if known and _WORD.fullmatch(known.step) else ""
    if known and not step and not isinstance(number := _step(case, known.step), _Refusal):
        step = case.spec.steps[number].name
    return ManualRun(
        id=_id_of(wanted, requests.run),
        step=step,
        by=asker(requests),
        is_verified=is_vouched_for(requests),
        reason=known.reason if known else "",
        override=known.override if known else (),
        state=state,
        message=message,
        at=case.now,
    )


def _id_of(wanted: RunRequest | _Refusal, text: str) -> str:
    """Name a run; one that cannot be read is named after its text, so that it is answered once as well."""
    if isinstance(wanted, RunRequest):
        return wanted.id
    return f"unreadable-{sha256(text.encode(errors='replace')).hexdigest()[:16]}"
