"""Captured values of a multi-step probe: `{{name}}` in later steps stands for what an earlier one captured.

A value is put in once and is never read as a template itself: it is what a server said.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}")


def used(texts: Iterable[str]) -> tuple[str, ...]:
    """Give the names that texts use, each once, in order."""
    return tuple(dict.fromkeys(name for text in texts for name in _PLACEHOLDER.findall(text)))


def undefined(parts: Iterable[tuple[Iterable[str], Iterable[str]]]) -> tuple[str, ...]:
    """Give the names that a step uses before any captured them; a part is a step's texts and the names it captures."""
    known: set[str] = set()
    missing: dict[str, None] = {}
    for texts, captures in parts:
        missing |= dict.fromkeys(name for name in used(texts) if name not in known)
        known |= set(captures)
    return tuple(missing)


def substitute(text: str, values: Mapping[str, str], encode: Callable[[str], str], most: int) -> str | None:
    """Put encoded values in the places of their names.

    None when one is missing, or when more than `most` characters would come out.
    No more than that is ever built, however often a name occurs.
    """
    encoded = {name: encode(values[name]) for name in used([text]) if name in values}
    pieces: list[str] = []
    length = end = 0
    for match in _PLACEHOLDER.finditer(text):
        value = encoded.get(match[1])
        if value is None:
            return None
        pieces += (text[end : match.start()], value)
        length += match.start() - end + len(value)
        end = match.end()
        if length > most:
            return None
    return "".join((*pieces, text[end:])) if length + len(text) - end <= most else None


def text_of(value: object) -> str | None:
    """Give a captured value as it is put into texts: as JSON writes it, a text without its quotes; None for nothing."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, (bool, int, float)) else None


def as_json_text(text: str) -> str:
    """Encode a text so that it can stand between the quotes of a JSON document."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
