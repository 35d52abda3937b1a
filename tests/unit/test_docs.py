"""The documentation says what is: examples, settings, metrics and paths are compared with the real ones."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic.alias_generators import to_camel

from busy_operator import busy_metrics
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_fault import Fault
from homeostat.api.health_check import HealthCheckSpec
from homeostat.api.kinds import KINDS
from homeostat.api.meta import API_VERSION
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import Indicator
from homeostat.api.probe import Probe
from homeostat.api.recovery_step import STEP_NAMES, Step
from homeostat.api.recovery_trigger import TRIGGER_NAMES, Trigger
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.health.plan import Plan
from homeostat.core.health.plan import compile as compile_plan
from homeostat.core.objective.burn import DEFAULT_PAIRS, factor
from homeostat.core.orders import NEEDS
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.ref import Ref
from homeostat.interchange.validation import check
from homeostat.telemetry.metrics import Metrics
from homeostat.wiring.settings import Settings
from shown_metrics import documented

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "homeostat"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
ROOMS = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()} - {"build"}


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def rows(document: str) -> dict[str, list[str]]:
    """Cells of every table row by its first cell, without backticks."""
    lines = [line for line in (ROOT / "docs" / document).read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_an_example_in_the_readme_is_the_one_in_examples() -> None:
    files = [path.read_text() for path in (ROOT / "examples").glob("*.yaml")]
    examples = [document.strip() for text in files for document in re.split(r"^---$", text, flags=re.MULTILINE)]

    assert [block for block in blocks() if block.strip() not in examples] == []


def test_the_readme_has_an_example_of_each_kind() -> None:
    assert sorted(yaml.safe_load(block)["kind"] for block in blocks()) == sorted(kind.kind for kind in KINDS)


def checks_of(path: Path) -> Iterator[Any]:
    """Every HealthCheck that a file shows: documents of YAML, or blocks of it in a page."""
    text = path.read_text()
    blocks_ = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if path.suffix == ".md" else [text]
    bodies = [body for block in blocks_ for body in yaml.safe_load_all(block)]
    yield from (body for body in bodies if body["kind"] == "HealthCheck")


@pytest.mark.parametrize("path", ["docs/probes.md", "examples/healthcheck.yaml", "examples/dependencies.yaml"])
def test_every_check_that_is_shown_can_run(path: str) -> None:
    checks = list(checks_of(ROOT / path))
    plans = [
        compile_plan(HealthCheckSpec.model_validate(body["spec"]), Ref("HealthCheck", "shop", "x", "uid"))
        for body in checks
    ]

    assert len(plans) > 1
    assert [plan for plan in plans if not isinstance(plan, Plan)] == []


def test_the_page_on_probes_shows_every_kind_of_probe() -> None:
    shown = {next(iter(body["spec"]["probe"])) for body in checks_of(ROOT / "docs" / "probes.md")}

    assert shown == set(Probe.model_fields)


def objectives_of(path: Path) -> list[Any]:
    """Every ServiceLevelObjective that a page shows."""
    blocks_ = re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    bodies = [body for block in blocks_ for body in yaml.safe_load_all(block)]
    return [body for body in bodies if body.get("kind") == "ServiceLevelObjective"]


def test_every_objective_that_is_shown_can_be_read_and_none_says_what_nobody_reads() -> None:
    specs = [body["spec"] for body in objectives_of(ROOT / "docs" / "slo.md")]
    read = [ServiceLevelObjectiveSpec.model_validate(spec) for spec in specs]

    assert [key for spec, model in zip(specs, read, strict=True) for key in unread(spec, model.wire())] == []


def test_the_page_on_the_api_pushes_to_the_objective_that_it_makes() -> None:
    """Else its reader gets a 404, or a 409."""
    page = ROOT / "docs" / "api.md"
    (body,) = objectives_of(page)
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]

    assert not check(body).problems
    assert "events" in body["spec"]["indicator"]
    assert set(re.findall(r"/api/v1/slo/(\w+/\w+)", page.read_text())) == {f"{namespace}/{name}"}


def part_of(name: str, title: str) -> str:
    """One section of a page, without those below it that have a title of their own."""
    page = (ROOT / "docs" / name).read_text()
    return re.split(r"^##", page.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def part_of_recovery(title: str) -> str:
    """One section of the page on recovery."""
    return part_of("recovery.md", title)


def first_cells(section: str) -> list[str]:
    """What the first cells of the section's tables name."""
    return [
        name for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    ]


def test_every_reason_why_nothing_is_done_is_explained_once() -> None:
    """R15."""
    assert sorted(first_cells(part_of_recovery("Why nothing is done"))) == sorted(BlockReason)


def test_the_tables_of_triggers_and_steps_have_each_of_them() -> None:
    assert first_cells(part_of_recovery("Triggers")) == list(TRIGGER_NAMES)
    assert set(first_cells(part_of_recovery("Steps"))) == set(STEP_NAMES)


def test_the_page_on_recovery_shows_every_trigger_and_step_as_it_can_be_written() -> None:
    page = (ROOT / "docs" / "recovery.md").read_text()
    shown = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    triggers = [Trigger.model_validate(one) for block in shown for one in block.get("triggers", ())]
    steps = [Step.model_validate(one) for block in shown for one in block.get("steps", ())]

    assert {trigger.name for trigger in triggers} == set(TRIGGER_NAMES)
    assert {step.name for step in steps} == set(STEP_NAMES)
    assert [check(body).problems for body in shown if "kind" in body] == [()]


REASONS_OF_CHAOS = (
    "On the way",
    "Passed and Failed",
    "Aborted: something stopped it",
    "Aborted: something refused it",
    "Inconclusive, and no verdict",
)


def test_every_reason_of_an_experiment_is_explained_once() -> None:
    """C17."""
    named = [name for title in REASONS_OF_CHAOS for name in first_cells(part_of("chaos.md", title))]

    assert sorted(named) == sorted(ChaosReason)


def test_the_table_of_faults_has_each_of_them_with_the_kinds_that_it_needs() -> None:
    table = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", part_of("chaos.md", "Faults"), re.MULTILINE)
    kinds = {fault: " or ".join(of for name, of in table if name == fault) for fault, _ in table}
    needed = {}
    for rule in ChaosExperimentSpec.rules:
        faults, _, target = rule.message.removeprefix("fault ").partition(" a target of kind ")
        needed |= {fault: target for fault in re.findall(r"\w+", faults) if fault not in {"need", "needs", "and"}}

    assert set(kinds) == {field.alias or to_camel(name) for name, field in Fault.model_fields.items()}
    assert {fault: words(one) for fault, one in kinds.items()} == {fault: words(one) for fault, one in needed.items()}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text)) - {"or"}


def test_the_capabilities_of_agents_in_the_page_are_those_that_they_get() -> None:
    """Nothing is said to be needed that is not, and nothing is left out; nor which level of Pod Security that takes."""
    section = part_of("chaos.md", "Faults held by an agent")
    table = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| `(\w+)` \|", section, re.MULTILINE)
    named = {fault: () if needs == "none" else tuple(needs.split(", ")) for fault, needs, _ in table}

    assert named == dict(NEEDS)
    assert [(fault, level) for fault, needs, level in table if (level == "restricted") is not (needs == "none")] == []


def test_the_page_on_chaos_shows_every_fault_as_it_can_be_written() -> None:
    page = (ROOT / "docs" / "chaos.md").read_text()
    blocks_ = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = [one for block in blocks_ for one in yaml.safe_load_all(block)]
    faults = [Fault.model_validate(one["fault"]) for one in shown if "fault" in one]
    rest = [one for one in shown if "fault" not in one]
    whole = {"fault": {"podKill": {}}, "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "x"}}},
             "duration": "10s", "hypothesis": [{"healthCheck": {"name": "x"}}]}  # fmt: skip
    bodies = [
        {"apiVersion": API_VERSION, "kind": "ChaosExperiment", "metadata": {"name": "x", "namespace": "shop"},
         "spec": whole | one} for one in rest
    ]  # fmt: skip

    assert {next(iter(fault.wire())) for fault in faults} == {
        field.alias or to_camel(name) for name, field in Fault.model_fields.items()
    }
    assert {key for one in rest for key in one} == {"hypothesis", "stopConditions", "proves", "schedule"}
    assert [check(body).problems for body in bodies if check(body).problems] == []


def test_a_link_to_a_title_finds_it() -> None:
    titles = {path: set(map(anchor, headings(path.read_text()))) for path in DOCUMENTS}
    links = [(path, link) for path in DOCUMENTS for link in re.findall(r"\]\(([\w./-]*#[^)\s]+)\)", path.read_text())]
    ends = [(path, *link.split("#", 1)) for path, link in links]

    assert [
        f"{path.name}: {there}#{title}"
        for path, there, title in ends
        if title not in titles.get((path.parent / there).resolve() if there else path, set())
    ] == []


def headings(text: str) -> list[str]:
    """Titles of a page, but not the comments of its examples."""
    return re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)


def anchor(title: str) -> str:
    """What a title is linked to by."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def unread(given: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Give the paths of what was written and did not come through the model."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield from unread(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"]
    elif isinstance(given, list):
        for one, other in zip(given, kept, strict=True):
            yield from unread(one, other, path)


def test_the_page_on_objectives_shows_every_kind_of_indicator() -> None:
    shown = [body["spec"]["indicator"] for body in objectives_of(ROOT / "docs" / "slo.md")]
    queries = [one["prometheus"] for one in shown if "prometheus" in one]

    assert {next(iter(one)) for one in shown} == {
        field.alias or to_camel(name) for name, field in Indicator.model_fields.items()
    }
    assert {"ratio", "latency", "ratioQuery"} <= {name for query in queries for name in query}
    assert any("groupBy" in next(iter(one.values())) for one in shown)


def test_the_factors_in_the_page_are_those_that_are_used() -> None:
    """S2."""
    table = re.findall(
        r"^\| (?:Page|Ticket) \| \S+ \| \S+ \| \S+ \| (.*) \|$", (ROOT / "docs" / "slo.md").read_text(), re.MULTILINE
    )
    periods = [timedelta(days=days) for days in (30, 28, 7)]
    factors = [[factor(pair.budget, period, pair.long) for period in periods] for pair in DEFAULT_PAIRS]

    assert [row.split(" | ") for row in table] == [
        [f"{float(one):.4g}" if one >= 1 else f"{float(one):.2g}" for one in row] for row in factors
    ]


def default(value: object) -> str:
    """Write a default as the table does."""
    if isinstance(value, tuple):
        return str(list(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {name: row[:2] for name, row in rows("settings.md").items()}

    assert documented == {
        f"HOMEOSTAT_{name.upper()}": [f"--{name.replace('_', '-')}", default(field.default)]
        for name, field in Settings.model_fields.items()
    }


def metrics() -> dict[str, str]:
    """Every metric that Prometheus is shown, with its type."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", asyncio.run(Metrics().page()).decode(), re.MULTILINE))


def test_every_metric_is_documented_with_its_type() -> None:
    documented = {name: row[0] for name, row in rows("metrics.md").items() if name.startswith("homeostat_")}

    assert documented == metrics()


def labels_that_are_shown() -> dict[str, set[str]]:
    """Labels of each metric, as an operator shows them in which everything happens."""
    page = asyncio.run(busy_metrics().page()).decode()
    return {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in text_string_to_metric_families(page)
        if family.samples
    }


def test_the_labels_of_every_metric_are_documented() -> None:
    """They are promised like the names: a query that groups by one must go on working."""
    told = {name.removesuffix("_total"): labels for name, _, labels in documented()}

    assert {name: labels for name, labels in labels_that_are_shown().items() if name.startswith("homeostat_")} == told


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    prose = re.sub(r"`[^`\n]*`", "", text)  # a pattern in code may look like a link
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]
    named = [path for path in re.findall(r"`(\.?/?[\w.-]+/[\w./-]*)`", text) if path.strip("./").split("/")[0] in ROOMS]

    missing = [link for link in links if link and not (document.parent / link).exists()]
    missing += [path for path in named if not (ROOT / path).exists() and not (PACKAGE / path).exists()]
    assert missing == []


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()

    assert [path.name for path in (ROOT / "docs" / "adr").glob("0*.md") if f"({path.name})" not in listed] == []
