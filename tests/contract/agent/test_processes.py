"""Faults of processes, done to real ones: what is held runs on the moment the holder is gone, whatever it died of."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.agent.running import RunningAgent, children_of, is_alive, running, sleeper, state_of, until
from homeostat.core.orders import AgentState, OffReason, RefusalReason

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to trace processes of others needs root")
NAME = "hst-sleeper"
HELD = "t"


def threads_of(pid: int) -> list[str]:
    return [state_of(int(folder.name)) for folder in Path(f"/proc/{pid}/task").iterdir()]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with sleeper(tmp_path, NAME) as process:
        yield process


@pytest.fixture
def paused(target: subprocess.Popen[bytes]) -> Iterator[RunningAgent]:
    with running("processPause", {"name": NAME}) as agent:
        assert agent.turn_on().state is AgentState.ON
        until(lambda: state_of(target.pid) == HELD)
        yield agent


def test_a_paused_process_runs_on_when_the_agent_is_told_to_end(
    paused: RunningAgent, target: subprocess.Popen[bytes]
) -> None:
    """C3: the controller's own way."""
    off = paused.beat(revert=True)

    assert (off.state, off.reason) == (AgentState.OFF, OffReason.TOLD)
    until(lambda: state_of(target.pid) == "S")


@pytest.mark.parametrize("who", ["holder", "keeper"])
def test_a_paused_process_runs_on_when_who_holds_it_is_killed(
    who: str, paused: RunningAgent, target: subprocess.Popen[bytes]
) -> None:
    """C18: the kernel ends the stop with the tracer; no code of ours has to run."""
    os.kill(paused.holder if who == "holder" else paused.process.pid, signal.SIGKILL)

    until(lambda: state_of(target.pid) == "S")


def test_a_paused_process_runs_on_when_the_holder_is_stopped(
    paused: RunningAgent, target: subprocess.Popen[bytes]
) -> None:
    """C4, C18: a holder that is stopped does not answer, and is killed for it."""
    os.kill(paused.holder, signal.SIGSTOP)

    until(lambda: state_of(target.pid) == "S")


def test_a_paused_process_runs_on_when_keeper_and_holder_are_both_stopped(
    paused: RunningAgent, target: subprocess.Popen[bytes]
) -> None:
    """C18: a timer of the kernel's kills the holder, stopped as it is."""
    holder = paused.holder
    os.kill(paused.process.pid, signal.SIGSTOP)
    os.kill(holder, signal.SIGSTOP)

    until(lambda: state_of(target.pid) == "S")


def test_a_paused_process_runs_on_when_beats_do_not_come(paused: RunningAgent, target: subprocess.Popen[bytes]) -> None:
    """C4: three missed beats."""
    assert paused.hear().reason == OffReason.LEASE
    until(lambda: state_of(target.pid) == "S")


def test_a_paused_process_can_be_killed_and_its_parent_hears_of_it(
    paused: RunningAgent, target: subprocess.Popen[bytes]
) -> None:
    """C5: a target that is restarted while it is held is not kept from it."""
    target.kill()
    paused.beat()

    assert target.wait(10) == -signal.SIGKILL


def test_all_threads_and_all_processes_of_the_name_are_held_those_that_come_later_too(tmp_path: Path) -> None:
    """A name means every process that has it, at each beat again."""
    threads = "import threading, time\nfor _ in range(5): threading.Thread(target=time.sleep, args=(1000,)).start()"
    program = tmp_path / "hst-threads"
    shutil.copy(sys.executable, program)
    environment = os.environ | {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    command = [program, "-S", "-c", threads]
    first = subprocess.Popen(command, env=environment)
    second = None
    try:
        until(lambda: len(threads_of(first.pid)) == 6)
        with running("processPause", {"name": "hst-threads"}) as agent:
            assert agent.turn_on().counters == {"processes": 1, "threads": 6}
            until(lambda: set(threads_of(first.pid)) == {HELD})
            second = subprocess.Popen(command, env=environment)
            until(lambda: Path(f"/proc/{second.pid}/comm").read_text().strip() == "hst-threads")

            assert agent.beat().counters["processes"] == 2
            until(lambda: set(threads_of(second.pid)) == {HELD})
        until(lambda: set(threads_of(first.pid)) == {"S"})
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait()


def test_a_process_that_a_debugger_holds_is_refused(target: subprocess.Popen[bytes]) -> None:
    """C6: nothing is taken from somebody else."""
    with running("processPause", {"name": NAME}) as other:
        assert other.turn_on().state is AgentState.ON
        with running("processPause", {"name": NAME}) as agent:
            refused = agent.turn_on()

        assert (refused.state, refused.reason) == (AgentState.REFUSED, RefusalReason.NOT_PERMITTED)
        assert state_of(target.pid) == HELD


@pytest.mark.parametrize("fault", ["processPause", "processKill"])
def test_a_name_that_nobody_has_is_refused(fault: str) -> None:
    """C11: no target is not success."""
    with running(fault, {"name": "hst-nobody"}) as agent:
        assert agent.hear().reason == RefusalReason.NO_PROCESS


@pytest.mark.parametrize("fault", ["processPause", "processKill"])
def test_our_own_processes_are_never_targets(fault: str) -> None:
    """Not the agent's two, nor those above it, though they have the name."""
    name = Path(sys.executable).resolve().name
    agent_only = ("unshare", "--pid", "--fork", "--mount-proc")
    with running(fault, {"name": name}, before=agent_only) as agent:
        assert agent.hear().reason == RefusalReason.NO_PROCESS


@pytest.mark.parametrize(("word", "number"), [("KILL", signal.SIGKILL), ("TERM", signal.SIGTERM)])
def test_a_process_gets_its_signal_once(word: str, number: int, target: subprocess.Popen[bytes]) -> None:
    """A blow: the agent is done with it."""
    with running("processKill", {"name": NAME, "signal": word}) as agent:
        done = agent.turn_on()

    assert (done.state, done.reason, done.counters) == (AgentState.OFF, OffReason.DONE, {"processes": 1})
    assert target.wait(10) == -number


@contextmanager
def namespace_of(folder: Path, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Make a PID namespace; give its first process, of that name, and how to run another in it."""
    command = "unshare", "--pid", "--fork", "--mount-proc"
    program = folder / name
    shutil.copy(shutil.which("sleep") or "", program)
    outer = subprocess.Popen([*command, program, "1000"])
    first = until(lambda: children_of(outer.pid))[0]
    until(lambda: Path(f"/proc/{first}/comm").read_text().strip() == name)
    try:
        yield first, ("nsenter", f"--target={first}", "--pid", "--mount")
    finally:
        if is_alive(first):
            os.kill(first, signal.SIGKILL)
        outer.wait()


@pytest.fixture
def container(tmp_path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    with namespace_of(tmp_path, "hst-first") as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "settings"), [("containerKill", {"container": "app"}), ("processKill", {"name": "hst-first"})]
)
def test_the_first_process_of_a_container_is_killed_from_inside(
    fault: str, settings: dict[str, str], container: tuple[int, tuple[str, ...]]
) -> None:
    """A plain SIGKILL from inside its namespace means nothing to it. The agent ends with it."""
    first, inside = container
    os_kill = subprocess.run([*inside, "kill", "-9", "1"], check=False)
    assert os_kill.returncode == 0
    assert is_alive(first)

    with running(fault, settings, before=inside) as agent:
        assert agent.hear().state is AgentState.READY
        agent.send_go()
        until(lambda: not is_alive(first))
        agent.process.wait(10)


def test_a_program_that_is_only_called_as_the_pods_own_is_killed_like_any(tmp_path: Path) -> None:
    """In a pod with one namespace for all PID 1 is the pod's: it is told by the other containers beside it."""
    with (
        namespace_of(tmp_path, "pause") as (first, inside),
        running("containerKill", {"container": "app"}, before=inside) as agent,
    ):
        assert agent.hear().state is AgentState.READY
        agent.send_go()
        until(lambda: not is_alive(first))


def test_a_signal_that_the_first_process_would_not_heed_is_refused(container: tuple[int, tuple[str, ...]]) -> None:
    """Nothing would happen, and that would look like a target that bears it well."""
    first, inside = container
    with running("processKill", {"name": "hst-first", "signal": "TERM"}, before=inside) as agent:
        assert agent.hear().reason == RefusalReason.NO_MECHANISM

    assert is_alive(first)


def test_a_paused_first_process_runs_on_when_the_holder_is_killed(container: tuple[int, tuple[str, ...]]) -> None:
    """C18: a tracer inside the namespace holds and frees its first process; its death does not kill it."""
    first, inside = container
    with running("processPause", {"name": "hst-first"}, before=inside) as agent:
        assert agent.turn_on().state is AgentState.ON
        until(lambda: state_of(first) == HELD)
        (keeper,) = children_of(agent.process.pid)
        (holder,) = children_of(keeper)
        os.kill(holder, signal.SIGKILL)
        until(lambda: state_of(first) == "S")
