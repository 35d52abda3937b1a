"""What objectives can be beside plain ones: groups, wholes of others, slices, calendars, exclusions; and mistakes."""

from datetime import UTC, datetime

import pytest

from cluster.manifests import Manifest
from cluster.objectives import (
    HURRY,
    SLO,
    ago,
    entry,
    names_of,
    pipeline,
    printed,
    shell,
    slo,
    until_condition,
    until_counted,
)
from cluster.stage import Stage

pytestmark = pytest.mark.apiserver

HOUR = {"rolling": "1h"}


def made_of(*members: Manifest, **composite: str) -> Manifest:
    """Give the indicator of a composite."""
    return {"composite": {"members": list(members), **composite}}


def test_groups_have_budgets_of_their_own_and_a_whole_goes_by_its_members(stage: Stage) -> None:
    """S12, S14: the worst group is the state; the whole is the sum of all events, through a kill."""
    members = {"name": "regions", "weight": 3}, {"name": "plain", "weight": 1}
    stage.put(
        slo("regions", {"events": {"groupBy": ["region"]}}, window=HOUR),
        slo("plain", window=HOUR),
        slo("weighted", made_of(*members), window=HOUR),
        slo("sum", made_of(*members, mode="Sum"), window=HOUR),
    )
    stage.start(hurry=HURRY)
    caller = pipeline(stage)
    eu, us = {"region": "eu"}, {"region": "us"}
    caller.deliver(entry(good=980, bad=0, labels=eu), entry(good=10, bad=10, labels=us), key="one", name="regions")
    caller.deliver(entry(good=1000), key="one", name="plain")
    assert caller.push(entry(good=1), name="regions")[1]["error"]["reason"] == "LabelsDiffer"

    for _ in range(2):
        status = until_counted(stage, 990, 10, "regions")
        groups = {one["name"]: one for one in status["groups"]}
        assert (groups["region=eu"]["sli"], groups["region=us"]["sli"]) == ("100", "50")
        assert float(groups["region=us"]["remaining"]) < float(status["budget"]["remaining"]) < 100
        for name, sli in {"weighted": "99.25", "sum": "99.5"}.items():
            stage.until_status(SLO, lambda it, sli=sli: it.get("sli") == sli, f"{sli} %", name)
        stage.one.kill()
        stage.one.start()


def test_slices_and_calendars_are_counted_and_an_exclusion_set_afterwards_moves_the_budget(stage: Stage) -> None:
    """S7, S8, S9: `kubectl patch` says that an hour is good, and says afterwards that it is not."""
    month = {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "Europe/Paris"}}
    sliced = {"method": "Timeslices", "slice": "1m", "sliceObjective": "90"}
    stage.put(slo("month", window=month), slo("sliced", window=HOUR, budgeting=sliced), slo(window=HOUR))
    stage.start(hurry=HURRY)
    caller = pipeline(stage)
    events = [entry(good=95 - 10 * (minute == 7), bad=5, at=ago(minutes=minute)) for minute in range(5, 10)]
    for name in ("month", "sliced", "checkout"):
        caller.deliver(*events, key="one", name=name)

    status = stage.until_status(SLO, lambda it: it.get("good"), "the month is counted", "month")
    begins = datetime.fromisoformat(status["window"]["start"])
    assert begins < datetime.now(UTC)
    assert (begins.minute, (begins.hour in {22, 23}) and begins.day >= 28) == (0, True)
    until_counted(stage, 5, 0, "sliced")

    spent = float(until_counted(stage, 465, 25)["budget"]["consumed"])
    assert spent > 0
    for mode, consumed in (("CountAsGood", 0.0), ("Remove", None), (None, spent)):
        excluded = f'[{{"from": "{ago(hours=2)}", "to": "{ago(minutes=1)}", "mode": "{mode}", "reason": "a test"}}]'
        patch = f'{{"spec": {{"exclusions": {excluded if mode else "[]"}}}}}'
        shell(stage, f"kubectl -n {stage.namespace} patch slo checkout --type=merge -p '{patch}'")

        def is_told(it: Manifest, consumed: float | None = consumed) -> bool:
            told = it.get("budget", {}).get("consumed")
            if consumed is None or told is None:
                return told is consumed
            return float(told) == 0 if consumed == 0 else float(told) >= consumed  # time that passes is covered, too

        stage.until_status(SLO, is_told, f"{mode}: {consumed} % are consumed", "checkout")


def test_a_mistake_is_named_in_a_word_that_kubectl_shows(stage: Stage) -> None:
    """S8, S12, S13: a cycle, a zone that is nowhere, members and checks that are missing; what works goes on."""
    nowhere = {"calendar": {"unit": "Month", "start": "2026-01-01T00:00:00", "timeZone": "Europe/Nowhere"}}
    stage.put(
        slo("cycle", made_of({"name": "again"})),
        slo("again", made_of({"name": "cycle"})),
        slo("behind", made_of({"name": "again"}, {"name": "checkout"})),
        slo("nowhere", window=nowhere),
        slo("unchecked", {"healthCheck": {"name": "missing"}}),
        slo("lonely", made_of({"name": "missing"}, {"name": "checkout"})),
        slo(window=HOUR),
    )
    stage.start(hurry=HURRY)
    pipeline(stage).deliver(entry(bad=5), key="one")
    for name, reason in {
        "cycle": "CompositeCycle",
        "again": "CompositeCycle",
        "behind": "CompositeCycle",
        "nowhere": "InvalidTimeZone",
        "unchecked": "HealthCheckNotRunning",
    }.items():
        assert until_condition(stage, "Ready", "False", reason, name)
        shown = printed(stage, name)
        assert (shown["REASON"], shown["STATE"]) == (reason, "Unknown")
    assert "missing" in until_condition(stage, "QueryValid", "False", "MemberMissing", "lonely")
    status = stage.until_status(SLO, lambda it: "TotalOutage" in names_of(it), "what works goes on", "checkout")
    assert printed(stage)["STATE"] == status["state"] == "Exhausted"
