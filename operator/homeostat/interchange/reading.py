"""Objects of others, read so that nothing is lost in silence: what nobody asked for is told in the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from homeostat.interchange.structural import nearest


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object of a file as it was read."""

    path: str
    place: str
    body: Any


@dataclass(slots=True)
class Notes:
    """What is to be told of one object: pairs of a path and a sentence."""

    warnings: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def warn(self, path: str, message: str) -> None:
        """Tell what is lost or changed, once."""
        if (path, message) not in self.warnings:
            self.warnings.append((path, message))


class Unusable(Exception):
    """The object cannot be imported: the path and why."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message = path, message


class Source:
    """A mapping of an object: gives what is asked for, and remembers it."""

    def __init__(self, body: object, path: str, notes: Notes) -> None:
        self.path, self.notes = path, notes
        self._body: Mapping[str, Any] = body if isinstance(body, dict) else {}
        self.is_object = isinstance(body, dict)
        self._is_dropped = False
        self._asked: set[str] = set()
        self._inner: list[Source] = []
        if body is not None and not isinstance(body, dict):
            notes.warn(path or "document", "not an object: left out")

    def __contains__(self, name: str) -> bool:
        return self._body.get(name) is not None

    def at(self, name: str) -> str:
        """Give the path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str) -> Any:  # noqa: ANN401 - what JSON can hold
        """Give a member as it is; None when it is not there."""
        self._asked.add(name)
        return self._body.get(name)

    def text(self, name: str) -> str:
        """Give a text, "" when there is none; numbers are taken for the text that they were."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            if value is not None:
                self.notes.warn(self.at(name), "not a text: left out")
            return ""
        return str(value).strip()

    def number(self, name: str) -> Decimal | None:
        """Give a number exactly as it was written; None when there is none. Raises Unusable."""
        value = self.raw(name)
        if value is None:
            return None
        try:
            number = Decimal(repr(value) if isinstance(value, float) else str(value))
        except InvalidOperation as error:
            raise Unusable(self.at(name), f"not a number: {value}") from error
        if isinstance(value, bool) or not number.is_finite():
            raise Unusable(self.at(name), f"not a number: {value}")
        return number

    def flag(self, name: str) -> bool | None:
        """Give a truth value; None when there is none."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            self.notes.warn(self.at(name), "neither true nor false: left out")
            return None
        return value

    def texts(self, name: str) -> list[str]:
        """Give a list of texts."""
        value = self.raw(name)
        return [str(item) for item in value] if isinstance(value, list) else []

    def map(self, name: str) -> dict[str, Any]:
        """Give a mapping of which every entry counts as read."""
        value = self.raw(name)
        return dict(value) if isinstance(value, dict) else {}

    def part(self, name: str) -> "Source":
        """Give an object inside, an empty one when there is none."""
        part = Source(self.raw(name), self.at(name), self.notes)
        self._inner.append(part)
        return part

    def parts(self, name: str, reference: str = "") -> list["Source"]:
        """Give the objects of a list inside; with `reference` a text there is an object with that one member."""
        value = self.raw(name)
        items = value if isinstance(value, list) else [] if value is None else [value]
        if reference:
            items = [{reference: item} if isinstance(item, str) else item for item in items]
        parts = [Source(item, f"{self.at(name)}[{index}]", self.notes) for index, item in enumerate(items)]
        self._inner += parts
        return parts

    def adopt(self, other: "Source") -> "Source":
        """Take an object that this one refers to for a part of it, so that what is left of it is told."""
        self._inner.append(other)
        return other

    def lose(self, why: str, *names: str) -> None:
        """Tell that members are lost, those that are there and not empty."""
        for name in names:
            if self.raw(name) not in (None, "", [], {}, False):
                self.notes.warn(self.at(name), why)

    def drop(self) -> None:
        """Take note that nothing comes of it, so that nobody need be told what of it is lost."""
        self._is_dropped = True

    def tell_rest(self) -> None:
        """Tell of all that nobody asked for, here and inside, except of what was dropped."""
        if self._is_dropped:
            return
        for name in self._unasked():
            self.notes.warn(self.at(name), f"not known here: left out{nearest(name, sorted(self._asked))}")
        for part in self._inner:
            part.tell_rest()

    def _unasked(self) -> Iterator[str]:
        yield from (str(name) for name, value in self._body.items() if name not in self._asked and value is not None)
