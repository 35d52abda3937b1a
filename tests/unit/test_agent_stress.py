"""What a pod may use, as the agent finds out: by the order, and by what the kernel shows of it."""

import os
from pathlib import Path

import pytest

from homeostat.agent.stress.bounds import cores_bound, cores_of, memory_bound
from homeostat.agent.stress.cpu import CpuStress
from homeostat.core.orders import Order

BOUNDED = {"bounds": {"memory": "128Mi", "cpu": "500m"}}
MIB = 2**20


def shows(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_a_pod_that_the_order_gives_no_bound_has_none(tmp_path: Path) -> None:
    """C10: not knowing is unbounded."""
    assert memory_bound({}, tmp_path) is None


def test_the_bound_of_the_order_is_taken_where_the_kernel_shows_none(tmp_path: Path) -> None:
    """With cgroup v2 a container sees its own limits alone."""
    assert memory_bound(BOUNDED, shows(tmp_path, memory_dot_max="max\n")) == 128 * MIB


@pytest.mark.parametrize(("shown", "bound"), [(128 * MIB, 128 * MIB), (64 * MIB, 128 * MIB), (2**40, None)])
def test_a_bound_that_is_not_in_force_is_none(shown: int, bound: int | None, tmp_path: Path) -> None:
    """C10: cgroup v1 shows the tightest limit above us; if that is the node's, the order is wrong."""
    cgroups = shows(tmp_path, memory__memory_dot_stat=f"cache 0\nhierarchical_memory_limit {shown}\ntotal_cache 0\n")

    assert memory_bound(BOUNDED, cgroups) == bound


def test_cores_are_those_of_the_node_without_a_quota(tmp_path: Path) -> None:
    """And the tightest of the quotas with some."""
    cores = len(os.sched_getaffinity(0))

    assert cores_bound({}, tmp_path) == cores
    assert cores_bound(BOUNDED, tmp_path) == 0.5
    assert cores_bound(BOUNDED, shows(tmp_path, cpu_dot_max="25000 100000\n")) == 0.25
    assert cores_bound({}, shows(tmp_path, cpu_dot_max="max 100000\n")) == cores


def test_a_quota_of_cgroup_v1_counts_too(tmp_path: Path) -> None:
    """-1 is no quota."""
    cores = len(os.sched_getaffinity(0))
    period = {"cpu__cpu_dot_cfs_period_us": "100000\n"}

    assert cores_bound({}, shows(tmp_path, cpu__cpu_dot_cfs_quota_us="30000\n", **period)) == 0.3
    assert cores_bound({}, shows(tmp_path, cpu__cpu_dot_cfs_quota_us="-1\n", **period)) == cores


@pytest.mark.parametrize(("text", "cores"), [("500m", 0.5), ("2", 2.0), ("1.5", 1.5)])
def test_a_quantity_of_cores_is_read(text: str, cores: float) -> None:
    """As in a manifest."""
    assert cores_of(text) == cores


@pytest.mark.parametrize("text", ["", "1Ki", "-1", "m"])
def test_what_is_no_quantity_of_cores_is_refused(text: str) -> None:
    """Never read as nothing."""
    with pytest.raises(ValueError, match="not a quantity"):
        cores_of(text)


@pytest.mark.parametrize(("load", "cpu", "duty"), [("80%", "500m", 0.4), ("50%", "1", 0.5), ("100%", "250m", 0.25)])
def test_the_load_is_a_share_of_what_the_pod_may_use(load: str, cpu: str, duty: float) -> None:
    """Of half a core, 80 % is two fifths of a core."""
    fault = CpuStress(Order("a/b", 1, "cpu", {"load": load, "bounds": {"cpu": cpu}}, 60))

    assert fault.workers == 1
    assert fault.duty == pytest.approx(duty)
