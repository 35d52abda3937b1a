"""What a pod may use: what the operator says, checked against what the kernel shows.

An ephemeral container has a cgroup of its own beside the others', without any limit; only the pod's bounds it. From
inside, cgroup v1 shows the tightest limit above us (`hierarchical_memory_limit`), cgroup v2 does not. Neither shows the
pod's CPU quota. So the sums of the pod come with the order (`bounds`), where all of its containers have them.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from homeostat.agent.settings import bytes_of

_CGROUPS: Final = Path("/sys/fs/cgroup")


def memory_bound(settings: Mapping[str, Any], cgroups: Path = _CGROUPS) -> int | None:
    """Give the bytes that the pod may use; None when nothing but the node bounds it, as far as we can know.

    Where the kernel shows the true limit and it is wider than the order's, the order's is not in force: no bound.
    """
    stated = settings.get("bounds", {}).get("memory")
    if stated is None:
        return None
    bound = bytes_of(stated)
    shown = _shown_memory(cgroups)
    return None if shown is not None and shown > bound + _page() else bound


def cores_bound(settings: Mapping[str, Any], cgroups: Path = _CGROUPS) -> float:
    """Give the cores that the pod may use: its quota if it has one, else those that the kernel lets us run on."""
    quotas = [float(len(os.sched_getaffinity(0)))]
    stated = settings.get("bounds", {}).get("cpu")
    if stated is not None:
        quotas.append(cores_of(stated))
    own = _own_quota(cgroups)
    if own is not None:
        quotas.append(own)
    return min(quotas)


def cores_of(text: str) -> float:
    """Give the cores of `500m` or `1.5`; raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(m?)", text)
    if match is None:
        raise ValueError(f"not a quantity of cores: {text!r}")
    return float(match[1]) / (1000 if match[2] else 1)


def _shown_memory(cgroups: Path) -> int | None:
    """Give what cgroup v1 shows of the limits above us, in bytes; None with cgroup v2, which shows our own alone."""
    text = _text(cgroups / "memory" / "memory.stat")
    found = re.search(r"^hierarchical_memory_limit (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _own_quota(cgroups: Path) -> float | None:
    """Give the cores of our own container's quota: the runtime's or an administrator's, hardly ever there."""
    quota, _, period = _text(cgroups / "cpu.max").partition(" ")
    if not period:
        quota = _text(cgroups / "cpu" / "cpu.cfs_quota_us")
        period = _text(cgroups / "cpu" / "cpu.cfs_period_us")
    if not quota.isdigit() or not period.isdigit():  # "max" and -1 are no quota
        return None
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _page() -> int:
    """Give the bytes of a page, to which the kernel rounds limits."""
    return os.sysconf("SC_PAGE_SIZE")
