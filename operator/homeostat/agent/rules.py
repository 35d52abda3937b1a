"""The text of the nftables tables of faults. Pure.

Each hook begins with the set `on`, whose elements have the lease as their timeout: when nobody renews it, nothing
matches, even while the process that owns the table is there but stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PARTS: Final = 1_000_000
"""A share is so many of a million."""

HOLD: Final = "hold"
_NEIGHBOURS: Final = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
)
_WITH_PORTS: Final = "meta l4proto { tcp, udp, udplite, sctp, dccp }"


class Direction(StrEnum):
    """Which packets are met."""

    EGRESS = "Egress"
    INGRESS = "Ingress"
    BOTH = "Both"

    @property
    def ways(self) -> tuple["Direction", ...]:
        """Give the one or two ways."""
        return (Direction.EGRESS, Direction.INGRESS) if self is Direction.BOTH else (self,)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which packets are met: `peers`: networks without overlaps, None for all; `ports`: of either side, () for all."""

    direction: Direction
    ports: tuple[int, ...] = ()
    peers: tuple[str, ...] | None = None


def renewal(family: str, table: str, seconds: float) -> str:
    """Give the command that keeps the rules of a table matching for `seconds` more."""
    timeout = f"{max(round(seconds * 1000), 1)}ms"
    return (
        f"flush set {family} {table} on\n"
        f"add element {family} {table} on {{ ip timeout {timeout}, ip6 timeout {timeout} }}\n"
    )


def table_text(family: str, table: str, hooks: Sequence[str], chains: Sequence[str]) -> str:
    """Give the table: `hooks` are chains that the kernel enters, `chains` and sets what they lead to."""
    parts = [
        "flags owner",
        "set on { typeof meta protocol; flags timeout; }",
        "counter met { }",
        "counter hit { }",
        *chains,
        *hooks,
    ]
    body = "\n".join(parts)
    return f"add table {family} {table} {{\n{body}\n}}\n"


def host_hook(way: Direction, lines: Sequence[str]) -> str:
    """Give the chain of an inet table that sees what this network namespace sends, or receives, as whole segments."""
    hook = "output" if way is Direction.EGRESS else "input"
    return _chain(
        f"hook_{way.lower()}",
        [f"type filter hook {hook} priority 0; policy accept;", "meta protocol != @on accept", *lines],
    )


def device_hook(way: Direction, devices: Sequence[str], lines: Sequence[str]) -> str:
    """Give the chain of a netdev table that sees what goes over `devices`: what it drops is lost without an error."""
    named = ", ".join(f'"{device}"' for device in devices)
    head = f"type filter hook {way.lower()} devices = {{ {named} }} priority 0; policy accept;"
    return _chain(f"hook_{way.lower()}", [head, "meta protocol != @on accept", *lines])


def not_on_loopback(way: Direction) -> str:
    """Give the line of a host hook that lets pass what stays in the pod."""
    return f'{"oifname" if way is Direction.EGRESS else "iifname"} "lo" accept'


def scope_sets(scope: Scope) -> list[str]:
    """Give the sets that `scope_lines` matches."""
    sets = []
    if scope.ports:
        sets.append(_set("ports", "inet_service", [str(port) for port in scope.ports]))
    if scope.peers is not None:
        sets.append(_set("peers4", "ipv4_addr", [peer for peer in scope.peers if ":" not in peer]))
        sets.append(_set("peers6", "ipv6_addr", [peer for peer in scope.peers if ":" in peer]))
    return sets


def scope_lines(scope: Scope, way: Direction) -> list[str]:
    """Give the lines that lead to the chain of `met` what is in scope; never how IPv6 finds its neighbours."""
    lines = [_NEIGHBOURS]
    if scope.peers is not None:
        end = "daddr" if way is Direction.EGRESS else "saddr"
        lines += [f"meta protocol ip ip {end} != @peers4 accept", f"meta protocol ip6 ip6 {end} != @peers6 accept"]
    if not scope.ports:
        return [*lines, f"goto {met(way)}"]
    return [*lines, *(f"{_WITH_PORTS} th {port} @ports goto {met(way)}" for port in ("dport", "sport"))]


def dropping(way: Direction, share: int, verdict: str) -> str:
    """Give the chain `met_egress` or `met_ingress`, which loses `share` of a million packets."""
    lines = [f"numgen random mod {PARTS} <= {share - 1} counter name hit {verdict}"] if share else []
    return _chain(met(way), ["counter name met", *lines])


def resetting(way: Direction, share: int, seed: int) -> str:
    """Give the chain `met_egress` or `met_ingress`, which resets `share` of a million TCP connections.

    Which ones depends on addresses and ports, ours first in both directions: a connection is met wholly or not at
    all. Its first packet (SYN) passes: a connection is made, and breaks with what is said on it.
    """
    near, far = ("s", "d") if way is Direction.EGRESS else ("d", "s")
    lines = ["meta l4proto != tcp accept", "tcp flags & (syn | rst) != 0 accept", "counter name met"]
    for protocol in ("ip", "ip6") if share else ():
        ends = f"{protocol} {near}addr . {protocol} {far}addr . tcp {near}port . tcp {far}port"
        chosen = f"jhash {ends} mod {PARTS} seed {seed:#x} <= {share - 1}"
        lines.append(f"meta protocol {protocol} {chosen} counter name hit reject with tcp reset")
    return _chain(met(way), lines)


def holding(queue: int | None) -> str:
    """Give the chain `hold`, with a queue of nftables' own, or empty, for a rule that is added later."""
    return _chain(HOLD, [] if queue is None else [f"queue flags bypass to {queue}"])


def to_hold(way: Direction) -> str:
    """Give the chain `met_egress` or `met_ingress`, which leads to `hold`."""
    return _chain(met(way), ["counter name met", f"goto {HOLD}"])


def met(way: Direction) -> str:
    """Give the name of the chain for the packets of one way that are met."""
    return f"met_{way.lower()}"


def _set(name: str, kind: str, elements: Sequence[str]) -> str:
    flags = "" if kind == "inet_service" else "flags interval; "
    listed = f"elements = {{ {', '.join(elements)} }}; " if elements else ""
    return f"set {name} {{ type {kind}; {flags}{listed}}}"


def _chain(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"chain {name} {{", *lines, "}"])
