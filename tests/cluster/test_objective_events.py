"""Pushed events through the real API and with the rights of dist/: what was acknowledged is counted, and once."""

import re

import pytest
import yaml

from cluster.installation import rightful
from cluster.objectives import (
    HURRY,
    SLO,
    Caller,
    bystander,
    entry,
    pipeline,
    printed,
    shell,
    shown_commands,
    slo,
    until_counted,
)
from cluster.operator_process import ROOT
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.apiserver

DUPLICATE = (200, {"accepted": 0, "duplicate": True})


def test_what_was_acknowledged_outlives_a_kill_and_a_key_counts_once(stage: Stage) -> None:
    """S4, S16: killed right after a 200: all of it is there, and `kubectl get slo` shows it."""
    stage.put(slo(window={"rolling": "1h"}))
    stage.start(kubeconfig=rightful(stage), hurry=HURRY)
    caller = pipeline(stage)
    caller.deliver(entry(good=100, bad=1), key="batch")
    for number in range(20):
        assert caller.push(entry(good=10), entry(bad=1), key=f"batch-{number}") == (
            200, {"accepted": 2, "duplicate": False},
        )  # fmt: skip
    stage.one.kill()

    stage.one.start()
    caller.deliver(entry(good=100, bad=1), key="batch")
    for number in range(20):
        assert caller.push(entry(good=999), key=f"batch-{number}") == DUPLICATE
    status = until_counted(stage, 300, 21)
    columns = printed(stage)
    assert (columns["SERVICE"], columns["OBJECTIVE"], columns["REASON"]) == ("checkout", "99", "Evaluated")
    assert (columns["SLI"], columns["BUDGET"]) == (status["sli"], status["budget"]["remaining"])
    assert float(status["sli"]) == pytest.approx(100 * 300 / 321, abs=0.01)


def test_events_go_where_they_may_and_nowhere_else(stage: Stage) -> None:
    """Without a token 401, without the right 403, whether there is such an objective or not."""
    stage.put(slo(), slo("measured", {"healthCheck": {"name": "shop"}}))
    stage.start(kubeconfig=rightful(stage), hurry=HURRY)
    allowed, others = pipeline(stage), bystander(stage)
    allowed.deliver(entry(good=1), key="one")

    for caller, code, reason in (
        (Caller(stage), 401, "Unauthenticated"),
        (Caller(stage, "made-up"), 401, "Unauthenticated"),
        (others, 403, "Forbidden"),
    ):
        for name in ("checkout", "missing"):
            answered, body = caller.push(entry(good=1), name=name)
            assert (answered, body["error"]["reason"]) == (code, reason)
    assert allowed.ask("GET", f"/alerts?namespace={stage.namespace}")[0] == 403
    assert allowed.push(entry(good=1), name="missing")[0] == 404
    assert allowed.push(entry(good=1), name="measured")[1]["error"]["reason"] == "NotPushedTo"
    assert allowed.push(entry(good=-1))[1]["error"] == {
        "reason": "InvalidCount", "message": '"good" must be a whole number from 0 to 1000000000.', "index": 0,
    }  # fmt: skip
    until_counted(stage, 1, 0)


def test_the_commands_that_the_documents_show_work(stage: Stage) -> None:
    """docs/api.md as it stands, from the account of a pipeline to the status that it reads; docs/slo.md: the gate."""
    page = (ROOT / "docs" / "api.md").read_text()
    blocks = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    (shown,) = (block for block in blocks if block.get("kind") == SLO)
    name = shown["metadata"]["name"]
    stage.put(
        shown | {"metadata": {"name": name}},
        slo("checkout-guarded", budgetPolicy=[{"remainingBelow": "0%", "hold": ["Rollouts"]}]),
    )
    stage.start(kubeconfig=rightful(stage), hurry=HURRY)

    def run(command: str, token: str = "") -> str:
        return shell(stage, re.sub(r"\bshop\b", stage.namespace, command), API=stage.one.api, TOKEN=token)

    for command in shown_commands("api.md", "kubectl -n shop create"):
        run(command)
    (asked,) = shown_commands("api.md", "TOKEN=$(kubectl")
    token = run(f"{asked}; echo $TOKEN")
    (push,) = shown_commands("api.md", "curl -X POST")
    until(lambda: "error" not in run(push, token) or None, "the pipeline may push")
    assert run(push, token) == '{"accepted":0,"duplicate":true}'
    until_counted(stage, 120, 3, name)

    alerts, status = shown_commands("api.md", 'curl "$API')
    until(lambda: '"state":"Met"' in run(status, token) or None, "the status is read")
    assert run(alerts, token) == "[]"

    Caller(stage, token).deliver(entry(good=1), name="checkout-guarded")
    stage.until_status(SLO, lambda it: it.get("state") == "Met", "evaluated", "checkout-guarded")
    (wait,) = shown_commands("slo.md", "kubectl wait")
    assert "condition met" in run(wait)
