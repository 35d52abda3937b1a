"""nftables by libnftables, in this process, so that the kernel knows us as the owner of our table.

A table with the flag `owner` belongs to the netlink socket that made it, and is destroyed with it: with the process, in
whatever way that ends. Nobody else can change it. Kernels before 5.12 have no such tables, and get no such fault.
"""

import ctypes
import hashlib
import os
import re
import socket
from pathlib import Path
from typing import Final

from homeostat.agent.fault import Refused
from homeostat.agent.surroundings import OURS, tables
from homeostat.core.orders import Order, RefusalReason

_LIBRARY: Final = "libnftables.so.1"
_PACKETS: Final = re.compile(r"counter ([a-z]+) \{\s*packets ([0-9]+)")


class NftError(Exception):
    """What nftables says when it does not do what it is told."""


class Nft:
    """One connection to nftables."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise Refused(RefusalReason.NO_MECHANISM, f"{_LIBRARY} is not there") from error
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
            getattr(self._library, name).restype = ctypes.c_char_p
        earlier = _netfilter_sockets()
        self._context = self._new_context()
        self._sockets = _netfilter_sockets() - earlier

    def _new_context(self) -> ctypes.c_void_p:
        context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_error(context)
        self._library.nft_ctx_buffer_output(context)
        return context

    def run(self, commands: str) -> str:
        """Do all of `commands` at once, or none of them; give the output. Raises NftError."""
        return self._run(self._context, commands)

    def _run(self, context: ctypes.c_void_p, commands: str) -> str:
        failed = self._library.nft_run_cmd_from_buffer(context, ctypes.c_char_p(commands.encode()))
        output: bytes = self._library.nft_ctx_get_output_buffer(context)
        complaint: bytes = self._library.nft_ctx_get_error_buffer(context)
        if failed:
            raise NftError(" ".join(complaint.decode(errors="replace").split())[:300])
        return output.decode()

    def check(self, commands: str) -> str:
        """Have the kernel look whether it could do `commands`, without doing them; give its complaint, or nothing.

        On a connection of its own: libnftables would take for done later what it was only to try.
        """
        trial = self._new_context()
        self._library.nft_ctx_set_dry_run(trial, ctypes.c_bool(True))
        try:
            self._run(trial, commands)
        except NftError as error:
            return str(error)
        finally:
            self._library.nft_ctx_free(trial)
        return ""

    def packets(self, family: str, table: str) -> dict[str, int]:
        """Give the packets of each named counter of a table."""
        listed = self.run(f"list counters table {family} {table}")
        return {name: int(packets) for name, packets in _PACKETS.findall(listed)}

    def socket(self) -> socket.socket:
        """Give a second handle of the very socket that owns our tables. Raises NftError when it cannot be told."""
        if len(self._sockets) != 1:
            raise NftError("the socket of libnftables cannot be told from others")
        (descriptor,) = self._sockets
        return socket.socket(fileno=os.dup(descriptor))


def table_name(order: Order) -> str:
    """Give the name of the table that holds the fault of `order`."""
    text = f"{order.experiment}/{order.run}/{order.fault}"
    return OURS + hashlib.sha256(text.encode()).hexdigest()[:12]


def table_remains(order: Order) -> list[str]:
    """Say that the table of `order` is still there, if it is."""
    wanted = table_name(order)
    return [f"nftables table {family} {name}" for family, name in tables() if name == wanted]


def _netfilter_sockets() -> set[int]:
    """Give the descriptors of this process that are sockets to netfilter."""
    found = set()
    for path in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(path.name)
        try:
            sock = socket.socket(fileno=os.dup(descriptor))
        except OSError:  # the listing's own descriptor, or no socket
            continue
        with sock:
            if (sock.family, sock.proto) == (socket.AF_NETLINK, 12):
                found.add(descriptor)
    return found
