"""What stands for and against a run at this moment, gate by gate, by the same functions that decide on it. Pure.

Before the fault these are the gates that begin a run, in the order in which they are asked; from then on those that
would end it. An answer is only as good as what is seen: of what nothing is known, the reader of it must say so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from homeostat.api.chaos import DuringFault
from homeostat.api.chaos_status import Phase
from homeostat.core.chaos.consent import approval
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.faults.plan import draw
from homeostat.core.chaos.hypothesis.finding import Finding, broken, silent
from homeostat.core.chaos.hypothesis.incidents import open_refusal, unexpected_refusal
from homeostat.core.chaos.hypothesis.judging import findings
from homeostat.core.chaos.hypothesis.stopping import stop_refusal, stops
from homeostat.core.chaos.limits.gates import Refusal, budget_refusal, is_frozen, namespace_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.beginning import is_run_wanted
from homeostat.core.chaos.run.start import frozen, idle
from homeostat.core.chaos.schedule import next_after, schedule_problem
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.telling.standing import AT_WORK

UNDER_WAY: Final = AT_WORK | {Phase.AWAITING_APPROVAL, Phase.CHECKING_STEADY_STATE}
EVALUATED, WANTED, PLAN, STEADY_STATE, STOPS = "evaluated", "wanted", "plan", "steady_state", "stop_conditions"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one gate says: `reason` is "" where it lets the run pass. `silent`: nothing is known of what it looks at."""

    name: str
    reason: str = ""
    message: str = ""
    until: datetime | None = None
    silent: str = ""

    @property
    def passed(self) -> bool:
        """Whether it lets the run pass, as far as it knows."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """An experiment gate by gate. `draft`: what a run would do if it began now, None where a gate refuses that."""

    case: Case
    answers: tuple[Answer, ...]
    draft: Draft | None
    hypothesis: tuple[Finding, ...]
    stops: tuple[Finding, ...]
    next_start: datetime | None

    @property
    def is_at_work(self) -> bool:
        """Whether the fault is, or may be, on."""
        return self.case.status.phase in AT_WORK


def explained(case: Case) -> Explanation:
    """Ask each gate of an experiment anew."""
    is_at_work = case.status.phase in AT_WORK
    drawn = None if is_at_work else draw(case)
    gates = DURING if is_at_work else BEFORE
    answers = tuple(gate(case, name, drawn) for name, gate in gates.items())
    draft = drawn if isinstance(drawn, Draft) else None
    return Explanation(case, answers, draft, findings(case), stops(case), next_start(case))


def next_start(case: Case) -> datetime | None:
    """Say when the schedule begins the next run; None without one, and while it is suspended."""
    schedule = case.spec.schedule
    if schedule is None or case.spec.suspend:
        return None
    due = case.status.next_run_at
    return due if due is not None and due > case.now else next_after(schedule, case.now)


Drawn = Draft | Refusal | None
Gate = Callable[[Case, str, Drawn], Answer]


def _evaluated(case: Case, name: str, _drawn: Drawn) -> Answer:
    problem = case.seen.problem or schedule_problem(case.spec.schedule, case.now)
    return Answer(name, *problem) if problem else Answer(name)


def _suspended(case: Case, name: str, _drawn: Drawn) -> Answer:
    return Answer(name, ChaosReason.SUSPENDED, "spec.suspend is set") if case.spec.suspend else Answer(name)


def _wanted(case: Case, name: str, _drawn: Drawn) -> Answer:
    if case.status.phase in UNDER_WAY or is_run_wanted(case.spec, case.status, case.seen.run_requested, case.now):
        return Answer(name)
    reason, message = idle(case)
    return Answer(name, reason, message, next_start(case))


def _frozen(case: Case, name: str, _drawn: Drawn) -> Answer:
    return _of(name, frozen(case) if is_frozen(case) else None)


def _budget_held(case: Case, name: str, _drawn: Drawn) -> Answer:
    return _of(name, budget_refusal(case.seen))


def _namespace(case: Case, name: str, _drawn: Drawn) -> Answer:
    return _of(name, namespace_refusal(case.seen))


def _incident_open(case: Case, name: str, _drawn: Drawn) -> Answer:
    return _of(name, open_refusal(case))


def _unexpected_alert(case: Case, name: str, _drawn: Drawn) -> Answer:
    return _of(name, unexpected_refusal(case))


def _plan(_case: Case, name: str, drawn: Drawn) -> Answer:
    return _of(name, drawn if isinstance(drawn, Refusal) else None)


def _stop_conditions(case: Case, name: str, _drawn: Drawn) -> Answer:
    answer = _of(name, stop_refusal(case))
    return answer if not answer.passed else Answer(name, silent=_says(silent(stops(case))))


def _approval(case: Case, name: str, _drawn: Drawn) -> Answer:
    if case.status.phase is not Phase.AWAITING_APPROVAL:
        is_needed = approval.is_needed(case) and case.status.phase is not Phase.CHECKING_STEADY_STATE
        return Answer(name, message="a human will be asked, once the plan is drawn" if is_needed else "")
    asked = case.status.approval
    if asked is not None and asked.by:
        return Answer(name)
    ref = case.seen.ref
    command = f": homeostat approve chaos/{ref.name} -n {ref.namespace} --plan {asked.hash}" if asked else ""
    message = f"the plan waits for a human{command}"
    return Answer(name, ChaosReason.AWAITING_APPROVAL, message, asked.expires_at if asked else None)


def _steady_state(case: Case, name: str, _drawn: Drawn) -> Answer:
    found = findings(case)
    failing = broken(found)
    if failing is not None:
        return Answer(name, ChaosReason.STEADY_STATE_BROKEN, f"{failing.says} before the fault")
    return Answer(name, silent=_says(silent(found)))


def _hypothesis(case: Case, name: str, _drawn: Drawn) -> Answer:
    found = tuple(one for one in findings(case) if one.during is DuringFault.MUST_HOLD)
    failing = broken(found)
    if failing is not None:
        return Answer(name, ChaosReason.HYPOTHESIS_BROKEN, failing.says)
    return Answer(name, silent=_says(silent(found)))


def _says(finding: Finding | None) -> str:
    return finding.says if finding is not None else ""


def _of(name: str, refusal: Refusal | None) -> Answer:
    return Answer(name, refusal.reason, refusal.message) if refusal else Answer(name)


BEFORE: Final[Mapping[str, Gate]] = {
    EVALUATED: _evaluated,
    "suspended": _suspended,
    WANTED: _wanted,
    "frozen": _frozen,
    "budget_held": _budget_held,
    "namespace": _namespace,
    PLAN: _plan,
    "incident_open": _incident_open,
    STOPS: _stop_conditions,
    "approval": _approval,
    STEADY_STATE: _steady_state,
}
"""What is asked before a fault, in the order in which it is."""
DURING: Final[Mapping[str, Gate]] = {
    "frozen": _frozen,
    "budget_held": _budget_held,
    STOPS: _stop_conditions,
    "unexpected_alert": _unexpected_alert,
    "hypothesis": _hypothesis,
}
"""What ends a fault before its time."""
