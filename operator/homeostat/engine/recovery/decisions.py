"""The way of decisions to history: each that was on a status, once.

A decision is taken from the status that the API server holds, at the next look: what was decided and never written was
no decision. After a restart those on record are kept once more, under the same name.
"""

from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.engine.archive import Archive
from homeostat.engine.objects import Entry, Key
from homeostat.ports import StoredDecision


class DecisionBook:
    """Knows which decision of each policy was kept last."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kept: dict[Key, str] = {}

    def keep(self, entry: Entry, status: RecoveryPolicyStatus) -> None:
        """Keep the decision on record, unless it was."""
        decision, ref = status.decision, entry.ref
        if decision is None or self._kept.get(entry.key) == decision.id:
            return
        self._kept[entry.key] = decision.id
        self._archive.keep(
            StoredDecision(
                f"{ref.uid}/{decision.id}", ref.uid, ref.namespace, ref.name, decision.at, decision.verdict.value,
                decision.reason, decision.wire(),
            )
        )  # fmt: skip

    def forget(self, key: Key) -> None:
        """Let go of a policy that is gone."""
        self._kept.pop(key, None)
