"""All that a step would do, one action after another: what a human is shown before the first of them happens."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, InFlight, TargetPhase
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Step
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan, object_id, plan

MOST = 256
"""As many actions as an attempt can have on record."""
SHOWN = 16
LONGEST = 512


def whole(case: Case, step: Step, signal: Signal, first: Plan) -> tuple[Plan, ...]:
    """Give all actions of a step, as far as they can be foreseen: planned on, as if each had been done."""
    return tuple(islice(_following(case, step, signal, first), MOST))


def listed(plans: Sequence[Plan]) -> tuple[str, ...]:
    """Name the actions for a human; of very many, how many more there are."""
    titles = [plan.title[:LONGEST] for plan in plans]
    if len(titles) <= SHOWN:
        return tuple(titles)
    return (*titles[: SHOWN - 1], f"{_MORE}{len(titles) - SHOWN + 1} more of this kind")


_MORE = "and "
_CUT = re.compile(rf"{_MORE}(\d+) more of this kind")


def is_listed(title: str, does: Sequence[str], count: int) -> bool:
    """Whether an action, after `count` others, was among those shown; of a list that was cut, as many as it says."""
    if title[:LONGEST] in does:
        return True
    more = _CUT.fullmatch(does[-1]) if len(does) == SHOWN else None
    return more is not None and count < SHOWN - 1 + int(more[1])


def _following(case: Case, step: Step, signal: Signal, first: Plan) -> Iterator[Plan]:
    following: Plan | Block = first
    seen: set[tuple[str, str, str]] = set()
    while isinstance(following, Plan) and _key(following) not in seen:
        yield following
        seen.add(_key(following))
        case = _as_if_done(case, following)
        following = plan(case, step, signal)


def _key(planned: Plan) -> tuple[str, str, str]:
    return planned.action, planned.target.uid, planned.undoes


def _as_if_done(case: Case, planned: Plan) -> Case:
    """Give the case in which an action has happened, as far as the planning of the next one looks at it."""
    attempt, target = case.status.attempt or _attempt(case, planned), case.seen.target
    is_cordon = planned.action is ActionName.CORDON and target is not None and target.ref.uid == planned.target.uid
    if is_cordon and target is not None:
        case = replace(case, seen=replace(case.seen, target=replace(target, is_unschedulable=True)))
    return case.with_status(
        attempt=attempt,
        in_flight=(*case.status.in_flight, _entry(case, planned)),
        changes=tuple(change for change in case.status.changes if change.id != planned.undoes),
    )


def _attempt(case: Case, planned: Plan) -> Attempt:
    return Attempt(
        id="foreseen",
        step=0,
        name="",
        trigger=0,
        phase=AttemptPhase.ACTING,
        workload=object_id((case.seen.target or planned.workload).ref),
        detected_at=case.now,
        started_at=case.now,
        deadline=case.now,
    )


def _entry(case: Case, planned: Plan) -> InFlight:
    return InFlight(
        id=f"foreseen-{len(case.status.in_flight)}",
        target=planned.target,
        workload=object_id(planned.workload.ref),
        step=0,
        action=planned.action,
        undoes=planned.undoes,
        started_at=case.now,
        deadline=case.now,
        phase=TargetPhase.DONE,
    )
