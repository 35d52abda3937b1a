"""The way of attempts that are over to history, and into metrics: each once.

History may be told of one before it is on record, as what has a name is kept once. Metrics count it when the status
that the API server holds has it; what was there before we came was counted by somebody else.
"""

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import AttemptRecord
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.recovery.analytics import timings
from homeostat.engine.archive import Archive
from homeostat.engine.objects import Entry, Key
from homeostat.ports import StoredAttempt
from homeostat.telemetry.healing import Healing, Policy


class AttemptBook:
    """Knows which attempts of each policy were counted."""

    def __init__(self, archive: Archive, healing: Healing) -> None:
        self._archive = archive
        self._healing = healing
        self._counted: dict[Key, frozenset[str]] = {}

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Show a policy's steps from the start."""
        self._healing.show(Policy(key.namespace, key.name), (step.name for step in spec.steps))

    def count(self, entry: Entry, status: RecoveryPolicyStatus) -> None:
        """Count what has ended since the last look."""
        known = self._counted.get(entry.key)
        self._counted[entry.key] = frozenset(record.id for record in status.last)
        for record in reversed(status.last if known is not None else ()):
            if known is not None and record.id not in known:
                self._count(Policy(entry.ref.namespace, entry.ref.name), record)

    def keep(self, entry: Entry, before: RecoveryPolicyStatus, after: RecoveryPolicyStatus) -> None:
        """Keep what a decision ended."""
        known = {record.id for record in before.last}
        self._archive.keep(*(_stored(entry, record) for record in after.last if record.id not in known))

    def forget(self, key: Key) -> None:
        """Let go of a policy that is gone."""
        self._counted.pop(key, None)
        self._healing.forget(Policy(key.namespace, key.name))

    def _count(self, policy: Policy, record: AttemptRecord) -> None:
        seconds = {part.value: span.total_seconds() for part, span in timings(record).items()}
        self._healing.ended(
            policy, step=record.name, cause=record.cause or "unknown", outcome=record.outcome.value, seconds=seconds
        )


def _stored(entry: Entry, record: AttemptRecord) -> StoredAttempt:
    ref = entry.ref
    return StoredAttempt(
        f"{ref.uid}/{record.id}", ref.uid, ref.kind, ref.namespace, ref.name, record.started_at, record.ended_at,
        record.outcome.value, record.wire(),
    )  # fmt: skip
