"""The processes of the PID namespace that the agent shares with its target, by name, without our own."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

OUR_MODULE: Final = "homeostat.agent"
_PROC: Final = Path("/proc")
_KERNELS_NAME: Final = 15
"""How many characters of a name the kernel keeps."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc shows it. `comm` is the kernel's name for it, `exe` its program ("" where it is hidden)."""

    pid: int
    parent: int
    state: str
    comm: str
    arguments: tuple[str, ...]
    exe: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read `/proc/PID`; None when it is gone."""
        try:
            stat = (folder / "stat").read_text(errors="replace")
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return None
        pid, rest = stat.split(" (", 1)
        comm, rest = rest.rsplit(") ", 1)
        state, parent = rest.split()[:2]
        words = tuple(arguments.rstrip("\0").split("\0")) if arguments else ()
        return cls(int(pid), int(parent), state, comm, words, _exe_of(folder))

    @property
    def names(self) -> frozenset[str]:
        """What it is called: the kernel's name for it, its program's file, and the first word of its command line.

        Of a title that a program gives itself, such as `nginx: worker process`, it is the first word without the colon.
        """
        first = self.arguments[0].split(maxsplit=1)[:1] if self.arguments else []
        paths = [self.comm, self.exe, *first]
        return frozenset(os.path.basename(path).rstrip(":") for path in paths) - {""}  # noqa: PTH119 - no path is meant

    @property
    def is_alive(self) -> bool:
        """Whether it is more than an entry that waits for its parent."""
        return self.state not in "ZX"

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of its names; the kernel cuts its own at 15 characters."""
        return name in self.names or (len(name) > _KERNELS_NAME and name[:_KERNELS_NAME] == self.comm)


def processes() -> list[Process]:
    """Give all that are alive and not ours, the oldest first as far as their ids say so."""
    everyone = {process.pid: process for process in _all()}
    ours = _ours(everyone)
    return [everyone[pid] for pid in sorted(everyone) if pid not in ours and everyone[pid].is_alive]


def named(name: str, container_id: str = "") -> list[Process]:
    """Give those that are called `name`; with `container_id` only those of that container."""
    return [one for one in processes() if one.is_called(name) and is_of_container(one.pid, container_id)]


def init_of(container_id: str = "") -> Process | None:
    """Give the process whose end is the end of the container: PID 1 of the namespace, unless several share one.

    In a pod with one namespace for all, PID 1 is the pod's: only `container_id` says which process we mean.
    """
    if container_id:
        inside = [one for one in processes() if is_of_container(one.pid, container_id)]
        pids = {one.pid for one in inside}
        return next((one for one in inside if one.parent not in pids), None)
    everyone = processes()
    first = next((one for one in everyone if one.pid == 1), None)
    return None if first is None or _is_of_the_pod(first, everyone) else first


def _is_of_the_pod(first: Process, everyone: list[Process]) -> bool:
    """Whether PID 1 is what keeps a pod's namespaces: there are processes of other containers beside it."""
    return first.is_called("pause") and len({_cgroup_of(one.pid) for one in everyone}) > 1


def is_of_container(pid: int, container_id: str) -> bool:
    """Whether the process is in the cgroup of that container; of any, where no id is given."""
    return not container_id or container_id in _cgroup_of(pid)


def _cgroup_of(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return ""


def threads_of(pid: int) -> list[int]:
    """Give the ids of a process's threads; none when it is gone."""
    try:
        return [int(name) for name in os.listdir(_PROC / str(pid) / "task")]  # noqa: PTH208 - names are all we need
    except OSError:
        return []


def status_of(thread: int, field: str) -> str:
    """Give one field of a thread's status, such as TracerPid; "" when it is gone."""
    try:
        status = (_PROC / str(thread) / "status").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{field}:\s*(.*)$", status, re.MULTILINE)
    return found[1] if found else ""


def _all() -> Iterator[Process]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            process = Process.read(folder)
            if process is not None:
                yield process


def _ours(everyone: dict[int, Process]) -> set[int]:
    """The agents of this pod, those above us, and those below us: none of them is ever a target."""
    agents = {pid for pid, process in everyone.items() if OUR_MODULE in process.arguments}
    ours = agents | {os.getpid()} | set(_above(os.getpid(), everyone))
    below = {os.getpid(), *agents}
    while grown := {pid for pid, process in everyone.items() if process.parent in below} - below:
        below |= grown
    return ours | below


def _above(pid: int, everyone: dict[int, Process]) -> Iterator[int]:
    while pid in everyone and everyone[pid].parent > 1:
        pid = everyone[pid].parent
        yield pid


def _exe_of(folder: Path) -> str:
    try:
        return str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""
