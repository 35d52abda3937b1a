"""The CRD generator: structural schemas, and every field of every kind described and bounded."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field

import gen_crds as gen
from homeostat.api.kinds import KINDS
from homeostat.api.meta import (
    Column,
    Duration,
    ExactDecimal,
    GoDuration,
    IntOrPercent,
    Kind,
    Later,
    ListMap,
    ListSet,
    Model,
    Rule,
    Status,
    between,
)


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


class Part(Model):
    name: Annotated[str, Field(max_length=9)]
    """Its name."""
    weight: Annotated[int, Field(gt=0, lt=10)] = 1
    """Its weight."""


class Limits(Model):
    cooldown: Annotated[GoDuration, between("1s", "1h")] = timedelta(minutes=5)
    """How long to wait."""


class Sample(Model):
    rules = (Rule("has(self.part)", "needs a part", ".part"),)

    part: Part | None = None
    """One part."""
    parts: Annotated[tuple[Part, ...], Field(max_length=4), ListMap("name")] = ()
    """More parts."""
    colours: Annotated[tuple[Colour, ...], Field(max_length=2)] = (Colour.RED,)
    """Which colours."""
    tags: Annotated[tuple[Annotated[str, Field(max_length=5)], ...], Field(max_length=3), ListSet()] = ()
    """Tags without order."""
    lines: Annotated[tuple[Annotated[str, Field(max_length=5)], ...], Field(max_length=3)] = ()
    """Lines in order."""
    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=8)] = Field(
        default_factory=dict
    )
    """Labels."""
    template: dict[str, Any] | None = None
    """A free form."""
    mode: Literal["Merge"] = "Merge"
    """How to merge."""
    share: IntOrPercent = 1
    """How many."""
    objective: ExactDecimal
    """Exactly how good."""
    window: Annotated[Duration | None, Later("Windows.")] = None
    """How long."""
    limits: Limits = Limits()
    """Its limits."""
    size: Annotated[str, Field(max_length=5)] | None = None
    """How
    big."""


class SampleStatus(Status):
    count: Annotated[int, Field(ge=0)] = 0
    """How many."""


KIND = Kind(
    kind="Sample",
    plural="samples",
    singular="sample",
    short_names=("sa",),
    spec=Sample,
    status=SampleStatus,
    columns=(Column("Size", ".spec.size", priority=1),),
    description="A sample.",
    selectable_fields=(".spec.size",),
)
PROPERTIES = gen.schema_of(Sample)["properties"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk a schema: every node with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


COMPLAINTS: dict[str, Callable[[str, dict[str, Any]], bool]] = {
    "no description": lambda path, node: not path.endswith(("[]", "{}")) and not node.get("description"),
    "a string without maxLength": lambda _, node: (
        node.get("type") == "string" and not {"maxLength", "enum"} & node.keys()
    ),
    "a list without maxItems": lambda _, node: node.get("type") == "array" and "maxItems" not in node,
    "an integer without minimum": lambda _, node: node.get("type") == "integer" and "minimum" not in node,
    "an integer without maximum": lambda path, node: (
        node.get("type") == "integer" and "maximum" not in node and not path.startswith(".status")
    ),
    "a map without maxProperties": lambda _, node: "additionalProperties" in node and "maxProperties" not in node,
}


def complaints(schema: dict[str, Any]) -> list[str]:
    """Say what of a schema is not described or not bounded."""
    return [
        f"{path}: {complaint}"
        for path, node in nodes(schema)
        for complaint, applies in COMPLAINTS.items()
        if applies(path, node)
    ]


def test_references_are_inlined_and_absent_means_null() -> None:
    assert PROPERTIES["part"] == {
        "description": "One part.",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"description": "Its name.", "type": "string", "maxLength": 9},
            "weight": {
                "description": "Its weight.",
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 10,
                "exclusiveMaximum": True,
                "default": 1,
            },
        },
    }


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("size", {"description": "How big.", "type": "string", "maxLength": 5}),
        ("mode", {"description": "How to merge.", "type": "string", "enum": ["Merge"], "default": "Merge"}),
        (
            "template",
            {"description": "A free form.", "type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ),
    ],
)
def test_a_field_becomes_its_structural_schema(name: str, schema: dict[str, Any]) -> None:
    assert PROPERTIES[name] == schema


def test_a_list_says_how_it_is_merged() -> None:
    kinds = {name: PROPERTIES[name]["x-kubernetes-list-type"] for name in ("parts", "colours", "tags", "lines")}

    assert kinds == {"parts": "map", "colours": "set", "tags": "set", "lines": "atomic"}
    assert PROPERTIES["parts"]["x-kubernetes-list-map-keys"] == ["name"]


def test_a_map_is_bounded_in_its_number_and_in_its_values() -> None:
    assert PROPERTIES["labels"]["maxProperties"] == 8
    assert PROPERTIES["labels"]["additionalProperties"] == {"type": "string", "maxLength": 63}


def test_a_count_or_share_is_an_int_or_string_that_cannot_be_negative() -> None:
    assert PROPERTIES["share"]["x-kubernetes-int-or-string"] is True
    assert PROPERTIES["share"]["minimum"] == 0
    assert "type" not in PROPERTIES["share"]


def test_defaults_are_what_the_model_says_in_the_form_of_the_wire() -> None:
    defaults = {name: schema["default"] for name, schema in PROPERTIES.items() if "default" in schema}

    assert defaults == {
        "parts": [],
        "colours": ["Red"],
        "tags": [],
        "lines": [],
        "labels": {},
        "mode": "Merge",
        "share": 1,
        "limits": {"cooldown": "5m"},
    }
    assert PROPERTIES["limits"]["properties"]["cooldown"]["default"] == "5m"


def test_rules_of_a_model_and_of_a_field_become_validations() -> None:
    assert gen.schema_of(Sample)["x-kubernetes-validations"] == [
        {"rule": "has(self.part)", "message": "needs a part", "fieldPath": ".part"}
    ]
    assert PROPERTIES["limits"]["properties"]["cooldown"]["x-kubernetes-validations"] == [
        {
            "rule": "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
            "message": "must be between 1s and 1h",
        }
    ]


def test_a_field_of_a_later_release_says_so() -> None:
    assert PROPERTIES["window"]["description"].startswith("How long. Windows. Not implemented yet")


@pytest.mark.parametrize("kind", [float, int | str, tuple[int, int], object])
def test_a_type_without_an_exact_structural_form_is_refused(kind: object) -> None:
    with pytest.raises(gen.UnsupportedError):
        gen.schema_of(kind)


def test_a_definition_has_names_columns_and_a_status_that_starts_unobserved() -> None:
    spec = gen.definition(KIND)["spec"]
    version = spec["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]

    assert spec["names"]["shortNames"] == ["sa"]
    assert version["additionalPrinterColumns"] == [
        {"name": "Size", "type": "string", "jsonPath": ".spec.size", "priority": 1}
    ]
    assert version["selectableFields"] == [{"jsonPath": ".spec.size"}]
    assert status["default"] == {"observedGeneration": -1}
    assert "default" not in status["properties"]["count"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_of_every_kind_is_described_and_bounded(kind: Kind) -> None:
    root = gen.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    assert complaints(root) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_column_and_selectable_field_has_a_description_and_a_path_that_exists(kind: Kind) -> None:
    root = gen.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    known = {path for path, _ in nodes(root)} | {".metadata.creationTimestamp"}

    for column in kind.columns:
        path = re.split(r"\[", column.path, maxsplit=1)[0]
        table = re.sub(r"\.[^.]+$", "{}", path)
        assert column.description, f"{kind.kind}, column {column.name}"
        assert known & {path, f"{path}{{}}", table}, f"{kind.kind}, column {column.name}"
    assert set(kind.selectable_fields) <= known


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_definition_is_small_enough_for_client_side_apply(kind: Kind) -> None:
    """The annotation of `kubectl apply` holds at most 262144 bytes."""
    text = gen.render(kind)

    assert len(text.encode()) < 200 * 1024
    assert yaml.safe_load(text) == gen.definition(kind)


def test_the_definitions_in_the_repository_are_those_of_the_models() -> None:
    """And so are their copies in the chart."""
    assert len(gen.generated().files) == 2 * len(KINDS)
    assert gen.generated().stale() == []


def test_an_undescribed_or_unbounded_field_is_noticed() -> None:
    class Loose(Model):
        text: str
        number: int
        things: tuple[str, ...]
        table: dict[str, str]

    found = set(complaints({"type": "object", "description": "x", "properties": {"spec": gen.schema_of(Loose)}}))

    assert {".spec.text: no description", ".spec.text: a string without maxLength"} <= found
    assert {".spec.number: an integer without minimum", ".spec.number: an integer without maximum"} <= found
    assert ".spec.things: a list without maxItems" in found
    assert ".spec.table: a map without maxProperties" in found
