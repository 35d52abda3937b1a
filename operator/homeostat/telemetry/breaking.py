"""Metrics of experiments: runs by what they have shown, and how long their parts took.

Labels are names of experiments and verdicts: bounded by what users wrote. An experiment that is gone takes its series
along.
"""

from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Summary

from homeostat.api.chaos_status import Verdict


class Experiment(NamedTuple):
    """Whose runs they are."""

    namespace: str
    name: str


class Breaking:
    """Counts the runs of experiments."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "homeostat_chaos_runs", "Runs of experiments that are over, by verdict.",
            ["namespace", "name", "verdict"], registry=registry,
        )  # fmt: skip
        self._seconds = Summary(
            "homeostat_chaos_seconds", "How long the parts of runs took.",
            ["namespace", "name", "part"], registry=registry,
        )  # fmt: skip
        self._parts: dict[Experiment, set[str]] = {}

    def show(self, experiment: Experiment) -> None:
        """Show an experiment's runs from the start, at 0 (H10)."""
        self._parts.setdefault(experiment, set())
        for verdict in Verdict:
            self._runs.labels(*experiment, verdict.value)

    def ended(self, experiment: Experiment, verdict: Verdict, seconds: Mapping[str, float]) -> None:
        """Count a run that is over; `seconds` by part: detect, act, recover, revert."""
        self.show(experiment)
        self._runs.labels(*experiment, verdict.value).inc()
        for part, took in seconds.items():
            self._parts[experiment].add(part)
            self._seconds.labels(*experiment, part).observe(took)

    def forget(self, experiment: Experiment) -> None:
        """Drop the series of an experiment that is gone."""
        parts = self._parts.pop(experiment, None)
        if parts is None:
            return
        for verdict in Verdict:
            self._runs.remove(*experiment, verdict.value)
        for part in parts:
            self._seconds.remove(*experiment, part)
