"""Taken away at any moment: nothing is stuck, no fault stays on, users' objects stay or go as they were told."""

import pytest

from cluster.experiments import CHAOS, until_nothing_is_left
from cluster.manifests import SHOP
from cluster.stage import MERGE
from cluster.waiting import until
from helm.broken import CUT, WIRE, begin_recovery, end_recovery, finalizers, hold_faults, is_under_way
from helm.scene import ACTING, CLUSTER_WIDE, CRDS, NAME, SYSTEM, Estate, House, Release

pytestmark = pytest.mark.helm

KINDS = (
    "chaosexperiments",
    "freezes",
    "gamedays",
    "healthchecks",
    "recoverypolicies",
    "servicelevelobjectives",
)


def stop(release: Release) -> None:
    """Have no operator any more, as after a crash that nothing mends."""
    path = f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{release.name}"
    code, answer = release.api("PATCH", path, {"spec": {"replicas": 0}}, content_type=MERGE)
    assert code == 200, answer
    until(lambda: not release.pods(), "the operator is gone")


def test_uninstalled_in_the_middle_of_experiments_and_of_a_recovery(
    release: Release, house: House, estate: Estate
) -> None:
    """Faults come off, in pods as well, finalizers go, CRDs and objects stay; a new release ends what was begun."""
    before = hold_faults(house, wire=CUT)
    attempt = begin_recovery(house)["attempt"]["id"]
    release.uninstall()

    until_nothing_is_left(house, before)
    assert finalizers(house) == []
    assert [name for path in CLUSTER_WIDE for name in estate.ours(path)] == []
    assert sorted(estate.ours(CRDS)) == [f"{kind}.homeostat.dev" for kind in KINDS]
    assert is_under_way(house, attempt)

    release.install(ACTING)
    assert end_recovery(house)["id"] == attempt
    house.until_state("Healthy", WIRE)


def test_a_namespace_can_be_deleted_after_the_operator_is_gone(release: Release, house: House, estate: Estate) -> None:
    """All kinds, an experiment among them that was at work when the release was uninstalled."""
    hold_faults(house)
    release.uninstall()
    estate.until_gone(house.namespace)
    estate.until_gone(SYSTEM)


def test_what_a_dead_operator_held_is_taken_off_by_the_uninstall(release: Release, house: House) -> None:
    """The hook needs no operator; what its agents and guards have not ended yet, it ends."""
    before = hold_faults(house)
    stop(release)
    release.uninstall()
    until_nothing_is_left(house, before)
    assert finalizers(house) == []
    house.delete(CHAOS, "wire")
    until(lambda: house.find(CHAOS, "wire") is None, "an experiment can be deleted")


def test_an_uninstall_without_kinds_and_without_an_operator_still_ends(release: Release, estate: Estate) -> None:
    """Somebody has deleted the CRDs first: there is nothing to sweep, and the hook says so by ending well."""
    stop(release)
    for name in estate.ours(CRDS):
        release.api("DELETE", f"{CRDS}/{name}")
    until(lambda: not estate.ours(CRDS), "the CRDs are gone")
    release.uninstall()
    assert not release.is_there()


def test_kinds_go_with_the_release_only_where_they_are_not_kept(release: Release, house: House, estate: Estate) -> None:
    """`crds.keep: false` takes every object of these kinds along."""
    hold_faults(house)
    release.install(ACTING, {"crds": {"keep": False}})
    release.uninstall()
    until(lambda: not estate.ours(CRDS), "the CRDs are gone")
    assert house.api("GET", f"/apis/apps/v1/namespaces/{house.namespace}/deployments/{SHOP}")[0] in {200, 404}
    estate.until_gone(house.namespace)
    assert NAME not in {one["name"] for one in release.helm.releases()}
