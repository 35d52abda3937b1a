"""Which step is due: in the order of the spec, each with its retries, a human last (R16).

`status.tried` has the steps that are done with since the trigger began to fire, `status.tries` how many retries of the
due one are used up. Of the steps that are left, those that write no field which a Git repository owns come first: a
change that the repository's controller takes back helps nobody.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import Attempt
from homeostat.api.recovery_step import Escalate, Retries, Step
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.targets.gitops import writes_git

LAST_RESORT = Step(escalate=Escalate(summary="All steps were tried, and the trigger still fires."))
"""What follows the last step of a policy that does not say so itself: a human is told in any case."""

JITTER = 0.2
STEPS_OF_JITTER = 1 << 32
START_OVER: dict[str, Any] = {"next_step": 0, "tried": (), "tries": 0}
"""The memory of a sequence that has not begun."""


def step_at(spec: RecoveryPolicySpec, index: int) -> Step:
    """Give a step by its index; beyond the last there is a human."""
    return spec.steps[index] if index < len(spec.steps) else LAST_RESORT


def due(case: Case) -> int:
    """Give the index of the step that is due; a retry is of the step that was begun."""
    status, steps = case.status, case.spec.steps
    left = [index for index in range(len(steps)) if index not in status.tried]
    if status.tries and status.next_step in left:
        return status.next_step
    return min(left, key=lambda index: _rank(case, index), default=len(steps))


def passed_over(case: Case, index: int) -> dict[str, Any]:
    """Give what to remember once a step is done with."""
    tried = (*(known for known in case.status.tried if known != index), index)
    return {"tried": tried, "tries": 0, "next_step": due(case.with_status(tried=tried, tries=0))}


def failed(case: Case, attempt: Attempt) -> tuple[dict[str, Any], timedelta]:
    """Give what to remember of an attempt that did not help, and how long to wait: it is tried again, or done with.

    Of an edited spec that has another step in its place, nothing is known.
    """
    steps = case.spec.steps
    if attempt.step >= len(steps) or steps[attempt.step].name != attempt.name:
        return dict(START_OVER), timedelta(0)
    retries, tries = steps[attempt.step].retries, case.status.tries
    if tries >= retries.max:
        return passed_over(case, attempt.step), timedelta(0)
    return {"tries": tries + 1, "next_step": attempt.step}, backoff(retries, tries, attempt.id)


def backoff(retries: Retries, tries: int, seed: str) -> timedelta:
    """Say how long to wait before one more try: twice as long each time, up to a fifth more or less by `seed`."""
    plain = min(retries.backoff * (1 << min(tries, 16)), retries.max_backoff)
    chance = int.from_bytes(sha256(seed.encode()).digest()[:4], "big") / STEPS_OF_JITTER
    return min(plain * (1 + JITTER * (2 * chance - 1)), retries.max_backoff)


def longest_rest(spec: RecoveryPolicySpec) -> timedelta:
    """Say how long a target may have to rest at the most: its cooldown, or the longest wait before a retry."""
    waits = (step.retries.max_backoff for step in spec.steps if step.retries.max)
    return max(spec.limits.cooldown, *waits, timedelta(0))


def human(spec: RecoveryPolicySpec) -> tuple[int, Step, Escalate]:
    """Give the step that tells a human, its index, and what it says."""
    index = _index_of_human(spec.steps)
    step = step_at(spec, index)
    return index, step, step.escalate or Escalate()


def _index_of_human(steps: Sequence[Step]) -> int:
    return next((index for index, step in enumerate(steps) if step.escalate), len(steps))


def _rank(case: Case, index: int) -> tuple[bool, bool, int]:
    step = case.spec.steps[index]
    return step.escalate is not None, bool(writes_git(step, case.seen.target)), index
