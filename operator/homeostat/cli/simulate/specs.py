"""Where a simulation finds objectives: the changed one in a file, the others there too, or in the cluster."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeostat.api.meta import Kind
from homeostat.api.objective import KIND as OBJECTIVE_KIND
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import KIND as POLICY_KIND
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import credentials_of
from homeostat.cli.files.objects import BadInput, objects
from homeostat.cli.streams import complain
from homeostat.interchange.structural import Severity
from homeostat.interchange.validation import check
from homeostat.kube.apiserver.client import ApiClient, Patience
from homeostat.kube.apiserver.credentials import CredentialsError
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable

PATIENCE = Patience(timeout=5.0, total=5.0)
"""Without a cluster there is nothing to compare with, and a replay all the same."""
_NO_CLUSTER = (CredentialsError, Unavailable, Forbidden, Rejected)


@dataclass(frozen=True, slots=True)
class Changed:
    """An object of a file."""

    kind: Kind
    namespace: str
    name: str
    spec: Any


class NotRead(Exception):
    """An object was not read, so that nobody knows whether there is one; the message says why."""


class Cluster:
    """The objectives of a namespace in the cluster, each read once."""

    def __init__(self, asked: argparse.Namespace, namespace: str) -> None:
        self._asked = asked
        self._namespace = namespace
        self._known: dict[str, ServiceLevelObjectiveSpec | NotRead | None] = {}

    @property
    def server(self) -> str:
        """The URL of the API server; "" where none is known."""
        try:
            return credentials_of(self._asked).server
        except CredentialsError:
            return ""

    def find(self, name: str) -> ServiceLevelObjectiveSpec | None:
        """Read an objective; None where there is none. Raises NotRead."""
        if name not in self._known:
            self._known[name] = self._read(name)
        known = self._known[name]
        if isinstance(known, NotRead):
            raise known
        return known

    def find_or_complain(self, name: str) -> ServiceLevelObjectiveSpec | None:
        """Read an objective; None also where it was not read, which is said."""
        try:
            found = self.find(name)
        except NotRead as error:
            complain([str(error)], "note: ")
            return None
        if found is None:
            complain([f"there is no slo/{name} in the cluster, in namespace {self._namespace}"], "note: ")
        return found

    def _read(self, name: str) -> ServiceLevelObjectiveSpec | NotRead | None:
        try:
            spec = check(asyncio.run(self._get(name))).spec
        except Gone:
            return None
        except _NO_CLUSTER as error:
            return NotRead(f"slo/{name} was not read from a cluster: {' '.join(str(error).split())}")
        unreadable = NotRead(f"slo/{name}: its spec in the cluster cannot be read")
        return spec if isinstance(spec, ServiceLevelObjectiveSpec) else unreadable

    async def _get(self, name: str) -> dict[str, Any]:
        async with ApiClient(credentials_of(self._asked), patience=PATIENCE) as client:
            return await ApiObjects(client).get(OBJECTIVE_KIND, self._namespace, name)


class Specs:
    """Objectives by name: those of a file before those of the cluster, and others if neither knows."""

    def __init__(
        self, cluster: Cluster, given: Mapping[str, ServiceLevelObjectiveSpec],
        otherwise: Mapping[str, ServiceLevelObjectiveSpec] | None = None,
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._given = given
        self._otherwise = otherwise or {}

    def find(self, name: str) -> ServiceLevelObjectiveSpec | None:
        """Give an objective; None where there is none. Raises NotRead."""
        if name in self._given:
            return self._given[name]
        try:
            return self._cluster.find(name)
        except NotRead:
            if name in self._otherwise:
                return self._otherwise[name]
            raise


def bodies_of(path: str) -> list[dict[str, Any]]:
    """Read the objects of a file. Raises BadInput."""
    return [one.body for one in objects(path) if isinstance(one.body, dict)]


def one_of(bodies: Sequence[dict[str, Any]], path: str, kind: Kind | None, name: str, namespace: str) -> Changed:
    """Find the one object that is meant in a file. Raises BadArguments and BadInput."""
    kinds = {one.kind: one for one in (OBJECTIVE_KIND, POLICY_KIND) if kind is None or one is kind}
    found = [check(body) for body in bodies if body.get("kind") in kinds]
    meant = [one for one in found if not name or one.name == name]
    if len(meant) != 1:
        what = " or ".join(sorted(kinds))
        called = f" {name}" if name else ""
        many = "several, say which: slo/NAME or rp/NAME" if meant else "none"
        raise BadArguments(f"simulate: {path}: one {what}{called} is meant, and there is {many}")
    one = meant[0]
    problems = [problem for problem in one.problems if problem.severity is not Severity.WARNING]
    if one.spec is None or problems:
        told = f"{problems[0].path}: {problems[0].message}" if problems else "it cannot be read"
        raise BadInput(f"{path}: {one.kind}/{one.name}: {told}; `homeostat validate` says all that is wrong")
    return Changed(kinds[one.kind], namespace or one.namespace or "default", one.name, one.spec)


def objectives_of(bodies: Sequence[dict[str, Any]], namespace: str) -> dict[str, ServiceLevelObjectiveSpec]:
    """Give the objectives of a file by name, those of other namespaces left out."""
    found = [check(body) for body in bodies if body.get("kind") == OBJECTIVE_KIND.kind]
    return {
        one.name: one.spec
        for one in found
        if isinstance(one.spec, ServiceLevelObjectiveSpec) and one.namespace in {"", namespace}
    }
