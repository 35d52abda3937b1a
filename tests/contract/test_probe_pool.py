"""Probes sent by processes of their own: the same endings, and that the loss of a process is nobody's failure."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from math import inf, nan
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from contract.asking import LOOPBACK, network
from contract.certificates import AUTHORITY, GOOD, GOOD_UNTIL, identity
from contract.hostile import Served, answer, hearing, on_uvloop, open_files, serving, silent, until
from contract.prometheus_server import serving_prometheus, vector
from homeostat.cli.nowhere import Nowhere
from homeostat.core.probing.request import (
    Content,
    DnsRequest,
    HttpRequest,
    IcmpRequest,
    PromqlRequest,
    Request,
    StepRequest,
    StepsRequest,
    TcpRequest,
    Tls,
    TlsRequest,
    WorkloadRequest,
)
from homeostat.core.probing.result import Phases, Reason, Verdict
from homeostat.probe.ending import Ending, verdict_of
from homeostat.probe.net.address import Guard
from homeostat.probe.processes import pool as pool_module
from homeostat.probe.processes.child import _environment
from homeostat.probe.processes.pool import WORKER, ProberPool, _peer
from homeostat.probe.processes.pool_wire import RECORD, record, reply_of
from homeostat.wiring.outside import prober_on
from homeostat.wiring.settings import Settings

FINE = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id": "7"}'
SORRY = b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n"
GUARD = Guard(allow=[ip_network(text) for text in LOOPBACK])
DEAF = (sys.executable, "-c", "import time; time.sleep(60)")
"""A command that never says anything."""


@asynccontextmanager
async def pooled(processes: int = 1, **more: Any) -> AsyncIterator[ProberPool]:
    pool = ProberPool(GUARD, processes, **more)
    try:
        async with asyncio.timeout(60):
            yield pool
    finally:
        pool.close()


async def give(pool: ProberPool, request: Request, seconds: float = 10.0) -> Ending:
    return await pool.run(request, time.monotonic() + seconds)


def to(port: int, **more: Any) -> HttpRequest:
    return HttpRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", **more})


def pids(pool: ProberPool) -> list[int]:
    return [lane._child.process.pid for lane in pool._lanes if lane._child is not None]


def open_questions(pool: ProberPool) -> int:
    return sum(len(lane._open) for lane in pool._lanes)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead but not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def is_ready(pool: ProberPool) -> None:
    """Wait until the processes can be asked."""
    await until(lambda: all(lane._child is not None and lane._child.ready_at < inf for lane in pool._lanes))


# --- the same endings -----------------------------------------------------------------------------------


def requests(fine: Served, sorry: Served, secure: Served, closing: Served) -> Iterable[Request]:
    """Give requests of all kinds with endings of all kinds."""
    trusted = Tls(ca=AUTHORITY.encode())
    captures = (("id", "json.id"),)
    yield to(fine.port)
    yield to(sorry.port)
    yield to(closing.port)
    yield to(1)
    yield to(fine.port, address="", host="127.0.0.1")
    yield to(fine.port, address="169.254.169.254")
    yield to(fine.port, content=Content(json='json.id == "7"'))
    yield to(fine.port, content=Content(contains="nothing"))
    yield to(fine.port, headers=(("X", "a\r\nb"),))
    yield to(secure.port, is_tls=True, tls=trusted)
    yield to(secure.port, is_tls=True)
    yield TlsRequest("shop.test", secure.port, "127.0.0.1", tls=trusted)
    yield TlsRequest("shop.test", secure.port, "127.0.0.1", min_validity=1e10, tls=trusted)
    yield TcpRequest("shop.test", fine.port, "127.0.0.1")
    yield TcpRequest("shop.test", fine.port, "127.0.0.1", b"GET / HTTP/1.1\r\n\r\n", "200 OK")
    yield DnsRequest("shop.test", "NONSENSE", "127.0.0.1", fine.port)
    yield IcmpRequest("127.0.0.1")
    yield StepsRequest(
        (StepRequest("one", to(fine.port), captures), StepRequest("two", to(fine.port, target="/{{id}}")))
    )
    yield StepsRequest((StepRequest("one", to(fine.port)), StepRequest("two", to(sorry.port))))
    yield WorkloadRequest("shop", "Deployment", "api", cast("Any", 1))


@on_uvloop
async def test_processes_of_their_own_find_what_this_one_finds(tmp_path: Path) -> None:
    def found(ending: Ending) -> Ending:
        """Leave out what differs from run to run: how long the phases were, but not which there were."""
        phases = ending.phases and Phases(*(float(phase > 0) for phase in ending.phases))
        return ending._replace(phases=phases)

    reasons: set[Reason] = set()
    async with (
        serving(answer(FINE)) as fine,
        serving(answer(SORRY)) as sorry,
        serving(answer(FINE), tls=identity(tmp_path, GOOD)) as secure,
        serving(answer(b"")) as closing,  # closes once it has read: before, it is a race between FIN and RST
        pooled(2) as pool,
    ):
        with network() as here:
            for request in requests(fine, sorry, secure, closing):
                ours = await here.run(request, time.monotonic() + 10)
                theirs = await give(pool, request)
                reasons.add(theirs.reason)

                assert found(theirs) == found(ours), request
                if theirs.not_after:
                    assert theirs.not_after == GOOD_UNTIL

    assert len(reasons) > 9


class Answering(asyncio.Protocol):
    """Answers whatever is asked."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self.transport.write(FINE)
        self.transport.close()


@on_uvloop
async def test_two_thousand_probes_at_once_all_end_well() -> None:
    # A queue with room for all: connections that the kernel drops would come back seconds later, or not at all.
    server = await asyncio.get_running_loop().create_server(Answering, "0.0.0.0", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    async with server, pooled(2) as pool:
        await is_ready(pool)
        asked = [to(port, address=f"127.0.0.{number % 250 + 1}", target=f"/{number}") for number in range(2000)]
        endings = await asyncio.gather(*(give(pool, request, 50) for request in asked))

        assert Counter((ending.reason, ending.code) for ending in endings) == {(Reason.OK, 200): 2000}
        assert open_questions(pool) == 0


@on_uvloop
async def test_what_goes_to_one_peer_is_sent_by_one_process() -> None:
    """Else kept connections would be of no use."""
    async with serving(hearing(FINE)) as served, pooled(3) as pool:
        for number in range(9):
            await give(pool, to(served.port, keeps_connection=True, target=f"/{number}"))

        assert served.connections == 1


def test_requests_to_many_peers_are_spread() -> None:
    peers = {hash(_peer(to(80, address=f"10.0.{number >> 8}.{number & 255}"))) % 4 for number in range(256)}
    many_steps = StepsRequest((StepRequest("one", to(80)), StepRequest("two", to(81))))

    assert len(peers) == 4
    assert _peer(many_steps) == _peer(to(80, target="/elsewhere"))


# --- a process that is lost -----------------------------------------------------------------------------


@on_uvloop
async def test_a_process_that_is_killed_fails_no_target_and_is_replaced() -> None:
    """Fault 22: what it was asked ends as our own error, and others go on."""
    async with serving(silent) as quiet, serving(answer(FINE)) as served, pooled(1) as pool:
        asked = [asyncio.ensure_future(give(pool, to(quiet.port))) for _ in range(20)]
        await until(lambda: quiet.connections == 20)
        (killed,) = pids(pool)
        with structlog.testing.capture_logs() as logs:
            os.kill(killed, signal.SIGKILL)
            endings = await asyncio.gather(*asked)

        assert {verdict_of(ending.reason) for ending in endings} == {Verdict.ERROR}
        assert [(line["event"], line["why"], line["open"]) for line in logs] == [("probe process lost", "ended", 20)]
        assert (await give(pool, to(served.port))).reason is Reason.OK
        assert pids(pool) != [killed]


@on_uvloop
async def test_what_a_lost_process_was_about_to_be_asked_is_not_asked_of_the_next() -> None:
    """Its answer would be one to a question that nobody remembers."""
    async with serving(answer(FINE)) as served, pooled(1) as pool:
        await is_ready(pool)
        with structlog.testing.capture_logs() as logs:
            asked = asyncio.ensure_future(give(pool, to(served.port)))
            await asyncio.sleep(0)
            pool._lanes[0]._lose("for a test")

            assert await asked == Ending(Reason.INTERNAL)
            assert (await give(pool, to(served.port))).reason is Reason.OK
        assert [line["why"] for line in logs] == ["for a test"]
        assert served.connections == 1


@on_uvloop
async def test_a_process_that_hangs_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_GRACE", 0.2)
    async with serving(answer(FINE)) as served, pooled(1) as pool:
        await give(pool, to(served.port))
        (hung,) = pids(pool)
        os.kill(hung, signal.SIGSTOP)
        ending = await give(pool, to(served.port), 0.2)

        assert verdict_of(ending.reason) is Verdict.ERROR
        await until(lambda: not is_alive(hung))
        assert (await give(pool, to(served.port))).reason is Reason.OK


@on_uvloop
async def test_a_process_that_starts_slowly_fails_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout that our own slowness had a share in says nothing of the target."""
    monkeypatch.setattr(pool_module, "_GRACE", 30.0)
    async with serving(silent) as quiet, pooled(1) as pool:
        ending = await give(pool, to(quiet.port), 0.7)  # of which the start takes a part
        again = await give(pool, to(quiet.port), 0.2)

    assert ending.reason is Reason.OUT_OF_RESOURCES
    assert again.reason is Reason.TIMEOUT


@on_uvloop
async def test_nobody_waits_long_for_a_process_that_is_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_GRACE", 0.1)
    monkeypatch.setattr(pool_module, "_START_SECONDS", 2.5)
    async with pooled(1, command=DEAF) as pool:
        (deaf,) = pids(pool)
        assert (await give(pool, to(1), 0.1)).reason is Reason.OUT_OF_RESOURCES
        assert is_alive(deaf)
        await until(lambda: not is_alive(deaf))
        await until(lambda: pids(pool) not in ([], [deaf]))


@pytest.mark.parametrize("command", [("/bin/false",), ("/nothing/of/the/kind",)])
@on_uvloop
async def test_a_process_that_cannot_live_is_started_again_ever_more_slowly(command: tuple[str, ...]) -> None:
    began = time.monotonic()
    with structlog.testing.capture_logs() as logs:
        async with pooled(1, command=command) as pool:
            await until(lambda: len(logs) >= 3)
            rested = time.monotonic() - began
            ending = await give(pool, to(1))

    assert [line["rest"] for line in logs[:3]] == [0.0, 1.0, 2.0]
    assert rested >= 1.0
    assert ending.reason is Reason.OUT_OF_RESOURCES


# --- a process that cannot be trusted -------------------------------------------------------------------


def saying(*records: bytes) -> tuple[str, ...]:
    """Give the command of a process that waits for the first question, says `records`, and waits to be killed."""
    said = b"".join(records)
    script = f"""
import socket, time
channel = socket.socket(fileno=0)
heard = b""
while b"Ask" not in heard:
    heard += channel.recv(1 << 16)
channel.sendall(bytes.fromhex({said.hex()!r}))
time.sleep(60)
"""
    return (sys.executable, "-c", script)


def raw(
    number: int = 1, reason: int = 0, step: int = -1, phase: float = 0.1, until: float = 0.0, where: bytes = b""
) -> bytes:
    return RECORD.pack(number, reason, step, 200, True, phase, 0.0, 0.0, 0.0, 0.0, until, where)


@pytest.mark.parametrize(
    "said",
    [
        b"\x80\x05cos\nsystem\n" + bytes(RECORD.size),  # a pickle that would run a command
        b"HTTP/1.1 200 OK\r\n" * 20,
        raw(number=2),  # nobody asked that
        raw(number=2**64 - 1),
        raw(reason=255),
        raw(step=0),  # not a probe of steps
        raw(phase=nan),
        raw(phase=-1.0),
        raw(phase=inf),
        raw(until=nan),
        raw(until=-1.0),
        raw(where=b"Error: secret \xff"),
        raw(where=b"two\x00parts"),
        raw(number=0) + raw(number=0),  # ready twice
    ],
)
@on_uvloop
async def test_a_process_that_says_what_it_cannot_know_is_killed(said: bytes) -> None:
    """H9: it may be taken over by what a stranger sent. Its questions end as our own error."""
    async with pooled(1, command=saying(said)) as pool:
        (liar,) = pids(pool)
        with structlog.testing.capture_logs() as logs:
            ending = await give(pool, to(1))

        assert ending == Ending(Reason.INTERNAL)
        assert [line["why"] for line in logs] == ["garbage"]
        await until(lambda: not is_alive(liar))


@on_uvloop
async def test_an_answer_given_twice_is_a_lie() -> None:
    async with pooled(1, command=saying(raw(), raw())) as pool:
        (liar,) = pids(pool)

        assert (await give(pool, to(1))).reason is Reason.OK
        await until(lambda: not is_alive(liar))


REQUESTS = (to(80), StepsRequest((StepRequest("one", to(80)), StepRequest("two", to(81)))))


@given(st.binary(min_size=RECORD.size, max_size=RECORD.size), st.sampled_from(REQUESTS))
def test_any_bytes_are_an_ending_or_a_lie(data: bytes, request: Request) -> None:
    """Whatever comes, no text of a stranger's is among it."""
    try:
        ending, where = reply_of(RECORD.unpack(data), request)
    except ValueError:
        return
    assert ending.step in {"", "one", "two"}
    assert not set(where) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:<>")


endings = st.builds(
    Ending,
    st.sampled_from(Reason),
    st.integers(0, 65_535),
    st.none() | st.builds(Phases, *[st.floats(0, 86_400)] * 5),
    st.floats(0, 1e12),
    st.none(),
    st.sampled_from(("", "one", "two")),
)


@given(endings)
def test_an_ending_comes_back_as_it_was_written(ending: Ending) -> None:
    assert reply_of(RECORD.unpack(record(7, ending, REQUESTS[1])), REQUESTS[1]) == (ending, "")


@on_uvloop
async def test_a_bug_in_a_process_is_told_by_its_place() -> None:
    """It is our own error, costs no other probe anything, and what went wrong is not quoted."""
    async with pooled(1) as pool:
        await is_ready(pool)
        with structlog.testing.capture_logs() as logs:
            ending = await give(pool, to(80, expect_status=cast("Any", (7,))))

        assert ending == Ending(Reason.INTERNAL)
        assert [line["event"] for line in logs] == ["probe_internal_error"]
        assert logs[0]["where"].startswith("TypeError:http.probe:")
        assert (await give(pool, to(1))).reason is Reason.CONNECTION_REFUSED


# --- bounds ---------------------------------------------------------------------------------------------


@on_uvloop
async def test_a_probe_that_is_given_up_leaves_nothing_behind() -> None:
    """Neither here nor there: the connection is closed long before its deadline."""
    async with serving(silent) as quiet, pooled(1) as pool:
        asked = [asyncio.ensure_future(give(pool, to(quiet.port), 50)) for _ in range(20)]
        await until(lambda: quiet.connections == 20)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await until(lambda: open_questions(pool) == 0)

        at_once = asyncio.ensure_future(give(pool, to(quiet.port), 50))
        await asyncio.sleep(0)
        at_once.cancel()
        await asyncio.gather(at_once, return_exceptions=True)
        await until(lambda: open_questions(pool) == 0)


@pytest.mark.parametrize(("name", "most"), [("_MOST_OPEN", 3), ("_MOST_UNSENT", 1000)])
@on_uvloop
async def test_more_than_a_process_can_take_is_a_lack_of_resources(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, name, most)
    monkeypatch.setattr(pool_module, "_GRACE", 0.1)
    async with pooled(1, command=DEAF) as pool:
        first = [asyncio.ensure_future(give(pool, to(1, body=bytes(1 << 20)), 0.5)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        async with asyncio.timeout(0.4):
            assert (await give(pool, to(1), 50)).reason is Reason.OUT_OF_RESOURCES
        await asyncio.gather(*first)


# --- life and death -------------------------------------------------------------------------------------


@on_uvloop
async def test_closing_ends_all_processes_and_leaves_nothing_open() -> None:
    async with serving(hearing(FINE), "0.0.0.0") as served:
        before = open_files()
        async with pooled(2) as pool:
            asked = to(served.port, content=Content(json='json.id == "7"'))
            assert (await give(pool, asked)).reason is Reason.OK  # by a process that was started by one of ours
            started = pids(pool)
            theirs = [child for pid in started for child in children(pid)]
            waiting = asyncio.ensure_future(give(pool, asked))
            await asyncio.sleep(0)
            pool.close()

            assert (len(started), len(theirs)) == (2, 1)
            assert not any(map(is_alive, started))
            assert (await waiting).reason is Reason.INTERNAL
            assert (await give(pool, asked)).reason is Reason.OUT_OF_RESOURCES
        await until(lambda: not any(map(is_alive, theirs)))
        await until(lambda: open_files() <= before)


@on_uvloop
async def test_the_prober_of_the_operator_closes_all_that_it_was_given() -> None:
    threads, others = set(threading.enumerate()), children(os.getpid())
    async with serving(answer(FINE)) as served, serving_prometheus(vector("1")) as prometheus:
        url = f"http://localhost:{prometheus.served.port}"
        settings = Settings(probe_processes=2, allow_networks=(ip_network("127.0.0.0/8"),), prometheus_url=url)
        prober = prober_on(cast("Any", Nowhere("there is none")), settings, server="")
        results = [await prober.probe(one, 10) for one in (to(served.port), PromqlRequest("up", ">", 0))]
        started = [child for child in children(os.getpid()) if child not in others]
        prober.close()

        assert [result.verdict for result in results] == [Verdict.PASS, Verdict.PASS]
        assert len(started) == 2
        assert not any(map(is_alive, started))
        await until(lambda: set(threading.enumerate()) <= threads)  # that of Prometheus resolved a name


_PARENT = """
import asyncio, time, uvloop
from homeostat.probe.net.address import Guard
from homeostat.probe.processes.pool import ProberPool

async def main():
    pool = ProberPool(Guard(), 2)
    print(*(lane._child.process.pid for lane in pool._lanes), flush=True)
    await asyncio.sleep(60)

uvloop.run(main())
"""


@pytest.mark.parametrize("pause", [0.0, 1.0], ids=["while they start", "when they are ready"])
def test_processes_die_with_their_parent(pause: float) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        started = [int(text) for text in parent.stdout.readline().split()]
        time.sleep(pause)
        parent.kill()
    _await(lambda: not any(map(is_alive, started)))

    assert len(started) == 2


@on_uvloop
async def test_signals_to_the_whole_group_end_no_process() -> None:
    """Ctrl-C, and a stop of the pod: the parent ends them when it has no more use for them."""
    async with serving(answer(FINE)) as served, pooled(1) as pool:
        await is_ready(pool)
        for one in (signal.SIGINT, signal.SIGTERM):
            os.kill(pids(pool)[0], one)

        assert (await give(pool, to(served.port))).reason is Reason.OK


@pytest.mark.skipif(os.getuid() != 0, reason="what we look at is hidden, even from whom it belongs to")
@on_uvloop
async def test_a_process_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_STORE_URL", "a secret")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    async with pooled(1) as pool:
        await is_ready(pool)
        process = Path("/proc", str(pids(pool)[0]))
        environment = process.joinpath("environ").read_bytes()
        files = {str(os.readlink(one)).partition(":")[0] for one in process.joinpath("fd").iterdir()}  # noqa: PTH115

    assert b"secret" not in environment
    assert b"KUBERNETES" not in environment
    assert {b for b in environment.split(b"\0") if b.startswith(b"HOMEOSTAT")} == set()
    assert files <= {"/dev/null", "socket", "pipe", "anon_inode"}


def test_only_what_the_system_reads_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("RES_OPTIONS", "ndots:1")

    assert {"PYTHONPATH", "RES_OPTIONS"} <= set(_environment())
    assert "AWS_SECRET_ACCESS_KEY" not in _environment()
    assert WORKER[0] == sys.executable


def _await(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
