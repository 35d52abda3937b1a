"""The help of `homeostat run` and `homeostat settings`, read from the source of the settings.

The model itself takes over a second to import on a slow machine, and whoever asks for help waits.
"""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import fill

from homeostat.cli.arguments import program

WIDTH = 80
_SOURCE = Path(__file__).parents[1] / "wiring" / "settings.py"
_HEADS = {
    "run": "Run the operator. With rp/NAME, run a step of a policy by hand: `homeostat run rp/NAME --step STEP "
    "--reason WHY`; `homeostat run rp/ --help` lists its options.",
    "settings": "Print the settings that would be in force, without secrets.",
}

_HOW = "Each setting is a flag, or an environment variable: --log-level is HOMEOSTAT_LOG_LEVEL. Lists are JSON."


def settings_help(command: str) -> str:
    """Give the help: every setting as a flag, its default, and what it is for."""
    return "".join(f"{line}\n" for line in _lines(command))


def settings_named() -> list[tuple[str, str, str]]:
    """Give of each setting its name, its default as it is written, and its description."""
    tree = ast.parse(_SOURCE.read_text(encoding="utf-8"))
    model = next(one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == "Settings")
    return list(_settings(model.body))


def _settings(body: list[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    for one, after in pairwise(body):
        if not (isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)):
            continue
        about = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        yield one.target.id, _default(one.value), " ".join(str(about).split())


def _default(value: ast.expr | None) -> str:
    """Write a default down as one would give it: a member of an enum by its word."""
    if isinstance(value, ast.Attribute):
        return value.attr.capitalize()
    if isinstance(value, ast.Tuple) and not value.elts:
        return "[]"
    return ast.unparse(value) if value else ""


def _lines(command: str) -> Iterator[str]:
    yield f"usage: {program()} {command} [--SETTING VALUE ...]"
    yield ""
    yield _filled(f"{_HEADS[command]} {_HOW}", "")
    for name, default, about in settings_named():
        yield ""
        yield f"  --{name.replace('_', '-')}  (default: {default})"
        yield _filled(about, "      ")


def _filled(text: str, indent: str) -> str:
    """Wrap it, and break no URL at a hyphen."""
    return fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
