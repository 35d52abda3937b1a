"""A real agent, in a process of its own, and its operator, which is the test."""

import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import homeostat
from homeostat.core.orders import AgentState, Beat, Order, Said

PATIENCE_SECONDS = 20


class Agent:
    """One agent. It is beaten ten times a second once `beat` was called, until `pause`."""

    def __init__(self, namespace: str, order: Order, wire: int = subprocess.PIPE) -> None:
        """Start it in a network namespace; `wire`: a file descriptor for its input, if not a pipe of ours."""
        environment = {**os.environ, "PYTHONPATH": str(Path(homeostat.__file__).parents[1])}
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", "homeostat.agent", order.text()],
            stdin=wire, stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self.keeper = self._process.pid
        self._said: queue.Queue[Said | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._is_over = threading.Event()
        self._beater = threading.Thread(target=self._beat)
        self._number = 0

    @property
    def holder(self) -> int:
        """The process id of the holder."""
        return int(Path(f"/proc/{self.keeper}/task/{self.keeper}/children").read_text().split()[0])

    def wait_for(self, state: AgentState) -> Said:
        """Give the next word of that state."""
        while True:
            said = self._said.get(timeout=PATIENCE_SECONDS)
            assert said is not None, f"the agent ended before it was {state}"
            assert said.state is not AgentState.REFUSED, said
            if said.state is state:
                return said

    def begin(self) -> Said:
        """Wait until it is ready, and give the go; give what it says once the fault is on."""
        self.wait_for(AgentState.READY)
        self._beater.start()
        return self.wait_for(AgentState.ON)

    def pause(self) -> None:
        """Send no beats any more."""
        self._is_over.set()
        self._beater.join()

    def tell_to_end(self) -> None:
        """Send the last beat."""
        self.pause()
        self._send(Beat(self._number, revert=True))

    def counters(self) -> dict[str, int]:
        """Give the counters in the second answer from now: it is younger than all that happened before."""
        while not self._said.empty():
            self._said.get()
        self.wait_for(AgentState.ON)
        return dict(self.wait_for(AgentState.ON).counters)

    def last_word(self) -> Said:
        """Give what it said last, once it has ended."""
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join()
        last = None
        while (said := self._said.get(timeout=PATIENCE_SECONDS)) is not None:
            last = said
        assert last is not None
        return last

    def exit_code(self) -> int:
        """Give its exit code, once it has ended."""
        return self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Kill what is left of it."""
        self._is_over.set()
        self._process.kill()
        self._process.wait()
        if self._beater.ident:
            self._beater.join()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _beat(self) -> None:
        while True:
            self._number += 1
            self._send(Beat(self._number))
            if self._is_over.wait(0.1):
                return

    def _send(self, beat: Beat) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(beat.line())
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            self._is_over.set()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(Said.read(line))
        self._said.put(None)


@contextmanager
def agent(
    namespace: str, fault: str, settings: dict[str, Any], wire: int = subprocess.PIPE, **others: Any
) -> Iterator[Agent]:
    """Start an agent with an order, and leave nothing of it; its lease is a second unless said otherwise."""
    order = Order("shop/lossy", 1, fault, settings, **{"seconds": 60.0, "beat_seconds": 0.4, "misses": 3, **others})
    started = Agent(namespace, order, wire)
    try:
        yield started
    finally:
        started.close()


def has_ended(pid: int, patience: float = PATIENCE_SECONDS) -> bool:
    """Wait until a process has ended with all of its threads; say whether it has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], patience)[0])
    finally:
        os.close(descriptor)


def kill(*pids: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Send all of them a signal."""
    for pid in pids:
        os.kill(pid, by)
