"""Command lines that are complained of in one line, like anything else that is wrong."""

import argparse
from typing import NoReturn

from typing_extensions import override


class BadArguments(Exception):
    """The command line asks for something that there is not; the message says what."""


class Parser(argparse.ArgumentParser):
    """Raises BadArguments, with the command's name before what is wrong, where argparse would print and exit."""

    @override
    def error(self, message: str) -> NoReturn:
        raise BadArguments(f"{self.prog.removeprefix('homeostat ')}: {message}")
