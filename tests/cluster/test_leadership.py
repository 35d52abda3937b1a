"""Two replicas on a real cluster: one acts; the other takes over, finishes what was begun, and never doubles it."""

import pytest

from cluster import proxy
from cluster.manifests import health_check, policy
from cluster.operator_process import OperatorProcess
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

FENCED = 70
LEASE = r"/leases/homeostat-leader"


def holder(stage: Stage) -> str:
    """Give the identity that leads."""
    return str(stage.read("Lease", "homeostat-leader")["spec"].get("holderIdentity", ""))


def start_two(stage: Stage) -> tuple[OperatorProcess, OperatorProcess]:
    """Start a leader behind the proxy, and a standby that reaches the API server by itself."""
    leader = stage.start(identity="one")
    standby = stage.start(identity="two", wait_for="started", direct=True)
    return leader, standby


def until_ended_first(leader: OperatorProcess, standby: OperatorProcess) -> None:
    """Watch both until the leader has ended: never is it still there when the standby has said that it leads."""

    def has_ended() -> bool:
        leads = standby.metric("homeostat_leader") == 1
        is_there = leader.is_there()
        assert not (leads and is_there), "two lead"
        return not is_there

    until(has_ended, "the leader ends itself")


def test_the_standby_is_ready_does_nothing_and_takes_over_from_a_leader_that_stops(stage: Stage) -> None:
    """R2: SIGTERM gives the lead up at once; exit code 0."""
    before = stage.open_shop(policy(), replicas=2)
    leader, standby = start_two(stage)
    until(lambda: standby.get("/readyz")[0] == 200, "the standby is ready")
    assert standby.metric("homeostat_leader") == 0
    assert holder(stage) == "one"
    stage.until_state("Healthy")

    assert leader.terminate() == 0
    standby.await_log("loaded")
    assert holder(stage) == "two"
    stage.break_pod(min(before))
    stage.until_recovered()
    assert len(set(before.values()) - set(stage.until_serving(2).values())) == 1


def test_the_standby_finishes_the_attempt_of_a_leader_that_was_killed(stage: Stage) -> None:
    """R2: killed between act and result: the other leads, sees that it happened, verifies; one eviction in all."""
    before = stage.open_shop(policy(), replicas=2)
    leader, standby = start_two(stage)
    stage.until_state("Healthy")
    cut = stage.faults.on("POST", r"/eviction$", proxy.after(leader.kill))
    stage.break_pod(min(before))
    assert cut.has_hit.wait(90), leader.tail()
    attempt = stage.status("RecoveryPolicy")["attempt"]["id"]

    standby.await_log("loaded")
    record = stage.until_recovered()
    assert record["id"] == attempt
    assert holder(stage) == "two"
    assert len(set(before.values()) - set(stage.until_serving(2).values())) == 1
    assert standby.metric(r'homeostat_actions_total\{action="EvictPod"') == 0


def test_the_standby_does_what_a_leader_put_on_record_and_was_killed_before(stage: Stage) -> None:
    """R2, R8: killed between intent and act: the other scales, once, from what is on record."""
    more = {"scale": {"by": "+1", "max": 5}, "timeout": "2m"}
    before = stage.open_shop(policy(step=more), replicas=2, check=health_check(minPassing="60%"))
    leader, standby = start_two(stage)
    stage.until_state("Healthy")
    cut = stage.faults.on("PATCH", r"/deployments/shop\?", proxy.instead(leader.kill))
    stage.break_pod(min(before))
    assert cut.has_hit.wait(90), leader.tail()
    attempt = stage.status("RecoveryPolicy")["attempt"]["id"]
    assert stage.read("Deployment")["spec"]["replicas"] == 2

    standby.await_log("loaded")
    record = stage.until_recovered()
    assert record["id"] == attempt
    assert stage.read("Deployment")["spec"]["replicas"] == 3
    assert standby.metric(r'homeostat_actions_total\{action="Scale"') == 1


def test_a_leader_cut_off_from_the_api_ends_itself_before_another_leads(stage: Stage) -> None:
    """R2, fencing: stalled requests: it exits with its own code; meanwhile there is one leader, then the other."""
    stage.open_shop(policy(), replicas=2)
    leader, standby = start_two(stage)
    stage.until_state("Healthy")
    with stage.faults.always("GET|PUT|PATCH|POST", r"/", proxy.stall):
        until_ended_first(leader, standby)
        assert leader.await_end() == FENCED
        standby.await_log("loaded")
    assert holder(stage) == "two"
    assert standby.metric("homeostat_leader") == 1
