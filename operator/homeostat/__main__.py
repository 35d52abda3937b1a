"""The command line: `homeostat run`, `homeostat settings`, `homeostat version`."""

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version

import uvloop
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from homeostat.ports import Unavailable
from homeostat.telemetry import log
from homeostat.wiring.process import run
from homeostat.wiring.settings import Settings

USAGE = """usage: homeostat COMMAND [--SETTING VALUE ...]

  run        run the operator
  settings   print the settings that would be in force
  version    print the version

Settings are flags or environment variables (--log-level, HOMEOSTAT_LOG_LEVEL); `homeostat run --help` lists them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit code."""
    command, *flags = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if command == "version":
        print(version("homeostat"))  # noqa: T201 - this is what was asked for
        return 0
    if command not in {"run", "settings"}:
        print(USAGE, file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return 0 if command in {"-h", "--help", "help"} else 2
    try:
        settings = CliApp.run(Settings, cli_args=flags)
    except ValidationError as error:
        _complain(error)
        return 2
    except SettingsError as error:
        print(f"homeostat: {error}: lists are written as JSON, like '[\"shop\"]'", file=sys.stderr)  # noqa: T201
        return 2
    if command == "settings":
        print(json.dumps(settings.shown(), indent=2))  # noqa: T201 - this is what was asked for
        return 0
    return _run(settings)


def _run(settings: Settings) -> int:
    log.set_up(settings.log_level, is_for_humans=settings.log_format == "text")
    try:
        uvloop.run(run(settings))
    except Unavailable as error:
        print(f"homeostat: {error}", file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return 1
    except asyncio.CancelledError:
        return 1
    return 0


def _complain(error: ValidationError) -> None:
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        print(f"homeostat: setting {name}: {problem['msg']}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
