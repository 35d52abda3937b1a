"""The addresses of peers: hosts are resolved once, before the fault begins."""

import socket
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from homeostat.agent.fault import Refused
from homeostat.agent.network.settings import Peers
from homeostat.core.orders import RefusalReason


def resolved(peers: Peers | None) -> tuple[str, ...] | None:
    """Give the networks of `peers`, without overlaps; None for everyone. Raises Refused (NoPeer)."""
    if peers is None:
        return None
    found = {*peers.networks}
    for host in peers.hosts:
        found |= _addresses(host)
    if not found:
        raise Refused(RefusalReason.NO_PEER, "the peers have no address")
    return _collapsed(found)


def _collapsed(written: set[str]) -> tuple[str, ...]:
    """Give the same addresses by networks that do not overlap, as sets of nftables want them."""
    networks = [ip_network(one) for one in written]
    narrow = collapse_addresses(one for one in networks if isinstance(one, IPv4Network))
    wide = collapse_addresses(one for one in networks if isinstance(one, IPv6Network))
    return tuple(map(str, (*narrow, *wide)))


def _addresses(host: str) -> set[str]:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(RefusalReason.NO_PEER, f"{host} has no address: {error}") from error
    return {str(answer[4][0]).partition("%")[0] for answer in answers}
