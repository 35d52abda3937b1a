"""What a policy's standing is among others and before the API server: storms, rights and rivals in one place."""

from dataclasses import dataclass
from typing import Any

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.engine.objects import Entry, Key
from homeostat.engine.recovery.rights import RightsWatch
from homeostat.engine.recovery.rivals import Rivals
from homeostat.engine.recovery.storm import Storms
from homeostat.ports import Clock


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of all policies that matters to one; without `rights` nobody is asked what the operator may."""

    storms: Storms
    rights: RightsWatch | None
    rivals: Rivals

    def open(self, entry: Entry, spec: RecoveryPolicySpec) -> None:
        """Take note of a policy, new or edited."""
        self.rivals.open(entry.key, spec)
        if isinstance(status := entry.status(), RecoveryPolicyStatus):
            self.note(entry, spec, status)  # as the API server has it: a restart counts what it left
        if self.rights:
            self.rights.open(entry.key, spec)

    def close(self, key: Key) -> None:
        """Forget a policy."""
        self.rivals.close(key)
        self.storms.forget(key)
        if self.rights:
            self.rights.close(key)

    def note(self, entry: Entry, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus) -> None:
        """Take note of what was decided on a policy."""
        self.storms.note(entry.key, entry.ref.uid, spec, status)

    def seen(self, entry: Entry, clock: Clock) -> dict[str, Any]:
        """Give what is known of it to a policy, as the fields of `RecoverySeen` that say so."""
        return {
            "storm": self.storms.seen(entry.key, entry.ref.uid, clock),
            "missing_rights": self.rights.missing(entry.key) if self.rights else None,
            "rivals": self.rivals.of(entry.key),
        }
