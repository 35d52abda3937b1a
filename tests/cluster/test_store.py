"""A history store that cannot be written or read: control goes on, it is said and counted."""

import os
from pathlib import Path

import pytest

from cluster.manifests import policy
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster


def prove_that_control_goes_on(stage: Stage, store: Path) -> None:
    """Run the loop with a store that cannot be as it should."""
    before = stage.open_shop(policy(), replicas=2)
    stage.start("--store-url", f"sqlite+aiosqlite:///{store}")
    stage.until_state("Healthy")
    stage.break_pod(min(before))
    stage.until_recovered()

    assert stage.one.get("/livez")[0] == 200
    assert any("history" in line["event"] for line in stage.one.lines() if line["level"] in {"warning", "error"})


def prove_that_it_is_counted(stage: Stage) -> None:
    """See the failure in the metrics, and that it does not keep the process from stopping well."""
    until(lambda: stage.one.metric("homeostat_history_errors_total") >= 1, "the failure is counted")
    assert stage.one.terminate() == 0


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@needs_root
def test_a_read_only_store_costs_history_and_no_control(stage: Stage) -> None:
    """R2, H6: faults 27."""
    with stage.disk("ro,size=1m") as disk:
        prove_that_control_goes_on(stage, disk.seen / "history.db")
        prove_that_it_is_counted(stage)


@needs_root
def test_a_full_disk_costs_history_and_no_control(stage: Stage) -> None:
    """R2, H6: faults 27."""
    with stage.disk("size=64k") as disk:
        (disk.here / "ballast").write_bytes(b"x" * 60_000)
        prove_that_control_goes_on(stage, disk.seen / "history.db")
        prove_that_it_is_counted(stage)


def test_a_broken_file_costs_history_and_no_control(stage: Stage) -> None:
    """R2, H6: faults 27: what is not a database is set aside, not overwritten, and a new one begun."""
    folder = stage.store_folder()
    garbage = b"this is no database " * 1000
    (folder.here / "broken.db").write_bytes(garbage)
    prove_that_control_goes_on(stage, folder.seen / "broken.db")

    assert (folder.here / "broken.db.broken").read_bytes() == garbage
