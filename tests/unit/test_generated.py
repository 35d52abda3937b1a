"""What the programs of hack/ write: what is out of date is named, and written anew."""

import sys
from pathlib import Path

import pytest

from generated import Generated, main


def a_folder(folder: Path) -> Generated:
    """One file that is as it should be, one that is not, one that is missing, and one too many."""
    for name in ("same", "old", "orphan"):
        (folder / name).write_text("x")
    files = {folder / "same": "x", folder / "old": "y", folder / "new" / "one": "z"}
    return Generated(files, list(folder.glob("*")))


def run(what: Generated, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gen_things.py", *options])
    return main("hack/gen_things.py", "Write things.", what)


def test_what_is_missing_outdated_or_too_many_is_named(tmp_path: Path) -> None:
    assert a_folder(tmp_path).stale() == [tmp_path / "new" / "one", tmp_path / "old", tmp_path / "orphan"]


def test_a_check_changes_nothing_and_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    what = a_folder(tmp_path)

    assert run(what, monkeypatch, "--check") == 1
    told = capsys.readouterr().err
    assert told.startswith("out of date: ")
    assert told.endswith(f"{tmp_path / 'old'}, {tmp_path / 'orphan'}: run hack/gen_things.py\n")
    assert (tmp_path / "old").read_text() == "x"


def test_what_was_written_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    what = a_folder(tmp_path)

    assert run(what, monkeypatch) == 0
    written = Generated(what.files, [path for path in tmp_path.rglob("*") if path.is_file()])
    assert run(written, monkeypatch, "--check") == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"wrote {tmp_path / 'new' / 'one'}", f"wrote {tmp_path / 'old'}", f"removed {tmp_path / 'orphan'}",
    ]  # fmt: skip
