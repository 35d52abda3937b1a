"""Raw runs on their way to history: each with its own check and its own minute."""

from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.health.run import Run
from homeostat.core.history.records import RETRIED, VERDICTS, PastRun, code_of, past_run
from homeostat.core.probing.result import Reason, Verdict
from homeostat.engine.rawbook import RawBook

NOON = 1_795_262_400
PASS = Run(Verdict.PASS, Reason.OK, 0.25, 1, 1)

moves = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 3), st.integers(0, 479)),
        st.tuples(st.just("open"), st.integers(0, 3), st.integers(0, 5)),
        st.tuples(st.just("drain"), st.just(0), st.just(0)),
        st.tuples(st.just("minute"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


def read(book: RawBook, before: int | None = None) -> list[tuple[str, float]]:
    """Drain a book; give whose runs there were, and when."""
    drained = book.drain() if before is None else book.drain(before)
    return [
        (runs.series[owner], runs.start + offset / 1000)
        for runs in drained
        for owner, offset in zip(runs.owner.tolist(), runs.offset.tolist(), strict=True)
    ]


@given(moves)
def test_a_run_stays_with_the_check_that_had_the_slot_when_it_ran(moves: list[tuple[str, int, int]]) -> None:
    """Fault 36, 37: checks come, go and are replaced within a minute."""
    book, owners, minute = RawBook(), [f"first/{slot}" for slot in range(4)], NOON // 60
    expected: list[tuple[str, float]] = []
    found: list[tuple[str, float]] = []
    for slot, name in enumerate(owners):
        book.open(slot, name)
    for move, slot, value in moves:
        if move == "run":
            at = minute * 60 + value / 8
            book.add(slot, PASS, at)
            expected.append((owners[slot], at))
        elif move == "open":
            owners[slot] = f"check/{value}"
            book.open(slot, owners[slot])
        elif move == "drain":
            found += read(book, minute)
        else:
            minute += 1
    found += read(book)

    assert sorted(found) == sorted(expected)
    assert read(book) == []


def test_a_minute_that_is_not_over_is_kept_back() -> None:
    """A row of a minute is written once, and whole."""
    book = RawBook()
    book.open(0, "a")
    for at in (NOON + 59.0, NOON + 60.0, NOON + 61.0):
        book.add(0, PASS, at)

    assert read(book, NOON // 60 + 1) == [("a", NOON + 59.0)]
    book.add(0, PASS, NOON + 119.5)
    assert [len(runs.offset) for runs in book.drain(NOON // 60 + 2)] == [3]


def test_what_a_run_was_is_kept_as_it_was() -> None:
    """H1, H2: verdict, reason, latency, and that it took a retry."""
    book = RawBook()
    book.open(0, "a")
    for number, verdict in enumerate(Verdict):
        book.add(0, Run(verdict, Reason.TOO_SLOW, 0.5, 0, 1, is_retried=bool(number % 2)), NOON + number)
    [runs] = book.drain()
    stored = zip(runs.offset.tolist(), runs.verdict.tolist(), runs.reason.tolist(), runs.seconds.tolist(), strict=True)

    assert [past_run(NOON, run) for run in stored] == [
        PastRun(NOON + number, verdict, Reason.TOO_SLOW, 0.5, is_retried=bool(number % 2))
        for number, verdict in enumerate(Verdict)
    ]


def test_no_two_reasons_are_stored_alike_and_an_unknown_one_is_none() -> None:
    assert len({code_of(reason) for reason in Reason}) == len(Reason)
    unknown = next(code for code in range(0x10000) if code not in {code_of(reason) for reason in Reason})

    assert past_run(NOON, (0, 0, unknown, 0.5)) == PastRun(NOON, Verdict.PASS, None, 0.5, is_retried=False)
    assert past_run(NOON, (0, len(VERDICTS), 0, 0.5)) is None
    assert past_run(NOON, (0, len(VERDICTS) | RETRIED, 0, 0.5)) is None


def test_codes_that_are_on_disk_mean_what_they_meant() -> None:
    """A change here makes runs of the release before unreadable."""
    assert VERDICTS == ("Pass", "Fail", "Invalid", "Error", "Skipped", "Unknown")
    assert (code_of(Reason.OK), code_of(Reason.TIMEOUT)) == (63973, 19470)


def test_every_verdict_there_is_can_be_stored() -> None:
    assert set(VERDICTS) == set(Verdict)
