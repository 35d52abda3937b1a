"""The marker on a target: an annotation by which a fault is found and undone without any record of ours."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from homeostat.core.cluster import Pod, Workload
from homeostat.core.guarding.held import Held, Mark, mark_on

LONGEST = 4096
"""A marker of more characters is not written: what cannot be marked cannot be found again."""


def held(target: Workload | Pod) -> Held:
    """See a target as what a fault can change of it."""
    is_deleting = target.is_terminating if isinstance(target, Pod) else target.is_deleting
    fields = dict(target.fields)
    return Held(target.ref, target.resource_version, dict(target.annotations), fields, is_deleting)


def marker_text(experiment: str, run: int, original: Mapping[str, str], to: Mapping[str, str]) -> str:
    """Write the annotation's value: who holds the fault, what was there before, and what it set."""
    return json.dumps(asdict(Mark(experiment, run, dict(original), dict(to))), separators=(",", ":"), sort_keys=True)


def holder_of(target: Workload | Pod) -> str:
    """Give the uid of the experiment whose marker stands on it; "" for none that we can read."""
    mark = mark_on(held(target))
    return mark.experiment if mark else ""
