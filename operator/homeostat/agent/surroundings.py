"""What others have put into this network namespace (C6). Looks, and touches nothing.

A fault is put on only where nothing of others is: then its end leaves what was there before, and what it did is known.
"""

import struct
from pathlib import Path
from typing import Final

from homeostat.agent import netlink
from homeostat.agent.fault import Refused
from homeostat.agent.netlink import Netlink
from homeostat.core.orders import RefusalReason

OURS: Final = "homeostat_"
"""How the names of our tables begin."""

_NFT: Final = 10 << 8
_GET_TABLE: Final = _NFT | 1
_TABLE_NAME: Final = 1
_FAMILIES: Final = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_GET_QDISC: Final = 38
_QDISC: Final = struct.Struct("=BxxxiIII")  # family, interface, handle, parent, info
_QDISC_KIND: Final = 1
_LEGACY: Final = ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names")
_NET_ADMIN: Final = 12
_NET_RAW: Final = 13


def need_net_admin() -> None:
    """Raise Refused (NotPermitted) unless this process may administer its network namespace."""
    _need(_NET_ADMIN, "NET_ADMIN")


def need_net_raw() -> None:
    """Raise Refused (NotPermitted) unless this process may send packets that it made itself."""
    _need(_NET_RAW, "NET_RAW")


def _need(capability: int, name: str) -> None:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> capability & 1:
            return
    raise Refused(RefusalReason.NOT_PERMITTED, f"the agent lacks the capability {name}")


def need_no_foreigners() -> None:
    """Raise Refused (ForeignRules) when packet rules or queueing disciplines of others are here."""
    foreign = [*_foreign_tables(), *_legacy_tables(), *_foreign_qdiscs()]
    if foreign:
        raise Refused(RefusalReason.FOREIGN_RULES, f"not ours: {', '.join(sorted(foreign))}"[:300])


def tables() -> list[tuple[str, str]]:
    """Give family and name of all nftables tables here, among them those of iptables-nft."""
    link = Netlink.open(netlink.NETFILTER)
    try:
        answers = link.ask(_GET_TABLE, netlink.DUMP, struct.pack("!BBH", 0, 0, 0))
    finally:
        link.close()
    return [
        (_FAMILIES.get(answer[0], str(answer[0])), netlink.attributes(answer[4:])[_TABLE_NAME].rstrip(b"\0").decode())
        for answer in answers
    ]


def _foreign_tables() -> list[str]:
    return [f"table {family} {name}" for family, name in tables() if not name.startswith(OURS)]


def _legacy_tables() -> list[str]:
    found = []
    for path in map(Path, _LEGACY):
        if path.exists():
            found += [f"{path.name.removesuffix('_tables_names')}tables {name}" for name in path.read_text().split()]
    return found


def _foreign_qdiscs() -> list[str]:
    """Give the queueing disciplines that somebody put here: those that the kernel made itself have no handle."""
    link = Netlink.open(netlink.ROUTE)
    try:
        answers = link.ask(_GET_QDISC, netlink.DUMP, _QDISC.pack(0, 0, 0, 0, 0))
    finally:
        link.close()
    found = []
    for answer in answers:
        _, _, handle, _, _ = _QDISC.unpack_from(answer)
        if handle:
            kind = netlink.attributes(answer[_QDISC.size :])[_QDISC_KIND].rstrip(b"\0").decode()
            found.append(f"qdisc {kind}")
    return found
