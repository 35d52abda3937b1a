"""`homeostat history`: what it reads from a store, what it prints, and how it fails: in one line."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from cli.noon import NOW, NoonClock, be_noon
from homeostat.__main__ import main as homeostat
from homeostat.cli.checks import history as history_command
from homeostat.cli.checks.history import main
from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import RETRIED, VERDICTS, Known, Latencies, Runs, code_of
from homeostat.core.probing.result import Reason, Verdict
from homeostat.ports import Record
from homeostat.store.history import SqlHistory

NOON = int(NOW.timestamp())
HOUR, DAY = 3600, 86400


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be in a world where it is noon, and the store is empty and named by the environment."""
    return be_noon(history_command, tmp_path, monkeypatch)


def closed(start: int, seconds: int, **counts: tuple[float, float]) -> Closed:
    rows = [(total - good, total, seconds // 60) for good, total in counts.values()]
    return Closed(start, seconds, tuple(f"check/{uid}" for uid in counts), np.array(rows, dtype=np.float64).T)


def runs(start: int, uid: str, *found: tuple[Verdict, Reason, float]) -> Runs:
    count = len(found)
    return Runs(
        start, (f"check/{uid}",),
        owner=np.zeros(count, dtype=np.uint32),
        offset=np.arange(count, dtype=np.uint16) * 10_000,
        verdict=np.array([VERDICTS.index(one[0]) for one in found], dtype=np.uint8),
        reason=np.array([code_of(one[1]) for one in found], dtype=np.uint16),
        seconds=np.array([one[2] for one in found], dtype=np.float16),
    )  # fmt: skip


def known(uid: str, name: str = "web", service: str = "", *, seen: int = NOON, kind: str = "check") -> Known:
    return Known(f"{kind}/{uid}", "shop", name, service, seen)


def written(url: str, records: Sequence[Record]) -> None:
    async def write() -> None:
        history = SqlHistory(url)
        await history.add(records)
        await history.close()

    asyncio.run(write())


def a_day(uid: str, bad: int = 0) -> list[Record]:
    """Make the hours of the last 30 days; in each of the last 24, some of the 360 runs were bad."""
    return [
        closed(NOON - HOUR * back, HOUR, **{uid: (360 - (bad if back <= 24 else 0), 360)}) for back in range(1, 721)
    ]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run something that has no answer; it is told in one line, and nothing is printed."""
    assert main(arguments) == 2
    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.startswith("homeostat: ")
    assert printed.err.count("\n") == 1
    return printed.err


def data(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(told(capsys, *arguments, "-o", "json"))


# --- a range --------------------------------------------------------------------------------------------


def test_a_check_is_told_step_by_step(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    percentiles = np.array([[0.01], [0.02], [0.03], [0.04]], dtype=np.float32)
    latencies = Latencies(NOON - HOUR, ("check/1",), np.array([359], dtype=np.uint32), percentiles)
    written(store, [known("1", service="cart"), *a_day("1", bad=1), latencies])

    lines = told(capsys, "shop/web", "--since", "3h", "--step", "1h").splitlines()

    assert lines == [
        "shop/web of service cart, 2026-11-21T09:00:00Z to 2026-11-21T12:00:00Z",
        "99.722 % up: 1077 of 1080 good, 3h observed",
        "latency: p50 10.0 ms, p95 20.0 ms, p99 30.0 ms, max 40.0 ms",
        "",
        "START                 UPTIME    GOOD  TOTAL  OBSERVED  P50      P95      P99      MAX",
        "2026-11-21T09:00:00Z  99.722 %  359   360    1h        -        -        -        -",
        "2026-11-21T10:00:00Z  99.722 %  359   360    1h        -        -        -        -",
        "2026-11-21T11:00:00Z  99.722 %  359   360    1h        10.0 ms  20.0 ms  30.0 ms  40.0 ms",
    ]


def test_counts_that_are_not_whole_are_told_to_a_thousandth_and_rounded_against_us(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S3: of rates that Prometheus gave."""
    written(store, [known("1"), closed(NOON - HOUR, HOUR, **{"1": (1000.75 - 2**-20, 1000.75)})])

    lines = told(capsys, "shop/web", "--since", "1h", "--step", "1h").splitlines()
    [step] = data(capsys, "shop/web", "--since", "1h", "--step", "1h")["steps"]

    assert lines[1] == "99.999 % up: 1000.749 of 1000.75 good, 1h observed"
    assert (step["total"], step["good"] < step["total"]) == (1000.75, True)


def test_a_time_without_data_is_a_dash_and_no_outage(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S5."""
    written(store, [known("1"), closed(NOON - 2 * HOUR, HOUR, **{"1": (10, 10)})])

    lines = told(capsys, "shop/web", "--step", "1h").splitlines()

    assert lines[-2:] == [
        "2026-11-21T10:00:00Z  100 %   10    10     1h        -    -    -    -",
        "2026-11-21T11:00:00Z  -       -     -      -         -    -    -    -",
    ]


def test_steps_as_data_hold_what_the_table_does(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1"), closed(NOON - 2 * HOUR, HOUR, **{"1": (9, 10)})])

    found = data(capsys, "shop/web", "--since", "2026-11-21T10:00:00Z")
    steps = found.pop("steps")

    whole = {"good": 9, "total": 10, "observed": 3600, "uptime": 0.9, "latency": None}
    assert found == {
        "namespace": "shop", "name": "web", "uid": "1", "service": "", "step": 300,
        "whole": {"start": "2026-11-21T10:00:00Z", "end": "2026-11-21T12:00:00Z", **whole},
    }  # fmt: skip
    assert [(step["good"], step["total"]) for step in steps] == [(9, 10), *[(0, 0)] * 23]
    assert steps[1]["uptime"] is None


def test_latencies_are_data_in_seconds(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    percentiles = np.array([[0.125], [0.25], [0.5], [1.0]], dtype=np.float32)
    latencies = Latencies(NOON - HOUR, ("check/1",), np.array([359], dtype=np.uint32), percentiles)
    written(store, [known("1"), closed(NOON - HOUR, HOUR, **{"1": (9, 10)}), latencies])

    found = data(capsys, "shop/web", "--since", "1h", "--step", "1h")

    assert found["whole"]["latency"] == {"runs": 359, "p50": 0.125, "p95": 0.25, "p99": 0.5, "max": 1.0}


@pytest.mark.parametrize(("since", "step", "count"), [("3h", 300, 36), ("48h", HOUR, 48), ("30d", DAY, 31)])
def test_a_step_that_is_not_given_fits_the_range(
    since: str, step: int, count: int, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, [known("1"), *a_day("1")])

    found = data(capsys, "shop/web", "--since", since)

    assert (found["step"], len(found["steps"])) == (step, count)
    assert found["whole"]["total"] == 360 * int(
        timedelta(**{{"h": "hours", "d": "days"}[since[-1]]: int(since[:-1])}).total_seconds() / HOUR
    )


def test_a_range_begins_where_history_does(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1"), closed(NOON - 2 * HOUR, HOUR, **{"1": (9, 10)})])

    assert data(capsys, "shop/web", "--since", "36500d")["whole"]["start"] == "2026-11-21T10:00:00Z"


def test_a_store_without_a_run_has_an_answer_too(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1")])

    assert "- up: 0 of 0 good, 0s observed" in told(capsys, "shop/web")
    assert told(capsys, "shop/web", "--raw") == "shop/web, 0 runs\n"


def test_an_objective_is_told_of_when_it_is_asked_for(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    counted = np.array([[1], [2], [1]])
    objective = Closed(NOON - 60, 60, ("slo/9",), counted)
    written(store, [known("1"), known("9", kind="slo"), closed(NOON - 60, 60, **{"1": (5, 5)}), objective])

    assert data(capsys, "shop/web")["whole"]["total"] == 5
    assert data(capsys, "shop/web", "--objective")["whole"]["total"] == 2


def test_the_groups_of_an_objective_are_not_taken_for_other_objectives_of_its_name(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = np.array([[0.0], [2.0], [1.0]])
    group = known("9/a", service="region=eu", seen=NOON + 60, kind="slo")
    written(store, [known("9", kind="slo"), group, Closed(NOON - 60, 60, ("slo/9",), counted)])

    assert main(["shop/web", "--objective", "-o", "json"]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["whole"]["total"], printed.err) == (2, "")


def test_of_several_checks_that_had_a_name_the_last_is_told_of_and_the_others_mentioned(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault 37: a name that is used again is another check; deleted ones are kept."""
    both = closed(NOON - 60, 60, old=(1, 1), new=(2, 2))
    written(store, [known("old", seen=NOON - DAY), known("new"), both])

    assert main(["shop/web", "-o", "json"]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["uid"], printed.err) == (
        "new", "homeostat: earlier ones of that name are read with --uid: old\n",
    )  # fmt: skip
    assert data(capsys, "shop/web", "--uid", "old")["whole"]["total"] == 1


# --- runs -----------------------------------------------------------------------------------------------


def test_every_run_is_told_with_its_reason(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """H1, H2: a pass after a retry is not painted as clean."""
    found = runs(
        NOON - 60,
        "1",
        (Verdict.PASS, Reason.OK, 0.25),
        (Verdict.FAIL, Reason.TIMEOUT, 2.0),
        (Verdict.PASS, Reason.OK, 0.5),
    )
    found.verdict[2] |= RETRIED
    found.reason[1] = 1  # of a later release
    written(store, [known("1"), found])

    assert told(capsys, "shop/web", "--raw").splitlines() == [
        "shop/web, 3 runs",
        "",
        "TIME                      RESULT  LATENCY    REASON",
        "2026-11-21T11:59:00.000Z  Pass    250.0 ms   Ok",
        "2026-11-21T11:59:10.000Z  Fail    2000.0 ms  -",
        "2026-11-21T11:59:20.000Z  Pass    500.0 ms   Ok (after a retry)",
    ]


def test_runs_are_cut_to_the_range(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1"), runs(NOON - 60, "1", *[(Verdict.PASS, Reason.OK, 0.25)] * 5)])

    found = data(capsys, "shop/web", "--raw", "--since", "50s", "--until", "2026-11-21T11:59:30Z")

    assert found["runs"] == [
        {
            "at": f"2026-11-21T11:59:{second}.000000Z",
            "verdict": "Pass",
            "reason": "Ok",
            "seconds": 0.25,
            "retried": False,
        }
        for second in (10, 20)
    ]


# --- all checks -----------------------------------------------------------------------------------------


def test_all_checks_are_listed_with_their_uptime_and_the_size_of_the_store(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more: list[Record] = [known("1", service="cart"), known("2", "api", seen=NOON - 5 * DAY), known("9", kind="slo")]
    written(store, [*a_day("1", bad=36), *more, closed(NOON - 5 * DAY, HOUR, **{"2": (360, 360)})])

    lines = told(capsys).splitlines()

    assert lines[:4] == [
        "NAMESPACE  NAME  SERVICE  24H   7D        30D       LAST SEEN",
        "shop       api   -        -     100 %     100 %     2026-11-16",
        "shop       web   cart     90 %  98.571 %  99.666 %  2026-11-21",
        "",
    ]
    assert lines[4].startswith(f"2 checks in {tmp_path}/history.db: ")
    assert "counts" in lines[4]


def test_uptime_counts_the_hour_that_has_not_ended_and_the_edge_of_the_day(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """H6: 24 h are 24 hours, not 24 clock hours."""
    monkeypatch.setattr(NoonClock, "now", lambda _: NOW + timedelta(minutes=32))
    hours: list[Record] = [closed(NOON - HOUR * back, HOUR, **{"1": (360, 360)}) for back in range(1, 30)]
    fives = [closed(NOON + 1800 - 300 * back, 300, **{"1": (30, 30)}) for back in range(1, 30 * 12)]
    minutes = [closed(NOON + 60 * minute, 60, **{"1": (6, 6)}) for minute in range(32)]
    written(store, [known("1"), *hours, *fives, *minutes])

    [found] = data(capsys)["checks"]

    day = 24 * 360 - 3 * 6  # the minutes before 12:35 of the day before are gone
    assert found["uptime"]["24h"] == {"good": day, "total": day, "ratio": 1.0}


def test_a_list_as_data_has_sizes_in_bytes(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1")])
    found = data(capsys)

    assert found["checks"] == [
        {
            "namespace": "shop", "name": "web", "uid": "1", "service": "", "seen": "2026-11-21T12:00:00Z",
            "uptime": {window: {"good": 0, "total": 0, "ratio": None} for window in ("24h", "7d", "30d")},
        }
    ]  # fmt: skip
    assert found["store"]["bytes"] == (tmp_path / "history.db").stat().st_size
    assert sum(found["store"]["tables"].values()) <= found["store"]["bytes"]


def test_where_sqlite_tells_no_sizes_of_tables_the_rest_is_told(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, [known("1")])

    execute = Connection.exec_driver_sql

    def without_dbstat(connection: Connection, statement: str, *arguments: Any) -> Any:
        return execute(connection, statement.replace("dbstat", "nothing"), *arguments)

    monkeypatch.setattr(Connection, "exec_driver_sql", without_dbstat)

    assert data(capsys)["store"]["tables"] == {}


def test_a_store_that_knows_no_check_is_an_answer(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [closed(NOON, 60, **{"1": (1, 1)})])

    assert told(capsys).startswith("0 checks in ")


# --- what has no answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["shop/api"], "history knows no check shop/api;"),
        (["shop/web", "--uid", "7"], "history knows no check shop/web with uid 7"),
        (["shop/web", "--objective"], "history knows no objective shop/web"),
        (["web"], "'web' is not NAMESPACE/NAME"),
        (["shop/web", "--since", "yesterday"], "'yesterday' is neither a duration"),
        (["shop/web", "--since", "9" * 30 + "d"], "is longer ago than time goes"),
        (["shop/web", "--since", "1h", "--until", "2h"], "--since is not before --until"),
        (["shop/web", "--step", "soon"], "'soon' is not a duration"),
        (["shop/web", "--step", "90s"], "--step is not a whole number of minutes"),
        (["shop/web", "--step", "0s"], "--step is not a whole number of minutes"),
        (["shop/web", "--since", "30d", "--step", "1m"], "more than 10000 of them"),
        (["shop/web", "--output", "xml"], "invalid choice: 'xml'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--store-url", "sqlite+aiosqlite:////nowhere/history.db"], "there is no file /nowhere/history.db"),
        (["--store-url", "postgresql://db"], "--store-url: must begin with sqlite+aiosqlite:///"),
    ],
)
def test_what_has_no_answer_is_said_in_one_line(
    arguments: list[str], why: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(store, [known("1"), *a_day("1")])

    assert why in refused(capsys, *arguments)


def test_a_file_that_is_no_store_is_said_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.db").write_bytes(b"this is no database " * 100)

    assert "is not a readable database" in refused(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["history.db"]


def test_history_is_a_command(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(store, [known("1")])

    assert homeostat(["history", "shop/web"]) == 0
    assert capsys.readouterr().out.startswith("shop/web, ")
