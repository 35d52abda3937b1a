"""How settings are written in an order: as in the manifest."""

import re
from typing import Final

_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|s|m|h)")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BITS: Final = {"bit": 1, "Kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000}
_BYTES: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def seconds_of(text: str) -> float:
    """Give the seconds of `1m30s` or `200ms`; raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def share_of(text: str) -> float:
    """Give the share (0 to 1) of `25%`; raises ValueError."""
    number, percent, rest = text.partition("%")
    if percent != "%" or rest or not 0 <= float(number) <= 100:  # noqa: PLR2004
        raise ValueError(f"not a share: {text!r}")
    return float(number) / 100


def bits_of(text: str) -> int:
    """Give the bits a second of `1Mbit`; raises ValueError."""
    match = re.fullmatch(r"([0-9]+)(bit|Kbit|Mbit|Gbit)", text)
    if match is None:
        raise ValueError(f"not a bandwidth: {text!r}")
    return int(match[1]) * _BITS[match[2]]


def bytes_of(text: str) -> int:
    """Give the bytes of `256Mi`; raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(k|Ki|M|Mi|G|Gi|T|Ti)?", text)
    if match is None:
        raise ValueError(f"not a quantity of bytes: {text!r}")
    return int(float(match[1]) * _BYTES[match[2] or ""])
