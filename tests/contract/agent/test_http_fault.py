"""The HTTP fault between two network namespaces: a client, and a pod with a program that knows of nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contract.agent.namespaces import POD, POD6, cabled, why_not
from contract.agent.running import RunningAgent, running, until
from homeostat.core.orders import AgentState, OffReason, RefusalReason

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
PORT = 8080
PROGRAM = f"""
import http.server, socket
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = self.client_address[0].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers()
        self.wfile.write(text)
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
http.server.ThreadingHTTPServer.allow_reuse_address = True
Server(("::", {PORT}), Answer).serve_forever()
"""
ASK = """
import http.client, sys
try:
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2)
    statuses = []
    for _ in range(int(sys.argv[3])):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        statuses.append(str(answer.status))
    print(*statuses)
except OSError as error:
    print(type(error).__name__)
"""
KEEP = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2)
for _ in sys.stdin:
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        print(answer.status, flush=True)
    except OSError as error:
        connection.close()
        print(type(error).__name__, flush=True)
"""


@dataclass
class Pod:
    """A network namespace with a program, and one with its clients."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]

    def ask(self, times: int = 1, *, address: str = POD, from_inside: bool = False) -> list[str]:
        """Give the statuses of so many requests over one connection."""
        where = self.inside if from_inside else self.outside
        command = [*where, sys.executable, "-S", "-c", ASK, address, str(PORT), str(times)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def rules(self) -> str:
        """Give all packet rules of the pod."""
        return subprocess.run(
            [*self.inside, "nft", "list", "ruleset"], capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    with cabled() as cable:
        found = Pod(("ip", "netns", "exec", cable.pod), ("ip", "netns", "exec", cable.peer))
        program = subprocess.Popen([*found.inside, sys.executable, "-S", "-c", PROGRAM], stderr=subprocess.DEVNULL)
        try:
            until(lambda: found.ask() == ["200"])
            yield found
        finally:
            program.kill()
            program.wait()


@pytest.fixture
def broken(pod: Pod) -> Iterator[RunningAgent]:
    with running("http", {"port": PORT, "status": 503}, before=pod.inside) as agent:
        assert agent.turn_on().state is AgentState.ON
        yield agent


@pytest.mark.parametrize("address", [POD, POD6])
def test_requests_from_outside_get_the_status_and_those_from_inside_do_not(
    address: str, broken: RunningAgent, pod: Pod
) -> None:
    """The relay's own requests come from inside as well."""
    assert pod.ask(3, address=address) == ["503"] * 3
    assert pod.ask(address=address, from_inside=True) == ["200"]
    assert broken.beat().counters == {"requests": 3, "hit": 3, "unread": 0}


def test_a_share_of_requests_is_met_not_of_connections(pod: Pod) -> None:
    """One connection sees both kinds of answer."""
    settings = {"port": PORT, "status": 418, "percent": "50%"}
    with running("http", settings, before=pod.inside, beat_seconds=30) as agent:
        agent.turn_on()
        statuses = pod.ask(100)
        counters = agent.beat().counters

    assert set(statuses) == {"200", "418"}
    assert counters == {"requests": 100, "hit": statuses.count("418"), "unread": 0}


def test_a_connection_that_was_open_before_is_met_too(pod: Pod) -> None:
    """C18: who keeps connections open is not spared: they are reset once, and come again by the relay."""
    command = [*pod.outside, sys.executable, "-S", "-c", KEEP, POD, str(PORT)]
    keeping = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert keeping.stdin is not None
    assert keeping.stdout is not None
    try:

        def ask() -> str:
            assert keeping.stdin is not None
            assert keeping.stdout is not None
            keeping.stdin.write("\n")
            return keeping.stdout.readline().strip()

        assert ask() == "200"
        with running("http", {"port": PORT, "status": 503}, before=pod.inside) as agent:
            agent.turn_on()
            assert ask() in {"ConnectionResetError", "RemoteDisconnected", "BrokenPipeError"}
            assert ask() == "503"
        until(lambda: ask() == "200")
    finally:
        keeping.kill()
        keeping.communicate()


@pytest.mark.parametrize("who", ["holder", "keeper"])
def test_nothing_is_left_when_who_holds_it_is_killed(who: str, broken: RunningAgent, pod: Pod) -> None:
    """C18: table and relay go with the process."""
    assert pod.ask() == ["503"]
    os.kill(broken.holder if who == "holder" else broken.process.pid, signal.SIGKILL)

    until(lambda: pod.rules() == "")
    until(lambda: pod.ask() == ["200"])


def test_nothing_is_left_when_it_is_told_to_end(broken: RunningAgent, pod: Pod) -> None:
    """C3: Off is said when the table is gone."""
    off = broken.beat(revert=True)

    assert (off.state, off.reason) == (AgentState.OFF, OffReason.TOLD)
    assert pod.rules() == ""
    assert pod.ask() == ["200"]


def test_nothing_is_left_when_keeper_and_holder_are_both_stopped(broken: RunningAgent, pod: Pod) -> None:
    """C18: a timer of the kernel's kills the holder, stopped as it is."""
    holder = broken.holder
    os.kill(broken.process.pid, signal.SIGSTOP)
    os.kill(holder, signal.SIGSTOP)

    until(lambda: pod.rules() == "")
    until(lambda: pod.ask() == ["200"])


def test_foreign_rules_are_a_refusal_and_stay(pod: Pod) -> None:
    """C6: what others put there may be what makes the port work."""
    subprocess.run([*pod.inside, "nft", "add table ip theirs"], check=True)
    try:
        before = pod.rules()
        with running("http", {"port": PORT, "status": 503}, before=pod.inside) as agent:
            assert agent.hear().reason == RefusalReason.FOREIGN_RULES
        assert pod.rules() == before
    finally:
        subprocess.run([*pod.inside, "nft", "delete table ip theirs"], check=True)


@pytest.mark.parametrize(
    "settings",
    [{"port": PORT}, {"port": PORT, "status": 503, "delay": "1s"}, {"port": PORT, "status": 101}, {"status": 503}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], pod: Pod) -> None:
    """An interim status is no answer."""
    with running("http", settings, before=pod.inside) as agent:
        assert agent.hear().reason == RefusalReason.INVALID
