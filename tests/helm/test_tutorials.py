"""The tutorials and how-tos, as their readers follow them: what is typed, on a real cluster, with the real Helm."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from helm.scene import Estate
from helm.tool import ROOT, Helm
from tutorials import LESSONS, commands, shown_columns

pytestmark = pytest.mark.helm

PATIENCE = 300
SHOP = "shop"
HOW_TOS = [path for path in sorted((ROOT / "docs" / "how-to").glob("*.md")) if "charts/homeostat " in path.read_text()]
NOT_FOR_TEMPLATES = ("--reuse-values", "--reset-then-reuse-values", "--wait")


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_can_be_followed_word_by_word(
    lesson: str, estate: Estate, kubectl_command: list[str], kubeconfig: Path, tmp_path: Path
) -> None:
    """Every command ends well, and prints tables with the columns that the lesson shows."""
    estate.make_way()
    estate.until_gone(SHOP)
    estate.made.append(SHOP)
    folder = str(Path(kubectl_command[0]).parent)
    homes = {f"HELM_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    path = {"PATH": f"{folder}:{os.environ['PATH']}"} if folder != "." else {}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands(lesson))],
        cwd=ROOT,
        env=os.environ | homes | path | {"KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    printed = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert [columns for columns in shown_columns(lesson) if columns not in printed] == []


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_the_values_that_a_how_to_sets_are_known_to_the_chart(page: Path, helm: Helm) -> None:
    """The chart refuses a key that it does not know."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"^ {4}helm (?:install|upgrade) [\w-]+ charts/homeostat (.*)$", text, re.MULTILINE)
    told = [[word for word in shlex.split(flags) if word not in NOT_FOR_TEMPLATES] for flags in installs]

    assert installs
    assert [flags for flags in told if not helm.rendered(None, *flags)] == []
