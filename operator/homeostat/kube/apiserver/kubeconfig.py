"""Credentials from kubeconfig files, as kubectl finds and merges them; what we do not support is named, not ignored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from homeostat.kube.apiserver.credentials import (
    Credentials,
    CredentialsError,
    FixedIdentity,
    Identity,
    IdentitySource,
    TokenFile,
    decode_pem,
    in_cluster,
)
from homeostat.kube.apiserver.exec_plugin import ExecPlugin, cluster_info

_UNSUPPORTED_USER = ("auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra")
_UNSUPPORTED_CLUSTER = ("proxy-url",)


def find_credentials(
    environ: Mapping[str, str], *, kubeconfig: str = "", context: str = "", home: Path | None = None
) -> Credentials:
    """Find credentials: a kubeconfig that was asked for, $KUBECONFIG, the pod's own, or ~/.kube/config, in this order.

    `kubeconfig` and $KUBECONFIG may list several files separated by ":". Raises CredentialsError.
    """
    asked_for = kubeconfig or environ.get("KUBECONFIG", "")
    if asked_for:
        return from_kubeconfig([Path(part) for part in asked_for.split(":") if part], context)
    found = in_cluster(environ)
    if found is not None:
        return found
    own = (home or _home()) / ".kube" / "config"
    if not own.exists():
        raise CredentialsError(f"no kubeconfig at {own}: name one with --kubeconfig or $KUBECONFIG")
    return from_kubeconfig([own], context)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise CredentialsError("no kubeconfig: there is no home directory") from error


def from_kubeconfig(paths: list[Path], context: str = "") -> Credentials:
    """Read one context (default: the current one) of merged kubeconfig files. Raises CredentialsError."""
    config = _merge(paths)
    name = context or config["current-context"]
    if not name:
        raise CredentialsError("no context asked for and no current-context in " + _names(paths))
    chosen = _entry(config, "contexts", "context", name)
    cluster = _entry(config, "clusters", "cluster", str(chosen.get("cluster", "")))
    user = _entry(config, "users", "user", str(chosen["user"])) if chosen.get("user") else {}
    _refuse_unsupported(cluster, user)
    if not cluster.get("server"):
        raise CredentialsError(f"the cluster of context {name} has no server")
    ca_data = cluster.get("certificate-authority-data")
    return Credentials(
        server=str(cluster["server"]).rstrip("/"),
        source=_identity_source(user, cluster),
        namespace=chosen.get("namespace") or "default",
        ca=decode_pem(ca_data, "certificate-authority-data") if ca_data else "",
        ca_file=None if ca_data else _file(cluster, "certificate-authority"),
        is_insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name"),
    )


def _merge(paths: list[Path]) -> dict[str, Any]:
    """Merge files as kubectl does: the first file that names something wins. Missing files count as empty."""
    merged: dict[str, Any] = {"current-context": "", "contexts": {}, "clusters": {}, "users": {}}
    found = [path for path in paths if path.exists()]
    if not found:
        raise CredentialsError("no kubeconfig at " + _names(paths))
    for path in found:
        try:
            _take(_load(path), path, merged)
        except (TypeError, KeyError, AttributeError) as error:
            raise CredentialsError(f"{path} is not a kubeconfig") from error
    return merged


def _take(document: dict[str, Any], path: Path, merged: dict[str, Any]) -> None:
    merged["current-context"] = merged["current-context"] or str(document.get("current-context") or "")
    for section, key in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
        for item in document.get(section) or ():
            merged[section].setdefault(item["name"], {**(item.get(key) or {}), _FOLDER: path.parent})


_FOLDER = "/folder"  # no kubeconfig field has a slash: relative paths count from the file that holds them


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: a date that there is not, too
        raise CredentialsError(f"cannot read the kubeconfig {path}") from error
    if not isinstance(document, dict):
        raise CredentialsError(f"{path} is not a kubeconfig")
    return document


def _entry(config: dict[str, Any], section: str, what: str, name: str) -> dict[str, Any]:
    entry = config[section].get(name)
    if entry is None:
        raise CredentialsError(f"the kubeconfig has no {what} named {name!r}")
    return dict(entry)


def _refuse_unsupported(cluster: dict[str, Any], user: dict[str, Any]) -> None:
    used = [f for f in _UNSUPPORTED_CLUSTER if cluster.get(f)] + [f for f in _UNSUPPORTED_USER if user.get(f)]
    if used:
        raise CredentialsError("not supported in a kubeconfig: " + ", ".join(used))


def _identity_source(user: dict[str, Any], cluster: dict[str, Any]) -> IdentitySource:
    if user.get("exec"):
        return ExecPlugin(user["exec"], user[_FOLDER], cluster_info(cluster))
    if user.get("token"):
        return FixedIdentity(Identity(str(user["token"]), *_certificate(user)))
    if user.get("tokenFile"):
        return TokenFile(user[_FOLDER] / user["tokenFile"])
    return FixedIdentity(Identity("", *_certificate(user)))


def _certificate(user: dict[str, Any]) -> tuple[str, str]:
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if bool(certificate) != bool(key):
        raise CredentialsError("client-certificate and client-key go together")
    return certificate, key


def _pem(entry: dict[str, Any], field: str) -> str:
    if entry.get(f"{field}-data"):
        return decode_pem(entry[f"{field}-data"], f"{field}-data")
    path = _file(entry, field)
    if path is None:
        return ""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"cannot read {field} at {path}") from error


def _file(entry: dict[str, Any], field: str) -> Path | None:
    return entry[_FOLDER] / entry[field] if entry.get(field) else None


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths)
