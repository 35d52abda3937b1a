"""A timer of the kernel's that kills this process, even while it is stopped.

SIGALRM waits for a process that SIGSTOP has stopped, as every signal does but one. A POSIX timer may send that one.
So what a stopped holder held, a traced process or connections that it carries, is free again in time.
"""

import ctypes
import os
import signal
import struct
from typing import Final

_BOOT_TIME: Final = 7  # the clock that goes on while the machine sleeps
_SIGEV_SIGNAL: Final = 0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NANO: Final = 1_000_000_000
_EVENT: Final = struct.Struct("Pii48x")
"""What a timer does when it is over (struct sigevent): a value, the signal, the way."""
_SETTING: Final = struct.Struct("llll")
"""When it is over (struct itimerspec): seconds and nanoseconds, of each further time and of the first."""


class KernelTimer:
    """The timer of the process that makes this; a fork has none of it."""

    def __init__(self) -> None:
        """Make the timer, not running yet. Raises OSError."""
        self._timer = ctypes.c_void_p()
        event = _EVENT.pack(0, signal.SIGKILL, _SIGEV_SIGNAL)
        _must(_LIBC.timer_create(_BOOT_TIME, event, ctypes.byref(self._timer)))

    def die_in(self, seconds: float) -> None:
        """Have this process killed in `seconds`, unless this is called again before. Raises OSError."""
        whole, part = divmod(max(1, round(seconds * _NANO)), _NANO)
        _must(_LIBC.timer_settime(self._timer, 0, _SETTING.pack(0, 0, whole, part), None))


def _must(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
