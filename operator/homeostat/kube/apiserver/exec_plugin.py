"""Identities from a credential plugin: a program that prints an ExecCredential, as cloud kubeconfigs name one.

The protocol is client-go's (client.authentication.k8s.io). The program runs once, and again when the server refuses
what it gave; its expirationTimestamp is therefore not consulted. Plugins that need a terminal are refused.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from homeostat.kube.apiserver.credentials import CredentialsError, Identity

_TIMEOUT = 30.0
_VERSIONS = frozenset({"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"})
_CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data")


def cluster_info(cluster: dict[str, Any]) -> dict[str, Any]:
    """Give what a plugin with `provideClusterInfo` is told about the cluster."""
    return {field: cluster[field] for field in _CLUSTER_FIELDS if cluster.get(field)}


class ExecPlugin:
    """Runs a credential plugin. `spec` is the user's `exec`, `folder` where its relative command is found."""

    def __init__(self, spec: dict[str, Any], folder: Path, cluster: dict[str, Any]) -> None:
        if spec.get("apiVersion") not in _VERSIONS:
            raise CredentialsError(f"exec plugin: apiVersion {spec.get('apiVersion')!r} is not supported")
        if spec.get("interactiveMode") == "Always":
            raise CredentialsError("exec plugin: interactiveMode Always is not supported")
        if not spec.get("command"):
            raise CredentialsError("exec plugin: no command")
        self._spec = spec
        self._folder = folder
        self._cluster = cluster
        self._identity: Identity | None = None
        self._running = asyncio.Lock()

    async def identity(self, *, renew: bool) -> Identity:
        """Give what the plugin gave; run it the first time and on renewal. Raises CredentialsError."""
        refused = self._identity
        async with self._running:
            if self._identity is None or (renew and self._identity is refused):
                self._identity = self._parse(await self._run())
            return self._identity

    async def _run(self) -> bytes:
        command = str(self._spec["command"])
        program = str(self._folder / command) if "/" in command else command
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *[str(argument) for argument in self._spec.get("args") or ()],
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise CredentialsError(f"exec plugin: cannot run {command}") from error
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise CredentialsError(f"exec plugin: {command} did not end within {_TIMEOUT:.0f} s") from error
        if process.returncode:
            raise CredentialsError(f"exec plugin: {command} ended with {process.returncode}")
        return printed

    def _environment(self) -> dict[str, str]:
        own = {str(item["name"]): str(item["value"]) for item in self._spec.get("env") or ()}
        told: dict[str, Any] = {"interactive": False}
        if self._spec.get("provideClusterInfo"):
            told["cluster"] = self._cluster
        info = {"apiVersion": self._spec["apiVersion"], "kind": "ExecCredential", "spec": told}
        return {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)}

    def _parse(self, printed: bytes) -> Identity:
        try:
            status = json.loads(printed)["status"]
            identity = Identity(
                token=status.get("token", ""),
                certificate=status.get("clientCertificateData", ""),
                key=status.get("clientKeyData", ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CredentialsError(f"exec plugin: {self._spec['command']} printed no ExecCredential") from error
        if not identity.token and not identity.certificate:
            raise CredentialsError(f"exec plugin: {self._spec['command']} gave neither token nor certificate")
        return identity
