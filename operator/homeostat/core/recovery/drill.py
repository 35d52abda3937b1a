"""What a run of an experiment says of a RecoveryPolicy that it was a drill of (C17)."""

from homeostat.api.chaos_status import ProofState, Run, Verdict
from homeostat.api.recovery_status import Proof

_CONCLUSIVE = frozenset({Verdict.PASSED, Verdict.FAILED})


def drill_result(experiment: str, run: Run, policy: str) -> Proof | None:
    """Give the proof, or the lack of it; None when the run says nothing of the policy.

    A run that was cut short, or refused, or in which the policy was not asked to act, says nothing. One that failed
    although the policy did its part is no proof either: what the policy is for did not come about.
    """
    record = next((one for one in run.proofs if (one.kind, one.name) == ("RecoveryPolicy", policy)), None)
    if record is None or record.state is ProofState.UNKNOWN or run.verdict not in _CONCLUSIVE:
        return None
    return Proof(
        experiment=experiment,
        at=run.ended_at,
        verdict=str(run.verdict),
        time_to_recover=record.verified_after or run.timings.recovered_after,
    )
