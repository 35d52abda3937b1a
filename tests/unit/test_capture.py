"""Placeholders in texts: which names are used, which are undefined, and what is put in their places."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.probing.capture import as_json_text, substitute, text_of, undefined, used

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,10}", fullmatch=True)
MOST = 10_000


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Bearer {{token}}", ("token",)),
        ("{{ token }}/{{id}}/{{token}}", ("token", "id")),
        ("{{session-id}}{{_x9}}", ("session-id", "_x9")),
        ("{token} {{}} {{9}} {{a.b}} {{a b}} {{ {a} }} {{a", ()),
        ('{"a": {"b": {}}}', ()),
        ("{{{a}}}", ("a",)),
    ],
)
def test_a_placeholder_is_a_name_in_two_braces(text: str, names: tuple[str, ...]) -> None:
    assert used([text]) == names


def test_a_name_that_no_earlier_step_captures_is_undefined() -> None:
    """A step cannot use what it captures itself, or what a later one does."""
    parts = [
        (["{{b}}{{a}}"], ["a"]),
        (["{{a}}", "{{c}}"], ["c", "d"]),
        (["{{c}}{{d}}{{a}}{{b}}"], []),
    ]

    assert undefined(parts) == ("b", "a", "c")
    assert undefined([(["none"], ["a"]), (["{{a}}"], [])]) == ()
    assert undefined([]) == ()


@given(NAMES, st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_a_value_stands_where_its_name_was(name: str, before: str, value: str, after: str) -> None:
    text = before.replace("{", "") + "{{" + name + "}}" + after.replace("}", "")

    filled = substitute(text, {name: value}, str, MOST)

    assert filled == before.replace("{", "") + value + after.replace("}", "")


@given(st.dictionaries(NAMES, st.text(alphabet="{}ab-", max_size=12), min_size=1, max_size=3), st.data())
def test_a_value_is_never_read_as_a_template(values: dict[str, str], data: st.DataObject) -> None:
    """What a server sent stays what it sent, even when it looks like a placeholder."""
    names = data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=5))
    evil = {name: "{{" + other + "}}" for name, other in zip(values, reversed(values), strict=True)}

    filled = substitute("|".join("{{" + name + "}}" for name in names), evil, str, MOST)

    assert filled == "|".join(evil[name] for name in names)


def test_a_text_with_a_missing_value_is_not_filled() -> None:
    assert substitute("{{a}}{{b}}", {"a": "1"}, str, MOST) is None
    assert substitute("no names", {}, str, MOST) == "no names"


@given(st.integers(0, 30), st.integers(0, 60), st.integers(0, 20))
def test_what_comes_out_is_never_longer_than_allowed(count: int, most: int, size: int) -> None:
    text = "x{{a}}" * count + "yz"
    whole = ("x" + "v" * size) * count + "yz"

    assert substitute(text, {"a": "v" * size}, str, most) == (whole if len(whole) <= most else None)


def test_a_bomb_of_placeholders_is_not_built() -> None:
    """Fault 30: a thousand names for a long value stop at the bound, with the value encoded once."""
    calls: list[str] = []

    def encode(text: str) -> str:
        calls.append(text)
        return text

    assert substitute("{{a}}" * 1_000_000, {"a": "v" * 4096}, encode, 65_536) is None
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a token", "a token"),
        ("", ""),
        (7, "7"),
        (-(2**63), "-9223372036854775808"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([1], None),
        ({}, None),
        (b"x", None),
    ],
)
def test_a_value_is_written_as_json_writes_it(value: object, text: str | None) -> None:
    assert text_of(value) == text


@given(st.text())
def test_a_text_within_json_stays_the_same_text(text: str) -> None:
    document = '{"a": "' + as_json_text(text) + '"}'

    assert json.loads(document) == {"a": text}
