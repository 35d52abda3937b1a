"""What homeostat tells people to type exists, and is understood as it is written."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import homeostat
from homeostat.cli.chaos.command import COMMANDS as OF_CHAOS
from homeostat.cli.commands import BY_NAME
from homeostat.cli.helping import parser_of
from homeostat.cli.parsers import chaos_abort, chaos_list, chaos_plan, chaos_run, chaos_sweep, consent, freeze
from homeostat.cli.reasons.why_report import _CHANGES

SOURCE = Path(homeostat.__file__).parent
_TYPED = re.compile(r"`(?:kubectl )?homeostat ([a-z][^`]*)`")
_CHAOS = {
    "run": chaos_run, "abort": chaos_abort, "plan": chaos_plan, "list": chaos_list, "sweep": chaos_sweep,
}  # fmt: skip
_OBJECTS = {"approve": "rp/x", "reject": "rp/x", "pause": "rp/x", "resume": "rp/x", "explain": "hc/x", "why": "hc/x"}


def texts(*rooms: str) -> Iterator[str]:
    """Give every text of the sources that is printed somewhere, with what is filled in as X; no docstring."""
    for path in (path for room in rooms or ("cli", "core", "wiring") for path in SOURCE.glob(f"{room}/**/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inner:
                yield node.value


def advised() -> list[str]:
    """Give every command that is told to somebody, without the program's name."""
    changes = (command for _, command in _CHANGES.values())
    of_why = {one.removeprefix("homeostat ") for one in changes if one.startswith("homeostat ")}
    in_sources = {found for text in texts() for found in _TYPED.findall(text)}
    diagnosed = {text.removeprefix("homeostat ") for text in texts("core/diagnosis") if text.startswith("homeostat ")}
    return sorted(of_why | in_sources | diagnosed)


def understood(command: str, words: list[str]) -> None:
    """Raise BadArguments where the parser of the command does not take the words."""
    if command == "chaos":
        assert words[0] in OF_CHAOS
        _CHAOS[words[0]].parser().parse_args(words[1:])
    elif command == "freeze":
        head = words[0] if words[0] in {"list", "lift"} else ""
        freeze.parser(head).parse_args(words[1 if head else 0 :])
    elif command == "run" and any("/" in one for one in words):
        consent.parser("run").parse_args(words)
    elif BY_NAME[command].parser:
        parser_of(BY_NAME[command]).parse_args(words)


def test_there_is_advice_to_look_at() -> None:
    told = advised()
    assert len(told) >= 15
    assert {"doctor", "freeze list", "chaos sweep"} <= set(told)


@pytest.mark.parametrize("advice", advised())
def test_every_command_that_is_advised_exists_and_takes_what_is_written(advice: str) -> None:
    typed = advice.replace("...", "").format(object="rp/x", namespace="shop")
    command, *words = shlex.split(typed)
    if command == "help" or "--help" in words:
        return  # tests/cli/test_commands.py asks every command for it
    assert command in BY_NAME
    words = [re.sub(r"^(X|KIND/NAME|rp/NAME|OBJECT)$", _OBJECTS.get(command, "x"), word) for word in words]
    if not words:
        return  # names the command alone
    understood(command, words)
