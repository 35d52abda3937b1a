"""Lines on the standard streams, also where nobody reads them."""

import json
import os
import re
import sys
from collections.abc import Iterable
from io import TextIOWrapper

import yaml
from typing_extensions import override


def print_out(text: str) -> bool:
    """Print what was asked for; False when it cannot be written. `| head`, which has seen enough, is no failure."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know no arrows
    try:
        print(text, end="", flush=True)  # noqa: T201 - this is what was asked for
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter flushes at its end
        if not isinstance(error, BrokenPipeError):
            complain([f"standard output: {error.strerror}"])
            return False
    return True


_COMMANDING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON and YAML let stand as it is, and a terminal may obey: more control characters, and turned writing."""


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such, and nothing by reference."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        """Write out in full what is there twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _COMMANDING.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(documents: Iterable[object]) -> str:
    """Write documents, each with its members in the order in which they were made."""
    text = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return _COMMANDING.sub(_escaped, text)  # each stands in double quotes, where that is how it is written


def encoded(told: object, output: str) -> str:
    """Write data for programs: as JSON, or as YAML. A human may look at it all the same."""
    if output == "yaml":
        return as_yaml([told])
    text = json.dumps(told, indent=2, ensure_ascii=False)
    return _COMMANDING.sub(_escaped, text) + "\n"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def complain(problems: Iterable[str], prefix: str = "homeostat: ") -> None:
    """Tell whoever sits at the terminal, a line each."""
    for problem in problems:
        print(f"{prefix}{in_one_line(problem)}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal


def in_one_line(text: str) -> str:
    """Show a text that may have parts of a file in it: no character of it ends the line, or commands a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def in_lines(text: str) -> str:
    """Show a text of several lines of which nothing commands a terminal."""
    return "\n".join(map(in_one_line, text.split("\n")))


def where_the_store_is(command: str) -> str:
    """Hint where a command that reads history finds it."""
    return (
        "run this where the store is: in the operator's Pod, "
        f"`kubectl -n homeostat-system exec deploy/homeostat -- homeostat {command} ...`, "
        "or name the store with --store-url"
    )
