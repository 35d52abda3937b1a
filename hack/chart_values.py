"""What the comments of charts/homeostat/values.yaml say: read as entries, told as JSON schema and as a table.

`# -- text` before a key describes it; `# @schema {…}` after that adds to its schema. `# @schema settings` stands for
the settings of the operator, `# @schema NAME` for one of SHAPES. A key whose default is a mapping without a `@schema`
has keys of its own here; any other is a value.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from homeostat.wiring.settings import Settings

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
PLACES = {
    "scope": "scope",
    "namespaces": "watchNamespaces",
    "features": "recovery, chaos, probes, rules",
    "kubeconfig": "extraEnv",  # a Pod has its ServiceAccount
    "operator_namespace": "the release's namespace",
    "identity": "the Pod's name",
    "store_url": "history",
    "prometheus_url": "prometheus.url",
    "prometheus_token_file": "prometheus.tokenSecret",
    "alertmanager_url": "alertmanager.url",
    "alertmanager_token_file": "alertmanager.tokenSecret",
    "api_tls_cert_file": "api.tls.secretName",
    "api_tls_key_file": "api.tls.secretName",
    "tracing_endpoint": "tracing.endpoint",
}
"""The settings of the operator that have a place of their own in the values; the others are in `settings`."""
CONDITION: Schema = {
    "type": "boolean",
    "description": "Nothing here reads it: what a chart that depends on this one may have as its condition.",
}


def _only(*keys: str, required: Sequence[str] = ()) -> Schema:
    """Give the schema of an object that has none but these keys. What they hold is for the API server to judge."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "additionalProperties": False, "properties": {key: {} for key in keys}, **needed}


def _each(schema: Schema) -> Schema:
    return {"items": schema}


_WHEN = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")
_AFFINITY = dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _only(*_WHEN))
_SPREAD = ("maxSkew", "minDomains", "topologyKey", "whenUnsatisfiable", "labelSelector", "matchLabelKeys",
           "nodeAffinityPolicy", "nodeTaintsPolicy")  # fmt: skip
_RELABELING = ("sourceLabels", "separator", "targetLabel", "regex", "modulus", "replacement", "action")
_MOUNT = ("name", "mountPath", "subPath", "subPathExpr", "readOnly", "recursiveReadOnly", "mountPropagation")
SHAPES: Mapping[str, Schema] = {
    "resources": _only("limits", "requests", "claims"),
    "affinity": _only() | {"properties": _AFFINITY},
    "tolerations": _each(_only("key", "operator", "value", "effect", "tolerationSeconds")),
    "spreads": _each(_only(*_SPREAD, required=["maxSkew", "topologyKey", "whenUnsatisfiable"])),
    "peers": _each(_only("ipBlock", "namespaceSelector", "podSelector")),
    "egressRules": _each(_only("ports", "to")),
    "relabelings": _each(_only(*_RELABELING)),
    "secretNames": _each(_only("name", required=["name"])),
    "variables": _each(_only("name", "value", "valueFrom", required=["name"])),
    "mounts": _each(_only(*_MOUNT, required=["name", "mountPath"])),
}
"""What Kubernetes and Prometheus take where the chart hands on what it is told, so that a typo is refused here, too."""

_KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: (.*))?$")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its place, what is said of it, its default, and what its schema has besides."""

    path: tuple[str, ...]
    description: str
    default: Any
    more: Schema
    is_value: bool

    @property
    def name(self) -> str:
        """Give its place as one writes it for --set."""
        return ".".join(self.path)


def entries(text: str) -> Iterator[Entry]:
    """Read all keys of a values file, each after what it is in. Raises ValueError for one that nothing describes."""
    values = yaml.safe_load(text)
    path: list[str] = []
    comments: list[str] = []
    opaque: int | None = None
    for line in text.splitlines():
        found = _KEY.match(line)
        if line.lstrip().startswith("#"):
            comments.append(line.strip().removeprefix("#").strip())
            continue
        said, comments = comments, []
        if not found:
            continue
        depth = len(found[1]) // 2
        if opaque is not None and depth > opaque:
            continue
        path = [*path[:depth], found[2]]
        entry = _entry(tuple(path), said, values)
        opaque = depth if entry.is_value else None
        yield entry


def _entry(path: tuple[str, ...], said: Sequence[str], values: Any) -> Entry:  # noqa: ANN401 - any YAML
    default = values
    for key in path:
        default = default[key]
    annotated = [line.removeprefix("@schema ") for line in said if line.startswith("@schema ")]
    more = _more(annotated[0]) if annotated else {}
    is_value = not isinstance(default, dict) or bool(annotated)
    words = [line for line in said if line and not line.startswith(("@schema", "---"))]
    if is_value and not (words and words[0].startswith("-- ")):
        raise ValueError(f"values.yaml: {'.'.join(path)} has no description: `# -- …` before it")
    return Entry(path, " ".join(words).removeprefix("-- "), default, more, is_value)


def _more(annotation: str) -> Schema:
    if annotation == "settings":
        return _settings()
    return SHAPES[annotation] if annotation in SHAPES else json.loads(annotation)


# --- schema ---------------------------------------------------------------------------------------------


def schema(text: str) -> Schema:
    """Give the JSON schema of a values file: every key is known, and none else is taken."""
    root: Schema = {"$schema": DRAFT, **_closed("Values of the chart homeostat."), "properties": {"enabled": CONDITION}}
    for entry in entries(text):
        parent = root
        for key in entry.path[:-1]:
            parent = parent["properties"][key]
        parent["properties"][entry.path[-1]] = _value(entry) if entry.is_value else _closed(entry.description)
    root["properties"]["global"]["additionalProperties"] = True  # all charts of a release share it
    return root


def _closed(description: str) -> Schema:
    said = {"description": description} if description else {}
    return {"type": "object", **said, "additionalProperties": False, "properties": {}}


def _value(entry: Entry) -> Schema:
    kind = {"type": _TYPES[type(entry.default)], "description": entry.description}
    return kind | entry.more


def _settings() -> Schema:
    """Give the schema of the settings that have no place of their own, as the operator has them."""
    properties = Settings.model_json_schema()["properties"]
    named = {to_camel(name): _plain(one) for name, one in properties.items() if name not in PLACES}
    return {"additionalProperties": False, "properties": named}


def _plain(setting: Mapping[str, Any]) -> Schema:
    """Leave what draft 7 of JSON schema knows, and what a user of the chart wants to know."""
    kept = ("type", "description", "default", "minimum", "maximum", "exclusiveMinimum", "enum")
    plain = {key: setting[key] for key in kept if key in setting}
    plain["description"] = " ".join(str(plain["description"]).split())
    return plain | ({"items": {"type": "string"}} if plain["type"] == "array" else {})


# --- table ----------------------------------------------------------------------------------------------


def table(text: str) -> str:
    """Give all values as a table for README.md."""
    rows = ["| value | type | default | what it sets |", "|---|---|---|---|"]
    for entry in entries(text):
        if entry.is_value:
            kind = _kind_of(entry)
            cells = (f"`{entry.name}`", kind, f"`{_default(entry.default)}`", entry.description.replace("|", "\\|"))
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _kind_of(entry: Entry) -> str:
    options = entry.more.get("enum")
    return ", ".join(f"`{one}`" for one in options) if options else _TYPES[type(entry.default)]


def _default(value: Any) -> str:  # noqa: ANN401 - any YAML
    return json.dumps(value, ensure_ascii=False)
