"""The tutorials and how-tos, as their readers follow them: what is typed, on a real cluster, with the real Helm."""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.quickstarts import shipped
from cluster.waiting import until
from helm.scene import Estate
from helm.tool import ROOT, Helm
from tutorials import LESSONS, commands, shown_columns, shown_states, states

pytestmark = pytest.mark.helm

PATIENCE = 900  # for a whole lesson, which a shell follows at once
SHOP = "shop"
HOW_TOS = [path for path in sorted((ROOT / "docs" / "how-to").glob("*.md")) if "charts/homeostat " in path.read_text()]
NOT_FOR_TEMPLATES = ("--reuse-values", "--reset-then-reuse-values", "--wait")


EXACT = "first-slo"
"""The lesson that waits for every state that it shows; what stands beside a drill that just ended may be newer."""


DISTURBED = {"AgentLost", "AgentNotStarted", "SignalStale", "SignalUnknown", "SteadyStateBroken"}
"""Why a drill ends early on a machine that stops for seconds: who follows the lesson there begins it once more."""


@dataclass(frozen=True, slots=True)
class Typist:
    """Types what a page says, in the folder of the clone."""

    kubectl: Path
    kubeconfig: Path
    home: Path

    def type(self, *lines: str) -> str:
        """Have a shell run them, each of which must end well, and give what they print."""
        folder = str(self.kubectl.parent)
        path = {"PATH": f"{folder}:{os.environ['PATH']}"} if folder != "." else {}
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=ROOT,
            env=os.environ | homes | path | {"KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def follow(self, lesson: str) -> str:
        """Type all of a lesson, once more when its drill was disturbed, and give what was printed in the end."""
        lines = commands(lesson)
        try:
            return self.type(*lines)
        except AssertionError:
            why = self.type(f"kubectl get chaos -n {SHOP} -o jsonpath='{{.items[*].status.reason}}'").split()
            if not DISTURBED & set(why):
                raise
        print(f"the drill was disturbed: {' '.join(why)}")  # noqa: T201 - shown with the test
        return self.type(*lines)


@pytest.fixture
def typist(estate: Estate, kubectl_command: list[str], kubeconfig: Path, tmp_path: Path) -> Typist:
    """Somebody before a cluster without homeostat's operator, and without a shop."""
    estate.make_way()
    estate.until_gone(SHOP)
    estate.made.append(SHOP)
    return Typist(Path(kubectl_command[0]), kubeconfig, tmp_path)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_can_be_followed_word_by_word(lesson: str, typist: Typist) -> None:
    """Every command ends well, and prints tables with the columns that the lesson shows."""
    told = typist.follow(lesson)

    printed = {" ".join(line.split()) for line in told.splitlines()}
    assert [columns for columns in shown_columns(lesson) if columns not in printed] == []
    assert lesson != EXACT or states(told) == shown_states(lesson)


@pytest.mark.usefixtures("nothing")
def test_the_quick_start_of_the_readme_ends_with_an_objective_that_is_met_and_never_with_a_false_alarm(
    typist: Typist,
) -> None:
    """Its last command is typed again until there are figures: before, nothing is claimed of the objective."""
    *before, last = shipped().commands
    typist.type(*before)
    seen: list[str] = []

    def met() -> bool:
        seen.extend(states(typist.type(last)))
        return seen[-1:] == ["Met"]

    until(met, "the objective is met")
    assert set(seen) <= {"Unknown", "Met"}


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_the_values_that_a_how_to_sets_are_known_to_the_chart(page: Path, helm: Helm) -> None:
    """The chart refuses a key that it does not know."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"^ {4}helm (?:install|upgrade) [\w-]+ charts/homeostat (.*)$", text, re.MULTILINE)
    told = [[word for word in shlex.split(flags) if word not in NOT_FOR_TEMPLATES] for flags in installs]

    assert installs
    assert [flags for flags in told if not helm.rendered(None, *flags)] == []
