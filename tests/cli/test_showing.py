"""How commands show what they found: text for people, JSON and YAML for programs, colours for terminals only."""

import json
import subprocess
import sys

import pytest
import yaml
from rich.table import Table
from rich.text import Text

from homeostat.cli.showing import show

TOLD = {"name": "a", "why": "two\nlines", "umlaut": "ü", "none": None}
LIGHT = ("status", "doctor", "budget", "freeze")


def table() -> Table:
    made = Table.grid()
    made.add_row(Text("[red]plain", style="red"), "x")
    return made


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_data_is_written_as_it_is(output: str, read: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(TOLD, output, table)
    assert callable(read)
    assert read(capsys.readouterr().out) == TOLD


def test_without_a_terminal_there_are_no_colours_and_no_markup_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(TOLD, "text", table)
    assert capsys.readouterr().out == "[red]plainx\n"


def test_a_plain_text_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(TOLD, "text", lambda: "all is well")
    assert capsys.readouterr().out == "all is well\n"


EVIL = "gone\x1b[2J\x9b2J\u202egnp.exe\rwell"


@pytest.mark.parametrize("drawn", [EVIL, Text(EVIL)], ids=["text", "rich"])
def test_nothing_that_the_cluster_says_commands_the_terminal(
    drawn: str | Text, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show({}, "text", lambda: drawn)
    told = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(told)
    assert "gone" in told


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_data_commands_no_terminal_and_is_read_back_as_it_was(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert show({"why": EVIL}, output, table)
    told = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(told)
    assert yaml.safe_load(told) == {"why": EVIL}


@pytest.mark.parametrize("command", LIGHT)
def test_help_loads_nothing_that_takes_long(command: str) -> None:
    """`--help` answers at once: neither models nor an HTTP client are loaded before there is something to ask."""
    heavy = "kopf aiohttp sqlalchemy numpy pydantic rich uvloop"
    script = (
        "import sys; from homeostat.__main__ import main\n"
        f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
