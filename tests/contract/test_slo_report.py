"""`homeostat report` on real stores of both kinds, beside a writer: what was counted comes out the same."""

import asyncio
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from homeostat.cli.reports.command import main
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Known
from homeostat.store.history import SqlHistory

HOUR = 3600
OCTOBER = int(datetime(2025, 10, 1, tzinfo=UTC).timestamp())


async def test_a_month_is_read_beside_whoever_writes(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S4, S14: events of the whole and of a group, also counts that are not whole."""
    names = ("slo/9", "slo/9/a")
    counts = np.array([[1.5, 1.0], [360.0, 90.0], [60, 60]])
    hours = [Closed(OCTOBER + HOUR * index, HOUR, names, counts) for index in range(744)]
    whole, group = (
        Known(name, "shop", "checkout", told, OCTOBER) for name, told in zip(names, ("", "region=eu"), strict=True)
    )
    history = SqlHistory(store_url)
    await history.add([whole, group, *hours])
    arguments = ["--slo", "shop/checkout", "--objective", "99.5", "--month", "2025-10", "-o", "json"]

    assert await asyncio.to_thread(main, [*arguments, "--store-url", store_url]) == 0
    await history.close()
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["whole"]["sli"], found["whole"]["bad"]) == ("Met", "99.583", "1116")
    assert [(one["name"], one["sli"], one["verdict"]) for one in found["groups"]] == [("region=eu", "98.888", "Missed")]
    assert found["whole"]["coverage"] == "100"
