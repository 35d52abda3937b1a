"""Starts `homeostat` with less patience: `hurried.py MODULE:NAME=SECONDS … -- run …`.

Only waiting is made shorter, such as the minutes that Prometheus has to load rules: what is decided stays as it is.
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from importlib import import_module


def hurry(words: Iterable[str]) -> None:
    """Set what `MODULE:NAME=SECONDS` says; the name must be one of a number of seconds, or of a timedelta."""
    for word in words:
        place, _, seconds = word.partition("=")
        module, _, name = place.partition(":")
        is_timedelta = isinstance(getattr(import_module(module), name), timedelta)
        setattr(import_module(module), name, timedelta(seconds=float(seconds)) if is_timedelta else float(seconds))


if __name__ == "__main__":
    del sys.path[0]  # the tests' own folder
    from homeostat.__main__ import main

    end = sys.argv.index("--")
    hurry(sys.argv[1:end])
    sys.exit(main(sys.argv[end + 1 :]))
