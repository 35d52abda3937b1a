"""`homeostat report`: what it reads from store and cluster, what it prints, and how it fails: in one line."""

import asyncio
import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cli.noon import NOW, be_noon
from cli.test_score_command import kubeconfig
from contract.kube_server import answers, refuses, serving
from homeostat.__main__ import main as homeostat
from homeostat.api.meta import format_decimal
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.cli import desk
from homeostat.cli.reports import command as report_command
from homeostat.cli.reports.command import main
from homeostat.core.history.ledger import Closed, Ledger, LedgerSeries
from homeostat.core.history.records import Known
from homeostat.core.history.window import MONTH_TIERS
from homeostat.core.objective.burn import Terms
from homeostat.core.objective.calendar import period_at
from homeostat.core.objective.figures import measure as status_figures
from homeostat.core.objective.figures import shown_budget, shown_sli
from homeostat.core.objective.tally import Tally
from homeostat.kube.apiserver.client import Patience
from homeostat.ports import Record
from homeostat.store.history import SqlHistory

HOUR, DAY = 3600, 86_400
OCTOBER = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
SPEC: dict[str, Any] = {
    "service": "checkout",
    "description": "Checkout answers",
    "objective": "99.9",
    "window": {"rolling": "30d"},
    "indicator": {"healthCheck": {"name": "checkout", "good": "FasterThan", "threshold": "300ms"}},
}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be in a world where it is noon, without a cluster, and the store is empty and named by the environment."""
    url = be_noon(report_command, tmp_path, monkeypatch)
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return url


def known(uid: str, group: str = "", *, prefix: str = "slo", seen: int = int(NOW.timestamp())) -> Known:
    return Known(f"{prefix}/{uid}", "shop", "checkout", group, seen)


def closed(start: int, seconds: int = HOUR, **counts: tuple[float, float]) -> Closed:
    """Make a period with (bad, total) by series: `slo_9` is slo/9."""
    rows = [(bad, total, seconds // 60) for bad, total in counts.values()]
    return Closed(start, seconds, tuple(name.replace("_", "/") for name in counts), np.array(rows, dtype=float).T)


def months(*since: datetime, until: datetime, bad: Mapping[int, int], uid: str = "slo_9") -> list[Record]:
    """Make the hours from the first day on, of 360 events each."""
    first, last = (int(moment.timestamp()) for moment in (*since, until))
    return [closed(start, **{uid: (bad.get(start, 0), 360)}) for start in range(first, last, HOUR)]


def autumn() -> list[Record]:
    """The end of August to November: a bad hour in September, two in October, two hours in October without data."""
    bad = {OCTOBER - 10 * DAY: 200, OCTOBER + 11 * DAY + 14 * HOUR: 120, OCTOBER + 20 * DAY: 30}
    hours = months(datetime(2026, 8, 30, tzinfo=UTC), until=NOW, bad=bad)
    gap = {OCTOBER + 5 * DAY, OCTOBER + 5 * DAY + HOUR}
    return [known("9", "checkout"), *(one for one in hours if not isinstance(one, Closed) or one.start not in gap)]


def written(url: str, records: Sequence[Record]) -> None:
    async def write() -> None:
        history = SqlHistory(url)
        await history.add(records)
        await history.close()

    asyncio.run(write())


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["--slo", "shop/checkout", "--objective", "99.9", *arguments]) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(told(capsys, *arguments, "-o", "json"))


def in_file(folder: Path, **spec: Any) -> str:
    """Write the objective into a file; give what asks for it."""
    path = folder / "slo.yaml"
    other = {"kind": "HealthCheck", "metadata": {"name": "checkout"}}
    body = {"kind": "ServiceLevelObjective", "metadata": {"name": "checkout"}, "spec": SPEC | spec}
    path.write_text(yaml.safe_dump_all([other, body]))
    return str(path)


def of_file(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str, **spec: Any) -> str:
    assert main(["--slo", "shop/checkout", "-f", in_file(folder, **spec), *arguments]) == 0
    return capsys.readouterr().out


# --- what is told ---------------------------------------------------------------------------------------


def test_a_month_is_told_in_markdown(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, autumn())
    page = of_file(capsys, tmp_path, "--month", "2026-10").replace("\\_", "_")

    head, _, days = page.partition("## Days\n")
    assert (
        head
        == f"""\
# shop/checkout, 2026-10

Checkout answers

**Met.** 56.1 % of the month's budget is consumed; 43.9 % left. What was counted, 99.7 % of the month, is \
99.943 % good; 99.9 % asked for.

|  |  |
| --- | --- |
| Service | checkout |
| Measured by | runs of HealthCheck checkout: good are those that passed within 0.3 s |
| Terms from | file {tmp_path}/slo.yaml |
| Counted in | events |
| Month | 2026-10-01 00:00+00:00 to 2026-11-01 00:00+00:00, UTC (744 h) |
| Budget | 0.1 % of it: 44.64 min of the month |
| Counted | 266970 good and 150 bad events; of so many 267 may be bad |
| Consumed | 56.1 % of the budget (25 min); 43.9 % left |
| Data | 99.7 % of the time |
| Worst day | 2026-10-12: 120 bad, 98.611 % good, 44.9 % of the budget |
| Worst hour | 2026-10-12 14:00+00:00: 120 bad, 66.666 % good, 44.9 % of the budget |
| Compared | Better than the 2 months before together |

## Months

| Month | Kept | Good % | Good | Bad | Consumed % | Data % |
| --- | --- | --- | --- | --- | --- | --- |
| 2026-10 | Met | 99.943 | 266970 | 150 | 56.1 | 99.7 |
| 2026-09 | Met | 99.922 | 259000 | 200 | 77.2 | 100 |
| 2026-08 | Incomplete | 100 | 17280 | 0 | 0 | 6.4 |

"""
    )
    assert "| 2026-10-12 | below | 98.611 | 8520 | 120 | 44.9 | 100 |" in days
    assert (
        "2h in whole hours, for which nothing is claimed:\n\n- 2026-10-06 00:00+00:00 to 2026-10-06 02:00+00:00" in days
    )
    assert "## Exclusions" not in days


def test_the_last_month_is_told_if_none_is_named(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, autumn())

    assert data(capsys)["month"] == "2026-10"


def test_programs_are_told_the_same_in_json_and_in_yaml(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, autumn())

    assert yaml.safe_load(told(capsys, "-o", "yaml")) == data(capsys)


def test_a_month_that_goes_on_is_told_so_far(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, autumn())
    found = data(capsys, "--month", "this")

    assert (found["month"], found["over"], len(found["days"]), found["whole"]["coverage"]) == (
        "2026-11",
        False,
        21,
        "100",
    )
    assert "so far: until 2026-11-21 12:00+00:00" in told(capsys, "--month", "2026-11")


def test_a_month_without_data_is_neither_met_nor_missed(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S5: no data is not 100 %."""
    written(store, autumn())
    found = data(capsys, "--month", "2026-05")

    assert (found["verdict"], found["whole"]["sli"], found["budget"]["consumed"]) == ("NoData", None, None)
    assert found["withoutData"]["seconds"] == 31 * DAY
    assert "**Not known.** There is no data; 99.9 % asked for." in told(capsys, "--month", "2026-05")


def test_a_month_is_that_of_the_zone_and_an_hour_that_comes_twice_has_both(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S8: in Paris October has 745 hours."""
    twice = {OCTOBER + 24 * DAY + HOUR: 7}
    written(store, [known("9"), *months(datetime(2026, 9, 1, tzinfo=UTC), until=NOW, bad=twice)])
    found = data(capsys, "--time-zone", "Europe/Paris")

    assert found["whole"]["start"] == "2026-10-01T00:00:00+02:00"
    assert found["whole"]["end"] == "2026-11-01T00:00:00+01:00"
    assert found["whole"]["good"] == str(745 * 360 - 7)
    assert found["worstHour"]["start"] == "2026-10-25T02:00:00+01:00"
    assert [day["good"] for day in found["days"] if day["day"] == "2026-10-25"] == [str(25 * 360 - 7)]


def test_the_zone_of_a_calendar_window_is_the_usual_one(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, autumn())
    window = {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "Europe/Paris"}}

    assert json.loads(of_file(capsys, tmp_path, "-o", "json", window=window))["timeZone"] == "Europe/Paris"


def test_exclusions_are_applied_and_listed_with_their_reason(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S9: they may be set afterwards, and the figure is recomputed."""
    written(store, autumn())
    exclusions = [
        {"from": "2026-10-12T14:00:00Z", "to": "2026-10-12T15:00:00Z", "reason": "a | b"},
        {"from": "2026-10-21T00:00:00Z", "to": "2026-10-21T01:00:00Z", "mode": "CountAsGood", "reason": "provider"},
        {"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z", "reason": "long ago"},
    ]
    found = json.loads(of_file(capsys, tmp_path, "-o", "json", exclusions=exclusions))
    page = of_file(capsys, tmp_path, exclusions=exclusions)

    assert (found["whole"]["sli"], found["whole"]["bad"], found["budget"]["minutes"]) == ("100", "0", "44.58")
    assert [one["reason"] for one in found["exclusions"]] == ["a | b", "provider"]
    assert "| 2026-10-12 14:00+00:00 | 2026-10-12 15:00+00:00 | removed | a \\| b |" in page


def test_slices_are_told_where_the_budget_is_counted_in_them(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S7."""
    counts = {"slo_9": (0, 360)}
    slices = [closed(OCTOBER + HOUR * index, slice_9=(10 * (index == 3), 60), **counts) for index in range(744)]
    written(store, [known("9", prefix="slice"), known("9"), *slices])
    budgeting = {"method": "Timeslices", "slice": "1m", "sliceObjective": "95"}
    found = json.loads(of_file(capsys, tmp_path, "-o", "json", budgeting=budgeting))

    assert (found["whole"]["bad"], found["whole"]["good"], found["sliceSeconds"]) == ("10", str(744 * 60 - 10), 60)
    assert found["budget"]["consumedMinutes"] == "10"
    assert "slices of 1m, bad of all" in of_file(capsys, tmp_path, budgeting=budgeting)


def test_groups_have_a_line_each(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S14: a budget per group, and a defined overall."""
    counts = closed(OCTOBER, slo_9=(3, 300), slo_9_a=(3, 100), slo_9_b=(0, 200), slo_8_c=(9, 9))
    groups = [known("9"), known("9/b", "region=us"), known("9/a", "region=eu"), known("8/c", "region=old")]
    written(store, [*groups, counts])
    found = data(capsys)

    assert [(one["name"], one["sli"], one["verdict"]) for one in found["groups"]] == [
        ("region=eu", "97", "Incomplete"), ("region=us", "100", "Incomplete"),
    ]  # fmt: skip
    assert found["whole"]["sli"] == "99"
    assert "| region=eu | Incomplete | 97 |" in told(capsys)


def test_counts_that_are_not_whole_are_told_without_the_noise_of_floats(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S4: what Prometheus counts need not be whole."""
    written(store, [known("9"), *(closed(OCTOBER + HOUR * index, slo_9=(0.1, 100.5)) for index in range(3))])
    whole = data(capsys)["whole"]

    assert (whole["bad"], whole["good"]) == ("0.3", "301.2")


def test_counts_for_humans_are_whole_against_the_service(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No figure claims better than the truth."""
    written(store, [known("9"), *(closed(OCTOBER + HOUR * index, slo_9=(0.1, 100.5)) for index in range(3))])
    page = told(capsys)

    assert "| Counted | 301 good and 1 bad events; of so many 0 may be bad |" in page
    assert "| 2026-10-01 | kept | 99.9 | 301 | 1 | 0.5 | 12.5 |" in page


def test_days_at_the_ends_without_data_are_one_line(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("9"), closed(OCTOBER + DAY, slo_9=(0, 9)), closed(OCTOBER + 3 * DAY, slo_9=(0, 9))])
    page = told(capsys)

    assert "Without any data, and left out: 2026-10-01 to 2026-10-01 and 2026-10-05 to 2026-10-31." in page
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| 2026-10-")] == [
        "| 2026-10-02", "| 2026-10-03", "| 2026-10-04",
    ]  # fmt: skip
    assert "left out: 2026-05-01 to 2026-05-31." in told(capsys, "--month", "2026-05")


# --- one statement --------------------------------------------------------------------------------------


def test_a_young_objective_is_not_missed_beside_a_budget_that_is_left(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was counted is below the objective, and is next to nothing of the month: both are said, and why."""
    counts = closed(int(NOW.timestamp()) - HOUR, slo_9=(75.6, 40_499.6))
    written(store, [known("9"), counts])
    found, page = data(capsys, "--month", "this"), told(capsys, "--month", "this")

    assert (
        "**Incomplete so far: only 0.2 % of the time has data.** 0.3 % of the month's budget is consumed; 99.7 % "
        "left. What was counted, 0.1 % of the month, is 99.813 % good, below the 99.9 % asked for: a whole month like "
        "it would consume 186.7 % of the budget.\n"
    ) in page
    assert "| Counted | 40424 good and 76 bad events; of so many 40 may be bad |" in page
    assert (found["verdict"], found["complete"], found["whole"]["below"]) == ("Incomplete", False, True)
    assert (found["budget"]["burnRate"], found["budget"]["countedShare"]) == ("1.87", "0.138")


def test_a_month_whose_budget_is_gone_is_missed_while_it_goes_on(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = months(datetime(2026, 11, 1, tzinfo=UTC), until=NOW, bad={OCTOBER + 33 * DAY: 360})
    written(store, [known("9"), *hours])

    assert (
        "**Missed so far.** 138.9 % of the month's budget is consumed; none is left. What was counted, 68.3 % of the "
        "month, is 99.796 % good, below the 99.9 % asked for.\n"
    ) in told(capsys, "--month", "this")


def test_a_complete_month_is_told_in_one_sentence(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    end = datetime(2026, 11, 1, tzinfo=UTC)
    written(store, [known("9"), *months(datetime(2026, 10, 1, tzinfo=UTC), until=end, bad={OCTOBER: 300})])

    assert "\n**Missed.** 99.887 % good, 99.9 % asked for.\n" in told(capsys)


EXCLUDED = [
    ("11:03", "11:17", 0, "Remove"),
    ("10:20", "10:50", 0, "CountAsGood"),
    ("07:31", "09:02", 2, "Remove"),
    ("20:43", "21:12", 2, "CountAsGood"),
    ("05:10", "05:40", 5, "Remove"),
]
"""From, to, days ago: where there still are minutes, five minutes, and hours alone."""


@pytest.mark.parametrize("excluded", [EXCLUDED, *([one] for one in EXCLUDED)])
@pytest.mark.parametrize("every", [1, 5])
def test_exclusions_set_afterwards_give_the_figures_of_the_status(
    excluded: list[tuple[str, str, int, str]],
    every: int,
    store: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """S9: as fine as the status applies them, as long as the store is."""
    exclusions = [
        {"from": f"{NOW - timedelta(days=days):%Y-%m-%d}T{since}:00Z",
         "to": f"{NOW - timedelta(days=days):%Y-%m-%d}T{until}:00Z", "mode": mode, "reason": "migration"}
        for since, until, days, mode in excluded
    ]  # fmt: skip
    window = {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "UTC"}}
    spec = ServiceLevelObjectiveSpec.model_validate(SPEC | {"window": window, "exclusions": exclusions})
    series = counted_for_days(store, every)
    period, interval = period_at(spec.window, NOW), timedelta(minutes=every)
    terms = Terms((100 - spec.objective) / 100, period.length)
    figures = status_figures(Tally(spec, series, interval, period, NOW), terms)
    budget = shown_budget(figures, terms)
    asked = ["--month", "this", "-o", "json"]
    found = json.loads(of_file(capsys, tmp_path, *asked, window=window, exclusions=exclusions))

    assert budget is not None
    assert (Decimal(found["budget"]["consumed"]), Decimal(found["whole"]["sli"])) == (
        budget.consumed, shown_sli(figures, spec.objective),
    )  # fmt: skip
    assert ceil(Decimal(found["whole"]["bad"])) == figures.bad


def test_exclusions_of_slices_give_the_figures_of_the_status(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S7, S9: a slice that an exclusion touches is excluded as a whole, and booked in the minute in which it ends."""
    day = f"{NOW:%Y-%m-%d}"
    changes: dict[str, Any] = {
        "window": {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "UTC"}},
        "budgeting": {"method": "Timeslices", "slice": "5m", "sliceObjective": "95"},
        "exclusions": [
            {"from": f"{day}T11:03:00Z", "to": f"{day}T11:17:00Z", "reason": "migration"},
            {"from": f"{day}T09:08:00Z", "to": f"{day}T09:12:00Z", "mode": "CountAsGood", "reason": "provider"},
        ],
    }
    spec = ServiceLevelObjectiveSpec.model_validate(SPEC | changes)
    series = counted_for_days(store, 5, "slice")
    period = period_at(spec.window, NOW)
    terms = Terms((100 - spec.objective) / 100, period.length)
    figures = status_figures(Tally(spec, series, timedelta(minutes=1), period, NOW), terms)
    budget = shown_budget(figures, terms)
    found = json.loads(of_file(capsys, tmp_path, "--month", "this", "-o", "json", **changes))

    assert budget is not None
    assert (found["budget"]["consumed"], found["whole"]["bad"]) == (format_decimal(budget.consumed), str(figures.bad))


def counted_for_days(url: str, every: int, what: str = "slo") -> LedgerSeries:
    """Count for six days as the operator does, a bad quarter in each hour; the store keeps what it usually does."""
    ledger, last = Ledger(MONTH_TIERS), int(NOW.timestamp()) // 60
    first = 4 if what == "slice" else 0  # a slice of five minutes is booked in the last of them
    records: list[Record] = [known("9", prefix=what)]
    slot = ledger.open(f"{what}/9")
    for minute in range(last - 6 * 1440 + first, last, every):
        records.extend(ledger.roll(minute))
        if what == "slice":
            ledger.add(slot, minute % 60 < 15, 1)
        else:
            ledger.add(slot, 5 + minute % 7 if minute % 60 < 15 else 0.25, 60)
    records.extend(ledger.roll(last))

    async def write() -> None:
        history = SqlHistory(url)
        await history.add(records)
        await history.prune(NOW)
        await history.close()

    asyncio.run(write())
    return LedgerSeries(ledger, slot)


# --- other outputs --------------------------------------------------------------------------------------


def test_a_spreadsheet_gets_a_line_for_each_month_group_and_day_and_no_formula(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = closed(OCTOBER, slo_9=(3, 300), slo_9_a=(3, 100))
    written(store, [known("9"), known("9/a", "=HYPERLINK(1),x"), counts])
    rows = list(csv.DictReader(io.StringIO(told(capsys, "-o", "csv"))))
    assert [rows[at]["below_objective"] for at in (0, 1, 3)] == ["true", "true", ""]

    assert [row["part"] for row in rows] == ["month", "group", *["day"] * 31]
    assert rows[1]["name"] == "'=HYPERLINK(1),x"
    assert rows[0]["name"] == "shop/checkout"
    assert (rows[0]["sli_percent"], rows[3]["sli_percent"], rows[0]["consumed_percent"]) == ("99", "", "1.4")


def test_what_somebody_wrote_is_text(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everywhere: text from the cluster is data; escaping on every output."""
    written(store, autumn())
    page = of_file(capsys, tmp_path, description="a\n# forged\x1b[2J <script>", service="checkout")

    assert "\x1b" not in page
    assert "\n# forged" not in page
    assert "<script>" not in page


# --- where the objective is read ------------------------------------------------------------------------


async def test_the_objective_is_read_from_the_cluster(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault 37: by its uid, not only by its name."""
    await asyncio.to_thread(written, store, [known("8"), known("9"), closed(OCTOBER, slo_8=(1, 2), slo_9=(0, 3))])
    body = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "8"}, "spec": SPEC}
    async with serving(answers(200, body)) as api:
        arguments = ["--slo", "shop/checkout", "-o", "json", "--kubeconfig", kubeconfig(tmp_path, api.url)]
        assert await asyncio.to_thread(main, arguments) == 0

        assert [(one.method, one.path) for one in api.seen] == [
            ("GET", "/apis/homeostat.dev/v1alpha1/namespaces/shop/servicelevelobjectives/checkout")
        ]
    found = json.loads(capsys.readouterr().out)
    assert (found["uid"], found["terms"], found["whole"]["bad"]) == ("8", "cluster", "1")


async def test_without_the_cluster_it_is_said_what_to_give(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(written, store, autumn())
    async with serving(refuses(403, "Forbidden")) as api:
        arguments = ["--slo", "shop/checkout", "--kubeconfig", kubeconfig(tmp_path, api.url)]
        assert await asyncio.to_thread(main, arguments) == 2
    assert main(["--slo", "shop/checkout"]) == 2
    shown = capsys.readouterr()

    assert [line.endswith("give -f slo.yaml or --objective 99.9") for line in shown.err.splitlines()] == [True, True]


def test_an_earlier_object_of_the_name_is_read_by_its_uid(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    both = closed(OCTOBER, slo_8=(1, 2), slo_9=(0, 3))
    written(store, [known("8", seen=OCTOBER), known("9"), both])

    assert main(["--slo", "shop/checkout", "--objective", "99.9", "-o", "json"]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["uid"], printed.err) == (
        "9", "homeostat: earlier ones of that name are read with --uid: 8\n",
    )  # fmt: skip
    assert data(capsys, "--uid", "8")["whole"]["bad"] == "1"


# --- what has no answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "--slo"),
        (["--slo", "checkout"], "'checkout' is not NAMESPACE/NAME"),
        (["--month", "2026-12"], "2026-12 has not begun"),
        (["--month", "2026-13"], "'2026-13' is not a month"),
        (["--month", "October"], "'October' is not a month"),
        (["--month", "0000-01"], "'0000-01' is not a month"),
        (["--time-zone", "Mars/Olympus"], "'Mars/Olympus' is no zone"),
        (["--time-zone", "../etc/passwd"], "is no zone"),
        (["--objective", "100"], "'100' is not a percentage"),
        (["--objective", "NaN"], "'NaN' is not a percentage"),
        (["--months", "13"], "not a whole number from 0 to 12"),
        (
            ["--uid", "7"],
            "history has no counts of objective shop/checkout with uid 7; --uid gives those of an earlier one: 9",
        ),
        (["--slo", "shop/cart"], "history has no counts of objective shop/cart"),
        (["-f", "nowhere.yaml"], "not allowed with"),
        (["-o", "xml"], "invalid choice"),
        (["--store-url", "sqlite+aiosqlite:////nowhere/history.db"], "there is no file /nowhere/history.db"),
        (
            ["--store-url", "sqlite+aiosqlite:////nowhere/history.db"],
            "`kubectl -n homeostat-system exec deploy/homeostat -- homeostat report ...`, or name the store with --sto",
        ),
        (["--store-url", "mysql://db"], "--store-url: "),
    ],
)
def test_what_has_no_answer_is_said_in_one_line(
    arguments: list[str], why: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, [known("9"), closed(OCTOBER, slo_9=(0, 360))])
    given = arguments and ["--slo", "shop/checkout", "--objective", "99.9"]

    assert homeostat(["report", *given, *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert why in printed.err


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"objective": "100"}, "spec.objective"),
        ({"indicator": {"composite": {"members": [{"name": "a"}, {"name": "b"}]}}}, "report its members (a, b)"),
        (
            {"budgeting": {"method": "RatioTimeslices", "slice": "1m"}},
            "history has no slices of objective shop/checkout",
        ),
    ],
)
def test_an_objective_that_cannot_be_reported_says_why(
    spec: dict[str, Any], why: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, [known("9"), closed(OCTOBER, slo_9=(0, 360))])

    assert main(["--slo", "shop/checkout", "-f", in_file(tmp_path, **spec)]) == 2
    assert why in capsys.readouterr().err


def test_a_file_without_the_objective_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--slo", "shop/cart", "-f", in_file(tmp_path)]) == 2
    assert "there is no ServiceLevelObjective shop/cart" in capsys.readouterr().err
