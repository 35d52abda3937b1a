"""JSON schemas for kubeconform, made here: those of Kubernetes from its OpenAPI, those of our kinds from the CRDs.

The OpenAPI is that of the API server where there is one (`KUBECONFIG`), else of the Go module that hack/devcluster is
built from. All are strict: a field that is not known is a fault.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from chart.rendering import ROOT

Schema = dict[str, Any]
_PREFIX = "#/definitions/"
_LOOSE = {"int-or-string": {"type": ["string", "integer"]}}
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def built_in(folder: Path) -> None:
    """Write the schemas of the kinds of Kubernetes."""
    definitions = {name: _strict(one) for name, one in _openapi()["definitions"].items()}
    definitions[_QUANTITY] = {"type": ["string", "number"]}
    for name, one in definitions.items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            if not kind["group"].endswith("homeostat.dev"):
                used = {other: definitions[other] for other in _used(name, definitions)}
                schema = {"$ref": _PREFIX + name, "definitions": used}
                group = kind["group"] or kind["version"]  # what kubeconform calls a kind without a group by
                _write(folder, group, kind["kind"], kind["version"], schema)


def our_own(folder: Path) -> None:
    """Write the schemas of our kinds."""
    for path in (ROOT / "crds").glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
            _write(folder, spec["group"], spec["names"]["kind"], version["name"], schema)


def _openapi() -> Schema:
    if os.environ.get("KUBECONFIG"):
        command = ["kubectl", "get", "--raw", "/openapi/v2"]
        found: Schema = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return found
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"]
    where = subprocess.run(
        command, cwd=ROOT / "hack" / "devcluster-src", check=True, capture_output=True, text=True
    ).stdout.strip()
    assert where, "no schemas of Kubernetes: neither KUBECONFIG nor the Go module of hack/devcluster is there"
    told: Schema = json.loads((Path(where) / "api" / "openapi-spec" / "swagger.json").read_text())
    return told


def _strict(schema: Any) -> Any:
    """Have a schema take no field that it does not know."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = schema.get("format")  # a field may have that name too: then it is a schema
    if isinstance(told, str) and told in _LOOSE:
        return _LOOSE[told]
    known = {key: _strict(value) for key, value in schema.items() if key != "format" or not isinstance(value, str)}
    is_open = "additionalProperties" in known or known.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(known.get("properties"), dict) and "type" in known and not is_open:
        known["additionalProperties"] = False
    return known


def _used(name: str, definitions: Mapping[str, Schema]) -> set[str]:
    """Give the names of all definitions that one is made of."""
    found, due = set[str](), [name]
    while due:
        one = due.pop()
        if one not in found:
            found.add(one)
            due += _references(definitions[one])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_PREFIX)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _write(folder: Path, group: str, kind: str, version: str, schema: Schema) -> None:
    path = folder / group / f"{kind.lower()}_{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))
