"""The Node's pods as the machine below sees them: processes, cgroups and network, by cgroup and /proc alone."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = (
    [CGROUPS / one for one in ("memory", "cpu", "cpuset", "pids")] if (CGROUPS / "memory").is_dir() else [CGROUPS]
)
VALUES = (
    "memory.limit_in_bytes", "memory.soft_limit_in_bytes", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us",
    "cpuset.cpus", "pids.max", "memory.max", "memory.high", "cpu.max", "cpu.weight", "freezer.state", "cgroup.freeze",
)  # fmt: skip
AGENT, UNDO = b"homeostat.agent", b"undo"
NETWORK = """
nft list ruleset; iptables-legacy-save; ip6tables-legacy-save; tc qdisc show; ip rule; ip -6 rule
ip route show table all type unicast; ip -o link
for device in $(ls /sys/class/net); do tc filter show dev $device; tc filter show dev $device ingress; done
"""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a pod. `container` is the runtime's id, `state` the letter of /proc."""

    pid: int
    parent: int
    name: str
    command: bytes
    state: str
    container: str

    @property
    def is_agent(self) -> bool:
        """Whether it is ours."""
        return AGENT in self.command


def folders(uid: str) -> Iterator[Path]:
    """Find the cgroups of a pod, in each hierarchy."""
    for root in HIERARCHIES:
        for pattern in (f"*/kubepods/pod{uid}", f"*/kubepods/*/pod{uid}"):
            yield from root.glob(pattern)


def processes(uid: str) -> list[Process]:
    """List the processes of a pod."""
    found = []
    for folder in list(folders(uid))[:1]:
        for container in _containers(folder):
            with suppress(OSError):
                for pid in (container / "cgroup.procs").read_text(encoding="ascii").split():
                    with suppress(OSError):
                        found.append(_process(int(pid), container.name))
    return found


def _containers(folder: Path) -> list[Path]:
    """List the cgroups of a pod's containers; [] when the pod is just gone."""
    try:
        return [one for one in folder.iterdir() if one.is_dir()]
    except OSError:
        return []


def _process(pid: int, container: str) -> Process:
    name, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return Process(pid, int(parent), name, Path(f"/proc/{pid}/cmdline").read_bytes(), state, container)


def cgroup_values(uid: str) -> list[str]:
    """Give what limits a pod and each of its containers that lives, in an order that knows no container's id."""
    found = []
    for folder in folders(uid):
        living = [one for one in _containers(folder) if _lives(one)]
        for level, where in [("pod", folder), *(("container", one) for one in living)]:
            for name in VALUES:
                with suppress(OSError):
                    found.append(f"{level} {name}={(where / name).read_text(encoding='ascii').strip()}")
    return sorted(found)


def _lives(container: Path) -> bool:
    try:
        return bool((container / "cgroup.procs").read_text(encoding="ascii"))
    except OSError:
        return False


def rules(seen: list[Process]) -> str:
    """Dump the packet rules of a pod's network, as quickly as that can be had; "" when the pod has no process."""
    return _inside(seen, "nft", "list", "ruleset")


def network(seen: list[Process]) -> str:
    """Dump all that a pod's network is made of; "" when the pod has no process."""
    return _inside(seen, "sh", "-c", NETWORK)


def _inside(seen: list[Process], *words: str) -> str:
    if not seen:
        return ""
    command = ["nsenter", "--target", str(min(one.pid for one in seen)), "--net", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def agents(uid: str) -> tuple[list[Process], list[Process]]:
    """Give the keepers of agents in a pod, and their holders."""
    ours = [one for one in processes(uid) if one.is_agent and one.state != "Z"]
    pids = {one.pid for one in ours}
    keepers = [one for one in ours if one.parent not in pids]
    return keepers, [one for one in ours if one.parent in {keeper.pid for keeper in keepers}]


def kill(pids: list[int]) -> int:
    """SIGKILL, and give how many were there."""
    found = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
            found += 1
    return found
