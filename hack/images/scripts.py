"""Commands of the image, which start Python and no shell: scripts.py FOLDER writes FOLDER/bin.

The scripts that pip writes name the interpreter of the build.

Used by hack/build-image and by the Dockerfile, so it needs the standard library alone.
"""

import shutil
import sys
from configparser import ConfigParser
from pathlib import Path

SCRIPT = """\
#!/usr/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""
ALIASES = {"kubectl-homeostat": "homeostat"}
"""What a plugin of kubectl is called; what it was called by is told by its own first argument."""


def write_commands(folder: Path) -> list[str]:
    """Write the commands that the package in a folder declares; give their names."""
    declared = ConfigParser(delimiters=("=",))
    declared.optionxform = str  # type: ignore[assignment,method-assign]
    (entry_points,) = folder.glob("homeostat-*.dist-info/entry_points.txt")
    declared.read_string(entry_points.read_text())
    commands = dict(declared["console_scripts"])
    for alias, name in ALIASES.items():
        commands.setdefault(alias, commands[name])
    binaries = folder / "bin"
    shutil.rmtree(binaries, ignore_errors=True)
    binaries.mkdir()
    for name, target in commands.items():
        module, _, function = target.partition(":")
        (binaries / name).write_text(SCRIPT.format(module=module, function=function))
        (binaries / name).chmod(0o755)
    return sorted(commands)


if __name__ == "__main__":
    write_commands(Path(sys.argv[1]))
