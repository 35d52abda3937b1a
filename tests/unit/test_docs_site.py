"""The site: its reference is that of the models, its lessons can be followed, what it claims is shown by tests."""

import re
from pathlib import Path

import pytest
import yaml

import docs_site as site
import gen_reference as reference
import tutorials
from bench import quickstarts
from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind
from homeostat.core.condition import READY
from homeostat.core.health.reasons import DEPENDENCIES_HEALTHY, FLAPPING, HEALTHY
from homeostat.core.objective.conditions import EVALUATED
from homeostat.interchange.validation import check

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CORE = ROOT / "operator" / "homeostat" / "core"
HOW_TOS = sorted((DOCS / "how-to").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = 96
"""Characters of code that a page of the site shows at 1280 pixels."""
CLAIMING = ("security.md", "failure-modes.md")


def test_the_reference_is_that_of_the_models() -> None:
    assert reference.generated().stale() == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_has_a_row_with_its_description(kind: Kind) -> None:
    page = reference.page(kind)
    schema = reference.root_schema(kind)["properties"]
    fields = [
        (place.path, name, field["description"])
        for root in ("spec", "status")
        for place in reference.places(root, schema[root])
        for name, field in place.schema["properties"].items()
    ]

    assert len(fields) > len(schema)
    assert [
        f"{path}.{name}"
        for path, name, said in fields
        if not re.search(rf"^\| \[?`{name}`.*{re.escape(reference._text(said))}", section(page, path), re.MULTILINE)
    ] == []


def section(page: str, title: str) -> str:
    """Give what stands under a title, up to the next one."""
    return re.split(r"^#+ ", page.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_rule_is_told_with_its_message(kind: Kind) -> None:
    page = reference.page(kind)
    text = yaml.safe_dump(reference.root_schema(kind), width=10_000)
    messages = set(re.findall(r"message: '?(.+?)'?$", text, re.MULTILINE))

    assert [said for said in messages if reference._text(said.replace("''", "'")) not in page] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_example_of_a_kind_is_valid_and_no_part_of_it_can_be_left_out(kind: Kind) -> None:
    """It says that it is the least that is accepted."""
    body = yaml.safe_load(reference.example(kind))
    without = [
        body | {"spec": {key: value for key, value in body["spec"].items() if key != out}} for out in body["spec"]
    ]
    optional = {"service"}

    assert check(body).problems == ()
    assert [
        sorted(body["spec"].keys() - one["spec"].keys())
        for one in without
        if not check(one).problems and body["spec"].keys() - one["spec"].keys() != optional
    ] == []


def written_types(*paths: str) -> set[str]:
    """Give the types of conditions that modules of core/ write: keys of their tables, or the word before the status."""
    texts = [(CORE / path).read_text(encoding="utf-8") for path in paths]
    written = re.compile(r'"([A-Z]\w+)"(?:: |,\n        C|, is_engaged|, status)')
    return {name for text in texts for name in written.findall(text)}


TYPES = {
    "ServiceLevelObjective": {"Ready", *EVALUATED},
    "HealthCheck": {READY, HEALTHY, FLAPPING, DEPENDENCIES_HEALTHY},
    "RecoveryPolicy": written_types("recovery/telling/report.py", "recovery/telling/standing.py"),
    "ChaosExperiment": written_types("chaos/telling/standing.py"),
    "GameDay": written_types("gameday/standing.py"),
    "Freeze": written_types("freeze.py"),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_conditions_in_the_reference_are_those_that_are_set(kind: Kind) -> None:
    assert set(reference.EXTRAS[kind.kind].conditions) == TYPES[kind.kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_reference_says_for_which_reasons_a_kind_is_stalled(kind: Kind) -> None:
    stalling = reference.EXTRAS[kind.kind].stalling
    row = next(line for line in reference.page(kind).splitlines() if line.startswith("| `Stalled` "))

    assert {"Invalid", "NotImplemented"} <= set(stalling)
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == set(stalling)


def test_the_reasons_beside_a_condition_are_words_of_the_code() -> None:
    folder = ROOT / "operator" / "homeostat"
    source = "".join(
        path.read_text(encoding="utf-8") for room in ("api", "core") for path in (folder / room).rglob("*.py")
    )
    words = {word for extra in reference.EXTRAS.values() for text in extra.words.values()
             for word in re.findall(r"\b[A-Z]\w+", text)}  # fmt: skip

    assert len(words) > len(KINDS)
    assert [word for word in words if f'"{word}"' not in source] == []


def test_a_reason_has_the_comment_that_stands_beside_it() -> None:
    said = reference.reasons(reference.BlockReason)

    assert said["Locked"] == "another policy or experiment is the one writer of the target"
    assert set(said) == set(reference.BlockReason)
    assert all(said.values())


@pytest.mark.parametrize("lesson", tutorials.LESSONS)
def test_what_a_lesson_applies_is_valid(lesson: str) -> None:
    bodies = list(tutorials.applied(lesson))

    assert bodies
    assert [check(body).problems for body in bodies if check(body).problems] == []


@pytest.mark.parametrize("lesson", tutorials.LESSONS)
def test_a_lesson_waits_for_what_it_shows_and_sleeps_for_nothing(lesson: str) -> None:
    text = "".join(tutorials.commands(lesson))

    assert "sleep" not in text
    assert all("--timeout=" in line for line in text.splitlines() if line.startswith("kubectl wait"))


@pytest.mark.parametrize("lesson", tutorials.LESSONS)
def test_no_command_of_a_lesson_is_wider_than_its_page(lesson: str) -> None:
    """What is beyond it is the last flag, which the reader has to scroll for."""
    assert [line for block in tutorials.commands(lesson) for line in block.splitlines() if len(line) > PAGE] == []


def test_the_files_that_a_lesson_applies_are_there() -> None:
    named = {name for lesson in tutorials.LESSONS for block in tutorials.commands(lesson)
             for name in re.findall(r"-f ([\w/.-]+\.yaml)", block)}  # fmt: skip

    assert "examples/shop.yaml" in named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_objects_of_the_first_lesson_are_those_that_the_quick_start_applies() -> None:
    """Who took the short way has what the lesson explains."""
    shipped = list(yaml.safe_load_all((ROOT / "examples" / "first-slo.yaml").read_text(encoding="utf-8")))

    assert shipped == list(tutorials.applied("first-slo"))


def test_the_quick_start_opens_the_shop_before_anything_measures_it() -> None:
    """Else its first row is an alarm: what a check sees of pods that start are failures."""
    commands = quickstarts.shipped().commands
    shop, measuring = (
        next(number for number, command in enumerate(commands) if file in command)
        for file in ("examples/shop.yaml", "examples/first-slo.yaml")
    )
    waits = next(number for number, command in enumerate(commands) if "--wait" in command)

    assert shop < waits < measuring


def test_the_characters_that_the_readme_says_are_typed_are_those_of_its_quick_start() -> None:
    row = re.search(r"^\| characters typed .* \| (\d+) \| Sloth (\d+), Pyrra (\d+)", README, re.MULTILINE)
    starts = (quickstarts.shipped(), quickstarts.SLOTH, quickstarts.PYRRA)

    assert row is not None
    assert row.groups() == tuple(str(start.keystrokes) for start in starts)


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_what_a_how_to_shows_is_valid(page: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    assert [check(yaml.safe_load(block)).problems for block in blocks if check(yaml.safe_load(block)).problems] == []


def test_each_how_to_is_listed() -> None:
    listed = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")

    assert [page.name for page in HOW_TOS if page.stem != "index" and f"]({page.name})" not in listed] == []


@pytest.mark.parametrize("page", CLAIMING)
def test_a_claim_names_a_test_that_there_is(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    claims = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert len(claims) > 10
    assert [
        f"{path}::{name}"
        for path, name in claims
        if not re.search(rf"def {name}\(", (ROOT / path).read_text(encoding="utf-8"))
    ] == []


def test_every_admission_policy_is_in_the_security_page() -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    policies = {path.stem for path in (ROOT / "charts/homeostat/templates/admission").glob("*.yaml")}

    assert policies
    assert [name for name in policies if f"`homeostat-{name}`" not in text] == []


def test_a_link_out_of_docs_leads_to_a_copy_in_the_site() -> None:
    page = "See [the shop](../../examples/shop.yaml), [why](../adr/README.md#a) and [a page](https://example.org)."

    assert site.rewritten(page, "tutorials/index.md") == (
        "See [the shop](../repository/examples/shop.yaml), [why](../adr/README.md#a) and [a page](https://example.org)."
    )


def test_a_page_from_outside_docs_links_into_the_site() -> None:
    page = "[objectives](docs/slo.md#groups), [examples](examples)\n```sh\n[not](a/link.md)\n```\n"

    assert site.rewritten(page, "repository/README.md") == (
        "[objectives](../slo.md#groups), examples\n```sh\n[not](a/link.md)\n```\n"
    )


def test_what_looks_like_a_link_in_code_stays_as_it_is() -> None:
    page = "Matches `^[a-z]([-a-z]*)?$`, see [`the page` and more](../slo.md).\n"

    assert site.rewritten(page, "reference/freeze.md") == page


def test_a_list_within_a_list_is_indented_as_mkdocs_reads_it_and_code_is_not() -> None:
    page = "- one\n  - two\n\n```yaml\nspec:\n  - x\n```\n"

    assert site.rewritten(page, "slo.md") == "- one\n    - two\n\n```yaml\nspec:\n  - x\n```\n"


def test_the_site_fetches_nothing_from_elsewhere() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert re.findall(r"https?://\S+", text) == []
    assert "font: false" in text
