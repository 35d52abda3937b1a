"""The agent as a process beside its targets, as the operator would speak to it."""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import homeostat
from homeostat.core.orders import AgentState, Beat, Order, Said

PATIENCE = 15.0
Seen = TypeVar("Seen")
SOURCE = Path(homeostat.__file__).parent.parent


class RunningAgent:
    """One agent and its wire."""

    def __init__(self, order: Order, before: tuple[str, ...] = ()) -> None:
        command = [*before, sys.executable, "-m", "homeostat.agent", order.text()]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(SOURCE)}
        )
        self._number = 0

    @property
    def holder(self) -> int:
        """Give the process id of the holder."""
        return until(lambda: children_of(self.process.pid))[0]

    def hear(self) -> Said:
        """Wait for what it says next."""
        stdout = self.process.stdout
        assert stdout is not None
        assert select.select([stdout], [], [], PATIENCE)[0], "the agent says nothing"
        return Said.read(stdout.readline())

    def beat(self, *, revert: bool = False) -> Said:
        """Send a beat, and wait for what it says to that: it may have said once more that it is ready."""
        self._number += 1
        assert self.process.stdin is not None
        self.process.stdin.write(Beat(self._number, revert).line())
        self.process.stdin.flush()
        while (said := self.hear()).state is AgentState.READY:
            pass
        return said

    def send_go(self) -> None:
        """Send the first beat, and wait for no answer: the agent may die of what it does."""
        assert self.process.stdin is not None
        self.process.stdin.write(Beat(1).line())
        self.process.stdin.flush()

    def turn_on(self) -> Said:
        """Wait until it is ready, and let it go."""
        ready = self.hear()
        assert ready.state is AgentState.READY, ready
        return self.beat()


@contextmanager
def running(
    fault: str, settings: Mapping[str, Any], *, before: tuple[str, ...] = (), beat_seconds: float = 0.5
) -> Iterator[RunningAgent]:
    """Run the agent for an order, under the command `before` if there is one; kill it in the end."""
    agent = RunningAgent(Order("shop/test", 1, fault, settings, 60, beat_seconds=beat_seconds), before)
    try:
        yield agent
    finally:
        agent.process.kill()
        agent.process.communicate()


@contextmanager
def sleeper(folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of that name, which sleeps."""
    program = folder / name
    shutil.copy(shutil.which("sleep") or "", program)
    process = subprocess.Popen([program, "1000"])
    try:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text().strip() == name[:15])
        yield process
    finally:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    """Give the process ids of a process's children, zombies not among them."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                state, parent = (folder / "stat").read_text().rsplit(") ", 1)[1].split()[:2]
                if int(parent) == pid and state != "Z":
                    found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    return state_of(pid) not in {"", "Z", "X"}


def state_of(pid: int) -> str:
    """Give the letter of a process's state; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except OSError:
        return ""


def until(look: Callable[[], Seen]) -> Seen:
    """Look again and again until there is something to see."""
    ends = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)
    return seen
