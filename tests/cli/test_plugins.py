"""What is in plugins/: it names our kinds and commands as they are called, and the archive runs by itself."""

import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from homeostat.api.kinds import KINDS
from homeostat.cli.commands import BY_NAME

ROOT = Path(__file__).parents[2]
K9S = ROOT / "plugins" / "k9s"
PLURALS = {kind.plural for kind in KINDS}


def test_keys_of_k9s_run_commands_that_there_are_on_kinds_that_there_are() -> None:
    plugins = yaml.safe_load((K9S / "plugins.yaml").read_text(encoding="utf-8"))["plugins"]
    for one in plugins.values():
        assert set(one["scopes"]) <= PLURALS
        assert one["args"][1].split()[:1] == ["homeostat"]
        assert one["args"][1].split()[1] in BY_NAME
    shortcuts = [one["shortCut"] for one in plugins.values()]
    assert len(shortcuts) == len(set(shortcuts))


def test_views_and_hot_keys_of_k9s_are_of_our_kinds() -> None:
    views = yaml.safe_load((K9S / "views.yaml").read_text(encoding="utf-8"))["views"]
    assert {name.rpartition("/")[2] for name in views} <= PLURALS
    keys = yaml.safe_load((K9S / "hotkeys.yaml").read_text(encoding="utf-8"))["hotKeys"]
    assert {one["command"].partition(".")[0] for one in keys.values()} <= PLURALS


def test_the_manifest_of_krew_keeps_to_its_rules() -> None:
    manifest = yaml.safe_load((ROOT / "plugins" / "krew" / "homeostat.yaml").read_text(encoding="utf-8"))
    assert manifest["kind"] == "Plugin"
    assert manifest["metadata"]["name"] == "homeostat"
    assert len(manifest["spec"]["shortDescription"]) <= 60
    assert not manifest["spec"]["shortDescription"].endswith(".")


@pytest.mark.programs
def test_the_archive_runs_in_a_clean_folder_and_its_checksum_is_in_the_manifest(tmp_path: Path) -> None:
    built = subprocess.run(
        [str(ROOT / "hack" / "build-plugin"), "--out", str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    archive = Path(built.stdout.strip())
    platform = yaml.safe_load((tmp_path / "homeostat.yaml").read_text(encoding="utf-8"))["spec"]["platforms"][0]
    assert platform["sha256"] == sha256(archive.read_bytes()).hexdigest()
    clean = tmp_path / "clean"
    with tarfile.open(archive) as opened:
        opened.extractall(clean, filter="data")
    link = clean / platform["bin"]
    link.symlink_to(next(clean.glob(f"*/{platform['bin']}")))
    path = f"{Path(sys.base_exec_prefix) / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    told = subprocess.run(
        [str(link), "help"], capture_output=True, text=True, check=True, cwd="/", env={"PATH": path}, timeout=60
    )
    assert told.stdout.startswith("usage: kubectl homeostat COMMAND")

    completion = clean / "kubectl_complete-homeostat"
    completion.symlink_to(link.name)  # Krew links one file: this is the other, which the docs have one make
    told = subprocess.run(
        [str(completion), "sta"], capture_output=True, text=True, check=True, cwd="/", env={"PATH": path}, timeout=60
    )
    assert told.stdout.startswith("status\t")
