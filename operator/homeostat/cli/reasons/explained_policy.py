"""The policy that `homeostat explain` is asked about, as it stands in the API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homeostat.api.recovery import KIND, RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.cli.arguments import CommandError
from homeostat.core.recovery.limits import windows
from homeostat.engine.objects import Entry, entry_from


class Unreadable(CommandError):
    """The policy is of a form that this release cannot read."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy, as it stands in the API server; `now` is when it was read."""

    entry: Entry
    spec: RecoveryPolicySpec
    status: RecoveryPolicyStatus
    now: datetime

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.entry.ref.namespace


def policy_of(body: dict[str, Any], now: datetime) -> Policy:
    """Read the policy itself. Raises Unreadable."""
    entry = entry_from(body, KIND.kind)
    spec, status = entry.spec(), entry.readable_status()
    if not isinstance(spec, RecoveryPolicySpec):
        raise Unreadable(f"RecoveryPolicy {entry.ref.namespace}/{entry.ref.name}: its spec cannot be read: {spec}")
    if not isinstance(status, RecoveryPolicyStatus):
        raise Unreadable(f"RecoveryPolicy {entry.ref.namespace}/{entry.ref.name}: its status cannot be read: {status}")
    return Policy(entry, spec, status, now)


def notes(policy: Policy) -> Iterator[str]:
    """Say what whoever reads the report should know of the whole."""
    seen = policy.status.observed_generation
    if seen < 0:
        yield "it was never evaluated: does the operator run, and does it watch this namespace?"
    elif seen != policy.entry.generation:
        yield "its status is about an earlier spec: does the operator run?"
    problem = policy.entry.problem() or windows.problem(policy.spec.windows)
    if problem:
        yield f"it is not evaluated: {problem[0]}: {problem[1]}"
