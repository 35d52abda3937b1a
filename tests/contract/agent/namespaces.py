"""Two network namespaces and a cable between them: the pod of an agent, and somebody to talk to."""

import ctypes
import ctypes.util
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")

POD, PEER = "10.77.0.1", "10.77.0.2"
POD6, PEER6 = "fd77::1", "fd77::2"
_CLONE_NEWNET = 0x40000000


def why_not() -> str:
    """Say why there can be no namespaces here; "" when there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    missing = [program for program in ("ip", "tc", "nft") if shutil.which(program) is None]
    return f"needs {', '.join(missing)} (Debian: iproute2, nftables)" if missing else ""


@dataclass
class Cable:
    """Both ends, by the names of their namespaces."""

    pod: str
    peer: str
    sockets: list[socket.socket] = field(default_factory=list)

    def run(self, *command: str) -> str:
        """Run a command in the pod's namespace; give its output."""
        return subprocess.run(
            ["ip", "netns", "exec", self.pod, *command], check=True, capture_output=True, text=True
        ).stdout

    def bound(self, namespace: str, address: str, port: int = 0, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """Give a socket of a namespace, bound to an address; it waits two seconds for what does not come."""
        sock = inside(namespace, lambda: socket.socket(_family(address), kind))
        sock.settimeout(2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        self.sockets.append(sock)
        return sock

    def listening(self, port: int, address: str = PEER) -> socket.socket:
        """Give a listening socket of the peer, in the background of which connections wait."""
        sock = self.bound(self.peer, address, port, socket.SOCK_STREAM)
        sock.listen(512)
        return sock

    def connected(self, port: int, address: str = PEER) -> socket.socket:
        """Give a connection from the pod to the peer."""
        sock = self.bound(self.pod, POD if _family(address) == socket.AF_INET else POD6, kind=socket.SOCK_STREAM)
        sock.connect((address, port))
        return sock

    def hang_up(self) -> None:
        """Close all sockets."""
        while self.sockets:
            self.sockets.pop().close()

    def snapshot(self) -> str:
        """Give what can be seen of packet rules and queueing disciplines in the pod."""
        commands = ["nft list ruleset", "tc qdisc show", "ip -o link show", "ip rule show"]
        if shutil.which("iptables-save"):
            commands.append("iptables-save")
        lines = "\n".join(self.run(*command.split()) for command in commands).splitlines()
        return "\n".join(line for line in lines if not line.startswith("#"))  # comments have the time of day


@contextmanager
def cabled() -> Iterator[Cable]:
    """Make both namespaces, and remove them."""
    cable = Cable(f"hs-pod-{os.getpid()}", f"hs-peer-{os.getpid()}")
    ends = ((cable.pod, "a", POD, POD6), (cable.peer, "b", PEER, PEER6))
    try:
        for name, *_ in ends:
            _ip("netns", "add", name)
        _ip("-n", cable.pod, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", cable.peer)
        for name, _, address, address6 in ends:
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "address", "add", f"{address6}/64", "dev", "eth0", "nodad")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield cable
    finally:
        cable.hang_up()
        for name, *_ in ends:
            if Path("/run/netns", name).exists():
                _ip("netns", "delete", name)


def inside(namespace: str, make: Callable[[], Made]) -> Made:
    """Give what `make` gives in a namespace: on a thread of its own, which alone is moved there."""
    made: list[Made] = []

    def move() -> None:
        with Path("/run/netns", namespace).open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    thread = threading.Thread(target=move)
    thread.start()
    thread.join()
    return made[0]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
