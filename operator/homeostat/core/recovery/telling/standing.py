"""What a policy shows also at rest: whether the operator may do its steps, and whether other policies want to."""

from homeostat.api.meta import ConditionStatus
from homeostat.core.condition import condition
from homeostat.core.recovery import rights
from homeostat.core.recovery.seen import Case
from homeostat.core.rights import REMEDY

Standing = tuple[ConditionStatus, str, str]
"""A condition: how it stands, the reason, and a sentence."""

MOST_RIVALS = 5


def standings(case: Case) -> dict[str, Standing]:
    """Give the conditions of these. What was known of rights stands until they are asked for again after a restart."""
    known = condition(case.status.conditions, "Permitted")
    is_known = known is not None and known.observed_generation == case.seen.generation
    if case.seen.missing_rights is None and is_known:
        return {"SoleOwner": sole_owner(case)}
    return {"Permitted": permitted(case), "SoleOwner": sole_owner(case)}


def permitted(case: Case) -> Standing:
    """Say whether the operator has all rights that the steps need: now, and not when they are needed."""
    missing = case.seen.missing_rights
    if missing is None:
        return ConditionStatus.UNKNOWN, "NotAsked", "Whether the operator may do all steps is not known yet."
    if not missing:
        return ConditionStatus.TRUE, "AllRightsHeld", "The operator may do all steps."
    told = f"The operator lacks rights: {rights.told(missing)}. {REMEDY}"
    return ConditionStatus.FALSE, "RightsMissing", told


def sole_owner(case: Case) -> Standing:
    """Say which other policies are for the same target. Nothing is held for that: the lock lets one act at a time."""
    rivals = case.seen.rivals
    if not rivals:
        return ConditionStatus.TRUE, "NoOtherPolicy", "No other policy is for this target."
    more = f" and {len(rivals) - MOST_RIVALS} more" if len(rivals) > MOST_RIVALS else ""
    names = ", ".join(rivals[:MOST_RIVALS])
    return ConditionStatus.FALSE, "SharedTarget", f"Other policies are for the same target: {names}{more}."
