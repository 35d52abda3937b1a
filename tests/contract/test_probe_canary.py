"""H8: the canary tells whether we have a network, and nothing else."""

import socket

from contract.hostile import black_hole
from homeostat.probe.canary import canary_at


async def test_a_port_that_takes_connections_is_a_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await canary_at("127.0.0.1", server.getsockname()[1])(1.0)


async def test_a_refusal_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert await canary_at("127.0.0.1", port)(1.0)


async def test_silence_is_no_network() -> None:
    with black_hole() as port:
        assert not await canary_at("127.0.0.1", port)(0.3)


async def test_a_name_that_does_not_resolve_is_no_network() -> None:
    assert not await canary_at("no-such-host.invalid", 1)(2.0)
