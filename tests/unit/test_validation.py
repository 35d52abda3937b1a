"""`homeostat validate`: the verdicts and sentences of the API server and of the controllers, without either."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.kinds import KINDS
from homeostat.api.meta import API_VERSION, Kind
from homeostat.interchange.references import cross_problems
from homeostat.interchange.rules import FUNCTIONS, program
from homeostat.interchange.schema import root_schema
from homeostat.interchange.structural import Severity
from homeostat.interchange.validation import Checked, check

CEL = Path(__file__).resolve().parents[1] / "cluster" / "cel"
SPEC: dict[str, Any] = {
    "objective": "99.9",
    "window": {"rolling": "30d"},
    "indicator": {"healthCheck": {"name": "checkout"}},
}


def examples(kind: Kind) -> list[dict[str, Any]]:
    return yaml.safe_load((CEL / f"{kind.plural}.yaml").read_text())


def objective(name: str = "checkout", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": "ServiceLevelObjective", "metadata": metadata, "spec": SPEC | spec}


def health_check(name: str, **spec: Any) -> dict[str, Any]:
    probe = {"tcp": {"address": "db:5432"}}
    return {
        "apiVersion": API_VERSION,
        "kind": "HealthCheck",
        "metadata": {"name": name},
        "spec": {"probe": probe} | spec,
    }


def told(checked: Checked) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in checked.problems]


def rules_of(schema: dict[str, Any]) -> set[str]:
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[word] for word in ("items", "additionalProperties") if isinstance(schema.get(word), dict)]
    own = {rule["rule"] for rule in schema.get("x-kubernetes-validations", ())}
    return own.union(*(rules_of(part) for part in inner))


# --- as the server --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
def test_every_rule_accepts_and_refuses_its_examples_with_the_servers_sentence(kind: Kind) -> None:
    """The oracle: the same examples, on which a real API server is asked in tests/cluster/test_crds.py."""
    wrong: list[Any] = []
    for example in examples(kind):
        accepted = [
            problem for problem in check(example["accept"]).problems if "not implemented" not in problem.message
        ]
        refused = [problem.message for problem in check(example["refuse"]).problems]
        rules = [message for message in refused if "not implemented" not in message]
        if accepted or rules != [example["rule"]]:
            wrong.append((example["rule"], accepted, refused))

    assert wrong == []


def test_every_function_that_a_rule_calls_is_there() -> None:
    of_the_library = {
        "all", "exists", "filter", "has", "contains", "endsWith", "startsWith", "matches", "duration", "timestamp",
        "double", "int", "type", "getSeconds",
    }  # fmt: skip
    called = {name for kind in KINDS for rule in rules_of(root_schema(kind)) for name in program(rule).functions()}

    assert {name for name in called if name[0].isalpha() and name[0] != "_"} <= of_the_library | set(FUNCTIONS)


def test_a_rule_counts_characters_not_bytes() -> None:
    headers = {"é" * 100: "x"}
    body = health_check("a", probe={"http": {"url": "http://a.example", "headers": headers}})

    assert not any("128" in message for _, message in told(check(body)))


def test_an_unknown_field_is_named_with_its_path_and_the_nearest_there_is() -> None:
    body = objective(alerting={"burnrates": [], "burnRates": [{"budget": "2%", "long": "1h", "shrt": "5m"}]})

    assert told(check(body)) == [
        ("spec.alerting.burnrates", "unknown field; did you mean burnRates?"),
        ("spec.alerting.burnRates[0].shrt", "unknown field; did you mean short?"),
    ]


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"objective": 99.9}, "spec.objective", 'must be of type string, not number: write it in quotes, "99.9"'),
        ({"objective": None}, "spec.objective", "required"),
        (
            {"noData": "bad"},
            "spec.noData",
            'unsupported value "bad": one of "Unknown", "Good", "Bad"; did you mean Bad?',
        ),
        ({"description": "x" * 1025}, "spec.description", "too long: at most 1024 characters"),
        ({"alerting": {"minBadEvents": -1}}, "spec.alerting.minBadEvents", "must be at least 0"),
        ({"alerting": {"minBadEvents": True}}, "spec.alerting.minBadEvents", "must be of type integer, not boolean"),
        ({"exclusions": {}}, "spec.exclusions", "must be of type array, not object"),
        (
            {"exclusions": [{"from": "yesterday", "to": "2026-12-01T00:00:00Z"}]},
            "spec.exclusions[0].from",
            '"yesterday" is not a time such as 2026-12-01T00:00:00Z',
        ),
        (
            {"indicator": {"composite": {"members": [{"name": "a"}, {"name": "a"}]}}},
            "spec.indicator.composite.members[1]",
            "duplicate: name a is there already",
        ),
        (
            {"indicator": {"events": {"groupBy": ["a", "a"]}}},
            "spec.indicator.events.groupBy[1]",
            "duplicate: a is there already",
        ),
    ],
)
def test_what_the_schema_does_not_allow_is_told_with_its_path(spec: dict[str, Any], path: str, message: str) -> None:
    assert (path, message) in told(check(objective(**spec)))


def test_defaults_are_there_before_rules_look_and_null_means_absent() -> None:
    assert told(check(objective(budgeting={}, alerting={"burnRates": None}, rules=None))) == []
    assert told(check(health_check("a", timeout="11s"))) == [("spec", "timeout must not be longer than interval")]


def test_rules_are_not_evaluated_over_what_has_the_wrong_shape() -> None:
    found = told(check(objective(window={"rolling": 30})))

    assert [path for path, _ in found] == ["spec.window.rolling", "spec"]
    assert "not evaluated" in found[-1][1]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({}, "metadata.name"),
        ({"name": "Checkout"}, "metadata.name"),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace"),
        ({"name": "a", "labels": {"team": "a b"}}, "metadata.labels[team]"),
        ({"name": "a", "labels": {"a b": "c"}}, "metadata.labels[a b]"),
        ({"name": "a", "annotations": {"a": 1}}, "metadata.annotations[a]"),
        ({"name": "a", "label": {}}, "metadata.label"),
    ],
)
def test_metadata_that_no_object_can_have_is_told(metadata: dict[str, Any], path: str) -> None:
    assert [problem.path for problem in check(objective() | {"metadata": metadata}).problems] == [path]


def test_a_kind_and_a_version_that_there_are_not_are_told() -> None:
    assert told(check(objective() | {"kind": "ServiceLevelObjectiv"})) == [
        ("kind", "no such kind: ServiceLevelObjectiv; did you mean ServiceLevelObjective?")
    ]
    assert told(check(objective() | {"apiVersion": "homeostat.dev/v1"}))[0][0] == "apiVersion"


def test_a_freeze_is_in_no_namespace() -> None:
    spec = {"stops": ["Chaos"], "reason": "test"}
    body = {"apiVersion": API_VERSION, "kind": "Freeze", "metadata": {"name": "a", "namespace": "b"}, "spec": spec}

    assert told(check(body)) == [("metadata.namespace", "a Freeze is in no namespace")]


# --- as the controllers ---------------------------------------------------------------------------------


def test_a_query_that_is_not_promql_is_told() -> None:
    queries = {"bad": "sum(", "total": "sum(x)"}
    found = told(check(objective(indicator={"prometheus": {"ratio": queries}})))

    assert [path for path, _ in found] == ["spec.indicator.prometheus.ratio.bad"]


def test_a_zone_that_there_is_not_and_a_day_that_there_is_not_are_told() -> None:
    zone = {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "Europe/Pariss"}
    day = {"unit": "Month", "start": "2026-02-30T00:00:00"}

    assert told(check(objective(window={"calendar": zone}))) == [
        ("spec.window.calendar.timeZone", 'no such time zone: "Europe/Pariss"')
    ]
    assert [path for path, _ in told(check(objective(window={"calendar": day})))] == ["spec.window.calendar.start"]


def test_a_check_that_can_never_run_is_told_as_its_controller_would() -> None:
    steps = [{"name": "buy", "http": {"url": "http://shop.example/", "headers": {"X-Token": "{{token}}"}}}]
    found = told(check(health_check("journey", probe={"steps": steps})))

    assert "no earlier step captures token" in found[0][1]


def test_composites_in_a_circle_are_told_and_what_leads_into_it_is_not() -> None:
    def composite(name: str, *members: str) -> Checked:
        listed = [{"name": member} for member in members]
        return check(objective(name, indicator={"composite": {"members": listed}}))

    found = cross_problems([composite("a", "b"), composite("b", "c"), composite("c", "b"), composite("d", "d")])
    errors = [[problem.message for problem in one if problem.severity is Severity.ERROR] for one in found]

    assert errors == [
        [],
        ["leads back to itself: b -> c -> b"],
        ["leads back to itself: c -> b -> c"],
        ["leads back to itself: d -> d"],
    ]


def test_checks_that_depend_on_each_other_in_a_circle_are_told() -> None:
    one, other = (check(health_check(name, dependsOn=[{"name": on}])) for name, on in (("a", "b"), ("b", "a")))

    assert [[problem.path for problem in of_one] for of_one in cross_problems([one, other])] == [["spec.dependsOn"]] * 2


def test_a_name_that_leads_nowhere_is_a_warning_only_and_namespaces_are_kept_apart() -> None:
    elsewhere = health_check("checkout") | {"metadata": {"name": "checkout", "namespace": "other"}}
    found = cross_problems([check(objective()), check(elsewhere)])

    assert [(problem.path, problem.severity) for problem in found[0]] == [
        ("spec.indicator.healthCheck.name", Severity.WARNING)
    ]
    assert cross_problems([check(objective()), check(health_check("checkout"))]) == [[], []]


def test_an_alert_that_sees_less_than_two_results_is_a_warning() -> None:
    """S3: a short window below twice the interval of the check."""
    alerting = {"burnRates": [{"budget": "2%", "long": "1h", "short": "5m"}]}
    found = cross_problems([check(objective(alerting=alerting)), check(health_check("checkout", interval="3m"))])

    assert [problem.path for problem in found[0]] == ["spec.alerting.burnRates"]


def test_what_is_given_twice_is_a_warning() -> None:
    found = cross_problems([check(health_check("a")), check(health_check("a"))])

    assert [len(of_one) for of_one in found] == [0, 1]
