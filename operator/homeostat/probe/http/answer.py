"""What a server answered, as those who look into it see it. It lives for one run and is never shown (H9)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. Header names are in lower case, values are decoded as latin-1; a request bounds the `body`."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
