"""What the language does differently where the image runs it: Debian's Python 3.11.2."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "operator" / "homeostat"
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if "except*" in path.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_raised_where_a_group_is_caught_by_parts(path: Path) -> None:
    """Before 3.11.4 it would come in a group of its own, which nobody catches: the operator would log a bug."""
    handlers = [
        handler
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.TryStar)
        for handler in node.handlers
    ]
    assert not [raised.lineno for handler in handlers for raised in ast.walk(handler) if isinstance(raised, ast.Raise)]


def test_there_is_such_a_place_to_look_at() -> None:
    assert FILES
