"""Faults that use up what a pod has: children of a holder, and nothing of them outlives it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.agent.running import RunningAgent, children_of, is_alive, running, until
from homeostat.agent.stress.child import NAME
from homeostat.agent.stress.memory import own_bytes
from homeostat.core.orders import AgentState, OffReason, RefusalReason

MIB = 2**20
NO_CGROUPS = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")


@pytest.fixture
def busy() -> Iterator[RunningAgent]:
    with running("cpu", {"load": "10%"}) as agent:
        assert agent.turn_on().state is AgentState.ON
        yield agent


def test_each_core_has_a_child_that_works(busy: RunningAgent) -> None:
    """What was really used is counted."""
    children = children_of(busy.holder)

    assert len(children) == len(os.sched_getaffinity(0))
    assert {Path(f"/proc/{pid}/comm").read_text().strip() for pid in children} == {NAME}
    assert {Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in children} == {"1000"}
    until(lambda: busy.beat().counters["cpuMilliseconds"] > 0)


@pytest.mark.parametrize("who", ["holder", "keeper"])
def test_children_die_with_who_started_them(who: str, busy: RunningAgent) -> None:
    """C18: the parent's death is their own, by the kernel."""
    children = children_of(busy.holder)
    os.kill(busy.holder if who == "holder" else busy.process.pid, signal.SIGKILL)

    until(lambda: not any(map(is_alive, children)))


def test_children_end_by_themselves_when_keeper_and_holder_are_both_stopped(busy: RunningAgent) -> None:
    """C18: nobody is left to kill them, and their leave to work is over."""
    holder, children = busy.holder, children_of(busy.holder)
    os.kill(busy.process.pid, signal.SIGSTOP)
    os.kill(holder, signal.SIGSTOP)

    until(lambda: not any(map(is_alive, children)))


def test_a_child_that_somebody_killed_is_replaced_at_the_next_beat(busy: RunningAgent) -> None:
    """C5: the fault is what it is observed to be."""
    os.kill(children_of(busy.holder)[0], signal.SIGKILL)

    until(lambda: busy.beat().counters["cores"] == len(children_of(busy.holder)) == len(os.sched_getaffinity(0)))


def test_told_to_end_it_says_off_when_no_child_is_left(busy: RunningAgent) -> None:
    """C3: Off means that nothing is left."""
    children = children_of(busy.holder)
    off = busy.beat(revert=True)

    assert (off.state, off.reason) == (AgentState.OFF, OffReason.TOLD)
    assert not any(map(is_alive, children))


def test_memory_of_a_pod_without_a_limit_is_left_alone() -> None:
    """C10: it would be the node's."""
    with running("memory", {"bytes": "16Mi"}) as agent:
        assert agent.hear().reason == RefusalReason.UNBOUNDED


@needs_root
def test_so_much_memory_is_taken_and_given_back_with_the_holder() -> None:
    """C18: memory is its process's own; what the agent itself takes is part of it."""
    settings = {"bytes": "40Mi", "bounds": {"memory": "64Mi"}}
    with running("memory", settings, before=NO_CGROUPS) as agent:
        assert agent.turn_on().state is AgentState.ON
        until(lambda: agent.beat().counters["bytes"] == 40 * MIB)
        (child,) = children_of(agent.holder)
        keeper = int(Path(f"/proc/{agent.holder}/stat").read_text().rsplit(") ", 1)[1].split()[1])
        taken = own_bytes(keeper, agent.holder, child)
        os.kill(agent.holder, signal.SIGKILL)

        assert 39 * MIB < taken < 44 * MIB
        until(lambda: not is_alive(child))


@needs_root
def test_memory_that_was_taken_away_is_taken_again() -> None:
    """The kernel kills the child first when memory is short: that is counted, and the next beat starts another."""
    with running("memory", {"bytes": "1Mi", "bounds": {"memory": "64Mi"}}, before=NO_CGROUPS) as agent:
        assert agent.turn_on().state is AgentState.ON
        os.kill(children_of(agent.holder)[0], signal.SIGKILL)

        until(lambda: agent.beat().counters["killed"] == 1)
        until(lambda: agent.beat().counters["bytes"] == MIB)
