"""The command line: `homeostat run`, and what one asks from a shell, such as `status` and `why`.

Also `kubectl homeostat`. Nothing is imported that a command does not need: `--help` and `version` wait for nothing.
"""

import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from homeostat.cli.commands import BY_NAME, COMPLETE, Command

if TYPE_CHECKING:
    from pydantic import ValidationError

    from homeostat.wiring.settings import Settings

FAILED = 2
_HELP = frozenset({"-h", "--help"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit code."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if name == COMPLETE:
        return complete(rest)
    if name == "help" or name in _HELP:
        return _help(rest)
    command = BY_NAME.get(name)
    if command is None:
        return _unknown(name)
    if _HELP & set(rest) and command.parser and not any("/" in one for one in rest):
        return _help([name, *rest])
    try:
        return _run(command, rest)
    except KeyboardInterrupt:  # whoever has seen enough wants no traceback; a command that has more to say did
        return FAILED


def complete(arguments: Sequence[str] | None = None) -> int:
    """Print what may come next on a command line: what the completion of a shell, or of kubectl, asks."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    code: int = import_module("homeostat.cli.completing").main(words)
    return code


def _run(command: Command, rest: list[str]) -> int:
    if command.name == "version":
        return _version_help() if _HELP & set(rest) else _version()
    if command.name in {"run", "settings"}:
        if command.name == "run" and any("/" in one for one in rest):
            consent = import_module("homeostat.cli.consent.command")
            if consent.is_by_hand(rest):
                by_hand: int = consent.main("run", rest)
                return by_hand
        return _help_of_settings(command.name) if _HELP & set(rest) else _with_settings(command.name, rest)
    module = f"homeostat.cli.{command.module}"
    if find_spec(module) is None:
        print(f"homeostat: {command.name} is not part of this installation", file=sys.stderr)  # noqa: T201
        return FAILED
    # Imported only now: `homeostat version` need not wait for a prober and a database.
    told = import_module(module).main
    code: int = told(command.name, rest) if command.is_told_its_name else told(rest)
    return code


def _version() -> int:
    from importlib.metadata import version  # noqa: PLC0415 - only here

    print(version("homeostat"))  # noqa: T201 - this is what was asked for
    return 0


# --- help -----------------------------------------------------------------------------------------------


def _help(arguments: Sequence[str]) -> int:
    from homeostat.cli import helping  # noqa: PLC0415 - a command that runs needs none

    name, part, *_ = *(one for one in arguments if not one.startswith("-")), "", ""
    if not name:
        print(helping.overview(), end="")  # noqa: T201 - this is what was asked for
        return 0
    if name not in BY_NAME:
        return _unknown(name)
    command = BY_NAME[name]
    if not command.parser:
        return _run(command, [*arguments[1:], "--help"])
    print(helping.parser_of(command, part).format_help(), end="")  # noqa: T201
    return 0


def _version_help() -> int:
    print(f"usage: homeostat version\n\n{BY_NAME['version'].summary.capitalize()}.")  # noqa: T201
    return 0


def _help_of_settings(command: str) -> int:
    from homeostat.cli.settings_help import settings_help  # noqa: PLC0415

    print(settings_help(command), end="")  # noqa: T201
    return 0


def _unknown(name: str) -> int:
    from homeostat.cli import helping  # noqa: PLC0415

    print(helping.not_known(name) if name else helping.overview(), end="", file=sys.stderr)  # noqa: T201
    return FAILED


# --- the operator ---------------------------------------------------------------------------------------


def _with_settings(command: str, flags: list[str]) -> int:
    with _sparing_garbage():
        from pydantic import ValidationError  # noqa: PLC0415 - a guard must be there soon, and needs none
        from pydantic_settings import CliApp, SettingsError  # noqa: PLC0415

        from homeostat.wiring.settings import Settings  # noqa: PLC0415

    unknown = next((one for one in flags if one.startswith("--") and _setting(one) not in Settings.model_fields), "")
    if unknown:
        return _no_setting(command, unknown, Settings.model_fields)
    try:
        settings = CliApp.run(Settings, cli_args=flags, cli_exit_on_error=False)
    except ValidationError as error:
        _complain(error)
        return FAILED
    except SettingsError as error:
        if "parsing CLI" in str(error):
            print(f"homeostat: {command}: settings are told as --SETTING VALUE", file=sys.stderr)  # noqa: T201
            return FAILED
        print(f"homeostat: {error}: lists are written as JSON, like '[\"shop\"]'", file=sys.stderr)  # noqa: T201
        return FAILED
    if command == "settings":
        import json  # noqa: PLC0415

        print(json.dumps(settings.shown(), indent=2))  # noqa: T201 - this is what was asked for
        return 0
    return _operate(settings)


def _setting(flag: str) -> str:
    return flag.removeprefix("--").partition("=")[0].replace("-", "_")


def _no_setting(command: str, flag: str, settings: Iterable[str]) -> int:
    from difflib import get_close_matches  # noqa: PLC0415 - only here

    flag = flag.partition("=")[0]
    near = get_close_matches(flag, [f"--{name.replace('_', '-')}" for name in settings], n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    print(f"homeostat: {command}: there is no setting {flag}.{meant}", file=sys.stderr)  # noqa: T201
    return FAILED


def _operate(settings: "Settings") -> int:
    if settings.log_format != "text":
        _import_without("structlog", "rich")  # which it would draw tracebacks with, for people: 3 MiB
    with _sparing_garbage():
        import asyncio  # noqa: PLC0415 - and what the operator consists of: only `run` needs them

        import uvloop  # noqa: PLC0415

        from homeostat.ports import Unavailable  # noqa: PLC0415
        from homeostat.telemetry import log  # noqa: PLC0415
        from homeostat.wiring.process import run  # noqa: PLC0415

    log.set_up(settings.log_level, is_for_humans=settings.log_format == "text")
    try:
        uvloop.run(run(settings))
    except Unavailable as error:
        print(f"homeostat: {error}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return 1
    except asyncio.CancelledError:
        return 1
    return 0


@contextmanager
def _sparing_garbage() -> Iterator[None]:
    """Look for no garbage while something is imported: it stays for good, and looking is a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _import_without(name: str, unwanted: str) -> None:
    """Import a package as if one that it can do without were not installed; too late if either is imported already."""
    modules: dict[str, Any] = sys.modules
    if name in modules or unwanted in modules:
        return
    modules[unwanted] = None  # not to be found
    import_module(name)
    del modules[unwanted]


def _complain(error: "ValidationError") -> None:
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        print(f"homeostat: setting {name}: {problem['msg']}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
