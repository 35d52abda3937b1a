"""What RecoveryPolicies did since a fault went on: those for its targets, and those that are to be proved."""

from collections.abc import Iterator
from datetime import datetime

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.chaos.hypothesis.named import policies
from homeostat.core.chaos.seen import ReactionSeen
from homeostat.engine.objects import ObjectStore


def reactions(
    store: ObjectStore, namespace: str, spec: ChaosExperimentSpec, status: ChaosExperimentStatus
) -> Iterator[ReactionSeen]:
    """Give the attempts of policies, open or over, that began since."""
    if status.injected_at is None:
        return
    afflicted, drilled = {(one.workload.kind, one.workload.name) for one in status.targets}, set(policies(spec))
    for entry in store.of_kind("RecoveryPolicy", namespace):
        theirs, policy = entry.spec(), entry.status()
        if not isinstance(theirs, RecoveryPolicySpec) or not isinstance(policy, RecoveryPolicyStatus):
            continue
        if entry.ref.name in drilled or (theirs.target.kind.value, theirs.target.name) in afflicted:
            yield from _acts_since(entry.ref.name, policy, status.injected_at)


def _acts_since(name: str, policy: RecoveryPolicyStatus, since: datetime) -> Iterator[ReactionSeen]:
    attempt = policy.attempt
    if attempt is not None and attempt.acted_at is not None and attempt.started_at >= since:
        yield ReactionSeen(name, attempt.started_at, fired_at=attempt.detected_at)
    for record in policy.last:
        if record.acted_at is not None and record.started_at >= since:
            yield ReactionSeen(
                name, record.started_at, record.outcome.value, fired_at=record.detected_at, ended_at=record.ended_at
            )
