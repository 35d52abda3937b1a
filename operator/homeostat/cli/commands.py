"""The table of commands: what each is called, where it lives, what it is for. Reading it imports none of them."""

from typing import NamedTuple

LOOK, ACT, FILES, INSTALLATION = "Measure and look", "Act", "Files", "Installation"
GROUPS = (LOOK, ACT, FILES, INSTALLATION)
"""In the order in which the help lists them."""


class Command(NamedTuple):
    """One command.

    `module`: the module of cli/ with its `main(arguments) -> exit code`; "" where `__main__` does it itself.
    `parser`: the module of cli/parsers/ with its `parser()`, which costs no more to import than argparse; "" where
    the command's own module prints its help.
    `parts`: words that may follow it and have help of their own, by `parser(word)`.
    `is_told_its_name`: one module is several commands, and its `main` and `parser` begin with which.
    """

    name: str
    module: str
    summary: str
    group: str
    parser: str = ""
    parts: tuple[str, ...] = ()
    is_told_its_name: bool = False


COMMANDS = (
    Command("status", "status.command", "show all services, worst first; --watch keeps looking", LOOK, "status"),
    Command(
        "explain",
        "reasons.explain",
        "say how an object stands now, and what would be done",
        LOOK,
        "explain",
    ),
    Command(
        "why",
        "reasons.why",
        "say why an object is as it is, and what would change that",
        LOOK,
        "why",
    ),
    Command(
        "budget",
        "budgets.budget",
        "show error budgets: what is left, and how long it lasts",
        LOOK,
        "budget",
    ),
    Command("score", "checks.score", "print the scores of services and of the cluster", LOOK, "score"),
    Command("history", "checks.history", "print what is kept of the past of a check or objective", LOOK, "history"),
    Command("report", "reports.command", "report a month of an objective, a run, or a game day", LOOK, "report"),
    Command("stats", "stats", "print how well policies heal: success and times", LOOK, "stats"),
    Command(
        "probe",
        "checks.probe",
        "run the checks of a file once, and explain what they find",
        LOOK,
        "probe",
    ),
    Command("gate", "budgets.gate", "say by its exit code whether a budget lets a rollout go on", LOOK, "gate"),
    Command(
        "approve",
        "consent.command",
        "let a plan that awaits approval be carried out",
        ACT,
        "consent",
        is_told_its_name=True,
    ),
    Command("reject", "consent.command", "reject such a plan", ACT, "consent", is_told_its_name=True),
    Command(
        "pause",
        "consent.command",
        "let a RecoveryPolicy do nothing until it is resumed",
        ACT,
        "consent",
        is_told_its_name=True,
    ),
    Command("resume", "consent.command", "end such a pause", ACT, "consent", is_told_its_name=True),
    Command("run", "", "run the operator; with rp/NAME, a step of a policy by hand", ACT),
    Command("chaos", "chaos.command", "run, abort, plan and list experiments; sweep what they left", ACT),
    Command(
        "freeze",
        "freeze",
        "hold all acts of the operator in the cluster, and let go again",
        ACT,
        "freeze",
        parts=("list", "lift"),
    ),
    Command(
        "undo",
        "chaos.undo",
        "take off a fault that nobody holds up: what an undo Pod runs",
        ACT,
        "undo",
    ),
    Command(
        "validate",
        "files.validate",
        "check the objects of a file as the API server would, without one",
        FILES,
        "validate",
    ),
    Command("rules", "files.rules", "print the Prometheus rules of the objectives of a file", FILES, "rules"),
    Command(
        "import",
        "files.importing",
        "turn OpenSLO, Sloth, Pyrra, Chaos Mesh or Litmus into our objects",
        FILES,
        "imports",
    ),
    Command("export", "files.export", "turn our objectives into OpenSLO", FILES, "export"),
    Command(
        "simulate",
        "simulate.command",
        "replay history against a changed objective or policy",
        FILES,
        "simulate",
    ),
    Command(
        "doctor",
        "doctor.command",
        "check the installation: CRDs, rights, Prometheus, store, clock",
        INSTALLATION,
        "doctor",
    ),
    Command(
        "completion",
        "completion",
        "print the completion of a shell: bash, zsh or fish",
        INSTALLATION,
        "completion",
    ),
    Command("settings", "", "print the settings that would be in force", INSTALLATION),
    Command("version", "", "print the version", INSTALLATION),
)
COMPLETE = "__complete"
"""What the completion of a shell asks; no human does, and no help lists it."""
BY_NAME = {one.name: one for one in COMMANDS}
