"""Definitions that are older than the operator are found, with the fields that they lack."""

from copy import deepcopy
from typing import Any

from homeostat.core.served import MOST_SHOWN, outdated, schemas_of
from homeostat.interchange.schema import our_schemas

OURS: dict[str, Any] = {kind: dict(schema) for kind, schema in our_schemas().items()}


def served() -> dict[str, Any]:
    return deepcopy(OURS)


def test_what_is_the_same_or_newer_is_not_outdated() -> None:
    newer = served()
    newer["HealthCheck"]["properties"]["spec"]["properties"]["added"] = {"type": "string"}
    assert outdated(newer, OURS) == ()


def test_a_missing_field_is_named_and_nothing_below_it() -> None:
    older = served()
    del older["HealthCheck"]["properties"]["spec"]["properties"]["probe"]["properties"]["http"]
    (found,) = outdated(older, OURS)
    assert (found.kind, found.missing, found.count) == ("HealthCheck", ("spec.probe.http",), 1)
    assert found.words == "HealthCheck: without spec.probe.http"


def test_a_value_that_an_enumeration_lacks_is_named() -> None:
    older = served()
    mode = older["RecoveryPolicy"]["properties"]["spec"]["properties"]["mode"]
    mode["enum"] = [value for value in mode["enum"] if value != "Auto"]
    (found,) = outdated(older, OURS)
    assert found.missing == ("spec.mode=Auto",)


def test_fields_of_lists_are_looked_at() -> None:
    older = served()
    del older["RecoveryPolicy"]["properties"]["spec"]["properties"]["steps"]["items"]["properties"]["drain"]
    (found,) = outdated(older, OURS)
    assert found.missing == ("spec.steps[].drain",)


def test_of_many_missing_fields_the_first_are_named_and_the_rest_counted() -> None:
    older = served()
    fields = older["ChaosExperiment"]["properties"]["status"]["properties"]
    count = len(fields)
    fields.clear()
    (found,) = outdated(older, OURS)
    assert (len(found.missing), found.count) == (MOST_SHOWN, count)
    assert found.words.endswith(f"and {count - MOST_SHOWN} more")


def test_a_kind_that_is_not_served_at_all_is_said() -> None:
    older = served()
    del older["Freeze"]
    assert [one.words for one in outdated(older, OURS)] == ["Freeze: not served"]


def test_schemas_are_found_in_a_document_by_kind_and_lists_are_none() -> None:
    named = {"x-kubernetes-group-version-kind": [{"group": "homeostat.dev", "kind": "Freeze", "version": "v1alpha1"}]}
    listed = {"x-kubernetes-group-version-kind": [{"kind": "FreezeList"}], "properties": {"items": {}}}
    document = {"components": {"schemas": {"a": named | OURS["Freeze"], "b": listed, "c": {"type": "object"}}}}
    assert schemas_of(document).keys() == {"Freeze"}
    assert outdated(schemas_of(document), {"Freeze": OURS["Freeze"]}) == ()
    assert schemas_of({}) == {}
