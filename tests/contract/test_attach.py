"""Attachments to agents' containers, on a real WebSocket server of loopback; and how an agent gets into its pod."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contract.kube_server import Seen, answers, client_of, credentials, hangs, refuses, resets, serving, serving_handler
from homeostat.core.action import Outcome, StartAgent, Verb
from homeostat.core.orders import LONGEST_LINE, NEEDS, AgentState, Beat, Order, Said
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import Identity
from homeostat.kube.faults.attach import ApiAgentWires, SocketWire
from homeostat.kube.faults.ephemeral import EphemeralAgents
from homeostat.ports import Forbidden, Gone, Unavailable

POD = Ref("Pod", "shop", "web-1", "pod-uid")
NAME = "homeostat-1"
ON = Said(AgentState.ON, "nftables", beat=1, counters={"dropped": 3}).line()
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
OUT, ERR, END = b"\x01", b"\x02", b"\x03"


@asynccontextmanager
async def wire_to(talk: Talk, seen: list[web.Request] | None = None) -> AsyncIterator[SocketWire]:
    """Attach to a container whose end of the wire is `talk`."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if seen is not None:
            seen.append(request)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        await talk(socket)
        return socket

    async with (
        serving_handler(serve) as url,
        client_of(url) as client,
        ApiAgentWires(client).attached(POD, NAME) as wire,
    ):
        yield wire


def saying(*messages: bytes) -> Talk:
    """Send messages, then end."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for message in messages:
            await socket.send_bytes(message)
        await socket.close()

    return talk


async def heard(wire: SocketWire) -> list[bytes]:
    """Hear all that comes until the end."""
    lines = []
    while (line := await wire.hear()) is not None:
        lines.append(line)
    return lines


async def test_lines_go_to_standard_input_and_come_from_standard_output() -> None:
    """C4: on their own streams, by the newest protocol that both know, as who we are."""
    seen: list[web.Request] = []
    got: list[Any] = []

    async def talk(socket: web.WebSocketResponse) -> None:
        got.append(await socket.receive_bytes())
        await socket.send_bytes(OUT + ON)
        await socket.close()

    async with wire_to(talk, seen) as wire:
        await wire.send(Beat(1).line())
        assert [Said.read(line).counters for line in await heard(wire)] == [{"dropped": 3}]

    (request,) = seen
    assert got == [b"\x00" + Beat(1).line()]
    assert request.path == "/api/v1/namespaces/shop/pods/web-1/attach"
    assert dict(request.query) == {"container": NAME, "stdin": "true", "stdout": "true", "stderr": "true"}
    assert request.headers["Authorization"] == "Bearer known"
    assert request.headers["Sec-WebSocket-Protocol"].split(",")[0] == "v5.channel.k8s.io"


async def test_a_line_may_come_in_pieces_and_several_at_once() -> None:
    async with wire_to(
        saying(OUT + b"on", OUT + b"e\ntwo\nth", OUT + b"", ERR + b"complaint\n", OUT + b"ree\n")
    ) as wire:
        assert await heard(wire) == [b"one", b"two", b"three"]


async def test_a_line_without_end_is_dropped_and_the_next_one_is_heard() -> None:
    """Who floods us costs us one line, not our memory."""
    flood = [OUT + b"x" * (LONGEST_LINE - 10)] * 3
    async with wire_to(saying(*flood, OUT + b"x\nfine\n")) as wire:
        assert await heard(wire) == [b"fine"]


@pytest.mark.parametrize(
    "last",
    [END + b'{"status":"Success"}', END + b'{"status":"Failure","reason":"InternalError"}', END + b"what?", END],
)
async def test_what_is_told_on_the_last_stream_ends_it(last: bytes) -> None:
    async with wire_to(saying(OUT + b"one\n", last, OUT + b"two\n")) as wire:
        assert await heard(wire) == [b"one"]


async def test_a_connection_that_breaks_ends_it_and_takes_no_line() -> None:
    """C4: never an exception that is not of the ports."""

    async def talk(socket: web.WebSocketResponse) -> None:
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.abort()

    async with wire_to(talk) as wire:
        assert await heard(wire) == []
        with pytest.raises(Unavailable):
            await wire.send(Beat(1).line())


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (refuses(403, "Forbidden"), Forbidden),
        (refuses(404, "NotFound"), Gone),
        (refuses(500, "InternalError"), Unavailable),
        (answers(200), Unavailable),
        (resets, Unavailable),
        (hangs, Unavailable),
    ],
    ids=["403", "404", "500", "no websocket", "reset", "silence"],
)
async def test_who_cannot_attach_is_told_why(behaviour: Any, error: type[Exception]) -> None:
    async with serving(behaviour) as api, client_of(api.url, patience=Patience(timeout=0.2)) as client:
        with pytest.raises(error):
            async with ApiAgentWires(client).attached(POD, NAME):
                raise AssertionError("attached")


class Rotated:
    """An identity that the server forgot, and another once it is asked for."""

    async def identity(self, *, renew: bool) -> Identity:
        return Identity(token="new" if renew else "old")


async def test_an_identity_that_was_rotated_is_renewed_once() -> None:
    tokens: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers["Authorization"])
        if tokens[-1] == "Bearer old":
            return web.Response(status=401)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await saying(OUT + b"one\n")(socket)
        return socket

    async with (
        serving_handler(serve) as url,
        ApiClient(credentials(url, Rotated())) as client,
        ApiAgentWires(client).attached(POD, NAME) as wire,
    ):
        assert await heard(wire) == [b"one"]

    assert tokens == ["Bearer old", "Bearer new"]


async def test_more_attachments_than_connections_for_requests_leave_room_for_those() -> None:
    """C3: an undo must not wait until an agent has ended."""
    count = 80

    async def serve(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/attach"):
            return web.json_response({"kind": "Pod"})
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await socket.receive()
        return socket

    async with serving_handler(serve) as url, client_of(url) as client:
        opened = [await client.websocket(f"/{number}/attach", {}, ("v5.channel.k8s.io",)) for number in range(count)]
        assert await client.request("GET", "/pod") == {"kind": "Pod"}
        for socket in opened:
            await socket.close()

    assert all(isinstance(socket, aiohttp.ClientWebSocketResponse) for socket in opened)


async def test_the_newest_lines_of_a_log_are_read_as_they_are() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        assert dict(request.query) == {"container": NAME, "tailLines": "20"}
        return web.Response(body=b"complaint \xff\n" + ON)

    async with serving_handler(serve) as url, client_of(url) as client:
        assert [*(await ApiAgentWires(client).last_lines(POD, NAME))][1:] == [ON.rstrip()]


# --- how an agent gets into its pod ---------------------------------------------------------------------

ORDER = Order("experiment-uid", 1, "network", {"loss": "10%"}, 35.0)
START = StartAgent("1", POD, NAME, ORDER)
DONE = Outcome(Verb.DONE)


def pod_body(*containers: str, uid: str = "pod-uid") -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "spec": {"ephemeralContainers": [{"name": name} for name in containers]}}


async def started(*script: Any, action: StartAgent = START, image: str = "homeostat:1") -> tuple[Outcome, list[Seen]]:
    """Have an agent started by an API server that plays a script."""
    async with serving(*script) as api, client_of(api.url) as client:
        actuator: Any = ApiActuator(client, None, None, agents=EphemeralAgents(client, image))  # type: ignore[arg-type]
        return await actuator.act(action, None), api.seen


async def test_an_agent_has_what_its_fault_needs_and_nothing_else() -> None:
    """C18: root in its container, one capability, no disk, no privilege."""
    outcome, (seen,) = await started(answers(200))

    container = seen.body["spec"]["ephemeralContainers"][0]
    assert outcome == DONE
    assert seen.path == "/api/v1/namespaces/shop/pods/web-1/ephemeralcontainers"
    assert seen.body["metadata"] == {"uid": "pod-uid"}
    assert (container["command"], container["args"]) == (["python3", "-m", "homeostat.agent"], [ORDER.text()])
    assert (container["stdin"], container["stdinOnce"], container["tty"]) == (True, False, False)
    assert "targetContainerName" not in container
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert (security["privileged"], security["allowPrivilegeEscalation"]) == (False, False)
    assert security["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("fault", sorted(NEEDS))
async def test_an_agent_sees_the_processes_of_the_container_that_its_order_names(fault: str) -> None:
    order = Order("experiment-uid", 1, fault, {}, 35.0, container="app")
    _, (seen,) = await started(answers(200), action=StartAgent("1", POD, NAME, order))

    container = seen.body["spec"]["ephemeralContainers"][0]
    assert container["targetContainerName"] == "app"
    assert container["securityContext"]["capabilities"].get("add", []) == list(NEEDS[fault])


@pytest.mark.parametrize(
    ("settings", "added"),
    [
        ({"delay": "100ms"}, ["NET_ADMIN", "NET_RAW"]),
        ({"delay": "100ms", "direction": "Both"}, ["NET_ADMIN", "NET_RAW"]),
        ({"delay": "100ms", "direction": "Ingress"}, ["NET_ADMIN"]),
        ({"loss": "10%", "direction": "Both"}, ["NET_ADMIN"]),
    ],
)
async def test_an_agent_that_delays_what_leaves_may_send_it_itself(settings: dict[str, str], added: list[str]) -> None:
    order = Order("experiment-uid", 1, "network", settings, 35.0)
    _, (seen,) = await started(answers(200), action=StartAgent("1", POD, NAME, order))

    security = seen.body["spec"]["ephemeralContainers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": added}


async def test_what_an_author_writes_reaches_the_agent_as_it_was_written() -> None:
    """C14: the kubelet replaces $(NAME) and $$ in arguments."""
    order = Order("experiment-uid", 1, "dns", {"names": ["$(KUBERNETES_SERVICE_HOST).example", "a$$b"]}, 35.0)
    _, (seen,) = await started(answers(200), action=StartAgent("1", POD, NAME, order))

    (text,) = seen.body["spec"]["ephemeralContainers"][0]["args"]
    assert "$" not in text
    assert Order.read(text) == order


@pytest.mark.parametrize(("fault", "user"), [("cpu", 65532), ("memory", 65532), ("network", 0), ("processPause", 0)])
async def test_an_agent_that_needs_no_capability_is_not_root(fault: str, user: int) -> None:
    """C6: namespaces of the level restricted let it in."""
    order = Order("experiment-uid", 1, fault, {}, 35.0)
    _, (seen,) = await started(answers(200), action=StartAgent("1", POD, NAME, order))

    security = seen.body["spec"]["ephemeralContainers"][0]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (user, user, user != 0)


POLICY = 'pods "web-1" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities'
RIGHT = 'pods "web-1" is forbidden: User "system:serviceaccount:homeostat-system:homeostat" cannot patch resource'


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([refuses(403, "Forbidden", message=POLICY)], Outcome(Verb.REFUSED, "Forbidden", POLICY)),
        (
            [refuses(403, "Forbidden", message=RIGHT)],
            Outcome(Verb.REFUSED, "Forbidden", "the operator lacks the right to do this"),
        ),
        ([refuses(422, "Invalid", message="may not be changed"), answers(200, pod_body(NAME))], DONE),
        (
            [refuses(422, "Invalid", message="no such container"), answers(200, pod_body())],
            Outcome(Verb.REFUSED, "Invalid", "no such container"),
        ),
        (
            [refuses(404, "NotFound"), refuses(404, "NotFound")],
            Outcome(Verb.REFUSED, "NotFound", "the object is not there"),
        ),
        (
            [refuses(409, "Conflict"), answers(200, pod_body(uid="another"))],
            Outcome(Verb.REFUSED, "NotFound", "the object is not there"),
        ),
        (
            [refuses(404, "NotFound"), answers(200, pod_body())],
            Outcome(Verb.REFUSED, "Unsupported", "this cluster has no ephemeral containers"),
        ),
        ([resets], Outcome(Verb.FAILED, "ApiUnavailable", "the API server did not answer properly")),
    ],
    ids=["policy", "no right", "there already", "invalid", "pod gone", "pod replaced", "too old", "broken"],
)
async def test_why_an_agent_was_not_started_is_told(script: list[Any], outcome: Outcome) -> None:
    """C6: what a policy of the cluster says is shown, what says who we are is not."""
    assert (await started(*script))[0] == outcome


async def test_without_an_image_no_agent_is_started() -> None:
    outcome, seen = await started(answers(200), image="")

    assert (outcome.verb, outcome.reason, seen) == (Verb.REFUSED, "NoAgentImage", [])


async def test_hearing_and_sending_go_on_side_by_side() -> None:
    """C4: a beat goes out while nothing comes in, and a close ends the wait."""
    got = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive_bytes()
        got.set()
        await socket.receive()

    async with wire_to(talk) as wire, asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(wire.hear())
        await wire.send(Beat(1).line())
        await got.wait()
        await wire.close()

    assert waiting.result() is None
