"""By which names a process is known."""

import pytest

from homeostat.agent.processes.listing import Process


def process(comm: str, *arguments: str, exe: str = "") -> Process:
    return Process(7, 1, "S", comm, arguments, exe)


NGINX = process("nginx", "nginx: worker process", exe="/usr/sbin/nginx")
SCRIPT = process("app.py", "/usr/bin/python3", "app.py", exe="/usr/bin/python3.11")
LONG = process("very-long-progr", "/opt/very-long-program-name", exe="")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (NGINX, "nginx"),
        (SCRIPT, "app.py"),
        (SCRIPT, "python3"),
        (SCRIPT, "python3.11"),
        (LONG, "very-long-program-name"),
        (LONG, "very-long-progr"),
        (process("very-long-progr"), "very-long-program-name"),
    ],
)
def test_a_process_is_called_by_the_kernel_s_name_its_program_and_its_first_word(target: Process, name: str) -> None:
    """Any of the three is a name that an SRE would say."""
    assert target.is_called(name)


@pytest.mark.parametrize(
    ("target", "name"), [(NGINX, "worker"), (NGINX, "ngin"), (SCRIPT, "bin"), (SCRIPT, "python"), (LONG, "very-long")]
)
def test_a_part_of_a_name_is_no_name(target: Process, name: str) -> None:
    """C11: nothing is hit by accident."""
    assert not target.is_called(name)


def test_what_only_waits_for_its_parent_is_not_alive() -> None:
    """A zombie is no target."""
    assert not Process(7, 1, "Z", "gone", (), "").is_alive
