"""Stories of recovery as text: what happens to the world, a line of dashes, and what the policy did.

Commands: `policy KEY: VALUE` replaces a field of the manifest; `pods N`; `sick NAME`, `healthy`, `incurable`;
`freeze REASON`, `thaw`; `hold NAME` by the budget of that objective, `release`; `dark`, `light`; `refuse` and `allow`
evictions; `scale N` by another; `approve NAME`, `reject NAME` the plan that is shown; `hand {by: NAME, …}` writes
annotations (run, pause), `resume`; `kill N` steps from now; `run TIME`; `wave NAME HALF TIME`, sick and well by turns.
Of several objects (`fleet.py`): `fleet NAME…` or `nodes NAME…` makes them, `others NAME…` those that steps name,
`hurt NAME…`, `cured_by NAME` alone, `mute` names nobody, `speak` does. `wanting N` policies at once,
`unheard` as another tells of it; `git N` replicas as the repository has it. REWRITE=1 in the environment writes the
answers anew: read the difference.
"""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from homeostat.api.meta import format_duration, parse_duration
from homeostat.core.cluster import FreezeInForce
from homeostat.core.recovery.seen import Storm
from scenarios.recovery.fleet import Fleet, Member
from scenarios.recovery.world import NOON, Killed, World, spec

STORIES = sorted(Path(__file__).parent.glob("*.txt"))
LINE = "----"


class Story:
    """Runs the commands of a story on a world, and tells what came of them."""

    def __init__(self) -> None:
        self.manifest: dict[str, object] = {}
        self.world = World()
        self.told: list[str] = []
        self.stood = ""

    def perform(self, command: str) -> None:
        """Do one line of a story."""
        verb, _, rest = command.partition(" ")
        if verb == "policy":
            self.manifest |= yaml.safe_load(rest)
            self.world.spec = spec(**self.manifest)
        elif verb == "pods":
            self.world = World(spec=spec(**self.manifest), replicas=int(rest))
        elif verb in {"fleet", "nodes"}:
            kind = "Node" if verb == "nodes" else "Deployment"
            self.world = Fleet.of(*rest.split(), kind=kind, **self.manifest)
        elif verb == "run":
            self._run(rest)
        elif verb == "wave":
            self._wave(*rest.split())
        else:
            self._change(verb, rest)

    def _change(self, verb: str, rest: str) -> None:
        world = self.world
        {
            "sick": lambda: world.sick.update(rest.split()),
            "healthy": world.sick.clear,
            "incurable": lambda: self._set(eviction_heals=False, scaling_heals=False),
            "freeze": lambda: self._set(freeze=FreezeInForce("freeze", ("Recovery",), rest)),
            "thaw": lambda: self._set(freeze=None),
            "hold": lambda: self._set(budget_held_by=rest),
            "release": lambda: self._set(budget_held_by=""),
            "dark": lambda: self._set(dark=True),
            "light": lambda: self._set(dark=False),
            "refuse": lambda: self._set(pdb_allows=False),
            "allow": lambda: self._set(pdb_allows=True),
            "scale": lambda: world.resize(int(rest)),
            "kill": lambda: self._set(kill_in=int(rest)),
            "others": lambda: self._set(others={name: Member(name) for name in rest.split()}),
            "hurt": lambda: world.hurt(*rest.split()) if isinstance(world, Fleet) else None,
            "cured_by": lambda: self._set(cure_by=rest),
            "mute": lambda: self._set(says_who=False),
            "speak": lambda: self._set(says_who=True),
            "approve": lambda: world.approve(rest),
            "reject": lambda: world.ask(rest, reject=world.status.plan.hash if world.status.plan else ""),
            "hand": lambda: world.ask(**yaml.safe_load(rest)),
            "resume": lambda: world.ask(pause=""),
            "wanting": lambda: self._set(storm=Storm(int(rest), 5, speaks=True)),
            "unheard": lambda: self._set(storm=replace(world.storm, speaks=False)),
            "git": lambda: self._set(git_has=int(rest)),
        }[verb]()

    def _set(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.world, name, value)

    def _run(self, time: str) -> None:
        end = self.world.now + parse_duration(time)
        while self.world.now < end:
            self._look()
            self.world.now += timedelta(seconds=1)

    def _wave(self, name: str, half: str, time: str) -> None:
        """Let a pod be sick and well by turns, whatever is done to it: what it serves comes and goes by itself."""
        end = self.world.now + parse_duration(time)
        while self.world.now < end:
            self.world.sick = {name}
            self._run(half)
            self.world.sick = set()
            self._run(half)

    def _look(self) -> None:
        effects, notes = len(self.world.effects), len(self.world.notes)
        with suppress(Killed):
            self.world.reconcile()
            self._tell_phase()
            self._tell(*(f"  told {note}" for note in self.world.notes[notes:]))
        self._tell(*(f"  did {' '.join(effect.split()[:-1])}" for effect in self.world.effects[effects:]))

    def _tell_phase(self) -> None:
        status = self.world.status
        stands = status.phase + (f" {status.blocked.reason}" if status.blocked else "")
        if stands != self.stood:
            self.stood = stands
            self._tell(f"{format_duration(self.world.now - NOON):>6} {stands}")

    def _tell(self, *lines: str) -> None:
        self.told += lines


def answered(text: str) -> str:
    """Run a story, and give its text with the answers as they are now."""
    story, blocks = Story(), []
    for block in text.strip().split("\n\n"):
        question, _, _ = block.partition(f"\n{LINE}")
        story.told = []
        for line in question.splitlines():
            if not line.startswith("#"):
                story.perform(line)
        blocks.append("\n".join([question, LINE, *story.told]))
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_goes_as_it_is_told(path: Path) -> None:
    """R1-R15 as stories."""
    told = path.read_text()
    goes = answered(told)
    if os.environ.get("REWRITE"):
        path.write_text(goes)

    assert goes == told or os.environ.get("REWRITE")
