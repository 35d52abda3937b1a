"""What `homeostat completion` may be told."""

from homeostat.cli.arguments import Parser

SHELLS = ("bash", "zsh", "fish")


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="homeostat completion",
        description="Print the completion of a shell: commands, options, and the names of objects in the cluster. "
        'bash: eval "$(homeostat completion bash)"; zsh: likewise; fish: homeostat completion fish | source. '
        "kubectl completes `kubectl homeostat` by itself where kubectl_complete-homeostat is on the PATH.",
        epilog="Exit code: 0, 2 when there is no such shell.",
    )
    made.add_argument("shell", choices=SHELLS, help="for which shell")
    return made
