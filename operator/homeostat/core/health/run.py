"""One run of a check: what its endpoints answered, and what that amounts to (H1, H4)."""

from collections.abc import Sequence
from typing import NamedTuple

from homeostat.core.health.plan import Plan, endpoint_name
from homeostat.core.probing.result import Reason, Result, Verdict
from homeostat.core.ref import Ref

_PASS, _FAIL, _OK = Verdict.PASS, Verdict.FAIL, Reason.OK
_WORST_FIRST = (Verdict.INVALID, Verdict.ERROR, Verdict.UNKNOWN, Verdict.SKIPPED)

Answer = tuple[Ref | None, Result, bool]
"""One endpoint of a run: the pod behind it, its last result, and whether it took a retry."""

Failing = tuple[Ref | None, str, str]
"""An endpoint that failed: its pod, its name for humans, and why (a `Reason`)."""


class Run(NamedTuple):
    """What one interval amounts to. `seconds` is the slowest endpoint that passed, or the slowest of all if none.

    `passing` of `total` are endpoints, or the replicas of a workload. `not_after` is when the first of the certificates
    that were seen expires (epoch seconds), 0.0 without any.
    """

    verdict: Verdict
    reason: Reason
    seconds: float
    passing: int
    total: int
    is_retried: bool = False
    failing: tuple[Failing, ...] = ()
    not_after: float = 0.0


RESTING = Run(Verdict.SKIPPED, Reason.MAINTENANCE, 0.0, 0, 0)
"""A run that does not happen because of maintenance."""


def aggregate(answers: Sequence[Answer], plan: Plan) -> Run:
    """Judge the endpoints of one run together, whatever the order they answered in.

    It passes when enough of all endpoints passed (`minPassing`), and fails when even a pass of all that said
    neither could not make it enough. In between nothing was learnt: the worst of the other results stands.
    No endpoints at all is a failure: nobody can be served.
    """
    if not answers:
        return Run(_FAIL, Reason.NO_ENDPOINTS, 0.0, 0, 0)
    if len(answers) == 1 and answers[0][1].verdict is _PASS:
        _, result, is_retried = answers[0]
        passing, total = result.share or (1, 1)
        return Run(_PASS, _OK, result.seconds, passing, total, is_retried, (), result.not_after)
    return _judge(answers, plan)


def _judge(answers: Sequence[Answer], plan: Plan) -> Run:
    total = len(answers)
    passed = [answer for answer in answers if answer[1].verdict is _PASS]
    failing = _failing(answers, plan)
    needed = plan.min_passing * total
    if len(passed) >= needed:
        verdict, reason = _PASS, _OK
    elif total - len(failing) < needed:
        verdict, reason = _FAIL, _reason_of(failing)
    else:
        verdict, reason = _inconclusive(answers)
    share = (len(passed), total) if total > 1 else answers[0][1].share or (len(passed), total)
    return Run(
        verdict, reason, max(result.seconds for _, result, _ in passed or answers), *share,
        any(answer[2] for answer in passed), failing,
        min((result.not_after for _, result, _ in answers if result.not_after), default=0.0),
    )  # fmt: skip


def _failing(answers: Sequence[Answer], plan: Plan) -> tuple[Failing, ...]:
    """Name the endpoints that failed: by their pod, or by the step where it ended."""
    failing = (
        (pod, result.step or endpoint_name(plan, pod), result.reason)
        for pod, result, _ in answers
        if result.verdict is _FAIL
    )
    return tuple(sorted(failing, key=lambda endpoint: endpoint[1:]))


def _reason_of(failing: tuple[Failing, ...]) -> Reason:
    reasons = {reason for _, _, reason in failing}
    return Reason(reasons.pop()) if len(reasons) == 1 else Reason.TOO_FEW_PASSING


def _inconclusive(answers: Sequence[Answer]) -> tuple[Verdict, Reason]:
    others = [result for _, result, _ in answers if result.verdict in _WORST_FIRST]
    worst = min(others, key=lambda result: (_WORST_FIRST.index(result.verdict), result.reason))
    return worst.verdict, worst.reason
