"""Settings of network faults, read from orders, and the rules that they become."""

from typing import Any

import pytest

from homeostat.agent import rules
from homeostat.agent.fault import Refused
from homeostat.agent.faults import FAULTS, fault_of
from homeostat.agent.network.peers import resolved
from homeostat.agent.network.settings import Harm, NetworkSettings, Peers
from homeostat.agent.rules import Direction, Scope
from homeostat.agent.settings import bits_of, bytes_of, seconds_of, share_of
from homeostat.core.orders import Order, RefusalReason


def test_values_are_read_as_the_manifest_writes_them() -> None:
    assert seconds_of("1m30s") == 90
    assert seconds_of("200ms") == pytest.approx(0.2)
    assert share_of("12.5%") == 0.125
    assert bits_of("20Mbit") == 20_000_000
    assert bytes_of("256Mi") == 256 << 20


@pytest.mark.parametrize("text", ["", "5", "1s ", "s", "1d", "-1s"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    """C1: unparsable is never "no limit"."""
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["10", "101%", "%", "-1%", "1%%"])
def test_what_is_no_share_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are no number at all
        share_of(text)


def test_a_network_fault_is_read_with_its_defaults() -> None:
    read = NetworkSettings.read(
        {"loss": "30%", "ports": [80], "peers": {"addresses": ["10.0.0.1"], "cidrs": ["fd00::/8"]}}
    )

    assert read == NetworkSettings(
        Harm.LOSS, Direction.EGRESS, (80,), Peers(("10.0.0.1/32", "fd00::/8")), share=300_000
    )


@pytest.mark.parametrize(("side", "direction"), [("from", Direction.INGRESS), ("to", Direction.EGRESS)])
def test_the_side_of_a_partition_is_its_direction(side: str, direction: Direction) -> None:
    read = NetworkSettings.read({"partition": {side: {"cidrs": ["10.0.0.0/8"]}}, "direction": "Both"})

    assert (read.direction, read.peers) == (direction, Peers(("10.0.0.0/8",)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "1%", "reset": "1%"},
        {"loss": "many"},
        {"loss": "1%", "direction": "Sideways"},
        {"loss": "1%", "peers": {"cidrs": ["10.0.0.0/99"]}},
        {"partition": {"to": {}}, "peers": {"cidrs": ["10.0.0.0/8"]}},
        {"delay": "1s", "ports": ["http"]},
    ],
)
def test_settings_that_cannot_be_read_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        fault_of(Order("shop/x", 1, "network", settings, 10.0))

    assert refused.value.reason is RefusalReason.INVALID


def test_peers_that_overlap_become_one_network() -> None:
    assert resolved(Peers(("10.0.0.1/32", "10.0.0.0/8", "fd00::1/128"))) == ("10.0.0.0/8", "fd00::1/128")
    assert resolved(None) is None
    with pytest.raises(Refused, match="no address"):
        resolved(Peers())


def test_every_line_that_acts_stands_behind_the_lease() -> None:
    """C18: the first rule of each hook lets pass what no lease is held for."""
    scope = Scope(Direction.BOTH, (80,), ("10.0.0.0/8",))
    for way in scope.direction.ways:
        for hook in (
            rules.host_hook(way, rules.scope_lines(scope, way)),
            rules.device_hook(way, ["eth0"], rules.scope_lines(scope, way)),
        ):
            assert hook.splitlines()[2] == "meta protocol != @on accept"


def test_a_beat_replaces_the_timeouts_in_one_command() -> None:
    assert rules.renewal("inet", "t", 2.5) == (
        "flush set inet t on\nadd element inet t on { ip timeout 2500ms, ip6 timeout 2500ms }\n"
    )


def test_a_share_of_nothing_does_nothing_and_of_all_meets_all() -> None:
    assert "numgen" not in rules.dropping(Direction.EGRESS, 0, "drop")
    assert "numgen random mod 1000000 <= 999999 " in rules.dropping(Direction.EGRESS, rules.PARTS, "drop")


def test_a_connection_is_hashed_alike_in_both_directions() -> None:
    out = rules.resetting(Direction.EGRESS, 1000, 7)
    back = rules.resetting(Direction.INGRESS, 1000, 7)

    assert "jhash ip saddr . ip daddr . tcp sport . tcp dport" in out
    assert "jhash ip daddr . ip saddr . tcp dport . tcp sport" in back


def test_each_fault_of_an_agent_has_a_class() -> None:
    assert {"network", "dns"} <= FAULTS.keys()
