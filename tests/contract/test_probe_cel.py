"""CEL over what servers answered: what it gives, and that no expression and no answer can do harm (H9)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.hostile import on_uvloop, open_files, until
from homeostat.core.probing.result import Reason
from homeostat.probe.http.answer import Answer
from homeostat.probe.processes import cel, child
from homeostat.probe.processes.cel import CelProcess

HEADERS = (("x-id", "7"), ("x-id", "8"), ("x-bytes", "\xe9\xff"))
BODY = b'{"token": "t", "n": 1, "f": 1.5, "no": null, "yes": true, "list": [1, 2, 3], "map": {"a": {"b": "c"}}}'
FINE = Answer(200, HEADERS, BODY)
LONG_LIST = Answer(200, (), json.dumps(list(range(11_000))).encode())
ENDLESS = "json.all(x, json.all(y, json.all(z, true)))"
MEMORY_BOMB = "['aaaaaaaa']" + ".map(x, x + x)" * 60 + ".size() == 1"

Evaluate = Callable[..., Coroutine[None, None, tuple[object, ...] | Reason]]


@asynccontextmanager
async def evaluating() -> AsyncIterator[CelProcess]:
    process = CelProcess(time.monotonic)
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        process.close()


async def give(
    process: CelProcess, *expressions: str, answer: Answer = FINE, seconds: float = 30.0
) -> tuple[object, ...] | Reason:
    return await process.evaluate(expressions, answer, time.monotonic() + seconds)


def pid_of(process: CelProcess) -> int:
    """Give the process id of the worker that quick expressions are asked."""
    worker = process._quick._worker
    assert worker is not None
    return worker.process.pid


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead but not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def limits_of(pid: int) -> dict[str, int]:
    """Give the soft limits of a process that has them."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): int(line[26:47]) for line in lines if line[26:47].strip().isdigit()}


# --- what expressions give ------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_expression_sees_body_status_and_headers(run: Callable[[Coroutine[None, None, None]], None]) -> None:
    async def body() -> None:
        async with evaluating() as process:
            values = await give(
                process,
                "json.token",
                'headers["x-id"]',
                "status",
                "status == 200 && json.list.all(x, x > 0)",
                "json.map.a.b",
                "json.f * 2.0",
                "json.no",
                "size(json.list) + 1",
                "has(json.nothing)",
                'headers["x-bytes"]',
                "json.token.upperAscii()",
                "json.token.matches('^t+$')",
            )

        assert values == ("t", "7", 200, True, "c", 3.0, None, 4, False, "\xe9\xff", "T", True)

    run(body())


@pytest.mark.parametrize("body", [b"", b"not JSON", b"<html>", b'{"a": 1'])
@on_uvloop
async def test_what_does_not_ask_for_json_needs_none(body: bytes) -> None:
    answer = Answer(503, HEADERS, body)
    async with evaluating() as process:
        without = await give(process, 'headers["x-id"] == "7" && status == 503', answer=answer)
        with_json = await give(process, "json.a == 1", answer=answer)

    assert without == (True,)
    assert with_json is Reason.UNEXPECTED_BODY


@on_uvloop
async def test_an_answer_without_what_is_asked_for_is_unexpected() -> None:
    async with evaluating() as process:
        for expression in (
            "json.nothing",
            "json.list[3]",
            "json.token.a.b",
            "json.token + 1",
            "json.n + 1.5",
            "!json.n",
            'headers["x-none"]',
            "1 / (json.n - 1)",
            "json.n + 9223372036854775807",
            "int(json.token)",
            "json",
            "json.list",
            "json.map",
            "headers",
        ):
            assert await give(process, expression) is Reason.UNEXPECTED_BODY, expression


@on_uvloop
async def test_an_expression_that_can_never_be_right_is_invalid() -> None:
    """It does not parse, misspells a name, or gives what is no scalar, too long, or no number."""
    async with evaluating() as process:
        for expression in (
            "json.a ==",
            "",
            "\x00",
            "(" * 1024,
            "1 == 1 == ",
            "jsn.token == 't'",
            "json.list.all(x, y > 0)",
            "nothing(json)",
            "b'bytes'",
            "[1, 2]",
            "duration('1s')",
            "timestamp('2026-01-01T00:00:00Z')",
            "double('NaN')",
            "double('Infinity')",
            "lists.range(1000000000).size() == 1",
            "'t'.replace('t', '" + "long" * 200 + "').replace('l', '" + "x" * 100 + "')",
        ):
            assert await give(process, expression) is Reason.INVALID_EXPRESSION, expression
        assert await give(process, "json.token", "json.a ==") is Reason.INVALID_EXPRESSION
        assert await give(process, "json.token") == ("t",)


ODD_JSON: tuple[tuple[bytes, str, tuple[object, ...] | Reason], ...] = (
    (b'{"a": 1, "a": 2}', "json.a", (2,)),
    (b'\xef\xbb\xbf{"a": 1}', "json.a", (1,)),
    (b'{"a": "\\u0000\\n"}', "json.a", ("\x00\n",)),
    (b'{"a": "\xc3\xa9"}', "json.a", ("\xe9",)),
    (b'{"a": 9223372036854775807}', "json.a", (2**63 - 1,)),
    (b'{"a": 123456789012345678901234567890}', "json.a > 1e29", (True,)),
    (b'{"a": 1e400}', "json.a > 1.0", (True,)),
    (b"[" * 500 + b"]" * 500, "size(json)", (1,)),
    (b"7", "json == 7", (True,)),
    (b'{"a": 1e400}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": "' + b"x" * 5000 + b'"}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": "' + b"\xc3\xa9" * 3000 + b'"}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": NaN}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": -Infinity}', "true || json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": ' + b"9" * 60_000 + b"}", "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": "\\ud800"}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": "\xe9"}', "json.a", Reason.UNEXPECTED_BODY),
    (b'{"a": 1}\x00', "json.a", Reason.UNEXPECTED_BODY),
    ('{"a": 1}'.encode("utf-16"), "json.a", Reason.UNEXPECTED_BODY),
    (b"[" * 65_536, "size(json)", Reason.UNEXPECTED_BODY),
    (b"[" * 32_768 + b"]" * 32_768, "size(json)", Reason.UNEXPECTED_BODY),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "size(json)", Reason.UNEXPECTED_BODY),
)


@on_uvloop
async def test_odd_json_has_one_meaning_or_none() -> None:
    """Of two members with one name the last counts; NaN, half a surrogate pair and a depth of 64 KiB are no JSON."""
    async with evaluating() as process:
        await give(process, "status")
        worker = pid_of(process)
        for body, expression, expected in ODD_JSON:
            assert await give(process, expression, answer=Answer(200, (), body)) == expected, body[:40]

        assert pid_of(process) == worker


EXPRESSIONS = st.sampled_from(
    ["json", "json.a", "json[0]", "size(json)", "json.all(x, x == json)", "string(json)", "headers", "status", "{", ""]
) | st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def test_whatever_is_asked_of_whatever_answer_there_is_a_scalar_or_a_reason() -> None:
    with asyncio.Runner() as runner:
        process = CelProcess(time.monotonic)

        @settings(deadline=None)
        @given(EXPRESSIONS, st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
        def check(expression: str, body: bytes) -> None:
            found = runner.run(give(process, expression, answer=Answer(200, HEADERS, body)))
            if isinstance(found, Reason):
                assert found in {Reason.UNEXPECTED_BODY, Reason.INVALID_EXPRESSION}
            else:
                assert found[0] is None or isinstance(found[0], (bool, int, float, str))

        try:
            check()
        finally:
            process.close()


@on_uvloop
async def test_a_hundred_questions_at_once_get_each_its_own_answer() -> None:
    async with evaluating() as process:
        answers = [Answer(200, (), json.dumps({"n": n, "pad": "x" * (n * 600)}).encode()) for n in range(100)]
        found = await asyncio.gather(*(give(process, "json.n", answer=answer) for answer in answers))
        worker = pid_of(process)
        await asyncio.gather(*(give(process, f"json.n + {n}") for n in range(100)))

        assert pid_of(process) == worker
    assert found == [(n,) for n in range(100)]


# --- what would do harm ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        ENDLESS,
        MEMORY_BOMB,
        "json.map(x, json.map(y, json.map(z, x))).size() == 1",
        "[json]" + ".map(x, x + x)" * 60 + ".size() == 1",
        "lists.range(50000).distinct().size() == 1",
        "'" + "a" * 100 + "'" + ".replace('a', '" + "a" * 100 + "')" * 5 + " == ''",
    ],
    ids=["endless", "doubling text", "nested maps", "doubling list", "quadratic", "replacing"],
)
@on_uvloop
async def test_an_expression_that_costs_too_much_is_invalid_and_holds_up_nobody(expression: str) -> None:
    """H9, fault 26: processor time and memory of an evaluation are bounded."""
    async with evaluating() as process:
        started = time.monotonic()
        found = await give(process, expression, answer=LONG_LIST)
        seconds = time.monotonic() - started

        assert found is Reason.INVALID_EXPRESSION
        assert seconds < 15
        assert await give(process, "json.token") == ("t",)


@on_uvloop
async def test_the_loop_goes_on_while_an_expression_is_evaluated() -> None:
    """Fault 26: an evaluation never blocks the event loop."""
    async with evaluating() as process:
        turns = 0
        task = asyncio.ensure_future(give(process, ENDLESS, answer=LONG_LIST))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.01)

    assert turns > 10
    assert await task is Reason.INVALID_EXPRESSION


@on_uvloop
async def test_an_expression_that_was_costly_once_holds_up_only_its_like() -> None:
    async with evaluating() as process:
        assert await give(process, ENDLESS, answer=LONG_LIST) is Reason.INVALID_EXPRESSION
        assert await give(process, ENDLESS) == (True,)
        slow = process._slow._worker
        assert slow is not None
        os.kill(slow.process.pid, signal.SIGSTOP)
        stuck = asyncio.ensure_future(give(process, ENDLESS, seconds=20))
        found = [await give(process, "json.token") for _ in range(10)]

        assert found == [("t",)] * 10
        assert not stuck.done()
        os.kill(slow.process.pid, signal.SIGCONT)
        assert await stuck == (True,)


@on_uvloop
async def test_who_waits_past_his_deadline_learns_that_we_lacked_resources() -> None:
    """Nothing was learnt about the target or the expression: neither Fail nor Invalid."""
    async with evaluating() as process:
        assert await give(process, "json.token") == ("t",)
        os.kill(pid_of(process), signal.SIGSTOP)
        first = asyncio.ensure_future(give(process, "json.n", seconds=0.4))
        await asyncio.sleep(0)
        waiting = await give(process, "json.token", seconds=0.1)
        late = await give(process, "json.token", seconds=-1.0)

        assert waiting is Reason.OUT_OF_RESOURCES
        assert late is Reason.OUT_OF_RESOURCES
        assert await first is Reason.OUT_OF_RESOURCES


@on_uvloop
async def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    async with evaluating() as process:
        await give(process, "json.token")
        hung = pid_of(process)
        os.kill(hung, signal.SIGSTOP)

        assert await give(process, "json.token", seconds=0.1) is Reason.OUT_OF_RESOURCES
        await until(lambda: not is_alive(hung))
        assert await give(process, "json.n") == (1,)


@on_uvloop
async def test_a_worker_that_is_killed_in_an_evaluation_is_replaced_and_asked_again() -> None:
    """Fault 22: the kernel kills it when memory runs out."""
    async with evaluating() as process:
        await give(process, "json.token")
        worker = pid_of(process)
        os.kill(worker, signal.SIGSTOP)
        asked = asyncio.ensure_future(give(process, "json.token"))
        await asyncio.sleep(0)
        os.kill(worker, signal.SIGKILL)

        assert await asked == ("t",)


@on_uvloop
async def test_a_worker_that_died_between_evaluations_is_replaced() -> None:
    async with evaluating() as process:
        for _ in range(3):
            assert await give(process, "json.n") == (1,)
            worker = pid_of(process)
            os.kill(worker, signal.SIGKILL)
            await until(lambda pid=worker: not is_alive(pid))
        assert not process._costly


@on_uvloop
async def test_an_evaluation_that_kills_each_worker_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """One retry, then Internal."""
    starts: list[int] = []

    async def dying(worker: Any, _question: bytes) -> bytes:
        starts.append(worker.process.pid)
        os.kill(worker.process.pid, signal.SIGKILL)
        raise EOFError

    async with evaluating() as process:
        with monkeypatch.context() as patch:
            patch.setattr(cel._Worker, "ask", dying)
            assert await give(process, "json.n") is Reason.INTERNAL
        assert await give(process, "json.n") == (1,)

    assert len(set(starts)) == 2


@pytest.mark.parametrize("reply", [b"", b"no JSON", b"[]", b'{"values": 7}', b'{"values": []}', b'{"failure": "?"}'])
@on_uvloop
async def test_a_reply_that_makes_no_sense_is_our_own_fault(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def babble(_worker: Any, _question: bytes) -> bytes:
        return reply

    monkeypatch.setattr(cel._Worker, "ask", babble)
    async with evaluating() as process:
        assert await give(process, "json.n") is Reason.INTERNAL


@on_uvloop
async def test_a_reply_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with evaluating() as process:
        await give(process, "json.n")
        monkeypatch.setattr(cel, "_MOST_REPLY", 8)

        assert await give(process, "json.n") is Reason.INTERNAL


def test_only_so_many_costly_expressions_are_remembered() -> None:
    process = CelProcess(time.monotonic)
    for number in range(5000):
        process._remember(number)

    assert 1000 < len(process._costly) < 2000
    assert 4999 in process._costly


@on_uvloop
async def test_a_worker_that_cannot_live_is_not_started_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[object] = []
    start = cel.start

    def count(command: Any, channel: Any) -> Any:
        starts.append(channel)
        return start(command, channel)

    monkeypatch.setattr(cel, "start", count)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with evaluating() as process:
        found = [await give(process, "json.n") for _ in range(20)]

    assert found == [Reason.INTERNAL] * 20
    assert len(starts) == 1


@on_uvloop
async def test_no_room_for_a_worker_is_a_lack_of_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 23: no descriptor, no process id or no memory is left."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with evaluating() as process:
        before = open_files()

        assert await give(process, "json.n") is Reason.OUT_OF_RESOURCES
        assert open_files() == before


@on_uvloop
async def test_a_cancelled_evaluation_does_not_give_its_answer_to_the_next() -> None:
    async with evaluating() as process:
        await give(process, "json.token")
        os.kill(pid_of(process), signal.SIGSTOP)
        task = asyncio.ensure_future(give(process, "json.n"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await give(process, "json.token") == ("t",)


@on_uvloop
async def test_who_does_not_wait_for_the_start_leaves_the_worker_to_the_next() -> None:
    async with evaluating() as process:
        assert await give(process, "json.n", seconds=0.001) is Reason.OUT_OF_RESOURCES
        starting = pid_of(process)

        assert await give(process, "json.n") == (1,)
        assert pid_of(process) == starting


@on_uvloop
async def test_closing_ends_the_workers_and_leaves_nothing_open() -> None:
    before = open_files()
    async with evaluating() as process:
        await give(process, "json.n")
        await give(process, ENDLESS, answer=LONG_LIST)
        await give(process, ENDLESS)
        await give(process, "json.n")
        workers = [lane._worker.process for lane in (process._quick, process._slow) if lane._worker is not None]
    after = await give(process, "json.n")
    process.close()

    assert len(workers) == 2
    assert all(worker.returncode is not None for worker in workers)
    assert after is Reason.INTERNAL
    assert open_files() == before


@on_uvloop
async def test_an_evaluation_that_is_under_way_when_all_is_closed_ends() -> None:
    before = open_files()
    async with evaluating() as process:
        await give(process, "json.n")
        os.kill(pid_of(process), signal.SIGSTOP)
        asked = asyncio.ensure_future(give(process, "json.n"))
        await asyncio.sleep(0.01)
        process.close()

        assert await asked is Reason.INTERNAL
    await until(lambda: open_files() == before)


# --- what a worker is -----------------------------------------------------------------------------------


@on_uvloop
async def test_a_worker_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """H9: an expression that breaks out finds no credential and no open file."""
    monkeypatch.setenv("HOMEOSTAT_STORE_URL", "postgresql://user:password@db")
    monkeypatch.setenv("KUBECONFIG", "/etc/config")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    async with evaluating() as process:
        await give(process, "json.n")
        files = len(os.listdir(f"/proc/{pid_of(process)}/fd"))  # noqa: PTH208 - nothing blocks in there

    assert not {"HOMEOSTAT_STORE_URL", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"} & set(child._environment())
    assert files == 3


@on_uvloop
async def test_a_worker_is_limited_in_memory_files_and_cores() -> None:
    async with evaluating() as process:
        await give(process, "json.n")
        limits = limits_of(pid_of(process))
        status = Path(f"/proc/{pid_of(process)}/status").read_text()  # noqa: ASYNC240 - nothing blocks in there

    assert limits["Max core file size"] == 0
    assert limits["Max file size"] == 0
    assert limits["Max open files"] <= 16
    assert limits["Max address space"] <= 128 << 20
    assert "NoNewPrivs:\t1" in status


@on_uvloop
async def test_a_worker_does_not_mind_an_interrupt() -> None:
    async with evaluating() as process:
        await give(process, "json.n")
        worker = pid_of(process)
        os.kill(worker, signal.SIGINT)

        assert await give(process, "json.n") == (1,)
        assert pid_of(process) == worker


_PARENT = """
import asyncio, sys, time
from homeostat.probe.http.answer import Answer
from homeostat.probe.processes.cel import CelProcess

async def main():
    process = CelProcess()
    assert await process.evaluate(("status",), Answer(200), time.monotonic() + 30) == (200,)
    print(process._quick._worker.process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_worker_dies_with_its_parent() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_alive(worker)
        parent.kill()
    asyncio.run(until(lambda: not is_alive(worker)))


def test_who_evaluates_nothing_pays_nothing() -> None:
    """An idle operator imports neither evaluator nor matcher, and starts no process."""
    script = (
        "import sys, homeostat.probe.processes.cel, homeostat.probe.http.content, homeostat.probe.http.steps as steps\n"
        "process = homeostat.probe.processes.cel.CelProcess()\n"
        "assert not {'cel', 're2'} & set(sys.modules)\n"
        "assert process._quick._worker is None\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)


@on_uvloop
async def test_a_large_expression_over_a_large_text_is_matched_elsewhere() -> None:
    """Fault 26: matching is linear in time, but half a second of it is too much for the loop."""
    async with evaluating() as process:
        deadline = time.monotonic() + 30

        assert await process.matches("b(a?){100}$", b"b" + b"a" * 50, deadline) is True
        assert await process.matches("c$", b"ab", deadline) is False
        assert await process.matches("(", b"ab", deadline) is Reason.INVALID_EXPRESSION
        assert not process._costly
        assert await process.matches("(((a?b?){30}){30})z", b"ab" * 524_288, deadline) is Reason.INVALID_EXPRESSION
        assert len(process._costly) == 1
