"""The command line: which image, and where its archive goes."""

import argparse
import shutil
import sys
from pathlib import Path

from images.operator_image import build_operator
from images.programs import build_pause, build_sample
from images.progress import BuildError

BUILDERS = {"pause": build_pause, "sample": build_sample, "operator": build_operator}


def main() -> int:
    """Print the archive's path, and nothing else, to the standard output."""
    parser = argparse.ArgumentParser(prog="build-image", description=__doc__)
    parser.add_argument("image", choices=BUILDERS)
    parser.add_argument(
        "--out", type=Path, metavar="FILE.tar", help="copy the archive there; else its path in the cache is printed"
    )
    arguments = parser.parse_args()
    try:
        archive = BUILDERS[arguments.image]()
    except BuildError as error:
        print(f"build-image: {error}", file=sys.stderr)
        return 1
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive, arguments.out)
    print(arguments.out or archive)
    return 0
