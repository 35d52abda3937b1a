"""Acceptance: a field whose behaviour is not built yet is never silently ignored."""

from typing import Annotated

import pytest
from pydantic import Field

from homeostat.api.meta import Later, Model
from homeostat.core.acceptance import unimplemented


class Dns(Model):
    host_name: str = ""


class Step(Model):
    drain: Annotated[Dns | None, Later("Draining a node.")] = None
    restart: Dns | None = None


class Spec(Model):
    name: str = "x"
    dns: Annotated[Dns | None, Later("DNS probes.")] = None
    tls: Annotated[Dns, Later("TLS probes.")] | None = None
    retry_count: Annotated[int, Later()] = 0
    mode: Annotated[str, Later("Approvals.", values=("Suggest", "Approve"))] = "Observe"
    hold: Annotated[tuple[str, ...], Later(values=("Rollouts",))] = ()
    windows: Annotated[tuple[Step, ...], Later()] = ()
    steps: tuple[Step, ...] = ()
    by_name: Annotated[dict[str, Step], Field(default_factory=dict)]


def test_a_spec_of_what_is_built_has_nothing_unimplemented() -> None:
    spec = Spec(name="y", mode="Auto", hold=("Chaos",), steps=(Step(restart=Dns()),), by_name={"a": Step()})

    assert unimplemented(spec) == ()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (Spec(dns=Dns()), "spec.dns"),
        (Spec(tls=Dns()), "spec.tls"),
        (Spec(retry_count=1), "spec.retryCount"),
        (Spec(mode="Suggest"), "spec.mode"),
        (Spec(hold=("Chaos", "Rollouts")), "spec.hold[1]"),
        (Spec(windows=(Step(),)), "spec.windows"),
        (Spec(steps=(Step(), Step(drain=Dns()))), "spec.steps[1].drain"),
        (Spec(by_name={"a": Step(drain=Dns())}), "spec.byName.a.drain"),
    ],
)
def test_a_field_of_a_later_release_in_use_is_named_by_its_path(spec: Spec, path: str) -> None:
    assert unimplemented(spec) == (path,)


def test_a_field_of_a_later_release_written_out_at_its_default_is_accepted() -> None:
    assert unimplemented(Spec.model_validate({"retryCount": 0, "dns": None, "windows": []})) == ()


def test_all_paths_are_named_at_once() -> None:
    assert unimplemented(Spec(dns=Dns(), retry_count=2)) == ("spec.dns", "spec.retryCount")
