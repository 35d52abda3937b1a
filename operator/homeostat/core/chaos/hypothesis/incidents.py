"""Who was called meanwhile: no run starts into an incident, and one that nobody expected ends it (C8, C13).

An incident is a page of an objective, or an escalation of a RecoveryPolicy, in the experiment's namespace. Expected are
those that the experiment is about: of what it proves, and of objectives that its hypothesis says may break.
"""

from homeostat.api.chaos import ChaosExperimentSpec, DuringFault
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AlertSeen, Case

OBJECTIVE, POLICY = "ServiceLevelObjective", "RecoveryPolicy"


def expected(spec: ChaosExperimentSpec) -> frozenset[tuple[str, str]]:
    """Name what may call a human because of the fault, as (kind, name)."""
    may_break = (part.slo.name for part in spec.hypothesis if part.slo and part.during_fault is DuringFault.MAY_BREAK)
    objectives = (*may_break, *(proof.slo for proof in spec.proves if proof.slo))
    policies = (proof.recovery_policy for proof in spec.proves if proof.recovery_policy)
    return frozenset({*((OBJECTIVE, name) for name in objectives), *((POLICY, name) for name in policies)})


def is_expected(case: Case, alert: AlertSeen) -> bool:
    """Whether the experiment says itself that this one may come. One from before the fault cannot be due to it."""
    injected = case.status.injected_at
    return injected is not None and alert.since >= injected and (alert.kind, alert.name) in expected(case.spec)


def open_refusal(case: Case) -> Refusal | None:
    """Refuse to start while somebody deals with something, be it even what the fault is to bring about.

    What an earlier drill left ringing, tagged as expected, is no incident; only a page that is to be proved must end.
    """
    proved = {(OBJECTIVE, proof.slo) for proof in case.spec.proves if proof.slo}
    ringing = (one for one in case.seen.alerts if one.ended_at is None)
    found = next((one for one in ringing if not one.is_of_drill or (one.kind, one.name) in proved), None)
    if found is None:
        return None
    return Refusal(ChaosReason.INCIDENT_OPEN, f"{_name(found)} calls for a human already")


def unexpected_refusal(case: Case) -> Refusal | None:
    """Stop for what calls a human and is not due to the fault, as far as the experiment foresees."""
    injected = case.status.injected_at or case.now
    for alert in case.seen.alerts:
        is_of_now = alert.ended_at is None or alert.since >= injected
        if is_of_now and not alert.is_of_drill and not is_expected(case, alert):
            return Refusal(ChaosReason.UNEXPECTED_ALERT, f"{_name(alert)} called for a human during the fault")
    return None


def _name(alert: AlertSeen) -> str:
    return f"{alert.kind} {alert.name}"
