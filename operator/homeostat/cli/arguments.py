"""Command lines that are complained of in one line, like anything else that is wrong."""

import argparse
import sys
from pathlib import PurePath
from typing import Any, NoReturn

from typing_extensions import override

PLUGIN = "kubectl-homeostat"


class CommandError(Exception):
    """A command cannot be done; the message says all of why, in one line."""


class BadArguments(CommandError):
    """The command line asks for something that there is not."""


class Parser(argparse.ArgumentParser):
    """Raises BadArguments, with the command's name before what is wrong, where argparse would print and exit."""

    def __init__(self, prog: str, **more: Any) -> None:  # noqa: ANN401 - whatever argparse takes
        self.command = prog.removeprefix("homeostat ")
        self.kinds: dict[str, tuple[str, ...]] = {}  # of an argument: the kinds of object that it may name
        super().__init__(prog=f"{program()} {self.command}", **more)

    @override
    def error(self, message: str) -> NoReturn:
        raise BadArguments(f"{self.command}: {message}")


def program() -> str:
    """Give what whoever sits at the terminal typed to call us: `homeostat`, or `kubectl homeostat`."""
    return "kubectl homeostat" if PurePath(sys.argv[0]).name.startswith(PLUGIN) else "homeostat"
