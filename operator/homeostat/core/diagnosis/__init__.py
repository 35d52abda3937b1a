"""What `homeostat doctor` makes of an installation, purely from what was read of it.

Every reading may be missing: then the check that needs it says why it was not made, and the others are made all the
same. What objects say of themselves is worth as much as the operator that writes it: without one it is not known.
What to do is said as a command wherever there is one.
"""

from homeostat.core.diagnosis import installation, surroundings
from homeostat.core.diagnosis.readings import Diagnosis, Readings


def diagnose(readings: Readings) -> tuple[Diagnosis, ...]:
    """Check everything, in the order in which one thing needs the other."""
    checks = (
        installation.server,
        installation.clock,
        installation.definitions,
        installation.deployment,
        installation.leader,
        installation.readiness,
        installation.abilities,
        installation.policies,
        surroundings.prometheus,
        surroundings.rules,
        surroundings.alertmanager,
        surroundings.store,
        installation.errors,
        surroundings.pod_security,
        surroundings.leftovers,
        surroundings.objects,
        surroundings.settings,
    )
    return tuple(one for check in checks for one in check(readings))
