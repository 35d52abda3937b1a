"""How a command shows what it found: as text for people, or as JSON or YAML for programs.

`rich` draws tables and colours and is imported only when something is drawn; a plain text never needs it. Whatever the
cluster says, in names and in messages, nothing of it commands the terminal that it is shown on.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from homeostat.cli.streams import encoded, in_lines, print_out

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

FORMATS = ("text", "json", "yaml")
WIDEST = 200
"""Columns of a text that no terminal shows: nothing of a table is cut off in a pipe."""


def add_output(parser: argparse.ArgumentParser) -> None:
    """Let a command be told how to print."""
    parser.add_argument("-o", "--output", choices=FORMATS, default="text", help="how to print (default: %(default)s)")


def show(
    told: Mapping[str, object] | Sequence[object], output: str, text: "Callable[[], str | RenderableType]"
) -> bool:
    """Print what a command found, as it was asked for; False when it could not be written."""
    return print_out(written(told, output, text))


def written(
    told: Mapping[str, object] | Sequence[object], output: str, text: "Callable[[], str | RenderableType]"
) -> str:
    """Write what a command found, as it was asked for."""
    if output != "text":
        return encoded(told, output)
    drawn = text()
    return _ended(in_lines(drawn)) if isinstance(drawn, str) else as_text(drawn)


def as_text(drawn: "RenderableType") -> str:
    """Draw something of rich's for standard output: with colours only where a terminal shows them."""
    console = console_of_stdout()
    with console.capture() as captured:
        console.print(Harmless(drawn))
    told = captured.get()
    return told if console.is_terminal else "".join(f"{line.rstrip()}\n" for line in told.splitlines())


class Harmless:
    """Something of rich's, drawn without anything that commands a terminal but rich's own colours."""

    def __init__(self, drawn: "RenderableType") -> None:
        self._drawn = drawn

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Segment]":
        """Draw it, as rich asks for."""
        from rich.segment import Segment  # noqa: PLC0415 - only what is drawn needs it

        for segment in console.render(self._drawn, options):
            yield segment if segment.control else Segment(in_lines(segment.text), segment.style)


def console_of_stdout() -> "Console":
    """Make a console for standard output: as wide as the terminal, or as what is written where there is none."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that only tables and colours cost

    is_seen = sys.stdout.isatty()
    return Console(
        no_color=not is_coloured(), width=None if is_seen or _columns() else WIDEST, highlight=False, emoji=False,
        markup=False, soft_wrap=False, force_terminal=is_seen, legacy_windows=False,
    )  # fmt: skip


def is_coloured() -> bool:
    """Whether standard output is a terminal, and nobody asked for no colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _columns() -> bool:
    return os.environ.get("COLUMNS", "").isdecimal()


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
