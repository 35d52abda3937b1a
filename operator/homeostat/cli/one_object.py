"""One object of ours that a command is about: read from the cluster, or from a file as kubectl wrote it."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any

from homeostat.api.meta import Kind
from homeostat.cli import desk
from homeostat.cli.asked import kind_names, place_of
from homeostat.cli.files.objects import BadInput, objects
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import Credentials
from homeostat.kube.objects import ApiObjects


def is_named(kind: Kind, arguments: Sequence[str]) -> bool:
    """Whether one of the arguments is `KIND/NAME` of this kind."""
    return any("/" in one and one.partition("/")[0].lower() in kind_names(kind) for one in arguments)


def read_object(kind: Kind, asked: argparse.Namespace, name: str) -> dict[str, Any]:
    """Read it; raises BadInput, CredentialsError and what `ports` has for the API server's answers."""
    if asked.file:
        return in_file(kind, asked.file, asked.namespace, name)
    return asyncio.run(in_cluster(kind, *place_of(asked), name))


async def in_cluster(kind: Kind, credentials: Credentials, namespace: str, name: str) -> dict[str, Any]:
    """Read it from the cluster; raises what `ports` has for the API server's answers."""
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        return await ApiObjects(client).get(kind, namespace, name)


def in_file(kind: Kind, path: str, namespace: str, name: str) -> dict[str, Any]:
    """Read it from a file, in whatever namespace where none is named. Raises BadInput."""
    for body in (one.body for one in objects(path)):
        metadata = body.get("metadata") if isinstance(body, dict) and body.get("kind") == kind.kind else None
        if not isinstance(metadata, dict) or metadata.get("name") != name:
            continue
        if not namespace or metadata.get("namespace", namespace) == namespace:
            return dict(body)
    called = f"{namespace}/{name}" if namespace else name
    raise BadInput(f"{path}: there is no {kind.kind} {called}")
