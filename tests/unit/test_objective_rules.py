"""What becomes of the rules of an objective, and what its condition RulesInstalled says."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from homeostat.api.meta import ConditionStatus
from homeostat.api.objective_status import RulesObject, ServiceLevelObjectiveStatus
from homeostat.core.action import InstallRules, Outcome, Outcomes, RemoveRules, Verb
from homeostat.core.condition import set_condition
from homeostat.core.ref import Ref
from homeostat.core.rules.holder import Holder, found_digest, labels_of, wanted_digest
from homeostat.core.rules.installation import CONDITION, Found, Loaded, RulesDecision, RulesSeen, decide_rules
from rule_cases import spec_of

NOW = datetime(2026, 12, 1, tzinfo=UTC)
REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
SPEC, QUIET = spec_of(), spec_of(rules={"emit": False})
HELD = RulesObject(kind="PrometheusRule", name="homeostat-slo-checkout")
BLANK = ServiceLevelObjectiveStatus()
RULE = Holder.PROMETHEUS_RULE
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def status_of(
    status: ConditionStatus, reason: str, held: RulesObject | None = HELD, message: str = ""
) -> ServiceLevelObjectiveStatus:
    conditions = set_condition((), CONDITION, status, reason, message, 1, NOW)
    return ServiceLevelObjectiveStatus(conditions=conditions, rules_object=held)


INSTALLED = status_of(TRUE, "Installed")


def decided(
    seen: RulesSeen | None, status: ServiceLevelObjectiveStatus = BLANK, outcomes: Outcomes | None = None
) -> RulesDecision:
    return decide_rules(SPEC, status, seen, REF, outcomes or {})


def word(decision: RulesDecision) -> tuple[ConditionStatus, str]:
    return decision.status, decision.reason


def body_of(decision: RulesDecision) -> dict[str, Any]:
    (action,) = decision.actions
    assert isinstance(action, InstallRules)
    return dict(action.body)


def after(decision: RulesDecision, outcome: Outcome, status: ServiceLevelObjectiveStatus = BLANK) -> RulesDecision:
    """Decide once more, with the outcome of the only action."""
    (action,) = decision.actions
    return decided(RulesSeen(RULE, Found.ABSENT), status, {action.id: outcome})


def test_nobody_who_does_not_ask_has_rules() -> None:
    decision = decide_rules(QUIET, BLANK, None, REF, {})

    assert decision == RulesDecision((), FALSE, "NotAsked", "spec.rules.emit is not set.", None)


@pytest.mark.parametrize("found", [Found.ABSENT, Found.DIFFERENT])
def test_what_is_missing_or_was_edited_is_written_and_on_record_before(found: Found) -> None:
    """S13: drift is repaired, and what stood before stands until that is done."""
    decision = decided(RulesSeen(RULE, found), INSTALLED)

    assert isinstance(decision.actions[0], InstallRules)
    assert decision.object == HELD
    assert word(decision) == (TRUE, "Installed")


def test_the_object_is_owned_and_has_no_labels_but_those_asked_for_and_ours() -> None:
    """A copied label of a GitOps tool would make the tool prune the object."""
    spec = spec_of(rules={"emit": True, "labels": {"release": "monitoring"}})
    body = body_of(decide_rules(spec, BLANK, RulesSeen(RULE, Found.ABSENT), REF, {}))

    assert body["apiVersion"] == "monitoring.coreos.com/v1"
    assert body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "homeostat", "release": "monitoring"}
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("uid-1", True)


def test_where_there_are_no_prometheusrules_a_configmap_holds_the_file() -> None:
    body = body_of(decided(RulesSeen(Holder.CONFIG_MAP, Found.ABSENT)))

    assert (body["kind"], list(body["data"])) == ("ConfigMap", ["homeostat-slo-checkout.rules.yaml"])
    assert body["metadata"]["labels"]["homeostat.dev/rules"] == "prometheus"


@pytest.mark.parametrize("holder", Holder)
def test_what_was_written_is_known_again_and_an_edit_is_seen(holder: Holder) -> None:
    body = body_of(decided(RulesSeen(holder, Found.ABSENT)))
    labels = labels_of(holder, {})
    wanted = body["metadata"]["annotations"]["homeostat.dev/rules-digest"]

    def found(**changes: Any) -> str:
        return found_digest(holder, body | changes, labels)

    assert found() == wanted
    others = {**body["metadata"], "labels": labels | {"team": "a"}}
    assert found(metadata=others) == wanted
    assert found(metadata={**body["metadata"], "labels": {}}) != wanted
    assert found(spec={"groups": []}, data={"homeostat-slo-checkout.rules.yaml": "groups: ["}) != wanted
    assert wanted != wanted_digest(holder, (), labels)


_ALIASES = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        "groups: [a]",
        "groups: 5",
        "groups: [{name: 'homeostat:x', since: 2020-01-01}]",
        "groups: [&a {name: 'homeostat:x', again: *a}]",
        f"a0: &a0 [x]\n{_ALIASES}groups: [{{name: 'homeostat:x', all: *a11}}]",
        "[" * 900_000,
    ],
    ids=["no groups", "a number", "a date", "a circle", "aliases of aliases", "too deep"],
)
def test_whoever_edits_a_configmap_costs_the_operator_nothing(text: str) -> None:
    """S13: it is only seen to be another; reading it took minutes, or the process with it."""
    body = body_of(decided(RulesSeen(Holder.CONFIG_MAP, Found.ABSENT)))
    labels, wanted = labels_of(Holder.CONFIG_MAP, {}), body["metadata"]["annotations"]["homeostat.dev/rules-digest"]

    edited = body | {"data": {"homeostat-slo-checkout.rules.yaml": text}}

    assert found_digest(Holder.CONFIG_MAP, edited, labels) != wanted


def test_the_key_in_a_configmap_is_one_that_the_api_server_takes_however_long_the_name() -> None:
    ref = Ref("ServiceLevelObjective", "shop", "a" * 253, "uid-1")
    body = body_of(decide_rules(spec_of(), BLANK, RulesSeen(Holder.CONFIG_MAP, Found.ABSENT), ref, {}))

    (key,) = body["data"]
    assert len(key) <= 253


@pytest.mark.parametrize(
    ("loaded", "status", "reason"),
    [
        (Loaded.LOADED, TRUE, "Installed"),
        (Loaded.WAITING, UNKNOWN, "Loading"),
        (Loaded.MISSING, FALSE, "NotLoaded"),
        (Loaded.UNHEALTHY, FALSE, "RuleUnhealthy"),
        (Loaded.UNKNOWN, UNKNOWN, "PrometheusUnreachable"),
    ],
)
def test_installed_is_what_prometheus_itself_says(loaded: Loaded, status: ConditionStatus, reason: str) -> None:
    """S13."""
    decision = decided(RulesSeen(RULE, Found.AS_WANTED, loaded, hint="Set release."))

    assert not decision.actions
    assert word(decision) == (status, reason)
    assert ("Set release." in decision.message) == (loaded is Loaded.MISSING)


@pytest.mark.parametrize(
    ("outcome", "word_", "held"),
    [
        (Outcome(Verb.DONE), (UNKNOWN, "Loading"), HELD),
        (Outcome(Verb.REFUSED, "NotOurs"), (FALSE, "NotOurs"), None),
        (Outcome(Verb.REFUSED, "Forbidden"), (FALSE, "Forbidden"), None),
        (Outcome(Verb.REFUSED, "Invalid", "spec.groups"), (FALSE, "Rejected"), HELD),
        (Outcome(Verb.REFUSED, "Conflict"), (UNKNOWN, "Writing"), HELD),
        (Outcome(Verb.FAILED, "ApiUnavailable"), (UNKNOWN, "Writing"), HELD),
    ],
)
def test_a_write_is_told_as_it_ended_and_not_tried_again_at_once(
    outcome: Outcome, word_: tuple[ConditionStatus, str], held: RulesObject | None
) -> None:
    decision = after(decided(RulesSeen(RULE, Found.ABSENT)), outcome)

    assert (word(decision), decision.actions, decision.object) == (word_, (), held)


def test_a_refusal_stands_until_somebody_looks_again() -> None:
    """Conditions do not flap."""
    refused = status_of(FALSE, "NotOurs", None, "another's")

    assert word(decided(RulesSeen(RULE, Found.UNKNOWN), refused)) == (FALSE, "NotOurs")
    assert word(decided(RulesSeen(RULE, Found.ABSENT), refused)) == (FALSE, "NotOurs")


def test_until_somebody_looked_nothing_is_done_and_what_stands_stands() -> None:
    assert word(decided(None)) == (UNKNOWN, "NotLookedYet")
    assert word(decided(None, status_of(FALSE, "NotAsked", None))) == (UNKNOWN, "NotLookedYet")
    for seen in (None, RulesSeen(), RulesSeen(RULE)):
        decision = decided(seen, INSTALLED)
        assert (word(decision), decision.actions, decision.object) == ((TRUE, "Installed"), (), HELD)


def test_another_objectives_object_is_left_alone() -> None:
    decision = decided(RulesSeen(RULE, Found.FOREIGN))

    assert (word(decision), decision.actions, decision.object) == ((FALSE, "NotOurs"), (), None)


@pytest.mark.parametrize(
    ("holder", "roles"),
    [
        (None, ["homeostat-rules", "homeostat-rules-configmaps"]),
        (RULE, ["homeostat-rules"]),
        (Holder.CONFIG_MAP, ["homeostat-rules-configmaps"]),
    ],
)
def test_what_may_not_be_read_or_written_is_forbidden_and_the_missing_role_is_named(
    holder: Holder | None, roles: list[str]
) -> None:
    """R15."""
    looked = decided(RulesSeen(holder, Found.FORBIDDEN))

    assert word(looked) == (FALSE, "Forbidden")
    assert re.findall(r"homeostat-rules[a-z-]*", looked.message) == roles
    if holder is not None:
        wrote = decide_rules(
            SPEC, BLANK, RulesSeen(holder, Found.ABSENT), REF, {"rules-install-x": Outcome(Verb.REFUSED, "Forbidden")}
        )
        assert wrote.message == looked.message


def test_who_asks_no_more_has_the_object_removed_and_stays_installed_until_then() -> None:
    decision = decide_rules(QUIET, INSTALLED, None, REF, {})
    (action,) = decision.actions
    done = decide_rules(QUIET, INSTALLED, None, REF, {action.id: Outcome(Verb.DONE)})

    assert action == RemoveRules(action.id, REF, "PrometheusRule", "homeostat-slo-checkout")
    assert (word(decision), decision.object) == ((TRUE, "Installed"), HELD)
    assert (word(done), done.actions, done.object) == ((FALSE, "NotAsked"), (), None)


def test_an_object_that_could_not_be_removed_is_not_forgotten() -> None:
    (action,) = decide_rules(QUIET, INSTALLED, None, REF, {}).actions
    failed = decide_rules(QUIET, INSTALLED, None, REF, {action.id: Outcome(Verb.FAILED, "ApiUnavailable")})
    taken = decide_rules(QUIET, INSTALLED, None, REF, {action.id: Outcome(Verb.REFUSED, "NotOurs")})

    assert (failed.object, taken.object) == (HELD, None)


def test_what_cannot_be_written_as_rules_is_said_and_what_was_written_before_removed() -> None:
    seen = RulesSeen(RULE, problem="Rules cannot be written for a calendar window.")

    assert word(decided(seen)) == (FALSE, "NotApplicable")
    assert isinstance(decided(seen, INSTALLED).actions[0], RemoveRules)


def test_when_the_cluster_learns_of_prometheusrules_the_configmap_goes() -> None:
    old = RulesObject(kind="ConfigMap", name="homeostat-slo-checkout")
    status = status_of(FALSE, "NotLoaded", old)
    (action,) = decided(RulesSeen(RULE, Found.ABSENT), status).actions
    gone = decided(RulesSeen(RULE, Found.ABSENT), status, {action.id: Outcome(Verb.DONE)})

    assert isinstance(action, RemoveRules)
    assert gone.object is None
    written = decided(RulesSeen(RULE, Found.ABSENT), status_of(UNKNOWN, "Writing", None))
    assert isinstance(written.actions[0], InstallRules)
