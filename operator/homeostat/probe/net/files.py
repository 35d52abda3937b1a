"""Whether we may open another file: libraries that could not open theirs say that something else is missing."""

import errno
import os

_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def are_used_up() -> bool:
    """Say whether no more files can be opened, by this process or at all."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in _USED_UP
    return False
