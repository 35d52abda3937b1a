"""What stands on the Lease of a guard: what the operator wrote there, and what the Pod answered."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeostat.api.meta import GROUP, format_precise_time
from homeostat.core.action import KeepGuard
from homeostat.core.guarding.watch import Sight

Raw = Mapping[str, Any]

OF = f"{GROUP}/guard-of"
"""Label of Lease and Pod: the uid of the experiment."""
RUN = f"{GROUP}/guard-run"
"""Label of Lease and Pod: the number of its run."""
HOME = f"{GROUP}/guard-namespace"
"""Label of Lease and Pod: the namespace of the experiment."""
RECORDS = f"{GROUP}/guard-records"
DEADLINE = f"{GROUP}/guard-deadline"
READY = f"{GROUP}/guard-ready"
"""The digest of the records that the Pod has read and could restore."""
TROUBLE = f"{GROUP}/guard-trouble"
FIRED = f"{GROUP}/guard-fired"
"""Why the Pod restores: it stands there before it does."""
DONE = f"{GROUP}/guard-done"
"""What came of it."""


@dataclass(frozen=True, slots=True)
class GuardLease:
    """The Lease of a guard as read. `renewal` is its renewTime as it stands, `home` its experiment's namespace."""

    namespace: str
    name: str
    uid: str
    home: str
    experiment: str
    run: int
    renewal: str
    seconds: int
    records: str
    deadline: str
    ready: str
    trouble: str
    fired: str
    done: str

    @property
    def is_ready(self) -> bool:
        """Whether the Pod could restore these very records."""
        return self.ready == digest(self.records)

    @property
    def sight(self) -> Sight:
        """Give what a watch needs; a time that cannot be read is over."""
        return Sight(self.renewal, float(self.seconds), _seconds_between(self.renewal, self.deadline))


def guard_lease_of(raw: Raw) -> GuardLease:
    """Project the Lease; anybody may have written it, so whatever is missing is empty."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    said, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    run = labels.get(RUN, "")
    return GuardLease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        home=labels.get(HOME, ""),
        experiment=labels.get(OF, ""),
        run=int(run) if run.isdecimal() else 0,
        renewal=spec.get("renewTime") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        records=said.get(RECORDS, ""),
        deadline=said.get(DEADLINE, ""),
        ready=said.get(READY, ""),
        trouble=said.get(TROUBLE, ""),
        fired=said.get(FIRED, ""),
        done=said.get(DONE, ""),
    )


def told_by(action: KeepGuard) -> dict[str, str]:
    """Give the annotations that the operator keeps on the Lease."""
    return {RECORDS: action.records, DEADLINE: format_precise_time(action.deadline)}


def labels_of(action: KeepGuard) -> dict[str, str]:
    """Give the labels of Lease and Pod."""
    return {
        "app.kubernetes.io/name": "homeostat-undo",
        "app.kubernetes.io/part-of": "homeostat",
        "app.kubernetes.io/managed-by": "homeostat",
        OF: action.owner.uid,
        HOME: action.owner.namespace,
        RUN: str(action.run),
    }


def digest(records: str) -> str:
    """Give what stands for records in an acknowledgement."""
    return hashlib.sha256(records.encode()).hexdigest()


def _seconds_between(start: str, end: str) -> float:
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
