"""The way of runs that are over to history, and into metrics: each once.

A decision may be made twice, when its status could not be written. History keeps what has a name once; metrics go by
the numbers of the runs that were counted. What was over before we came was counted by somebody else.
"""

from collections.abc import Iterator

from homeostat.api.chaos_status import ChaosExperimentStatus, Run, Timings
from homeostat.engine.archive import Archive
from homeostat.engine.objects import Entry
from homeostat.ports import StoredAttempt
from homeostat.telemetry.breaking import Breaking, Experiment


class RunBook:
    """Knows which runs of each experiment were counted."""

    def __init__(self, archive: Archive, breaking: Breaking) -> None:
        self._archive = archive
        self._breaking = breaking
        self._counted: dict[str, set[int]] = {}

    def open(self, entry: Entry) -> None:
        """Show an experiment's runs from the start."""
        self._breaking.show(_experiment(entry))

    def keep(self, entry: Entry, before: ChaosExperimentStatus, after: ChaosExperimentStatus) -> bool:
        """Keep and count what a decision ended; say whether it ended anything."""
        known = {run.number for run in before.runs}
        over = [run for run in after.runs if run.number not in known]
        self._archive.keep(*(_stored(entry, run) for run in over))
        counted = self._counted.setdefault(entry.ref.uid, known)
        for run in over:
            if run.number not in counted and run.verdict is not None:  # a dry run has shown nothing
                self._breaking.ended(_experiment(entry), run.verdict, dict(_seconds(run.timings)))
            counted.add(run.number)
        return bool(over)

    def forget(self, entry: Entry) -> None:
        """Let go of an experiment that is gone."""
        self._counted.pop(entry.ref.uid, None)
        self._breaking.forget(_experiment(entry))


def _experiment(entry: Entry) -> Experiment:
    return Experiment(entry.ref.namespace, entry.ref.name)


def _seconds(timings: Timings) -> Iterator[tuple[str, float]]:
    parts = (
        ("detect", timings.detected_after), ("act", timings.acted_after),
        ("recover", timings.recovered_after), ("revert", timings.reverted_after),
    )  # fmt: skip
    return ((part, took.total_seconds()) for part, took in parts if took is not None)


def _stored(entry: Entry, run: Run) -> StoredAttempt:
    ref = entry.ref
    return StoredAttempt(
        f"{ref.uid}/{run.number}", ref.uid, ref.kind, ref.namespace, ref.name, run.started_at, run.ended_at,
        run.verdict.value if run.verdict else run.reason, run.wire(),
    )  # fmt: skip
