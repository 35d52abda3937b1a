"""Upgrade and rollback, with a new field in a CRD, in the middle of experiments and of a recovery."""

from pathlib import Path

import pytest
import yaml

from cluster.conftest import Kubectl
from cluster.experiments import agents_of, ended, until_nothing_is_left
from cluster.manifests import health_check
from cluster.waiting import until
from helm.broken import FIELD, WIRE, begin_recovery, end_recovery, finalizers, finished, hold_faults, is_under_way
from helm.scene import ACTING, MINUTES, NAME, SYSTEM, Estate, House, Release, opens_with_a_row, until_row

pytestmark = pytest.mark.helm

NEW = "description"
"""A field of ours that the older chart is made not to know."""


@pytest.fixture
def older_chart(previous_chart: tuple[Path, str]) -> Path:
    """The previous chart, whose CRD of objectives does not know one of today's fields."""
    folder, which = previous_chart
    print(f"upgrading from {which}")  # noqa: T201 - shown with the test
    (path,) = folder.rglob("*servicelevelobjectives.yaml")
    head, _, text = path.read_text().rpartition("---\n")
    crd = yaml.safe_load(text)
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties.pop(NEW, None)
    path.write_text(f"{head}---\n{yaml.safe_dump(crd)}")
    return folder


def has_field(house: House) -> bool:
    """Whether the API server keeps the field."""
    house.patch("ServiceLevelObjective", {"spec": {NEW: "what users feel"}})
    return NEW in house.read("ServiceLevelObjective")["spec"]


def test_an_upgrade_brings_new_fields_and_a_rollback_the_operator_as_it_was(
    nothing: Estate, older_chart: Path, kubectl: Kubectl
) -> None:
    """Helm's own folder crds/ would have left the definitions as they were: the commonest complaint there is."""
    release = nothing.release(NAME, SYSTEM)
    release.install(chart=older_chart)
    house = nothing.house()
    assert opens_with_a_row(house, kubectl)
    assert not has_field(house)

    release.install({"podLabels": {"upgraded": "yes"}})
    until(lambda: has_field(house), "the new field is kept")
    assert release.until_leads()
    release.helm.run("rollback", NAME, "1", "-n", SYSTEM, "--wait", "--timeout", MINUTES)
    assert release.until_leads()
    (pod,) = until(lambda: release.pods() if len(release.pods()) == 1 else None, "one pod is left")
    assert "upgraded" not in pod["metadata"]["labels"]
    assert until_row(house, kubectl)


def test_an_upgrade_in_the_middle_of_experiments_and_of_a_recovery_ends_both_well(
    release: Release, house: House
) -> None:
    """Another process goes on from the record: what was on comes off; the attempt acted once and is judged once."""
    old = release.until_leads()
    attempt = begin_recovery(house)["attempt"]["id"]
    before = hold_faults(house, duration="80s")
    release.install(ACTING, {"podLabels": {"upgraded": house.namespace}})
    until(lambda: release.leader() not in {"", old}, "another process leads")
    assert is_under_way(house, attempt)

    assert end_recovery(house)["id"] == attempt
    ends = {name: ended(finished(house, name)) for name in (WIRE, FIELD)}
    assert all(verdict in {"Passed", "Inconclusive", "Aborted"} for verdict, _ in ends.values()), ends
    until_nothing_is_left(house, before)
    assert "running" not in agents_of(house, WIRE)
    until(lambda: not finalizers(house), "nothing holds the experiments")


def test_checks_go_on_after_an_upgrade_as_if_nothing_had_been(release: Release, house: House) -> None:
    """Status is in the API server: what was Healthy is not unknown while the new process begins."""
    house.open_shop(replicas=1, check=health_check(interval="5s", timeout="5s"))  # its state is good for 15 s
    house.until_state("Healthy")
    release.install(ACTING, {"podLabels": {"upgraded": f"again-{house.namespace}"}})
    assert house.status("HealthCheck")["state"] == "Healthy"
