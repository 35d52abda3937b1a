"""Completion: what may come next, from the parsers themselves; the cluster is asked for names, and may be silent."""

import subprocess
from pathlib import Path

import pytest

from homeostat.__main__ import complete, main
from homeostat.cli import completing
from homeostat.cli.completing import FILES, NO_FILES, candidates


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Give what was asked of a cluster that has two objects of each kind."""
    asked: list[tuple[str, str]] = []

    def names(place: dict[str, str], path: str, _seconds: float) -> list[str]:
        asked.append((place["namespace"], path.rpartition("/")[2]))
        return ["cart", "checkout"]

    monkeypatch.setattr("homeostat.cli.names.names", names)
    return asked


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(typed)[0]]


def test_commands_are_offered_with_what_they_are_for() -> None:
    found, directive = candidates(["expl"])
    assert [word for word, _ in found] == ["explain"]
    assert found[0][1].startswith("say how an object stands now")
    assert directive == NO_FILES


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("chaos", "ab"), ["abort"]),
        (("gate", "--unk"), ["--unknown"]),
        (("gate", "-o", ""), ["text", "json", "yaml"]),
        (("gate", "--output=j"), ["--output=json"]),
        (("stats", "--by", "c"), ["cause"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("import", "s"), ["sloth"]),
        (("approve", ""), ["rp/", "chaos/", "gd/"]),
        (("pause", "rp/c"), ["rp/cart", "rp/checkout"]),
        (("chaos", "run", "chaos/ch"), ["chaos/checkout"]),
        (("gate", "ch"), []),
        (("gate", "slo/ch"), ["slo/checkout"]),
        (("no-such-command", ""), []),
        (("why", "pod/"), []),
    ],
)
def test_what_may_come_next_is_offered(typed: tuple[str, ...], expected: list[str]) -> None:
    assert words(*typed) == expected


def test_names_are_those_of_the_namespace_that_was_typed(cluster: list[tuple[str, str]]) -> None:
    assert words("why", "-n", "shop", "slo/c") == ["slo/cart", "slo/checkout"]
    assert cluster == [("shop", "servicelevelobjectives")]


def test_namespaces_are_offered_after_n(cluster: list[tuple[str, str]]) -> None:
    assert words("score", "-n", "ca") == ["cart"]
    assert cluster == [("", "namespaces")]


def test_files_are_left_to_the_shell() -> None:
    assert candidates(["probe", "-f", ""]) == ([], FILES)
    assert candidates(["simulate", "--history", "x"]) == ([], FILES)


def test_kubectl_is_told_in_its_own_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(["gate", "-o", "y"]) == 0
    assert capsys.readouterr().out == "yaml\n:4\n"


def test_without_a_cluster_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["__complete", "why", "slo/"]) == 0
    told = capsys.readouterr()
    assert told.out == ":4\n"
    assert told.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "homeostat __complete" in capsys.readouterr().out


def test_a_shell_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "completion: " in capsys.readouterr().err


def test_bash_completes_with_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    fake = tmp_path / "homeostat"
    fake.write_text("#!/bin/sh\nprintf 'explain\\tsay how\\nexport\\tturn\\n:4\\n'\n", encoding="utf-8")
    fake.chmod(0o755)
    told = subprocess.run(
        [
            "bash", "-c",
            (f'PATH={tmp_path}:$PATH; source {script}; COMP_WORDS=(homeostat ex); COMP_CWORD=1; _homeostat; '
            'printf "%s," "${COMPREPLY[@]}"'),
        ],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert told.stdout == "explain,export,"
    assert completing.SECONDS <= 1
