"""Where credentials come from: a pod's files, kubeconfigs as kubectl merges them, and credential plugins."""

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.kube.apiserver.credentials import CredentialsError, Identity, TokenFile, in_cluster
from homeostat.kube.apiserver.kubeconfig import find_credentials, from_kubeconfig


def _config(user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


async def test_a_token_in_a_kubeconfig_is_read_with_server_and_namespace(tmp_path: Path) -> None:
    found = from_kubeconfig([_write(tmp_path / "config", _config({"token": "abc"}))])

    assert found.server == "https://api.example:6443"
    assert found.namespace == "shop"
    assert await found.source.identity(renew=False) == Identity(token="abc")  # noqa: S106


async def test_relative_files_count_from_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("CERT")
    (tmp_path / "key.pem").write_text("KEY")
    user = {"client-certificate": "cert.pem", "client-key": "key.pem"}
    found = from_kubeconfig([_write(tmp_path / "config", _config(user, **{"certificate-authority": "ca.pem"}))])

    assert await found.source.identity(renew=False) == Identity(certificate="CERT", key="KEY")
    assert found.ca_file == tmp_path / "ca.pem"


async def test_embedded_certificates_are_decoded(tmp_path: Path) -> None:
    user = {f"client-{part}-data": base64.b64encode(part.encode()).decode() for part in ("certificate", "key")}
    authority = {"certificate-authority-data": base64.b64encode(b"CA").decode()}
    found = from_kubeconfig([_write(tmp_path / "config", _config(user, **authority))])

    assert await found.source.identity(renew=False) == Identity(certificate="certificate", key="key")
    assert found.ca == "CA"


def test_the_first_of_several_kubeconfigs_wins(tmp_path: Path) -> None:
    first = _write(tmp_path / "one", {"current-context": "there"})
    second = _write(tmp_path / "two", _config({}) | {"current-context": "here"})
    third = _config({}, server="https://there.example")
    third["contexts"][0]["name"] = "there"
    third["contexts"][0]["context"]["cluster"] = third["clusters"][0]["name"] = "d"
    paths = f"{first}:{second}:{tmp_path / 'missing'}:{_write(tmp_path / 'three', third)}"

    assert find_credentials({"KUBECONFIG": paths}).server == "https://there.example"
    assert find_credentials({"KUBECONFIG": paths}, context="here").server == "https://api.example:6443"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (_config({"auth-provider": {"name": "gcp"}}), "auth-provider"),
        (_config({"username": "a", "password": "b"}), "username, password"),
        (_config({"as": "someone"}), "as"),
        (_config({}, **{"proxy-url": "http://proxy"}), "proxy-url"),
        (_config({"client-certificate-data": base64.b64encode(b"x").decode()}), "go together"),
        (_config({}, **{"certificate-authority-data": "%%%"}), "certificate-authority-data"),
        (_config({"exec": {"command": "x", "apiVersion": "v0"}}), "apiVersion 'v0'"),
        (_config({}) | {"current-context": "nowhere"}, "'nowhere'"),
        (_config({}) | {"current-context": ""}, "current-context"),
    ],
    ids=["provider", "password", "as", "proxy", "half", "base64", "exec", "context", "none"],
)
def test_what_is_not_supported_is_named(tmp_path: Path, document: dict[str, Any], named: str) -> None:
    with pytest.raises(CredentialsError, match=named):
        from_kubeconfig([_write(tmp_path / "config", document)])


@pytest.mark.parametrize("text", ["[1, 2]", "{a: [", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)

    with pytest.raises(CredentialsError, match="config"):
        from_kubeconfig([tmp_path / "config"])


def test_a_pod_finds_its_service_account(tmp_path: Path) -> None:
    for name, text in (("token", "t"), ("namespace", "homeostat-system"), ("ca.crt", "CA")):
        (tmp_path / name).write_text(text)
    found = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)

    assert found is not None
    assert found.server == "https://[fd00::1]:443"
    assert found.namespace == "homeostat-system"
    assert in_cluster({}, tmp_path) is None


async def test_a_rotated_token_file_is_seen_within_a_minute_and_a_lost_one_keeps_the_last(
    tmp_path: Path,
) -> None:
    now = [0.0]
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenFile(file, lambda: now[0])
    seen = [(await source.identity(renew=False)).token]
    file.write_text("two")
    for now[0] in (59.0, 61.0):
        seen.append((await source.identity(renew=False)).token)
    file.unlink()
    seen.append((await source.identity(renew=True)).token)

    assert seen == ["one", "one", "two", "two"]


async def test_a_token_file_that_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="token"):
        await TokenFile(tmp_path / "token").identity(renew=False)


def _plugin(tmp_path: Path, code: str, **spec: Any) -> Any:
    script = tmp_path / "plugin"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\n{code}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", **spec}}
    return from_kubeconfig([_write(tmp_path / "config", _config(user))]).source


_COUNTING = """
runs = open('runs', 'a'); runs.write('x'); runs.close()
info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])
token = '-'.join([sys.argv[1], os.environ['REGION'], info['spec']['cluster']['server'], open('runs').read()])
print(json.dumps({'kind': 'ExecCredential', 'status': {'token': token}}))
"""


async def test_a_plugin_runs_once_and_again_only_when_its_token_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = [{"name": "REGION", "value": "north"}]
    source = _plugin(tmp_path, _COUNTING, args=["get"], env=env, provideClusterInfo=True)
    told = [(await source.identity(renew=renew)).token for renew in (False, False, True)]

    start = "get-north-https://api.example:6443/-"
    assert told == [start + "x", start + "x", start + "xx"]


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("sys.exit(3)", "ended with 3"),
        ("print('hello')", "no ExecCredential"),
        ("print(json.dumps({'status': {}}))", "neither token nor certificate"),
    ],
)
async def test_a_plugin_that_fails_is_an_error_that_says_how(tmp_path: Path, code: str, named: str) -> None:
    with pytest.raises(CredentialsError, match=named):
        await _plugin(tmp_path, code).identity(renew=False)


async def test_a_plugin_gives_a_client_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": "CERT", "clientKeyData": "KEY"}
    source = _plugin(tmp_path, f"print({json.dumps({'status': status})!r})")

    assert await source.identity(renew=False) == Identity(certificate="CERT", key="KEY")


def test_secrets_do_not_show_in_representations(tmp_path: Path) -> None:
    found = from_kubeconfig([_write(tmp_path / "config", _config({"token": "hush"}))])

    assert "hush" not in repr(found)
    assert "hush" not in repr(Identity(token="hush"))  # noqa: S106
