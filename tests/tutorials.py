"""What the tutorials tell their readers to type, and what to apply."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
LESSONS = ("first-slo", "first-recovery", "first-drill")
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_APPLIED = re.compile(r"^kubectl apply -f - <<'EOF'\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)


def commands(lesson: str) -> list[str]:
    """Give the blocks of commands of a lesson, in their order."""
    return _COMMANDS.findall((FOLDER / f"{lesson}.md").read_text(encoding="utf-8"))


def applied(lesson: str) -> Iterator[dict[str, Any]]:
    """Give the objects that a lesson has its reader apply, but for those of files."""
    for block in commands(lesson):
        for text in _APPLIED.findall(block):
            yield from yaml.safe_load_all(text)


def shown_columns(lesson: str) -> list[str]:
    """Give the heads of the tables that a lesson shows, with single spaces."""
    text = (FOLDER / f"{lesson}.md").read_text(encoding="utf-8")
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith("NAME ")]


def states(text: str) -> list[str]:
    """Give what tables say below STATE, row by row, whatever stands between the tables."""
    found, at = [], -1
    for line in text.splitlines():
        words = line.split()
        if words[:1] in (["NAME"], ["NAMESPACE"]):
            at = line.find("STATE")
        elif at >= 0 and line[at : at + 1].isupper() and line[at - 1] == " ":
            found.append(line[at:].split()[0])
        else:
            at = -1
    return found


def shown_states(lesson: str) -> list[str]:
    """Give what the tables of a lesson say below STATE."""
    return states((FOLDER / f"{lesson}.md").read_text(encoding="utf-8"))
