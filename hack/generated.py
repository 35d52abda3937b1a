"""Files that a program of hack/ writes: which of them are out of date, and its one option, --check."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Generated:
    """What a program writes: the text of each file, and the files that are there and that nobody else writes."""

    files: Mapping[Path, str]
    present: Iterable[Path] = ()

    def stale(self) -> list[Path]:
        """Give the files that are missing, outdated or too many."""
        outdated = {path for path, text in self.files.items() if not _says(path, text)}
        return sorted(outdated | (set(self.present) - self.files.keys()))

    def write(self) -> list[str]:
        """Write what is out of date, and remove what is too many; say what was done."""
        told = []
        for path in self.stale():
            if path in self.files:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.files[path], encoding="utf-8")
            else:
                path.unlink()
            told.append(f"{'wrote' if path in self.files else 'removed'} {_shown(path)}")
        return told


def main(program: str, about: str, what: Generated) -> int:
    """Write the files, or with `--check` say which are out of date; give the exit code.

    `program`: the command that writes them anew. `about`: its documentation, whose first line the help shows.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of date")
    if not parser.parse_args().check:
        for line in what.write():
            print(line)
        return 0
    stale = what.stale()
    if stale:
        print(f"out of date: {', '.join(map(_shown, stale))}: run {program}", file=sys.stderr)
    return 1 if stale else 0


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
