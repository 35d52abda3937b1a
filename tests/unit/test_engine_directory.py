"""Endpoints by Service, from the EndpointSlices that the watch and the listings show."""

from typing import Any

from fakes import slice_body
from homeostat.core.cluster import Endpoint
from homeostat.core.ref import Ref
from homeostat.engine.directory import Directory


def directory(*bodies: dict[str, Any]) -> Directory:
    made = Directory()
    for body in bodies:
        made.put(body)
    return made


def addresses(of: Directory, port: str | int = "http", *, namespace: str = "shop") -> list[str] | None:
    found = of.endpoints(namespace, "web", port)
    return None if found is None else sorted(endpoint.address for endpoint in found)


def test_the_slices_of_a_service_are_given_together_each_address_once() -> None:
    known = directory(slice_body("web-1", ["10.0.0.1", "10.0.0.2"]), slice_body("web-2", ["10.0.0.2", "10.0.0.3"]))

    assert addresses(known) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_an_endpoint_carries_its_pod_and_its_own_number_of_the_port() -> None:
    found = directory(slice_body("web-1", ["10.0.0.1"])).endpoints("shop", "web", "http")

    assert found == (Endpoint("10.0.0.1", 8080, True, Ref("Pod", "shop", "pod-10.0.0.1", "uid-10.0.0.1")),)


def test_slices_of_other_services_and_namespaces_are_kept_apart() -> None:
    known = directory(
        slice_body("web-1", ["10.0.0.1"]),
        slice_body("web-1", ["10.0.0.2"], namespace="bank"),
        slice_body("api-1", ["10.0.0.3"], service="api"),
        slice_body("loose", ["10.0.0.4"], service=""),
    )

    assert addresses(known) == ["10.0.0.1"]
    assert addresses(known, namespace="bank") == ["10.0.0.2"]


def test_endpoints_that_are_not_ready_are_left_out() -> None:
    assert addresses(directory(slice_body("web-1", ["10.0.0.1"], not_ready=["10.0.0.2"]))) == ["10.0.0.1"]


def test_an_endpoint_that_moves_between_slices_is_ready_when_either_says_so() -> None:
    known = directory(slice_body("web-1", not_ready=["10.0.0.1"]), slice_body("web-2", ["10.0.0.1"]))

    assert addresses(known) == ["10.0.0.1"]


def test_an_endpoint_without_a_word_on_readiness_is_ready() -> None:
    """The API: an unknown state should be taken as ready."""
    body = slice_body("web-1", ["10.0.0.1"])
    body["endpoints"][0]["conditions"] = {}

    assert addresses(directory(body)) == ["10.0.0.1"]


def test_a_port_is_found_by_name_and_by_number() -> None:
    body = slice_body("web-1", ["10.0.0.1"], ports=[("http", 8080), ("admin", 9090)])

    for port, number in (("http", 8080), ("admin", 9090), (8080, 8080), (9090, 9090)):
        found = directory(body).endpoints("shop", "web", port)
        assert found is not None
        assert [endpoint.port for endpoint in found] == [number]


def test_the_number_of_a_service_with_one_port_means_that_port_whatever_the_pods_call_it() -> None:
    found = directory(slice_body("web-1", ["10.0.0.1"])).endpoints("shop", "web", 80)

    assert found is not None
    assert [endpoint.port for endpoint in found] == [8080]


def test_a_port_that_is_not_there_is_told_from_a_service_without_endpoints() -> None:
    ports = [("http", 8080), ("admin", 9090)]

    assert addresses(directory(slice_body("web-1", ["10.0.0.1"], ports=ports)), "grpc") is None
    assert addresses(directory(slice_body("web-1", ["10.0.0.1"], ports=ports)), 80) is None
    assert addresses(directory()) == []
    assert addresses(directory(slice_body("web-1", ports=ports)), "http") == []
    assert addresses(directory(slice_body("web-1", ports=[])), "http") == []


def test_pods_that_number_a_named_port_differently_are_each_asked_at_their_own() -> None:
    known = directory(
        slice_body("web-1", ["10.0.0.1"], ports=[("http", 8080)]),
        slice_body("web-2", ["10.0.0.2"], ports=[("http", 9090)]),
    )
    found = known.endpoints("shop", "web", "http")

    assert found is not None
    assert {(endpoint.address, endpoint.port) for endpoint in found} == {("10.0.0.1", 8080), ("10.0.0.2", 9090)}


def test_null_lists_are_empty_lists() -> None:
    body = slice_body("web-1") | {"endpoints": None, "ports": None}

    assert addresses(directory(body)) == []


def test_a_slice_is_replaced_by_its_next_version_and_goes_when_removed() -> None:
    known = directory(slice_body("web-1", ["10.0.0.1"]))

    assert known.put(slice_body("web-1", ["10.0.0.2"])) == ("shop", "web")
    assert addresses(known) == ["10.0.0.2"]
    assert known.remove(slice_body("web-1")) == ("shop", "web")
    assert addresses(known) == []
    assert known.remove(slice_body("web-1")) is None
    assert known.remove(slice_body("loose", service="")) is None


def test_what_a_complete_listing_lacks_is_gone() -> None:
    known = directory(slice_body("web-1", ["10.0.0.1"]), slice_body("web-2", ["10.0.0.2"]))
    known.begin_listing()
    known.replace_all([slice_body("web-2", ["10.0.0.3"])])

    assert known.is_complete
    assert addresses(known) == ["10.0.0.3"]


def test_what_the_watch_showed_while_a_listing_was_read_stands() -> None:
    """A listing is a moment old when it arrives: it must not bring back what went, nor lose what came."""
    known = directory(slice_body("edited", ["10.0.0.1"]), slice_body("removed", ["10.0.0.2"]))
    listed = [slice_body("edited", ["10.0.0.1"]), slice_body("removed", ["10.0.0.2"])]
    known.begin_listing()
    known.put(slice_body("edited", ["10.0.0.9"]))
    known.put(slice_body("created", ["10.0.0.3"]))
    known.remove(slice_body("removed"))
    known.replace_all(listed)

    assert addresses(known) == ["10.0.0.3", "10.0.0.9"]


def test_the_next_listing_is_believed_again() -> None:
    known = directory(slice_body("web-1", ["10.0.0.1"]))
    known.begin_listing()
    known.put(slice_body("web-1", ["10.0.0.2"]))
    known.replace_all([])
    known.begin_listing()
    known.replace_all([slice_body("web-1", ["10.0.0.3"])])

    assert addresses(known) == ["10.0.0.3"]
