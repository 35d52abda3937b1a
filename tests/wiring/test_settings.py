"""Settings: what is wrong is told by name, and a password is shown nowhere."""

import json
import os

import pytest
from pydantic import ValidationError

from homeostat.__main__ import main
from homeostat.core.rights import Scope
from homeostat.wiring.settings import Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HOMEOSTAT_"):
            monkeypatch.delenv(name)


def test_everything_has_a_default() -> None:
    assert Settings().workers == 16


def test_the_environment_and_flags_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEOSTAT_WORKERS", "3")
    assert main(["settings"]) == 0
    by_environment = json.loads(capsys.readouterr().out)
    monkeypatch.delenv("HOMEOSTAT_WORKERS")
    assert main(["settings", "--workers", "3"]) == 0

    assert by_environment == json.loads(capsys.readouterr().out)
    assert by_environment["workers"] == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("PORT", "70000"),
        ("PORT", "tcp://10.96.0.17:8080"),
        ("API_TLS_CERT_FILE", "cert.pem"),
        ("LOG_LEVEL", "LOUD"),
        ("RESYNC_SECONDS", "0"),
        ("RESYNC_SECONDS", "-1"),
        ("WRITES_PER_SECOND", "0"),
        ("REFRESHES_PER_SECOND", "0"),
        ("STORE_URL", "nonsense"),
        ("ALLOW_NETWORKS", '["10.0.0.0/33"]'),
        ("SCOPE", "Everywhere"),
        ("FEATURES", '["recovery.steps.fly"]'),
    ],
)
def test_a_bad_value_is_told_by_the_name_of_its_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_{name}", value)

    assert main(["settings"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"setting {name.lower()}" in told.err or f"{name.lower()} and" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(("name", "value"), [("NAMESPACES", "shop"), ("ALLOW_NETWORKS", "10.0.0.0/8")])
def test_a_list_that_is_not_json_is_told_by_name_and_not_by_a_traceback(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_{name}", value)

    assert main(["settings"]) in {0, 2}
    told = capsys.readouterr()
    assert name.lower() in told.out + told.err


def test_a_link_of_a_service_is_told_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kubernetes gives every Pod of a namespace HOMEOSTAT_PORT=tcp://… for a Service called homeostat."""
    monkeypatch.setenv("HOMEOSTAT_PORT", "tcp://10.96.0.17:8080")

    assert main(["settings"]) == 2
    assert "enableServiceLinks: false" in capsys.readouterr().err


def test_a_network_with_host_bits_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(allow_networks=("10.0.0.1/8",))  # type: ignore[arg-type]


def test_the_password_of_the_store_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """H9, security 4."""
    assert main(["settings", "--store-url", "sqlite+aiosqlite://me:hunter2@/history.db"]) == 0
    told = capsys.readouterr()

    assert "hunter2" not in told.out + told.err
    assert "***" in told.out


def test_the_password_of_a_store_that_is_refused_is_not_shown_either(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--store-url", "postgresql://me:hunter2@db/homeostat"]) == 2
    told = capsys.readouterr()

    assert "hunter2" not in told.out + told.err
    assert "store_url" in told.err


def test_an_unknown_command_is_told_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    assert "`homeostat help` lists all" in capsys.readouterr().err
    assert main(["--help"]) == 0


def test_in_scope_namespaced_its_own_namespace_is_watched_unless_told_otherwise() -> None:
    """And no Node is touched, which has no namespace."""
    namespaced = Settings(scope=Scope.NAMESPACED, operator_namespace="team")

    assert Settings().watched() == ()
    assert namespaced.watched() == ("team",)
    assert Settings(scope=Scope.NAMESPACED, namespaces=("shop",)).watched() == ("shop",)
    assert namespaced.namespaces_of_nodes() == namespaced.namespaces_of_node_chaos() == frozenset()
    with pytest.raises(ValidationError, match="Nodes have no namespace"):
        Settings(scope=Scope.NAMESPACED, node_namespaces=("team",))
