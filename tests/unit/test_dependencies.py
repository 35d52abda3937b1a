"""dependsOn: who is suppressed by whom, what is kept back and told later, and chains that lead back (H5)."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.api.health_check import HealthCheckStatus, HealthState
from homeostat.core.condition import condition
from homeostat.core.health.dependencies import companions, find_cycle, unclear, unhealthy
from homeostat.core.health.evaluation import significance
from homeostat.core.significance import Significance
from lives import Life

HEALTHY, DEGRADED, UNHEALTHY = HealthState.HEALTHY, HealthState.DEGRADED, HealthState.UNHEALTHY
UNKNOWN, SUSPENDED = HealthState.UNKNOWN, HealthState.SUSPENDED


def life_of(*names: str, **spec: Any) -> Life:
    """A check that turns with each run, never flaps, and depends on `names`."""
    never = {"flapping": {"transitions": 20, "window": "1m"}}
    at_once = {"failureThreshold": 1, "successThreshold": 1}
    return Life(**{**never, **at_once, "dependsOn": [{"name": one} for one in names], **spec})


def child() -> Life:
    return life_of("database")


def message_of(life: Life, type_: str) -> str:
    found = condition(life.written.conditions, type_)
    assert found is not None
    return found.message


# --- what is kept back, and what is told ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("cdf", []),
        ("cdfff", []),
        ("cdr", []),
        ("cdfc", ["Recovered"]),
        ("cfdc", ["Unhealthy", "Recovered"]),
        ("cfdu", ["Unhealthy"]),
        ("cdfu", ["Unhealthy"]),
        ("cdfxu", ["Unhealthy"]),
        ("cdfudu", ["Unhealthy"]),
        ("cdfcu", ["Recovered"]),
        ("cdru", ["Degraded"]),
        ("cdfrc", ["Recovered", "Recovered"]),
        ("cdufdu", ["Unhealthy"]),
        ("cdxfxux", ["Unhealthy"]),
    ],
)
def test_only_the_beginning_of_an_alarm_is_kept_back_and_it_is_told_once_if_it_still_is_so(
    word: str, told: list[str]
) -> None:
    """H5: suppress the creation of alerts, never their resolution. `x` is a restart."""
    assert child().live(word).told == told


def test_a_silence_is_kept_back_too_and_told_when_the_dependency_recovers() -> None:
    life = child().live("cds")
    kept_back = life.told
    life.live("u")

    assert kept_back == []
    assert life.told == ["Stale"]


def test_a_dependency_that_is_no_longer_declared_keeps_nothing_back() -> None:
    life = child().live("cdf")
    life.spec, life.dependencies = life_of().spec, {}
    life.look()

    assert life.told == ["Unhealthy"]
    assert life.why("DependenciesHealthy") == ""


@given(st.text("crfdux", max_size=40))
def test_suppression_changes_nothing_but_which_alarms_are_told_when(word: str) -> None:
    """H5: states go on as they are, no alarm is told under suppression, no resolution is kept back."""
    life, free = child().live(word), life_of().live(word)

    assert life.states == free.states
    assert life.alarms_under_suppression == []
    assert life.told.count("Recovered") == free.told.count("Recovered")


@given(st.text("crfdux", max_size=40))
def test_once_nothing_stands_against_it_what_is_wrong_has_been_told(word: str) -> None:
    """H5: the last thing that was told of a check that nobody suppresses is how it is."""
    life = child().live(word).live("u")
    last = life.told[-1:]

    if life.written.state is UNHEALTHY:
        assert last == ["Unhealthy"]
    if life.written.state is HEALTHY:
        assert last in ([], ["Recovered"])


@given(st.text("crfdux", max_size=30), st.sampled_from([HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN, SUSPENDED]))
def test_a_decision_with_dependencies_is_total_and_repeats_itself(word: str, state: HealthState) -> None:
    life = child().live(word)
    life.dependencies["database"] = state
    once = life.decide()
    life.written = once.status
    twice = life.decide()

    assert (twice.status, twice.events) == (once.status, ())
    assert HealthCheckStatus.model_validate(once.status.wire()).wire() == once.status.wire()


# --- what is shown --------------------------------------------------------------------------------------


def test_the_child_shows_its_own_state_and_who_suppresses_it() -> None:
    """H5: transitivity goes through the child's own state."""
    life = child().live("cdf")

    assert (life.written.state, life.written.suppressed_by) == (UNHEALTHY, ("database",))
    assert life.written.message == "0 of 1 pass: Timeout; HealthCheck database is Unhealthy"
    assert life.why("DependenciesHealthy") == "False Suppressing"
    assert message_of(life, "DependenciesHealthy") == "HealthCheck database is Unhealthy"


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ({"a": HEALTHY, "b": DEGRADED}, ("True NoneUnhealthy", "")),
        ({"a": HEALTHY, "b": UNHEALTHY}, ("False DependencyUnhealthy", "HealthCheck b is Unhealthy")),
        ({"a": UNHEALTHY, "b": UNHEALTHY}, ("False DependencyUnhealthy", "HealthChecks a, b are Unhealthy")),
        ({"a": HEALTHY, "b": UNKNOWN}, ("Unknown DependencyUnknown", "not known how it is: HealthCheck b")),
        ({"a": SUSPENDED, "b": UNHEALTHY}, ("False DependencyUnhealthy", "HealthCheck b is Unhealthy")),
    ],
    ids=["fine", "one", "both", "unknown", "suspended and one"],
)
def test_the_condition_says_how_the_dependencies_are(states: dict[str, HealthState], shown: tuple[str, str]) -> None:
    life = life_of("a", "b")
    life.dependencies = states
    life.live("c")

    assert (life.why("DependenciesHealthy"), message_of(life, "DependenciesHealthy")) == shown


def test_another_dependency_that_is_unhealthy_is_a_change() -> None:
    """Whoever reads status must not be told of the wrong one for a minute."""
    life = life_of("a", "b")
    life.dependencies["a"] = UNHEALTHY
    life.live("c")
    life.dependencies = {"a": HEALTHY, "b": UNHEALTHY}

    assert significance(life.written, life.decide().status) is Significance.CHANGE


@pytest.mark.parametrize("state", [UNKNOWN, SUSPENDED, DEGRADED])
def test_only_an_unhealthy_dependency_suppresses(state: HealthState) -> None:
    """H5: one that is missing or unknown says nothing."""
    life = child()
    life.dependencies = {"database": state}
    life.live("cf")

    assert life.told == ["Unhealthy"]
    assert life.written.suppressed_by == ()


def test_a_check_that_depends_on_nothing_has_no_such_condition() -> None:
    life = life_of().live("c")

    assert life.why("DependenciesHealthy") == ""


# --- chains that lead back ------------------------------------------------------------------------------


def test_a_check_on_a_cycle_is_not_ready_says_the_way_and_goes_on() -> None:
    """H5, fault 38: cycles are refused."""
    life = child()
    life.dependencies, life.cycle = {}, ("checkout", "database", "checkout")
    life.live("cf")

    assert life.why("Ready") == "False DependencyCycle"
    assert "checkout -> database -> checkout" in message_of(life, "Ready")
    assert (life.written.state, life.written.suppressed_by) == (UNHEALTHY, ())
    assert life.told == ["Unhealthy"]
    assert life.why("DependenciesHealthy") == "Unknown DependencyCycle"


names = st.sampled_from("abcdef")
graphs = st.dictionaries(names, st.lists(names, max_size=4, unique=True), max_size=6)


def ways(graph: Mapping[str, list[str]], start: str) -> list[tuple[str, ...]]:
    """Give all ways from a name back to itself that meet no other name twice, by trying them all."""
    found: list[tuple[str, ...]] = []
    open_ways: list[tuple[str, ...]] = [(start,)]
    while open_ways:
        way = open_ways.pop()
        for there in graph.get(way[-1], ()):
            if there == start:
                found.append((*way, there))
            elif there not in way:
                open_ways.append((*way, there))
    return found


@given(graphs, names)
def test_a_cycle_is_found_exactly_when_there_is_one_and_it_is_a_shortest(
    graph: dict[str, list[str]], name: str
) -> None:
    """H5."""
    every, found = ways(graph, name), find_cycle(graph, name)

    assert bool(every) is bool(found)
    if found:
        assert found in every
        assert len(found) == min(map(len, every))


@given(graphs, names)
def test_companions_are_all_that_share_a_cycle(graph: dict[str, list[str]], name: str) -> None:
    """Each of them must be told when one of its edges changes; two cycles may share but one name."""
    reach = {one: reachable(graph, one) for one in "abcdef"}

    assert companions(graph, name) == {one for one in "abcdef" if one in reach[name] and name in reach[one]}


def reachable(graph: Mapping[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    for _ in range(7):
        found |= {there for here in found | {start} for there in graph.get(here, ())}
    return found


def test_a_check_that_names_itself_is_a_cycle() -> None:
    assert find_cycle({"a": ["b", "a"]}, "a") == ("a", "a")


def test_leading_to_a_cycle_is_not_being_on_one() -> None:
    """Only its members are refused."""
    graph = {"shop": ["a"], "a": ["b"], "b": ["a"]}

    assert find_cycle(graph, "shop") == ()
    assert companions(graph, "shop") == frozenset()


def test_states_are_sorted_into_unhealthy_and_unclear() -> None:
    states = {"a": UNHEALTHY, "b": UNKNOWN, "c": HEALTHY, "d": SUSPENDED, "e": DEGRADED, "f": UNHEALTHY}

    assert (unhealthy(states), unclear(states)) == (("a", "f"), ("b", "d"))


def test_a_chain_of_ten_thousand_is_followed_without_recursion() -> None:
    chain = {f"n{number}": [f"n{number + 1}"] for number in range(10_000)}
    ring = chain | {"n10000": ["n0"]}

    assert find_cycle(chain, "n0") == ()
    assert len(find_cycle(ring, "n0")) == 10_002
    assert len(companions(ring, "n5")) == 10_001
