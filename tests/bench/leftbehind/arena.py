"""Places that trials share, and the API server that all of them lose at once."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue

from bench.cluster_api import Failed
from bench.kills.server import Server
from bench.leftbehind.line import direct_api
from bench.leftbehind.nodes import Nodes
from bench.leftbehind.place import Place
from bench.leftbehind.plan import Kill
from bench.leftbehind.trial import TROUBLES, Trial, Verdict
from bench.progress import say
from bench.scene import kubeconfig
from bench.subject import ROOT

CLUSTER = os.environ.get("HOMEOSTAT_BENCH_DEVCLUSTER", "")
"""The devcluster that the bench has for itself: its pods' processes can be killed, and its API server."""
AWAY = 5.0  # seconds without an API server
GATHER = 90.0


class Arena:
    """Makes places as they are needed; one in which something was left is not used again."""

    def __init__(self, folder: Path) -> None:
        if not CLUSTER:
            raise Failed("it needs a devcluster for itself: ./hack/bench leftbehind starts one")
        self._folder, self._server = folder, Server()
        self._api = direct_api(kubeconfig())
        self._nodes = Nodes(self._api)
        self._free: Queue[Place] = Queue()
        self._all: list[Place] = []
        self.ends_at = float("inf")

    def run(self, kill: Kill, strike_api: Callable[[], bool] = lambda: False) -> Verdict:
        """Run one trial, if there is time left."""
        if time.monotonic() > self.ends_at:
            return Verdict(kill, was_begun=False)
        try:
            place = self._take()
        except TROUBLES as error:
            return Verdict(kill, note=f"no place: {error!r}"[:1500])
        verdict = Trial(kill, place, strike_api).run()
        if verdict.left or (verdict.note and kill.point):
            self._retire(place)
        else:
            self._free.put(place)
        return verdict

    def _take(self) -> Place:
        try:
            return self._free.get_nowait()
        except Empty:
            place = Place(self._api, self._nodes, self._server, self._folder)
            self._all.append(place)
            return place

    def _retire(self, place: Place) -> None:
        for process in place.stage.processes:
            process.kill()

    def close(self) -> None:
        """End what was started."""
        for place in self._all:
            try:
                place.stage.strike()
            except TROUBLES as error:
                say(f"{place.stage.namespace} stays: {error!r}")
        self._nodes.close()
        self._server.close()


class Blackout:
    """Kills the API server once all trials of a group stand at their points; it comes back after a while."""

    def __init__(self, trials: int) -> None:
        self._barrier = threading.Barrier(trials, action=self._begin, timeout=GATHER)
        self._back: threading.Thread | None = None

    def strike(self) -> bool:
        """Wait for the others, and for the kill; False when they did not come."""
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            return False
        return True

    def end(self) -> None:
        """Wait until the API server is back."""
        self._barrier.abort()
        if self._back is not None:
            self._back.join()

    def _begin(self) -> None:
        lines = _devcluster("status").splitlines()
        pid = next(int(line.split()[1]) for line in lines if line.startswith("kube-apiserver"))
        os.kill(pid, signal.SIGKILL)
        self._back = threading.Thread(target=self._restore)
        self._back.start()

    def _restore(self) -> None:
        time.sleep(AWAY)
        _devcluster("up")


def _devcluster(command: str) -> str:
    words = [str(ROOT / "hack" / "devcluster"), command, "--name", CLUSTER]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout
