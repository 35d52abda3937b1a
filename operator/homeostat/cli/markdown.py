"""Markdown as reports write it: tables, sections, and text of others in which nothing is markup."""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def page(parts: Iterable[str]) -> str:
    """Write a page of its parts, without those that have no text."""
    return "\n\n".join(part for part in parts if part)


def section(title: str, text: str) -> str:
    """Write a section, or nothing where there is no text."""
    return f"## {title}\n\n{text}" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """Write a list; its lines are Markdown already."""
    return "\n".join(f"- {line}" for line in lines)


def text(raw: str) -> str:
    """Show what somebody wrote as text: no character of it is markup, or commands a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in raw)
    return _SPECIAL.sub(r"\\\1", plain)


def code(raw: str) -> str:
    """Show what somebody wrote as code: a name, a command."""
    plain = "".join(character if character.isprintable() and character != "`" else " " for character in raw)
    return f"`{plain}`".replace("|", "\\|")
