"""What the command line says of itself: all commands by group, the parser of one, and the nearest to a mistyped one."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from homeostat.cli.arguments import Parser, program
from homeostat.cli.commands import BY_NAME, COMMANDS, GROUPS, Command


def overview() -> str:
    """List the commands of this installation, by group."""
    return "".join(f"{line}\n" for line in _overview(program()))


def _overview(called: str) -> Iterator[str]:
    yield f"usage: {called} COMMAND [OPTION ...]"
    width = max(len(one.name) for one in COMMANDS)
    for group in GROUPS:
        yield f"\n{group}:"
        yield from (f"  {one.name:{width}}  {one.summary}" for one in COMMANDS if one.group == group and is_here(one))
    yield ""
    yield f"`{called} help COMMAND` lists the options of a command."
    yield "Most take -o json or -o yaml."
    yield "Exit code: 0 good, 1 the answer is no or something is wrong, 2 no answer."
    yield "Settings are flags of `run` or variables: --log-level, HOMEOSTAT_LOG_LEVEL."


def is_here(command: Command) -> bool:
    """Whether this installation has the command."""
    return not command.module or find_spec(f"homeostat.cli.{command.module}") is not None


def parser_of(command: Command, part: str = "") -> Parser:
    """Make the parser of a command that has one of its own, or of a part of it."""
    make = import_module(f"homeostat.cli.parsers.{command.parser}").parser
    told = [command.name] if command.is_told_its_name else [part] if part in command.parts else []
    made: Parser = make(*told)
    return made


def not_known(name: str) -> str:
    """Say that there is no such command, and which is meant, perhaps."""
    near = get_close_matches(name, [*BY_NAME, "help"], n=1)
    meant = f" Did you mean `{program()} {near[0]}`?" if near else ""
    return f"homeostat: there is no command {name!r}.{meant} `{program()} help` lists all.\n"
