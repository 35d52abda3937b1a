"""Runs that are over: kept with what they have shown, counted once, and what they say of a policy that they drilled."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fakes import NOON, FakeClock, FakeHistory, body_of
from homeostat.api.chaos_status import ChaosExperimentStatus, Run
from homeostat.core.recovery.drill import drill_result
from homeostat.engine.archive import Archive
from homeostat.engine.chaos.runs import RunBook
from homeostat.engine.objects import Entry, entry_from
from homeostat.ports import StoredAttempt
from homeostat.telemetry.breaking import Breaking, Experiment
from homeostat.telemetry.metrics import Metrics

PROOF = {"kind": "RecoveryPolicy", "name": "heal", "state": "Proved", "detectedAfter": "4s", "verifiedAfter": "38s"}
RUN = {
    "number": 1,
    "startedAt": "2026-11-21T12:00:00Z",
    "endedAt": "2026-11-21T12:02:00Z",
    "verdict": "Passed",
    "reason": "HypothesisHeld",
    "timings": {"detectedAfter": "4s", "recoveredAfter": "40s"},
    "proved": ["heal"],
    "proofs": [PROOF],
    "budgetSpent": {"web": "1.25%"},
}
KILL = Experiment("shop", "kill")


def entry() -> Entry:
    return entry_from(body_of("ChaosExperiment", "kill", {}), "ChaosExperiment")


def after(*runs: dict[str, Any]) -> ChaosExperimentStatus:
    return ChaosExperimentStatus.model_validate({"runs": list(runs)})


def shown(registry: CollectorRegistry) -> dict[str, float]:
    lines = (line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#"))
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if "_created" not in line}


def series(verdict: str) -> str:
    return f'homeostat_chaos_runs_total{{name="kill",namespace="shop",verdict="{verdict}"}}'


def book_of(registry: CollectorRegistry, archive: Archive | None = None) -> RunBook:
    return RunBook(archive or Archive(FakeHistory(), FakeClock(), Metrics()), Breaking(registry))


async def test_a_run_is_kept_with_its_proofs_and_what_it_spent() -> None:
    """C17: in history, after the status has room for five others."""
    history = FakeHistory()
    archive = Archive(history, FakeClock(), Metrics())
    book = book_of(CollectorRegistry(), archive)
    book.keep(entry(), after(), after(RUN))
    await archive.flush()
    [kept] = history.kept_of(StoredAttempt)

    assert (kept.id, kept.outcome) == ("uid-1/1", "Passed")
    assert kept.details["budgetSpent"] == {"web": "1.25%"}
    assert kept.details["proofs"][0]["verifiedAfter"] == "38s"


def test_each_run_is_counted_once_by_its_verdict() -> None:
    """C15, H10: at 0 from the start; a dry run shows nothing, and what was over before us is not ours."""
    registry = CollectorRegistry()
    book, dry = book_of(registry), {**RUN, "number": 3}
    del dry["verdict"]
    second = {**RUN, "number": 2, "verdict": "Aborted", "timings": {}}
    book.open(entry())
    assert [shown(registry)[series(one)] for one in ("Passed", "Failed", "Aborted", "Inconclusive")] == [0, 0, 0, 0]

    book.keep(entry(), after(RUN), after(second, RUN))
    book.keep(entry(), after(RUN), after(second, RUN))
    book.keep(entry(), after(second, RUN), after(dry, second, RUN))
    book.keep(entry(), after(dry, second, RUN), after({**RUN, "number": 4}, dry, second, RUN))

    assert [shown(registry)[series(one)] for one in ("Passed", "Failed", "Aborted", "Inconclusive")] == [1, 0, 1, 0]
    assert shown(registry)['homeostat_chaos_seconds_sum{name="kill",namespace="shop",part="recover"}'] == 40

    book.forget(entry())
    assert shown(registry) == {}


# --- what a run says of a policy ------------------------------------------------------------------------


def run(verdict: str = "Passed", **proof: Any) -> Run:
    return Run.model_validate({**RUN, "verdict": verdict, "proofs": [PROOF | proof]})


def test_a_drill_that_passed_proves_the_policy_with_the_time_of_its_own_verification() -> None:
    """C17: from the fault until the policy itself said Recovered."""
    proof = drill_result("kill", run(), "heal")

    assert proof is not None
    assert (proof.experiment, proof.verdict, proof.time_to_recover) == ("kill", "Passed", timedelta(seconds=38))
    assert proof.at == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("state", ["Proved", "NotProved"])
def test_a_drill_that_failed_is_no_proof_whatever_the_policy_did(state: str) -> None:
    """C17."""
    proof = drill_result("kill", run("Failed", state=state), "heal")

    assert proof is not None
    assert proof.verdict == "Failed"


@pytest.mark.parametrize(
    ("told", "policy"),
    [
        (run("Aborted", state="Unknown"), "heal"),
        (run("Aborted"), "heal"),  # it was cut short
        (run("Failed", state="Unknown"), "heal"),  # reaction is Observe: nobody asked it to act
        (run("Inconclusive"), "heal"),
        (run(), "another"),
        (run(kind="ServiceLevelObjective"), "heal"),
        (Run.model_validate({**RUN, "verdict": "Failed", "reason": "NoTargets", "proofs": []}), "heal"),
    ],
)
def test_a_run_that_put_the_policy_to_no_test_says_nothing_of_it(told: Run, policy: str) -> None:
    """C15, C17."""
    assert drill_result("kill", told, policy) is None
