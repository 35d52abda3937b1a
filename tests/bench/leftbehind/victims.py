"""SIGKILL of those who are part of a fault, as the kernel, the kubelet or an administrator would send it.

Each gives the moment of the kill by the monotonic clock, and None when nobody of that kind was there.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from bench.leftbehind import host
from bench.leftbehind.place import Place
from bench.leftbehind.plan import Who
from bench.scene import kubeconfig

T = TypeVar("T")
Moment = float | None
PATIENCE, POLL = 6.0, 0.05  # seconds: an agent or an undo Pod may be about to start


def kill(who: Who, place: Place, uid: str) -> Moment:
    """Kill whoever is meant; `uid` is that of the target pod."""
    return _KILLS[who](place, uid)


def _operator(place: Place, _uid: str) -> Moment:
    assert place.operator is not None
    at = time.monotonic()
    place.operator.kill()
    return at


def _keeper(_place: Place, uid: str) -> Moment:
    return _killed(lambda: [one.pid for one in host.agents(uid)[0]])


def _holder(_place: Place, uid: str) -> Moment:
    return _killed(lambda: [one.pid for one in host.agents(uid)[1]])


def _agent(_place: Place, uid: str) -> Moment:
    return _killed(lambda: [one.pid for side in host.agents(uid) for one in side])


def _task(_place: Place, uid: str) -> Moment:
    """Kill the container by its runtime, as the kubelet does."""
    keepers = _awaited(lambda: [one.container for one in host.agents(uid)[0]])
    socket = str(kubeconfig().parent / "containerd.sock")
    command = ["ctr", "--address", socket, "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL"]
    at = time.monotonic()
    done = [subprocess.run([*command, one], capture_output=True, check=False) for one in dict.fromkeys(keepers)]
    return at if any(one.returncode == 0 for one in done) else None


def _undo(place: Place, _uid: str) -> Moment:
    return _killed(lambda: _undoing(place))


def _guard(place: Place, _uid: str) -> Moment:
    """Take Pod and Lease away, and have the process restore nothing on its way out."""
    pids = _awaited(lambda: _undoing(place))
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    at = time.monotonic()
    place.drop_guards()
    return at if host.kill(pids) else None


def _undoing(place: Place) -> list[int]:
    uids = [pod["metadata"]["uid"] for pod in place.guard_pods()]
    return [one.pid for uid in uids for one in host.processes(uid) if host.UNDO in one.command.split(b"\0")]


def _killed(look: Callable[[], list[int]]) -> Moment:
    pids = _awaited(look)
    at = time.monotonic()
    return at if host.kill(pids) else None


def _awaited(look: Callable[[], list[T]]) -> list[T]:
    give_up_at = time.monotonic() + PATIENCE
    while not (found := look()) and time.monotonic() < give_up_at:
        time.sleep(POLL)
    return found


def _both(other: Callable[[Place, str], Moment]) -> Callable[[Place, str], Moment]:
    def kill_both(place: Place, uid: str) -> Moment:
        _operator(place, uid)
        return other(place, uid)

    return kill_both


_KILLS: dict[Who, Callable[[Place, str], Moment]] = {
    Who.OPERATOR: _operator,
    Who.KEEPER: _keeper,
    Who.HOLDER: _holder,
    Who.AGENT: _agent,
    Who.TASK: _task,
    Who.UNDO: _undo,
    Who.OPERATOR_AND_AGENT: _both(_agent),
    Who.OPERATOR_AND_UNDO: _both(_undo),
    Who.OPERATOR_AND_GUARD: _both(_guard),
}
