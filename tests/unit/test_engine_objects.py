"""The store of objects: which version wins, what a new version means, and specs that cannot be read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import body_of, check_body
from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus
from homeostat.api.recovery_attempt import InFlight
from homeostat.engine.objects import Change, Entry, Key, ObjectStore, entry_from
from homeostat.kube.objects import FINALIZER

KEY = Key("HealthCheck", "shop", "web")


def entry(**more: Any) -> Entry:
    return entry_from(check_body(**more), "HealthCheck")


def stored(**more: Any) -> ObjectStore:
    store = ObjectStore()
    store.put(entry(**more))
    return store


def test_a_new_object_asks_to_be_evaluated() -> None:
    store = ObjectStore()

    assert store.put(entry()) is Change.SPEC
    assert store.get(KEY) == entry()
    assert (len(store), store.count("HealthCheck"), store.count("Freeze"), store.keys()) == (1, 1, 0, [KEY])


@pytest.mark.parametrize("version", [1, 5, 9])
def test_a_version_that_is_not_newer_changes_nothing(version: int) -> None:
    """Fault 5: duplicate and reordered events."""
    store = stored(version=9)

    assert store.put(entry(version=version, generation=2)) is Change.NOTHING
    assert store.get(KEY) == entry(version=9)


def test_versions_are_compared_as_numbers() -> None:
    assert stored(version=9).put(entry(version=10)) is Change.STATUS


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    first, second = check_body(), check_body()
    first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"] = "b", "a"
    store = ObjectStore()
    store.put(entry_from(first, "HealthCheck"))

    assert store.put(entry_from(second, "HealthCheck")) is Change.STATUS
    assert store.put(entry_from(second, "HealthCheck")) is Change.NOTHING


def test_a_status_alone_asks_nothing_new() -> None:
    assert stored().put(entry(version=2, status={"score": 100})) is Change.STATUS


@pytest.mark.parametrize(
    "more",
    [
        {"generation": 2},
        {"spec": {"suspend": True}},
        {"deletionTimestamp": "2026-11-21T12:00:00Z"},
        {"finalizers": [FINALIZER]},
        {"annotations": {"homeostat.dev/run": "again"}},
    ],
)
def test_what_a_user_or_the_api_server_asks_is_a_change(more: dict[str, Any]) -> None:
    assert not entry().asks_the_same(entry(**more))
    assert stored().put(entry(version=2, **more)) is Change.SPEC


@pytest.mark.parametrize(
    "more", [{"annotations": {"other": "x"}}, {"labels": {"a": "b"}}, {"finalizers": ["example.com/other"]}]
)
def test_what_others_keep_on_an_object_is_no_change(more: dict[str, Any]) -> None:
    assert entry().asks_the_same(entry(**more))


def test_another_uid_under_the_same_name_is_another_object() -> None:
    """Fault 37: a name reused with a new uid."""
    store = stored()

    assert store.put(entry(version=2, uid="uid-2")) is Change.REPLACED


def test_removing_an_older_incarnation_leaves_the_newer_one() -> None:
    store = stored(uid="uid-2")

    assert store.remove(KEY, "uid-1") is None
    assert store.get(KEY) is not None
    assert store.remove(KEY, "uid-2") == entry(uid="uid-2")
    assert store.remove(KEY, "uid-2") is None


def test_entries_are_given_by_kind_and_namespace() -> None:
    store = ObjectStore()
    for namespace in ("shop", "bank"):
        store.put(entry_from(check_body(namespace=namespace, uid=namespace), "HealthCheck"))
    freeze = body_of("Freeze", "outage", {"stops": ["Chaos"], "reason": "why"}, namespace="")
    store.put(entry_from(freeze, "Freeze"))

    assert [one.ref.namespace for one in store.of_kind("HealthCheck")] == ["shop", "bank"]
    assert [one.ref.namespace for one in store.of_kind("HealthCheck", "bank")] == ["bank"]
    assert [one.key for one in store.of_kind("Freeze")] == [Key("Freeze", "", "outage")]


def test_what_is_gone_is_not_given_for_its_namespace_and_comes_back_when_it_does() -> None:
    store = stored()
    store.put(entry(version=2, status={"score": 100}))
    store.remove(KEY)
    assert list(store.of_kind("HealthCheck", "shop")) == []

    store.put(entry(version=3))

    assert [one.resource_version for one in store.of_kind("HealthCheck", "shop")] == ["3"]


def test_the_store_may_change_while_its_entries_are_given() -> None:
    store = stored()
    for one in store.of_kind("HealthCheck"):
        store.remove(one.key)

    assert len(store) == 0


def test_a_spec_is_parsed_into_its_model() -> None:
    assert isinstance(entry().spec(), HealthCheckSpec)


def test_a_spec_that_cannot_be_read_says_which_fields_are_wrong() -> None:
    complaint = entry(spec={"interval": "soon", "failureThreshold": 0}).spec()

    assert isinstance(complaint, str)
    assert "spec.interval" in complaint
    assert "spec.failureThreshold" in complaint
    assert "\n" not in complaint


def test_a_complaint_never_repeats_a_value_that_may_be_secret() -> None:
    """H9: credentials never appear in status."""
    spec = {"probe": {"http": {"url": "http://a.example", "headers": {"authorization": ["hunter2"]}}}}
    complaint = entry(spec=spec).spec()

    assert isinstance(complaint, str)
    assert "hunter2" not in complaint


def test_a_complaint_is_short_however_much_is_wrong() -> None:
    """Fault 30: arrays of 10,000 elements."""
    complaint = entry(spec={"dependsOn": [{"name": 5}] * 10_000}).spec()

    assert isinstance(complaint, str)
    assert len(complaint) <= 1024


def test_a_status_that_cannot_be_read_counts_as_none() -> None:
    assert entry(status={"score": "high"}).status() == HealthCheckStatus()


def test_an_object_without_spec_or_status_can_be_read() -> None:
    body = check_body()
    del body["spec"], body["status"]
    bare = entry_from(body, "HealthCheck")

    assert bare.status() == HealthCheckStatus()
    assert isinstance(bare.spec(), str)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3)), max_size=30))
def test_whatever_the_order_of_events_the_newest_version_stands(events: list[tuple[int, int]]) -> None:
    store = ObjectStore()
    for version, generation in events:
        store.put(entry(version=version, generation=generation))
    known = store.get(KEY)

    assert (known.resource_version if known else "0") == str(max((version for version, _ in events), default=0))


def test_a_status_that_counted_replicas_as_a_bare_number_is_still_read() -> None:
    """R2: an action under way while the operator is upgraded is not forgotten, and its original is put back."""
    before = {
        "id": "a-0", "target": {"kind": "Deployment", "name": "shop", "uid": "u"}, "step": 0, "action": "Scale",
        "original": 2, "desired": 3, "startedAt": "2026-11-21T08:00:00Z", "deadline": "2026-11-21T08:01:00Z",
    }  # fmt: skip
    read = InFlight.model_validate(before)

    assert (read.original, read.desired) == ({"replicas": 2}, {"replicas": 3})
    assert InFlight.model_validate(read.wire()) == read
