"""A text that a field does not take is told in words: an expression of eighty characters helps nobody."""

from collections.abc import Iterator
from typing import Any

import pytest
import re2  # type: ignore[import-untyped]

from homeostat.api.kinds import KINDS
from homeostat.interchange.forms import FORMS, unlike
from homeostat.interchange.schema import root_schema
from homeostat.interchange.validation import check

LONGEST = 64
"""Characters of a pattern that can still be read."""


def patterns(schema: Any) -> Iterator[str]:
    """Every pattern below a part of a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


SPECS = {pattern for kind in KINDS for pattern in patterns(root_schema(kind)["properties"]["spec"])}


def test_every_form_belongs_to_a_pattern_of_the_schema() -> None:
    """Else a pattern was changed, and what it says in words with it."""
    assert FORMS.keys() - SPECS == set()


def test_no_long_pattern_of_a_spec_is_without_words() -> None:
    assert [one for one in SPECS - FORMS.keys() if len(one) > LONGEST and "T([01]" not in one] == []


@pytest.mark.parametrize("pattern", FORMS)
def test_the_examples_of_a_form_are_taken(pattern: str) -> None:
    said = FORMS[pattern].partition(" such as ")[2].replace(" or ", ", ").replace('"', "")
    assert [one for one in said.split(", ") if one and not re2.search(pattern, one)] == []


def test_a_value_that_does_not_fit_is_told_how_it_is_written() -> None:
    body = {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "HealthCheck", "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"interval": "10 s", "probe": {"http": {"url": "ftp://x"}}},
    }  # fmt: skip
    assert {one.path: one.message for one in check(body).problems if one.path != "spec"} == {
        "spec.interval": '"10 s" is not a time such as 500ms, 30s or 1h30m',
        "spec.probe.http.url": '"ftp://x" is not an http or https URL without user and password',
    }
    assert unlike("^x$") == "does not match ^x$"
