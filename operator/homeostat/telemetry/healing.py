"""Metrics of healing: attempts by step, by cause and by how they ended, and how long their parts took.

Labels are names of policies, steps and triggers: bounded by what users wrote. A policy that is gone takes its series
along.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Summary

_FROM_THE_START = ("Recovered", "Failed", "Unverified", "NotStarted")


class Policy(NamedTuple):
    """Whose attempts they are."""

    namespace: str
    name: str


class Healing:
    """Counts the attempts of policies."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "homeostat_recovery_attempts", "Attempts that are over, by step.",
            ["namespace", "name", "step", "outcome"], registry=registry,
        )  # fmt: skip
        self._causes = Counter(
            "homeostat_recovery_causes", "Attempts that are over, by what triggered them.",
            ["namespace", "name", "cause", "outcome"], registry=registry,
        )  # fmt: skip
        self._seconds = Summary(
            "homeostat_recovery_seconds", "How long the parts of attempts that acted took.",
            ["namespace", "name", "part"], registry=registry,
        )  # fmt: skip
        self._shown: dict[Policy, set[tuple[Counter | Summary, tuple[str, ...]]]] = {}

    def show(self, policy: Policy, steps: Iterable[str]) -> None:
        """Show a policy's steps from the start, at 0 (H10)."""
        for step in steps:
            for outcome in _FROM_THE_START:
                self._count(self._attempts, policy, (step, outcome), 0)

    def ended(self, policy: Policy, *, step: str, cause: str, outcome: str, seconds: Mapping[str, float]) -> None:
        """Count an attempt that is over; `seconds` by part: detect, decide, act, recover."""
        self._count(self._attempts, policy, (step, outcome), 1)
        self._count(self._causes, policy, (cause, outcome), 1)
        for part, took in seconds.items():
            self._keep(self._seconds, policy, (part,))
            self._seconds.labels(*policy, part).observe(took)

    def forget(self, policy: Policy) -> None:
        """Drop the series of a policy that is gone."""
        for metric, labels in self._shown.pop(policy, set()):
            metric.remove(*policy, *labels)

    def _count(self, counter: Counter, policy: Policy, labels: tuple[str, ...], by: int) -> None:
        self._keep(counter, policy, labels)
        counter.labels(*policy, *labels).inc(by)

    def _keep(self, metric: Counter | Summary, policy: Policy, labels: tuple[str, ...]) -> None:
        self._shown.setdefault(policy, set()).add((metric, labels))
