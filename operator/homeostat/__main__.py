"""The command line: `homeostat run`, and what one asks from a shell, such as `probe` and `report`."""

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from homeostat.wiring.settings import Settings

USAGE = """usage: homeostat COMMAND [OPTION ...]

  run        run the operator
  probe      run the checks of a file once, from here, and explain what they find
  score      print the scores of services and of the cluster
  history    print what is kept of a check's past
  explain    say of each gate of a policy whether it passes now, and what would be done
  stats      print how well policies heal: success and times, by policy, step or cause
  gate       say by its exit code whether an objective's budget lets a rollout go on
  report     print how an objective was kept in a month
  rules      print the Prometheus rules of the objectives of a file
  import     turn objectives of OpenSLO, Sloth or Pyrra into ours
  export     turn our objectives into OpenSLO
  validate   check the objects of a file as the API server would, without one
  approve    let the plan of a RecoveryPolicy, an experiment or a game day be carried out
  reject     reject such a plan
  pause      let a RecoveryPolicy do nothing until it is resumed
  resume     end such a pause
  run rp/NAME --step STEP
             run a step of a RecoveryPolicy by hand
  chaos      run, abort, plan, list: experiments and game days by hand
             sweep: find what experiments left behind, and undo it
  undo       what an undo Pod runs: take a fault off when nobody holds it up any more
  settings   print the settings that would be in force
  version    print the version

`homeostat COMMAND --help` lists the options of a command. Settings are flags of `run` or environment variables
(--log-level, HOMEOSTAT_LOG_LEVEL).
"""

_COMMANDS = {
    name: f"{name}_command"
    for name in (
        "probe",
        "score",
        "history",
        "explain",
        "stats",
        "gate",
        "report",
        "rules",
        "import",
        "export",
        "validate",
        "undo",
        "chaos",
    )
}
_CONSENT = frozenset({"approve", "reject", "pause", "resume"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit code."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if command == "version":
        print(version("homeostat"))  # noqa: T201 - this is what was asked for
        return 0
    if command in _COMMANDS:
        # Imported only now: `homeostat version` need not wait for a prober and a database.
        code: int = import_module(f"homeostat.wiring.{_COMMANDS[command]}").main(rest)
        return code
    if command in _CONSENT or (command == "run" and any("/" in one for one in rest)):
        consent = import_module("homeostat.wiring.consent_command")
        if command in _CONSENT or consent.is_by_hand(rest):
            told: int = consent.main(command, rest)
            return told
    if command not in {"run", "settings"}:
        print(USAGE, file=sys.stderr)  # noqa: T201 - to whoever sits at the terminal
        return 0 if command in {"-h", "--help", "help"} else 2
    return _with_settings(command, rest)


def _with_settings(command: str, flags: list[str]) -> int:
    from pydantic_settings import CliApp, SettingsError  # noqa: PLC0415 - a guard must be there soon, and needs none

    from homeostat.wiring.settings import Settings  # noqa: PLC0415

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


def _run(settings: "Settings") -> int:
    import uvloop  # noqa: PLC0415 - and what the operator consists of: only `run` needs them

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


def _complain(error: ValidationError) -> None:
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        print(f"homeostat: setting {name}: {problem['msg']}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
