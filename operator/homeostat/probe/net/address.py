"""Which addresses may be reached: the guard against probes that are sent to look at what is not theirs (H9).

A HealthCheck is a way to make the operator connect somewhere, so every address a name resolves to is checked,
and the connection then goes to the checked address, never to the name again (no DNS rebinding).
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # unspecified: reaches this host
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",  # metadata service (Alibaba)
        "168.63.129.16/32",  # metadata service (Azure)
        "192.0.0.0/24",  # protocol assignments, and a metadata service (Oracle)
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/128",  # unspecified
        "::1/128",  # loopback
        "64:ff9b:1::/48",  # NAT64 of local use: where the IPv4 address sits is the network's secret
        "::ffff:0:0:0/96",  # stands for an IPv4 address (SIIT)
        "2001::/32",  # Teredo
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "fd00:ec2::/32",  # metadata service (AWS)
        "fd20:ce::254/128",  # metadata service (Google)
        "fd00:c1::a9fe:a9fe/128",  # metadata service (Oracle)
        "fd00:42::42/128",  # metadata service (Scaleway)
        "fd00:100::100:200/128",  # metadata service (Alibaba)
        "fd00:a9fe:a9fe::1/128",  # metadata service (Linode)
        "ff00::/8",  # multicast
    )
)
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_REMEMBERED = 16_384
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
_MOST_PORT = 65_535


class Guard:
    """Says whether an address may be reached.

    `allow` wins over everything; `deny` adds to what is never reached, such as the API server's ClusterIP.
    """

    __slots__ = ("_allow", "_deny", "_verdicts")

    def __init__(self, allow: Iterable[Network] = (), deny: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)
        self._deny = _NEVER + tuple(deny)
        self._verdicts: dict[str, bool] = {}

    def allows(self, address: str) -> bool:
        """Say whether `address`, as a resolver writes it, may be reached; anything else than an IP may not."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            verdict = self._remember(address)
        return verdict

    def _remember(self, address: str) -> bool:
        if len(self._verdicts) >= _REMEMBERED:
            self._verdicts.clear()
        verdict = self._judge(address)
        self._verdicts[address] = verdict
        return verdict

    def _judge(self, address: str) -> bool:
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(_within(form, self._allow) or not _within(form, self._deny) for form in _forms(parsed))


def is_address(text: str) -> bool:
    """Say whether a text is an IP address, as it is written without brackets."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_dialable(host: str, port: int) -> bool:
    """Say whether a host (a name in ASCII, or an address without brackets) and a port are written as such."""
    return _HOST.fullmatch(host) is not None and 0 < port <= _MOST_PORT


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _forms(address: Address) -> Iterator[Address]:
    """Give the address itself and the IPv4 address that it stands for, if any: mapped, NAT64, 6to4, compatible."""
    yield address
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
