#!/usr/bin/env python3
"""Audit the locked Python packages: hack/audit.py LOCK... [--only NAME...] [--min-age DAYS].

Asks the package index, and nobody else: is each locked version there, is it not withdrawn, is each locked hash that of
a file of it, and has it been out for long enough for others to have looked? A newer patch is only told. Whether
vulnerabilities are known is not asked here: that takes a database of them, which continuous integration asks
(pip-audit).

Exit code: 0 nothing wrong, 1 something is, 2 the index did not answer.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

INDEX = "https://pypi.org/simple"
SIMPLE = "application/vnd.pypi.simple.v1+json"
MIN_AGE = timedelta(days=7)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_FINAL = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Pin:
    """One package of a lock file."""

    name: str
    version: str
    hashes: frozenset[str]


def pins(text: str) -> list[Pin]:
    """Read a lock file."""
    joined = text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        match = _PIN.match(line.strip())
        if match:
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            found.append(Pin(name, match[2], frozenset(_HASH.findall(line))))
    return found


def problems(pin: Pin, project: Mapping[str, Any], now: datetime, min_age: timedelta = MIN_AGE) -> Iterator[str]:
    """Say what is wrong with a pin, by what the index knows of the project."""
    files = [file for file in project["files"] if version_of(file["filename"], pin.name) == pin.version]
    if not pin.hashes:
        yield "it is locked without a hash"
    if not files:
        yield "the index has no file of this version"
        return
    withdrawn = next((file["yanked"] for file in files if file.get("yanked")), None)
    if withdrawn:
        yield f"it was withdrawn{'' if withdrawn is True else f': {withdrawn}'}"
    strangers = pin.hashes - {file["hashes"].get("sha256") for file in files}
    if strangers:
        yield f"{len(strangers)} of its {len(pin.hashes)} locked hashes are of no file that the index has"
    times = [datetime.fromisoformat(file["upload-time"]) for file in files if file.get("upload-time")]
    if times and now - min(times) < min_age:
        yield f"it is out for {(now - min(times)).days} days only: wait until others have looked"


def newer_patch(pin: Pin, project: Mapping[str, Any], now: datetime, min_age: timedelta = MIN_AGE) -> str:
    """Name the newest version that differs in its last part alone, is old enough and not withdrawn; "" when none is."""
    if not _FINAL.fullmatch(pin.version):
        return ""
    here = _parts(pin.version)
    found = [here]
    for file in project["files"]:
        version = version_of(file["filename"], pin.name)
        if file.get("yanked") or not _FINAL.fullmatch(version) or not file.get("upload-time"):
            continue
        parts = _parts(version)
        is_old = now - datetime.fromisoformat(file["upload-time"]) >= min_age
        if is_old and len(parts) == len(here) and parts[:-1] == here[:-1]:
            found.append(parts)
    newest = max(found)
    return "" if newest == here else ".".join(map(str, newest))


def version_of(filename: str, name: str) -> str:
    """Read the version out of a file's name; "" when it is not to be read."""
    stem = re.sub(r"(\.tar\.gz|\.zip|\.whl)$", "", filename)
    parts = stem.split("-")
    if filename.endswith(".whl"):
        return parts[1] if len(parts) > 1 else ""
    head, _, version = stem.rpartition("-")
    return version if re.sub(r"[-_.]+", "-", head).lower() == name else ""


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def ask(index: str, name: str) -> dict[str, Any]:
    """Ask the index for a project."""
    request = urllib.request.Request(f"{index.rstrip('/')}/{name}/", headers={"Accept": SIMPLE})  # noqa: S310 - the index that was given
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def audit(wanted: Iterable[Pin], index: str, now: datetime, min_age: timedelta) -> int:
    """Look at every pin once, and print what is found; give the exit code."""
    code, looked = 0, 0
    for pin in sorted(set(wanted), key=lambda one: one.name):
        try:
            project = ask(index, pin.name)
        except (OSError, ValueError) as error:
            print(f"{pin.name}: the index did not answer: {error}", file=sys.stderr)
            return 2
        looked += 1
        for problem in problems(pin, project, now, min_age):
            print(f"{pin.name} {pin.version}: {problem}")
            code = 1
        newer = newer_patch(pin, project, now, min_age)
        if newer:
            print(f"{pin.name} {pin.version}: {newer} is out (no failure)")
    print(f"{looked} packages looked at")
    return code


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="audit.py", description=__doc__)
    parser.add_argument("locks", nargs="+", type=Path, metavar="LOCK")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="look at these packages alone")
    parser.add_argument("--min-age", type=int, default=MIN_AGE.days, metavar="DAYS")
    parser.add_argument(
        "--index", default=os.environ.get("PIP_INDEX_URL") or INDEX, help="a simple index that gives JSON"
    )
    asked = parser.parse_args()
    wanted = [pin for lock in asked.locks for pin in pins(lock.read_text())]
    chosen = [pin for pin in wanted if not asked.only or pin.name in asked.only]
    return audit(chosen, asked.index, datetime.now(UTC), timedelta(days=asked.min_age))


if __name__ == "__main__":
    sys.exit(main())
