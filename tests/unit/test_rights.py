"""The table of rights: it has what steps and faults need, each once, and the page says the same."""

import re
from pathlib import Path

import pytest

from homeostat.api.chaos_fault import Fault
from homeostat.api.kinds import KINDS
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_step import STEP_NAMES
from homeostat.core.cluster import Right
from homeostat.core.orders import NEEDS
from homeostat.core.recovery import rights as of_policies
from homeostat.core.rights import (
    AGENT_FAULTS,
    GRANTS,
    OPERATOR,
    RECOVERY,
    Grant,
    Missing,
    Place,
    Scope,
    granted,
    lacking,
    rights_of,
    told_by_role,
)
from roles import united

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rights.md"
WITHOUT_RIGHTS = frozenset({"webhook", "escalate", "restore"})
"""Steps that take no right of their own: a webhook may name a Secret, restore needs what earlier steps needed."""
JOB = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "it", "image": "it"}]}}}
WRITTEN: dict[str, object] = {
    "scale": {"by": "+1"},
    "patch": {"type": "Merge", "patch": {"spec": {"paused": True}}},
    "resize": {"memory": "+10%"},
    "job": JOB,
}


def needed(step: str, kind: str) -> set[tuple[str, str, str]]:
    """Give (verb, group, resource) that a policy with one step asks for, beside locks."""
    spec = RecoveryPolicySpec.model_validate({
        "target": {"kind": kind, "name": "it"},
        "triggers": [{"healthCheck": {"name": "it"}}],
        "steps": [{step: WRITTEN.get(step, {})}],
    })  # fmt: skip
    found = of_policies.needed(spec, "shop")
    return {(one.verb, one.group, _resource(one)) for one in found if one.resource != "leases"}


def _resource(right: Right) -> str:
    return right.resource + (f"/{right.subresource}" if right.subresource else "")


def rules(feature: str) -> set[tuple[str, str, str]]:
    return {(verb, one.group, one.resource) for one in GRANTS if one.feature == feature for verb in one.verbs}


@pytest.mark.parametrize("step", sorted(set(STEP_NAMES) - WITHOUT_RIGHTS))
def test_what_a_step_asks_for_is_what_its_feature_grants(step: str) -> None:
    kinds = {"cordon": ["Node"], "drain": ["Node"], "evict": ["Deployment", "Node"]}
    kinds |= {"scale": ["Deployment", "StatefulSet"]}
    asked = {one for kind in kinds.get(step, ["Deployment", "StatefulSet", "DaemonSet"]) for one in needed(step, kind)}
    always = rules("")

    assert asked - always <= rules(f"recovery.steps.{step}")
    unasked = rules(f"recovery.steps.{step}") - asked
    assert unasked <= {("get", "apps", "controllerrevisions")}, "a right that no policy is told to lack"


def test_locks_are_granted_as_they_are_asked_for() -> None:
    spec = RecoveryPolicySpec.model_validate({
        "target": {"kind": "Deployment", "name": "it"},
        "triggers": [{"healthCheck": {"name": "it"}}],
        "steps": [{"restartPods": {}}],
    })  # fmt: skip
    locks = {
        (one.verb, one.group, one.resource) for one in of_policies.needed(spec, "shop") if one.resource == "leases"
    }
    assert locks == rules(RECOVERY)


def test_every_step_and_every_fault_has_a_place_in_the_table() -> None:
    features = {one.feature for one in GRANTS}
    faults = {field.alias or name for name, field in Fault.model_fields.items()}

    assert {f"recovery.steps.{name}" for name in set(STEP_NAMES) - WITHOUT_RIGHTS} <= features
    assert {one.removeprefix("chaos.faults.") for one in features if one.startswith("chaos.faults.")} == faults
    assert set(AGENT_FAULTS) == NEEDS.keys()


def test_our_own_kinds_can_be_watched_and_their_status_written() -> None:
    own = {(one.resource, one.place) for one in GRANTS if one.group == "homeostat.dev" and "watch" in one.verbs}
    assert own == {(kind.plural, Place.WATCHED if kind.is_namespaced else Place.CLUSTER) for kind in KINDS}


def test_no_right_is_granted_twice_for_the_same_thing() -> None:
    said = [(one.role, one.group, one.resource, one.place, one.feature, one.needed_for) for one in GRANTS]
    assert len(said) == len(set(said))


def test_in_scope_namespaced_nothing_is_asked_for_in_the_whole_cluster() -> None:
    some = granted(lambda _: True, Scope.NAMESPACED)
    asked = [right for one in some for right in rights_of(one, Scope.NAMESPACED, ("shop", "bank"), "own")]

    assert {right.namespace for right in asked} == {"shop", "bank", "own"}
    assert not [one for one in some if one.place is Place.CLUSTER]


def test_what_is_off_is_not_asked_for() -> None:
    assert {one.feature for one in granted(lambda _: False)} == {""}
    assert {one.feature for one in granted({"recovery.steps.scale"}.__contains__)} == {"", "recovery.steps.scale"}


def test_what_is_missing_is_told_by_role_each_right_once() -> None:
    evict, restart = (
        Grant("one", "", "pods/eviction", ("create",), Place.WATCHED, "step evict"),
        Grant("one", "", "pods/eviction", ("create",), Place.WATCHED, "step restartPods"),
    )
    wanted = [(one, rights_of(one, Scope.NAMESPACED, ("shop",), "own")) for one in (evict, restart)]
    missing = lacking(wanted, [right for _, some in wanted for right in some])

    assert told_by_role(missing) == {"one": ("create pods/eviction in shop",)}
    assert [one.grant for one in missing] == [evict, restart]


@pytest.mark.parametrize(
    ("role", "verbs", "is_vital"),
    [("homeostat-core", ("get", "list", "watch"), True), ("homeostat-own", ("get",), True),
     ("homeostat-core", ("get", "list"), False), ("homeostat-chaos", ("patch",), False)],
)  # fmt: skip
def test_only_what_nothing_can_be_done_without_keeps_a_replica_from_being_ready(
    role: str,
    verbs: tuple[str, ...],
    is_vital: bool,  # noqa: FBT001 - the case
) -> None:
    grant = Grant(role, "", "things", verbs, Place.WATCHED, "a test")
    assert Missing(grant, Right(verbs[0], "", "things")).is_vital is is_vital


# --- the page -------------------------------------------------------------------------------------------

PLACES = {"cluster": Place.CLUSTER, "watched": Place.WATCHED, "own": Place.OWN}
ROW = re.compile(r"\| `([^`]+)`(?: \(`([^`]+)`\))? \| ([a-z, ]+) \| (\w+) \| ([^|]+) \| ([^|]+) \|")


def test_the_page_on_rights_has_every_right_where_it_is_held_and_what_happens_without() -> None:
    documented, role = set(), ""
    for line in PAGE.read_text().splitlines():
        role = line.removeprefix("## ") if line.startswith("## ") else role
        row = ROW.fullmatch(line) if role.startswith(OPERATOR) else None
        if row:
            resource, names, verbs, place, _, without = row.groups()
            assert without.strip()
            documented.add((role, resource, names or "", frozenset(verbs.split(", ")), PLACES[place]))

    table = {
        (role, _shown(group, resource), ", ".join(names), verbs, place)
        for place in Place
        for role, some in united(one for one in GRANTS if one.place is place).items()
        for (group, resource, names), verbs in some.items()
    }
    assert documented == table


def _shown(group: str, resource: str) -> str:
    name, slash, sub = resource.partition("/")
    return f"{name}{'.' if group else ''}{group}{slash}{sub}"
