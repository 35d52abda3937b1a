"""The table of commands: every one has help that costs nothing, is documented, and is found when it is mistyped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeostat.__main__ import main
from homeostat.api import chaos, gameday, health_check, objective, recovery
from homeostat.api.objective_status import Hold
from homeostat.api.recovery import KIND
from homeostat.cli import commands, helping
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import OPERATOR_NAMESPACE, explained, kind_and_name, name_of
from homeostat.cli.commands import BY_NAME, COMMANDS, GROUPS, Command
from homeostat.cli.completing import PLURALS
from homeostat.cli.files import importing as import_command
from homeostat.cli.parsers import gate, imports, stats
from homeostat.cli.past import STORE_URL
from homeostat.cli.settings_help import settings_named
from homeostat.core.recovery.analytics import KEYS
from homeostat.ports import Forbidden, Gone
from homeostat.wiring.settings import Settings

PATH = "/apis/homeostat.dev/v1alpha1/namespaces/shop"
ROOT = Path(__file__).parents[2]
HEAVY = ("aiohttp", "kopf", "numpy", "pydantic", "rich", "sqlalchemy", "uvloop")
ALL = [one.name for one in COMMANDS]


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_is_for_and_belongs_to_a_group(name: str) -> None:
    command = BY_NAME[name]
    assert command.summary
    assert command.summary[0].islower()
    assert command.group in GROUPS
    assert helping.is_here(command)


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_documented(name: str) -> None:
    assert f"### {name}\n" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALL)
def test_help_is_printed_before_anything_heavy_is_imported(name: str) -> None:
    script = (
        "import json, sys\n"
        "from homeostat.__main__ import main\n"
        "try:\n    code = main([sys.argv[1], '--help'])\n"
        "except SystemExit as end:\n    code = end.code\n"
        f"print(json.dumps([code, [one for one in {HEAVY!r} if one in sys.modules]]), file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    ran = subprocess.run(
        [sys.executable, "-c", script, name], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert json.loads(ran.stderr.splitlines()[-1]) == [0, []]
    assert "usage: homeostat" in ran.stdout + ran.stderr


def test_the_help_lists_every_command_under_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in ALL if f"\n  {name} " not in told] == []
    assert [told.index(f"\n{group}:") for group in GROUPS] == sorted(told.index(f"\n{group}:") for group in GROUPS)


@pytest.mark.parametrize("arguments", [["help", "gate"], ["gate", "--help"], ["gate", "-h"]])
def test_help_of_a_command_is_had_in_each_way_that_one_tries(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: homeostat gate ")


@pytest.mark.parametrize("called", ["homeostat", "kubectl-homeostat"])
@pytest.mark.parametrize("asked", [[], *([name] for name in ALL)], ids=lambda asked: "".join(asked) or "all")
def test_help_fits_into_a_terminal_of_eighty_columns(
    asked: list[str], called: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", [called])
    assert main(["help", *asked]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("part", BY_NAME["freeze"].parts)
def test_help_of_a_part_of_a_command_is_about_that_part(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["freeze", part, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: homeostat freeze {part} ")


@pytest.mark.parametrize("command", ["run", "settings"])
def test_a_mistyped_setting_is_told_which_was_meant(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a line: not with the usage of all that there is."""
    assert main([command, "--scop=Cluster"]) == 2
    assert capsys.readouterr().err == f"homeostat: {command}: there is no setting --scop. Did you mean --scope?\n"
    assert main([command, "--port", "1", "stray"]) == 2
    assert capsys.readouterr().err == f"homeostat: {command}: settings are told as --SETTING VALUE\n"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Gone(f"GET {PATH}/healthchecks/a: 404 NotFound"), "there is no healthchecks/a in namespace shop: is it?"),
        (Gone(f"GET {PATH}/healthchecks: 404 NotFound"), "there is no healthchecks in namespace shop: is it?"),
        (Forbidden(f"GET {PATH}/slos: 403 Forbidden"), "you may not list slos in namespace shop: may you?"),
        (Forbidden(f"PATCH {PATH}/slos/a: 403 Forbidden"), "you may not patch slos/a in namespace shop: may you?"),
        (Forbidden("GET /version: 403 Forbidden"), "GET /version: 403 Forbidden: may you?"),
    ],
)
def test_an_object_that_is_not_there_or_not_ours_to_read_is_named_and_not_its_path(error: Exception, says: str) -> None:
    assert explained(error, when_gone="is it?", when_forbidden="may you?") == says


def test_a_mistyped_command_of_chaos_is_told_which_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "abrt"]) == 2
    assert "there is no command 'abrt'. Did you mean `homeostat chaos abort`?" in capsys.readouterr().err
    assert main(["chaos", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: homeostat chaos COMMAND")


@pytest.mark.parametrize(("typed", "meant"), [("staus", "status"), ("explian", "explain"), ("simulat", "simulate")])
def test_a_mistyped_command_is_told_which_was_meant(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed]) == 2
    assert f"Did you mean `homeostat {meant}`?" in capsys.readouterr().err


def test_a_command_that_is_not_installed_breaks_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Command("gone", "no_such_command", "go away", commands.ACT)
    monkeypatch.setitem(BY_NAME, "gone", gone)
    monkeypatch.setattr(helping, "COMMANDS", (*COMMANDS, gone))
    assert main(["gone"]) == 2
    assert "not part of this installation" in capsys.readouterr().err
    assert main(["help"]) == 0
    assert "\n  gone " not in capsys.readouterr().out


def test_called_by_kubectl_it_says_how_kubectl_calls_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-homeostat"])
    assert main(["gate", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: kubectl homeostat gate ")
    assert main(["gate", "pod/x"]) == 2
    assert capsys.readouterr().err.startswith("homeostat: gate: ")


@pytest.mark.parametrize("command", ["run", "settings"])
def test_the_help_of_the_operator_lists_every_setting(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in Settings.model_fields if f"  --{name.replace('_', '-')}  (default: " not in told] == []
    assert all(about for _, _, about in settings_named())


def test_what_parsers_offer_is_what_there_is() -> None:
    assert set(gate.HOLDS) == {hold.value for hold in Hold}
    assert set(stats.KEYS) == set(KEYS)
    assert set(imports.FORMATS) == set(import_command._FORMATS)
    assert Settings.model_fields["store_url"].default == STORE_URL
    assert Settings.model_fields["operator_namespace"].default == OPERATOR_NAMESPACE
    kinds = (recovery.KIND, chaos.KIND, gameday.KIND, objective.KIND, health_check.KIND)
    assert {kind.short_names[0]: kind.plural for kind in kinds} == PLURALS


def test_who_has_seen_enough_gets_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object, __: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("homeostat.__main__._run", interrupted)
    assert main(["why", "rp/cart"]) == 2


@pytest.mark.parametrize("text", ["", "rp/", ".", "..", "rp/..", "Cart", "a b", "a" * 254, "-a"])
def test_what_is_no_name_is_refused_before_it_is_a_path(text: str) -> None:
    with pytest.raises(BadArguments):
        name_of(text, KIND, "why")
    with pytest.raises(BadArguments):
        kind_and_name(text, (KIND,), "why")
