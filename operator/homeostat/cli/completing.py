"""What may come next on a command line, in the words that kubectl and the shells understand.

Each candidate is a line, with what it is for after a tab; the last line is a directive: `:4` nothing else, `:0` files,
too. Names of objects are asked of the cluster for a second at most; where there is none, nothing is said about it.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

from homeostat.cli.arguments import Parser
from homeostat.cli.chaos.command import COMMANDS as OF_CHAOS
from homeostat.cli.commands import BY_NAME, COMMANDS
from homeostat.cli.helping import is_here, parser_of

NO_FILES, FILES = 4, 0
SECONDS = 1.0
"""How long a human who pressed TAB may wait for a cluster."""
PLURALS = {
    "slo": "servicelevelobjectives",
    "hc": "healthchecks",
    "rp": "recoverypolicies",
    "chaos": "chaosexperiments",
    "gd": "gamedays",
}
_PLACE = ("namespace", "context", "kubeconfig")
_OF_FILES = frozenset({"file", "files", "kubeconfig", "history", "against"})

Candidates = tuple[list[tuple[str, str]], int]


def main(words: Sequence[str]) -> int:
    """Print the candidates for the last of the words; give the exit code."""
    found, directive = candidates(words or [""])
    for word, about in found:
        print(f"{word}\t{about}" if about else word)  # noqa: T201 - what was asked for
    print(f":{directive}")  # noqa: T201
    return 0


def candidates(words: Sequence[str]) -> Candidates:
    """Give what may stand for the last of the words, each with what it is for, and a directive."""
    *before, current = words
    if not before:
        return _starting([(one.name, one.summary) for one in COMMANDS if is_here(one)], current), NO_FILES
    if before == ["help"]:
        return _starting([(one.name, one.summary) for one in COMMANDS if is_here(one)], current), NO_FILES
    if before == ["chaos"]:
        return _starting([(name, about) for name, (_, about) in OF_CHAOS.items()], current), NO_FILES
    parser = _parser(before)
    if parser is None:
        return [], NO_FILES
    given = before[2:] if before[0] == "chaos" else before[1:]
    return _of_parser(parser, given, current)


def _parser(before: Sequence[str]) -> Parser | None:
    if before[0] == "chaos" and len(before) > 1:
        return _made(f"chaos_{before[1]}") if before[1] in OF_CHAOS else None
    command = BY_NAME.get(before[0])
    if command is None or not is_here(command):
        return None
    if command.parser:
        return parser_of(command)
    if command.name == "run" and any("/" in one for one in before):
        return _made("consent", "run")
    return None


def _made(module: str, *which: str) -> Parser:
    made: Parser = import_module(f"homeostat.cli.parsers.{module}").parser(*which)
    return made


def _of_parser(parser: Parser, given: Sequence[str], current: str) -> Candidates:
    options = parser._option_string_actions  # noqa: SLF001 - argparse tells nobody else
    if current.startswith("--") and "=" in current:
        name, _, value = current.partition("=")
        found, directive = _values(parser, options.get(name), given, value)
        return [(f"{name}={word}", about) for word, about in found], directive
    if given and given[-1] in options and _takes_value(options[given[-1]]):
        return _values(parser, options[given[-1]], given, current)
    if current.startswith("-"):
        return _starting(_options(options), current), NO_FILES
    return _values(parser, _positional(parser, options, given), given, current)


def _options(options: Mapping[str, argparse.Action]) -> list[tuple[str, str]]:
    named = ((name, action) for name, action in options.items() if name.startswith("--"))
    return [(name, _about(action)) for name, action in named]


def _about(action: argparse.Action) -> str:
    return (
        "" if action.help in {None, argparse.SUPPRESS} else str(action.help).replace("%(default)s", str(action.default))
    )


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0


def _positional(parser: Parser, options: Mapping[str, argparse.Action], given: Sequence[str]) -> argparse.Action | None:
    """Give the argument that is due: what was given, without options and their values, is counted."""
    places = [one for one in parser._actions if not one.option_strings]  # noqa: SLF001
    count = sum(1 for _ in _arguments(options, given))
    if count < len(places):
        return places[count]
    return places[-1] if places and places[-1].nargs in {"*", "+"} else None


def _arguments(options: Mapping[str, argparse.Action], given: Sequence[str]) -> Iterator[str]:
    is_value = False
    for word in given:
        if not is_value and not word.startswith("-"):
            yield word
        is_value = not is_value and word in options and _takes_value(options[word])


def _values(parser: Parser, action: argparse.Action | None, given: Sequence[str], current: str) -> Candidates:
    if action is None:
        return [], NO_FILES
    if action.choices is not None:
        return _starting([(str(one), "") for one in action.choices], current), NO_FILES
    kinds = parser.kinds.get(action.dest, ())
    if kinds:
        return _objects(kinds, _place(given), current), NO_FILES
    if action.dest in {"namespace", "operator_namespace"}:
        return _starting(_named(_place(given), ("/api/v1/namespaces",)), current), NO_FILES
    return [], FILES if action.dest in _OF_FILES else NO_FILES


def _objects(kinds: Sequence[str], place: Mapping[str, str], current: str) -> list[tuple[str, str]]:
    """Give kinds until one is written, then the names of its objects."""
    kind, slash, _ = current.partition("/")
    if not slash and len(kinds) > 1:
        return _starting([(f"{one}/", PLURALS[one]) for one in kinds], current)
    meant = kind if slash else kinds[0]
    if meant not in PLURALS:
        return []
    path = f"/apis/homeostat.dev/v1alpha1/namespaces/{{namespace}}/{PLURALS[meant]}"
    return _starting([(f"{meant}/{name}", about) for name, about in _named(place, (path,))], current)


def _place(given: Sequence[str]) -> dict[str, str]:
    """Read which cluster and namespace the words before name."""
    place = dict.fromkeys(_PLACE, "")
    short = {"-n": "namespace"} | {f"--{name}": name for name in _PLACE}
    for word, value in zip(given, [*given, ""][1:], strict=True):
        name, is_both, written = word.partition("=")
        if name in short:
            place[short[name]] = written if is_both else value
    return place


def _named(place: Mapping[str, str], paths: Sequence[str]) -> list[tuple[str, str]]:
    """Ask the cluster for names. A shell that waits for TAB is told nothing of why there are none."""
    from homeostat.cli.names import names  # noqa: PLC0415 - the client costs time, and most TABs need none

    return [(name, "") for path in paths for name in names(place, path, SECONDS)]


def _starting(found: Sequence[tuple[str, str]], current: str) -> list[tuple[str, str]]:
    return [(word, about) for word, about in found if word.startswith(current)]
