"""One trial: a fault, an operator that halts at a point, a kill, and what becomes of the target."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException

from bench.cluster_api import Failed
from bench.leftbehind import victims
from bench.leftbehind.halting import Halt
from bench.leftbehind.looking import Eye, Look
from bench.leftbehind.place import Place
from bench.leftbehind.plan import Kill, Then, Who
from cluster.waiting import until

TROUBLES = (AssertionError, Failed, OSError, HTTPException)
AWAY = (OSError, HTTPException)
TRIALS = itertools.count(1)
HALT_WITHIN, CLEAN_WITHIN, OVER_WITHIN = 60.0, 100.0, 120.0  # seconds
POLL = 0.4
WELL = ("Passed", "NothingMet")
"""What runs with nothing killed end with: nobody resolves a name or asks for a page in the shop."""
_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True)
class Verdict:
    """What became of one trial. `left` names what was not as before, `seconds` count from the kill until all was."""

    kill: Kill
    was_begun: bool = True
    was_killed: bool = False
    was_on: bool = False
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    took: float = 0.0
    locks: int = 0
    note: str = ""
    passed: list[str] = field(default_factory=list)


class Trial:
    """One trial in a place. `strike_api` kills the API server, perhaps for several trials at once."""

    def __init__(self, kill: Kill, place: Place, strike_api: Callable[[], bool]) -> None:
        self._kill, self._place, self._stage = kill, place, place.stage
        self._strike_api = strike_api
        self._number = next(TRIALS)
        self._name = f"x{self._number}"
        self._verdict = Verdict(kill)
        self._killed_at = 0.0

    def run(self) -> Verdict:
        """Run it. What goes wrong after the kill is something left: an error must not hide it."""
        began, verdict = time.monotonic(), self._verdict
        try:
            self._prepare()
            self._harm()
            self._watch()
            self._conclude()
        except TROUBLES as error:
            verdict.note = "; ".join([repr(error), *getattr(error, "__notes__", ())])[:1500]
            if verdict.was_killed:
                verdict.left.append(f"error: {verdict.note[:300]}")
        verdict.passed = self._place.desk.passed(self._number)
        verdict.took = time.monotonic() - began
        return verdict

    # --- before the kill --------------------------------------------------------------------------------

    def _prepare(self) -> None:
        place, kill = self._place, self._kill
        pod = place.refresh(kill.kind)
        self._uid = pod["metadata"]["uid"]
        self._eye = Eye(place, kill.kind, pod["metadata"]["name"], self._uid)
        self._before = self._settled()
        place.desk.tell(Halt(self._number, kill.point, kill.nth))
        place.operate()
        self._stage.put(place.experiment(self._name, kill.kind, kill.seconds))

    def _settled(self) -> Look:
        """Look until two looks in a row are the same: whatever was before has come to rest."""
        last: list[Look] = [self._eye.look(is_thorough=True)]

        def look() -> bool:
            last.append(self._eye.look(is_thorough=True))
            ours = any("homeostat" in one for one in last[-1].get("processes", ()))
            is_told = [None, None] not in last[-1]["Pod"]["resources"]  # a kubelet tells of them a little late
            return is_told and not ours and last[-1] == last[-2]

        until(look, "the target is at rest", 30)
        return last[-1]

    def _harm(self) -> None:
        """Wait for the point, and kill."""
        operator, kill = self._place.operate(), self._kill
        if not kill.point:
            return
        until(lambda: operator.has_halted() or self._is_finished(), f"{kill.point} {kill.nth}", HALT_WITHIN)
        if not operator.has_halted():
            raise Failed(f"it did not come by its point: {self._why()}")
        self._verdict.was_on = bool(self._differences())
        self._place.desk.tell(Halt(self._number))
        if kill.who is Who.API:
            self._verdict.was_killed = self._strike_api()
            self._killed_at = time.monotonic()
        else:
            killed_at = victims.kill(kill.who, self._place, self._uid)
            self._verdict.was_killed = killed_at is not None
            self._killed_at = killed_at or time.monotonic()
        if operator.is_running():
            operator.go_on()
        if kill.then in {Then.STRIPPED, Then.SWEPT}:
            self._strip()
        if not self._verdict.was_killed:
            self._verdict.note = "nobody of that kind was there to be killed"

    def _strip(self) -> None:
        """Take the experiment away as somebody does who does not know better."""
        self._stage.patch("ChaosExperiment", {"metadata": {"finalizers": None}}, self._name)
        self._stage.delete("ChaosExperiment", self._name)
        until(lambda: self._stage.find("ChaosExperiment", self._name) is None, "the experiment is gone")

    # --- after the kill ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the target until it is as before, and nothing more can come."""
        give_up_at = time.monotonic() + (OVER_WITHIN if not self._kill.point else CLEAN_WITHIN)
        differences, last_look = [""], self._killed_at
        while time.monotonic() < give_up_at:
            with suppress(*AWAY):
                if self._kill.then not in {Then.DEAD, Then.STRIPPED}:
                    self._place.operate()  # one that lost its lead with the API server ends, and is started again
                is_settled = self._is_settled()
                found = self._differences()
                if found and not differences:
                    self._verdict.seconds = 0.0
                differences, last_look = found, time.monotonic()
                if not found and not self._verdict.seconds:
                    self._verdict.seconds = last_look - self._killed_at
                if is_settled and not found:
                    return
            time.sleep(POLL)
        self._verdict.left += differences or ["it does not come to an end: " + self._why()]
        self._verdict.seconds = time.monotonic() - self._killed_at

    def _is_settled(self) -> bool:
        if self._kill.then in {Then.LIVES, Then.RESTARTED}:
            return self._is_finished()
        guards = {pod["status"].get("phase") for pod in self._place.guard_pods()}
        return guards <= _OVER and self._eye.agents_have_ended()

    def _is_finished(self) -> bool:
        found = self._stage.find("ChaosExperiment", self._name)
        return found is None or (found.get("status") or {}).get("phase") == "Finished"

    def _differences(self, *, is_thorough: bool = False) -> list[str]:
        return self._eye.differences(self._before, self._eye.look(is_thorough=is_thorough))

    def _conclude(self) -> None:
        """Have an operator once more: it must end the run, and leave nothing in its own namespace."""
        place, verdict = self._place, self._verdict
        place.desk.tell(Halt(-self._number))
        place.operate()
        if self._kill.then is not Then.DEAD:  # else what was killed early would begin now, and last for long
            until(self._is_finished, f"the run is over: {self._why()}")
        if not self._kill.point and not any(word in self._why() for word in WELL):
            verdict.note = self._why()
        self._stage.delete("ChaosExperiment", self._name)
        until(lambda: self._stage.find("ChaosExperiment", self._name) is None, "the experiment goes")
        with suppress(AssertionError):
            until(lambda: not place.guard_pods() and not self._guards(), "the guard is gone", 40)
        verdict.left += [f"guard: {name}" for name in self._guards()]
        verdict.left += [f"undo Pod: {pod['metadata']['name']}" for pod in place.guard_pods()]
        for namespace, name in list(place.leases()):
            verdict.locks += 1  # of an operator that died: it expires, and is anybody's
            place.drop_lease(namespace, name)
        verdict.left += [one for one in self._differences(is_thorough=True) if one not in verdict.left]
        place.until_serving(place.workload(self._kill.kind), 60)

    def _guards(self) -> list[str]:
        return [name for _, name in self._place.leases() if name.startswith("homeostat-undo")]

    def _why(self) -> str:
        with suppress(*TROUBLES):
            status = self._stage.status("ChaosExperiment", self._name)
            words = [str(status.get(one, "")) for one in ("phase", "verdict", "reason", "message")]
            return " ".join(words)[:400]
        return ""

    def __repr__(self) -> str:
        return f"{self._name} in {self._stage.namespace}"
