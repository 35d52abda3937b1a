"""The queue of a kernel without nftables' own: the target NFQUEUE of iptables, in a rule of our table.

libnftables has no words for it, so the message is ours; it goes out on libnftables' socket, which owns the table.
"""

import socket
import struct
from typing import Final

from homeostat.agent import netlink
from homeostat.agent.netlink import Message, Netlink
from homeostat.agent.nft import Nft

_NFT: Final = 10 << 8
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = _NFT | 0, _NFT | 3, _NFT | 6
_BATCH_BEGIN, _BATCH_END = 16, 17
_INET: Final = 1
_NFQUEUE_REVISION: Final = 3
_BYPASS: Final = 1


def add_queue_rule(nft: Nft, table: str, chain: str, queue: int) -> None:
    """Add a rule to a chain of our inet table: hold packets in `queue`, or let them pass when nobody is bound to it."""
    link = Netlink(nft.socket())
    try:
        link.exchange([_batch(_BATCH_BEGIN), _rule(table, chain, queue), _batch(_BATCH_END)])
    finally:
        link.close()


def has_queue_target(table: str) -> bool:
    """Say whether the kernel would take such a rule: it looks, and as the batch has no end, forgets it again."""
    link = Netlink.open(netlink.NETFILTER)
    chain = "probe"
    named = netlink.text(1, table)
    try:
        link.exchange([
            _batch(_BATCH_BEGIN),
            Message(_NEW_TABLE, netlink.REQUEST | netlink.CREATE, _body(named)),
            Message(_NEW_CHAIN, netlink.REQUEST | netlink.CREATE, _body(named + netlink.text(3, chain))),
            _rule(table, chain, 0),
        ])  # fmt: skip
    except OSError:
        return False
    finally:
        link.close()
    return True


def _rule(table: str, chain: str, queue: int) -> Message:
    settings = struct.pack("=HHHxx", queue, 1, _BYPASS)
    target = netlink.nested(
        1,
        netlink.text(1, "target"),
        netlink.nested(
            2, netlink.text(1, "NFQUEUE"), netlink.number(2, _NFQUEUE_REVISION), netlink.attribute(3, settings)
        ),
    )
    flags = netlink.REQUEST | netlink.ACK | netlink.CREATE | netlink.APPEND
    return Message(_NEW_RULE, flags, _body(netlink.text(1, table) + netlink.text(2, chain) + netlink.nested(4, target)))


def _batch(kind: int) -> Message:
    return Message(kind, netlink.REQUEST, struct.pack("!BBH", socket.AF_UNSPEC, 0, 10))


def _body(attributes: bytes) -> bytes:
    return struct.pack("!BBH", _INET, 0, 0) + attributes
