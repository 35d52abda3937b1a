"""job: a runbook as a Job, run once. The attempt goes on when it is complete, and fails as soon as it does.

The Job is named after the action on record. It is kept until it cannot be asked for any more, so it is never run twice.
"""

import math
from collections.abc import Iterator

from homeostat.api.recovery_attempt import ActionName, Attempt, InFlight, TargetPhase
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_step import RunJob as JobStep
from homeostat.core.action import RunJob
from homeostat.core.cluster import Job, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import failing, ground, title
from homeostat.core.recovery.steps.handling import Handling
from homeostat.core.recovery.steps.planned import Ask, Plan, as_written, is_as_decided, on_workload
from homeostat.core.recovery.steps.wording import job_name
from homeostat.core.ref import Ref

MOST_PODS = 100
_PAST_ITS_TIME = "DeadlineExceeded"


def plan_job(ask: Ask) -> Plan | Block:
    """Plan the one Job of the attempt."""
    if any(entry.action is ActionName.RUN_JOB for entry in ask.case.status.in_flight):
        return Block(BlockReason.ALL_TREATED, "The Job of this attempt was created.")
    asked = as_written(ask.step.job) if ask.step.job else None
    return on_workload(ask, ActionName.RUN_JOB, None, asked)


def wanted_job(status: RecoveryPolicyStatus) -> str:
    """Name the Job of the open attempt, which `seen.job` is to hold; "" when it has none."""
    return next((job_name(entry.id) for entry in _jobs(status)), "")


def failure(case: Case, attempt: Attempt) -> str:
    """Say why the attempt's Job will never be complete, in a word; "" while it may be, or is."""
    if not _is_created(case):
        return ""
    job = _ours(case)
    if job is None:
        return "JobGone"
    if job.failure:
        return "JobTimeout" if job.failure == _PAST_ITS_TIME else "JobFailed"
    return "JobTimeout" if case.now >= attempt.deadline and not job.is_complete else ""


def is_complete(case: Case) -> bool:
    """Whether the attempt's Job is complete; so it is when the attempt has none."""
    job = _ours(case)
    return not any(_jobs(case.status)) or (job is not None and job.is_complete)


def _jobs(status: RecoveryPolicyStatus) -> Iterator[InFlight]:
    return (entry for entry in status.in_flight if entry.action is ActionName.RUN_JOB)


def _is_created(case: Case) -> bool:
    return any(entry.phase is TargetPhase.DONE for entry in _jobs(case.status))


def _ours(case: Case) -> Job | None:
    """Give the Job if it is the policy's own; one that is on its way out counts as gone, unless it has ended."""
    job = case.seen.job
    if job is None or job.ref.name != wanted_job(case.status) or case.seen.ref.uid not in job.owners:
        return None
    return None if job.is_deleting and not job.has_ended else job


# --- how it is carried out ------------------------------------------------------------------------------


def _step(case: Case, entry: InFlight) -> JobStep | None:
    steps = case.spec.steps
    return steps[entry.step].job if entry.step < len(steps) else None


def _act(case: Case, workload: Workload, entry: InFlight) -> RunJob:
    step = _step(case, entry) or JobStep(template={})
    return RunJob(
        id=entry.id,
        owner=case.seen.ref,
        name=job_name(entry.id),
        template=step.template,
        environment=_environment(case, workload.ref, entry),
        seconds=max(1, math.ceil((entry.deadline - case.now).total_seconds())),
        keep_seconds=int(step.keep_for.total_seconds()),
    )


def _environment(case: Case, target: Ref, entry: InFlight) -> dict[str, str]:
    attempt = case.status.attempt
    trigger = attempt.trigger if attempt else 0
    pods = (ref.name for ref in failing(case, trigger)[:MOST_PODS])
    return {
        "HOMEOSTAT_NAMESPACE": case.seen.ref.namespace,
        "HOMEOSTAT_POLICY": case.seen.ref.name,
        "HOMEOSTAT_ATTEMPT": attempt.id if attempt else entry.id,
        "HOMEOSTAT_TRIGGER": title(case, trigger),
        "HOMEOSTAT_REASON": ground(case, trigger),
        "HOMEOSTAT_TARGET_KIND": target.kind,
        "HOMEOSTAT_TARGET_NAME": target.name,
        "HOMEOSTAT_PODS": " ".join(pods),
    }


def _has_happened(case: Case, _workload: Workload, _entry: InFlight) -> bool:
    return _ours(case) is not None


def _is_still_asked_for(case: Case, _workload: Workload, entry: InFlight) -> bool:
    return is_as_decided(_step(case, entry), entry)


RUNNING_JOB = Handling(_act, _has_happened, _is_still_asked_for)
