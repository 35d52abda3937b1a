"""Eyes on the scene: what the API server shows of it, and whether packets come back. Times are our own."""

import asyncio
import contextlib
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from bench.cluster_api import Api, Failed
from cluster.stage import Stage

MARKER = "homeostat.dev/chaos"
PORT = 8080
EVERY = 0.04  # seconds between packets sent to a pod
LOST_AFTER = 0.5  # seconds without an answer
LOOK = 0.02


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at something, and when."""

    at: float
    what: Any


class Eyes:
    """Follows Deployments, pods and experiments of a stage, from `watch` on."""

    def __init__(self, api: Api, stage: Stage) -> None:
        self._api = api
        self._stage = stage
        self.held: defaultdict[str, list[Sight]] = defaultdict(list)
        """By Deployment: (replicas, whether it is marked)."""
        self.leaving: defaultdict[str, list[Sight]] = defaultdict(list)
        """By app: uids of pods that were told to go."""
        self.phases: defaultdict[str, list[Sight]] = defaultdict(list)
        """By experiment: (phase, reason)."""
        self.ready: dict[str, dict[str, str]] = {}
        """By app: addresses of the pods that are ready and without an agent that runs, by uid."""

    def watch(self, tasks: asyncio.TaskGroup) -> list["asyncio.Task[None]"]:
        """Begin to look."""
        sees = {"Deployment": self._deployment, "Pod": self._pod, "ChaosExperiment": self._experiment}
        return [tasks.create_task(self._api.follow(self._stage.path(kind), see)) for kind, see in sees.items()]

    def address(self, app: str) -> str:
        """Give the address of a pod that is ready; "" when none is."""
        return next(iter(self.ready.get(app, {}).values()), "")

    def told(self, name: str) -> str:
        """Give what an experiment said last."""
        return f"{name}: {self.phases[name][-1].what if self.phases[name] else 'not seen'}"

    def _deployment(self, raw: dict[str, Any]) -> None:
        marked = MARKER in (raw["metadata"].get("annotations") or {})
        self.held[raw["metadata"]["name"]].append(Sight(time.monotonic(), (raw["spec"]["replicas"], marked)))

    def _pod(self, raw: dict[str, Any]) -> None:
        metadata, status = raw["metadata"], raw.get("status", {})
        app, uid = metadata.get("labels", {}).get("app", ""), metadata["uid"]
        conditions = status.get("conditions") or ()
        is_ready = any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
        ready = self.ready.setdefault(app, {})
        if "deletionTimestamp" in metadata:
            self.leaving[app].append(Sight(time.monotonic(), uid))
        is_free = not any("running" in one.get("state", {}) for one in status.get("ephemeralContainerStatuses") or ())
        if is_ready and is_free and "deletionTimestamp" not in metadata:
            ready[uid] = status["podIP"]
        else:
            ready.pop(uid, None)

    def _experiment(self, raw: dict[str, Any]) -> None:
        status = raw.get("status") or {}
        what = (status.get("phase", ""), status.get("reason", ""), status.get("message", ""))
        self.phases[raw["metadata"]["name"]].append(Sight(time.monotonic(), what))


class Packets:
    """Connects to a pod again and again, and keeps which attempts were answered."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sent: list[float] = []
        self._answered: dict[float, float] = {}

    async def send(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._one())
                await asyncio.sleep(EVERY)

    async def _one(self) -> None:
        sent = time.monotonic()
        self._sent.append(sent)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(LOST_AFTER):
                    await asyncio.get_running_loop().sock_connect(client, (self._address, PORT))
                    self._answered[sent] = time.monotonic()

    def cut_at(self, after: float) -> float | None:
        """Give when the first of three packets in a row was sent that were lost."""
        known = [one for one in self._sent if after < one < time.monotonic() - LOST_AFTER - EVERY]
        for first, *rest in zip(known, known[1:], known[2:], strict=False):
            if not any(one in self._answered for one in (first, *rest)):
                return first
        return None

    def back_at(self, after: float) -> float | None:
        """Give when the first packet sent since was answered."""
        return next((self._answered[one] for one in self._sent if one > after and one in self._answered), None)


def first(sights: Iterable[Sight], after: float, holds: Callable[[Any], bool]) -> float | None:
    """Give when something was first seen after a moment."""
    return next((one.at for one in sights if one.at > after and holds(one.what)), None)


async def until(
    what: str, look: Callable[[], float | None], seconds: float = 60, why: Callable[[], str] = str
) -> float:
    """Wait until a time is known. Looking late does not make it later. `why`: what to say when it does not come."""
    give_up_at = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > give_up_at:
            raise Failed(f"not within {seconds:.0f} s: {what} {why()}")
        await asyncio.sleep(LOOK)
    return found


@contextlib.asynccontextmanager
async def aside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something done meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
